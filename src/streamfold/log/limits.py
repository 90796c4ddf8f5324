"""What a log can hold: the same on every engine, so that a stream can move from one to another.

Whatever is outside these limits is refused with InvalidArgument before it comes near a store. So it fails alone: appends
of other streams that would have shared its transaction or its pipeline are not affected.
"""

from collections.abc import Sequence

from streamfold.errors import InvalidArgument
from streamfold.log.record import MAX_DATA_BYTES, MAX_NAME_BYTES, Record, require_name, require_time

__all__ = [
    "MAX_DATA_BYTES",
    "MAX_NAME_BYTES",
    "NUMBER_END",
    "STORED_END",
    "page_of",
    "record_name",
    "require_first",
    "require_owner",
    "require_records",
    "require_seconds",
    "require_status",
    "require_until",
]

NUMBER_END = 2**53
"""Record numbers are below this one: as far as every JSON reader, and the script on Valkey, can count."""

# SQLite and the streams of Valkey number with signed 64 bits. A stream may be created up to there, though it can then hold
# no record: who creates it learns that from its first append, as from any other record that is refused.
STORED_END = 2**63  # what a store can keep as a number
PAGE_END = 2**31 - 1  # a greater limit does not limit anything


def require_first(number: int) -> None:
    """Check the number of a stream's first record. Raises InvalidArgument if it is below 0, or has more than 63 bits."""
    if not 0 <= number < STORED_END:
        must = "0 or more" if number < 0 else f"less than {STORED_END:,}"
        raise InvalidArgument("first_number", f"must be {must}, got {number}")


def require_owner(owner: str, seconds: float) -> None:
    """Check the name of a writer and the length of its lease. Raises InvalidArgument."""
    require_name("owner", owner)
    require_seconds("seconds", seconds)


def require_seconds(name: str, seconds: float) -> None:
    """Check a duration. Raises InvalidArgument if it is negative, infinite or not a number."""
    require_time(name, seconds)
    if seconds < 0:
        raise InvalidArgument(name, f"must be 0 or more, got {seconds:g}")


def require_status(status: str | None) -> None:
    """Check the final status of a response. Raises InvalidArgument."""
    if status is not None:
        require_name("status", status)


def require_until(until: float | None) -> None:
    """Check when a stream may be dropped. Raises InvalidArgument."""
    if until is not None:
        require_time("until", until)


def require_records(records: Sequence[Record]) -> None:
    """Check records before they are appended. `new_records` does so itself.

    Raises:
        InvalidArgument: Their numbers are not consecutive or out of range, or a name or its data cannot be stored.
    """
    # One loop over plain variables: every append passes here, with up to thousands of records.
    expected = None
    for each in records:
        number, name, data = each.sequence_number, each.name, each.data
        if number != expected and expected is not None:
            raise InvalidArgument("records", f"must have consecutive numbers, got {expected - 1}, then {number}")
        expected = number + 1
        if type(data) is not bytes:
            raise InvalidArgument("records", f"the data of record {number} must be bytes, got {type(data).__name__}")
        if len(data) > MAX_DATA_BYTES:
            raise InvalidArgument("records", f"record {number} has {len(data):,} bytes; {MAX_DATA_BYTES:,} are allowed")
        # Nearly every name passes this test, which is five times as fast as encoding it.
        if not (name.isascii() and name.isprintable() and len(name) <= MAX_NAME_BYTES):
            require_name(f"the name of record {number}", name)
    if expected is not None and not 0 <= records[0].sequence_number < expected <= NUMBER_END:
        numbers = f"got {records[0].sequence_number} to {expected - 1}"
        raise InvalidArgument("records", f"must have numbers from 0 to {NUMBER_END - 1:,}, {numbers}")


def record_name(name: str) -> str:
    """The name under which an event of this type is stored: empty if a log, or a line of a file, cannot hold it."""
    if name.isascii() and name.isprintable() and len(name) <= MAX_NAME_BYTES:
        return name
    try:
        require_name("name", name)
    except InvalidArgument:
        return ""
    return "" if "\n" in name or "\r" in name else name


def page_of(limit: int) -> int:
    """A limit as a store takes it."""
    return max(0, min(limit, PAGE_END))
