"""The clients' programs, each started when it is first asked for."""

import os
import shutil
import sys
from pathlib import Path

from tests.clients.installs import INSTALLS, curl, node
from tests.clients.table import Client, Runner
from tests.clients.worker import Worker

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OPENAI_API_KEY": "any"}


class Fleet:
    """The programs, by client, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Worker] = {}

    def worker(self, client: Client) -> Worker:
        """The one of that client.

        Raises:
            CannotInstall: It is not installed, and cannot be.
        """
        if client.name not in self._running:
            folder = self._folder / client.name.replace(" ", "-")
            self._running[client.name] = Worker(_command(client), folder, ENVIRONMENT)
        return self._running[client.name]

    def close(self) -> None:
        """Kill all of them."""
        for worker in self._running.values():
            worker.kill()
        self._running.clear()


def _command(client: Client) -> list[str]:
    if client.runner is Runner.CURL:
        curl()
        return [sys.executable, str(PROGRAMS / client.program)]
    install = INSTALLS[client.install]
    install.ensure()
    if client.runner is Runner.PYTHON:
        return [str(install.bin / "python"), str(PROGRAMS / client.program)]
    return [node(), str(_beside_modules(install.folder) / client.program)]


def _beside_modules(folder: Path) -> Path:
    """A copy of the JavaScript programs: Node looks for packages in the folders above a program."""
    copies = folder / "programs"
    copies.mkdir(exist_ok=True)
    for program in PROGRAMS.glob("*.mjs"):
        new = copies / f".{program.name}.{os.getpid()}"
        shutil.copyfile(program, new)
        new.replace(copies / program.name)  # another run may be reading it
    return copies
