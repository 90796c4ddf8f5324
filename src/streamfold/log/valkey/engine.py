"""A log on Valkey or Redis, for many machines.

In      records
Out     the records again
Units   sequence numbers, seconds since 1970 by the server's clock
Errors  LogError and its kinds; LogUnusable for what becomes of the server
Source  docs/reference/log.md; decision 0014

Whatever changes a stream is one step of one script, so that it is done as a whole or not at all. On asyncio alone, for
that is what redis-py is made for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from types import TracebackType
from typing import Self

from anyio import CancelScope
from msgspec.json import Decoder, Encoder

from streamfold.errors import InvalidArgument, LogConflict, LogUnusable
from streamfold.log.append import require_beginning, require_series, says_the_same
from streamfold.log.diagnosis import Damage, Diagnosis, Durability
from streamfold.log.log import EventLog, Lease, Note, SavedCheckpoint, StreamInfo, Watch
from streamfold.log.record import Record, StreamKey
from streamfold.log.valkey.address import Address
from streamfold.log.valkey.catalogue import Catalogue
from streamfold.log.valkey.name import names_of
from streamfold.log.valkey.script import (
    Answer,
    entry_of,
    milliseconds,
    parts_of,
    record_of,
    refuse,
    require_small,
    seconds,
    step,
)
from streamfold.log.valkey.servers import Servers
from streamfold.log.valkey.settings import durability_of, examine
from streamfold.log.valkey.wake import Listener
from streamfold.log.worker import CLOSED

__all__ = ["ValkeyLog"]

WEEK_SECONDS = 7 * 86_400.0
READ_AT_ONCE = 500
NOT_OPEN = "it is not open yet; use it with `async with`"
HEAD = ("first", "next", "epoch", "owner", "lease", "status", "cancel", "created", "expires")

_encode_note = Encoder().encode
_decode_note = Decoder(tuple[str, str, int | None, float]).decode


class ValkeyLog(EventLog):
    """Streams on a Valkey or Redis. Any number of processes on any number of machines may share it.

    url: valkey://[user:password@]host[:port]/db, with ?level=replica or disk, and &cluster=true for a cluster.
    patience_seconds: how long an unreachable server is tried again. open_seconds, kept_seconds: for how long a stream
    stays after its writer's lease has ended, while it is open, and once it is finished, if `retain` says nothing else.
    Raises: InvalidArgument for a URL or a time that is none; LogUnusable, when entered, for a server that is none.
    """

    may_forget = True

    def __init__(
        self,
        url: str,
        *,
        patience_seconds: float = 20.0,
        open_seconds: float = WEEK_SECONDS,
        kept_seconds: float = WEEK_SECONDS,
    ) -> None:
        for name, value in (("open_seconds", open_seconds), ("kept_seconds", kept_seconds)):
            if not 0 < value < inf:
                raise InvalidArgument(name, f"must be more than 0 and finite, got {value}")
        self._address = Address.parse(url)
        self.durability: Durability = durability_of(self._address.level)
        self._patience_seconds = patience_seconds
        self._open_life, self._kept_life = milliseconds(open_seconds), milliseconds(kept_seconds)
        self._servers: Servers | None = None
        self._listener: Listener | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise LogUnusable(str(self._address), "it runs on asyncio alone; with trio, use a SqliteLog") from None
        self._servers = Servers(self._address, patience_seconds=self._patience_seconds)
        self._listener = Listener(self._servers)
        try:
            self.durability = (await examine(self._servers)).durability
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        """See EventLog."""
        require_beginning(first_number)
        require_small("first_number", first_number)
        await self._catalogue().enlist(key)
        answer = await self._write(key, "acquire", owner, int(seconds * 1000), first_number, self._open_life)
        _, epoch, next_number, ends, is_new, expires = answer
        if is_new:
            await self._catalogue().enlist(key)
            await self._catalogue().schedule(key, int(expires))
        return Lease(key, owner, int(epoch), int(next_number), int(ends) / 1000)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """See EventLog."""
        life = int(seconds * 1000)
        answer = await self._write(lease.key, "renew", lease.epoch, life, self._open_life, epoch=lease.epoch)
        return Lease(lease.key, lease.owner, lease.epoch, int(answer[1]), int(answer[2]) / 1000)

    async def release(self, lease: Lease) -> None:
        """See EventLog."""
        await self._write(lease.key, "release", lease.epoch)

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        """See EventLog.

        Raises: LogUnusable also where a replica or a disk did not keep it in time: it may be there or not; append it
        again.
        """
        require_series(records)
        if records:
            require_small("records", records[-1].sequence_number)
        while True:
            answer = await self._append(lease, records, status)
            if answer[0] != b"differs":
                break
            records = _still_new(lease.key, records, int(answer[1]), answer[2])
        if status is not None:
            await self._catalogue().schedule(lease.key, int(answer[2]))
        return int(answer[1])

    async def _append(self, lease: Lease, records: Sequence[Record], status: str | None) -> Answer:
        first = records[0].sequence_number if records else 0
        keys = names_of(lease.key).keys
        sizes, *kept = parts_of(records)
        if status is None:
            command = step(keys[:3], "append", lease.epoch, first, sizes, *kept)  # which needs the first keys alone
        else:
            command = step(keys, "finish", lease.epoch, first, sizes, self._kept_life, status, *kept)
        answer = await self._open().write(keys[0], command)
        refuse(answer, lease.key, epoch=lease.epoch, number=first)
        return answer

    async def info(self, key: StreamKey) -> StreamInfo | None:
        """See EventLog."""
        head = names_of(key).head
        return _info(key, await self._open().read(head, ("HMGET", head, *HEAD)))

    async def read(self, key: StreamKey, *, after: int | None = None, limit: int = 500) -> list[Record]:
        """See EventLog."""
        servers, kept = self._open(), names_of(key).records
        records: list[Record] = []
        begin = "-" if after is None else f"{max(0, after + 1)}-0"
        while len(records) < limit:
            asked = min(READ_AT_ONCE, limit - len(records))
            entries = await servers.read(kept, ("XRANGE", kept, begin, "+", "COUNT", asked))
            records += [entry_of(key, entry) for entry in entries]
            if len(entries) < asked:
                break
            begin = f"{records[-1].sequence_number + 1}-0"
        return records

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        """See EventLog."""
        self._open()
        listener = self._listener
        if listener is None:
            raise LogUnusable(str(self._address), NOT_OPEN)
        return listener.watch(key, growth=growth)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        """See EventLog."""
        return await self._catalogue().streams(tenant, self.info, after=after, limit=limit)

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        """See EventLog."""
        return await self._catalogue().tenants(self.info, after=after, limit=limit)

    async def request_cancel(self, key: StreamKey) -> None:
        """See EventLog."""
        await self._write(key, "cancel")

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        """See EventLog."""
        cursor, epoch = checkpoint.cursor, lease.epoch
        await self._write(lease.key, "save", epoch, cursor, checkpoint.data, epoch=epoch, number=cursor)

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        """See EventLog."""
        keys = names_of(key).keys
        match await self._open().read(keys[0], step(keys, "checkpoint", "" if at is None else at)):
            case [b"done", cursor, data]:
                return SavedCheckpoint(int(cursor), data)
            case _:
                return None

    async def note(self, lease: Lease, note: Note) -> None:
        """See EventLog."""
        said = _encode_note((note.kind, note.text, note.after, note.at))
        await self._write(lease.key, "note", lease.epoch, said, epoch=lease.epoch)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        """See EventLog."""
        kept = names_of(key).notes
        return [Note(*_decode_note(each)) for each in await self._open().read(kept, ("LRANGE", kept, 0, -1))]

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        """See EventLog."""
        expires = milliseconds(until)
        await self._catalogue().schedule(key, expires)
        await self._write(key, "retain", expires)

    async def expire(self, *, limit: int = 100) -> int:
        """See EventLog. What nobody drops the server drops by itself, a day after it may be."""
        return await self._catalogue().expire(limit=limit)

    async def drop(self, key: StreamKey) -> bool:
        """See EventLog."""
        answer = await self._write(key, "drop")
        await self._catalogue().forget(key)
        return bool(answer[1])

    async def diagnose(self) -> Diagnosis:
        """See EventLog."""
        return await examine(self._open())

    async def damages(self) -> Sequence[Damage]:
        """See EventLog."""
        found: list[Damage] = []
        async for info in self._catalogue().everything(self.info):
            if reason := await self._damage(info):
                found.append(Damage(info.key, reason))
        return found

    async def _damage(self, info: StreamInfo) -> str:
        needed = info.first_number
        try:
            while records := await self.read(info.key, after=needed - 1):
                for each in records:
                    if each.sequence_number != needed:
                        return f"record {needed} is missing"
                    needed += 1
        except LogUnusable as error:
            return error.reason
        return f"record {needed} is missing" if needed < info.next_number else ""

    async def aclose(self) -> None:
        """See EventLog."""
        if not self._is_closed:
            self._is_closed = True
            with CancelScope(shield=True):
                if self._listener is not None:
                    await self._listener.aclose()
                if self._servers is not None:
                    await self._servers.aclose()

    def _open(self) -> Servers:
        if self._is_closed:
            raise LogUnusable(str(self._address), CLOSED)
        if self._servers is None:
            raise LogUnusable(str(self._address), NOT_OPEN)
        return self._servers

    def _catalogue(self) -> Catalogue:
        return Catalogue(self._open())

    async def _write(
        self, key: StreamKey, name: str, *given: str | bytes | int, epoch: int = 0, number: int = 0
    ) -> Answer:
        keys = names_of(key).keys
        answer = await self._open().write(keys[0], step(keys, name, *given))
        refuse(answer, key, epoch=epoch, number=number)
        return answer


def _still_new(
    key: StreamKey, records: Sequence[Record], next_number: int, stored: Sequence[Answer]
) -> Sequence[Record]:
    """The records that are not there yet, where those that are say the same in other bytes.

    stored: the number of each that has others there, and what is kept of it.
    Raises: LogConflict; LogUnusable for one that is not as it was written.
    """
    first = records[0].sequence_number
    for number, kept in zip(map(int, stored[::2]), stored[1::2], strict=True):
        if kept is None or not says_the_same(record_of(key, number, kept).data, records[number - first].data):
            raise LogConflict(number)
    return records[next_number - first :]


def _info(key: StreamKey, head: Answer) -> StreamInfo | None:
    first, next_number, epoch, owner, lease, status, cancel, created, expires = head
    if epoch is None:
        return None
    return StreamInfo(
        key=key,
        first_number=int(first),
        next_number=int(next_number),
        epoch=int(epoch),
        owner=owner.decode(),
        lease_expires_at=int(lease) / 1000,
        status=None if status is None else status.decode(),
        is_cancel_requested=cancel is not None,
        created_at=int(created) / 1000,
        expires_at=seconds(expires),
    )
