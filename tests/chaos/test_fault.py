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


STATUSES = {str(status): status for status in (-1, 0, 99, 100, 101, 199, 600, 99999)} | {"5,000 digits": 10**5000}


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
        pytest.param(lambda: Stall(seconds=float("inf")), "stall.seconds", id="for ever"),
        pytest.param(lambda: Drip(seconds=1e9), "drip.seconds", id="for years"),
        pytest.param(lambda: Drop(after_events=2**53), "drop.after_events", id="events beyond JSON's numbers"),
        pytest.param(lambda: Renumber(by=10**5000), "renumber.by", id="more digits than Python prints"),
        pytest.param(lambda: Duplicate(count=2**53), "duplicate.count", id="without end"),
        pytest.param(lambda: Refuse(retry_after=float("inf")), "refuse.retry_after", id="never again"),
        *(
            pytest.param(
                lambda kind=kind, status=status: kind(status=status), f"{kind.name}.status", id=f"{kind.name}, {name}"
            )
            for kind in (Html, Refuse)
            for name, status in STATUSES.items()
        ),
        *(
            pytest.param(lambda status=status: Html(status=status), "html.status", id=f"{status}, which has no body")
            for status in (204, 205, 304)
        ),
        pytest.param(lambda: Refuse(status=399), "refuse.status", id="a redirect"),
    ],
)
def test_a_bad_field_is_named(make: Callable[[], Fault], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.name == name


def test_a_word_may_be_given_as_text() -> None:
    assert Drop(how="rst") == Drop(how=How.RST)


def test_a_long_value_is_not_repeated() -> None:
    for make, shown in ((lambda: Refuse(status=9), ", not 9"), (lambda: Refuse(status=10**5000), "to 599")):
        with pytest.raises(InvalidArgument) as caught:
            make()
        assert str(caught.value).endswith(shown)


@pytest.mark.parametrize("status", [200, 201, 299, 302, 400, 503, 599])
def test_a_status_of_an_answer_is_taken(status: int) -> None:
    assert Html(status=status).status == status
    assert status < 400 or Refuse(status=status).status == status


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
        pytest.param("drop:after_events=" + "9" * 30, "drop.after_events", "to 9007199254740991", id="beyond"),
        pytest.param("refuse:status=" + "9" * 5000, "refuse.status", "must be a number", id="5,000 digits"),
        pytest.param("refuse:status=99999", "refuse.status", "from 400 to 599, not 99999", id="no status"),
        pytest.param("x" * 5000, "fault", "unknown fault", id="a long name"),
        pytest.param("drop:" + "x" * 5000 + "=1", "drop." + "x" * 60, "unknown field", id="a long field"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, name: str, part: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_faults(text)
    assert caught.value.name == name
    assert part in str(caught.value)
    assert len(str(caught.value)) < 300


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
