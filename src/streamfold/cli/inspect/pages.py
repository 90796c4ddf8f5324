"""The events of a stream with the states around them, loaded a page at a time; the latest pages stay in memory."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from streamfold.cli.output.step import Step, describe_change
from streamfold.errors import LogUnusable, NumberNotReached
from streamfold.fold import State, reduce_recorded
from streamfold.history import is_filler, replay
from streamfold.log import EventLog, Record, StreamKey
from streamfold.schema import decode_event

PAGE = 200
MAX_PAGES = 24
NO_EVENT = "no event has this number"
NO_STATE = "its state is unknown"


class Damaged(Struct, frozen=True, gc=False):
    """A record that cannot be read, and why."""

    sequence_number: int
    reason: str


class Entry(Struct, frozen=True, gc=False):
    """One record, and what it changed or what is wrong with it, in `words`.

    A damaged record is None. The states are None after a record that cannot be read; around a gap they are the same.
    """

    number: int
    record: Record | None
    before: State | None
    after: State | None
    words: str


class Pages:
    """The loaded entries. Neighbouring states share their text, so each costs little."""

    def __init__(self, log: EventLog, key: StreamKey, *, first: int) -> None:
        self._log = log
        self._key = key
        self._first = first
        self._pages: dict[int, tuple[Entry, ...]] = {}  # the page used last is last

    def entry(self, number: int) -> Entry | None:
        """Return the entry of a number if it is loaded."""
        page, place = divmod(number - self._first, PAGE)
        entries = self._pages.get(page, ())
        return entries[place] if place < len(entries) else None

    async def load(self, number: int, *, beyond: int) -> None:
        """Load the page of this number. `beyond` is the number after the stream's last."""
        index = (number - self._first) // PAGE
        begun = self._pages.get(index, ())
        first = self._first + index * PAGE
        start = first + len(begun)
        state = begun[-1].after if begun else await self._state_before(first)
        found = await read_what_can_be(self._log, self._key, first=start, count=min(first + PAGE, beyond) - start)
        self._pages.pop(index, None)
        self._pages[index] = (*begun, *_entries(found, state))
        if len(self._pages) > MAX_PAGES:
            del self._pages[next(iter(self._pages))]

    async def _state_before(self, number: int) -> State | None:
        """The state after everything before the number; None if a record there cannot be read."""
        before = self.entry(number - 1)
        if before is not None:
            return before.after
        at = await self._last_event_before(number)
        if at is None:
            return State()
        try:
            return await replay(self._log, self._key, at=at)
        except (LogUnusable, NumberNotReached):
            return None

    async def _last_event_before(self, number: int) -> int | None:
        while number > self._first:
            first = max(self._first, number - PAGE)
            found = await read_what_can_be(self._log, self._key, first=first, count=number - first)
            for record in reversed(found):
                if isinstance(record, Damaged) or not is_filler(record):
                    return record.sequence_number
            number = first
        return None


def _entries(found: Sequence[Record | Damaged], state: State | None) -> Iterator[Entry]:
    for record in found:
        number = record.sequence_number
        if isinstance(record, Damaged):
            state = None
            yield Entry(number, None, None, None, record.reason)
        elif is_filler(record):
            yield Entry(number, record, state, state, NO_EVENT)
        elif state is None:
            yield Entry(number, record, None, None, NO_STATE)
        else:
            event = decode_event(record.data, record.name)
            after = reduce_recorded(state, event, number)
            yield Entry(number, record, state, after, describe_change(Step(event, record.data, state, after)))
            state = after


async def read_what_can_be(log: EventLog, key: StreamKey, *, first: int, count: int) -> list[Record | Damaged]:
    """Return records from a number on, with a Damaged in place of each that cannot be read.

    Raises:
        LogError: The log itself cannot be read.
    """
    if count <= 0:
        return []
    try:
        found = await log.read(key, after=first - 1, limit=count)
    except LogUnusable as error:
        if error.where != key.response_id:
            raise
        if count == 1:
            return [Damaged(first, error.reason)]
        half = count // 2
        return [
            *await read_what_can_be(log, key, first=first, count=half),
            *await read_what_can_be(log, key, first=first + half, count=count - half),
        ]
    there = {record.sequence_number: record for record in found}
    return [
        there.get(number) or Damaged(number, f"record {number} is missing; restore the log from a copy")
        for number in range(first, first + count)
    ]
