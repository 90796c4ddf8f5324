"""The file of a SQLite log: creating, checking and opening it, and the lock that writers hold.

SQLite before 3.51.3 can corrupt a file when two connections checkpoint it at once. So no connection checkpoints by
itself; the writer does it while it holds the lock (decision 0013 has the other settings).
"""

import os
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from streamfold.errors import LogUnusable
from streamfold.log.sqlite.schema import make_schema, migrate, require_ours

if sys.platform != "win32":
    import fcntl

BUSY_SECONDS = 5.0
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)

UNWRITABLE = {EACCES, EPERM, EROFS}
# How SQLite fails. If the text of a table's definition is damaged, decoding its message fails.
FAILURES = (sqlite3.Error, UnicodeDecodeError)
# What SQLite reports, and what it means for the log.
MEANINGS = {
    "SQLITE_FULL": "the disk is full; nothing was written",
    "SQLITE_READONLY": "it is read-only; check its owner, or open it with may_write=False",
    "SQLITE_CANTOPEN": "it cannot be opened; check that its folder exists and is writable",
    "SQLITE_NOTADB": "it is not a SQLite database",
    "SQLITE_CORRUPT": "it is damaged; restore it from a copy",
    "SQLITE_BUSY": "another process has locked it for too long",
    "SQLITE_IOERR": "reading or writing the disk failed",
}


def explain(error: Exception) -> str:
    """A failure of SQLite as the reason of a LogUnusable."""
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("no such table"):
        return MEANINGS["SQLITE_CORRUPT"]
    primary = _primary(error)
    return f"{MEANINGS[primary]} ({error})" if primary in MEANINGS else str(error)


def _primary(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", None) or ""
    return "_".join(name.split("_")[:2])


@contextmanager
def failing(path: Path) -> Generator[None]:
    """Turn failures of SQLite and of the file system into LogUnusable."""
    try:
        yield
    except FAILURES as error:
        raise LogUnusable(str(path), explain(error)) from error
    except OSError as error:
        hint = "; to read it only, open it with may_write=False" if error.errno in UNWRITABLE else ""
        raise LogUnusable(str(path), f"it cannot be opened: {error.strerror}{hint}") from error


class Lock:
    """Excludes the other processes of this machine during every write and checkpoint.

    SQLite waits by polling, and with many writers one of them may starve; the kernel's queue for `flock` is fair. On
    Windows there is no `flock`, and SQLite's own lock is used instead.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)

    @contextmanager
    def held(self) -> Generator[None]:
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


def make(path: Path) -> None:
    """Create the file, readable by its owner alone; if it exists, check and migrate it. Raises LogUnusable."""
    with failing(path):
        _require_file(path)
        # If the file exists, only SQLite may open it: POSIX drops all of a process's locks on a file as soon as any
        # descriptor of it is closed.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC, 0o600))
        with closing(Lock(path)) as lock, lock.held():
            _make_or_migrate(path)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise LogUnusable(str(path), "it is a directory; name a file in it")
    if path.exists() and not path.is_file():
        raise LogUnusable(str(path), "it is not a file")


def _make_or_migrate(path: Path) -> None:
    if path.stat().st_size == 0 and has_wal(path):  # SQLite would delete the -wal
        raise LogUnusable(str(path), "it is empty but its -wal is not; restore both from a copy")
    with closing(_open(path)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            make_schema(connection)
        migrate(connection, require_ours(path, connection, oldest=1))
        connection.execute("PRAGMA journal_mode = WAL")  # a backup may have another mode
        connection.execute("BEGIN IMMEDIATE")  # fails if the file is read-only
        connection.execute("ROLLBACK")


def has_wal(path: Path) -> bool:
    """Whether committed data is in the -wal and not in the file yet."""
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > 0


def connect(path: Path, *, may_write: bool) -> sqlite3.Connection:
    """Open a connection for one thread; a commit returns once its data is on the disk. Raises LogUnusable."""
    with failing(path):
        connection = _open(path)
        # SQLite would checkpoint in whichever connection commits; only the holder of our lock may.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 0")  # truncate the -wal after a checkpoint
        # NORMAL would acknowledge commits that a power failure takes back. Measured, it is hardly faster here, because
        # appends that wait at the same time share the wait for the disk.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS, fsync alone does not reach the disk
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute(f"PRAGMA query_only = {not may_write}")
        return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing log without changing anything; neither the file nor its folder need be writable.

    Raises LogUnusable.
    """
    with failing(path):
        _require_file(path)
        if not path.exists():
            raise LogUnusable(str(path), "the file does not exist")
        try:
            return _checked(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # SQLite shares a file through a -shm next to it. If it cannot create one, no other process writes the
            # file, so it may be read as immutable, unless the newest commits are still in the -wal.
            if has_wal(path) or _primary(error) not in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}:
                raise
            return _checked(path, "mode=ro&immutable=1")


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _open(path, how)
    try:
        # With this, SQLite reads a truncated file as far as it goes instead of refusing it. It cannot write here anyway.
        connection.execute("PRAGMA writable_schema = ON")
        require_ours(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    connection.text_factory = _text
    return connection


def _text(encoded: bytes) -> str:
    """Decode damaged text too; the checksum of its row then fails."""
    return encoded.decode(errors="replace")
