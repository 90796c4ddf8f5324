"""Programs are started on their port and die as a group; nothing of this is skipped where no real server is installed."""

import sys
from pathlib import Path

import pytest

from tests.servers.program import DidNotStart, Program, free_port

# It starts a child, which would outlive it, and listens.
PARENT = """
import socket, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
open("child", "w").write(str(child.pid))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""


def is_running(pid: int) -> bool:
    """Whether it runs: one that has ended, and was not waited for, does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc, which Linux has")
def test_a_program_dies_with_all_that_it_started(tmp_path: Path) -> None:
    port = free_port()
    program = Program([sys.executable, "-c", PARENT, str(port)], port, tmp_path)
    program.start()
    child = int((tmp_path / "child").read_text())
    assert is_running(child)
    program.kill()
    assert not is_running(child)
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
    port = free_port()
    program = Program([sys.executable, "-c", PARENT, str(port)], port, tmp_path)
    for _ in range(2):
        program.start()
        program.kill()
