"""The tables of a SQLite log, and the migration from each older version of them (decision 0015)."""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

from streamfold.errors import LogUnusable
from streamfold.log.sqlite.row import with_checksum

__all__ = ["STREAM", "VERSION", "make_schema", "migrate", "require_ours", "require_version"]

APPLICATION_ID = 0x53464C47  # "SFLG": marks the file as a streamfold log
VERSION = 2

STREAM = """
    id, tenant, response_id, first_number, next_number, epoch, owner, lease_expires_at, status, is_cancel_requested,
    created_at, expires_at, notes
"""
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


def make_schema(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file."""
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
    connection.execute(f"UPDATE stream SET crc = checksum({STREAM})")


# Version -> the step from it to the next one.
STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: to_2}
