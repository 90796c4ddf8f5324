"""What an append does to a stream: which of its records are new, or why it is refused.

In      the stream's Head, the writer's epoch, the records, and what is stored of them already
Out     the records to add: none of them is there yet, and none is left out
Units   sequence numbers; epochs, which only rise
Errors  WriterFenced, LogGap, LogConflict, LogClosed, in this order; InvalidArgument for records that are no series
Source  docs/reference/log.md

Every engine asks this, or does the same, in the one atomic step in which it writes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import frozen
from msgspec import MsgspecError, Raw
from msgspec.json import Decoder

from streamfold.errors import InvalidArgument, LogClosed, LogConflict, LogGap, WriterFenced
from streamfold.log.record import Record

__all__ = ["Head", "new_records", "next_epoch", "require_beginning", "require_series", "says_the_same"]

PADDING = "obfuscation"  # of any length, and another one for each reader of the same event

_decode_fields: Callable[[bytes], dict[str, Raw]] = Decoder(dict[str, Raw]).decode


@frozen
class Head:
    """Where a stream stands. next_number: the record that it needs next. epoch: of the writer that has it."""

    next_number: int
    epoch: int
    is_finished: bool = False


def next_epoch(epoch: int, *, now: float) -> int:
    """The epoch of the next writer: higher than any before, those of a stream of this name that was dropped included.

    now: seconds since 1970.
    """
    return max(epoch + 1, int(now * 1000))


def require_beginning(first_number: int) -> None:
    """A stream begins at 0 or later.

    Raises: InvalidArgument.
    """
    if first_number < 0:
        raise InvalidArgument("first_number", f"must be 0 or more, got {first_number}")


def require_series(records: Sequence[Record]) -> None:
    """Records to be appended follow one another.

    Raises: InvalidArgument where one does not.
    """
    for before, after in pairwise(records):
        if after.sequence_number != before.sequence_number + 1:
            raise InvalidArgument(
                "records", f"must follow one another: {before.sequence_number}, then {after.sequence_number}"
            )


def new_records(
    head: Head, records: Sequence[Record], *, epoch: int, stored: Callable[[int, int], Sequence[Record]]
) -> Sequence[Record]:
    """The records that are new. Those that are known must say the same as what is stored.

    stored: the records from the first of two numbers to before the second.
    Raises: WriterFenced, LogGap, LogConflict, LogClosed; then nothing is to be written.
    """
    if epoch != head.epoch:
        raise WriterFenced(epoch, head.epoch)
    if not records:
        return records
    first, beyond = records[0].sequence_number, records[-1].sequence_number + 1
    if first > head.next_number:
        raise LogGap(head.next_number, first)
    known = max(0, min(beyond, head.next_number) - first)
    if known:
        _compare(records[:known], stored(first, first + known))
    new = records[known:]
    if new and head.is_finished:
        raise LogClosed(head.next_number, new[0].sequence_number)
    return new


def _compare(records: Sequence[Record], stored: Sequence[Record]) -> None:
    there = {each.sequence_number: each for each in stored}
    for record in records:
        before = there.get(record.sequence_number)
        if before is None or not says_the_same(before.data, record.data):
            raise LogConflict(record.sequence_number)


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two data are one event: the same bytes, or the same fields but for the padding of their length."""
    if one == other:
        return True
    try:
        fields, others = _decode_fields(one), _decode_fields(other)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    fields.pop(PADDING, None)
    others.pop(PADDING, None)
    return fields == others
