"""A worker's report arrives, or its deadline or its end is reported; no real client is needed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.judge import Report
from tests.clients.worker import Died, Worker

PROGRAMS = Path(__file__).parent / "programs"

# A client that answers what it is asked to, and raises, hangs or dies if that is what it is asked to.
FAKE = f"""
import sys, signal
sys.path.insert(0, {str(PROGRAMS)!r})
from report import Ending, run

failures = iter([True, False])

def stream(job, show):
    print("a client that prints")
    for piece in job.input.split():
        if piece == "raise" or (piece == "raise-once" and next(failures)):
            raise ValueError("as asked")
        if piece == "hang":
            signal.pause()
        if piece == "die":
            sys.exit("no licence")
        show(piece)
    return Ending("the final text", finished=piece != "unfinished")

run(stream)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker([sys.executable, "-c", FAKE], tmp_path / "home")
    yield made
    made.kill()


def ask(worker: Worker, text: str, *, attempts: int = 1, seconds: float = 60.0) -> Report | None:
    return worker.ask({"url": "http://127.0.0.1:9", "input": text, "attempts": attempts}, seconds=seconds)


def test_a_program_reports_one_answer_after_the_other(worker: Worker) -> None:
    assert ask(worker, "1 2") == Report(shown="12", final="the final text", error=None, finished=True)
    assert ask(worker, "3 raise") == Report(shown="3", final=None, error="ValueError: as asked", finished=False)
    assert ask(worker, "unfinished") == Report(shown="unfinished", final="the final text", error=None, finished=False)


def test_an_error_is_followed_by_the_next_attempt_which_shows_its_own_text(worker: Worker) -> None:
    assert ask(worker, "1 raise-once 2", attempts=3) == Report(
        shown="1raise-once2", final="the final text", error=None, finished=True, attempts=2
    )
    assert ask(worker, "raise", attempts=3) == Report(
        shown="", final=None, error="ValueError: as asked", finished=False, attempts=3
    )


def test_a_program_that_hangs_is_killed_and_started_again(worker: Worker) -> None:
    assert ask(worker, "1") is not None
    assert ask(worker, "hang", seconds=0.1) is None
    assert ask(worker, "1") is not None


def test_a_program_that_ends_is_reported_with_what_it_printed(worker: Worker) -> None:
    with pytest.raises(Died, match="no licence"):
        ask(worker, "die")
    assert ask(worker, "1") is not None


def test_a_program_streams_one_answer_of_a_url_without_jobs() -> None:
    command = [sys.executable, "-c", FAKE, "http://127.0.0.1:9", "1 2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["shown"] == "12"
    assert "a client that prints" in done.stderr
