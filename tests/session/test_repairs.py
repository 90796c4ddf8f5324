"""Repairs: the steps of the ladder in their order, each after its wait and with its reason."""

from typing import Any

import pytest

from streamfold.fold import State
from streamfold.session.answer import CallFailure
from streamfold.session.drive import Agenda, Connect, Timer
from streamfold.session.outcome import Repair, RepairKind
from streamfold.session.patience import Backoff, Patience
from streamfold.session.reassembler import Reassembler
from streamfold.session.repairs import Repairs
from tests.session.made import created, frame

RESUME, REPLAY, RETRIEVE = RepairKind
RESET = CallFailure("reset")


class One:
    """Repairs of a stream that brought one event, unless it is empty."""

    def __init__(self, *, is_empty: bool = False, after: int | None = None, **limits: Any) -> None:
        limits = {"max_attempts": 2, "backoff": Backoff(first_seconds=1.0)} | limits
        self.agenda = Agenda(now=10.0, total_seconds=None)
        self.stream = Reassembler(State(), patience=Patience(**limits), starting_after=after)
        self.repairs = Repairs(self.agenda, self.stream, patience=Patience(**limits), random=lambda: 0.5)
        self.stream.begin(is_replay=True)
        if not is_empty:
            self.stream.feed(created(0))

    def fail(self, failure: CallFailure = RESET) -> bool:
        self.repairs.fail_stream(failure)
        return self.repairs.begin_next(failure)


def test_a_stream_with_a_number_to_resume_after_is_resumed_first() -> None:
    assert (One(after=7).repairs.trying, One(after=7).repairs.connect) == (RESUME, Connect(7))
    assert (One(is_empty=True).repairs.trying, One(is_empty=True).repairs.connect) == (REPLAY, Connect(None))


def test_a_connection_that_brought_something_is_resumed_after_a_short_wait() -> None:
    one = One()
    assert one.fail() is True
    assert one.repairs.taken == (Repair(RESUME, "reset", 0, 10.0),)
    assert one.agenda.timers[Timer.CONNECT] == 10.5
    assert one.repairs.connect == Connect(0)
    assert one.stream.has_progressed is False


def test_attempts_that_bring_nothing_exhaust_one_step_after_the_other() -> None:
    one, kinds = One(), list[RepairKind]()
    while one.fail():
        kinds.append(one.repairs.taken[-1].kind)
        if kinds[-1] is RETRIEVE:
            one.repairs.policy.fail(RETRIEVE)
    assert kinds == [RESUME, RESUME, REPLAY, REPLAY, RETRIEVE, RETRIEVE]


def test_a_get_is_due_after_its_own_wait() -> None:
    one = One()
    assert one.fail(CallFailure("too old", frozenset({RESUME, REPLAY}))) is True
    assert (one.repairs.taken[-1].kind, one.agenda.timers[Timer.POLL]) == (RETRIEVE, 10.5)


def test_without_a_step_left_nothing_is_begun() -> None:
    one = One()
    assert one.fail(CallFailure("no", frozenset(RepairKind))) is False
    assert (one.repairs.taken, one.agenda.timers) == ((), {})


@pytest.mark.parametrize("how", ["the answer", "the stream"])
def test_no_attempt_comes_before_the_time_that_the_gateway_asked_for(how: str) -> None:
    one = One()
    if how == "the stream":
        one.stream.feed(b"retry: 7000\n" + frame("keepalive", 1))
    one.fail(CallFailure("busy", retry_after_seconds=7.0 if how == "the answer" else 0.0))
    assert one.agenda.timers[Timer.CONNECT] == 17.0
    one.agenda.now = 11.0
    one.repairs.reopen("in_progress")
    assert one.agenda.timers[Timer.CONNECT] == 17.0


def test_a_response_that_still_runs_gives_an_exhausted_stream_one_more_attempt() -> None:
    one = One(poll_seconds=2.0)
    while one.repairs.trying is not REPLAY:
        one.fail()
    one.repairs.reopen("in_progress")
    assert one.repairs.taken[-1] == Repair(RESUME, "the Response is in_progress", 0, 10.0)
    assert one.agenda.timers[Timer.CONNECT] >= 12.0


def test_streams_that_are_refused_are_not_reopened() -> None:
    one = One()
    one.repairs.refuse_streams("it streams nothing")
    one.repairs.reopen("in_progress")
    assert one.repairs.taken == (Repair(RETRIEVE, "it streams nothing", 0, 10.0),)
    assert one.agenda.timers == {}


def test_something_new_ends_a_stall_and_brings_exhausted_steps_back() -> None:
    one = One()
    while one.fail() and one.repairs.trying is RESUME:
        pass
    assert Timer.STALLED in one.agenda.timers
    one.repairs.progress()
    assert Timer.STALLED not in one.agenda.timers
    assert one.repairs.policy.next(can_resume=True) is RESUME
