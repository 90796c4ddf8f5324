"""Many streams in one process, and one stream that is dropped again and again, each measured in a fresh process.

Every function here is synchronous, can be pickled as a partial, and creates its own event loop.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from typing import Any

from attrs import frozen

from benchmarks.client.clients import address, make_gateway, make_http, make_openai, make_transport
from benchmarks.client.load import raise_file_limit
from streamfold.client import FollowedResponse, Request, record
from streamfold.client.api.request import Calls
from streamfold.client.follow.stream import FollowRequest
from streamfold.log import EventLog, MemoryLog, SqliteLog
from streamfold.schema import OPENAI, OutputTextDelta
from streamfold.session import Backoff, Patience

__all__ = [
    "WAIT_SECONDS",
    "Busy",
    "Drops",
    "drops",
    "follow_busily",
    "has_memory_figures",
    "idle_kib",
    "opening_seconds",
]

OnEvent = Callable[[Any], None]
Follow = Callable[[str, OnEvent], Awaitable[None]]

SETTLE_SECONDS = 1.0
OPEN_SECONDS = 120.0  # how long opening may take before it counts as a failure
DELTA = "response.output_text.delta"
STATM = Path("/proc/self/statm")


@frozen
class Busy:
    """What many streams took over some seconds.

    events, cpu_seconds, wall_seconds: of that while. lateness: from the moment an event was sent until the reader had it
    and its state: the median, the 99th percentile and the worst.
    """

    events: int
    cpu_seconds: float
    wall_seconds: float
    lateness: tuple[float, float, float]

    @property
    def cores(self) -> float:
        """The share of a core that was used."""
        return self.cpu_seconds / self.wall_seconds

    @property
    def seconds_an_event(self) -> float:
        """The CPU seconds that an event took at this load."""
        return self.cpu_seconds / self.events


@asynccontextmanager
async def following(kind: str, url: str, *, max_behind: int | None = None) -> AsyncIterator[Follow]:
    """Follow streams of the server, in turn or many at once, with one client of that kind.

    max_behind: how far a log in a file may be behind; None for no log. Ours makes a state after each event, and the event is handed over with it; openai's makes the event.
    """
    if kind == "openai":
        async with make_openai(url) as client:

            async def follow_openai(name: str, on_event: OnEvent) -> None:
                async with await client.responses.retrieve(name, stream=True) as stream:
                    async for event in stream:
                        on_event(event)

            yield follow_openai
        return
    async with AsyncExitStack() as stack:
        http = make_http(kind)
        if not isinstance(http, str):
            await stack.enter_async_context(http)
        gateway = await stack.enter_async_context(make_gateway(http, url))
        log: EventLog = MemoryLog()
        if max_behind is not None:
            folder = stack.enter_context(TemporaryDirectory())
            log = await stack.enter_async_context(SqliteLog(Path(folder) / "log.db"))
        tenants = count()

        async def follow(name: str, on_event: OnEvent) -> None:
            followed = gateway.follow(name)
            if max_behind is not None:  # all streams have one id here: each has a tenant of its own
                followed = record(followed, log, tenant=f"{next(tenants)}", max_behind=max_behind)
            async with followed as response:
                async for event in response:
                    assert response.state.cursor == event.sequence_number
                    on_event(event)

        yield follow


class Opened:
    """Open streams: `add` returns when each has yielded its first event."""

    def __init__(self, tasks: asyncio.TaskGroup, follow: Follow) -> None:
        self._tasks = tasks
        self._follow = follow
        self._running: list[asyncio.Task[None]] = []

    async def add(self, name: str, count: int, on_event: OnEvent | None = None) -> None:
        begun = asyncio.Semaphore(0)
        for _ in range(count):
            self._running.append(self._tasks.create_task(self._one(name, begun, on_event)))
        async with asyncio.timeout(OPEN_SECONDS):
            for _ in range(count):
                await begun.acquire()

    async def _one(self, name: str, begun: asyncio.Semaphore, on_event: OnEvent | None) -> None:
        has_begun = False

        def note(event: Any) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                begun.release()
            if on_event is not None:
                on_event(event)

        await self._follow(name, note)

    def leave(self) -> None:
        """Leave all streams."""
        for task in self._running:
            task.cancel()


def run_crowd(kind: str, url: str, body: Callable[[Opened], Awaitable[Any]], *, max_behind: int | None = None) -> Any:
    """Run `body` in its own event loop, with a client that has followed one stream before."""

    async def main() -> Any:
        async with following(kind, url, max_behind=max_behind) as follow:
            await follow("resp_each", lambda _: None)  # imports, TLS contexts, adapters: once in a program's life
            async with asyncio.TaskGroup() as tasks:
                opened = Opened(tasks, follow)
                found = await body(opened)
                opened.leave()
        return found

    raise_file_limit()
    return asyncio.run(main())


def follow_busily(
    kind: str, url: str, *, streams: int, seconds: float, name: str = "resp_slow", max_behind: int | None = None
) -> Busy:
    """Follow many slow streams at once, and measure for some seconds after they have settled.

    max_behind: as `record` has it; None to record nothing.
    """
    late: list[float] = []
    events = 0

    def note(event: Any) -> None:
        nonlocal events
        events += 1
        if event.type == DELTA:
            late.append(monotonic() - float(event.delta))

    async def body(opened: Opened) -> Busy:
        nonlocal events
        await opened.add(name, streams, note)
        await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        late.clear()
        events, cpu, wall = 0, process_time(), monotonic()
        await asyncio.sleep(seconds)
        cpu, wall = process_time() - cpu, monotonic() - wall
        found = sorted(late)
        return Busy(events, cpu, wall, (found[len(found) // 2], found[len(found) * 99 // 100], found[-1]))

    busy: Busy = run_crowd(kind, url, body, max_behind=max_behind)
    return busy


def opening_seconds(kind: str, url: str, *, streams: int) -> float:
    """The CPU seconds of opening many idle streams at once, until each has yielded its first event."""

    async def body(opened: Opened) -> float:
        gc.collect()
        start = process_time()
        await opened.add("resp_idle", streams)
        return process_time() - start

    seconds: float = run_crowd(kind, url, body)
    return seconds


def idle_kib(kind: str, url: str, *, few: int, many: int) -> float:
    """The resident memory of one idle stream: that of many minus that of few, divided by the difference."""

    async def body(opened: Opened) -> float:
        await opened.add("resp_idle", few)
        before = await settled_kib()
        await opened.add("resp_idle", many - few)
        return (await settled_kib() - before) / (many - few)

    kib: float = run_crowd(kind, url, body)
    return kib


async def settled_kib() -> float:
    """The resident memory of this process, after temporary memory is gone."""
    await asyncio.sleep(SETTLE_SECONDS / 5)
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def has_memory_figures() -> bool:
    """Whether the system reports a process's resident memory as Linux does."""
    return STATM.exists()


# After a drop

WAIT_SECONDS = 0.05
BACKOFF = Backoff(first_seconds=2 * WAIT_SECONDS)
DRAWN = 0.5


@frozen
class Drops:
    """The seconds from each drop to the first event after it, minus the back-off; and, as often, the seconds that a bare
    transport takes from a request to its first bytes."""

    after: tuple[float, ...]
    bare: tuple[float, ...]


def drops(kind: str, url: str, *, count: int) -> Drops:
    """Follow a stream that is cut after each event, and measure the bare transport as often."""

    async def main() -> Drops:
        transport = make_transport(kind)
        try:
            after = [late async for late in waits(kind, url, count + 1)]
            bare = [await bare_wait(transport, url) for _ in range(count + 1)]
        finally:
            await transport.aclose()
        return Drops(tuple(after[1:]), tuple(bare[1:]))  # the first of each pays for what is done once

    return asyncio.run(main())


async def waits(kind: str, url: str, count: int) -> AsyncIterator[float]:
    transport = make_transport(kind)
    response = FollowedResponse(
        FollowRequest(response_id="resp_dropped"),
        calls=Calls.to(url, api_key="none", dialect=OPENAI),
        transport=transport,
        patience=Patience(backoff=BACKOFF),
        random=lambda: DRAWN,
    )
    async with response:
        async for event in response:
            if isinstance(event, OutputTextDelta):
                yield monotonic() - float(event.delta) - WAIT_SECONDS
                count -= 1
            if not count:
                break
    await transport.aclose()


async def bare_wait(transport: Any, url: str) -> float:
    start = monotonic()
    async with transport.open(Request(method="GET", url=address(url, "resp_dropped"))) as reply:
        await anext(reply.chunks())
        return monotonic() - start
