"""The thread that writes a SQLite log: what waits for it is one transaction, on the disk before anybody is told.

In      the path of a log that is there; functions that write through a connection
Out     what they returned; a wake to whoever listens
Units   bytes
Errors  LogUnusable for what becomes of the file, to each whose function was in the transaction
Source  decision 0013
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamfold.errors import LogUnusable
from streamfold.log.rows import Result
from streamfold.log.sqlite_file import FAILURES, Lock, connect, explain
from streamfold.log.sqlite_schema import require_version
from streamfold.log.wake import Teller, Wake
from streamfold.log.worker import Worker

__all__ = ["Writer"]

WAL_BYTES = 8 * 1024 * 1024  # beyond it the write-ahead log is moved into the file


class Writer:
    """The one that writes, of this log in this process. most: functions in a transaction. Close it.

    Raises: LogUnusable.
    """

    def __init__(self, path: Path, *, most: int = 256) -> None:
        self._path = path
        self._wal = Path(f"{path}-wal")
        self._connection = connect(path, may_write=True)
        self._lock = Lock(path)
        self._worker = Worker(f"{path}", around=self._transaction, most=most)
        self._has_dropped = False
        self._wake = Wake.NOTHING
        self.teller: Teller = Teller(path)

    async def do(
        self, run: Callable[[sqlite3.Connection], Result], *, wake: Wake = Wake.NOTHING, drops: bool = False
    ) -> Result:
        """Have it written. wake: what the other processes are told once it is. drops: whether it gives room back.

        Raises: what `run` raises; LogUnusable.
        """

        def job() -> Result:
            self._has_dropped |= drops
            self._wake = max(self._wake, wake)
            return run(self._connection)

        return await self._worker.do(job)

    def close(self) -> None:
        """Write what was asked for, and let go of the file."""
        self._worker.close()
        with self._lock.held():  # the last connection that is closed moves the write-ahead log into the file
            self._connection.close()
        self.teller.close()
        self._lock.close()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        try:
            with self._lock.held():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    require_version(self._path, self._connection)
                    yield
                    self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # some failures have ended the transaction
                        self._connection.execute("ROLLBACK")
                    raise
                # What was committed stays so: where this fails it is done after the next commit, and a disk that fails
                # for good fails that one.
                with suppress(sqlite3.Error, OSError):
                    self._tidy()
        except FAILURES as error:
            raise LogUnusable(str(self._path), explain(error)) from error
        except OSError as error:  # as on a network's file system that has no locks
            raise LogUnusable(str(self._path), f"its lock cannot be held: {error.strerror}") from error
        wake, self._wake = self._wake, Wake.NOTHING
        self.teller.tell(wake)

    def _tidy(self) -> None:
        if self._has_dropped:
            # A script runs it to its end, where a statement frees one page.
            self._connection.executescript("PRAGMA incremental_vacuum;")
            self._has_dropped = False
        if self._wal.exists() and self._wal.stat().st_size > WAL_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
