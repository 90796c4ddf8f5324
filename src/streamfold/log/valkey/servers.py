"""The servers of a log: which one has a key, and how a command reaches it through restarts and failovers.

In      an Address; commands, each with the key that it is about
Out     what the server answered
Units   seconds
Errors  LogUnusable, once it was tried for long enough
Source  docs/reference/log.md; decision 0014

The connections, the protocol and the hash of a key are redis-py's. What its cluster client has not is one pipeline for
each shard with a WAIT behind it, so where a key lies is asked here.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen
from redis.asyncio import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    TryAgainError,
)

from streamfold.errors import LogUnusable
from streamfold.log.valkey.address import Address, Level
from streamfold.log.valkey.group import Answered, Group
from streamfold.log.valkey.script import Answer, Command, with_source

__all__ = ["Server", "Servers", "explain"]

CONNECT_SECONDS = 5.0
KEPT_SECONDS = 2.0  # how long an append waits for replicas and disks
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between two tries; the last one from then on

# What passes by itself: a restart, a failover, a slot on its way.
PASSING = (BusyLoadingError, ClusterDownError, ConnectionError, ReadOnlyError, TimeoutError, TryAgainError, OSError)

REFUSED = {b"unknown", b"held", b"fenced", b"gap", b"differs", b"closed"}  # by the script, so nothing was written

Changed = Callable[[], None]


class Server:
    """One server: its two groups of commands, and connections for those who wait for its messages."""

    def __init__(self, address: Address, host: str, port: int) -> None:
        self.name: str = f"{host}:{port}"
        self.host = host
        self._settings: dict[str, Any] = {
            "host": host,
            "port": port,
            "db": address.database,
            "username": address.user,
            "password": address.password,
            "socket_timeout": None,  # whoever waits sets a time for all that he waits for
            "socket_connect_timeout": CONNECT_SECONDS,
            "protocol": 2,
        }
        self._kind: Any = SSLConnection if address.is_tls else Connection
        self.reads: Group = Group(self.connection)  # so that no reader waits for a disk or a replica
        self.writes: Group = Group(self.connection, behind=_behind(address.level))

    def connection(self) -> Any:
        """One more Connection of redis-py, not connected yet."""
        return self._kind(**self._settings)

    async def reset(self) -> None:
        """Connect anew for what comes next."""
        await self.reads.reset()
        await self.writes.reset()

    async def aclose(self) -> None:
        """Let go of its connections."""
        await self.reads.aclose()
        await self.writes.aclose()


def _behind(level: Level) -> Command | None:
    milliseconds = int(KEPT_SECONDS * 1000)
    commands: dict[Level, Command] = {
        Level.REPLICA: ("WAIT", 1, milliseconds),
        Level.DISK: ("WAITAOF", 1, 1, milliseconds),
    }
    return commands.get(level)


@frozen
class _Shards:
    """Which server has which slots. ends: the last slot of each range, in order. servers: of each range."""

    ends: Sequence[int]
    servers: Sequence[tuple[str, int]]

    def find(self, key: str) -> tuple[str, int] | None:
        place = bisect_left(self.ends, key_slot(key.encode()))
        return self.servers[place] if place < len(self.servers) else None

    @staticmethod
    def read(answer: Answer, asked: Server) -> "_Shards":
        """What `CLUSTER SLOTS` says; a server that does not know its own name is the one that was asked."""
        ranges = sorted((end, host.decode() or asked.host, port) for _, end, (host, port, *_), *_ in answer)
        return _Shards([each[0] for each in ranges], [each[1:] for each in ranges])


class Servers:
    """All of them. patience_seconds: how long a command is tried again, while that may help."""

    def __init__(self, address: Address, *, patience_seconds: float) -> None:
        self.address = address
        self._patience_seconds = patience_seconds
        self._first = (address.host, address.port)
        self._shards = _Shards([2**14], [self._first])  # without a cluster: all slots are there
        self._servers: dict[tuple[str, int], Server] = {}
        self._learning = asyncio.Lock()
        self._version: int = 0
        self.changed: list[Changed] = []  # called when another server may have a key

    @property
    def primaries(self) -> list[Server]:
        """Those that have slots."""
        return [self._server(*each) for each in dict.fromkeys(self._shards.servers)]

    def having(self, key: str) -> Server:
        """The server that has a key, as far as is known."""
        return self._server(*(self._shards.find(key) or self._first))

    async def read(self, key: str, command: Command) -> Answer:
        """What a server answers to a command that writes nothing.

        Raises: LogUnusable.
        """
        return (await self._ask(key, command, is_write=False)).answer

    async def write(self, key: str, command: Command) -> Answer:
        """What a server answers to a command that writes, and may be sent twice.

        Raises: LogUnusable, also where it was not kept as the address asks for.
        """
        answered = await self._ask(key, command, is_write=True)
        if not _is_refused(answered.answer) and not _is_kept(self.address.level, answered.kept):
            raise LogUnusable(
                str(self.address),
                f"the write reached no replica within {KEPT_SECONDS:.0f} s: it may be there or not; append it again",
            )
        return answered.answer

    async def _ask(self, key: str, command: Command, *, is_write: bool) -> Answered:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience_seconds
        tries = 0
        server, is_asking = self.having(key), False
        while True:
            group = server.writes if is_write else server.reads
            answered = await group.do(command, is_asking=is_asking)
            error = answered.answer
            if not isinstance(error, Exception):
                return answered
            if not is_passing(error) or clock() > deadline:
                raise explain(self.address, error, is_write=is_write) from error
            if isinstance(error, NoScriptError):
                command = with_source(command)
                continue
            if isinstance(error, AskError):  # or MovedError, which is one
                told: Any = error
                is_asking = not isinstance(error, MovedError)
                if not is_asking:
                    await self.learn()
                server = self._server(told.host or server.host, told.port)
                tries += 1
                if tries <= 3:
                    continue
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1
            if isinstance(error, ReadOnlyError):  # by its name another server may be found now
                await server.reset()
            if not isinstance(error, AskError):
                await self.learn()
                server, is_asking = self.having(key), False

    # Which server has what

    async def learn(self) -> None:
        """Ask the servers of a cluster which of them has what. Who asks while another does waits for that answer."""
        if not self.address.is_cluster:
            return
        version = self._version
        async with self._learning:
            if self._version == version:
                known = list(dict.fromkeys([*self._servers, self._first]))
                shards = await _first_answer([self._asked(self._server(*each)) for each in known])
                self._version += 1
                if shards is not None and shards != self._shards:
                    self._shards = shards
                    for each in self.changed:
                        each()

    async def _asked(self, server: Server) -> _Shards | None:
        answer = (await server.reads.do(("CLUSTER", "SLOTS"))).answer
        return _Shards.read(answer, server) if isinstance(answer, list) and answer else None

    def _server(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers[host, port] = Server(self.address, host, port)
        return server

    async def aclose(self) -> None:
        """Let go of all."""
        for server in self._servers.values():
            await server.aclose()


def _is_refused(answer: Answer) -> bool:
    match answer:
        case [bytes() as word, *_]:
            return word in REFUSED
        case _:
            return False


def _is_kept(level: Level, kept: Answer) -> bool:
    match level, kept:
        case Level.PRIMARY, _:
            return True
        case Level.REPLICA, int() as replicas:
            return replicas >= 1
        case Level.DISK, [int() as here, int() as there]:
            return min(here, there) >= 1
        case _:
            return False


async def _first_answer(asked: Sequence[Awaitable[_Shards | None]]) -> _Shards | None:
    tasks = [asyncio.ensure_future(each) for each in asked]
    try:
        for task in asyncio.as_completed(tasks):
            shards = await task
            if shards is not None:
                return shards
        return None
    finally:
        for task in tasks:
            task.cancel()


def is_passing(error: Exception) -> bool:
    """Whether the same command may do better in a moment."""
    if isinstance(error, AuthenticationError):
        return False
    return isinstance(error, (*PASSING, NoScriptError, AskError))


def explain(address: Address, error: Exception, *, is_write: bool = False) -> LogUnusable:
    """What went wrong, in one line, without a password."""
    said = str(error).partition("\n")[0] or "no answer in time"
    if isinstance(error, LogUnusable):
        return error
    if isinstance(error, AuthenticationError):
        reason = "it refuses the user or the password; check the address"
    elif isinstance(error, InvalidResponse) or "Protocol Error" in said:
        reason = "it is no Valkey and no Redis: it answers in another protocol; check the host and the port"
    elif is_passing(error):
        unsure = "; the last write may be there or not: append it again" if is_write else ""
        reason = f"it cannot be reached, or does not serve: {said}{unsure}"
    elif "eval" in said.lower() and ("unknown command" in said.lower() or isinstance(error, NoPermissionError)):
        reason = "it refuses scripts (EVALSHA), which a log needs; use a server that has them"
    elif isinstance(error, OutOfMemoryError):
        reason = "its memory is full, and nothing was written; raise maxmemory, or drop streams"
    else:
        reason = f"it refused a command: {said}"
    return LogUnusable(str(address), reason)
