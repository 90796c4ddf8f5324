"""Faults as text: written one way, read back the same."""

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from streamfold.chaos import fault as kind
from streamfold.chaos.fault import FAULTS, Drop, Fault, Gzip, How, Refuse, Stall, Target, Where
from streamfold.chaos.text import parse_faults
from streamfold.errors import InvalidArgument

CASES = [
    pytest.param("", (), id="nothing"),
    pytest.param(" ; ", (), id="nothing but separators"),
    pytest.param("gzip", (Gzip(),), id="a name alone"),
    pytest.param(
        "drop:after_events=3,how=rst,where=frame",
        (Drop(after_events=3, how=How.RST, where=Where.FRAME),),
        id="one with fields",
    ),
    pytest.param("stall:seconds=0.5; gzip", (Stall(seconds=0.5), Gzip()), id="two"),
    pytest.param(" drop : after_events = 3 ", (Drop(after_events=3),), id="spaces"),
    pytest.param(
        "refuse:on=resume,status=429,retry_after=2",
        (Refuse(on=Target.RESUME, status=429, retry_after=2.0),),
        id="for some answers",
    ),
]


@pytest.mark.parametrize(("text", "faults"), CASES)
def test_a_text_gives_its_faults(text: str, faults: tuple[Fault, ...]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "name", "part"),
    [
        pytest.param("explode", "fault", "'explode' is none", id="no such fault"),
        pytest.param("drop:after=3", "drop.after", "after_events=", id="no such field"),
        pytest.param("drop:after_events", "drop.after_events", "is no field", id="a field without a value"),
        pytest.param("drop:after_events=soon", "drop.after_events", "'soon' must be a number", id="no number"),
        pytest.param("drop:how=slam", "drop.how", "'slam' must be fin or rst", id="no such word"),
        pytest.param("drop:after_events=-1", "drop.after_events", "0 or more", id="out of range"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, name: str, part: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_faults(text)
    assert caught.value.name == name
    assert part in str(caught.value)


VALUES: dict[object, st.SearchStrategy[object]] = {
    int: st.integers(1, 2**40),
    int | None: st.integers(1, 2**40),
    float: st.floats(0, 1e6),
    float | None: st.floats(0, 1e6),
}


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    made = draw(st.sampled_from(list(FAULTS.values())))
    values = {
        each.name: draw(VALUES[each.type] if each.type in VALUES else st.sampled_from(list(each.type)))
        for each in fields(made)
    }
    return made(**{**values, **({"status": 500} if "status" in values else {})})


@given(st.lists(faults()))
def test_reading_what_was_written_gives_the_same_faults(given_faults: list[Fault]) -> None:
    assert parse_faults(";".join(map(str, given_faults))) == tuple(given_faults)


def test_every_field_of_every_kind_can_be_read() -> None:
    assert all(each.type in VALUES or issubclass(each.type, str) for made in FAULTS.values() for each in fields(made))
    assert kind.FAULTS is FAULTS
