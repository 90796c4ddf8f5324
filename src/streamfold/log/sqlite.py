"""A log in one file, by SQLite: the default. It survives the end of the process, and of the power.

In      records
Out     the records again
Units   sequence numbers, seconds since 1970
Errors  LogError and its kinds; LogUnusable for what becomes of the file
Source  docs/reference/log.md; decision 0013

One thread writes, and one reads. What is asked of the writer while it waits for the disk is its next transaction: so
many streams that grow at once share one wait.
"""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from functools import partial
from os import PathLike
from pathlib import Path
from time import time

from anyio import CancelScope
from anyio.to_thread import run_sync

from streamfold.errors import LogUnusable
from streamfold.log import rows
from streamfold.log.append import require_beginning, require_series
from streamfold.log.diagnosis import Damage, Diagnosis, Durability
from streamfold.log.log import EventLog, Lease, Note, SavedCheckpoint, StreamInfo, Watch
from streamfold.log.record import Record, StreamKey
from streamfold.log.sqlite_file import Lock, connect, explain, make
from streamfold.log.sqlite_health import damages, diagnose
from streamfold.log.wake import Listener, Teller
from streamfold.log.watchers import Watchers
from streamfold.log.worker import CLOSED, CallSoon, Worker, current_call_soon

__all__ = ["SqliteLog"]

WAL_BYTES = 8 * 1024 * 1024  # beyond it the write-ahead log is moved into the file


class SqliteLog(EventLog):
    """Streams in a file. Use one in one event loop; any number of processes may share the file.

    path: of the file, made where there is none. clock: seconds since 1970.
    Raises: LogUnusable where the path cannot be such a file.
    """

    durability = Durability.POWER

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time) -> None:
        self._path = Path(path)
        self._clock = clock
        make(self._path)
        self._wal = Path(f"{self._path}-wal")
        self._lock = Lock(self._path)
        self._written = connect(self._path, may_write=True)
        self._looked_at = connect(self._path, may_write=False)
        self._teller = Teller(self._path)
        self._listener: Listener | None = None
        self._watchers = Watchers()
        self._writer = Worker(f"{self._path}", around=self._transaction)
        self._reader = Worker(f"{self._path}", around=self._look, most=1)
        self._has_dropped = False
        self._is_closed = False

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        """See EventLog."""
        require_beginning(first_number)
        return await self._write(
            lambda: rows.acquire(
                self._written, key, owner=owner, seconds=seconds, first_number=first_number, now=self._clock()
            )
        )

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """See EventLog."""
        return await self._write(lambda: rows.renew(self._written, lease, expires_at=self._clock() + seconds))

    async def release(self, lease: Lease) -> None:
        """See EventLog."""
        await self._write(lambda: rows.release(self._written, lease))

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        """See EventLog."""
        require_series(records)
        return await self._write(lambda: rows.append(self._written, lease, records, status=status), key=lease.key)

    async def info(self, key: StreamKey) -> StreamInfo | None:
        """See EventLog."""
        return await self._reader.do(lambda: rows.info(self._looked_at, key))

    async def read(self, key: StreamKey, *, after: int | None = None, limit: int = 500) -> list[Record]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.read(self._looked_at, key, after=after, limit=limit))

    def watch(self, key: StreamKey) -> AbstractAsyncContextManager[Watch]:
        """See EventLog."""
        if self._is_closed:
            raise LogUnusable(str(self._path), CLOSED)
        if self._listener is None:
            self._listener = Listener(self._path, partial(self._hear, current_call_soon()))
            self._teller.own = self._listener.address
        return self._watchers.watch(key)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.page(self._looked_at, tenant, after=after, limit=limit))

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.tenants(self._looked_at, after=after, limit=limit))

    async def request_cancel(self, key: StreamKey) -> None:
        """See EventLog."""
        await self._write(lambda: rows.request_cancel(self._written, key), key=key)

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        """See EventLog."""
        await self._write(lambda: rows.save_checkpoint(self._written, lease, checkpoint))

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        """See EventLog."""
        return await self._reader.do(lambda: rows.checkpoint(self._looked_at, key, at=at))

    async def note(self, lease: Lease, note: Note) -> None:
        """See EventLog."""
        await self._write(lambda: rows.note(self._written, lease, note), key=lease.key)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.notes(self._looked_at, key))

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        """See EventLog."""
        await self._write(lambda: rows.retain(self._written, key, until=until))

    async def expire(self, *, limit: int = 100) -> int:
        """See EventLog."""
        return await self._write(self._dropping(lambda: rows.expire(self._written, now=self._clock(), limit=limit)))

    async def drop(self, key: StreamKey) -> bool:
        """See EventLog."""
        return await self._write(self._dropping(lambda: rows.drop(self._written, key)), key=key)

    async def diagnose(self) -> Diagnosis:
        """See EventLog."""
        return await self._reader.do(lambda: diagnose(self._path, self._looked_at))

    async def damages(self) -> Sequence[Damage]:
        """See EventLog."""
        return await self._reader.do(lambda: damages(self._looked_at))

    async def aclose(self) -> None:
        """See EventLog."""
        if not self._is_closed:
            self._is_closed = True
            with CancelScope(shield=True):
                await run_sync(self._close)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._writer.close()
        self._reader.close()
        with self._lock.held():  # the last connection that is closed moves the write-ahead log into the file
            self._looked_at.close()
            self._written.close()
        self._teller.close()
        self._lock.close()

    # In the threads

    async def _write(self, run: Callable[[], rows.Result], *, key: StreamKey | None = None) -> rows.Result:
        result = await self._writer.do(run)
        if key is not None:
            self._watchers.tell([key])
        return result

    def _dropping(self, drop: Callable[[], rows.Result]) -> Callable[[], rows.Result]:
        def run() -> rows.Result:
            self._has_dropped = True
            return drop()

        return run

    @contextmanager
    def _transaction(self) -> Generator[None]:
        try:
            with self._lock.held():
                self._written.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._written.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # some failures have ended the transaction
                        self._written.execute("ROLLBACK")
                    raise
                # What was committed stays so: where this fails it is done after the next commit, and a disk that fails
                # for good fails that one.
                with suppress(sqlite3.Error, OSError):
                    self._tidy()
        except sqlite3.Error as error:
            raise explain(self._path, error) from error
        except OSError as error:  # as on a network's file system that has no locks
            raise LogUnusable(str(self._path), f"its lock cannot be held: {error.strerror}") from error
        self._teller.tell()

    def _tidy(self) -> None:
        if self._has_dropped:
            # A script runs it to its end, where a statement frees one page.
            self._written.executescript("PRAGMA incremental_vacuum;")
            self._has_dropped = False
        if self._wal.exists() and self._wal.stat().st_size > WAL_BYTES:
            self._written.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _look(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self._path, error) from error

    def _hear(self, call_soon: CallSoon) -> None:
        with suppress(RuntimeError):  # the loop is closed
            call_soon(self._watchers.tell)
