"""What a log keeps and reports, as plain values.

A log does not decode events: it keeps their numbers, names and bytes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum, auto

from attrs import frozen
from msgspec import Struct

from streamfold.errors import InvalidArgument

MAX_NAME_BYTES = 4_096
"""The longest name of anything, in UTF-8."""

MAX_TEXT_BYTES = 1024 * 1024
"""The longest text of a note, in UTF-8."""

MAX_DATA_BYTES = 256 * 1024 * 1024
"""The largest data of one record, and of one checkpoint."""

MAX_TIME = 9e12  # seconds: milliseconds up to here are exact as floats, too


def require_name(name: str, text: str) -> None:
    """Check the name of something. Raises InvalidArgument if it is too long, or no store could keep it."""
    require_text(name, text, max_bytes=MAX_NAME_BYTES)
    if "\0" in text:
        raise InvalidArgument(name, "must not contain a NUL character")


def require_text(name: str, text: str, *, max_bytes: int = MAX_TEXT_BYTES) -> None:
    """Check a text. Raises InvalidArgument if it is too long, or has half of a surrogate pair."""
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(name, "must be valid Unicode text") from None
    if size > max_bytes:
        raise InvalidArgument(name, f"has {size:,} bytes; {max_bytes:,} are allowed")


def require_time(name: str, seconds: float) -> None:
    """Check a time. Raises InvalidArgument if it is infinite, not a number, or thousands of centuries away."""
    if not -MAX_TIME <= seconds <= MAX_TIME:  # a comparison with NaN is false
        raise InvalidArgument(name, f"must be a number of seconds, got {seconds}")


# gc=False: a record holds no reference that could lead back to it, and a process may hold a million of them, which the
# garbage collector would otherwise visit again and again.
class Record(Struct, frozen=True, gc=False):
    """One event, as it arrived.

    Attributes:
        sequence_number: Its place in the stream; the next record has the next number.
        name: The event's type, as in the `event:` line.
        data: The bytes of its `data:` lines.
    """

    sequence_number: int
    name: str
    data: bytes


def fitting(records: Sequence[Record], max_bytes: int) -> list[Record]:
    """The longest beginning of `records` whose data is at most `max_bytes`, and at least one record."""
    size = 0
    for count, record in enumerate(records):
        size += len(record.data)
        if size > max_bytes and count:
            return list(records[:count])
    return list(records)


class StreamKey(Struct, frozen=True, gc=False):
    """Names one stream: the tenant that it belongs to, and the response. Tenants never see each other's streams.

    Raises:
        InvalidArgument: A name that no log can hold: longer than 4,096 bytes, with a NUL character, or not valid Unicode.
    """

    tenant: str
    response_id: str

    def __post_init__(self) -> None:
        for name, text in (("tenant", self.tenant), ("response_id", self.response_id)):
            if not (text.isascii() and text.isprintable() and len(text) <= MAX_NAME_BYTES):
                require_name(name, text)


@frozen
class Lease:
    """The right to write one stream. `EventLog.acquire` grants it.

    Attributes:
        key: The stream.
        owner: The writer's name.
        epoch: Assigned by the store, and higher than every epoch of this stream before. Writes with an older one are
            refused.
        next_number: The number of the record that the stream needs next.
        expires_at: When another writer may take the stream over, in seconds since 1970.
    """

    key: StreamKey
    owner: str
    epoch: int
    next_number: int
    expires_at: float


@frozen(kw_only=True)
class StreamInfo:
    """The head of a stream.

    Attributes:
        key: The stream.
        first_number: The number of its first record.
        next_number: The number of the record that it needs next.
        epoch: The epoch of its writer.
        owner: Its current writer, or the last one; empty after `release`.
        lease_expires_at: When that writer's lease ends, in seconds since 1970.
        lease_seconds: How long that lease lasts from each renewal on.
        status: The final status of the response; None while the stream is open.
        is_cancel_requested: Whether `request_cancel` was called.
        created_at: When the stream was created, in seconds since 1970.
        expires_at: When `expire` may drop it, in seconds since 1970; None means never.
    """

    key: StreamKey
    first_number: int
    next_number: int
    epoch: int
    owner: str = ""
    lease_expires_at: float = 0.0
    lease_seconds: float = 0.0
    status: str | None = None
    is_cancel_requested: bool = False
    created_at: float = 0.0
    expires_at: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether no record can follow."""
        return self.status is not None


@frozen
class SavedCheckpoint:
    """A state saved beside the records, so that a replay can start there.

    Attributes:
        cursor: The number of the last record that the state contains.
        data: The state, encoded by `streamfold.fold.checkpoint`.

    Raises:
        InvalidArgument: The cursor is below 0, or the data is larger than 256 MiB.
    """

    cursor: int
    data: bytes

    def __attrs_post_init__(self) -> None:
        if self.cursor < 0:
            raise InvalidArgument("cursor", f"must be 0 or more, got {self.cursor}")
        if len(self.data) > MAX_DATA_BYTES:
            raise InvalidArgument("data", f"has {len(self.data):,} bytes; {MAX_DATA_BYTES:,} are allowed")


@frozen
class Note:
    """Something that happened between two records, reported by the writer: a repair, a cancel, the outcome.

    Attributes:
        kind: One word.
        text: A description.
        after: The number of the last record before it; None before the first record.
        at: When it happened, in seconds since 1970.

    Raises:
        InvalidArgument: A text that no log can hold, or a time that is not finite.
    """

    kind: str
    text: str
    after: int | None
    at: float

    def __attrs_post_init__(self) -> None:
        require_name("kind", self.kind)
        require_text("text", self.text)
        require_time("at", self.at)


class Durability(StrEnum):
    """What a record survives once `append` has returned."""

    MEMORY = auto()
    """Nothing: records live in the process."""
    PROCESS = auto()
    """A crash of the process."""
    POWER = auto()
    """A power failure: records are on disk."""
    REPLICATED = auto()
    """The loss of a machine: a second one has a copy."""


@frozen(kw_only=True)
class Diagnosis:
    """How a log is set up.

    Attributes:
        engine: The store and its version.
        durability: What a record survives once `append` has returned.
        settings: The settings that matter, spelled as the store spells them.
        unsafe: What can lose records with these settings, each with its remedy. Empty if nothing can.
    """

    engine: str
    durability: Durability
    settings: Mapping[str, str]
    unsafe: tuple[str, ...] = ()


@frozen
class Damage:
    """Something in the store that differs from what was written.

    Attributes:
        key: The stream that it belongs to; None for the store itself.
        reason: What is wrong.
    """

    key: StreamKey | None
    reason: str
