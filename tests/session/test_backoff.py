"""Backoff: waits that double, with full jitter, and a server's own wish obeyed up to a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.session.backoff import Backoff

CHANCES = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.integers(0, 10_000)
ASKED = st.floats(0, allow_infinity=True, allow_nan=False)


@pytest.mark.parametrize(("attempt", "bound"), list(enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0])))
def test_the_bound_doubles_up_to_the_most(attempt: int, bound: float) -> None:
    assert Backoff().seconds(attempt, chance=0.5) == bound / 2


def test_the_jitter_is_full_from_zero_up() -> None:
    assert Backoff().seconds(3, chance=0.0) == 0.0


def test_what_the_server_asks_is_the_least() -> None:
    assert Backoff().seconds(0, chance=0.9, asked=7.0) == 7.0


def test_a_longer_draw_outlasts_what_the_server_asks() -> None:
    assert Backoff().seconds(4, chance=0.5, asked=1.0) == 4.0


@pytest.mark.parametrize("asked", [121.0, 86400.0, float("inf")])
def test_a_wish_beyond_the_bound_is_obeyed_up_to_it(asked: float) -> None:
    assert Backoff().seconds(0, chance=0.0, asked=asked) == 120.0


@given(ATTEMPTS, CHANCES, ASKED)
def test_a_wait_is_never_longer_than_the_most_of_both(attempt: int, chance: float, asked: float) -> None:
    backoff = Backoff(first_seconds=0.1, most_seconds=3.0, most_asked_seconds=5.0)
    wait = backoff.seconds(attempt, chance=chance, asked=asked)
    assert min(asked, 5.0) <= wait <= max(3.0, min(asked, 5.0))


@given(ATTEMPTS, CHANCES)
def test_a_later_attempt_waits_no_less_for_the_same_chance(attempt: int, chance: float) -> None:
    backoff = Backoff()
    assert backoff.seconds(attempt, chance=chance) <= backoff.seconds(attempt + 1, chance=chance)
