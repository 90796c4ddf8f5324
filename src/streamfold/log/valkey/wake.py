"""Being told of new records: one subscription for each stream that is watched, however many watch it here.

In      the servers, the streams that are watched
Out     a Watch, which has the records that came with the message
Units   seconds, bytes
Errors  none: a message that is lost makes a reader late, and nothing else
Source  docs/reference/log.md; decision 0014

A message holds the records that were appended. A Channel keeps the newest as long as they follow one another; whatever
else happens, a lost connection too, it forgets them, and the reader looks at the log itself.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import anyio
from redis.exceptions import RedisError

from streamfold.log.log import Watch
from streamfold.log.record import Record, StreamKey
from streamfold.log.valkey.group import ANSWER_SECONDS
from streamfold.log.valkey.name import names_of
from streamfold.log.valkey.script import told_records
from streamfold.log.valkey.servers import Server, Servers
from streamfold.log.watchers import Watchers

__all__ = ["Channel", "Listener"]

NEWEST = 256  # records that a channel keeps
QUIET_SECONDS = 15.0  # after so long without a message the server is asked whether it is there
SUBSCRIBED_SECONDS = 2.0  # a watch begins then, subscribed or not
PAUSE_SECONDS = 0.1


class Channel:
    """What was told of one stream. told: how many messages. is_open: set while the server has our subscription."""

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.told: int = 0
        self.is_open: anyio.Event = anyio.Event()
        self.watching = 0
        self._newest: deque[Record] = deque(maxlen=NEWEST)

    def hear(self, records: Sequence[Record]) -> None:
        """A message came. Without records: something changed, so that the log itself must be asked."""
        self.told += 1
        follows = self._newest and records and records[0].sequence_number == self._newest[-1].sequence_number + 1
        if not follows:
            self._newest.clear()
        self._newest.extend(records)

    def behind(self, after: int | None) -> list[Record] | None:
        """The records behind a number, none if it is the newest; None where it is not known here."""
        if after is None or not self._newest:
            return None
        place = after + 1 - self._newest[0].sequence_number
        return list(islice(self._newest, place, None)) if 0 <= place <= len(self._newest) else None


class _Hearing(Watch):
    """A Watch that has what was told, as long as something is told: after a silence, the log itself is asked."""

    def __init__(self, watch: Watch, channel: Channel) -> None:
        self._watch = watch
        self._channel = channel
        self._told = channel.told
        self._was_told = False

    async def wait(self, *, seconds: float) -> None:
        await self._watch.wait(seconds=seconds)
        self._was_told = self._channel.told != self._told
        self._told = self._channel.told

    def told(self, after: int | None) -> Sequence[Record] | None:
        return self._channel.behind(after) if self._was_told else None


class _Ear:
    """A connection to one server, and the channels that are listened to there."""

    def __init__(self, listener: "Listener", server: Server) -> None:
        self._listener = listener
        self._server = server
        self._connection = server.connection()
        self._leaving: Counter[str] = Counter()  # channels that we left, where the server has not said so yet
        self.channels: dict[str, Channel] = {}
        self._is_ready = False
        self._task = asyncio.create_task(self._listen())

    async def enter(self, name: str, channel: Channel) -> None:
        """Listen to a channel."""
        self.channels[name] = channel
        await self._say("SSUBSCRIBE", name)

    async def leave(self, name: str) -> None:
        """Listen to it no longer, if we did."""
        if self.channels.pop(name, None) is not None and self._is_ready:
            self._leaving[name] += 1
            await self._say("SUNSUBSCRIBE", name)

    async def _say(self, command: str, name: str) -> None:
        if self._is_ready:
            with suppress(RedisError, OSError):  # `_listen` sees it too, and begins anew with all channels
                await self._connection.send_command(command, name)

    async def aclose(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._connection.disconnect(nowait=True)

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._connection.connect()
                self._leaving.clear()
                self._is_ready = True
                for name in list(self.channels):
                    await self._connection.send_command("SSUBSCRIBE", name)
                await self._hear_all()
            except (RedisError, OSError):
                self._is_ready = False
                await self._connection.disconnect(nowait=True)
                for channel in list(self.channels.values()):
                    channel.is_open = anyio.Event()
                    self._listener.hear(channel, ())
                await asyncio.sleep(PAUSE_SECONDS)
                await self._listener.learn()

    async def _hear_all(self) -> None:
        is_asked = False
        while True:
            said: Any = await self._connection.read_response(timeout=QUIET_SECONDS)
            if said is None and is_asked:
                raise OSError("the server is silent")
            is_asked = said is None
            if is_asked:
                await self._connection.send_command("PING")
                continue
            self._hear(said)

    def _hear(self, said: Any) -> None:
        """Take in what the server said. The answer to PING is none of these: it said that it is there."""
        match said:
            case [b"smessage", name, payload]:
                channel = self.channels.get(name.decode())
                if channel is not None:
                    self._listener.hear(channel, told_records(channel.key, payload))
            case [b"ssubscribe", name, _]:
                channel = self.channels.get(name.decode())
                if channel is not None:
                    channel.is_open.set()
                    self._listener.hear(channel, ())  # what was told before is not known
            case [b"sunsubscribe", bytes() as name, _]:
                self._leave(name.decode())
            case _:
                return

    def _leave(self, name: str) -> None:
        if self._leaving[name]:
            self._leaving = self._leaving - Counter([name])
        elif name in self.channels:
            raise OSError("the channel is another server's now")


class Listener:
    """All subscriptions of a log."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._watchers = Watchers()
        self._channels: dict[str, Channel] = {}
        self._ears: dict[str, _Ear] = {}
        self._moves: set[asyncio.Task[None]] = set()
        servers.changed.append(self._move)

    @asynccontextmanager
    async def watch(self, key: StreamKey, *, growth: bool = True) -> AsyncGenerator[Watch, None]:
        """Be told of this stream's changes. growth: of new records and notes too."""
        names = names_of(key)
        name = names.channel if growth else names.control
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(key)
        channel.watching += 1
        try:
            if channel.watching == 1:
                await self._subscribe(name, channel)
            with anyio.move_on_after(SUBSCRIBED_SECONDS):
                await channel.is_open.wait()
            async with self._watchers.watch(key, growth=growth) as watch:
                yield _Hearing(watch, channel)
        finally:
            channel.watching -= 1
            if not channel.watching:
                del self._channels[name]
                with anyio.CancelScope(shield=True):
                    await self._unsubscribe(name)

    def hear(self, channel: Channel, records: Sequence[Record]) -> None:
        """Take it in, and wake whoever watches the stream."""
        channel.hear(records)
        self._watchers.tell([channel.key], growth=bool(records))

    async def learn(self) -> None:
        """Ask again which server has what."""
        await self._servers.learn()

    async def aclose(self) -> None:
        """Stop listening, and wake all, so that they find the log closed."""
        for task in self._moves:
            task.cancel()
        for ear in list(self._ears.values()):
            await ear.aclose()
        self._watchers.tell()

    async def _subscribe(self, name: str, channel: Channel) -> None:
        server = self._servers.having(name)
        ear = self._ears.get(server.name)
        if ear is None:
            ear = self._ears[server.name] = _Ear(self, server)
        await ear.enter(name, channel)

    async def _unsubscribe(self, name: str) -> None:
        for ear in list(self._ears.values()):
            await ear.leave(name)

    def _move(self) -> None:
        task = asyncio.create_task(self._move_all())
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _move_all(self) -> None:
        """Listen to each channel where it is now."""
        for name in list(self._channels):
            ear = self._ears.get(self._servers.having(name).name)
            if ear is None or name not in ear.channels:
                await self._unsubscribe(name)
                channel = self._channels.get(name)
                if channel is not None:  # somebody watches it still
                    await self._subscribe(name, channel)
