"""`streamfold demo` as its user runs it: how long, how many lines, what it claims, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import pytest

from streamfold.cli.demo import command, relay
from streamfold.cli.demo.command import program_name
from streamfold.cli.demo.page import DemoPage
from tests.cli.conftest import Run

DEMO = [sys.executable, "-m", "streamfold", "demo"]
MOST_SECONDS, MOST_LINES, COLUMNS = 20, 30, 80


@dataclass(frozen=True)
class Shown:
    """What one run of the demo did. left: what it left in the folder for temporary files."""

    code: int
    text: str
    errors: str
    seconds: float
    left: list[str]

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), **more}


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The demo in a pipe, in an environment that sends everything to a proxy that is not there."""
    folder = tmp_path_factory.mktemp("temporary")
    begun = monotonic()
    env = environment(folder, HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1")
    done = subprocess.run(DEMO, capture_output=True, check=False, timeout=100, env=env)
    return Shown(done.returncode, done.stdout.decode(), done.stderr.decode(), monotonic() - begun, os.listdir(folder))


def test_every_claim_holds(piped: Shown) -> None:
    assert (piped.code, piped.errors, piped.text.count("✓"), piped.text.count("✗")) == (0, "", 8, 0), piped.text


def slowness() -> float:
    """How much longer a program takes here because others use the processors too."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_it_is_short(piped: Shown) -> None:
    assert piped.seconds < MOST_SECONDS * slowness()
    assert len(piped.lines) <= MOST_LINES
    assert max(map(len, piped.lines)) < COLUMNS
    assert "\x1b" not in piped.text


def test_it_leaves_nothing_behind(piped: Shown) -> None:
    assert piped.left == []


def test_it_shows_what_the_relay_does(piped: Shown) -> None:
    assert "   ✓ straight to the gateway: cut off 3 times, 4 requests, 4 answers generated\n" in piped.text
    assert "   ✓ through the relay: cut off 3 times, 4 requests, 1 answer generated\n" in piped.text
    assert re.search(r"\n   the relay is killed with -9: reader one has \d+ events, reader two \d+\n", piped.text)
    assert (
        len(re.findall(r"✓ reader (?:one|two): 369 events, none lost, none twice, the text is whole\n", piped.text))
        == 2
    )


def test_it_ends_with_one_summary_and_what_to_try_next(piped: Shown) -> None:
    summary, *following = piped.lines[-4:]
    assert re.fullmatch(r"All 8 checks passed in \d+ seconds: nothing was lost\.", summary)
    assert following[0].startswith("Try next: streamfold relay --upstream ")


def test_its_lines_have_none_of_our_notation(piped: Shown) -> None:
    for notation in ("after_events", "drop:", "terminal_event", "resp_", "://127", "_"):
        assert notation not in piped.text


# Parts that are quick


async def nothing(*_: object) -> None:
    return None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Leaves every part out, and the relay; a test puts back what it needs."""
    monkeypatch.setattr(command, "relay_process", lambda *_: nullcontext())
    for name in ("show_stream", "show_cancels", "show_retries", "show_kill"):
        monkeypatch.setattr(command, name, nothing)
    return monkeypatch


def test_a_claim_that_does_not_hold_is_exit_code_1(run: Run, quick: pytest.MonkeyPatch) -> None:
    async def false(page: DemoPage, *_: object) -> None:
        page.check("nothing was lost", holds=False)
        page.check("nothing came twice", holds=True)

    quick.setattr(command, "show_cancels", false)
    ran = run("demo")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.decode().splitlines()[1:] == [
        "   ✗ nothing was lost",
        "   ✓ nothing came twice",
        "",
        "1 of 2 checks failed: see above.",
    ]


def test_a_part_that_fails_is_a_claim_that_does_not_hold_and_the_next_part_follows(
    run: Run, quick: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        async with anyio.create_task_group():
            raise RuntimeError("the socket\nis gone")

    async def holds(page: DemoPage, *_: object) -> None:
        page.check("nothing was lost", holds=True)

    quick.setattr(command, "show_stream", fails)
    quick.setattr(command, "show_retries", holds)
    ran = run("demo")
    assert ran.code == 1
    assert "   ✗ this could not be shown: RuntimeError: the socket is gone\n   ✓ nothing" in ran.out.decode()


def test_a_part_without_an_end_is_a_claim_that_does_not_hold(run: Run, quick: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object) -> None:
        await anyio.sleep_forever()

    quick.setattr(command, "show_stream", hangs)
    quick.setattr(command, "PART_SECONDS", 0.05)
    ran = run("demo")
    assert (ran.code, "✗ this could not be shown: TimeoutError: no end within 0.05 seconds" in ran.out.decode()) == (
        1,
        True,
    )


class Started:
    """The processes that were started, by their ids."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ids: list[int] = []
        self._open = anyio.open_process
        patch.setattr(relay.anyio, "open_process", self._opened)

    async def _opened(self, *arguments: Any, **more: Any) -> Any:
        process = await self._open(*arguments, **more)
        self.ids.append(process.pid)
        return process

    def alive(self) -> Iterator[int]:
        for each in self.ids:
            try:
                os.kill(each, 0)
            except ProcessLookupError:
                continue
            yield each


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_ctrl_c_while_the_relay_runs_ends_it_too(
    number: signal.Signals, run: Run, quick: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def starts(page: DemoPage, _emulator: object, _url: object, process: relay.RelayProcess) -> None:
        await process.serves()
        page.line("it runs")
        await anyio.sleep_forever()

    quick.setattr(command, "relay_process", relay.relay_process)
    quick.setattr(command, "show_retries", starts)
    quick.setattr("tempfile.tempdir", str(tmp_path))
    started = Started(quick)
    ran = run("demo", ctrl_c_when=lambda out, _: b"it runs" in out, number=number)
    assert (ran.code, ran.err) == (128 + number, "streamfold: stopped\n")
    assert (len(started.ids), list(started.alive()), list(tmp_path.glob("streamfold-*"))) == (1, [], [])


def test_ctrl_c_while_the_relay_starts_ends_it_too(run: Run, quick: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def starts(_stage: object, _emulator: object, _url: object, process: relay.RelayProcess) -> None:
        await process.serves()
        await anyio.sleep_forever()

    quick.setattr(command, "relay_process", relay.relay_process)
    quick.setattr(command, "show_retries", starts)
    quick.setattr("tempfile.tempdir", str(tmp_path))
    started = Started(quick)
    ran = run("demo", ctrl_c_when=lambda *_: bool(started.ids))
    assert ran.code == 130
    assert (len(started.ids), list(started.alive()), list(tmp_path.glob("streamfold-*"))) == (1, [], [])


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.5, 3, 5, 6, 7, 9])
def test_ctrl_c_at_any_moment_leaves_nothing_behind(seconds: float, tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before it, Python may still be importing
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) in ((130, b"streamfold: stopped\n"), (0, b""), (-2, b""))
    assert os.listdir(tmp_path) == []


def test_a_reader_that_went_away_ends_it_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert (process.returncode, os.listdir(tmp_path)) == (141, [])


@pytest.mark.parametrize(("columns", "wrapped"), [("80", False), ("34", True)])
def test_only_a_narrow_terminal_wraps_a_line(columns: str, wrapped: bool, run: Run, quick: pytest.MonkeyPatch) -> None:
    async def long(page: DemoPage, *_: object) -> None:
        page.check("reader one: 309 events, none lost, none twice", holds=True)

    for name, value in {"TERM": "xterm", "COLUMNS": columns, "LINES": "30", "NO_COLOR": "1"}.items():
        quick.setenv(name, value)
    quick.setattr(command, "show_stream", long)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", run("demo", terminal=True).out.decode())
    assert ("   ✓ reader one: 309 events, none\n     lost, none twice\n" in shown) is wrapped
    assert ("   ✓ reader one: 309 events, none lost, none twice\n" in shown) is not wrapped


def test_it_names_the_program_as_its_user_can_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "which", lambda _: None)
    assert program_name(".venv/bin/streamfold") == ".venv/bin/streamfold"
    assert program_name("my venv/bin/streamfold") == "'my venv/bin/streamfold'"
    assert program_name("/lib/streamfold/__main__.py") == "streamfold"
    monkeypatch.setattr(command, "which", lambda name: f"/usr/bin/{name}")
    assert program_name("/usr/bin/streamfold") == "streamfold"
