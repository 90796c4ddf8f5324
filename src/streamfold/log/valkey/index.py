"""The indexes: which tenants and streams exist, and which streams may be dropped. They are hints, never the truth.

The truth is the head of each stream, which is read here too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from streamfold.log.record import StreamInfo, StreamKey
from streamfold.log.valkey.script import EXPIRING, TENANTS, key_of, names_of, seconds, step, streams_of
from streamfold.log.valkey.servers import Servers

# Theory of operation. An index is on another server than the streams that it names, so no step can change both at once.
# A stream is written to its index before it is created and once more after. What an index names is looked up before it
# is reported, and removed if it is gone. Removing races with creating: so the remover looks once more after the removal,
# and the creator's second write comes after the creation. In every order, a stream that exists ends up in its index.
#
# All members of a listing have the score 0, so that the server orders them by their bytes.

HEAD = ("first", "next", "epoch", "owner", "lease", "length", "status", "cancel", "created", "expires")

Found = TypeVar("Found")
LookUp: TypeAlias = Callable[[str], Awaitable[Found | None]]


class Index:
    """The indexes of tenants, of each tenant's streams, and of when streams may be dropped."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def info(self, key: StreamKey) -> StreamInfo | None:
        name = names_of(key).head
        head = await self._servers.read(name, ("HMGET", name, *HEAD))
        first, next_number, epoch, owner, lease, length, status, cancel, created, expires = head
        if epoch is None:
            return None
        return StreamInfo(
            key=key,
            first_number=int(first),
            next_number=int(next_number),
            epoch=int(epoch),
            owner=owner.decode(),
            lease_expires_at=int(lease) / 1000,
            lease_seconds=int(length or 0) / 1000,
            status=None if status is None else status.decode(),
            is_cancel_requested=cancel is not None,
            created_at=int(created) / 1000,
            expires_at=seconds(expires),
        )

    async def add(self, key: StreamKey) -> None:
        """Add a stream. Call it before the stream is created and after."""
        await asyncio.gather(self._put(TENANTS, key.tenant), self._put(streams_of(key.tenant), key.response_id))

    async def schedule(self, key: StreamKey, expires: int) -> None:
        """Note when a stream may be dropped, in milliseconds since 1970; 0 means never."""
        if expires:
            await self._servers.write(EXPIRING, ("ZADD", EXPIRING, expires, names_of(key).tag))

    async def forget(self, key: StreamKey) -> None:
        """Remove a stream that was dropped, unless it was created again."""
        await self._remove(streams_of(key.tenant), key.response_id, self._stream_of(key.tenant))

    async def streams(self, tenant: str, *, after: str | None, limit: int) -> list[StreamInfo]:
        return await self._page(streams_of(tenant), self._stream_of(tenant), after=after, limit=limit)

    def _stream_of(self, tenant: str) -> LookUp[StreamInfo]:
        return lambda response_id: self.info(StreamKey(tenant, response_id))

    async def tenants(self, *, after: str | None, limit: int) -> list[str]:

        async def look_up(tenant: str) -> str | None:
            return tenant if await self.streams(tenant, after=None, limit=1) else None

        return await self._page(TENANTS, look_up, after=after, limit=limit)

    async def expire(self, *, limit: int) -> int:
        """Drop streams whose retention has ended, and return how many were dropped."""
        # The script that drops a stream looks at its own expiry, not at the index, which may be stale: `retain` writes the index
        # first. A stream that lives on gets its entry moved to when it is due.
        dropped = 0
        seen: set[bytes] = set()
        while dropped < limit:
            _, due = await self._servers.write(EXPIRING, step([EXPIRING], "due", limit - dropped))
            fresh = [(tag, score) for tag, score in zip(due[::2], due[1::2], strict=True) if tag not in seen]
            if not fresh:  # servers' clocks differ: the rest is due by one of them only
                break
            for tag, score in fresh:
                seen.add(tag)
                dropped += await self._expire(tag, score)
        return dropped

    async def _expire(self, tag: bytes, score: bytes) -> bool:
        key = key_of(tag.decode())
        keys = names_of(key).keys
        answer = await self._servers.write(keys[0], step(keys, "expire"))
        match answer:
            case [b"kept", expires] if int(expires):
                await self._servers.write(EXPIRING, step([EXPIRING], "move", tag, score, expires))
            case _:
                await self._servers.write(EXPIRING, step([EXPIRING], "move", tag, score))
        if answer[0] == b"dropped":
            await self.forget(key)
        return bool(answer[0] == b"dropped")

    async def _page(self, index: str, look_up: LookUp[Found], *, after: str | None, limit: int) -> list[Found]:
        # An entry whose stream is gone is removed, and does not count: so a page may take several reads, and only a read that
        # returns fewer entries than asked for is the end.
        found: list[Found] = []
        begin = b"-" if after is None else b"(" + after.encode()
        while len(found) < limit:
            asked = limit - len(found)
            entries: Sequence[bytes] = await self._servers.read(
                index, ("ZRANGE", index, begin, "+", "BYLEX", "LIMIT", 0, asked)
            )
            names = [entry.decode() for entry in entries]
            there = await asyncio.gather(*(look_up(each) for each in names))
            for name, each in zip(names, there, strict=True):
                if each is None:
                    await self._remove(index, name, look_up)
                else:
                    found.append(each)
            if len(entries) < asked:
                break
            begin = b"(" + entries[-1]
        return found

    async def _put(self, index: str, entry: str) -> None:
        await self._servers.write(index, ("ZADD", index, 0, entry))

    async def _remove(self, index: str, entry: str, look_up: LookUp[Found]) -> None:
        await self._servers.write(index, ("ZREM", index, entry))
        # A stream created at this moment is either seen here, or its creator adds it to the index after this removal.
        if await look_up(entry) is not None:
            await self._put(index, entry)
