"""ValkeyLog: a log on Valkey or Redis, shared by any number of machines.

Everything that changes a stream is one step of one script (script.lua), which the server runs as a whole or not at all.
It needs asyncio, because redis-py does.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Self

from anyio import CancelScope
from msgspec.json import Decoder, Encoder

from streamfold.errors import InvalidArgument, LogConflict, LogUnusable, UnknownStream
from streamfold.log.append import says_the_same
from streamfold.log.limits import (
    NUMBER_END,
    page_of,
    require_first,
    require_owner,
    require_records,
    require_seconds,
    require_status,
    require_until,
)
from streamfold.log.log import CLOSED, READ_AT_ONCE, EventLog, Watch
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
from streamfold.log.tail import pages
from streamfold.log.valkey.address import Address
from streamfold.log.valkey.index import Index
from streamfold.log.valkey.notify import Channels
from streamfold.log.valkey.script import (
    Answer,
    encode_records,
    entry_of,
    milliseconds,
    missing,
    names_of,
    record_of,
    refuse,
    step,
)
from streamfold.log.valkey.servers import Servers
from streamfold.log.valkey.settings import durability_of, examine

WEEK_SECONDS = 7 * 86_400.0
FIRST_READ = 4  # records, where a read is bounded in bytes and the size of a record is not known yet
KNOWN_SIZES = 10_000  # streams of which the size of a record is remembered
NOT_OPEN = "it is not open; use it with `async with`"

_encode_note = Encoder().encode
_decode_note = Decoder(tuple[str, str, int | None, float]).decode


class ValkeyLog(EventLog):
    """A log on Valkey or Redis. Any number of processes on any number of machines may share it.

    If a replica or a disk does not confirm a write in time, the method raises LogUnusable. The write may or may not be
    stored, and you can repeat it.

    Args:
        url: valkey://[user:password@]host[:port]/db, with ?level=replica or ?level=disk for more durability, and
            cluster=true for a cluster. valkeys:// uses TLS.
        patience_seconds: How long to keep trying while no server can be reached.
        open_seconds: How long an unfinished stream is kept after its writer's lease ended, unless `retain` says
            otherwise.
        kept_seconds: How long a finished stream is kept, unless `retain` says otherwise. The server drops a stream by
            itself one day after `expire` could have.

    Raises:
        InvalidArgument: The URL or a duration is not valid.
        LogUnusable: On entry: no Valkey or Redis answers there, or its settings would lose records.
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
                raise InvalidArgument(name, f"must be greater than 0 and finite, got {value}")
        require_seconds("patience_seconds", patience_seconds)
        self._address = Address.parse(url)
        self.durability: Durability = durability_of(self._address.level)
        self._patience_seconds = patience_seconds
        self._open_life, self._kept_life = milliseconds(open_seconds), milliseconds(kept_seconds)
        self._channels: Channels | None = None  # once it was entered
        self._largest: dict[StreamKey, int] = {}  # the size of the largest record that was read of a stream
        self._is_closed = False

    async def __aenter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise LogUnusable(str(self._address), "it needs asyncio; with trio, use a SqliteLog") from None
        self._channels = Channels(Servers(self._address, patience_seconds=self._patience_seconds))
        try:
            self.durability = (await examine(self._channels.servers)).durability
        except BaseException:
            await self.aclose()
            raise
        return self

    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        require_first(first_number)
        require_owner(owner, seconds)
        # Before and after; index.py says why.
        await self._index().add(key)
        answer = await self._write(key, "acquire", owner, int(seconds * 1000), first_number, self._open_life)
        _, epoch, next_number, ends, is_new, expires = answer
        if is_new:
            await self._index().add(key)
            await self._index().schedule(key, int(expires))
        return Lease(key, owner, int(epoch), int(next_number), int(ends) / 1000)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        require_seconds("seconds", seconds)
        life = int(seconds * 1000)
        answer = await self._write(lease.key, "renew", lease.epoch, life, self._open_life, epoch=lease.epoch)
        return Lease(lease.key, lease.owner, lease.epoch, int(answer[1]), int(answer[2]) / 1000)

    async def release(self, lease: Lease) -> None:
        await self._write(lease.key, "release", lease.epoch)

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        require_records(records)
        require_status(status)
        # The script compares bytes. If some differ, it writes nothing and returns what is stored. Whether that is the same
        # event with other padding is decided here, and then only the new records are sent. Nobody else can have appended in
        # between: that takes a newer epoch, and the script would refuse ours.
        while True:
            answer = await self._append(lease, records, status)
            if answer[0] != b"differs":
                break
            records = _still_new(lease.key, records, int(answer[1]), answer[2])
        if status is not None:
            await self._index().schedule(lease.key, int(answer[2]))
        return int(answer[1])

    async def _append(self, lease: Lease, records: Sequence[Record], status: str | None) -> Answer:
        first = records[0].sequence_number if records else 0
        keys = names_of(lease.key).keys
        sizes, *encoded = encode_records(records)
        if status is None:
            command = step(keys[:3], "append", lease.epoch, first, sizes, *encoded)  # it needs these keys only
        else:
            command = step(keys, "finish", lease.epoch, first, sizes, self._kept_life, status, *encoded)
        answer = await self._servers().write(keys[0], command)
        refuse(answer, lease.key, epoch=lease.epoch, number=first)
        return answer

    async def info(self, key: StreamKey) -> StreamInfo | None:
        return await self._index().info(key)

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = READ_AT_ONCE, max_bytes: int | None = None
    ) -> list[Record]:
        begin = 0 if after is None else max(0, after + 1)
        if limit <= 0 or begin >= NUMBER_END:
            return []
        records = await self._range(key, begin, limit, max_bytes)
        if _begin_at(records, begin):
            return records
        expected = await self._first_from(key, begin)
        if expected is None or _begin_at(records, expected):
            return records
        records = await self._range(key, expected, limit, max_bytes)  # it may have been appended meanwhile
        if not _begin_at(records, expected):
            raise missing(key, expected)
        return records

    async def _range(self, key: StreamKey, begin: int, limit: int, max_bytes: int | None) -> list[Record]:
        """The records from the first one that is not before `begin`."""
        name = names_of(key).records
        records: list[Record] = []
        size = 0
        largest = self._largest.get(key, 0)
        while len(records) < limit:
            wanted = _wanted(limit - len(records), largest, None if max_bytes is None else max_bytes - size)
            entries = await self._servers().read(name, ("XRANGE", name, f"{begin}-0", "+", "COUNT", wanted))
            for entry in entries:
                record = entry_of(key, entry)
                if records and record.sequence_number != begin:
                    raise missing(key, begin)
                size += len(record.data)
                if len(record.data) > largest:
                    largest = self._note_largest(key, len(record.data))
                if max_bytes is not None and size > max_bytes and records:
                    return records
                records.append(record)
                begin = record.sequence_number + 1
            if len(entries) < wanted:
                break
        return records

    def _note_largest(self, key: StreamKey, size: int) -> int:
        """Note how large records of this stream are, so that the next read asks for as many as fit."""
        if len(self._largest) >= KNOWN_SIZES:
            self._largest.clear()
        self._largest[key] = size
        return size

    async def _first_from(self, key: StreamKey, number: int) -> int | None:
        """The first record from a number on that the stream must have; None if it need not have any."""
        info = await self.info(key)
        if info is None:
            return None
        expected = max(number, info.first_number)
        return expected if expected < info.next_number else None

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        return self._open().watch(key, growth=growth)

    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        return await self._index().streams(tenant, after=after, limit=page_of(limit))

    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        return await self._index().tenants(after=after, limit=page_of(limit))

    async def request_cancel(self, key: StreamKey) -> None:
        await self._write(key, "cancel")

    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        cursor, epoch = checkpoint.cursor, lease.epoch
        await self._write(lease.key, "save", epoch, cursor, checkpoint.data, epoch=epoch, number=cursor)

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        keys = names_of(key).keys
        match await self._servers().read(keys[0], step(keys, "checkpoint", "" if at is None else at)):
            case [b"done", cursor, data]:
                return SavedCheckpoint(int(cursor), data)
            case _:
                return None

    async def note(self, lease: Lease, note: Note) -> None:
        encoded = _encode_note((note.kind, note.text, note.after, note.at))
        await self._write(lease.key, "note", lease.epoch, encoded, epoch=lease.epoch)

    async def notes(self, key: StreamKey) -> Sequence[Note]:
        name = names_of(key).notes
        return [Note(*_decode_note(each)) for each in await self._servers().read(name, ("LRANGE", name, 0, -1))]

    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        # The index first: if the second step is lost, the stream is looked at too early, and lives on.
        require_until(until)
        expires = milliseconds(until)
        await self._index().schedule(key, expires)
        await self._write(key, "retain", expires)

    async def expire(self, *, limit: int = 100) -> int:
        return await self._index().expire(limit=page_of(limit))

    async def drop(self, key: StreamKey) -> bool:
        answer = await self._write(key, "drop")
        await self._index().forget(key)
        return bool(answer[1])

    async def diagnose(self) -> Diagnosis:
        return await examine(self._servers())

    async def damages(self) -> Sequence[Damage]:
        found: list[Damage] = []
        async for info in self.streams():
            # The server has no checksums of its own for values in memory: ours are checked as the records are decoded.
            try:
                async for _ in pages(self, info):
                    pass
            except UnknownStream:  # dropped meanwhile
                continue
            except LogUnusable as error:
                found.append(Damage(info.key, error.reason))
        return found

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            with CancelScope(shield=True):
                if self._channels is not None:
                    await self._channels.aclose()
                    await self._channels.servers.aclose()

    def _open(self) -> Channels:
        if self._is_closed or self._channels is None:
            raise LogUnusable(str(self._address), CLOSED if self._is_closed else NOT_OPEN)
        return self._channels

    def _servers(self) -> Servers:
        return self._open().servers

    def _index(self) -> Index:
        return Index(self._servers())

    async def _write(
        self, key: StreamKey, name: str, *given: str | bytes | int, epoch: int = 0, number: int = 0
    ) -> Answer:
        keys = names_of(key).keys
        answer = await self._servers().write(keys[0], step(keys, name, *given))
        refuse(answer, key, epoch=epoch, number=number)
        return answer


def _begin_at(records: Sequence[Record], number: int) -> bool:
    return bool(records) and records[0].sequence_number == number


def _wanted(limit: int, largest: int, max_bytes: int | None) -> int:
    """How many records to ask for next, if the largest of the stream had so many bytes; 0 if none is known."""
    # XRANGE bounds records, not bytes: begin small, then ask for as many as fit if none is larger than those before.
    wanted = min(limit, READ_AT_ONCE)
    if max_bytes is None:
        return wanted
    return min(wanted, max(1, max_bytes // largest) if largest else FIRST_READ)


def _still_new(
    key: StreamKey, records: Sequence[Record], next_number: int, stored: Sequence[Answer]
) -> Sequence[Record]:
    """The records that are new. `stored` has the number and the stored form of each of the others whose bytes differ.

    Raises LogConflict if one of them says something else, LogUnusable if it is damaged.
    """
    first = records[0].sequence_number
    for number, encoded in zip(map(int, stored[::2]), stored[1::2], strict=True):
        if encoded is None or not says_the_same(record_of(key, number, encoded).data, records[number - first].data):
            raise LogConflict(number)
    return records[next_number - first :]
