"""`streamfold log` between processes: pipes, Ctrl-C in the middle, a reader that goes away."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run
from tests.cli.made import said

COMMAND = [sys.executable, "-m", "streamfold", "log"]
PIPE = subprocess.PIPE
FRAMES = said(*["text " * 40] * 2000)
BODY = b"".join(FRAMES)

Commands = Callable[..., Ran]


@pytest.fixture
def log(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Runs a command on a log, in this process."""
    monkeypatch.setenv("STREAMFOLD_LOG", f"sqlite:{tmp_path / 'some.db'}")
    return lambda *arguments, **options: run("log", *arguments, **options)


@pytest.mark.usefixtures("log")
def test_one_process_writes_what_the_next_reads() -> None:
    done = subprocess.run([*COMMAND, "import", "-"], input=BODY, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"resp_1\n", b"")
    done = subprocess.run([*COMMAND, "export", "resp_1", "-"], capture_output=True, check=True, timeout=60)
    assert done.stdout == BODY


def test_every_command_from_end_to_end(log: Commands, tmp_path: Path) -> None:
    ran = log("import", "-", stdin=BODY)
    assert (ran.code, ran.out, ran.err) == (0, b"resp_1\n", "")
    assert log("export", "resp_1", "-").out == BODY
    assert log("import", "-", "--id", "again", stdin=log("export", "resp_1", "-").out).out == b"again\n"
    assert log("export", "again", str(tmp_path / "out.sse")).code == 0
    assert (tmp_path / "out.sse").read_bytes() == BODY
    assert log("replay", "resp_1", "--at", "1000", "--json").document["events"] == 1001
    assert len(log("show", "resp_1").out.splitlines()) == len(FRAMES) + 3
    assert log("diff", "resp_1", "3", "4").out == b'/output/0/content/0/text += "%b"\n' % (b"text " * 40)
    assert log("fork", "resp_1", "fork", "--at", "9").out == b"fork\n"
    assert [line.split(b"\t")[0] for line in log("ls").out.splitlines()] == [b"again", b"fork", b"resp_1"]
    assert log("verify").out == b"3 intact, 0 damaged\n"
    assert log("doctor").code == log("expire").code == log("drop", "fork").code == 0


def test_a_log_that_is_damaged_is_exit_code_1(log: Commands, tmp_path: Path) -> None:
    log("import", "-", stdin=BODY)
    connection = sqlite3.connect(tmp_path / "some.db")
    with connection:
        connection.execute("UPDATE event SET name = 'x' WHERE k = (1 << 24) + 7")
    connection.close()
    ran = log("verify")
    assert (ran.code, ran.out) == (1, b"resp_1: record 7 is damaged\n0 intact, 1 damaged\n")


@pytest.mark.parametrize("command", [["export", "resp_1", "-"], ["show", "resp_1"]], ids=["export", "show"])
def test_a_reader_that_went_away_is_met_quietly(command: list[str], log: Commands) -> None:
    log("import", "-", stdin=BODY)
    with subprocess.Popen([*COMMAND, *command], stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_an_import_leaves_whole_groups_and_importing_again_adds_the_rest(
    number: signal.Signals, log: Commands
) -> None:
    with subprocess.Popen([*COMMAND, "import", "-"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(FRAMES[:1800]))
        process.stdin.flush()
        while not log("ls").out:  # until the first group is there
            assert process.poll() is None
        process.send_signal(number)
        err = process.stderr.read()
    assert process.returncode == 128 + number
    assert err == b"streamfold: stdin: stopped; the log has part of it. Import it again to add the rest\n"
    stream = json.loads(log("ls", "--json").out)["streams"][0]
    assert stream["status"] is None
    assert stream["next_number"] >= 500
    assert log("verify").code == 0
    assert log("import", "-", stdin=BODY).out == b"resp_1\n"
    assert log("export", "resp_1", "-").out == BODY
