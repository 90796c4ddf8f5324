"""HTTP/1.1 without sockets: a request as bytes, and bytes as a reply (RFC 9112; httptools is Node's llhttp)."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import frozen
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from streamfold.client.transport.body import join_header
from streamfold.client.transport.failure import sentence
from streamfold.client.transport.transport import Request
from streamfold.errors import Disconnected, InvalidArgument, ProtocolViolation, TransportError, without_credentials

# Bounds the head, and what comes between two parts of a body: trailers, the head of a chunk. A server could send them for
# ever. It is h11's limit too, so that httpx refuses the same heads.
MAX_OVERHEAD_BYTES = 100 * 1024
PORTS = {"http": 80, "https": 443}
DEFAULTS = {"accept-encoding": "identity", "connection": "close", "user-agent": "streamfold"}
VISIBLE = re.compile(r"[!-~]+")
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
LINE_BREAKING = re.compile(r"[\r\n\0]")


@frozen
class Destination:
    """Where a request goes: host and port, and what the request line and the `host` header say."""

    host: str
    port: int
    is_tls: bool
    path: str
    authority: str


def destination_of(url: str) -> Destination:
    """Take a URL apart.

    Raises:
        InvalidArgument: It is not an absolute http or https URL, or it holds a user name.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument("url", f"{error}: {without_credentials(url)!r}") from error
    if parts.scheme not in PORTS or not host:
        raise InvalidArgument(
            "url", f"must begin with http:// or https:// and a host, not {without_credentials(url)!r}"
        )
    if "@" in parts.netloc:
        raise InvalidArgument("url", "must not contain a user or password; send an authorization header")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not VISIBLE.fullmatch(path) or not VISIBLE.fullmatch(parts.netloc):
        raise InvalidArgument("url", f"must be percent-encoded: {without_credentials(url)!r}")
    return Destination(host, port or PORTS[parts.scheme], parts.scheme == "https", path, parts.netloc)


def request_bytes(request: Request, destination: Destination) -> bytes:
    """The request as bytes. It asks for a connection of its own, and for a body without encoding.

    Raises:
        InvalidArgument: The method or a header would break the lines.
    """
    if not TOKEN.fullmatch(request.method):
        raise InvalidArgument("method", f"{request.method!r} is not an HTTP method")
    given = {name.lower() for name, _ in request.headers}
    length = [] if request.body is None else [("content-length", str(len(request.body)))]
    host = [] if "host" in given else [("host", destination.authority)]
    defaults = [(name, value) for name, value in DEFAULTS.items() if name not in given]
    lines = [f"{request.method} {destination.path} HTTP/1.1"]
    for name, value in [*host, *request.headers, *defaults, *length]:
        if not TOKEN.fullmatch(name) or LINE_BREAKING.search(value):
            raise InvalidArgument("headers", f"{name!r} cannot be sent as a header")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode() + (request.body or b"")


# Why the parser never raises. Bytes that came before a fault must be handed over before the fault is reported (rule 1), and
# one read often brings both. So a fault is kept as a value: `bodies` holds what was decoded, `failure` what went wrong, and
# the reply looks at the second only when the first is empty.


class ReplyParser:
    """Feed it what arrived; it fills `bodies`, which the caller empties.

    `status` and `headers` are set once `has_head`. When `is_over`, feed nothing more: the reply is whole, or `failure`
    says why not. What was decoded before a fault is still in `bodies`.
    """

    def __init__(self, *, method: str = "GET") -> None:
        self.status: int = 0
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.has_head: bool = False
        self.is_over: bool = False
        self.failure: TransportError | None = None
        self._is_bodiless = method == "HEAD"
        self._overhead = 0
        # Called by httptools, from C. A list's own `append` costs no frame of Python for each part.
        self.on_body: Callable[[bytes], None] = self.bodies.append
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take in bytes. What the peer did wrong is not raised here: it is the `failure`, after the bodies before it."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            self.fail(ProtocolViolation("the server switched to another protocol"), error)
        except HttpParserError as error:
            self.fail(ProtocolViolation(sentence(error)), error)
        if self.bodies:
            self._overhead = 0
        else:
            self._overhead += len(data)
            if self._overhead > MAX_OVERHEAD_BYTES:
                self.fail(ProtocolViolation(f"{self._overhead:,} bytes arrived outside of a body"), None)

    def feed_end(self) -> None:
        """The connection ended. That ends a body without a length; any other was cut off."""
        if not self.is_over and not (self.has_head and self._ends_with_connection()):
            where = "inside the reply" if self.has_head else "before the reply's head was whole"
            self.fail(Disconnected(f"the connection ended {where}"), None)
        self.is_over = True

    def close(self) -> None:
        """Break the reference cycle with the parser, so that both are freed at once."""
        del self._parser, self.on_body

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools, for a trailer too: those are dropped."""
        if not self.has_head:
            join_header(self.headers, name, value)

    def on_headers_complete(self) -> None:
        """Called by httptools, for 1xx too: the answer itself is still to come."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = {}
        else:
            self.status, self.has_head, self.is_over = status, True, self._is_bodiless

    def on_message_complete(self) -> None:
        """Called by httptools."""
        self.is_over = self.has_head

    def _ends_with_connection(self) -> bool:
        return "content-length" not in self.headers and "chunked" not in self.headers.get("transfer-encoding", "")

    def fail(self, failure: TransportError, cause: Exception | None) -> None:
        """End the reply with a failure, unless it is whole already."""
        if not self.is_over:  # what follows a whole reply is not part of it
            failure.__cause__ = cause
            self.failure, self.is_over = failure, True
