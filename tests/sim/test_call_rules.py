"""Each rule for the calls of a session is shown a session that breaks it, and one that does not."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from attrs import evolve

import streamfold.sim.driver
from streamfold.session import Action, Answer, Applied, Call, Cancel, Connect, Repair, RepairKind, Session
from streamfold.sim import Run, read_scenario, simulate
from streamfold.sim.call_rules import RULES
from tests.sim.run import transcripts

Rule: TypeAlias = Callable[[Run, Any], str | None]
NAMED: dict[str, Rule] = {rule.__name__.removeprefix("_"): rule for _, rule in RULES}


class Twice(Session):
    """Makes each call twice."""

    def actions(self) -> list[Action]:
        return [each for each in super().actions() for _ in range(1 + isinstance(each, Call))]


class SkipsAnEvent(Session):
    """Resumes after the wrong number."""

    def actions(self) -> list[Action]:
        return [self._shifted(each) for each in super().actions()]

    def _shifted(self, action: Action) -> Action:
        is_resume = isinstance(action, Connect) and action.starting_after is not None
        return Connect(action.starting_after + 1) if is_resume else action


class TakesNoRefusal(Session):
    """Reads a permanent refusal as a busy gateway."""

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        super().receive_answer(call, Answer(503) if 400 <= answer.status < 500 else answer, now=now)


class ReplaysFirst(Session):
    """Replays where it should resume."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        return tuple(evolve(each, kind=RepairKind.REPLAY) for each in super().repairs)


class IgnoresRetryAfter(Session):
    """Calls again before the time that the gateway asked for."""

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        super().receive_answer(call, evolve(answer, headers={}), now=now)


class IgnoresRetryField(Session):
    """Connects again before the time that the stream asked for."""

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        return super().receive_chunk(chunk.replace(b"retry: ", b"retired: "), now=now)


class NeverCancels(Session):
    """Ignores the caller's cancel."""

    def receive_cancel(self, *, now: float) -> None:
        pass


class MisreadsTheCancel(Session):
    """Finds no status in the answer to a cancel."""

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        is_cancel = isinstance(call, Cancel)
        super().receive_answer(call, evolve(answer, body=b"{}") if is_cancel else answer, now=now)


class MissesTheEnd(Session):
    """Does not notice that a stream ends."""

    def receive_eof(self, *, now: float) -> None:
        pass


class DoesNotLeave(Session):
    """Takes each response for one of the background."""

    def __init__(self, *arguments: Any, is_background: bool | None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._cancel.receive_background = lambda is_background: None  # type: ignore[method-assign]


def with_patience(**fields: Any) -> type[Session]:
    """A session that has another patience than it was given."""

    class Otherwise(Session):
        def __init__(self, *arguments: Any, patience: Any, **more: Any) -> None:
            super().__init__(*arguments, patience=evolve(patience, **fields), **more)

    return Otherwise


class GivesUpInAnOutage(Session):
    """Reads a connection that was refused as a gateway that will never stream it."""

    def receive_failure(self, call: Call, reason: str, *, now: float) -> None:
        is_outage = reason == "the connection was refused"
        if is_outage:
            super().receive_answer(call, Answer(404), now=now)
        else:
            super().receive_failure(call, reason, now=now)


BROKEN = [
    ("one_call_of_a_kind_at_a_time", Twice, "{}"),
    ("each_connection_is_a_repair", Twice, "{}"),
    ("resumes_after_the_cursor", SkipsAnEvent, '{"start":"after","after":1}'),
    ("permanent_refusals_are_final", TakesNoRefusal, '{"behaviour":{"is_streamable":false}}'),
    ("resumes_first_after_progress", ReplaysFirst, '{"behaviour":{"ending":"error_flat"}}'),
    ("retry_after_is_obeyed", IgnoresRetryAfter, '{"streams":[{"faults":"refuse:status=429,retry_after=300.0"}]}'),
    (
        "reconnection_time_is_obeyed",
        IgnoresRetryField,
        '{"behaviour":{"ending":"silent","retry_milliseconds":9000}}',
    ),
    (
        "polls_are_spaced",
        with_patience(poll_seconds=0.2),
        '{"stream":19,"behaviour":{"pace_seconds":0.2,"cancel_seconds":8.0},"actions":[{"at":11.006}]}',
    ),
    (
        "events_are_in_time",
        with_patience(gap_seconds=50.0),
        '{"stream":23,"behaviour":{"pace_seconds":2.0},"streams":[{"faults":"gap:after_events=8"}]}',
    ),
    (
        "an_outage_is_outlasted",
        GivesUpInAnOutage,
        '{"behaviour":{"pace_seconds":2.0},"outages":[{"at":5.0,"seconds":30.0}]}',
    ),
    ("a_wanted_cancel_is_sent", NeverCancels, '{"behaviour":{"pace_seconds":0.2},"actions":[{"at":1.9}]}'),
    (
        "cancels_are_limited",
        with_patience(max_attempts=9),
        '{"behaviour":{"pause_seconds":20.0},"cancels":[{"faults":"refuse:status=404"}],"actions":[{"at":0.5}],"max_attempts":1}',
    ),
    (
        "a_cancel_is_sent_again",
        with_patience(max_attempts=1),
        '{"behaviour":{"pause_seconds":20.0},"cancels":[{"faults":"refuse:status=404"}],"actions":[{"at":0.5}]}',
    ),
    (
        "waits_for_the_cancel",
        with_patience(cancel_seconds=3.0, stalled_seconds=20.0),
        '{"behaviour":{"is_streamable":false},"retrieves":[{"seconds":90.0}],"cancels":[{"lag_seconds":45.0}],'
        '"actions":[{"at":4.614}]}',
    ),
    (
        "conflicts_are_reported",
        MisreadsTheCancel,
        '{"behaviour":{"pace_seconds":0.02,"cancel":"completes-anyway"},"actions":[{"at":0.258}]}',
    ),
    (
        "a_proven_cancel_ends_the_run",
        MissesTheEnd,
        '{"behaviour":{"pace_seconds":0.2,"cancel":"openai"},"actions":[{"at":1.0}]}',
    ),
    (
        "a_foreground_response_is_left",
        DoesNotLeave,
        '{"behaviour":{"background":false,"pause_seconds":50.0},"start":"create","actions":[{"at":4.0}]}',
    ),
]


@pytest.mark.parametrize(("name", "session", "scenario"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_a_session_that_breaks_the_rule_is_found(
    name: str, session: type[Session], scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule, asked = NAMED[name], read_scenario(scenario)
    run = simulate(asked, transcripts())
    assert rule(run, run.outcome) is None
    monkeypatch.setattr(streamfold.sim.driver, "Session", session)
    broken = simulate(asked, transcripts())
    assert broken.outcome is not None
    assert rule(broken, broken.outcome) is not None


def test_every_rule_is_shown_a_session_that_breaks_it() -> None:
    assert {name for name, _, _ in BROKEN} | {"conflicts_are_real"} == {*NAMED}  # that one is in test_oracle
