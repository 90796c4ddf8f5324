"""What a client may send, hold and leave unread: the limits of a connection, and the requests that are refused unread.

Two servers that read one request differently are what request smuggling is made of. A relay writes each request anew,
so a request whose end is not said in exactly one way is refused, whatever the parser makes of it.
"""

import re
from collections.abc import Iterable, Sequence

from attrs import frozen
from msgspec.json import encode

__all__ = ["ConnectionLimits", "smuggling", "written_refusal"]

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(rb"[!-~]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
# A `Connection` header may take away what is between two hops, but not what the request means or who sends it.
_END_TO_END = frozenset(
    b"authorization content-encoding content-length content-type cookie host idempotency-key x-on-behalf-of".split()
)


@frozen(kw_only=True)
class ConnectionLimits:
    """What one client may do, and how many there may be.

    Attributes:
        max_connections: How many connections may be open; one more is answered with 503 and closed.
        request_seconds: How long a client may take to send a request.
        unread_seconds: How long a client may leave what was sent to it unread; then its connection is cut.
        min_bytes_per_second: A body that comes at least this fast may take longer than `request_seconds`, and a client
            that reads more slowly for `unread_seconds` is cut. None: the times alone count.
        max_discarded_bytes: How much of a body is read after the answer, before the connection is closed.
        max_head_bytes: The longest head, and whatever else is not the body.
        max_headers: How many headers a request may have.
        max_pipelined: How many requests may wait for the answer to the first.
        refuses_smuggling: Whether a request is refused whose end, or whose headers, two servers could read differently.
    """

    max_connections: int = 1000
    request_seconds: float = 30.0
    unread_seconds: float = 120.0
    min_bytes_per_second: float | None = None
    max_discarded_bytes: int = 16 * 2**20
    max_head_bytes: int = 64 * 2**10
    max_headers: int = 200
    max_pipelined: int = 16
    refuses_smuggling: bool = True


def smuggling(target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Why a request must be refused because two servers could read it differently; empty if it need not be.

    Args:
        target: Of the request line, as it was sent.
        version: Of HTTP, such as `1.1`.
        headers: Names in lower case.
    """
    if not _TARGET.fullmatch(target):
        return "The target of the request has characters that must be percent-encoded."
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if _CONTROL.search(value):
            return "A header of the request has a control character."
        values.setdefault(name, []).append(value.strip(b" \t"))
    return _framing(values, version) or _hop(values, version)


def _framing(values: dict[bytes, list[bytes]], version: str) -> str:
    lengths: Sequence[bytes] = values.get(b"content-length", ())
    codings: Sequence[bytes] = values.get(b"transfer-encoding", ())
    if lengths and codings:
        return "The request has both Content-Length and Transfer-Encoding."
    if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        return "The request must have at most one Content-Length, of digits alone."
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or version != "1.1"):
        return "The only Transfer-Encoding that is read is `chunked`, named once, in HTTP/1.1."
    return ""


def _hop(values: dict[bytes, list[bytes]], version: str) -> str:
    hosts: Sequence[bytes] = values.get(b"host", ())
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        return "The request must have exactly one Host."
    named = {each.strip().lower() for value in values.get(b"connection", ()) for each in value.split(b",")}
    if taken := sorted(named & _END_TO_END):
        return f"The Connection header must not name {taken[0].decode()}."
    return ""


def written_refusal(status: int, message: str) -> bytes:
    """A whole answer that refuses a request below ASGI; the connection is closed after it.

    Args:
        status: One of 400, 408, 431, 502 and 503.
        message: One sentence.
    """
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = encode({"error": {"message": message, "type": kind, "param": None, "code": None}})
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
