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
from time import monotonic

from streamfold.errors import LogUnusable
from streamfold.log.sqlite.schema import make_schema, migrate, require_ours

if sys.platform != "win32":
    import fcntl

BUSY_SECONDS = 5.0
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
SETTLED_SECONDS = 3.0
SIZE_BYTES = 8  # of a number in the -lock

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
    primary = primary_code(error)
    return f"{MEANINGS[primary]} ({error})" if primary in MEANINGS else str(error)


def primary_code(error: Exception) -> str:
    """SQLite's name for what failed, without the details."""
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


# SQLite deletes the -wal and the -shm when the last connection of the last process closes, and nobody
# else may. A connection locks the file as long as it is open, so that another process cannot take itself for the last; but
# POSIX drops that lock as soon as this process closes any other descriptor of the file. So nothing here opens the file except
# through SQLite, not even to read its size from its header.


class Folder:
    """Whether a file may have been created, deleted or renamed in a folder: one `stat`, instead of one per file.

    A folder notes the time of its last change, in steps of a few milliseconds or, on some disks, of two seconds. So a time
    is believed only once it has been the same for longer than that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._seen_at = 0.0
        self._is_settled = False

    def may_have_changed(self) -> bool:
        """Whether to look at the files, because something in the folder changed since the last look, or just before it."""
        try:
            found = os.stat(self._path)
            change = found.st_dev, found.st_ino, found.st_ctime_ns
        except OSError:
            change = None
        if change != self._seen:
            self._seen, self._seen_at, self._is_settled = change, monotonic(), False
        elif not self._is_settled:
            self._is_settled = change is not None and monotonic() - self._seen_at > SETTLED_SECONDS
        else:
            return False
        return True


class Files:
    """The files of an open log, to notice that somebody deleted, moved or replaced one of them.

    SQLite keeps writing into a file that has lost its name, and every commit succeeds; nobody will ever read it again. So
    the log compares what is at the path with what it opened, before each read and around each commit.

    Args:
        path: The file. A connection must have read it, so that SQLite has opened the files beside it.
    """

    def __init__(self, path: Path) -> None:
        self._where = str(path)
        self._opened = [(each, f"{path}{each}", _identity(f"{path}{each}")) for each in ("", "-wal", "-shm")]
        self._folder = Folder(path.parent)
        self._is_lost = False

    def lost(self) -> str:
        """What happened to them; empty if they are what was opened."""
        for name, path, opened in self._opened:
            found = _identity(path)
            if found != opened and opened is not None:
                what = f"its {name}" if name else "the file"
                return f"{what} was {'deleted or moved' if found is None else 'replaced'} while the log was open"
        return ""

    def require(self) -> None:
        """Raise LogUnusable if one of them is not what was opened."""
        if (self._is_lost or self._folder.may_have_changed()) and (lost := self.lost()):
            self._is_lost = True
            raise LogUnusable(self._where, f"{lost}; nothing was acknowledged; put it back, or open the log again")


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at a path. Its number is not used again while the file is open."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Lock:
    """Excludes the other processes of this machine during every write and checkpoint.

    SQLite waits by polling, and with many writers one of them may starve; the kernel's queue for `flock` is fair. On
    Windows there is no `flock`, and SQLite's own lock is used instead.
    """

    def __init__(self, path: Path) -> None:
        self._path = f"{path}-lock"
        self._folder = Folder(path.parent)
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)

    @contextmanager
    def held(self) -> Generator[None]:
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            # Somebody may have deleted it, and then another process locks a new one.
            while self._folder.may_have_changed() and not self._is_at_its_path():
                os.close(self._descriptor)
                self._descriptor = self._open()
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    # The -lock holds one number: the size of the log's file. A file that is written through a write-ahead log changes its size
    # only when that log is moved into it, which only a holder of the lock does. So a writer that finds the file smaller than noted
    # here knows that somebody else has truncated it, although SQLite would not find out before it reads the missing pages.

    def _is_at_its_path(self) -> bool:
        locked = os.fstat(self._descriptor)
        return _identity(self._path) == (locked.st_dev, locked.st_ino)

    @property
    def file_bytes(self) -> int | None:
        """The least size that the log's file may have, as the last holder of the lock saw it; None if that is not known."""
        noted = os.pread(self._descriptor, SIZE_BYTES, 0) if sys.platform != "win32" else b""
        return int.from_bytes(noted) if len(noted) == SIZE_BYTES else None

    def note_file_bytes(self, size: int) -> None:
        if sys.platform != "win32":
            os.pwrite(self._descriptor, size.to_bytes(SIZE_BYTES), 0)

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
            if not has_wal(path):  # then SQLite has compared the size with that in the file
                lock.note_file_bytes(path.stat().st_size)


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
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the -wal and the -shm
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
            if has_wal(path) or primary_code(error) not in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}:
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
