"""Notifications from the servers: one sharded subscription per watched stream, however many watch it here."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import anyio
from redis.exceptions import RedisError

from streamfold.log.log import Subscriptions, Watch
from streamfold.log.record import Record, StreamKey
from streamfold.log.valkey.pipeline import ANSWER_SECONDS
from streamfold.log.valkey.script import names_of, published_records
from streamfold.log.valkey.servers import Server, Servers

# Theory of operation. The script publishes after each change, and the message holds the appended records if they are
# small. A Channel keeps the newest of them as long as their numbers follow one another, so that a live tail needs no read.
# Pub/sub may lose messages at any time, so a channel must never claim more than it knows:
#
# - A message whose records do not follow the last ones, or that has none, empties the channel: read the log.
# - A lost connection, a new subscription and a moved slot empty it too, and wake all watches of the stream.
# - A watch believes the channel only if a message arrived since it last waited. After a silence it reads the log.
#
# A subscriber is one connection to one server. When the slot map changes, `_move_all` subscribes each channel where its
# key is now. If the server drops a subscription by itself, the slot has moved away and we have not heard of it yet: the
# subscriber reconnects, which refreshes the map. A channel that we left ourselves is counted in `_leaving` until the
# server confirms it, so that the two are not confused.

NEWEST = 256  # records that a channel keeps
QUIET_SECONDS = 15.0  # without a message for so long, the server gets a PING; without an answer, it is gone
SUBSCRIBED_SECONDS = 2.0  # a watch begins then, even if the server has not confirmed the subscription
PAUSE_SECONDS = 0.1


class Channel:
    """What was published about one stream."""

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.messages: int = 0  # that arrived
        self.is_open: anyio.Event = anyio.Event()  # set while the server has our subscription
        self.watching = 0  # how many watches there are
        self._newest: deque[Record] = deque(maxlen=NEWEST)

    def receive(self, records: Sequence[Record]) -> None:
        """Take a message in. Without records it says that something changed: the log must be read."""
        self.messages += 1
        # Messages of one stream arrive in order, but one that was lost leaves a gap that must not be bridged.
        follows = self._newest and records and records[0].sequence_number == self._newest[-1].sequence_number + 1
        if not follows:
            self._newest.clear()
        self._newest.extend(records)

    def following(self, after: int | None) -> list[Record] | None:
        """The records that follow a number, none if it is the newest; None if that is not known here."""
        if after is None or not self._newest:
            return None
        place = after + 1 - self._newest[0].sequence_number
        return list(islice(self._newest, place, None)) if 0 <= place <= len(self._newest) else None


class _ChannelWatch(Watch):
    """A Watch that has the records of the messages that woke it."""

    def __init__(self, watch: Watch, channel: Channel) -> None:
        self._watch = watch
        self._channel = channel
        self._messages = channel.messages
        self._was_notified = False

    async def wait(self, *, seconds: float) -> None:
        await self._watch.wait(seconds=seconds)
        self._was_notified = self._channel.messages != self._messages
        self._messages = self._channel.messages

    def received(self, after: int | None) -> Sequence[Record] | None:
        return self._channel.following(after) if self._was_notified else None


class _Subscriber:
    """A connection to one server, and the channels that are subscribed there."""

    def __init__(self, owner: "Channels", server: Server) -> None:
        self._owner = owner
        self._server = server
        self._connection = server.connection()
        self._leaving: Counter[str] = Counter()  # channels that we left and the server has not confirmed
        self.channels: dict[str, Channel] = {}
        self._is_ready = False
        self._task = asyncio.create_task(self._listen())

    async def enter(self, name: str, channel: Channel) -> None:
        self.channels[name] = channel
        await self._send("SSUBSCRIBE", name)

    async def leave(self, name: str) -> None:
        if self.channels.pop(name, None) is not None and self._is_ready:
            self._leaving[name] += 1
            await self._send("SUNSUBSCRIBE", name)

    async def _send(self, command: str, name: str) -> None:
        if self._is_ready:
            with suppress(RedisError, OSError):  # `_listen` fails too, reconnects and subscribes again
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
                await self._receive_all()
            except (RedisError, OSError):
                # From here on messages are lost. Every channel is emptied and its readers are woken, so that they read the
                # log; the new subscription wakes them once more, for what was published in between.
                self._is_ready = False
                await self._connection.disconnect(nowait=True)
                for channel in list(self.channels.values()):
                    channel.is_open = anyio.Event()
                    self._owner.receive(channel, ())
                await asyncio.sleep(PAUSE_SECONDS)
                await self._owner.servers.refresh()

    async def _receive_all(self) -> None:
        is_asked = False
        while True:
            said: Any = await self._connection.read_response(timeout=QUIET_SECONDS)
            if said is None and is_asked:
                raise OSError("the server is silent")
            is_asked = said is None
            if is_asked:
                await self._connection.send_command("PING")
                continue
            self._receive(said)

    def _receive(self, said: Any) -> None:
        """Take one message of the server in. An answer to PING matches nothing here: it only shows that the server is alive."""
        match said:
            case [b"smessage", name, payload]:
                channel = self.channels.get(name.decode())
                if channel is not None:
                    self._owner.receive(channel, published_records(channel.key, payload))
            case [b"ssubscribe", name, _]:
                channel = self.channels.get(name.decode())
                if channel is not None:
                    channel.is_open.set()
                    self._owner.receive(channel, ())  # what was published before is not known
            case [b"sunsubscribe", bytes() as name, _] if self._leaving[name.decode()]:
                self._leaving = self._leaving - Counter([name.decode()])
            case [b"sunsubscribe", bytes() as name, _] if name.decode() in self.channels:
                raise OSError("the channel moved to another server")
            case _:
                return


class Channels:
    """All subscriptions of a log: the channels, and the subscriber of each server."""

    def __init__(self, servers: Servers) -> None:
        self.servers: Servers = servers
        self._subscriptions = Subscriptions()
        self._channels: dict[str, Channel] = {}
        self._subscribers: dict[str, _Subscriber] = {}
        self._moves: set[asyncio.Task[None]] = set()
        servers.changed.append(self._move)

    @asynccontextmanager
    async def watch(self, key: StreamKey, *, growth: bool = True) -> AsyncGenerator[Watch, None]:
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
            async with self._subscriptions.watch(key, growth=growth) as watch:
                yield _ChannelWatch(watch, channel)
        finally:
            channel.watching -= 1
            if not channel.watching:
                del self._channels[name]
                with anyio.CancelScope(shield=True):
                    await self._unsubscribe(name)

    def receive(self, channel: Channel, records: Sequence[Record]) -> None:
        """Take a message in and wake the watches of the stream."""
        channel.receive(records)
        self._subscriptions.notify([channel.key], growth=bool(records))

    async def aclose(self) -> None:
        """Disconnect, and wake all watches: their readers find the log closed."""
        for task in self._moves:
            task.cancel()
        for subscriber in list(self._subscribers.values()):
            await subscriber.aclose()
        self._subscriptions.notify()

    async def _subscribe(self, name: str, channel: Channel) -> None:
        server = self.servers.having(name)
        subscriber = self._subscribers.get(server.name)
        if subscriber is None:
            subscriber = self._subscribers[server.name] = _Subscriber(self, server)
        await subscriber.enter(name, channel)

    async def _unsubscribe(self, name: str) -> None:
        for subscriber in list(self._subscribers.values()):
            await subscriber.leave(name)

    def _move(self) -> None:
        task = asyncio.create_task(self._move_all())
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _move_all(self) -> None:
        for name in list(self._channels):
            subscriber = self._subscribers.get(self.servers.having(name).name)
            if subscriber is None or name not in subscriber.channels:
                await self._unsubscribe(name)
                channel = self._channels.get(name)
                if channel is not None:  # it may have been left meanwhile
                    await self._subscribe(name, channel)
