"""SqliteLog: a log in one file. Records survive a crash of the process and a power failure.

One thread writes and one reads; writer.py explains how many appends share one commit.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager, suppress
from functools import partial
from os import PathLike
from os.path import realpath
from pathlib import Path
from time import time
from typing import Concatenate, ParamSpec, TypeVar

from anyio import CancelScope
from anyio.to_thread import run_sync

from streamfold.errors import LogUnusable
from streamfold.log.limits import require_first, require_owner, require_seconds, require_status, require_until
from streamfold.log.log import CLOSED, READ_AT_ONCE, EventLog, Subscriptions, Watch
from streamfold.log.record import (
    Damage,
    Diagnosis,
    Durability,
    Lease,
    Note,
    Record,
    SavedCheckpoint,
    StreamInfo,
    StreamKey,
)
from streamfold.log.sqlite import queries
from streamfold.log.sqlite.file import FAILURES, Files, connect, connect_to_read, explain, make
from streamfold.log.sqlite.health import damages, diagnose
from streamfold.log.sqlite.notify import Listener, Notification
from streamfold.log.sqlite.writer import CallSoon, Worker, Writer, current_call_soon

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class SqliteLog(EventLog):
    """A log in one SQLite file. Any number of processes on one machine may share the file.

    Use an instance in one event loop only.

    Args:
        path: The file. It is created if it does not exist, readable by its owner alone.
        clock: Returns seconds since 1970.
        may_write: If false, the file must exist, may be read-only, and every method that writes raises LogUnusable.

    Raises:
        LogUnusable: The path cannot hold a log; the message says why and what to do.
    """

    durability = Durability.POWER

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time, may_write: bool = True) -> None:
        self._path = Path(realpath(path))  # locks and notifications are found by it, so every process needs the same
        if may_write:
            make(self._path)
        self._writer = Writer(self._path, clock=clock) if may_write else None
        self._connection = self._open_to_read()
        self._files = Files(self._path) if self._writer is None else self._writer.files
        self._reader = Worker(f"{self._path}", around=self._snapshot, max_jobs=1)
        self._listener: Listener | None = None
        self._subscriptions = Subscriptions()
        self._is_closed = False

    def _open_to_read(self) -> sqlite3.Connection:
        if self._writer is None:
            return connect_to_read(self._path)
        try:
            return connect(self._path, may_write=False)
        except BaseException:
            self._writer.close()
            raise

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        require_first(first_number)
        require_owner(owner, seconds)
        return await self._write(queries.acquire, key, owner=owner, seconds=seconds, first_number=first_number)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        require_seconds("seconds", seconds)
        return await self._write(queries.renew, lease, seconds=seconds)

    async def release(self, lease: Lease) -> None:
        await self._write(queries.release, lease)

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        require_status(status)
        # Other processes are notified by the writer thread. Our own readers are woken here, without a socket between.
        next_number = await self._write(queries.append, lease, records, status=status)
        self._subscriptions.notify([lease.key], growth=status is None)
        return next_number

    async def info(self, key: StreamKey) -> StreamInfo | None:
        return await self._read(queries.info, key)

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = READ_AT_ONCE, max_bytes: int | None = None
    ) -> list[Record]:
        found = await self._read(queries.read, key, after=after, limit=limit, max_bytes=max_bytes)
        return found.copy()  # others may have the same list

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        if self._is_closed:
            raise LogUnusable(str(self._path), CLOSED)
        if self._listener is None:
            # Only a log that is watched has a socket: processes that only write are not sent anything.
            self._listener = Listener(self._path, partial(self._hear, current_call_soon()))
            if self._writer is not None:
                self._writer.notifier.own = self._listener.address
        return self._subscriptions.watch(key, growth=growth)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        return await self._read(queries.streams, tenant, after=after, limit=limit)

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        return await self._read(queries.tenants, after=after, limit=limit)

    async def request_cancel(self, key: StreamKey) -> None:
        await self._write(queries.request_cancel, key)
        self._subscriptions.notify([key])

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        await self._write(queries.save_checkpoint, lease, checkpoint)

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        return await self._read(queries.checkpoint, key, at=at)

    async def note(self, lease: Lease, note: Note) -> None:
        await self._write(queries.note, lease, note)
        self._subscriptions.notify([lease.key], growth=True)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        return await self._read(queries.notes, key)

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        require_until(until)
        await self._write(queries.retain, key, until=until)

    async def expire(self, *, limit: int = 100) -> int:
        return await self._write(queries.expire, limit=limit)

    async def drop(self, key: StreamKey) -> bool:
        was_there = await self._write(queries.drop, key)
        self._subscriptions.notify([key])
        return was_there

    async def diagnose(self) -> Diagnosis:
        return await self._read(diagnose, self._path)

    async def damages(self) -> Sequence[Damage]:
        if self._is_closed:
            raise LogUnusable(str(self._path), CLOSED)
        return await run_sync(self._damages)

    def _damages(self) -> Sequence[Damage]:
        # On a connection and a thread of its own: it reads the whole file, and other readers must not wait for that.
        with closing(self._open_to_read()) as connection:
            return damages(connection)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            with CancelScope(shield=True):
                await run_sync(self._close)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._reader.close()
        self._connection.close()
        if self._writer is not None:
            self._writer.close()

    # Both return the awaitable of the worker itself: a coroutine of our own in between would cost each append a step.

    def _write(
        self,
        query: Callable[Concatenate[queries.Transaction, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Awaitable[Result]:
        if self._writer is None:
            raise LogUnusable(str(self._path), CLOSED if self._is_closed else "it was opened with may_write=False")
        return self._writer.write(query, *args, **kwargs)

    def _read(
        self,
        query: Callable[Concatenate[sqlite3.Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Awaitable[Result]:
        # All tails of a stream wake at once and ask for the same page: those that wait share one query.
        key = (query, args, *kwargs.values())
        return self._reader.run(partial(query, self._connection, *args, **kwargs), dedupe_key=key)

    # In the threads

    @contextmanager
    def _snapshot(self) -> Generator[None]:
        self._files.require()
        try:
            self._connection.execute("BEGIN")  # all statements of one query see the same moment
            try:
                yield
            finally:
                if self._connection.in_transaction:  # some failures have ended it
                    self._connection.execute("ROLLBACK")
        except FAILURES as error:
            raise LogUnusable(str(self._path), explain(error)) from error

    def _hear(self, call_soon: CallSoon, notification: Notification) -> None:
        with suppress(RuntimeError):  # the loop is closed
            call_soon(partial(self._subscriptions.notify, growth=notification is Notification.GROWTH))
