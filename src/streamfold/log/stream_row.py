"""What a SQLite log knows of a stream: one row, saved whole with its checksum.

In      a row as it was read; a StreamRow to be saved
Out     the StreamRow, which is as it was written; the row
Units   sequence numbers, seconds since 1970
Errors  LogUnusable for a row that is damaged; sqlite3.Error
Source  docs/reference/log.md; decision 0015
"""

import sqlite3

from msgspec import Struct
from msgspec.structs import astuple

from streamfold.errors import LogUnusable
from streamfold.log.log import StreamInfo
from streamfold.log.record import StreamKey
from streamfold.log.seal import Values, is_whole, sealed

__all__ = ["MOST_RECORDS", "PLACE_BITS", "StreamRow", "damage", "row_of", "save"]

PLACE_BITS = 24
MOST_RECORDS = 1 << PLACE_BITS

SAVE = """
    UPDATE stream SET next_number = ?, epoch = ?, owner = ?, lease_expires_at = ?, status = ?, is_cancel_requested = ?,
    expires_at = ?, notes = ?, crc = ? WHERE id = ?
"""


class StreamRow(Struct, frozen=True):
    """A row of the table `stream`, in the order of its columns, without its checksum. notes: how many it has."""

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
        """Whose it is, and of which response."""
        return StreamKey(self.tenant, self.response_id)

    @property
    def key_base(self) -> int:
        """What makes a record's key of its number."""
        return (self.id << PLACE_BITS) - self.first_number

    def told(self) -> StreamInfo:
        """What an engine tells of it."""
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


def row_of(values: Values) -> StreamRow:
    """The row that was read, if it is as it was written.

    Raises: LogUnusable.
    """
    if not is_whole(values):
        raise damage(str(values[2]), "what is known of the stream")
    return StreamRow(*values[:-1])


def save(connection: sqlite3.Connection, row: StreamRow) -> None:
    """Write all of the row that can change. The only place where one is written."""
    values = sealed(astuple(row))
    connection.execute(SAVE, (*values[4:10], *values[11:], row.id))


def damage(response_id: str, what: str, how: str = "damaged") -> LogUnusable:
    """That something of a stream is not as it was written."""
    return LogUnusable(response_id, f"{what} is {how}; restore the log from a copy")
