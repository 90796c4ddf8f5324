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
from contextlib import AbstractAsyncContextManager, closing, contextmanager, suppress
from functools import partial
from os import PathLike
from os.path import realpath
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
from streamfold.log.sqlite_diagnosis import diagnose
from streamfold.log.sqlite_file import FAILURES, connect, connect_to_read, explain, make
from streamfold.log.sqlite_health import damages
from streamfold.log.sqlite_writer import Writer
from streamfold.log.wake import Listener, Wake
from streamfold.log.watchers import Watchers
from streamfold.log.worker import CLOSED, CallSoon, Worker, current_call_soon

__all__ = ["SqliteLog"]


class SqliteLog(EventLog):
    """Streams in a file. Use one in one event loop; any number of processes may share the file.

    path: of the file, made where there is none. clock: seconds since 1970. may_write: else the file must be there, may
    be one that cannot be written, and whatever would write raises LogUnusable.
    Raises: LogUnusable where the path cannot be such a file.
    """

    durability = Durability.POWER

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time, may_write: bool = True) -> None:
        self._path = Path(realpath(path))  # so that all who share the file share what is beside it
        self._clock = clock
        self._writer = self._opened() if may_write else None
        self._looked_at = self._opened_to_read()
        self._reader = Worker(f"{self._path}", around=self._look, most=1)
        self._listener: Listener | None = None
        self._watchers = Watchers()
        self._is_closed = False

    def _opened(self) -> Writer:
        make(self._path)
        return Writer(self._path)

    def _opened_to_read(self) -> sqlite3.Connection:
        if self._writer is None:
            return connect_to_read(self._path)
        try:
            return connect(self._path, may_write=False)
        except BaseException:
            self._writer.close()
            raise

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        """See EventLog."""
        require_beginning(first_number)
        return await self._write(
            lambda written: rows.acquire(
                written, key, owner=owner, seconds=seconds, first_number=first_number, now=self._clock()
            )
        )

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """See EventLog."""
        return await self._write(lambda written: rows.renew(written, lease, expires_at=self._clock() + seconds))

    async def release(self, lease: Lease) -> None:
        """See EventLog."""
        await self._write(lambda written: rows.release(written, lease))

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        """See EventLog."""
        require_series(records)
        return await self._write(
            lambda written: rows.append(written, lease, records, status=status),
            key=lease.key,
            wake=Wake.GROWTH if status is None else Wake.CHANGE,
        )

    async def info(self, key: StreamKey) -> StreamInfo | None:
        """See EventLog."""
        return await self._reader.do(lambda: rows.info(self._looked_at, key), alike=key)

    async def read(self, key: StreamKey, *, after: int | None = None, limit: int = 500) -> list[Record]:
        """See EventLog."""
        found = await self._reader.do(
            lambda: rows.read(self._looked_at, key, after=after, limit=limit), alike=(key, after, limit)
        )
        return found.copy()

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        """See EventLog."""
        if self._is_closed:
            raise LogUnusable(str(self._path), CLOSED)
        if self._listener is None:
            self._listener = Listener(self._path, partial(self._hear, current_call_soon()))
            if self._writer is not None:
                self._writer.teller.own = self._listener.address
        return self._watchers.watch(key, growth=growth)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.page(self._looked_at, tenant, after=after, limit=limit))

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.tenants(self._looked_at, after=after, limit=limit))

    async def request_cancel(self, key: StreamKey) -> None:
        """See EventLog."""
        await self._write(lambda written: rows.request_cancel(written, key), key=key, wake=Wake.CHANGE)

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        """See EventLog."""
        await self._write(lambda written: rows.save_checkpoint(written, lease, checkpoint))

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        """See EventLog."""
        return await self._reader.do(lambda: rows.checkpoint(self._looked_at, key, at=at))

    async def note(self, lease: Lease, note: Note) -> None:
        """See EventLog."""
        await self._write(lambda written: rows.note(written, lease, note), key=lease.key, wake=Wake.GROWTH)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        """See EventLog."""
        return await self._reader.do(lambda: rows.notes(self._looked_at, key))

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        """See EventLog."""
        await self._write(lambda written: rows.retain(written, key, until=until))

    async def expire(self, *, limit: int = 100) -> int:
        """See EventLog."""
        return await self._write(
            lambda written: rows.expire(written, now=self._clock(), limit=limit), wake=Wake.CHANGE, drops=True
        )

    async def drop(self, key: StreamKey) -> bool:
        """See EventLog."""
        return await self._write(lambda written: rows.drop(written, key), key=key, wake=Wake.CHANGE, drops=True)

    async def diagnose(self) -> Diagnosis:
        """See EventLog."""
        return await self._reader.do(lambda: diagnose(self._path, self._looked_at))

    async def damages(self) -> Sequence[Damage]:
        """See EventLog. It has a connection of its own, for others read meanwhile."""
        if self._is_closed:
            raise LogUnusable(str(self._path), CLOSED)
        return await run_sync(self._damages)

    def _damages(self) -> Sequence[Damage]:
        with closing(self._opened_to_read()) as connection:
            return damages(connection)

    async def aclose(self) -> None:
        """See EventLog."""
        if not self._is_closed:
            self._is_closed = True
            with CancelScope(shield=True):
                await run_sync(self._close)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._reader.close()
        self._looked_at.close()
        if self._writer is not None:
            self._writer.close()

    async def _write(
        self,
        run: Callable[[sqlite3.Connection], rows.Result],
        *,
        key: StreamKey | None = None,
        wake: Wake = Wake.NOTHING,
        drops: bool = False,
    ) -> rows.Result:
        if self._writer is None:
            raise LogUnusable(str(self._path), CLOSED if self._is_closed else "it was opened with may_write=False")
        result = await self._writer.do(run, wake=wake, drops=drops)
        if key is not None:
            self._watchers.tell([key], growth=wake is Wake.GROWTH)
        return result

    # In the threads

    @contextmanager
    def _look(self) -> Generator[None]:
        try:
            self._looked_at.execute("BEGIN")  # whatever is read is of one moment
            try:
                yield
            finally:
                if self._looked_at.in_transaction:  # some failures have ended it
                    self._looked_at.execute("ROLLBACK")
        except FAILURES as error:
            raise LogUnusable(str(self._path), explain(error)) from error

    def _hear(self, call_soon: CallSoon, wake: Wake) -> None:
        with suppress(RuntimeError):  # the loop is closed
            call_soon(partial(self._watchers.tell, growth=wake is Wake.GROWTH))
