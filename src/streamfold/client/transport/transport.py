"""What the client needs from HTTP: send a request, deliver the bytes of the reply, close it.

The contract, each rule with checks of the same number in `streamfold.client.conformance`:

1. Everything that was received before a failure is delivered before the failure is raised, even to a slow reader.
2. A failure is ConnectFailed, IdleTimeout, Disconnected or ProtocolViolation, with the client's own error as its cause.
   A head of more than 100 KiB is a failure too.
3. Leaving the context closes the socket at once: after a `break`, an exception or a cancellation.
4. Nothing is buffered: an event can be read before the next one is sent.
5. Nothing is sent twice, and no redirect is followed, because a redirect would carry the key to another host.
6. A reply may last for hours. Only silence ends it.
7. What the caller passed in is not changed.
8. `abort`, from another task, ends a pending read.
9. A body is decoded as its content-encoding says, in pieces that are bounded; a coding that cannot be decoded so is a
   ProtocolViolation, and any other name means that the body is as it is. `body.ReplyBody` does that.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import field, frozen

from streamfold.errors import without_credentials

UPLOAD_BYTES_PER_SECOND = 64 * 1024


def _shown(url: str) -> str:
    return repr(without_credentials(url))


@frozen(kw_only=True)
class Request:
    """What is sent, and how long to wait. Its representation has no header, no body and no query: they may hold a key.

    Attributes:
        method: The HTTP method.
        url: Absolute, with its query.
        headers: As they are sent, without `host` and the length of the body.
        body: The body; None for none.
        connect_timeout_seconds: How long connecting may take, TLS included.
        idle_timeout_seconds: The silence after which a read fails. Any byte ends it. Only the time of a waiting read
            counts, so a slow reader causes no timeout. The gateway bounds the whole opening by it, and the body of an
            answer that is not a stream, because a server that drips is never silent.
    """

    method: str
    url: str = field(repr=_shown)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    connect_timeout_seconds: float = 5.0
    idle_timeout_seconds: float = 60.0

    @property
    def upload_seconds(self) -> float:
        """How long the body may take in addition: on a slow line it takes longer than any silence that is allowed."""
        return len(self.body or b"") / UPLOAD_BYTES_PER_SECOND


class Reply(Protocol):
    """An answer whose head has arrived, and whose body can be read."""

    @property
    def status(self) -> int:
        """The HTTP status. 4xx and 5xx are replies like any other."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers: names in lower case, values of one name joined by commas."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, content-decoded, cut anywhere. Call it once.

        Raises:
            IdleTimeout, Disconnected, ProtocolViolation: After everything that was received.
        """
        ...

    async def abort(self) -> None:
        """End a read that is pending in another task: it raises Disconnected at once. It can be called again."""
        ...


class Transport(Protocol):
    """Sends requests, any number of them at once.

    One that keeps no cancel scope and no task group open between the entering of `open` and its leaving may say so with
    `holds_no_scope = True`, which saves 1.3 KiB for each stream.
    """

    def open(self, request: Request) -> AbstractAsyncContextManager[Reply]:
        """Send a request. The context yields the reply; leaving it closes the connection.

        Raises:
            ConnectFailed, IdleTimeout, Disconnected, ProtocolViolation: On entering.
        """
        ...

    async def aclose(self) -> None:
        """Close what the transport opened itself. A client that was passed in stays open."""
        ...
