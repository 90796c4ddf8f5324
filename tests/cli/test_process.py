"""The command as a process: pipes, signals, a reader that goes away, a library that is missing."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.made import said

FRAMES = said("Hel", "lo ", "world")
COMMAND = [sys.executable, "-m", "streamfold"]
PIPE = subprocess.PIPE

Save = Callable[..., Path]


def start(*arguments: str | Path, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdin=stdin, stdout=PIPE, stderr=PIPE)


def watching() -> "subprocess.Popen[bytes]":
    """A command that watches what a slow producer writes, and has shown the first three letters of it."""
    process = start("fold", "-", "--watch", stdin=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(FRAMES[:4]))
    process.stdin.flush()
    assert process.stdout.read(3) == b"Hel"
    return process


def test_a_file_through_a_pipe(save: Save) -> None:
    with save(FRAMES).open("rb") as file, start("fold", "-", "--json", stdin=file.fileno()) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["output_text"] == "Hello world"


def test_a_slow_producer_is_shown_as_it_writes() -> None:
    with watching() as process:
        out, err = process.communicate(b"".join(FRAMES[4:]), timeout=20)
    assert (process.returncode, out, err) == (0, b"lo world", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly_and_tells_where(number: signal.Signals) -> None:
    with watching() as process:
        assert process.stdout is not None
        process.send_signal(number)
        process.wait(timeout=20)
        assert process.stdout.read() == b""
        assert process.stderr is not None
        assert process.stderr.read() == b"streamfold: stdin: stopped after event 3\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    ("options", "unbuffered"),
    [
        pytest.param([], "", id="Response"),
        pytest.param(["--watch", "--speed", "1e9"], "1", id="watch-unbuffered"),
        pytest.param(["--json"], "", id="json", marks=pytest.mark.thorough),
        pytest.param(["--events"], "", id="events", marks=pytest.mark.thorough),
        pytest.param(["--watch", "--speed", "1e9"], "", id="watch", marks=pytest.mark.thorough),
        pytest.param([], "1", id="Response-unbuffered", marks=pytest.mark.thorough),
        pytest.param(["--json"], "1", id="json-unbuffered", marks=pytest.mark.thorough),
        pytest.param(["--events"], "1", id="events-unbuffered", marks=pytest.mark.thorough),
    ],
)
def test_a_reader_that_went_away_is_met_quietly(
    options: list[str], unbuffered: str, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    path = save(said(*["text " * 40] * 2000))
    with start("fold", path, *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("library", ["cyclopts", pytest.param("rich", marks=pytest.mark.thorough)])
def test_without_the_extra_one_line_says_how_to_install_it(library: str) -> None:
    line = (
        f"import sys; sys.modules[{library!r}] = None; import streamfold.cli; sys.exit(streamfold.cli.main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == (
        b"streamfold: the command line needs an extra; install it with: python -m pip install 'streamfold[cli]'\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["emulator"], id="emulator"),
        pytest.param(["demo"], id="demo", marks=pytest.mark.thorough),
        pytest.param(["relay", "--upstream", "http://a", "--log", "memory:"], id="relay", marks=pytest.mark.thorough),
    ],
)
def test_without_the_library_of_servers_one_line_says_how_to_install_it(command: list[str]) -> None:
    line = f"import sys; sys.modules['uvicorn'] = None; from streamfold.cli import main; sys.exit(main({command}))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
    assert done.stderr == (
        b"streamfold: a server needs an extra; install it with: python -m pip install 'streamfold[relay]'\n"
    )


def test_the_installed_command_is_the_same() -> None:
    script = Path(sys.executable).with_name("streamfold")
    assert script.exists(), "the package is not installed in this environment: `make test` installs it"
    done = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=20)
    module = subprocess.run([*COMMAND, "--version"], capture_output=True, check=True, timeout=20)
    assert done.stdout == module.stdout
