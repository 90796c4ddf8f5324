"""Patience and Backoff: every limit has a default, none is changed later; waits double, with full jitter."""

import pytest
from attrs import fields
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold import SequencePolicy
from streamfold.session.patience import Backoff, Patience

DEFAULTS = {
    "sequence_policy": SequencePolicy.STRICT,
    "backoff": Backoff(first_seconds=0.5, max_seconds=8.0, max_retry_after_seconds=120.0),
    "max_attempts": 5,
    "total_seconds": None,
    "stalled_seconds": 600.0,
    "idle_seconds": 60.0,
    "poll_seconds": 2.0,
    "gap_seconds": 0.5,
    "window_events": 256,
    "window_bytes": 8 * 1024 * 1024,
    "cancel_grace_seconds": 5.0,
    "cancel_check_seconds": 3.0,
    "cancel_seconds": 30.0,
    "batch_cancel_seconds": 900.0,
    "max_frame_bytes": 64 * 1024 * 1024,
    "max_body_bytes": 64 * 1024 * 1024,
}


def test_every_limit_has_this_default() -> None:
    assert {each.name: getattr(Patience(), each.name) for each in fields(Patience)} == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_limit_cannot_be_changed_later(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(Patience(), name, 1)


def test_limits_are_given_by_name() -> None:
    assert Patience(max_attempts=1, total_seconds=9.0) == Patience(total_seconds=9.0, max_attempts=1) != Patience()


JITTERS = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.integers(0, 10_000)
ASKED = st.floats(0, allow_infinity=True, allow_nan=False)


@pytest.mark.parametrize(("attempt", "bound"), list(enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0])))
def test_the_bound_doubles_up_to_the_most(attempt: int, bound: float) -> None:
    assert Backoff().seconds(attempt, jitter=0.5) == bound / 2


def test_the_jitter_is_full_from_zero_up() -> None:
    assert Backoff().seconds(3, jitter=0.0) == 0.0


def test_what_the_server_asks_is_the_least() -> None:
    assert Backoff().seconds(0, jitter=0.9, retry_after_seconds=7.0) == 7.0


def test_a_longer_draw_outlasts_what_the_server_asks() -> None:
    assert Backoff().seconds(4, jitter=0.5, retry_after_seconds=1.0) == 4.0


@pytest.mark.parametrize("asked", [121.0, 86400.0, float("inf")])
def test_a_wish_beyond_the_bound_is_obeyed_up_to_it(asked: float) -> None:
    assert Backoff().seconds(0, jitter=0.0, retry_after_seconds=asked) == 120.0


@given(ATTEMPTS, JITTERS, ASKED)
def test_a_wait_is_never_longer_than_the_most_of_both(attempt: int, jitter: float, asked: float) -> None:
    backoff = Backoff(first_seconds=0.1, max_seconds=3.0, max_retry_after_seconds=5.0)
    wait = backoff.seconds(attempt, jitter=jitter, retry_after_seconds=asked)
    assert min(asked, 5.0) <= wait <= max(3.0, min(asked, 5.0))


@given(ATTEMPTS, JITTERS)
def test_a_later_attempt_waits_no_less_for_the_same_jitter(attempt: int, jitter: float) -> None:
    backoff = Backoff()
    assert backoff.seconds(attempt, jitter=jitter) <= backoff.seconds(attempt + 1, jitter=jitter)
