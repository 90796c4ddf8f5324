"""The row that a SQLite log keeps of each stream, and the checksum at the end of every row of every table.

SQLite reads a flipped bit in a value as that value, so each row carries a checksum of its other values (decision 0015).
They are summed as a MessagePack array: their types, lengths and order count too, so that a record that moved to another
number is found as well as one that changed.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias
from zlib import crc32

from msgspec import Struct
from msgspec.msgpack import Encoder
from msgspec.structs import astuple

from streamfold.errors import LogUnusable
from streamfold.log.record import StreamInfo, StreamKey

__all__ = [
    "MAX_RECORDS",
    "PLACE_BITS",
    "StreamRow",
    "Values",
    "damaged",
    "matches",
    "read_row",
    "save",
    "with_checksum",
]

# A record's key is the id of its stream followed by its place in the stream, packed into one 64-bit number. So the
# records of a stream lie together in the file, in order, and reading a page of them walks one part of one B-tree.
PLACE_BITS = 24
MAX_RECORDS = 1 << PLACE_BITS

SAVE = """
    UPDATE stream SET next_number = ?, epoch = ?, owner = ?, lease_expires_at = ?, status = ?, is_cancel_requested = ?,
    expires_at = ?, notes = ?, crc = ? WHERE id = ?
"""

Values: TypeAlias = Sequence[Any]

_encode = Encoder().encode


def with_checksum(values: Values) -> tuple[Any, ...]:
    """The row to write."""
    return (*values, crc32(_encode(values)))


def matches(row: Values) -> bool:
    """Whether a row that was read is as it was written."""
    return bool(row[-1] == crc32(_encode(row[:-1])))


class StreamRow(Struct, frozen=True):
    """A row of the table `stream` without its checksum, in the order of its columns. `notes` is how many notes it has."""

    id: int
    tenant: str
    response_id: str
    first_number: int
    next_number: int
    epoch: int
    owner: str
    lease_expires_at: float
    status: str | None
    is_cancel_requested: int
    created_at: float
    expires_at: float | None
    notes: int

    @property
    def key(self) -> StreamKey:
        """The tenant and the response."""
        return StreamKey(self.tenant, self.response_id)

    @property
    def key_base(self) -> int:
        """Add a record's number to get its key."""
        return (self.id << PLACE_BITS) - self.first_number

    def info(self) -> StreamInfo:
        """The row as the log reports it."""
        return StreamInfo(
            key=self.key,
            first_number=self.first_number,
            next_number=self.next_number,
            epoch=self.epoch,
            owner=self.owner,
            lease_expires_at=self.lease_expires_at,
            status=self.status,
            is_cancel_requested=bool(self.is_cancel_requested),
            created_at=self.created_at,
            expires_at=self.expires_at,
        )


def read_row(values: Values) -> StreamRow:
    """The row of a stream. Raises LogUnusable if it is damaged."""
    if not matches(values):
        raise damaged(str(values[2]), "the entry of the stream")
    return StreamRow(*values[:-1])


def save(connection: sqlite3.Connection, row: StreamRow) -> None:
    """Write every column that can change, with a new checksum. No other code updates the table."""
    values = with_checksum(astuple(row))
    connection.execute(SAVE, (*values[4:10], *values[11:], row.id))


def damaged(response_id: str, what: str, how: str = "damaged") -> LogUnusable:
    """The error for a part of a stream that is not as it was written."""
    return LogUnusable(response_id, f"{what} is {how}; restore the log from a copy")
