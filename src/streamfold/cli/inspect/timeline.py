"""The rows of a stream: its events by number, what was noted between them, and its end."""

from bisect import bisect_left
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from attrs import frozen
from msgspec import Struct

from streamfold.log import Note


class MarkKind(StrEnum):
    """Why a row has a mark. If several marks share a column of the scrubber, the first of these is shown."""

    DAMAGE = "damage"
    RESUME = "resume"
    REPLAY = "replay"
    RETRIEVE = "retrieve"
    CANCEL = "cancel"
    GAP = "gap"
    OUTCOME = "outcome"
    END = "end"
    NOTE = "note"


class Mark(Struct, frozen=True, gc=False):
    """One mark, and its row."""

    row: int
    kind: MarkKind


class EventRow(Struct, frozen=True, gc=False):
    """A row with the record of this number."""

    number: int


class NoteRow(Struct, frozen=True):
    """A row with a note. `place` is its index among the stream's notes."""

    note: Note
    place: int


class EndRow(Struct, frozen=True, gc=False):
    """The row after the last record of a finished stream."""

    status: str


Place: TypeAlias = EventRow | NoteRow | EndRow


@frozen(kw_only=True, slots=False)
class Timeline:
    """All rows.

    Attributes:
        first: The first record's number.
        beyond: The number after the last record's.
        notes: Ordered by `after`.
        gaps: The first number of each run of numbers that the server never used.
        damaged: The records that cannot be read.
        checkpoints: Their cursors.
        status: How the stream ended; None while it is open.
    """

    first: int
    beyond: int
    notes: tuple[Note, ...] = ()
    gaps: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    status: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.status is not None

    @property
    def rows(self) -> int:
        return self.beyond - self.first + len(self.notes) + self.is_finished

    @property
    def last_number(self) -> int | None:
        """The number of the last record; None without records."""
        return self.beyond - 1 if self.beyond > self.first else None

    @cached_property
    def _afters(self) -> list[int]:
        """The number each note follows; first - 1 for a note before the first record."""
        earliest, last = self.first - 1, self.beyond - 1
        return [earliest if note.after is None else min(max(note.after, earliest), last) for note in self.notes]

    @cached_property
    def _note_rows(self) -> list[int]:
        return [after + 1 - self.first + place for place, after in enumerate(self._afters)]

    def place(self, row: int) -> Place:
        """Return what is in a row, which must be one of `rows`."""
        before = bisect_left(self._note_rows, row)
        if before < len(self._note_rows) and self._note_rows[before] == row:
            return NoteRow(self.notes[before], before)
        number = self.first + row - before
        return EventRow(number) if number < self.beyond else EndRow(self.status or "")

    def row_of(self, number: int) -> int:
        """Return the row of a record's number."""
        return number - self.first + bisect_left(self._afters, number)

    def number_at(self, row: int) -> int | None:
        """Return the number of the last record up to this row; None before the first."""
        match self.place(row):
            case EventRow(number):
                return number
            case NoteRow(_, place):
                return self._afters[place] if self._afters[place] >= self.first else None
            case EndRow():
                return self.last_number

    def row_like(self, place: Place) -> int:
        """Return the row of a place from an earlier timeline of the same stream."""
        match place:
            case EventRow(number):
                return self.row_of(number)
            case NoteRow(note, _):
                return self._note_rows[self.notes.index(note)] if note in self.notes else 0
            case EndRow():
                return self.rows - 1

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, in the order of their rows."""
        found = [Mark(row, _kind(note)) for row, note in zip(self._note_rows, self.notes, strict=True)]
        found += [Mark(self.row_of(number), MarkKind.GAP) for number in self.gaps]
        found += [Mark(self.row_of(number), MarkKind.DAMAGE) for number in self.damaged]
        if self.is_finished:
            found.append(Mark(self.rows - 1, MarkKind.END))
        return tuple(sorted(found, key=lambda mark: mark.row))

    @cached_property
    def mark_of(self) -> dict[int, MarkKind]:
        """The mark of each row that has one."""
        return {mark.row: mark.kind for mark in self.marks}

    def next_mark(self, row: int) -> int | None:
        """Return the row of the first mark after this row."""
        return next((mark.row for mark in self.marks if mark.row > row), None)

    def previous_mark(self, row: int) -> int | None:
        """Return the row of the last mark before this row."""
        return next((mark.row for mark in reversed(self.marks) if mark.row < row), None)


def in_order(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Return the notes ordered by the numbers they follow; notes at one number keep their order."""
    return tuple(sorted(notes, key=lambda note: -1 if note.after is None else note.after))


KINDS_OF_NOTES = set(MarkKind) - {MarkKind.GAP, MarkKind.END}  # the scan notes damage outside of the records


def _kind(note: Note) -> MarkKind:
    word = note.text.partition(":")[0] if note.kind == "repair" else note.kind
    return MarkKind(word) if word in KINDS_OF_NOTES else MarkKind.NOTE
