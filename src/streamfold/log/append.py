"""The rules of an append: which records are new, and when it is refused."""

from collections.abc import Callable, Sequence

from attrs import frozen
from msgspec import MsgspecError, Raw
from msgspec.json import Decoder

from streamfold.errors import LogClosed, LogConflict, LogGap, WriterFenced
from streamfold.log.limits import require_records
from streamfold.log.record import Record

# Theory of operation: leases, epochs and fencing. A stream has one writer. Its lease keeps others out for a time, but a
# lease alone is not safe: a writer that was paused (garbage collection, a suspended machine) wakes up after its lease
# expired and after another writer took over, and does not know it. So each `acquire` mints an epoch, higher than every
# one before, and every write carries the epoch of its lease. The store compares the two in the same atomic step in which
# it writes, and refuses the old one: the old writer is fenced, however late its append arrives.
#
#     writer A   acquire → epoch 7   append(7) ok   ··· paused ···················   append(7) → WriterFenced(7, 9)
#     writer B                                      lease expired: acquire → epoch 9   append(9) ok
#
# Epochs also have to rise across the life of a name. A stream that was dropped and created again must refuse the writer
# of the one before, though nothing of that is stored any more: hence the clock in `next_epoch`.
#
# Appends are idempotent. A writer that cannot know whether an append arrived sends it again: records that are stored
# already must say the same (LogConflict if not) and are not added twice. The refusals are checked in a fixed order, so
# that a fenced writer always learns that it is fenced, whatever else is wrong with what it sends.
#
# Every engine calls `new_records`, or does the same in its own language, in the atomic step in which it writes.

PADDING = "obfuscation"  # random text of random length, different for each reader of the same event

_decode_fields: Callable[[bytes], dict[str, Raw]] = Decoder(dict[str, Raw]).decode


@frozen
class StreamHead:
    """What an append is checked against.

    Attributes:
        next_number: The number of the record that the stream needs next.
        epoch: The epoch of its current writer.
        is_finished: Whether no new record may follow.
    """

    next_number: int
    epoch: int
    is_finished: bool = False


def next_epoch(epoch: int, *, now: float) -> int:
    """The epoch of the next writer: higher than any before, even than those of a dropped stream of this name.

    Args:
        epoch: The current epoch of the stream; 0 if it is new.
        now: The time in seconds since 1970.
    """
    return max(epoch + 1, int(now * 1000))


def lease_end(ends_at: float, *, length: float, now: float) -> float:
    """When a lease ends that another writer holds: never later than one whole length of it from now.

    It would be later if the clock was set back, or if the writer's clock was ahead. An engine that finds such a lease stores
    this end: a writer that lives renews it before then, and one that died is waited for no longer than its lease lasts.

    Args:
        ends_at: When it ends, as it is stored.
        length: How long it lasts from each renewal on; 0 if that is not known.
        now: The time, by the clock that `ends_at` was measured with.
    """
    return min(ends_at, now + length) if length else ends_at


def new_records(
    head: StreamHead, records: Sequence[Record], *, epoch: int, stored: Callable[[int, int], Sequence[Record]]
) -> Sequence[Record]:
    """The records of an append that the stream does not have yet.

    Args:
        head: The stream as it stands.
        records: What the writer appends.
        epoch: The epoch of the writer's lease.
        stored: Returns the stored records from the first number to before the second. It is called only if some of
            `records` are stored already.

    Raises:
        InvalidArgument: The records do not have consecutive numbers, or no log can hold one of them.
        WriterFenced: Another writer took over.
        LogGap: Records are missing between the stream and these.
        LogConflict: A stored record differs.
        LogClosed: The stream is finished.
    """
    require_records(records)
    if epoch != head.epoch:
        raise WriterFenced(epoch, head.epoch)
    if not records:
        return records
    first, end = records[0].sequence_number, records[-1].sequence_number + 1
    if first > head.next_number:
        raise LogGap(head.next_number, first)
    known = max(0, min(end, head.next_number) - first)
    if known:
        by_number = {each.sequence_number: each for each in stored(first, first + known)}
        for record in records[:known]:
            before = by_number.get(record.sequence_number)
            if before is None or not says_the_same(before.data, record.data):
                raise LogConflict(record.sequence_number)
    new = records[known:]
    if new and head.is_finished:
        raise LogClosed(head.next_number, new[0].sequence_number)
    return new


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two payloads are the same event: the same bytes, or the same fields except for the padding."""
    if one == other:
        return True
    try:
        fields, others = _decode_fields(one), _decode_fields(other)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    fields.pop(PADDING, None)
    others.pop(PADDING, None)
    return fields == others
