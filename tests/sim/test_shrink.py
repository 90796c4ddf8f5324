"""A failing script is made as small as it can be, and is a text that gives it again."""

import pytest

from streamfold.errors import InvalidArgument
from streamfold.sim import Deed, Manner, Script, Upset, draw_script, read_script, shrink
from tests.sim.run import library

LARGE = Script(
    seed=9,
    stream=11,
    manner=Manner(pace_seconds=0.2, cancel="openai", keeps_output=True),
    start="restored",
    after=12,
    streams=(Upset(seconds=4.0), Upset(faults="html;gap:after_events=4;stall", answer="all"), Upset()),
    retrieves=(Upset(answer="lost"),) * 3,
    cancels=(Upset(lag_seconds=1.0),),
    deeds=(Deed(1.0), Deed(2.0, "notice")),
)


def test_everything_is_left_out_that_the_failure_does_not_need() -> None:
    assert shrink(LARGE, lambda _: True) == Script()


def test_what_the_failure_needs_stays() -> None:
    small = shrink(LARGE, lambda script: any("gap" in each.faults for each in script.streams))
    assert small == Script(streams=(Upset(faults="gap:after_events=4"),))


def test_one_trait_of_the_gateway_and_one_deed_may_be_what_is_needed() -> None:
    small = shrink(LARGE, lambda script: script.manner.keeps_output and len(script.deeds) > 0)
    assert small == Script(manner=Manner(keeps_output=True), deeds=(Deed(1.0),))


def test_a_number_is_made_smaller_step_by_step() -> None:
    small = shrink(LARGE, lambda script: script.stream > 2 and script.after > 3)
    assert (small.stream, small.after) == (5, 4)


@pytest.mark.parametrize("seed", range(30))
def test_a_script_is_read_from_its_own_text(seed: int) -> None:
    script = draw_script(seed, library().lengths())
    assert read_script(str(script)) == script


def test_what_is_at_its_default_is_not_in_the_text() -> None:
    assert str(Script()) == "{}"
    assert str(Script(deeds=(Deed(0.0),))) == '{"deeds":[{"at":0.0}]}'


def test_a_text_that_is_no_script_names_what_is_wrong() -> None:
    with pytest.raises(InvalidArgument, match=r"script: .*strange"):
        read_script('{"strange":1}')
