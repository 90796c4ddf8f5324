"""The servers of a log: which one has a key, and how a command reaches it through restarts and failovers."""

import asyncio
import os
import stat
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
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
from streamfold.log.valkey.pipeline import Pipeline, PipelineAnswer
from streamfold.log.valkey.script import Answer, Command, with_source

# Theory of operation: redirects. A cluster divides the keys into slots, and each primary has some. We keep a map of the
# slots and send a command to the server that should have its key. The servers correct us:
#
# - MOVED host: the slot is there now, for good. Refresh the map, and ask that host.
# - ASK host: the slot is on its way there. Ask that host once, with ASKING before the command; the map stays as it is.
# - READONLY: the server is a replica now, so a failover happened. Connect again (the name may lead to another server),
#   refresh the map, and try again.
# - A lost connection, a timeout, CLUSTERDOWN, LOADING: pause, refresh the map, and try again.
#
# Three redirects are followed at once; then, and after every other failure, the pauses grow, until `patience_seconds` are
# over. A write may be sent twice that way. That is safe: each step of the script is idempotent or checked by the epoch.
#
# Connections, protocol and key hashing are redis-py's. Its cluster client has no pipeline per shard that ends with one
# WAIT, which is what makes replication affordable; so the map is kept here (decision 0014).

CONNECT_SECONDS = 5.0
KEPT_SECONDS = 2  # how long an append waits for replicas and disks
WAIT_COMMANDS: Mapping[Level, Command] = {
    Level.REPLICA: ("WAIT", 1, KEPT_SECONDS * 1000),
    Level.DISK: ("WAITAOF", 1, 1, KEPT_SECONDS * 1000),
}
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between two tries; the last one repeats
REDIRECTS = 3  # that are followed without a pause

# What passes by itself: a restart, a failover, a slot on its way.
PASSING = (BusyLoadingError, ClusterDownError, ConnectionError, ReadOnlyError, TimeoutError, TryAgainError, OSError)

REFUSED = {
    b"unknown",
    b"held",
    b"fenced",
    b"gap",
    b"differs",
    b"closed",
    b"damaged",
}  # by the script, which wrote nothing


class Server:
    """One server: a pipeline for reads, one for writes, and connections for subscribers."""

    def __init__(self, address: Address, host: str, port: int) -> None:
        self.name: str = host if address.is_unix else f"{host}:{port}"
        self.host = host
        self._settings: dict[str, Any] = {
            **({"path": host} if address.is_unix else {"host": host, "port": port}),
            "db": address.database,
            "username": address.user,
            "password": address.password,
            "socket_timeout": None,  # the callers have timeouts of their own, for whole pipelines
            "socket_connect_timeout": CONNECT_SECONDS,
            "protocol": 2,
        }
        self._kind: Any = _kind_of(address)
        self.reads: Pipeline = Pipeline(self.connection)  # apart from the writes: no reader waits for a replica
        self.writes: Pipeline = Pipeline(self.connection, wait_command=WAIT_COMMANDS.get(address.level))

    def connection(self) -> Any:
        return self._kind(**self._settings)

    async def reset(self) -> None:
        await self.reads.reset()
        await self.writes.reset()

    async def aclose(self) -> None:
        await self.reads.aclose()
        await self.writes.aclose()


def _kind_of(address: Address) -> Any:
    if address.is_unix:
        return UnixDomainSocketConnection
    return SSLConnection if address.is_tls else Connection


@frozen
class _Slots:
    """The slot map: the last slot of each range, in order, and the server of each range."""

    ends: Sequence[int]
    servers: Sequence[tuple[str, int]]

    def find(self, key: str) -> tuple[str, int] | None:
        place = bisect_left(self.ends, key_slot(key.encode()))
        return self.servers[place] if place < len(self.servers) else None

    @staticmethod
    def read(answer: Answer, asked: Server) -> "_Slots":
        """The map in an answer to CLUSTER SLOTS. A server that does not know its own name is the one that was asked."""
        ranges = sorted((end, host.decode() or asked.host, port) for _, end, (host, port, *_), *_ in answer)
        return _Slots([each[0] for each in ranges], [each[1:] for each in ranges])


class Servers:
    """All servers of a log. A command is tried again for `patience_seconds` while that may help."""

    def __init__(self, address: Address, *, patience_seconds: float) -> None:
        self.address = address
        self._patience_seconds = patience_seconds
        self._first = (address.host, address.port)
        self._slots = _Slots([2**14], [self._first])  # without a cluster, one server has all slots
        self._servers: dict[tuple[str, int], Server] = {}
        self._refreshing = asyncio.Lock()
        self._version: int = 0
        self.changed: list[Callable[[], None]] = []  # called when another server may have a key

    @property
    def primaries(self) -> list[Server]:
        return [self._server(*each) for each in dict.fromkeys(self._slots.servers)]

    def having(self, key: str) -> Server:
        """The server that has a key, according to the map."""
        return self._server(*(self._slots.find(key) or self._first))

    async def read(self, key: str, command: Command) -> Answer:
        """The answer to a command that writes nothing. Raises LogUnusable."""
        return (await self._execute(key, command, is_write=False)).answer

    async def write(self, key: str, command: Command) -> Answer:
        """The answer to a command that writes, and that may be sent twice. Raises LogUnusable, also if it was not kept."""
        answered = await self._execute(key, command, is_write=True)
        if not _is_refused(answered.answer) and not _is_kept(self.address.level, answered.waited):
            raise LogUnusable(
                str(self.address),
                f"no replica confirmed the write within {KEPT_SECONDS} s; it may be stored or not: append it again",
            )
        return answered.answer

    async def _execute(self, key: str, command: Command, *, is_write: bool) -> PipelineAnswer:
        # The server and the number of tries are plain variables: this runs for every command, and mostly once.
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience_seconds
        server, is_asking, tries = self.having(key), False, 0
        while True:
            pipeline = server.writes if is_write else server.reads
            answered = await pipeline.execute(command, is_asking=is_asking)
            error = answered.answer
            if not isinstance(error, Exception):
                return answered
            if not is_passing(error) or clock() > deadline:
                raise explain(self.address, error, is_write=is_write) from error
            if isinstance(error, NoScriptError):
                command = with_source(command)
            else:
                server, is_asking, tries = await self._reroute(key, server, error, tries)

    async def _reroute(self, key: str, server: Server, error: Exception, tries: int) -> tuple[Server, bool, int]:
        """Where to send a command again after an error that passes, whether after ASKING, and the tries so far."""
        if isinstance(error, AskError):  # or MovedError, which is a kind of it
            redirect: Any = error
            is_moved = isinstance(error, MovedError)
            if is_moved:
                await self.refresh()
            if tries >= REDIRECTS:
                await _pause(tries)
            return self._server(redirect.host or server.host, redirect.port), not is_moved, tries + 1
        await _pause(tries)
        if isinstance(error, ReadOnlyError):
            await server.reset()
        await self.refresh()
        return self.having(key), False, tries + 1

    # The slot map

    async def refresh(self) -> None:
        """Refresh the slot map of a cluster. Concurrent callers share one refresh."""
        if not self.address.is_cluster:
            return
        version = self._version
        async with self._refreshing:
            if self._version == version:  # else another task refreshed it while we waited for the lock
                known = list(dict.fromkeys([*self._servers, self._first]))
                slots = await _first_answer([self._slots_of(self._server(*each)) for each in known])
                self._version += 1
                if slots is not None and slots != self._slots:
                    self._slots = slots
                    for each in self.changed:
                        each()

    async def _slots_of(self, server: Server) -> _Slots | None:
        answer = (await server.reads.execute(("CLUSTER", "SLOTS"))).answer
        return _Slots.read(answer, server) if isinstance(answer, list) and answer else None

    def _server(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers[host, port] = Server(self.address, host, port)
        return server

    async def aclose(self) -> None:
        for server in self._servers.values():
            await server.aclose()


async def _pause(tries: int) -> None:
    await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])


def _is_refused(answer: Answer) -> bool:
    match answer:
        case [bytes() as word, *_]:
            return word in REFUSED
        case _:
            return False


def _is_kept(level: Level, waited: Answer) -> bool:
    match level, waited:
        case Level.PRIMARY, _:
            return True
        case Level.REPLICA, int() as replicas:
            return replicas >= 1
        case Level.DISK, [int() as here, int() as there]:
            return min(here, there) >= 1
        case _:
            return False


async def _first_answer(asked: Sequence[Awaitable[_Slots | None]]) -> _Slots | None:
    tasks = [asyncio.ensure_future(each) for each in asked]
    try:
        for task in asyncio.as_completed(tasks):
            slots = await task
            if slots is not None:
                return slots
        return None
    finally:
        for task in tasks:
            task.cancel()


def _is_unauthenticated(error: Exception) -> bool:
    # On a socket of this machine, redis-py raises it inside another error.
    return isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError)


def is_passing(error: Exception) -> bool:
    """Whether the same command may succeed in a moment."""
    if _is_unauthenticated(error):
        return False
    return isinstance(error, (*PASSING, NoScriptError, AskError))


def explain(address: Address, error: Exception, *, is_write: bool = False) -> LogUnusable:
    """What went wrong, in one line that never has the password."""
    if isinstance(error, LogUnusable):
        return error
    said = str(error).partition("\n")[0] or "no answer in time"
    if address.is_unix and is_passing(error) and (wrong := _wrong_socket(address.host)):
        return LogUnusable(str(address), wrong)
    return LogUnusable(str(address), _reason(error, said, is_write=is_write))


def _wrong_socket(path: str) -> str:
    """What is wrong with a socket that cannot be connected to; empty if nothing can be seen."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "there is no such socket; start the server, or check `unixsocket` in its configuration"
    except OSError as error:
        return f"the socket cannot be reached: {error.strerror}"
    if not stat.S_ISSOCK(mode):
        return "it is not a socket; name the server's `unixsocket`"
    if not os.access(path, os.R_OK | os.W_OK):
        return "the socket is not yours to open; check `unixsocketperm` in the server's configuration"
    return ""


def _reason(error: Exception, said: str, *, is_write: bool) -> str:
    if _is_unauthenticated(error):
        return "it refuses the user or the password; check the address"
    if isinstance(error, InvalidResponse) or "Protocol Error" in said:
        return "it is not a Valkey or Redis server: it answers in another protocol; check the host and the port"
    if is_passing(error):
        unsure = "; the last write may be stored or not: append it again" if is_write else ""
        return f"it cannot be reached, or does not serve: {said}{unsure}"
    if "eval" in said.lower() and ("unknown command" in said.lower() or isinstance(error, NoPermissionError)):
        return "it refuses scripts (EVALSHA), which the log needs; use a server that allows them"
    if isinstance(error, OutOfMemoryError):
        return "its memory is full, and nothing was written; raise maxmemory, or drop streams"
    return f"it refused a command: {said}"
