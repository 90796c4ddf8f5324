"""A scenario is read from its own text, and a failing one is made as small as possible."""

from typing import get_args, get_type_hints

import pytest

from streamfold.emulator import CANCEL_RULES
from streamfold.errors import InvalidArgument
from streamfold.sim import CallerAction, GatewayBehaviour, Injection, Scenario, read_scenario
from tests.sim.generate import generate_scenario
from tests.sim.run import transcripts
from tests.sim.shrink import shrink

LARGE = Scenario(
    seed=9,
    stream=11,
    behaviour=GatewayBehaviour(pace_seconds=0.2, cancel="openai", keeps_output=True),
    start="restored",
    after=12,
    streams=(Injection(seconds=4.0), Injection(faults="html;gap:after_events=4;stall", answer="all"), Injection()),
    retrieves=(Injection(answer="lost"),) * 3,
    cancels=(Injection(lag_seconds=1.0),),
    actions=(CallerAction(1.0), CallerAction(2.0, "notice")),
)


def test_everything_is_left_out_that_the_failure_does_not_need() -> None:
    assert shrink(LARGE, lambda _: True) == Scenario()


def test_what_the_failure_needs_stays() -> None:
    small = shrink(LARGE, lambda scenario: any("gap" in each.faults for each in scenario.streams))
    assert small == Scenario(streams=(Injection(faults="gap:after_events=4"),))


def test_one_trait_of_the_gateway_and_one_action_may_be_what_is_needed() -> None:
    small = shrink(LARGE, lambda scenario: scenario.behaviour.keeps_output and len(scenario.actions) > 0)
    assert small == Scenario(behaviour=GatewayBehaviour(keeps_output=True), actions=(CallerAction(1.0),))


def test_a_number_is_made_smaller_step_by_step() -> None:
    small = shrink(LARGE, lambda scenario: scenario.stream > 2 and scenario.after > 3)
    assert (small.stream, small.after) == (5, 4)


@pytest.mark.parametrize("seed", range(30))
def test_a_scenario_is_read_from_its_own_text(seed: int) -> None:
    scenario = generate_scenario(seed, transcripts().lengths())
    assert read_scenario(str(scenario)) == scenario


def test_what_is_at_its_default_is_not_in_the_text() -> None:
    assert str(Scenario()) == "{}"
    assert str(Scenario(actions=(CallerAction(0.0),))) == '{"actions":[{"at":0.0}]}'


def test_a_text_that_is_no_scenario_names_what_is_wrong() -> None:
    with pytest.raises(InvalidArgument, match=r"scenario: .*strange"):
        read_scenario('{"strange":1}')


def test_the_cancel_dialects_are_those_of_the_emulator_and_of_vllm_and_litellm() -> None:
    names = get_args(get_type_hints(GatewayBehaviour)["cancel"])
    assert set(names) == {*CANCEL_RULES, "vllm", "taken-back", "relabelled", "failed-holding-failed"}
