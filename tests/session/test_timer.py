"""Timers: what falls due first, and that each falls due once."""

import pytest

from streamfold.session.timer import Timer, Timers


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
    timers = Timers({Timer.CANCEL_IS_OVER: 2.0})
    timers.bring_forward(Timer.CANCEL_IS_OVER, until)
    assert timers == {Timer.CANCEL_IS_OVER: then}


def test_bringing_forward_what_does_not_wait_starts_nothing() -> None:
    timers = Timers()
    timers.bring_forward(Timer.CANCEL_IS_OVER, 1.0)
    assert timers == {}
