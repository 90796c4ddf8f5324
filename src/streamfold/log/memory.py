"""MemoryLog: a log in the memory of one process, and the readable reference of what a log does.

It is the shortest complete implementation of EventLog: read it before you write an engine. No method awaits anything
between reading and writing, so each is one atomic step without a lock. It shares the rules of `append` with the SQLite
engine; the contract compares all engines with the same checks. SQLite's own `:memory:` would not do instead: it would
test the SQLite engine against itself, and need a thread for every log in a test.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import time
from typing import Any

from attrs import define, evolve, field

from streamfold.errors import LeaseHeld, LogGap, LogUnusable, UnknownStream, WriterFenced
from streamfold.log.append import StreamHead, lease_end, new_records, next_epoch
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
    fitting,
)


@define
class _MemoryStream:
    info: StreamInfo
    records: list[Record] = field(factory=list[Record])
    checkpoints: dict[int, bytes] = field(factory=dict[int, bytes])
    notes: list[Note] = field(factory=list[Note])

    # The head is a value: a caller keeps the one of that moment, as with an engine that reads it from a store.
    def change(self, **changes: Any) -> None:
        self.info = evolve(self.info, **changes)

    def lease(self) -> Lease:
        info = self.info
        return Lease(info.key, info.owner, info.epoch, info.next_number, info.lease_expires_at)

    def between(self, first: int, end: int) -> list[Record]:
        first_number = self.info.first_number
        return self.records[max(0, first - first_number) : max(0, end - first_number)]


class MemoryLog(EventLog):
    """A log that ends with the process, for tests and for data that need not outlive it.

    Args:
        clock: Returns seconds since 1970.
    """

    durability = Durability.MEMORY

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._streams: dict[StreamKey, _MemoryStream] = {}
        self._subscriptions = Subscriptions()
        self._is_closed = False

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        streams = self._open()
        require_first(first_number)
        require_owner(owner, seconds)
        now = self._clock()
        stream = streams.get(key)
        if stream is None:
            info = StreamInfo(key=key, first_number=first_number, next_number=first_number, epoch=0, created_at=now)
            stream = streams[key] = _MemoryStream(info)
        info = stream.info
        if info.owner not in {"", owner} and info.lease_expires_at > now:
            ends_at = lease_end(info.lease_expires_at, length=info.lease_seconds, now=now)
            stream.change(lease_expires_at=ends_at)
            raise LeaseHeld(info.owner, ends_at - now)
        stream.change(
            epoch=next_epoch(info.epoch, now=now), owner=owner, lease_expires_at=now + seconds, lease_seconds=seconds
        )
        return stream.lease()

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        require_seconds("seconds", seconds)
        stream = self._written_by(lease)
        stream.change(lease_expires_at=self._clock() + seconds, lease_seconds=seconds)
        return stream.lease()

    async def release(self, lease: Lease) -> None:
        stream = self._open().get(lease.key)
        if stream is not None and stream.info.epoch == lease.epoch:
            stream.change(owner="", lease_expires_at=0.0)

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        require_status(status)
        stream = self._stream(lease.key)
        info = stream.info
        head = StreamHead(info.next_number, info.epoch, info.is_finished)
        new = new_records(head, records, epoch=lease.epoch, stored=stream.between)
        stream.records += new
        stream.change(next_number=info.next_number + len(new), status=info.status or status)
        self._subscriptions.notify([lease.key], growth=status is None)
        return stream.info.next_number

    async def info(self, key: StreamKey) -> StreamInfo | None:
        stream = self._open().get(key)
        return None if stream is None else stream.info

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = READ_AT_ONCE, max_bytes: int | None = None
    ) -> list[Record]:
        stream = self._open().get(key)
        if stream is None:
            return []
        first_number = stream.info.first_number
        first = first_number if after is None else max(first_number, after + 1)
        page = stream.between(first, first + limit)
        return page if max_bytes is None else fitting(page, max_bytes)

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        self._open()
        return self._subscriptions.watch(key, growth=growth)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        streams = self._open()
        found = sorted(key.response_id for key in streams if key.tenant == tenant)
        begin = 0 if after is None else bisect_right(found, after)
        return [streams[StreamKey(tenant, each)].info for each in found[begin : begin + limit]]

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        # Sorted for each page: slow for many tenants, and never out of date.
        found = sorted({key.tenant for key in self._open()})
        begin = 0 if after is None else bisect_right(found, after)
        return found[begin : begin + limit]

    async def request_cancel(self, key: StreamKey) -> None:
        self._stream(key).change(is_cancel_requested=True)
        self._subscriptions.notify([key])

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        stream = self._written_by(lease)
        if checkpoint.cursor >= stream.info.next_number:
            raise LogGap(stream.info.next_number, checkpoint.cursor)
        stream.checkpoints[checkpoint.cursor] = checkpoint.data

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        stream = self._open().get(key)
        saved = {} if stream is None else stream.checkpoints
        cursor = max((each for each in saved if at is None or each <= at), default=None)
        return None if cursor is None else SavedCheckpoint(cursor, saved[cursor])

    async def note(self, lease: Lease, note: Note) -> None:
        self._written_by(lease).notes.append(note)
        self._subscriptions.notify([lease.key], growth=True)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        stream = self._open().get(key)
        return [] if stream is None else list(stream.notes)

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        require_until(until)
        self._stream(key).change(expires_at=until)

    async def expire(self, *, limit: int = 100) -> int:
        now = self._clock()
        infos = [stream.info for stream in self._open().values()]
        overdue = [info.key for info in infos if info.expires_at is not None and info.expires_at <= now][:limit]
        for key in overdue:
            await self.drop(key)
        return len(overdue)

    async def drop(self, key: StreamKey) -> bool:
        was_there = self._open().pop(key, None) is not None
        self._subscriptions.notify([key])
        return was_there

    async def diagnose(self) -> Diagnosis:
        self._open()
        return Diagnosis(
            engine="memory",
            durability=self.durability,
            settings={},
            unsafe=("every record ends with the process; for a durable log, pass sqlite:PATH to open_log",),
        )

    async def damages(self) -> Sequence[Damage]:
        self._open()
        return []

    async def aclose(self) -> None:
        self._is_closed = True

    def _open(self) -> dict[StreamKey, _MemoryStream]:
        if self._is_closed:
            raise LogUnusable("the log in memory", CLOSED)
        return self._streams

    def _stream(self, key: StreamKey) -> _MemoryStream:
        stream = self._open().get(key)
        if stream is None:
            raise UnknownStream(key.tenant, key.response_id)
        return stream

    def _written_by(self, lease: Lease) -> _MemoryStream:
        stream = self._stream(lease.key)
        if stream.info.epoch != lease.epoch:
            raise WriterFenced(lease.epoch, stream.info.epoch)
        return stream
