"""The indexes: which tenants and streams exist, and which streams may be dropped. They are hints, never the truth."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from streamfold.log.record import StreamInfo, StreamKey
from streamfold.log.valkey.script import EXPIRING, TENANTS, key_of, names_of, step, streams_of
from streamfold.log.valkey.servers import Servers

# Theory of operation. An index is on another server than the streams that it names, so no step can change both at once.
# A stream is written to its index before it is created and once more after. What an index names is looked up before it
# is reported, and removed if it is gone. Removing races with creating: so the remover looks once more after the removal,
# and the creator's second write comes after the creation. In every order, a stream that exists ends up in its index.
#
# All members of a listing have the score 0, so that the server orders them by their bytes.

Look = Callable[[StreamKey], Awaitable[StreamInfo | None]]
Found = TypeVar("Found")


class Index:
    """The indexes of tenants, of each tenant's streams, and of when streams may be dropped."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def add(self, key: StreamKey) -> None:
        """Add a stream. Call it before the stream is created and after."""
        await asyncio.gather(self._put(TENANTS, key.tenant), self._put(streams_of(key.tenant), key.response_id))

    async def schedule(self, key: StreamKey, expires: int) -> None:
        """Note when a stream may be dropped, in milliseconds since 1970; 0 means never."""
        if expires:
            await self._servers.write(EXPIRING, ("ZADD", EXPIRING, expires, names_of(key).tag))

    async def forget(self, key: StreamKey) -> None:
        """Remove a stream that was dropped, unless it was created again."""

        async def is_there() -> bool:
            return bool(await self._servers.read(names_of(key).head, ("EXISTS", names_of(key).head)))

        await self._remove(streams_of(key.tenant), key.response_id, is_there)

    async def streams(self, tenant: str, look: Look, *, after: str | None, limit: int) -> list[StreamInfo]:

        async def look_up(response_id: str) -> StreamInfo | None:
            return await look(StreamKey(tenant, response_id))

        return await self._page(streams_of(tenant), look_up, after=after, limit=limit)

    async def tenants(self, look: Look, *, after: str | None, limit: int) -> list[str]:

        async def look_up(tenant: str) -> str | None:
            return tenant if await self.streams(tenant, look, after=None, limit=1) else None

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

    async def _page(
        self, index: str, look_up: Callable[[str], Awaitable[Found | None]], *, after: str | None, limit: int
    ) -> list[Found]:
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
                    await self._remove(index, name, partial(_is_there, look_up, name))
                else:
                    found.append(each)
            if len(entries) < asked:
                break
            begin = b"(" + entries[-1]
        return found

    async def _put(self, index: str, entry: str) -> None:
        await self._servers.write(index, ("ZADD", index, 0, entry))

    async def _remove(self, index: str, entry: str, is_there: Callable[[], Awaitable[bool]]) -> None:
        await self._servers.write(index, ("ZREM", index, entry))
        # A stream created at this moment is either seen here, or its creator adds it to the index after this removal.
        if await is_there():
            await self._put(index, entry)


async def _is_there(look_up: Callable[[str], Awaitable[object]], name: str) -> bool:
    return await look_up(name) is not None
