"""The tables of a SQLite log: their rows, the checksum of each row, and the migrations (decision 0015)."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

from msgspec import Struct
from msgspec.msgpack import Encoder
from msgspec.structs import astuple

from streamfold.errors import LogUnusable
from streamfold.log.record import StreamInfo, StreamKey

APPLICATION_ID = 0x53464C47  # "SFLG": marks the file as a streamfold log
VERSION = 3

# `stream` has a row per stream: small, and written as a whole with each change, so that one checksum covers it. Its ids
# are never used again (AUTOINCREMENT): records that outlive their stream's row, through damage, cannot end up in another.
# `event` is ordered by `k`, which packs the stream and the place in it: appends to a stream go next to each other, and a
# page is one range. It has no index besides, which keeps an append at one B-tree insertion per record.
# `note` and `checkpoint` have no rowid: their primary key is the table, in the order in which they are read.
SCHEMA = """
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    response_id TEXT NOT NULL,
    first_number INTEGER NOT NULL,
    next_number INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_expires_at REAL NOT NULL,
    status TEXT,
    is_cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    expires_at REAL,
    notes INTEGER NOT NULL DEFAULT 0,
    crc INTEGER NOT NULL DEFAULT 0,
    lease_seconds REAL NOT NULL DEFAULT 0,
    UNIQUE (tenant, response_id)
);
CREATE INDEX stream_expires_at ON stream (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE event (k INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE checkpoint (
    stream INTEGER NOT NULL, cursor INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, cursor)
) WITHOUT ROWID;
"""
NOTES = """
CREATE TABLE note (
    stream INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, after INTEGER,
    at REAL NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (stream, number)
) WITHOUT ROWID;
"""

PLACE_BITS = 24  # of a record's 64-bit key; the others are the id of its stream
MAX_RECORDS = 1 << PLACE_BITS

Values: TypeAlias = Sequence[Any]

_encode = Encoder().encode


# SQLite reads a flipped bit in a value as that value, so each row ends with a checksum of its other values. They are
# summed as a MessagePack array: their types, lengths and order count too, so that a record that moved to another number
# is found as well as one that changed.


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
    lease_seconds: float

    @property
    def key(self) -> StreamKey:
        return StreamKey(self.tenant, self.response_id)

    @property
    def key_base(self) -> int:
        """Add a record's number to get its key."""
        return (self.id << PLACE_BITS) - self.first_number

    def info(self) -> StreamInfo:
        return StreamInfo(
            key=self.key,
            first_number=self.first_number,
            next_number=self.next_number,
            epoch=self.epoch,
            owner=self.owner,
            lease_expires_at=self.lease_expires_at,
            lease_seconds=self.lease_seconds,
            status=self.status,
            is_cancel_requested=bool(self.is_cancel_requested),
            created_at=self.created_at,
            expires_at=self.expires_at,
        )


COLUMNS = StreamRow.__struct_fields__
STREAM = ", ".join(COLUMNS)
SAVE = f"UPDATE stream SET {' = ?, '.join((*COLUMNS[4:10], *COLUMNS[11:], 'crc'))} = ? WHERE id = ?"


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


# Creating and migrating


def make_schema(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect after the first table
    connection.execute("PRAGMA journal_mode = WAL")
    settings = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {NOTES} {settings} COMMIT;")


def require_ours(path: Path, connection: sqlite3.Connection, *, oldest: int = VERSION) -> int:
    """The version of the file's schema. Raises LogUnusable if it is not ours, unknown, or older than `oldest`."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LogUnusable(str(path), "it is a database of another program; name another file")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LogUnusable(
            str(path), f"it has schema {version} and this streamfold supports up to {VERSION}; upgrade streamfold"
        )
    if version < 1:
        raise LogUnusable(str(path), f"it has schema {version}, which does not exist; restore it from a copy")
    if version < oldest:
        raise LogUnusable(str(path), f"it has schema {version}; open it once for writing to migrate it to {VERSION}")
    return version


def require_version(path: Path, connection: sqlite3.Connection) -> None:
    """Check inside a transaction that a newer streamfold has not migrated the file. Raises LogUnusable."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        require_ours(path, connection)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate the file to our version in one transaction: a kill or a full disk leaves it unchanged."""
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for each in range(version, VERSION):
            STEPS[each](connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def to_2(connection: sqlite3.Connection) -> None:
    """Add notes, and a checksum to every row."""
    for table, column in [("stream", "notes"), ("stream", "crc"), ("checkpoint", "crc")]:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    connection.execute(NOTES)

    def checksum(*values: object) -> int:
        crc: int = with_checksum(values)[-1]
        return crc

    def event_checksum(k: int, name: object, data: object, before: int) -> int:
        if not (isinstance(name, str) and isinstance(data, bytes)):
            return before
        # The old checksum of the name and the data cancels itself out if it still matches. If it does not, the new
        # checksum does not match either: a migration must not declare a damaged record to be sound.
        return checksum(k, name, data) ^ before ^ crc32(data, crc32(name.encode()))

    connection.create_function("checksum", -1, checksum, deterministic=True)
    connection.create_function("event_checksum", 4, event_checksum, deterministic=True)
    connection.execute("UPDATE event SET crc = event_checksum(k, name, data, crc)")
    connection.execute("UPDATE checkpoint SET crc = checksum(stream, cursor, data)")
    connection.execute(f"UPDATE stream SET crc = checksum({', '.join(COLUMNS[:-1])})")


def to_3(connection: sqlite3.Connection) -> None:
    """Add how long a lease lasts: 0, which means unknown, until the next writer."""
    connection.execute("ALTER TABLE stream ADD COLUMN lease_seconds REAL NOT NULL DEFAULT 0")

    def checksum(before: int, *values: object) -> int:
        # As in `to_2`: the checksum of a row that is damaged does not match afterwards either.
        old: int = with_checksum(values[:-1])[-1]
        new: int = with_checksum(values)[-1]
        return new ^ old ^ before

    connection.create_function("longer_checksum", -1, checksum, deterministic=True)
    connection.execute(f"UPDATE stream SET crc = longer_checksum(crc, {STREAM})")


# Version -> the step from it to the next one.
STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: to_2, 2: to_3}
