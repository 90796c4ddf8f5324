"""The events of a stream one after the other, each with the state before and after it.

In      a log, a key, and the numbers between which to go
Out     Steps, to be iterated once
Units   sequence numbers
Errors  UnknownStream, NumberNotReached, LogUnusable, when iterated
Source  docs/reference/history.md
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from streamfold.fold import State, reduce_as
from streamfold.history.folding import is_filler
from streamfold.history.pages import Pages, existing, require_number
from streamfold.history.replay import replay
from streamfold.log import EventLog, Record, StreamKey, tail
from streamfold.schema import Event, decode_event

__all__ = ["Step", "Steps", "live", "states"]


class Step(Struct, frozen=True, gc=False):
    """One event: its record, with its number, name and data; what it decodes to; the states around it."""

    record: Record
    event: Event
    before: State
    after: State


class Steps:
    """Iterate it for a Step of each event. state: after the last one that was given; before the first, where it begins.

    A class: a generator that is left in the middle must be closed by its loop, and trio warns of it.
    """

    def __init__(self, log: EventLog, key: StreamKey, *, after: int | None, records: AsyncIterator[Record]) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._records = records
        self._has_begun = False
        self.state: State = State()

    def __aiter__(self) -> "Steps":
        return self

    async def __anext__(self) -> Step:
        if not self._has_begun:
            if self._after is not None:
                self.state = await replay(self._log, self._key, at=self._after)
            self._has_begun = True
        record = await anext(self._records)
        while is_filler(record):
            record = await anext(self._records)
        event, before = decode_event(record.data), self.state
        self.state = reduce_as(before, event, record.sequence_number)
        return Step(record, event, before, self.state)


def states(log: EventLog, key: StreamKey, *, after: int | None = None, to: int | None = None) -> Steps:
    """Iterate it for each event that the log holds now, with the states around it.

    after: the number of the event behind which to begin; None for all. to: the last number; None for all there are.
    Raises, when iterated: UnknownStream; NumberNotReached; LogUnusable.
    """
    return Steps(log, key, after=after, records=_Stored(log, key, after=after, to=to))


@asynccontextmanager
async def live(log: EventLog, key: StreamKey, *, after: int | None = None) -> AsyncGenerator[Steps, None]:
    """The same, and on as events come, until the stream is finished: `async with live(log, key) as steps`, and iterate."""
    async with tail(log, key, after=after) as records:
        yield Steps(log, key, after=after, records=records)


class _Stored:
    """The records between two numbers, one by one."""

    def __init__(self, log: EventLog, key: StreamKey, *, after: int | None, to: int | None) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._to = to
        self._pages: Pages | None = None
        self._ready: deque[Record] = deque()

    def __aiter__(self) -> "_Stored":
        return self

    async def __anext__(self) -> Record:
        if self._pages is None:
            info = await existing(self._log, self._key)
            if self._to is not None:
                require_number(info, self._to)
            self._pages = Pages(self._log, info, after=self._after, to=self._to)
        while not self._ready:
            self._ready.extend(await anext(self._pages))
        return self._ready.popleft()
