"""HTTP/1.1, without the sockets: a request as bytes, and bytes as a reply.

In      a Request; the bytes that came, cut anywhere
Out     the request's bytes; the reply's status, headers and the parts of its body
Units   bytes
Errors  InvalidArgument for a request that cannot be written; a reply's fault is a value, `failure`, told at the end
Source  RFC 9112; httptools, which is Node's llhttp
"""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import frozen
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from streamfold.client.transport.body import join_header
from streamfold.client.transport.failure import sentence
from streamfold.client.transport.transport import Request
from streamfold.errors import Disconnected, InvalidArgument, ProtocolViolation, TransportError

__all__ = ["ReplyParser", "Target", "request_bytes", "target_of"]

# What is no body (heads, trailers, the bytes of a chunk's own head) is bounded between two parts of the body.
MAX_OVERHEAD_BYTES = 1024 * 1024
PORTS = {"http": 80, "https": 443}
VISIBLE = re.compile(r"[!-~]+")
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
LINE_BREAKING = re.compile(r"[\r\n\0]")


@frozen
class Target:
    """Where a request goes: the connection's end, and what the request line and `host` say."""

    host: str
    port: int
    is_tls: bool
    path: str
    authority: str


def target_of(url: str) -> Target:
    """Read a URL.

    Raises: InvalidArgument for one that is not absolute, http or https, or that holds a user's name.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument("url", f"{error}: {url!r}") from error
    if parts.scheme not in PORTS or not host:
        raise InvalidArgument("url", f"must begin with http:// or https:// and a host, not {url!r}")
    if "@" in parts.netloc:
        raise InvalidArgument("url", "must hold no user and password; send an authorization header")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not VISIBLE.fullmatch(path) or not VISIBLE.fullmatch(parts.netloc):
        raise InvalidArgument("url", f"must be percent-encoded: {url!r}")
    return Target(host, port or PORTS[parts.scheme], parts.scheme == "https", path, parts.netloc)


def request_bytes(request: Request, target: Target) -> bytes:
    """The whole request. It asks for a connection of its own, and for bytes as they are.

    Raises: InvalidArgument for a method or header that would break the lines.
    """
    fields = [("host", target.authority), *request.headers]
    given = {name.lower() for name, _ in request.headers}
    defaults = {"accept-encoding": "identity", "connection": "close", "user-agent": "streamfold"}
    fields += [(name, value) for name, value in defaults.items() if name not in given]
    if request.body is not None:
        fields.append(("content-length", str(len(request.body))))
    for name, value in fields:
        if not TOKEN.fullmatch(name) or LINE_BREAKING.search(value):
            raise InvalidArgument("headers", f"{name!r} is no header that can be sent")
    if not TOKEN.fullmatch(request.method):
        raise InvalidArgument("method", f"{request.method!r} is no HTTP method")
    lines = [f"{request.method} {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode() + (request.body or b"")


class ReplyParser:
    """Feed it what came; it fills `bodies`, which the caller empties.

    status, headers: once `has_head`. is_over: nothing more is to be fed: the reply is whole, or `failure` says why
    not. What was decoded before a fault is in `bodies` all the same.
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
        """Never raises for what the peer sent."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            self.fail(ProtocolViolation("the server changed to another protocol"), error)
        except HttpParserError as error:
            self.fail(ProtocolViolation(sentence(error)), error)
        if self.bodies:
            self._overhead = 0
        else:
            self._overhead += len(data)
            if self._overhead > MAX_OVERHEAD_BYTES:
                self.fail(ProtocolViolation(f"{self._overhead:,} bytes came that are no body"), None)

    def feed_end(self) -> None:
        """The connection ended. That is the end of a body without a length; for any other it came too early."""
        if not self.is_over and not (self.has_head and self._ends_with_connection()):
            where = "inside the reply" if self.has_head else "before the reply's head was whole"
            self.fail(Disconnected(f"the connection ended {where}"), None)
        self.is_over = True

    def close(self) -> None:
        """Break the circle of this object and its parser, so that both go at once."""
        del self._parser, self.on_body

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools; for a trailer too, which nobody asked for."""
        if not self.has_head:
            join_header(self.headers, name, value)

    def on_headers_complete(self) -> None:
        """Called by httptools, for 1xx too: those are no answer yet."""
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
        """End the reply with a failure; not one that is whole already."""
        if not self.is_over:  # what comes behind a whole reply is not its own
            failure.__cause__ = cause
            self.failure, self.is_over = failure, True
