"""Turns what a caller passes into what we use: `http=` into a Transport, bytes from elsewhere into a Reply.

An EventSource of httpx-sse is read below its own decoder, which loses the first event after a byte order mark and
believes a charset that an event stream cannot have.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

from streamfold.client.transport.body import ReplyBody
from streamfold.client.transport.failure import disconnected
from streamfold.client.transport.httpx import HttpxReply, HttpxResponse, HttpxTransport
from streamfold.client.transport.timing import IdleGuard
from streamfold.client.transport.transport import Reply, Transport
from streamfold.errors import InvalidArgument, UsageError

# None or "httpx"; "direct"; an AsyncClient of httpx or httpx2, known by its methods; a Transport.
Http: TypeAlias = Any


# Known by what they can do, and not by their classes: so neither library has to be installed, and a client that wraps one of
# them works too. A Transport is looked for first, because an object may have both `open` and `stream`.
def resolve_transport(http: Http) -> tuple[Transport, bool]:
    """The Transport that sends the requests, and whether we close it.

    Raises:
        InvalidArgument: `http` is not a transport.
        UsageError: A library that it needs is not installed.
    """
    if http is None or http == "httpx":
        return HttpxTransport(), True
    if http == "direct":
        if find_spec("httptools") is None:
            raise UsageError('http="direct" needs httptools: pip install "streamfold[direct]"')
        from streamfold.client.transport.direct import DirectTransport

        return DirectTransport(), True
    if callable(getattr(http, "open", None)) and callable(getattr(http, "aclose", None)):
        transport: Transport = http
        return transport, False
    if callable(getattr(http, "stream", None)) and callable(getattr(http, "aclose", None)):
        return HttpxTransport(http), True  # closing it leaves the client that was passed in open
    raise InvalidArgument(
        "http", f'must be "httpx", "direct", an AsyncClient of httpx or httpx2, or a Transport, got {http!r}'
    )


class HasResponse(Protocol):
    """What is used of an `httpx_sse.EventSource`, and of one of httpx2."""

    @property
    def response(self) -> HttpxResponse: ...


@asynccontextmanager
async def open_source(
    source: HasResponse | AsyncIterable[bytes], *, idle_timeout_seconds: float | None = None
) -> AsyncGenerator[Reply, None]:
    """A Reply that is read from a source. Leaving the context closes the source; what was not read is lost.

    Args:
        source: An EventSource, whose response gives status and headers; or an async iterable of bytes, which counts as
            a reply of status 200.
        idle_timeout_seconds: Silence after which a read gives up, None for never. An EventSource has its client's own.

    Raises:
        UsageError: The source is neither.
    """
    reply: HttpxReply | IterableReply
    if (response := getattr(source, "response", None)) is not None:  # one of httpx2 is an iterable too, of events
        reply = HttpxReply(response)
    elif isinstance(source, AsyncIterable):
        reply = IterableReply(source, idle_seconds=idle_timeout_seconds)
    else:
        raise UsageError(f"a source is an EventSource or an async iterable of bytes, not {type(source).__name__}")
    try:
        yield reply
    finally:
        await reply.aclose()


class IterableReply:
    """A Reply whose body is an iterable's."""

    def __init__(self, source: AsyncIterable[bytes], *, idle_seconds: float | None) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
        self._source = source
        self._guard = IdleGuard(idle_seconds=idle_seconds)
        self._body = ReplyBody(self._read)
        self._bytes: Any = None  # an iterator; it may have `aclose`, as a generator does

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, as they come."""
        return self._body.chunks()

    async def abort(self) -> None:
        self._guard.end()

    async def aclose(self) -> None:
        """End the reading, and the iterable where it can be ended."""
        self._guard.end()
        if self._body.is_being_read:
            return
        await self._body.aclose()
        if hasattr(self._bytes, "aclose"):
            await self._bytes.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        self._bytes = aiter(self._source)
        try:
            while True:
                yield await self._guard.wait(self._bytes.__anext__)
        except StopAsyncIteration:
            return
        except Exception as error:
            raise disconnected(error) from error
