"""The file of a SQLite log: made, checked and opened.

In      a path
Out     connections to a log of a schema that we know; the lock that writers hold
Units   bytes
Errors  LogUnusable, which says what the file is, or lacks
Source  docs/reference/log.md; decision 0013 for the settings

SQLite before 3.51.3 can corrupt a file when two connections checkpoint it at once, so that is done by whoever
holds the lock, and no connection does it by itself.
"""

import os
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from streamfold.errors import LogUnusable
from streamfold.log.sqlite_schema import make_schema, migrate, require_ours

if sys.platform != "win32":
    import fcntl

__all__ = ["FAILURES", "Lock", "connect", "connect_to_read", "explain", "failing", "has_wal", "make"]

BUSY_SECONDS = 5.0
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)

UNWRITABLE = {EACCES, EPERM, EROFS}
# How SQLite fails. Where it is the text of a table's definition that is damaged, its message is no text either.
FAILURES = (sqlite3.Error, UnicodeDecodeError)
# What SQLite says, and what it means to whoever asked for a log.
MEANINGS = {
    "SQLITE_FULL": "the disk is full; nothing was written",
    "SQLITE_READONLY": "it can only be read; check who owns it, or open it with may_write=False",
    "SQLITE_CANTOPEN": "it cannot be opened; check that the folder is there and may be written",
    "SQLITE_NOTADB": "it is no SQLite database",
    "SQLITE_CORRUPT": "it is damaged; restore it from a copy",
    "SQLITE_BUSY": "another process holds it for too long",
    "SQLITE_IOERR": "the disk cannot be read or written",
}


def explain(error: Exception) -> str:
    """What a failure was, in words."""
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("no such table"):
        return MEANINGS["SQLITE_CORRUPT"]
    primary = _primary(error)
    return f"{MEANINGS[primary]} ({error})" if primary in MEANINGS else str(error)


def _primary(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", None) or ""
    return "_".join(name.split("_")[:2])


@contextmanager
def failing(path: Path) -> Generator[None]:
    """Whatever fails in it is told as what it means for the file.

    Raises: LogUnusable.
    """
    try:
        yield
    except FAILURES as error:
        raise LogUnusable(str(path), explain(error)) from error
    except OSError as error:
        hint = "; to only read it, open it with may_write=False" if error.errno in UNWRITABLE else ""
        raise LogUnusable(str(path), f"it cannot be opened: {error.strerror}{hint}") from error


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
    """Make the file if there is none, readable by its owner alone; if there is one, check it, and migrate it.

    Raises: LogUnusable.
    """
    with failing(path):
        _require_file(path)
        # A file that is there is opened by SQLite alone: whoever closes it loses all locks that its process has on it.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC, 0o600))
        lock = Lock(path)
        try:
            with lock.held():
                _make_or_migrate(path)
        finally:
            lock.close()


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise LogUnusable(str(path), "it is a directory; name a file in it")
    if path.exists() and not path.is_file():
        raise LogUnusable(str(path), "it is no file")


def _make_or_migrate(path: Path) -> None:
    if path.stat().st_size == 0 and has_wal(path):  # which SQLite would remove
        raise LogUnusable(str(path), "it is empty, and its -wal is not; restore both from a copy")
    with closing(_open(path)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            make_schema(connection)
        migrate(connection, require_ours(path, connection, oldest=1))
        connection.execute("PRAGMA journal_mode = WAL")  # a copy that SQLite made may have another one
        connection.execute("BEGIN IMMEDIATE")  # or it can only be read
        connection.execute("ROLLBACK")


def has_wal(path: Path) -> bool:
    """Whether something that was written is not in the file itself yet."""
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > 0


def connect(path: Path, *, may_write: bool) -> sqlite3.Connection:
    """A connection for one thread. What it writes is on the disk when a transaction is committed.

    Raises: LogUnusable.
    """
    with failing(path):
        connection = _open(path)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 0")  # once a checkpoint has moved it, it begins small again
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS only this reaches the disk
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute(f"PRAGMA query_only = {not may_write}")
        return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection to a log that is there, in a file or a folder that need not be writable; nothing is made or changed.

    Raises: LogUnusable.
    """
    with failing(path):
        _require_file(path)
        if not path.exists():
            raise LogUnusable(str(path), "there is no such file")
        try:
            return _checked(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # SQLite shares a file through a -shm beside it. Where it cannot make one, nobody writes the file, and it is
            # read as it is, unless what was written last is still in the -wal.
            if has_wal(path) or _primary(error) not in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}:
                raise
            return _checked(path, "mode=ro&immutable=1")


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _open(path, how)
    try:
        # Nothing can be written here; SQLite then reads a file that was cut short as far as it goes, and refuses it else.
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
    """What is no text is damaged, and its row's checksum tells so."""
    return encoded.decode(errors="replace")
