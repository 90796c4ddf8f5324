"""A server's process, with all that it starts: begun on a port, killed as a group."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import define, field

HOST = "127.0.0.1"


class DidNotStart(Exception):
    """A server does not listen; the message has the end of its output."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@define
class Program:
    """A program that listens on a port. It may be killed, and started again on the same files.

    Attributes:
        command: What to run.
        port: Where it listens, on the loopback.
        folder: Its own: its working folder and its home; `log` in it is what it prints.
        environment: Added to ours.
        seconds: How long it may take until it listens.
    """

    command: list[str]
    port: int
    folder: Path
    environment: Mapping[str, str] = field(factory=dict)
    seconds: float = 30.0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            DidNotStart: It ended, or it took too long.
        """
        environment = {**os.environ, "HOME": str(self.folder), **self.environment}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, which dies as one
            )
        try:
            self._wait(self._process, time.monotonic() + self.seconds)
        except BaseException:
            self.kill()
            raise

    def _wait(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while True:
            # If somebody else took the port meanwhile, the program ends; so ask whether it runs after connecting.
            listens = self._listens()
            if process.poll() is not None or time.monotonic() > deadline:
                last = (self.folder / "log").read_text("utf-8", "replace")[-2000:]
                raise DidNotStart(f"`{' '.join(self.command)}` does not listen on port {self.port}:\n{last}")
            if listens:
                return
            time.sleep(0.05)

    def _listens(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it and all that it started. It does not matter whether it runs."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
