"""The file of a SQLite log: made, checked and opened.

In      a path
Out     connections to a log of a schema that we know; the lock that writers hold
Units   the schema's version; bytes
Errors  LogUnusable, which says what the file is, or lacks
Source  docs/reference/log.md; decision 0013 for the settings

SQLite before 3.51.3 can corrupt a file when two connections checkpoint it at once, so that is done by whoever
holds the lock, and no connection does it by itself.
"""

import os
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from streamfold.errors import LogUnusable

if sys.platform != "win32":
    import fcntl

__all__ = ["Lock", "connect", "explain", "make"]

APPLICATION_ID = 0x53464C47  # "SFLG", by which a file is known as ours
VERSION = 1
BUSY_SECONDS = 5.0
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)

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
    UNIQUE (tenant, response_id)
);
CREATE INDEX stream_expires_at ON stream (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE event (k INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE checkpoint (
    stream INTEGER NOT NULL, cursor INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (stream, cursor)
) WITHOUT ROWID;
CREATE TABLE note (stream INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, after INTEGER, at REAL NOT NULL);
CREATE INDEX note_stream ON note (stream);
"""

# What SQLite says, and what it means to whoever asked for a log.
MEANINGS = {
    "SQLITE_FULL": "the disk is full; nothing was written",
    "SQLITE_READONLY": "it cannot be written; check who owns it",
    "SQLITE_CANTOPEN": "it cannot be opened; check that the folder is there and may be written",
    "SQLITE_NOTADB": "it is no SQLite database",
    "SQLITE_CORRUPT": "it is damaged; restore it from a copy",
    "SQLITE_BUSY": "another process holds it for too long",
    "SQLITE_IOERR": "the disk cannot be read or written",
}


def explain(path: Path, error: sqlite3.Error) -> LogUnusable:
    """What went wrong, in words."""
    name = getattr(error, "sqlite_errorname", None) or ""
    primary = "_".join(name.split("_")[:2])
    return LogUnusable(str(path), f"{MEANINGS[primary]} ({error})" if primary in MEANINGS else str(error))


class Lock:
    """Held around every write and checkpoint, by one process of this machine at a time.

    SQLite's own waiting lets one of many processes starve; the kernel's queue does not. On Windows it is all there is.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)

    @contextmanager
    def held(self) -> Generator[None]:
        """Wait for it, and let go of it."""
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of its file."""
        os.close(self._descriptor)


def make(path: Path) -> None:
    """Make the file if there is none, readable by its owner alone; check it if there is one.

    Raises: LogUnusable.
    """
    if path.is_dir():
        raise LogUnusable(str(path), "it is a directory; name a file in it")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600))
        lock = Lock(path)
    except OSError as error:
        raise LogUnusable(str(path), f"it cannot be opened: {error.strerror}") from error
    try:
        with lock.held():
            _make_schema(path)
    finally:
        lock.close()


def _make_schema(path: Path) -> None:
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    except sqlite3.Error as error:
        raise explain(path, error) from error
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            settings = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {settings} COMMIT;")
        _check(path, connection)
    except sqlite3.Error as error:
        raise explain(path, error) from error
    finally:
        connection.close()


def _check(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LogUnusable(str(path), "it is a database of another program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LogUnusable(
            str(path), f"it has schema {version}, and this streamfold knows {VERSION}; use the newer streamfold"
        )


def connect(path: Path, *, may_write: bool) -> sqlite3.Connection:
    """A connection for one thread. What it writes is on the disk when a transaction is committed.

    Raises: LogUnusable.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 0")  # once a checkpoint has moved it, it begins small again
        connection.execute("PRAGMA synchronous = FULL" if may_write else "PRAGMA query_only = ON")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS only this reaches the disk
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
    except sqlite3.Error as error:
        raise explain(path, error) from error
    return connection
