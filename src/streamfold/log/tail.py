"""Reading a stream: what is stored, page by page, or from any number and then live."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from streamfold.errors import LogUnusable, NumberNotReached
from streamfold.log.log import READ_AT_ONCE, EventLog, Watch
from streamfold.log.record import Record, StreamInfo, StreamKey, fitting

# Theory of operation: why a tail has no gap and no repeat. A tail never trusts a notification. It starts watching before
# it reads for the first time, and then repeats three steps:
#
#     1. read the records after the cursor     they go to the reader, and the cursor moves with them
#     2. nothing there: is it finished?        if so, read once more; nothing again is the end
#     3. wait for a notification, or for `safety_seconds`, and start over
#
# A record that is appended before step 1 is read. One that is appended after it raises a notification, which ends step 3,
# because the watch began earlier. One that is appended with the end of the stream, between steps 1 and 2, is found by the
# second read. A notification that is lost delays a reader by `safety_seconds`; one too many costs a read. Records that
# arrive with the notification itself (Valkey) save the read, and are used only if they follow the cursor directly.
#
# A tail holds one page, and reads the next when the reader has taken all of it. So a reader that stalls costs the process
# at most `max_bytes` (or one record, if that is larger), however far the stream runs ahead of it.

SAFETY_SECONDS = 0.5
MAX_BYTES = 1024 * 1024


class StreamPages(AsyncIterator[list[Record]]):
    """Iterate it for the pages. `pages` makes one.

    A class, as Tail is: an async generator that is left early must be closed by its loop, and trio warns about it.
    """

    def __init__(self, log: EventLog, info: StreamInfo, *, after: int | None, to: int | None) -> None:
        self._log = log
        self._key = info.key
        self._next = info.first_number if after is None else max(info.first_number, after + 1)
        self._end = info.next_number if to is None else to + 1

    async def __anext__(self) -> list[Record]:
        wanted = min(READ_AT_ONCE, self._end - self._next)
        if wanted <= 0:
            raise StopAsyncIteration
        page = await self._log.read(self._key, after=self._next - 1, limit=wanted, max_bytes=MAX_BYTES)
        for place, record in enumerate(page):
            if record.sequence_number != self._next + place:
                raise self._missing(self._next + place)
        if not page:  # `info` promised more
            await self._log.require(self._key)  # it may have been dropped meanwhile
            raise self._missing(self._next)
        self._next += len(page)
        return page

    def _missing(self, number: int) -> LogUnusable:
        return LogUnusable(self._key.response_id, f"record {number} is missing; restore the log from a copy")


def pages(log: EventLog, info: StreamInfo, *, after: int | None = None, to: int | None = None) -> StreamPages:
    """The records of a stream in pages, checked to be complete: `async for page in pages(log, info)`.

    A page has at most 500 records and 1 MiB of data, or one record that is larger.

    Args:
        log: The log.
        info: The head of the stream. Records appended after it was taken are not read.
        after: Start with the record that follows this number; None starts at the first.
        to: The number of the last record; None means the last one that `info` knows.

    Raises:
        NumberNotReached: The stream has no record `to`.
        LogUnusable: While iterating: a record is missing or damaged.
        UnknownStream: While iterating: the stream was dropped.
    """
    if to is not None and to < info.first_number < info.next_number:
        raise NumberNotReached(to, info.first_number)
    if to is not None and to >= info.next_number:
        raise NumberNotReached(to, info.next_number - 1 if info.next_number > info.first_number else None)
    return StreamPages(log, info, after=after, to=to)


class Tail(AsyncIterator[Record]):
    """Iterate it for the records. `tail` makes one.

    Attributes:
        cursor: The number of the last record that was returned; None before the first.
    """

    def __init__(
        self,
        log: EventLog,
        key: StreamKey,
        *,
        watch: Watch,
        after: int | None,
        safety_seconds: float,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._log = log
        self._key = key
        self._watch = watch
        self._safety_seconds = safety_seconds
        self._max_bytes = max_bytes
        self._ready: deque[Record] = deque()
        self._after = after  # the last record in `_ready`, ahead of the cursor by what the reader has not taken
        self.cursor: int | None = after

    async def __anext__(self) -> Record:
        while not self._ready:
            # Only records that follow directly are offered here; otherwise it is None, and the log is read.
            received = self._watch.received(self._after)
            if received is not None:
                self._take(fitting(received, self._max_bytes))
            # The second read finds what was appended between the first one and the end.
            elif not await self._read() and await self._is_finished() and not await self._read():
                raise StopAsyncIteration
            if not self._ready:
                await self._watch.wait(seconds=self._safety_seconds)
        record = self._ready.popleft()
        self.cursor = record.sequence_number
        return record

    async def _read(self) -> bool:
        records = await self._log.read(self._key, after=self._after, limit=READ_AT_ONCE, max_bytes=self._max_bytes)
        self._take(records)
        return bool(records)

    def _take(self, records: Sequence[Record]) -> None:
        if records:
            self._ready.extend(records)
            self._after = records[-1].sequence_number

    async def _is_finished(self) -> bool:
        return (await self._log.require(self._key)).is_finished


@asynccontextmanager
async def tail(
    log: EventLog,
    key: StreamKey,
    *,
    after: int | None = None,
    safety_seconds: float = SAFETY_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> AsyncGenerator[Tail, None]:
    """Follow a stream until it is finished: first the records that are stored, then each one as it is appended.

        async with tail(log, key) as records:
            async for record in records: ...

    Args:
        log: The log.
        key: The stream.
        after: Start with the record that follows this number; None starts at the first.
        safety_seconds: How often to look at the log if no notification arrives.
        max_bytes: How much data to hold for a slow reader. One record is always read.

    Raises:
        UnknownStream: While iterating: the stream does not exist, or was dropped.
    """
    async with log.watch(key) as watch:
        yield Tail(log, key, watch=watch, after=after, safety_seconds=safety_seconds, max_bytes=max_bytes)


async def wait_for_cancel(log: EventLog, key: StreamKey, *, safety_seconds: float = SAFETY_SECONDS) -> bool:
    """Wait until a cancel of the response is requested, or the stream is finished.

    Returns:
        Whether a cancel was requested.

    Raises:
        UnknownStream: The stream does not exist, or was dropped.
    """
    async with log.watch(key, growth=False) as watch:
        while True:
            info = await log.require(key)
            if info.is_cancel_requested or info.is_finished:
                return info.is_cancel_requested
            await watch.wait(seconds=safety_seconds)
