"""From catching up to live: every record of a stream from a number on, each once, until the stream is finished.

In      an EventLog, a key, and the number behind which to begin
Out     records, with no hole and no repeat, as soon as they are there
Units   sequence numbers, seconds
Errors  UnknownStream where there is no such stream, or it was dropped meanwhile
Source  docs/reference/log.md

A wake only says when to look: what is there, and whether it is all, the log itself is asked each time. So a wake that
is lost makes a reader late, by `safety_seconds` at most, and one too many does nothing.
"""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from streamfold.errors import UnknownStream
from streamfold.log.log import EventLog, StreamInfo, Watch
from streamfold.log.record import Record, StreamKey

__all__ = ["Tail", "tail", "wait_for_cancel"]

SAFETY_SECONDS = 0.5
READ_AT_ONCE = 500

Tailed: TypeAlias = AsyncGenerator["Tail", None]


class Tail:
    """Iterate it for the records. cursor: the number of the last one that was given; None before the first.

    A class: a generator that is left in the middle must be closed by its loop, and trio warns of it.
    """

    def __init__(
        self, log: EventLog, key: StreamKey, *, watch: Watch, after: int | None, safety_seconds: float
    ) -> None:
        self._log = log
        self._key = key
        self._watch = watch
        self._safety_seconds = safety_seconds
        self._ready: deque[Record] = deque()
        self._after = after
        self.cursor: int | None = after

    def __aiter__(self) -> "Tail":
        return self

    async def __anext__(self) -> Record:
        while not self._ready:
            told = self._watch.told(self._after)
            if told is not None:
                self._take(told)
            # Read once more at the end: for what came between the first read and it.
            elif not await self._read() and await self._is_finished() and not await self._read():
                raise StopAsyncIteration
            if not self._ready:
                await self._watch.wait(seconds=self._safety_seconds)
        record = self._ready.popleft()
        self.cursor = record.sequence_number
        return record

    async def _read(self) -> bool:
        records = await self._log.read(self._key, after=self._after, limit=READ_AT_ONCE)
        self._take(records)
        return bool(records)

    def _take(self, records: Sequence[Record]) -> None:
        if records:
            self._ready.extend(records)
            self._after = records[-1].sequence_number

    async def _is_finished(self) -> bool:
        return (await _existing(self._log, self._key)).is_finished


@asynccontextmanager
async def tail(
    log: EventLog, key: StreamKey, *, after: int | None = None, safety_seconds: float = SAFETY_SECONDS
) -> Tailed:
    """Follow a stream of the log: `async with tail(log, key) as records`, and iterate that.

    after: the number behind which to begin; None for all. safety_seconds: how often to look though nothing was told.
    Raises: UnknownStream, when iterated.
    """
    async with log.watch(key) as watch:
        yield Tail(log, key, watch=watch, after=after, safety_seconds=safety_seconds)


async def wait_for_cancel(log: EventLog, key: StreamKey, *, safety_seconds: float = SAFETY_SECONDS) -> bool:
    """Until somebody asks to cancel the response, or its stream is finished. Returns: whether it was asked.

    Raises: UnknownStream.
    """
    async with log.watch(key, growth=False) as watch:
        while True:
            info = await _existing(log, key)
            if info.is_cancel_requested or info.is_finished:
                return info.is_cancel_requested
            await watch.wait(seconds=safety_seconds)


async def _existing(log: EventLog, key: StreamKey) -> StreamInfo:
    info = await log.info(key)
    if info is None:
        raise UnknownStream(key.tenant, key.response_id)
    return info
