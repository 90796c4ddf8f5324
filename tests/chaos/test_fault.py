"""Faults as values: what they refuse, and how they read as text."""

from collections.abc import Callable

import pytest
from attrs import fields, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from streamfold.chaos import fault as kind
from streamfold.chaos.fault import (
    FAULTS,
    Drip,
    Drop,
    Duplicate,
    Fault,
    FaultTarget,
    Gzip,
    How,
    Html,
    KeepaliveFirst,
    Refuse,
    Renumber,
    Stall,
    Where,
    parse_faults,
    read_fields,
)
from streamfold.chaos.plan import Plan
from streamfold.errors import InvalidArgument


def test_every_kind_has_its_name_in_the_table() -> None:
    assert {name: kind.name for name, kind in FAULTS.items()} == {name: name for name in FAULTS}


def test_there_is_a_kind_for_each_fault_that_was_asked_for() -> None:
    assert set(FAULTS) == set(
        """drop stall drip duplicate reorder gap renumber corrupt keepalive error_nested error_flat no_terminal
        two_terminals html refuse gzip""".split()
    )


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_every_kind_can_be_made_with_nothing_said(kind: type[Fault]) -> None:
    assert str(kind()) == kind.name


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_every_field_says_which_answers_and_how_many(kind: type[Fault]) -> None:
    assert [each.name for each in fields(kind)][:2] in (["on", "times"], ["times", "on"])


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param(Gzip(), "gzip", id="nothing but its name"),
        pytest.param(Drop(after_events=3), "drop:after_events=3", id="a number"),
        pytest.param(Drop(how=How.RST, where=Where.CHUNK), "drop:how=rst,where=chunk", id="words"),
        pytest.param(Stall(seconds=0.5, times=2), "stall:times=2,seconds=0.5", id="seconds"),
        pytest.param(Stall(on=FaultTarget.RESUME), "stall:on=resume", id="a target"),
        pytest.param(KeepaliveFirst(), "keepalive", id="a default of its own"),
    ],
)
def test_a_fault_reads_as_its_name_and_what_is_not_default(fault: Fault, text: str) -> None:
    assert str(fault) == text


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(lambda: Drop(after_events=-1), "drop.after_events", id="events below zero"),
        pytest.param(lambda: Drop(after_bytes=-1), "drop.after_bytes", id="bytes below zero"),
        pytest.param(lambda: Drop(how="slam"), "drop.how", id="no way to end"),
        pytest.param(lambda: Drop(where="here"), "drop.where", id="no place"),
        pytest.param(lambda: Stall(seconds=-0.1), "stall.seconds", id="time below zero"),
        pytest.param(lambda: Drip(bytes=0), "drip.bytes", id="no byte at a time"),
        pytest.param(lambda: Duplicate(after_events=0), "duplicate.after_events", id="nothing to repeat"),
        pytest.param(lambda: Renumber(by=-(2**54)), "renumber.by", id="beyond JSON's numbers"),
        pytest.param(lambda: Html(status=100), "html.status", id="no answer's status"),
        pytest.param(lambda: Refuse(status=200), "refuse.status", id="no refusal"),
        pytest.param(lambda: Gzip(on="some"), "gzip.on", id="no target"),
        pytest.param(lambda: Gzip(times=0), "gzip.times", id="never"),
        pytest.param(lambda: Stall(seconds=float("nan")), "stall.seconds", id="no number"),
    ],
)
def test_a_bad_field_is_named(make: Callable[[], Fault], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.name == name


def test_a_word_may_be_given_as_text() -> None:
    assert Drop(how="rst") == Drop(how=How.RST)


# Text


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
        (Refuse(on=FaultTarget.RESUME, status=429, retry_after=2.0),),
        id="for some answers",
    ),
]


@pytest.mark.parametrize(("text", "faults"), CASES)
def test_a_text_gives_its_faults(text: str, faults: tuple[Fault, ...]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "name", "part"),
    [
        pytest.param("explode", "fault", "unknown fault 'explode'", id="no such fault"),
        pytest.param("drop:after=3", "drop.after", "after_events=", id="no such field"),
        pytest.param("drop:after_events", "drop.after_events", "unknown field", id="a field without a value"),
        pytest.param("drop:after_events=soon", "drop.after_events", "must be a number, not 'soon'", id="no number"),
        pytest.param("drop:how=slam", "drop.how", "must be fin or rst, not 'slam'", id="no such word"),
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


def test_a_field_of_several_names_is_read_too() -> None:
    assert read_fields("plan", "kinds=drop+stall", fields_dict(Plan)) == {"kinds": ("drop", "stall")}
