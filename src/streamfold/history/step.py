"""The events of a stream one by one, each with the state before and after it: as stored, or live."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from streamfold.fold import State, reduce_recorded
from streamfold.history.replay import is_filler, replay
from streamfold.log import EventLog, Record, StreamKey, StreamPages, pages, tail
from streamfold.schema import Event, decode_event


class Step(Struct, frozen=True, gc=False):
    """One event of a stream.

    Attributes:
        record: The record, with its number, name and data.
        event: The decoded event.
        before: The state before it.
        after: The state after it. Its cursor is the server's own number.
    """

    record: Record
    event: Event
    before: State
    after: State


class Steps(AsyncIterator[Step]):
    """Iterate it for a Step per event. `states` and `live` make one.

    Attributes:
        state: The state after the last step that was returned.
    """

    def __init__(self, log: EventLog, key: StreamKey, *, after: int | None, records: AsyncIterator[Record]) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._records = records
        self._has_begun = False
        self.state: State = State()

    async def __anext__(self) -> Step:
        if not self._has_begun:
            if self._after is not None:
                self.state = await replay(self._log, self._key, at=self._after)
            self._has_begun = True
        record = await anext(self._records)
        while is_filler(record):
            record = await anext(self._records)
        event, before = decode_event(record.data, record.name), self.state
        self.state = reduce_recorded(before, event, record.sequence_number)
        return Step(record, event, before, self.state)


def states(log: EventLog, key: StreamKey, *, after: int | None = None, to: int | None = None) -> Steps:
    """The events that the log holds now, each with the states around it: `async for step in states(log, key)`.

    Args:
        log: The log.
        key: The stream.
        after: Start with the event that follows this number; None starts at the first.
        to: The number of the last record; None means the last one that is stored now.

    Raises:
        UnknownStream: While iterating: the log has no such stream.
        NumberNotReached: While iterating: the stream has no event `after`, or no record `to`.
        LogUnusable: While iterating: a record is missing or damaged.
    """
    return Steps(log, key, after=after, records=_Stored(log, key, after=after, to=to))


@asynccontextmanager
async def live(log: EventLog, key: StreamKey, *, after: int | None = None) -> AsyncGenerator[Steps, None]:
    """The events of a stream, then each one as it is appended, until the stream is finished.

    Any number of tasks and processes may read one stream this way while another one records it.

        async with live(log, key) as steps:
            async for step in steps: ...

    Args:
        log: The log.
        key: The stream.
        after: Start with the event that follows this number; None starts at the first.

    Raises:
        UnknownStream: While iterating: the log has no such stream, or it was dropped.
        NumberNotReached: While iterating: the stream has no event `after`.
        LogUnusable: While iterating: a record is missing or damaged.
    """
    async with tail(log, key, after=after) as records:
        yield Steps(log, key, after=after, records=records)


class _Stored(AsyncIterator[Record]):
    def __init__(self, log: EventLog, key: StreamKey, *, after: int | None, to: int | None) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._to = to
        self._pages: StreamPages | None = None
        self._ready: deque[Record] = deque()

    async def __anext__(self) -> Record:
        if self._pages is None:
            info = await self._log.require(self._key)
            self._pages = pages(self._log, info, after=self._after, to=self._to)
        while not self._ready:
            self._ready.extend(await anext(self._pages))
        return self._ready.popleft()
