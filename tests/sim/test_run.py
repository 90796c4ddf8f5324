"""`make sim` runs, gives the same runs for the same seed, and prints a failure so that it can be repeated."""

import pytest

import streamfold.sim.driver
from streamfold.session import Applied, Session
from streamfold.sim import Scenario, read_scenario
from tests.sim import run


class Stammering(Session):
    """A session that applies its events twice."""

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        return [each for each in super().receive_chunk(chunk, now=now) for _ in range(2)]


def test_the_closing_line_says_what_there_was_and_what_there_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run(runs=300, seed=5) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("300 runs")
    assert "0 lost, 0 applied twice, 0 wrong outcomes, every run ended" in printed
    assert "seed 5" in printed


def test_a_seed_gives_the_same_runs_again() -> None:
    assert run.generate(7) == run.generate(7)
    first, second = (run.batch(range(50))[0] for _ in range(2))
    assert str(first) == str(second)


def test_processes_share_the_work_and_count_the_same() -> None:
    shared, alone = (
        [summary for summary, _ in run.results([range(40), range(40, 80), range(80, 90)], jobs)] for jobs in (2, 1)
    )
    assert list(map(str, shared)) == list(map(str, alone))


def test_a_failure_prints_its_seed_and_a_scenario_that_fails_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streamfold.sim.driver, "Session", Stammering)
    assert run.run(runs=10, seed=3) == 1
    printed = capsys.readouterr().out
    assert "failed: seed 3" in printed
    assert "twice: event" in printed
    text = printed.partition("--scenario '")[2].partition("'")[0]
    assert run.run_scenario(text) == 1
    assert "twice: event" in capsys.readouterr().out
    assert read_scenario(text).streams == ()


def test_a_scenario_that_holds_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run_scenario(str(Scenario(streams=()))) == 0
    printed = capsys.readouterr().out
    assert "status: completed" in printed
    assert "nothing is wrong" in printed


def test_a_text_that_is_no_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run_scenario('{"seeds":1}') == 2
    assert "scenario: " in capsys.readouterr().err


def test_what_a_session_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(streamfold.sim.driver, "Session", broken)
    assert run.failure(Scenario()).startswith("raised: ")
