"""A seeded schedule of faults: the same numbers, the same faults."""

import random
from collections.abc import Callable

import pytest

from streamfold.chaos.fault import FAULTS, Drop, Fault, Html, Refuse, Where, parse_faults
from streamfold.chaos.plan import SURVIVABLE, Plan, choose_faults, parse_plan
from streamfold.errors import InvalidArgument


def drawn(plan: Plan, count: int = 300) -> list[tuple[Fault, ...]]:
    draw = random.Random(plan.seed).random
    return [choose_faults(plan, draw) for _ in range(count)]


def test_the_same_seed_gives_the_same_faults() -> None:
    assert drawn(Plan(seed=7)) == drawn(Plan(seed=7))
    assert drawn(Plan(seed=7)) != drawn(Plan(seed=8))


def test_the_rate_is_the_share_of_answers_with_a_fault() -> None:
    assert not any(drawn(Plan(rate=0.0)))
    assert all(drawn(Plan(rate=1.0)))
    assert 60 < sum(bool(each) for each in drawn(Plan(rate=0.3))) < 120


def test_only_the_named_kinds_come_and_each_of_them() -> None:
    assert {each[0].name for each in drawn(Plan(rate=1.0, kinds=("gap", "drip")))} == {"gap", "drip"}


def test_every_kind_can_be_drawn_and_written_as_text() -> None:
    for (fault,) in drawn(Plan(rate=1.0, kinds=tuple(FAULTS)), 500):
        assert parse_faults(str(fault)) == (fault,)


def test_what_is_drawn_stays_within_the_plan() -> None:
    found = [each[0] for each in drawn(Plan(rate=1.0, max_events=4, max_seconds=0.25))]
    assert {getattr(each, "after_events", 0) for each in found} == {0, 1, 2, 3, 4}
    assert max(getattr(each, "seconds", 0) for each in found) <= 0.25


def test_a_drawn_drop_always_comes_after_a_head() -> None:
    drops = [each for (each,) in drawn(Plan(rate=1.0, kinds=("drop",))) if isinstance(each, Drop)]
    assert {each.where for each in drops} == set(Where) - {Where.HEAD}


def test_a_drawn_page_looks_fine_and_a_drawn_refusal_does_not() -> None:
    assert {each.status for (each,) in drawn(Plan(rate=1.0, kinds=("html",))) if isinstance(each, Html)} == {200}
    refusals = [each for (each,) in drawn(Plan(rate=1.0, kinds=("refuse",))) if isinstance(each, Refuse)]
    assert {each.status for each in refusals} == {429, 500, 502, 503}
    assert {each.on for each in refusals} == {"resume"}


def test_by_default_only_what_a_client_can_survive_is_drawn() -> None:
    assert Plan().kinds == SURVIVABLE
    assert {"renumber", "html", "two_terminals", "keepalive"}.isdisjoint(SURVIVABLE)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        pytest.param("", Plan(), id="nothing"),
        pytest.param("seed=7", Plan(seed=7), id="a seed"),
        pytest.param("rate=0.5, kinds=drop+stall", Plan(rate=0.5, kinds=("drop", "stall")), id="a rate and kinds"),
        pytest.param("max_events=3,max_seconds=0.5", Plan(max_events=3, max_seconds=0.5), id="bounds"),
    ],
)
def test_a_text_gives_its_plan(text: str, plan: Plan) -> None:
    assert parse_plan(text) == plan


def test_reading_what_was_written_gives_the_same_plan() -> None:
    plan = Plan(seed=3, rate=0.25, kinds=("gap",), max_events=5, max_seconds=1.5)
    assert parse_plan(str(plan)) == plan


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(lambda: Plan(rate=1.5), "plan.rate", id="more than every answer"),
        pytest.param(lambda: Plan(kinds=("explode",)), "plan.kinds", id="no such kind"),
        pytest.param(lambda: Plan(kinds=()), "plan.kinds", id="no kind at all"),
        pytest.param(lambda: Plan(kinds="drop"), "plan.kinds", id="text for a tuple"),  # pyright: ignore
        pytest.param(lambda: Plan(rate="often"), "plan.rate", id="text for a number"),  # pyright: ignore
        pytest.param(lambda: Plan(max_events=-1), "plan.max_events", id="events below zero"),
        pytest.param(lambda: Plan(max_seconds=-1), "plan.max_seconds", id="time below zero"),
        pytest.param(lambda: parse_plan("speed=3"), "plan.speed", id="no such field"),
        pytest.param(lambda: parse_plan("seed=x"), "plan.seed", id="no number"),
    ],
)
def test_a_bad_field_is_named(make: Callable[[], Plan], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.name == name
