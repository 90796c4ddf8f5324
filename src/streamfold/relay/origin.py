"""Where a relay sends what it does not answer itself: the upstream's scheme, host and port."""

import re
from urllib.parse import urlsplit

from attrs import frozen

from streamfold.errors import InvalidArgument, without_credentials

_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[!-~]+")


@frozen
class Origin:
    """An upstream.

    Attributes:
        scheme: `http` or `https`.
        host: A name or an address, without brackets.
        port: Always known.
        path: Of the base URL, such as `/v1`, without a slash at its end. The paths of requests are not changed: it only
            says which base URL clients use.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, url: str, *, name: str = "upstream") -> "Origin":
        """The upstream that a URL names.

        Raises:
            InvalidArgument: The URL is not an http or https URL of a host, or has more than host, port and path.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidArgument(name, f"is not a valid URL: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname or not _PLAIN.fullmatch(url):
            shown = without_credentials(url)
            raise InvalidArgument(name, f"must be a URL such as https://api.openai.com/v1, got {shown!r}")
        if "@" in parts.netloc:
            raise InvalidArgument(name, "must not have a user or a key: clients send their own, in a header")
        if parts.query or parts.fragment:
            raise InvalidArgument(name, f"must end with its path, got {without_credentials(url)!r} with more after it")
        if port == 0:
            raise InvalidArgument(name, "must have a port from 1 to 65535")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"))

    @property
    def is_tls(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """What the Host header of a request to it says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def root(self) -> str:
        """Its URL without a path."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.root + self.path
