"""Streams that a server of the benchmark `relay` produces in its own process, and an upstream that serves them to a relay.

A stream is asked for by the `model` of its POST:

live-N      its first event at once; after a `go` on stdin, one event per two turns of the event loop
stored-N    all but its last event at once, and after a `go` its last
idle        its first event, and no other

N is the number of text deltas. Two turns let every reader write an event before the next one is there, as in a live stream,
and without idle time, which costs CPU time that is no reader's.
"""

import asyncio
import os
import re
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from time import process_time
from typing import ClassVar

from msgspec.json import decode

from benchmarks.stream.workload import Shape, make_stream
from streamfold.client import Reply, Request

__all__ = ["Source", "SourceTransport", "Sources", "event_count", "obey"]

TURNS = 2
STATM = Path("/proc/self/statm")
RESPONSE_ID = re.compile(rb'"id":"(resp_[0-9a-f]+)"')


@cache
def frames_of(deltas: int) -> Sequence[bytes]:
    """The frames of a message with this number of deltas."""
    return make_stream(Shape(deltas=deltas, reasoning=False, tools=False, annotations=False))


def event_count(deltas: int) -> int:
    """How many events such a stream has."""
    return len(frames_of(deltas))


class Source:
    """One stream. frames: those that were produced, each with its number as the id. changed: set when there are more."""

    def __init__(self, id: str, model: str) -> None:
        kind, _, deltas = model.partition("-")
        self.id = id
        self.frames: list[bytes] = []  # with an id line: as a reader gets them
        self.is_finished = False
        self.changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.go = asyncio.Event()
        self._is_stored = kind == "stored"
        self._is_idle = kind == "idle"
        self._plain = [self._renamed(each) for each in frames_of(int(deltas or 1))]

    def _renamed(self, frame: bytes) -> bytes:
        return RESPONSE_ID.sub(b'"id":"%b"' % self.id.encode(), frame)

    async def plain(self) -> AsyncIterator[bytes]:
        """The frames as an upstream sends them, when it does."""
        at_once = len(self._plain) - 1 if self._is_stored else 1
        if at_once > 1:
            yield b"".join(self._plain[:at_once])
        else:
            yield self._plain[0]
        await self.go.wait()
        if self._is_idle:
            return
        for frame in self._plain[at_once:]:
            yield frame
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def start(self) -> None:
        """Begin to produce."""
        self._task = asyncio.ensure_future(self.produce())

    async def produce(self) -> None:
        """Put the frames into `frames`: the producer of the references."""
        number = 0
        async for chunk in self.plain():
            for frame in chunk.removesuffix(b"\n\n").split(b"\n\n"):
                name, _, data = frame.partition(b"\n")
                self.frames.append(b"%b\nid: %d\n%b\n\n" % (name, number, data))
                number += 1
            self.wake()
        self.is_finished = True
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Sources:
    """The streams of one process."""

    def __init__(self) -> None:
        self.known: dict[str, Source] = {}
        self._numbers = count(1)

    def create(self, body: bytes) -> Source:
        """The stream that the body of a POST asks for."""
        source = Source(f"resp_{next(self._numbers):032x}", decode(body)["model"])
        self.known[source.id] = source
        return source

    def go(self) -> None:
        """Let every stream go, and forget them."""
        for source in self.known.values():
            source.go.set()
        self.known.clear()


class SourceReply:
    """A Reply that is a stream of this process."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def status(self) -> int:
        return 200

    @property
    def headers(self) -> Mapping[str, str]:
        return {"content-type": "text/event-stream"}

    def chunks(self) -> AsyncIterator[bytes]:
        return self._source.plain()

    async def abort(self) -> None:
        self._source.go.set()


class SourceTransport:
    """A Transport whose every POST creates a stream of this process: the upstream costs the relay next to nothing."""

    holds_no_scope: ClassVar[bool] = True

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        yield SourceReply(self._sources.create(request.body or b""))

    async def aclose(self) -> None:
        pass


def obey(loop: asyncio.AbstractEventLoop, sources: Sources, stop: Callable[[], None]) -> None:
    """Follow the commands on stdin, in a thread, and answer each in a line.

    `figures` answers with CPU seconds and KiB, `go` once it has let the streams go.
    """

    def go() -> None:
        sources.go()
        print("gone", flush=True)

    def follow() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                loop.call_soon_threadsafe(go)
            else:
                print(process_time(), resident_kib(), flush=True)
        stop()

    threading.Thread(target=follow, daemon=True).start()


def resident_kib() -> float:
    """The resident memory of this process; 0 where the system does not report it as Linux does."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 if STATM.exists() else 0.0
