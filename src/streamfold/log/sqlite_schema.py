"""The tables of a SQLite log, and the steps from each older version to the one that we know.

In      a connection that may write, while the lock is held
Out     a file of our version
Units   the schema's version
Errors  LogUnusable for a file of another program, or of a version that we do not know; sqlite3.Error
Source  docs/reference/log.md; decision 0015
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

from streamfold.errors import LogUnusable
from streamfold.log.seal import sealed

__all__ = ["STREAM", "VERSION", "make_schema", "migrate", "require_ours", "require_version"]

APPLICATION_ID = 0x53464C47  # "SFLG", by which a file is known as ours
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
    """Make the tables in a file that has none."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table, or it is of no effect
    connection.execute("PRAGMA journal_mode = WAL")
    settings = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {NOTES} {settings} COMMIT;")


def require_ours(path: Path, connection: sqlite3.Connection, *, oldest: int = VERSION) -> int:
    """The version of the file's schema: one that we know, and not older than this.

    Raises: LogUnusable.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LogUnusable(str(path), "it is a database of another program")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LogUnusable(
            str(path), f"it has schema {version}, and this streamfold knows {VERSION}; use the newer streamfold"
        )
    if version < 1:
        raise LogUnusable(str(path), f"it has schema {version}, which never was one; restore it from a copy")
    if version < oldest:
        raise LogUnusable(str(path), f"it has schema {version}; open it once for writing, and it becomes {VERSION}")
    return version


def require_version(path: Path, connection: sqlite3.Connection) -> None:
    """In a transaction: the schema is still ours, for a newer streamfold may have migrated the file meanwhile.

    Raises: LogUnusable.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        require_ours(path, connection)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the file to our version, all steps in one transaction: a kill, or a full disk, leaves it as it was."""
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
    """Notes, and a checksum of every row. That of a record covers its number too; one that was damaged stays so."""
    for table, column in [("stream", "notes"), ("stream", "crc"), ("checkpoint", "crc")]:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    connection.execute(NOTES)

    def seal(*values: object) -> int:
        crc: int = sealed(values)[-1]
        return crc

    def seal_again(k: int, name: object, data: object, before: int) -> int:
        if not (isinstance(name, str) and isinstance(data, bytes)):
            return before
        return seal(k, name, data) ^ before ^ crc32(data, crc32(name.encode()))

    connection.create_function("seal", -1, seal, deterministic=True)
    connection.create_function("seal_again", 4, seal_again, deterministic=True)
    connection.execute("UPDATE event SET crc = seal_again(k, name, data, crc)")
    connection.execute("UPDATE checkpoint SET crc = seal(stream, cursor, data)")
    connection.execute(f"UPDATE stream SET crc = seal({STREAM})")


# What brings a file from a version to the next one.
STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: to_2}
