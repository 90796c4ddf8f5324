"""Programs are started on their port and die as a group; nothing of this is skipped where no real server is installed."""

import os
import sys
from pathlib import Path

import pytest

from tests.servers.program import DidNotStart, Program, free_port

# It listens, and starts a child that would outlive it: that one holds a pipe open until it dies.
CHILD = """
import signal
pipe = open("alive", "wb", buffering=0)
pipe.write(b"x")
signal.pause()
"""
PARENT = f"""
import socket, subprocess, sys
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""


def listening(folder: Path) -> Program:
    port = free_port()
    return Program([sys.executable, "-c", PARENT, str(port)], port, folder)


def test_a_program_dies_with_all_that_it_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    program = listening(tmp_path)
    program.start()
    with (tmp_path / "alive").open("rb") as pipe:
        assert pipe.read(1) == b"x"
        program.kill()
        assert pipe.read(1) == b""  # nobody holds it any more
    program.kill()  # again, for nothing


def test_a_program_that_ends_at_once_is_reported_with_what_it_printed(tmp_path: Path) -> None:
    program = Program([sys.executable, "-c", "import sys; sys.exit('no licence')"], free_port(), tmp_path)
    with pytest.raises(DidNotStart, match="no licence"):
        program.start()


def test_a_program_is_killed_if_it_never_listens(tmp_path: Path) -> None:
    program = Program([sys.executable, "-c", "import signal; signal.pause()"], free_port(), tmp_path, seconds=0.1)
    with pytest.raises(DidNotStart, match="does not listen"):
        program.start()


def test_it_can_be_killed_and_started_again_on_its_port(tmp_path: Path) -> None:
    program = listening(tmp_path)
    for _ in range(2):
        program.start()
        program.kill()
