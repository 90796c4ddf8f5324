"""Hostile requests against a real server: each is answered, or closed, in time; the memory bound holds; it still serves.

The table and the runner are tests/attack/emulator_requests.py, which `make attack` runs too.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.emulator_requests import Scenario, run, scenarios

pytestmark = pytest.mark.anyio

KEEP, BUFFERED = 64 * 2**20, 32 * 2**20
BESIDE = 96 * 2**20  # the program, connections, and a body of a million values while it is checked
SERVE = f"""
from streamfold.emulator import Options, serve
serve(Options(key="key", tokens_per_second=None, keep_bytes={KEEP}, max_buffered_bytes={BUFFERED},
    max_body_bytes=2**20, max_answer_tokens=10_000, request_seconds=2.0, unread_seconds=2.0,
    webhook_attempts=2, webhook_backoff_seconds=0.01), announce=lambda url: print(url, flush=True))
"""


@pytest.fixture
def anyio_backend() -> str:
    """Of the client: what is tested has an event loop of its own."""
    return "asyncio"


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """An emulator in a process of its own: its URL and the process's number."""
    with subprocess.Popen([sys.executable, "-W", "error", "-c", SERVE], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
            assert process.poll() is None, "the emulator ended"
        finally:
            process.kill()
            assert process.communicate()[1] == ""  # no traceback, no warning


def largest_memory(pid: int) -> int:
    """The most that a process has held, in bytes; 0 where the system does not say."""
    path = Path(f"/proc/{pid}/status")
    found = [line for line in path.read_text().splitlines() if line.startswith("VmHWM")] if path.exists() else []
    return int(found[0].split()[1]) * 1024 if found else 0


@pytest.mark.parametrize(
    "chosen",
    [pytest.param(scenarios()[::4], id="a sample"), pytest.param(scenarios(), id="all", marks=pytest.mark.thorough)],
)
async def test_hostile_requests_are_answered_and_change_nothing(
    server: tuple[str, int], chosen: list[Scenario]
) -> None:
    url, pid = server
    before = largest_memory(pid)
    verdicts = await run(url, chosen)
    assert [(each.scenario.name, each.problem) for each in verdicts if each.problem] == []
    assert len(verdicts) == len(chosen) + 2  # and the emulator serves on, on both paths
    assert largest_memory(pid) - before < KEEP + BUFFERED + BESIDE


def test_there_are_enough_of_them_and_no_two_are_the_same() -> None:
    names = [each.name for each in scenarios()]
    assert len(names) == len(set(names)) > 1000
