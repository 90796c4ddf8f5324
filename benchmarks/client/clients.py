"""Clients that follow one stream over a socket: ours on each transport, openai's, and bare transports.

Each function can be pickled as a partial and imports what it needs, so that a process runs one client only. The event
loop and the client are created once per process, at the first call. Each stream has its own connection, since the
server closes it. A client that reads a different number of events than were sent raises DifferentWork.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from benchmarks.stream.reading import DifferentWork
from streamfold.client import FollowedResponse, Gateway, Reply, Request, Transport
from streamfold.client.transport.resolve import resolve_transport
from streamfold.schema import OPENAI

__all__ = ["BARE", "FOLLOWERS", "close", "count_chunks", "make_http", "make_openai", "make_transport", "read"]

BOUNDARY = b"\n\n"  # that ends an event: counting them is the least that a reader could do
Counted = Callable[[str, str], Coroutine[Any, Any, int]]  # a URL and a stream's name in, how many events out


def read(count: Counted, url: str, name: str, *, events: int) -> None:
    """Read one stream to its end.

    Raises: DifferentWork unless it has as many events.
    """
    found = runner().run(count(url, name))
    # What only counts boundaries misses one that is cut in two by the end of a read, every few hundred events.
    if not 0.99 * events <= found <= events:
        raise DifferentWork(f"{count!r} read {found:,} events of {events:,} in {name}")


@cache
def runner() -> asyncio.Runner:
    """One event loop for everything that this process reads."""
    return asyncio.Runner()


def close() -> None:
    """Close the loop and the clients, in a process that continues with other work."""
    for made in CLOSING:
        runner().run(made())
    CLOSING.clear()
    runner().close()
    for kept in (runner, gateway_of, openai_of, transport_of, http_of):
        kept.cache_clear()


def make_http(kind: str) -> Any:
    """What a Gateway takes as `http`: "direct", or a client of httpx or httpx2 without a connection limit."""
    if kind == "direct":
        return kind
    http: Any = __import__(kind)
    limits = http.Limits(max_connections=None, max_keepalive_connections=20)
    return http.AsyncClient(limits=limits, timeout=http.Timeout(60))


def make_transport(kind: str) -> Transport:
    """Our client on that kind of transport."""
    return resolve_transport(make_http(kind))[0]


def make_gateway(http: Any, url: str) -> Gateway:
    return Gateway(url, api_key="none", dialect=OPENAI, http=http)


def make_openai(url: str) -> Any:
    """openai's client with its defaults, but no retries."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


CLOSING: list[Callable[[], Coroutine[Any, Any, None]]] = []


@cache
def http_of(kind: str) -> Any:
    http = make_http(kind)
    if not isinstance(http, str):
        CLOSING.append(http.aclose)
    return http


@cache
def gateway_of(kind: str, url: str) -> Gateway:
    return make_gateway(http_of(kind), url)


@cache
def openai_of(url: str) -> Any:
    client = make_openai(url)
    CLOSING.append(client.close)
    return client


transport_of = cache(make_transport)


async def count_states(kind: str, url: str, name: str) -> int:
    """Our client: a State after each event."""
    found = 0
    response: FollowedResponse
    async with gateway_of(kind, url).follow(name) as response:
        async for _ in response.states():
            found += 1
    return found


async def count_openai(url: str, name: str) -> int:
    """openai's client: typed events, no state."""
    found = 0
    async with await openai_of(url).responses.retrieve(name, stream=True) as stream:
        async for _ in stream:
            found += 1
    return found


async def count_bare_http(kind: str, url: str, name: str) -> int:
    """httpx or httpx2 by itself: its byte stream, in which the ends of events are counted."""
    found = 0
    async with http_of(kind).stream("GET", address(url, name)) as response:
        async for chunk in response.aiter_bytes():
            found += chunk.count(BOUNDARY)
    return found


async def count_bare_direct(url: str, name: str) -> int:
    """Our own transport by itself."""
    found = 0
    async with transport_of("direct").open(Request(method="GET", url=address(url, name))) as reply:
        async for chunk in reply.chunks():
            found += chunk.count(BOUNDARY)
    return found


def address(url: str, name: str) -> str:
    """The URL of a stream."""
    return f"{url}/v1/responses/{name}?stream=true"


FOLLOWERS: dict[str, Counted] = {
    "direct": partial(count_states, "direct"),
    "httpx2": partial(count_states, "httpx2"),
    "httpx": partial(count_states, "httpx"),
    "openai": count_openai,
}
BARE: dict[str, Counted] = {
    "direct": count_bare_direct,
    "httpx2": partial(count_bare_http, "httpx2"),
    "httpx": partial(count_bare_http, "httpx"),
}


# What a chunk held


class Counting:
    """A Transport that counts its chunks. It slows the reader a little, so it is not timed."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.chunks = 0

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Reply]:
        async with self._inner.open(request) as reply:
            yield CountingReply(reply, self)

    async def aclose(self) -> None:
        await self._inner.aclose()


class CountingReply:
    """Its reply."""

    def __init__(self, inner: Reply, counted: Counting) -> None:
        self._inner = inner
        self._counted = counted
        self.status = inner.status
        self.headers = inner.headers
        self.abort = inner.abort

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            self._counted.chunks += 1
            yield chunk


def count_chunks(kind: str, url: str, name: str) -> int:
    """How many chunks our client received. A chunk of `direct` is one read of the socket."""
    counting = Counting(make_transport(kind))

    async def follow() -> None:
        async with make_gateway(counting, url) as gateway, gateway.follow(name) as response:
            await response.outcome()

    asyncio.run(follow())
    return counting.chunks
