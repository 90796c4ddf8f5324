"""Faults as values: what they refuse, and how they read as text."""

from collections.abc import Callable

import pytest
from attrs import fields

from streamfold.chaos.fault import (
    FAULTS,
    Drip,
    Drop,
    Duplicate,
    Fault,
    Gzip,
    How,
    Html,
    Keepalive,
    Refuse,
    Renumber,
    Stall,
    Target,
    Where,
)
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
        pytest.param(Stall(on=Target.RESUME), "stall:on=resume", id="a target"),
        pytest.param(Keepalive(), "keepalive", id="a default of its own"),
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
