"""The little that an HTTP client must do for us: open a request, hand over the reply's bytes, let go of it.

In      a Request
Out     a Reply, for as long as its context is open
Units   seconds, bytes
Errors  ConnectFailed, IdleTimeout, Disconnected, ProtocolViolation, and no others
Source  docs/how-to/your-own-http-client.md

The contract, each rule with a check of the same number in `streamfold.client.conformance`:

1. whatever was received before a failure is handed over before the failure is raised, to a slow reader too
2. a failure is one of the four errors above, and keeps the client's own as its cause
3. leaving the context closes the socket at once: after a `break`, an exception, a cancellation
4. nothing is held back: an event can be read before the next one is sent
5. nothing is sent twice, and no redirect is followed
6. a reply may last for ever: only silence ends it
7. what the caller passed in is not changed
8. `abort`, from another task, ends a read that is pending
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import frozen

__all__ = ["Reply", "Request", "Transport"]


@frozen(kw_only=True)
class Request:
    """What is sent, and how long to be patient.

    url: absolute. headers: as they are sent, `host` and the body's length left out.
    connect_timeout_seconds: for the connection, TLS included.
    idle_timeout_seconds: silence after which a read gives up; any byte counts as life, and so does the reader's own
    slowness: only a read that waits is counted.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    connect_timeout_seconds: float = 5.0
    idle_timeout_seconds: float = 60.0


class Reply(Protocol):
    """An answer whose head has come and whose body is coming."""

    @property
    def status(self) -> int:
        """The HTTP status, as it came: 4xx and 5xx are replies like any other."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; values of one name joined by commas."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, content-decoded, cut anywhere. To be called once.

        Raises: IdleTimeout, Disconnected, ProtocolViolation, after everything that was received.
        """
        ...

    async def abort(self) -> None:
        """End a read that is pending in another task: it raises Disconnected at once. May be called again."""
        ...


class Transport(Protocol):
    """A client that can be followed with. It may be used for many requests at once."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Reply]:
        """Send a request; inside the context its reply. Leaving it closes what the request held.

        Raises: on entering, ConnectFailed, IdleTimeout, Disconnected or ProtocolViolation.
        """
        ...

    async def aclose(self) -> None:
        """Close what the transport made for itself. A client that was passed in stays its owner's."""
        ...
