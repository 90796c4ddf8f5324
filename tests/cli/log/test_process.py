"""`streamfold log` as processes: pipes between them, Ctrl-C in the middle, a reader that goes away."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.made import said

COMMAND = [sys.executable, "-m", "streamfold", "log"]
PIPE = subprocess.PIPE
FRAMES = said(*["text " * 40] * 2000)
BODY = b"".join(FRAMES)

Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    monkeypatch.setenv("STREAMFOLD_LOG", f"sqlite:{tmp_path / 'some.db'}")

    def run(*arguments: str, stdin: bytes = b"") -> Done:
        return subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, check=False, timeout=60)

    return run


def test_every_command_from_end_to_end(run: Callable[..., Done], tmp_path: Path) -> None:
    done = run("import", "-", stdin=BODY)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"resp_1\n", b"")
    assert run("export", "resp_1", "-").stdout == BODY
    assert run("import", "-", "--id", "again", stdin=run("export", "resp_1", "-").stdout).stdout == b"again\n"
    assert run("export", "again", str(tmp_path / "out.sse")).returncode == 0
    assert (tmp_path / "out.sse").read_bytes() == BODY
    assert json.loads(run("replay", "resp_1", "--at", "1000", "--json").stdout)["events"] == 1001
    assert len(run("show", "resp_1").stdout.splitlines()) == len(FRAMES) + 3
    assert run("diff", "resp_1", "3", "4").stdout == b'/output/0/content/0/text += "%b"\n' % (b"text " * 40)
    assert run("fork", "resp_1", "fork", "--at", "9").stdout == b"fork\n"
    assert [line.split(b"\t")[0] for line in run("ls").stdout.splitlines()] == [b"again", b"fork", b"resp_1"]
    assert run("verify").stdout == b"3 intact, 0 damaged\n"
    assert run("doctor").returncode == run("expire").returncode == run("drop", "fork").returncode == 0


def test_a_log_that_is_damaged_is_exit_code_1(run: Callable[..., Done], tmp_path: Path) -> None:
    run("import", "-", stdin=BODY)
    connection = sqlite3.connect(tmp_path / "some.db")
    with connection:
        connection.execute("UPDATE event SET name = 'x' WHERE k = (1 << 24) + 7")
    connection.close()
    done = run("verify")
    assert (done.returncode, done.stdout) == (1, b"resp_1: record 7 is damaged\n0 intact, 1 damaged\n")


@pytest.mark.parametrize("command", [["export", "resp_1", "-"], ["show", "resp_1"]], ids=["export", "show"])
def test_a_reader_that_went_away_is_met_quietly(command: list[str], run: Callable[..., Done]) -> None:
    run("import", "-", stdin=BODY)
    with subprocess.Popen([*COMMAND, *command], stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_in_an_import_leaves_whole_groups_and_it_can_be_gone_on_with(run: Callable[..., Done]) -> None:
    with subprocess.Popen([*COMMAND, "import", "-"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(FRAMES[:1800]))
        process.stdin.flush()
        while not run("ls").stdout:  # until the first group is there
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
    assert (process.returncode, err.count(b"\n")) == (130, 1)
    assert err == b"streamfold: stdin: stopped; the log has part of it. Import it again to add the rest\n"
    stream = json.loads(run("ls", "--json").stdout)["streams"][0]
    assert stream["status"] is None
    assert stream["next_number"] >= 500
    assert run("verify").returncode == 0
    assert run("import", "-", stdin=BODY).stdout == b"resp_1\n"
    assert run("export", "resp_1", "-").stdout == BODY
