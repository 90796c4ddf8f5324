"""Actions, timers and the agenda; and the driver, step by step."""

from math import inf
from typing import Any, get_args

import pytest
from attrs.exceptions import FrozenInstanceError

from streamfold.session.drive import (
    Action,
    Agenda,
    Call,
    Cancel,
    Close,
    Connect,
    Finish,
    Retrieve,
    Timer,
    Timers,
    Wait,
    drive,
)
from streamfold.session.outcome import Repair, RepairKind
from streamfold.session.session import Session
from tests.session.made import added, created, delta, ended


def test_a_connection_begins_at_the_first_event_unless_told_otherwise() -> None:
    assert Connect() == Connect(None)
    assert Connect(41).starting_after == 41


@pytest.mark.parametrize(("one", "other"), [(Connect(1), Connect(2)), (Retrieve(), Cancel()), (Wait(1.0), Wait(2.0))])
def test_actions_that_ask_for_different_things_differ(one: Action, other: Action) -> None:
    assert one != other


def test_the_calls_are_the_actions_that_are_answered() -> None:
    assert set(get_args(Call)) == {Connect, Retrieve, Cancel}
    assert set(get_args(Action)) == {Connect, Retrieve, Cancel, Wait, Finish}


def test_an_action_cannot_be_changed() -> None:
    wait: Any = Wait(1.0)
    with pytest.raises(FrozenInstanceError):
        wait.seconds = 2.0


def test_nothing_falls_due_where_nothing_waits() -> None:
    assert (Timers().first, Timers().first_at) == (None, None)
    assert Timers().take_due(1e9) is None


def test_the_earliest_is_the_first() -> None:
    timers = Timers({Timer.TOTAL: 9.0, Timer.GAP: 2.0, Timer.POLL: 5.0})
    assert (timers.first, timers.first_at) == (Timer.GAP, 2.0)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(1.9, None, id="before"),
        pytest.param(2.0, Timer.GAP, id="then"),
        pytest.param(7.0, Timer.GAP, id="late"),
    ],
)
def test_a_timer_falls_due_at_its_time(now: float, due: Timer | None) -> None:
    assert Timers({Timer.GAP: 2.0}).take_due(now) is due


def test_what_fell_due_waits_no_longer_and_the_next_comes_after_it() -> None:
    timers = Timers({Timer.POLL: 2.0, Timer.CONNECT: 1.0, Timer.TOTAL: 9.0})
    assert [timers.take_due(3.0), timers.take_due(3.0), timers.take_due(3.0)] == [Timer.CONNECT, Timer.POLL, None]
    assert timers == {Timer.TOTAL: 9.0}


def test_timers_are_dropped_whether_they_wait_or_not() -> None:
    timers = Timers({Timer.GAP: 2.0, Timer.POLL: 3.0})
    timers.drop(Timer.GAP, Timer.CONNECT)
    assert timers == {Timer.POLL: 3.0}


@pytest.mark.parametrize(
    ("until", "then"),
    [pytest.param(1.0, 1.0, id="to an earlier time"), pytest.param(3.0, 2.0, id="never to a later one")],
)
def test_a_timer_can_be_brought_forward(until: float, then: float) -> None:
    timers = Timers({Timer.CANCEL_DEADLINE: 2.0})
    timers.bring_forward(Timer.CANCEL_DEADLINE, until)
    assert timers == {Timer.CANCEL_DEADLINE: then}


def test_bringing_forward_what_does_not_wait_starts_nothing() -> None:
    timers = Timers()
    timers.bring_forward(Timer.CANCEL_DEADLINE, 1.0)
    assert timers == {}


# The agenda


def agenda(**timers: float) -> Agenda:
    one = Agenda(now=0.0, total_seconds=None)
    one.timers.update({Timer[name]: at for name, at in timers.items()})
    return one


def test_nothing_is_to_be_done_if_nothing_is_wanted() -> None:
    one = agenda()
    assert (one.take(), one.has_news, one.has_calls) == ([], False, False)


@pytest.mark.parametrize(
    ("timer", "preview"),
    [
        (Timer.CONNECT, [Connect(7)]),
        (Timer.POLL, [Retrieve()]),
        (Timer.CANCEL, [Cancel()]),
        (Timer.TOTAL, []),
        (Timer.STALLED, []),
    ],
    ids=lambda each: each.name if isinstance(each, Timer) else "",
)
def test_after_a_wait_comes_a_preview_of_what_is_due_then(timer: Timer, preview: list[Action]) -> None:
    assert agenda(**{timer.name: 2.0}).take(Connect(7)) == [Wait(2.0), *preview]


def test_what_is_overdue_waits_no_longer_and_not_less() -> None:
    assert agenda(POLL=-1.0).take() == [Wait(0.0), Retrieve()]


def test_there_is_news_when_a_call_is_added_or_the_first_timer_changes() -> None:
    one = agenda()
    one.retrieve()
    assert (one.has_news, one.has_calls) == (True, True)
    one.take()
    assert (one.has_news, one.has_calls) == (False, False)
    one.timers[Timer.POLL] = 2.0
    assert one.has_news is True
    one.take()
    one.timers[Timer.TOTAL] = 9.0
    assert one.has_news is False
    one.timers[Timer.GAP] = 1.0
    assert one.has_news is True


def test_one_get_is_made_at_a_time() -> None:
    one = agenda()
    one.retrieve()
    one.retrieve()
    assert one.take() == [Retrieve()]
    one.end_retrieve()
    one.retrieve()
    assert one.take() == [Retrieve()]


def test_what_fell_due_comes_in_its_order_and_the_time_is_kept() -> None:
    one = agenda(CANCEL=2.0, POLL=1.0, TOTAL=9.0)
    assert (list(one.due(3.0)), one.now) == ([Timer.POLL, Timer.CANCEL], 3.0)


def test_the_total_time_is_a_timer() -> None:
    assert Agenda(now=1.0, total_seconds=9.0).take() == [Wait(9.0)]


def test_at_the_end_nothing_is_waited_for() -> None:
    one = agenda(POLL=2.0)
    one.retrieve()
    one.finish()
    assert one.take() == [Finish()]


# The driver


class Scripted:
    """A session that says what a script says. lists: What `actions` gives, one list after the other."""

    def __init__(self, *lists: list[Action], wants_stream: bool = False) -> None:
        self.lists = list(lists)
        self.wants_stream = self.is_reading = wants_stream
        self.outcome: object = None
        self.repairs: list[Repair] = []

    def actions(self) -> list[Action]:
        return self.lists.pop(0) if self.lists else []


REPAIR = Repair(RepairKind.RESUME, "reset", 41, 1.0)


def test_calls_come_before_the_wait_and_a_preview_does_not_come_at_all() -> None:
    steps = drive(Scripted([Cancel(), Retrieve()], [Wait(2.0), Retrieve()]))
    assert [next(steps) for _ in range(3)] == [Cancel(), Retrieve(), Wait(2.0)]


def test_without_a_timer_it_waits_for_a_fact() -> None:
    assert next(drive(Scripted([]))) == Wait(inf)


def test_after_each_wait_the_session_is_asked_again() -> None:
    steps = drive(Scripted([Wait(1.0)], [], [Retrieve()]))
    assert [next(steps) for _ in range(3)] == [Wait(1.0), Wait(inf), Retrieve()]


def test_each_repair_is_reported_once_and_before_what_it_leads_to() -> None:
    session = Scripted([Wait(1.0)], [Connect(41)])
    session.repairs = [REPAIR]
    steps = drive(session)
    assert [next(steps) for _ in range(3)] == [REPAIR, Wait(1.0), Connect(41)]


def test_a_stream_that_the_session_no_longer_wants_is_closed_once() -> None:
    session = Scripted(wants_stream=True)
    steps = drive(session)
    assert next(steps) == Wait(inf)
    session.wants_stream = False
    assert [next(steps), next(steps)] == [Close(), Wait(inf)]


def test_a_stream_is_closed_before_another_one_is_opened() -> None:
    session = Scripted([Connect(1)], [Wait(1.0)], [Connect(2)], wants_stream=False)
    steps = drive(session)
    assert next(steps) == Connect(1)
    session.wants_stream = True
    assert [next(steps) for _ in range(3)] == [Wait(1.0), Close(), Connect(2)]


def test_at_the_end_what_is_open_is_closed_and_nothing_follows() -> None:
    session = Scripted(wants_stream=True)
    steps = drive(session)
    next(steps)
    session.outcome, session.wants_stream, session.repairs, session.lists = "over", False, [REPAIR], [[Finish()]]
    assert list(steps) == [REPAIR, Close()]


def test_a_driver_that_learns_the_end_from_a_call_makes_no_other() -> None:
    session = Scripted([Cancel(), Retrieve()])
    steps = drive(session)
    assert next(steps) == Cancel()
    session.outcome = "over"
    assert list(steps) == []


def test_a_finish_is_no_step() -> None:
    assert next(drive(Scripted([Finish()]))) == Wait(inf)


def test_a_whole_session_is_followed_by_its_steps_alone() -> None:
    session, now, made = Session("resp_1", random=lambda: 0.0, now=0.0), 0.0, list[str]()
    for step in drive(session):
        made.append(type(step).__name__)
        match step:
            case Connect(starting_after):
                session.receive_connected(now=now)
                events = [delta(3), ended(4)] if starting_after == 2 else [created(0), added(1), delta(2)]
                for chunk in events:
                    session.receive_chunk(chunk, now=now)
                session.receive_eof(now=now)
            case Wait(seconds):
                now += seconds
                session.receive_time(now=now)
            case _:
                pass
    assert session.outcome is not None
    assert session.outcome.status == "completed"
    assert made == ["Connect", "Repair", "Close", "Wait", "Connect", "Close"]
