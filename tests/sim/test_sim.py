"""A part of what `make sim` does, with the seeds that it begins with; and the runs that once failed."""

from functools import cache

import pytest

from streamfold.session import CancelResult
from streamfold.sim import read_scenario
from tests.sim import run
from tests.sim.summary import Summary

RUNS = 2000

# Shrunk from runs that once failed.
ONCE_FAILED = {
    "followed after a number, nothing is compacted": '{"start":"after","after":13}',
    "where numbers mean nothing, a replay is counted": '{"behaviour":{"numbering":"zeros","ending":"silent"}}',
    "a refusal is remembered when the time for the cancel is up": (
        '{"behaviour":{"is_streamable":false},"retrieves":[{"seconds":90.0}],"actions":[{"at":0.995}]}'
    ),
    "refused as synchronous, and yet in the background": (
        '{"behaviour":{"is_streamable":false,"cancel":"vllm"},"retrieves":[{"seconds":4.0}],"actions":[{"at":0.685}]}'
    ),
    "a terminal event does not begin a stream while others wait": '{"streams":[{"faults":"gap:after_events=0,count=2"}]}',
    "a terminal event of a known number is another event": (
        '{"behaviour":{"ending":"silent","finished":"own","retrieve":"never"},"start":"create"}'
    ),
    "a notice does not ask again for what was refused for good": (
        '{"behaviour":{"ending":"silent","retrieve":"never"},"actions":[{"at":0.477},{"at":0.895,"what":"notice"}]}'
    ),
    "what is unauthorized is not asked again": (
        '{"behaviour":{"ending":"silent"},"retrieves":[{"faults":"refuse:on=resume,status=401"}],"actions":[{"at":0.209}]}'
    ),
    "one GET per poll, and none after it was refused": (
        '{"behaviour":{"pause_seconds":200.0,"cancel_seconds":8.0},'
        '"retrieves":[{},{"faults":"refuse:on=resume,status=410"}],"actions":[{"at":5.121}]}'
    ),
    "an open GET does not shorten the wait that a stream's refusal asked for": (
        '{"behaviour":{"pace_seconds":2.0},"streams":[{"faults":"refuse:on=resume,retry_after=300.0"}],'
        '"actions":[{"at":19.826,"what":"notice"}],"max_attempts":1}'
    ),
    "a duplicate does not make a wrong beginning right": (
        '{"streams":[{"faults":"duplicate:after_events=2,count=3;gap:after_events=0,count=2"}]}'
    ),
    "the status and the state are of one source": (
        '{"stream":4,"behaviour":{"pace_seconds":0.2,"cancel":"openai"},"streams":[{},{"answer":"own"}],'
        '"cancels":[{"answer":"lost"},{"lag_seconds":45.0}],"actions":[{"at":4.542}]}'
    ),
    "a POST's stream whose beginning was left out": (
        '{"behaviour":{"pace_seconds":0.2},"start":"create","streams":[{"faults":"gap:after_events=0,count=3"}]}'
    ),
    "an answered GET takes a loss back": (
        '{"behaviour":{"ending":"never"},"streams":[{"answer":"json"}],"retrieves":[{"faults":"html"}],'
        '"cancels":[{"lag_seconds":4.0,"answer":"unsent"}],"actions":[{"at":0.637}],"max_attempts":1,"total_seconds":90.0}'
    ),
    "an end after a hole counts when nothing else can be learned, whichever connection brought it": (
        '{"streams":[{"faults":"refuse:on=resume"},{"faults":"corrupt:after_events=12"},{"faults":"no_terminal"},'
        '{"answer":"empty"},{"faults":"html"}],"retrieves":[{"answer":"open"},{"seconds":90.0}],"max_attempts":1}'
    ),
    "a second stream that begins in its middle may only have its first events out of order": (
        '{"streams":[{"faults":"gap:after_events=0;drop:after_events=6,how=rst"},{"faults":"reorder:after_events=0"}]}'
    ),
    "a response that is left with its end known is compacted as any other": (
        '{"behaviour":{"finished":"next"},"streams":[{"seconds":0.5}],"cancels":[{"answer":"taken"},{"lag_seconds":0.5}],'
        '"actions":[{"at":0.232},{"at":0.753,"what":"leave"}]}'
    ),
    "an answered GET postpones the next one": (
        '{"stream":6,"behaviour":{"pace_seconds":2.0,"retry_milliseconds":1500,"cancel_seconds":40.0},'
        '"actions":[{"at":24.719}],"max_frame_bytes":961}'
    ),
}


@cache
def done(begin: int) -> tuple[Summary, dict[int, str]]:
    """What came of 250 runs, done once."""
    return run.batch(range(begin, begin + 250))


@pytest.mark.parametrize(
    "begin", [0, *(pytest.param(each, marks=pytest.mark.thorough) for each in range(250, RUNS, 250))]
)
def test_no_run_loses_an_event_or_reports_a_wrong_outcome(begin: int) -> None:
    summary, failures = done(begin)
    assert failures == {}
    assert summary.runs == 250


@pytest.mark.parametrize("text", ONCE_FAILED.values(), ids=ONCE_FAILED)
def test_what_once_failed_holds(text: str) -> None:
    assert run.failure(read_scenario(text)) == ""


@pytest.mark.thorough
def test_the_runs_meet_every_fault_and_every_end() -> None:
    summary = Summary()
    for begin in range(0, RUNS, 250):
        summary.join(done(begin)[0])
    faults = "drop stall drip duplicate reorder gap corrupt no_terminal two_terminals refuse gzip html renumber".split()
    assert set(faults) <= set(summary.faults)
    assert set(summary.repairs) == {"resume", "replay", "retrieve"}
    assert set(summary.outcomes) == {"completed", "incomplete", "failed", "cancelled", "abandoned", "lost"}
    assert set(summary.proofs) == {"terminal_event", "retrieved", "cancel_answer", "none"}
    assert set(summary.cancels) | {"not_allowed"} == {*CancelResult}  # which is generated once in some thousand runs
