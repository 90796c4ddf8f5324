"""Samples are interleaved and paired, garbage is kept out of them, and spreads are what they say; on a fake clock."""

import gc
from collections.abc import Callable

import pytest

from streamfold.bench import Spread, Timings, Variant, measure


class FakeClock:
    """A clock that stands still until somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def variant(self, name: str, seconds: float, then: Callable[[str], object] = len) -> Variant:
        """One whose run takes so long, and tells its name."""

        def run() -> None:
            self.now += seconds
            then(name)

        return Variant(name, run)


def test_a_sample_is_the_time_of_one_run() -> None:
    clock = FakeClock()
    timings = measure([clock.variant("slow", 3.0), clock.variant("fast", 1.0)], rounds=4, clock=clock)
    assert timings.samples == {"slow": (3.0,) * 4, "fast": (1.0,) * 4}


def test_variants_take_turns_and_change_their_order_every_round() -> None:
    clock, order = FakeClock(), []
    variants = [clock.variant(name, 1.0, order.append) for name in "abc"]
    measure(variants, rounds=3, clock=clock)
    assert "".join(order) == "abc" + "abc" + "cba" + "abc"  # the first three warm up


def test_short_runs_are_repeated_until_they_fill_a_sample() -> None:
    clock, order = FakeClock(), []
    variants = [clock.variant("short", 0.25, order.append), clock.variant("long", 2.0, order.append)]
    timings = measure(variants, rounds=1, sample_seconds=1.0, clock=clock)
    assert order[2:] == ["short"] * 4 + ["long"]
    assert timings.seconds("short").median == 0.25


def test_a_clock_too_coarse_to_see_one_run_does_not_run_for_ever() -> None:
    clock, order = FakeClock(), []
    measure([clock.variant("nothing", 0.0, order.append)], rounds=1, clock=clock)
    assert len(order) == 1 + 1000


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down in one round slows both, and their ratio stays."""
    timings = Timings({"ours": (2.0, 20.0, 2.0), "theirs": (1.0, 10.0, 1.0)})
    assert timings.ratio("ours", "theirs") == Spread(2.0, 2.0, 2.0, 2.0, 2.0, 3)


def test_the_collector_is_off_while_the_clock_runs_and_on_again_after() -> None:
    clock, seen = FakeClock(), []
    assert gc.isenabled()
    measure([clock.variant("any", 1.0, lambda _: seen.append(gc.isenabled()))], rounds=2, clock=clock)
    assert seen == [False] * 3
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_collector_comes_back_when_a_variant_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        measure([Variant("broken", lambda: 1 // 0)], rounds=1)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        measure([Variant("any", int)], rounds=1, sample_seconds=0.0)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_spread_tells_the_middle_the_quartiles_and_the_ends() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(1.0, 2.0, 3.0, 4.0, 5.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 7.0, 7.0, 1)


def test_a_spread_in_another_unit_keeps_its_shape() -> None:
    assert Spread(1.0, 2.0, 3.0, 4.0, 5.0, 9).scaled(10) == Spread(10.0, 20.0, 30.0, 40.0, 50.0, 9)


def test_the_clock_is_the_cpu_time_of_the_process_unless_given() -> None:
    timings = measure([Variant("work", lambda: sum(range(2_000)))], rounds=2, sample_seconds=0.001)
    assert 0 < timings.seconds("work").median < 1
