"""RepairPolicy and Repairs: the steps of the ladder in their order, each after its wait and with its reason."""

from typing import Any

import pytest

from streamfold.fold import State
from streamfold.session.answer import CallFailure, StillOpen
from streamfold.session.drive import Agenda, Connect, Timer
from streamfold.session.outcome import Repair, RepairKind
from streamfold.session.patience import Backoff, Patience
from streamfold.session.reassembler import Reassembler
from streamfold.session.repairs import RepairPolicy, Repairs, StallTimer
from tests.session.made import created, frame

RESUME, REPLAY, RETRIEVE = RepairKind
RESET = CallFailure("reset")
OUTAGE = CallFailure("refused", is_outage=True)


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
            one.repairs.policy.fail(RETRIEVE, RESET)
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


def test_something_new_brings_exhausted_steps_back() -> None:
    one = One()
    while one.fail() and one.repairs.trying is RESUME:
        pass
    one.repairs.policy.progress()
    assert one.repairs.policy.next(can_resume=True) is RESUME


# Which step comes next


def step(policy: RepairPolicy, *, can_resume: bool = True) -> RepairKind | None:
    return policy.next(can_resume=can_resume)


def exhaust(policy: RepairPolicy, *kinds: RepairKind) -> None:
    for kind in kinds:
        while step(policy) is kind:
            policy.fail(kind, RESET)


def test_the_first_step_is_to_resume() -> None:
    assert step(RepairPolicy(5)) is RESUME


def test_without_a_number_to_resume_after_the_first_step_is_to_replay() -> None:
    assert step(RepairPolicy(5), can_resume=False) is REPLAY


def test_asking_for_the_next_step_takes_none() -> None:
    policy = RepairPolicy(1)
    assert [step(policy), step(policy)] == [RESUME, RESUME]


def test_a_step_is_tried_so_often_in_a_row_and_then_the_next_one_is() -> None:
    policy, tried = RepairPolicy(2), []
    while (kind := step(policy)) is not None:
        tried.append(kind)
        policy.fail(kind, RESET)
    assert tried == [RESUME, RESUME, REPLAY, REPLAY, RETRIEVE, RETRIEVE]


def test_the_attempts_count_those_of_the_present_step() -> None:
    policy = RepairPolicy(3)
    policy.fail(RESUME, RESET)
    policy.fail(RESUME, RESET)
    assert policy.attempts(RESUME) == 2
    policy.fail(RESUME, RESET)
    assert (policy.attempts(REPLAY), step(policy)) == (0, REPLAY)


def test_where_more_attempts_are_no_use_fewer_are_made() -> None:
    policy = RepairPolicy(5)
    policy.fail(RESUME, CallFailure("again", max_attempts=2))
    assert step(policy) is RESUME
    policy.fail(RESUME, CallFailure("again", max_attempts=2))
    assert step(policy) is REPLAY


def test_no_step_is_tried_more_often_than_allowed_whatever_may_be_of_use() -> None:
    policy = RepairPolicy(1)
    policy.fail(RESUME, CallFailure("again", max_attempts=2))
    assert step(policy) is REPLAY


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param([RESUME], REPLAY, id="a cursor"),
        pytest.param([RESUME, REPLAY], RETRIEVE, id="any stream"),
        pytest.param([REPLAY], RESUME, id="a replay"),
        pytest.param(list(RepairKind), None, id="everything"),
    ],
)
def test_a_refused_step_is_passed_over_for_good(refused: list[RepairKind], left: RepairKind | None) -> None:
    policy = RepairPolicy(5)
    policy.refuse(*refused)
    assert step(policy) is left
    policy.progress()
    policy.give_another_try()
    assert step(policy) is left


def test_only_what_was_refused_is_known_as_refused() -> None:
    policy = RepairPolicy(1)
    policy.refuse(REPLAY)
    policy.fail(RESUME, RESET)
    assert [policy.is_refused(kind) for kind in RepairKind] == [False, True, False]


def test_refusing_nothing_changes_nothing() -> None:
    policy = RepairPolicy(5)
    policy.fail(RESUME, RESET)
    policy.refuse()
    assert (step(policy), policy.attempts(RESUME)) == (RESUME, 1)


def test_progress_brings_back_every_exhausted_step_with_all_its_attempts() -> None:
    policy = RepairPolicy(2)
    exhaust(policy, RESUME, REPLAY)
    policy.fail(RETRIEVE, RESET)
    policy.progress()
    assert (step(policy), policy.attempts(RESUME)) == (RESUME, 0)
    policy.fail(RESUME, RESET)
    assert step(policy) is RESUME


def test_another_try_is_one_attempt_for_each_exhausted_step() -> None:
    policy, tried = RepairPolicy(3), []
    exhaust(policy, RESUME, REPLAY)
    policy.give_another_try()
    while (kind := step(policy)) in {RESUME, REPLAY}:
        assert kind is not None
        tried.append(kind)
        policy.fail(kind, RESET)
    assert tried == [RESUME, REPLAY]


def test_another_try_takes_nothing_from_a_step_that_was_not_exhausted() -> None:
    policy, tried = RepairPolicy(3), 0
    policy.give_another_try()
    while step(policy) is RESUME:
        policy.fail(RESUME, RESET)
        tried += 1
    assert tried == 3


def test_another_try_forgets_what_gets_failed_before() -> None:
    policy = RepairPolicy(3)
    policy.refuse(RESUME, REPLAY)
    policy.fail(RETRIEVE, RESET)
    policy.give_another_try()
    assert (policy.attempts(RETRIEVE), step(policy)) == (0, RETRIEVE)


# Outages


def test_an_outage_exhausts_no_step() -> None:
    policy = RepairPolicy(2)
    for _ in range(1000):
        policy.fail(RESUME, OUTAGE)
        assert step(policy) is RESUME


def test_the_waits_grow_with_an_outage_until_something_answers() -> None:
    policy = RepairPolicy(5)
    policy.fail(RESUME, RESET)
    for _ in range(3):
        policy.fail(RESUME, OUTAGE)
    assert (policy.attempts(RESUME), policy.attempts(REPLAY)) == (4, 3)
    policy.fail(RESUME, RESET)
    assert (policy.attempts(RESUME), policy.attempts(REPLAY)) == (2, 0)
    policy.fail(RESUME, OUTAGE)
    policy.give_another_try()
    assert policy.attempts(RESUME) == 2
    policy.fail(RESUME, OUTAGE)
    policy.progress()
    assert policy.attempts(RESUME) == 0


def test_what_an_outage_counts_for_nothing_other_failures_do() -> None:
    policy = RepairPolicy(2)
    for failure in (RESET, OUTAGE, OUTAGE, RESET):
        assert step(policy) is RESUME
        policy.fail(RESUME, failure)
    assert step(policy) is REPLAY


# A hole that every way to ask shows


HOLE = (3, 5)


def showing(*refused: RepairKind) -> Repairs:
    """Repairs of a stream that was read up to 3, and then broke off."""
    one = One()
    one.stream.feed(b"".join(frame("keepalive", number) for number in (1, 2, 3)))
    one.repairs.policy.refuse(*refused)
    one.repairs.begin_next(RESET)
    return one.repairs


def show(repairs: Repairs, kind: RepairKind, hole: tuple[int, int] | None = HOLE) -> bool:
    repairs.trying = kind
    return repairs.show_hole(hole)


def test_a_hole_that_a_resume_and_a_replay_show_is_believed() -> None:
    repairs = showing()
    assert [show(repairs, RESUME), show(repairs, RESUME), show(repairs, REPLAY)] == [False, False, True]
    assert show(repairs, RESUME) is True


def test_what_the_first_connection_leaves_out_is_not_believed() -> None:
    one = One()
    assert [one.repairs.show_hole(HOLE), one.repairs.show_hole(HOLE)] == [False, False]


def test_another_hole_is_shown_from_the_start() -> None:
    repairs = showing()
    assert [show(repairs, RESUME), show(repairs, REPLAY, (3, 6)), show(repairs, RESUME, (3, 6))] == [False, False, True]


def test_what_may_have_been_damaged_is_no_hole() -> None:
    repairs = showing()
    assert [show(repairs, RESUME), show(repairs, REPLAY, None), show(repairs, REPLAY)] == [False, False, True]


@pytest.mark.parametrize(("refused", "shows"), [(RESUME, REPLAY), (REPLAY, RESUME)])
def test_a_step_that_is_refused_need_not_show_it_but_one_connection_is_not_enough(
    refused: RepairKind, shows: RepairKind
) -> None:
    repairs = showing(refused)
    assert [show(repairs, shows), show(repairs, shows)] == [False, True]


def test_where_nothing_can_be_resumed_a_replay_is_enough() -> None:
    one = One(is_empty=True)
    one.stream.feed(frame("response.created", None, response={}))
    one.repairs.begin_next(RESET)
    assert [show(one.repairs, REPLAY), show(one.repairs, REPLAY)] == [False, True]


def test_a_hole_that_is_believed_is_crossed_and_gives_every_step_back() -> None:
    one = One()
    one.stream.feed(frame("keepalive", 3))
    one.repairs.begin_next(RESET)
    assert (one.repairs.believe_hole(), one.repairs.gap_attempts) == (False, 1)
    one.stream.begin(is_replay=True)
    one.stream.feed(frame("keepalive", 3))
    one.repairs.trying = REPLAY
    assert one.repairs.believe_hole() is True
    assert one.repairs.policy.attempts(RESUME) == 0
    one.stream.feed(b":\n\n")
    assert one.stream.state.cursor == 3


def test_a_stream_is_opened_at_once_where_only_its_id_was_missing() -> None:
    one = One(is_empty=True)
    one.repairs.open_at_once("it is json")
    assert one.agenda.timers == {Timer.CONNECT: 10.0}
    assert one.repairs.taken == (Repair(REPLAY, "it is json", None, 10.0),)


def test_nothing_is_stalled_before_anything_was_repaired() -> None:
    one = One()
    timer = StallTimer(one.repairs)
    for _ in range(2):
        assert timer.is_stalled(StillOpen("in_progress", False, State()), is_reading=False) is False
    assert Timer.STALLED not in one.agenda.timers
