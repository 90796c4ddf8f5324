"""Engines that break one promise each: what shows that a check can fail."""

from collections.abc import Sequence
from typing import Any

from anyio.lowlevel import checkpoint

from streamfold.errors import LogConflict, LogGap
from streamfold.log import (
    Damage,
    EventLog,
    Lease,
    MemoryLog,
    Note,
    Record,
    SavedCheckpoint,
    StreamInfo,
    StreamKey,
)


class InventsStreams(MemoryLog):
    async def info(self, key: StreamKey) -> StreamInfo | None:
        return await super().info(key) or StreamInfo(key=key, first_number=0, next_number=0, epoch=1)


class Trims(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        cut = [Record(each.sequence_number, each.name, each.data.strip()) for each in records]
        return await super().append(lease, cut, status=status)


class ReadsTooMuch(MemoryLog):
    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = 500, max_bytes: int | None = None
    ) -> list[Record]:
        return await super().read(key, after=after, limit=limit)


class AppendsTwice(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        next_number = stream.info.next_number
        stream.records += [Record(next_number + n, each.name, each.data) for n, each in enumerate(records)]
        stream.change(next_number=next_number + len(records))
        return stream.info.next_number


class ComparesBytes(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        for each in records:
            for there in await self.read(lease.key, after=each.sequence_number - 1, limit=1):
                if there != each:
                    raise LogConflict(each.sequence_number)
        return await super().append(lease, records, status=status)


class LooksThenWrites(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        new = [each for each in records if each.sequence_number >= stream.info.next_number]
        await checkpoint()
        stream.records += new
        stream.change(next_number=stream.info.next_number + len(new))
        return stream.info.next_number


class WritesBeforeItLooks(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        next_number = self._stream(lease.key).info.next_number
        new = [each for each in records if each.sequence_number >= next_number]
        if new and new[0].sequence_number == next_number:
            await super().append(lease, new, status=status)
        return await super().append(lease, records, status=status)


class LeavesHoles(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        try:
            return await super().append(lease, records, status=status)
        except LogGap as gap:
            moved = [Record(gap.next_number + n, each.name, each.data) for n, each in enumerate(records)]
            return await super().append(lease, moved, status=status)


class BeginsAtZero(MemoryLog):
    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        return await super().acquire(key, owner=owner, seconds=seconds)


class NeverEnds(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        return await super().append(lease, records)


class OneForAll(MemoryLog):
    def _stream(self, key: StreamKey) -> Any:
        return super()._stream(StreamKey("tenant", key.response_id))

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = 500, max_bytes: int | None = None
    ) -> list[Record]:
        return await super().read(StreamKey("tenant", key.response_id), after=after, limit=limit, max_bytes=max_bytes)


class FencesNobody(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        current = Lease(lease.key, lease.owner, stream.info.epoch, lease.next_number, lease.expires_at)
        return await super().append(current, records, status=status)


class LeasesToAll(MemoryLog):
    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        if key in self._streams:
            self._streams[key].change(owner="")
        return await super().acquire(key, owner=owner, seconds=seconds, first_number=first_number)


class KeepsLeases(MemoryLog):
    async def release(self, lease: Lease) -> None:
        pass


class CountsEpochs(MemoryLog):
    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        lease = await super().acquire(key, owner=owner, seconds=seconds, first_number=first_number)
        self._streams[key].change(epoch=1)
        return Lease(key, owner, 1, lease.next_number, lease.expires_at)


class ClosedFirst(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        if records and stream.info.status is not None and lease.epoch == stream.info.epoch:
            records = [Record(stream.info.next_number, "late", b"")]
        return await super().append(lease, records, status=status)


class RepeatsToTails(MemoryLog):
    has_repeated = False

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = 500, max_bytes: int | None = None
    ) -> list[Record]:
        found = await super().read(key, after=after, limit=limit, max_bytes=max_bytes)
        if found and not self.has_repeated:
            self.has_repeated = True
            return [found[0], *found]
        return found


class ForgetsAndDenies(MemoryLog):
    async def drop(self, key: StreamKey) -> bool:
        self._stream(key).records.clear()
        return True


class HearsNoCancel(MemoryLog):
    async def request_cancel(self, key: StreamKey) -> None:
        self._stream(key)
        self._subscriptions.notify([key])


class KeepsFirstCheckpoint(MemoryLog):
    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        if await self.checkpoint(lease.key) is None:
            await super().save_checkpoint(lease, checkpoint)


class KeepsLastNote(MemoryLog):
    async def note(self, lease: Lease, note: Note) -> None:
        self._stream(lease.key).notes.clear()
        await super().note(lease, note)


class ListsTenantsTwice(MemoryLog):
    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        return sorted(key.tenant for key in self._streams if after is None or key.tenant > after)[:limit]


class FindsDamage(MemoryLog):
    async def damages(self) -> Sequence[Damage]:
        return [Damage(None, "everything")]


class ListsAll(MemoryLog):
    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        found = [await self.info(key) for key in self._streams]
        return [each for each in found if each is not None and (after is None or each.key.response_id > after)]


class DropsAll(MemoryLog):
    async def expire(self, *, limit: int = 100) -> int:
        for key in list(self._streams):
            await self.drop(key)
        return 1


class NeverCloses(MemoryLog):
    async def aclose(self) -> None:
        pass


class KeepsForeverOrNot(MemoryLog):
    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        self._stream(key).change(expires_at=until)


class BoundsNames(MemoryLog):
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        return await super().append(lease, [each for each in records if len(each.name) < 100], status=status)


class CountsIn64Bits(MemoryLog):
    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        assert at is None or abs(at) < 2**63
        return await super().checkpoint(key, at=at)


class WaitsForTheClock(MemoryLog):
    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        renewed = await super().renew(lease, seconds=seconds)
        self._stream(lease.key).change(lease_seconds=0.0)
        return renewed


# Which check finds which engine out.
BROKEN: dict[str, type[EventLog]] = {
    "a stream does not exist before it is acquired": InventsStreams,
    "records are read back as they were appended, from any number on": Trims,
    "a page stops before max_bytes, but has at least one record": ReadsTooMuch,
    "appending a record again does not store it twice": AppendsTwice,
    "the same event with different padding is the same record": ComparesBytes,
    "a record that conflicts with a stored one is refused, with all that came with it": WritesBeforeItLooks,
    "a gap is refused, and the error names the record that is needed": LeavesHoles,
    "a stream may start at any number": BeginsAtZero,
    "no record follows the end": NeverEnds,
    "a stream may be finished without another record": NeverEnds,
    "streams and tenants do not see each other": OneForAll,
    "a stream has one writer until its lease expires": LeasesToAll,
    "acquiring again fences the earlier lease of the same owner": FencesNobody,
    "a released stream can be acquired at once": KeepsLeases,
    "the epoch rises across a drop of the stream": CountsEpochs,
    "an append is refused for the first of four reasons": ClosedFirst,
    "of several writers that race for a number, one wins": LooksThenWrites,
    "a tail yields every record once and ends with the stream": RepeatsToTails,
    "a tail of a dropped stream raises UnknownStream": ForgetsAndDenies,
    "a cancel request wakes those who wait for it": HearsNoCancel,
    "the newest checkpoint up to a number is found": KeepsFirstCheckpoint,
    "notes keep their order and are dropped with their stream": KeepsLastNote,
    "tenants are listed page by page, each once": ListsTenantsTwice,
    "an intact log reports no damage, and its settings": FindsDamage,
    "a tenant's streams are listed page by page": ListsAll,
    "expire drops what is due and nothing else": DropsAll,
    "a closed log raises LogUnusable": NeverCloses,
    "what no log can hold is refused, and only that": KeepsForeverOrNot,
    "a name, a note or a checkpoint that no log can hold cannot be made": BoundsNames,
    "a question with any number is answered": CountsIn64Bits,
    "a lease is waited for no longer than it lasts, even if the clock is set back": WaitsForTheClock,
}
