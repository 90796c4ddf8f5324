"""Bytes that someone else fetches, as a Reply: a user's EventSource, or any async iterable.

In      an `httpx_sse.EventSource`, or an async iterable of bytes
Out     a Reply
Units   seconds, bytes
Errors  IdleTimeout, Disconnected, ProtocolViolation
Source  httpx-sse; docs/how-to/your-own-http-client.md

The bytes go to our own reader. An EventSource's events do not: its decoder loses the first event behind a byte order
mark, and believes a charset that a stream cannot have.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import AsyncGeneratorType
from typing import Any, Protocol, cast

from streamfold.client.transport.failure import disconnected
from streamfold.client.transport.guard import Guard
from streamfold.client.transport.httpx import HttpxReply, Response
from streamfold.client.transport.transport import Reply
from streamfold.errors import UsageError

__all__ = ["EventSource", "open_source"]


class EventSource(Protocol):
    """What is used of an `httpx_sse.EventSource`, and of one of httpx2."""

    @property
    def response(self) -> Response: ...


@asynccontextmanager
async def open_source(
    source: EventSource | AsyncIterable[bytes], *, idle_timeout_seconds: float | None = None
) -> AsyncGenerator[Reply, None]:
    """A Reply that is read from a source. Leaving the context lets go of it: what was not read is lost.

    source: an EventSource, whose response gives status and headers; or an async iterable of bytes, which counts as
    a reply of status 200. idle_timeout_seconds: silence after which a read gives up, None for never; an EventSource
    has its client's own.
    Raises: UsageError for what is neither.
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
        self._guard = Guard(idle_seconds=idle_seconds)
        self._bytes: Any = None  # an iterator; it may have `aclose`, as a generator does
        self._chunks: AsyncGenerator[bytes, None] | None = None

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, as they come."""
        if self._chunks is not None:
            raise UsageError("chunks() was called before; a reply is read once")
        self._bytes = aiter(self._source)
        self._chunks = self._read()
        return self._chunks

    async def abort(self) -> None:
        """End a read that is pending in another task."""
        self._guard.end()

    async def aclose(self) -> None:
        """End the reading, and the iterable where it can be ended."""
        self._guard.end()
        if self._chunks is None or cast(AsyncGeneratorType[bytes, None], self._chunks).ag_running:
            return
        await self._chunks.aclose()
        if hasattr(self._bytes, "aclose"):
            await self._bytes.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield await self._guard.wait(self._bytes.__anext__)
        except StopAsyncIteration:
            return
        except Exception as error:
            raise disconnected(error) from error
