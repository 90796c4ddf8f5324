"""The events of a stream with the states around them, a page at a time, those asked for last kept in memory.

In      a log, a key, the number of a record
Out     an Entry for each record of the page that the number lies in
Units   sequence numbers
Errors  LogError where the log itself cannot be read; a record that cannot is an Entry that says so
Source  docs/reference/cli.md
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from streamfold.cli.output.step import Step, describe_change
from streamfold.errors import LogUnusable, NumberNotReached
from streamfold.fold import State, reduce_as
from streamfold.history import is_filler, replay
from streamfold.log import EventLog, Record, StreamKey
from streamfold.schema import decode_event

__all__ = ["NO_EVENT", "PAGE", "Damaged", "Entry", "Pages", "read_what_can_be"]

PAGE = 200
MOST_PAGES = 24
NO_EVENT = "no event has this number"
NO_STATE = "its state cannot be known"


class Damaged(Struct, frozen=True, gc=False):
    """A record that cannot be read, and why."""

    sequence_number: int
    reason: str


class Entry(Struct, frozen=True, gc=False):
    """One record. words: what it changed, or what is wrong with it.

    record: None where it is damaged. before, after: the states around it, the same where it is no event; None where a
    record before it cannot be read.
    """

    number: int
    record: Record | None
    before: State | None
    after: State | None
    words: str


class Pages:
    """The entries that are at hand. A state costs little beside its neighbours, for they share their text."""

    def __init__(self, log: EventLog, key: StreamKey, *, first: int) -> None:
        self._log = log
        self._key = key
        self._first = first
        self._pages: dict[int, tuple[Entry, ...]] = {}  # the page that was asked for last stands last

    def entry(self, number: int) -> Entry | None:
        """The entry of a number, if it is at hand."""
        page, place = divmod(number - self._first, PAGE)
        entries = self._pages.get(page, ())
        return entries[place] if place < len(entries) else None

    async def load(self, number: int, *, beyond: int) -> None:
        """Fetch the page that the number lies in. beyond: the number behind the stream's last.

        Raises: LogError.
        """
        index = (number - self._first) // PAGE
        begun = self._pages.get(index, ())
        first = self._first + index * PAGE
        start = first + len(begun)
        state = begun[-1].after if begun else await self._state_before(first)
        found = await read_what_can_be(self._log, self._key, first=start, count=min(first + PAGE, beyond) - start)
        self._pages.pop(index, None)
        self._pages[index] = (*begun, *_entries(found, state))
        if len(self._pages) > MOST_PAGES:
            del self._pages[next(iter(self._pages))]

    async def _state_before(self, number: int) -> State | None:
        """The state after everything before the number; None where a record there cannot be read."""
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
            event = decode_event(record.data)
            after = reduce_as(state, event, number)
            yield Entry(number, record, state, after, describe_change(Step(event, record.data, state, after)))
            state = after


async def read_what_can_be(log: EventLog, key: StreamKey, *, first: int, count: int) -> list[Record | Damaged]:
    """So many records from a number on, with one that cannot be read told in its place.

    Raises: LogError where it is not a record that is damaged, but the log.
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
    return [there.get(number) or _missing(number) for number in range(first, first + count)]


def _missing(number: int) -> Damaged:
    return Damaged(number, f"record {number} is missing; restore the log from a copy")
