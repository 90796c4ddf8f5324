"""The command as a process: on a terminal of its own, and where there is none."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from streamfold.cli.log import show
from streamfold.log import SqliteLog
from tests.cli.conftest import Run
from tests.cli.inspect.made import OUTCOME, RECORDS, RESUME, SECONDS, put
from tests.history.made import TENANT

pytestmark = pytest.mark.anyio

COMMAND = [sys.executable, "-m", "streamfold", "inspect"]
STEERING = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78]|\][^\x07]*\x07)")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


class Terminal:
    """A process on a terminal of its own. said: all that came there by now."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._raw = b""

    @property
    def said(self) -> str:
        return STEERING.sub("", self._raw.decode("utf-8", "replace"))

    def read(self, seconds: float) -> bool:
        """Read what is there. Returns: whether more may come."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other side any more
            return False
        self._raw += data
        return bool(data)

    def until(self, words: str) -> None:
        """Read until they were said."""
        deadline = time.monotonic() + SECONDS
        while words not in self.said:
            assert self.read(0.05), self.said
            assert time.monotonic() < deadline, self.said

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Its exit code, once it has ended."""
        while self.read(SECONDS):
            pass
        return self.process.wait(SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextmanager
def on_terminal(*arguments: str | Path) -> Iterator[Terminal]:
    terminal = Terminal(*map(str, arguments))
    try:
        yield terminal
    finally:
        terminal.close()


def flags(path: Path) -> list[str]:
    return ["--log", f"sqlite:{path}", "--tenant", TENANT]


async def fill(path: Path) -> None:
    async with SqliteLog(path) as log:
        await put(log, notes=(RESUME, OUTCOME), status="completed")


@pytest.fixture
def as_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown is reported before the terminal is used."""
    monkeypatch.setattr(show, "can_ask", lambda: True)


@pytest.mark.parametrize(
    "key", [pytest.param("q", marks=pytest.mark.thorough, id="q"), pytest.param("\x03", id="ctrl-c")]
)
async def test_it_shows_a_response_and_is_left(path: Path, key: str) -> None:
    await fill(path)
    with on_terminal("resp_1", *flags(path), "--at", "3") as terminal:
        terminal.until("at 3 of 6")
        terminal.until("Hello")
        terminal.press("\x1b[F")  # End
        terminal.until("at 6 of 6")
        terminal.press(key)
        assert terminal.end() == 0


async def test_it_follows_what_another_process_writes(path: Path) -> None:
    async with SqliteLog(path) as log:
        lease = await put(log, RECORDS[:3])
        with on_terminal("resp_1", *flags(path)) as terminal:
            terminal.until("at 2 of 2")
            terminal.until("live")
            await log.append(lease, RECORDS[3:], status="completed")
            terminal.until("the end: completed")
            terminal.press("q")
            assert terminal.end() == 0


async def test_a_log_that_cannot_be_written_is_read(path: Path) -> None:
    await fill(path)
    path.chmod(0o400)
    with on_terminal("resp_1", *flags(path)) as terminal:
        terminal.until("at 6 of 6")
        terminal.press("q")
        assert terminal.end() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["resp_2"], 1, "the log has no stream resp_2; streamfold log ls lists its streams"),
        (["resp_1", "--at", "9"], 1, "no state at 9: the events end at 6"),
        (["resp_1", "--at", "x"], 2, '"x" is not a whole number'),
    ],
    ids=["unknown id", "beyond the end", "no number"],
)
@pytest.mark.usefixtures("as_on_a_terminal")
def test_what_cannot_be_shown_is_one_line(path: Path, arguments: list[str], code: int, line: str, run: Run) -> None:
    anyio.run(fill, path)
    ran = run("inspect", *flags(path), *arguments)
    assert (ran.code, ran.out) == (code, b"")
    assert line in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "code", "line"),
    [("nowhere", 2, "--log: must be sqlite:PATH"), ("sqlite:.", 1, ": it is a directory; name a file in it")],
)
@pytest.mark.usefixtures("as_on_a_terminal")
def test_a_log_that_cannot_be_opened_is_one_line(address: str, code: int, line: str, run: Run) -> None:
    ran = run("inspect", "resp_1", "--log", address)
    assert (ran.code, ran.out) == (code, b"")
    assert line in ran.err
    assert ran.err.count("\n") == 1


def test_without_a_terminal_it_says_what_to_do(path: Path, run: Run) -> None:
    ran = run("inspect", "resp_1", *flags(path))
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == "streamfold: inspect needs a terminal; in a pipe, use streamfold log show resp_1\n"


def test_without_the_extra_one_line_says_how_to_install_it() -> None:
    line = (
        "import sys; sys.modules['textual'] = None\n"
        "from streamfold.cli import main; sys.exit(main(['inspect', 'resp_1']))"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == (
        b"streamfold: inspect needs an extra; install it with: python -m pip install 'streamfold[tui]'\n"
    )


def test_no_other_command_loads_it() -> None:
    line = (
        "import sys; from streamfold.cli import main\nassert main(['--help']) == 0; sys.exit('textual' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, check=False, timeout=SECONDS)
    assert done.returncode == 0
