"""What a log keeps and reports, as plain values.

A log does not decode events: it keeps their numbers, names and bytes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum, auto

from attrs import frozen
from msgspec import Struct


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
    """Names one stream: the tenant that it belongs to, and the response. Tenants never see each other's streams."""

    tenant: str
    response_id: str


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
    """

    cursor: int
    data: bytes


@frozen
class Note:
    """Something that happened between two records, reported by the writer: a repair, a cancel, the outcome.

    Attributes:
        kind: One word.
        text: A description.
        after: The number of the last record before it; None before the first record.
        at: When it happened, in seconds since 1970.
    """

    kind: str
    text: str
    after: int | None
    at: float


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
