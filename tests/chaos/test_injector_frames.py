"""Faults over frames: which are sent, in which order, with which numbers."""

import json

import pytest

from streamfold.chaos.fault import (
    Corrupt,
    Drop,
    Duplicate,
    ErrorFlat,
    ErrorNested,
    Fault,
    Gap,
    KeepaliveFirst,
    NoTerminal,
    Renumber,
    Reorder,
    TwoTerminals,
)
from streamfold.chaos.injector import FrameFaults
from streamfold.sse import Frame


def frame(number: int, kind: str = "response.output_text.delta") -> Frame:
    data = {"type": kind, "sequence_number": number, "delta": "a\u00e9b"}
    return Frame(event=kind.encode(), data=json.dumps(data, ensure_ascii=False).encode())


STREAM = [frame(0, "response.created"), *map(frame, range(1, 5)), frame(5, "response.completed")]


def sent(*faults: Fault, stream: list[Frame] = STREAM) -> list[Frame]:
    frame_faults = FrameFaults(faults)
    return [out for each in stream for out in frame_faults.feed(each)] + [*frame_faults.close()]


def numbers(frames: list[Frame]) -> list[int]:
    return [json.loads(each.data)["sequence_number"] for each in frames]


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        pytest.param(Drop(after_events=1), [0, 1, 2, 3, 4, 5], id="a fault over bytes alters no frame"),
        pytest.param(Duplicate(after_events=2), [0, 1, 1, 2, 3, 4, 5], id="the second again"),
        pytest.param(Duplicate(after_events=1, count=2), [0, 0, 0, 1, 2, 3, 4, 5], id="the first, twice again"),
        pytest.param(Reorder(after_events=1), [0, 2, 1, 3, 4, 5], id="two change places"),
        pytest.param(Reorder(after_events=5), [0, 1, 2, 3, 4, 5], id="the last has none to change with"),
        pytest.param(Reorder(after_events=9), [0, 1, 2, 3, 4, 5], id="the stream is shorter"),
        pytest.param(Gap(after_events=1, count=2), [0, 3, 4, 5], id="a hole"),
        pytest.param(Gap(after_events=0), [1, 2, 3, 4, 5], id="no beginning"),
        pytest.param(Renumber(after_events=4, by=10), [0, 1, 2, 3, 14, 15], id="larger from there on"),
        pytest.param(Renumber(by=-1), [-1, 0, 1, 2, 3, 4], id="smaller"),
        pytest.param(NoTerminal(), [0, 1, 2, 3, 4], id="no end"),
        pytest.param(TwoTerminals(), [0, 1, 2, 3, 4, 5, 6], id="two ends"),
        pytest.param(KeepaliveFirst(), [0, 1, 2, 3, 4, 5, 6], id="a keepalive takes the first number"),
        pytest.param(ErrorNested(after_events=2), [0, 1, 2], id="nothing after the nested error"),
        pytest.param(ErrorFlat(after_events=0), [0], id="nothing but the flat error"),
    ],
)
def test_what_is_left_of_a_stream(fault: Fault, left: list[int]) -> None:
    assert numbers(sent(fault)) == left


def test_without_faults_every_frame_is_the_very_same() -> None:
    assert all(ours is theirs for ours, theirs in zip(sent(), STREAM, strict=True))


def test_renumbering_leaves_everything_else_as_it_was_written() -> None:
    assert sent(Renumber(by=1))[1].data == STREAM[1].data.replace(b": ", b":").replace(b", ", b",").replace(b"1", b"2")


def test_a_corrupt_event_differs_in_one_byte_that_is_no_utf8() -> None:
    [was, torn] = STREAM[2], sent(Corrupt(after_events=2))[2]
    assert [b for a, b in zip(was.data, torn.data, strict=True) if a != b] == [0xFF]
    assert sent(Corrupt(after_events=2))[1] is STREAM[1]


def test_the_keepalive_comes_before_created() -> None:
    first, second, *_ = sent(KeepaliveFirst())
    assert json.loads(first.data) == {"type": "keepalive", "sequence_number": 0}
    assert (first.event, second.event) == (b"keepalive", b"response.created")


def test_a_stream_from_its_middle_has_no_keepalive_but_the_shifted_numbers() -> None:
    assert numbers(sent(KeepaliveFirst(), stream=STREAM[2:])) == [3, 4, 5, 6]


def test_a_nested_error_holds_an_object_and_a_flat_one_the_code() -> None:
    nested, flat = sent(ErrorNested(after_events=1))[-1], sent(ErrorFlat(after_events=1))[-1]
    assert json.loads(nested.data)["error"]["code"] == "server_error"
    assert json.loads(flat.data) == {
        "type": "error",
        "sequence_number": 1,
        "code": "server_error",
        "message": "An error on purpose.",
        "param": None,
    }


def test_faults_act_one_after_the_other() -> None:
    assert numbers(sent(Gap(after_events=1), Duplicate(after_events=2))) == [0, 2, 2, 3, 4, 5]
    assert numbers(sent(Reorder(after_events=5), Renumber(by=1))) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("data", [b"not JSON", b"[1]", b'"text"', b"\xff", b"{}", b'{"type":1}'])
def test_what_is_no_event_passes_as_it_is(data: bytes) -> None:
    odd = Frame(data=data)
    assert sent(Renumber(by=1), NoTerminal(), KeepaliveFirst(), stream=[odd]) == [odd]


@pytest.mark.parametrize("number", ["null", '"3"', "1.5"])
def test_a_number_that_is_none_counts_as_zero(number: str) -> None:
    odd = Frame(data=b'{"sequence_number":%s}' % number.encode())
    assert sent(Renumber(by=7), stream=[odd])[0].data == b'{"sequence_number":7}'
