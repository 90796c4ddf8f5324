"""snapshot: the Response with every field that the server sent, as it was spelled; with_response: the way back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from streamfold.errors import MalformedBody
from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.reduce import fold, reduce
from streamfold.fold.snapshot import snapshot, snapshot_json, with_response
from streamfold.fold.state import State
from streamfold.schema import OutputItemDone, OutputTextDelta, Response, ResponseCompleted, ResponseCreated
from streamfold.schema.item import Message, OutputText
from tests.fold.made import MESSAGE, added, completed, created, delta, event, keepalive, seen, tolerated

SPELLINGS = b'{"z" : 1E400,"a":-0.0, "big":123456789012345678901234567890,"s":"\\u0041\\/","n":{ }}'


def test_a_state_that_has_seen_nothing_is_a_response_without_fields_and_without_items() -> None:
    assert snapshot_json(State()) == b'{"output":[]}'
    assert snapshot(State()) == Response()


def test_a_stream_read_from_its_middle_has_only_its_output() -> None:
    state = fold([delta(41, "a")])
    part = {"type": "output_text", "text": "a"}
    assert seen(state) == {"output": [{"type": "message", "role": "assistant", "content": [part]}]}


@pytest.mark.parametrize("number", [0, 41])
def test_a_stream_that_said_nothing_yet_has_an_output_without_items(number: int) -> None:
    assert snapshot_json(fold([keepalive(number)])) == b'{"output":[]}'


@pytest.mark.parametrize("make", [ResponseCreated, ResponseCompleted])
def test_a_response_no_event_touched_keeps_the_spelling_of_its_values(make: Any) -> None:
    fields = b'{"status":"queued","z":1E400,"a":-0.0,"big":123456789012345678901234567890,"s":"\\u0041\\/","n":{ },"output":null}'
    assert snapshot_json(fold([make(sequence_number=0, response=Raw(fields))])) == fields


def test_an_item_no_event_touched_is_the_bytes_that_came() -> None:
    state = fold([OutputItemDone(sequence_number=0, output_index=0, item=Raw(SPELLINGS))])
    assert snapshot_json(state) == b'{"output":[' + SPELLINGS + b"]}"


def test_in_an_item_that_was_opened_the_other_fields_keep_their_spelling() -> None:
    item = Raw(b'{"z" : 1E400, "content":[{"text" : "a","big":12345678901234567890 , "t":{ }}], "a":-0.0}')
    expected = b'{"z":1E400,"content":[{"text":"ab","big":12345678901234567890,"t":{ }}],"a":-0.0}'
    state = fold([OutputItemDone(sequence_number=0, output_index=0, item=item), delta(1, "b")])
    assert snapshot_json(state) == b'{"output":[' + expected + b"]}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {}, id="absent"),
        pytest.param({"output": None}, {"output": None}, id="null"),
        pytest.param({"output": []}, {"output": []}, id="empty"),
        pytest.param({"output": "none"}, {"output": "none"}, id="no array"),
        pytest.param({"output": {"a": 1}}, {"output": {"a": 1}}, id="an object"),
    ],
)
def test_where_no_item_was_folded_output_is_what_the_server_sent(fields: Any, expected: Any) -> None:
    assert seen(fold([created(0, id="a", **fields)])) == {"status": "in_progress", "id": "a", **expected}
    shown = seen(fold([created(0, old=1), completed(1, id="a", **fields)]))
    assert shown == {"status": "completed", "id": "a", **expected}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        pytest.param({"id": "a", "output": [], "new": 1}, ["id", "output", "new"], id="it keeps its place"),
        pytest.param({"output": None, "id": "a"}, ["output", "id"], id="null keeps its place"),
        pytest.param({"id": "a", "new": 1}, ["id", "new", "output"], id="it comes last where there was none"),
    ],
)
def test_folded_items_are_shown_as_output(fields: Any, names: list[str]) -> None:
    shown = seen(fold([created(0, **fields), added(1)]))
    assert shown == {"status": "in_progress", **fields, "output": [MESSAGE]}
    assert list(shown) == ["status", *names]


def test_holes_in_the_output_are_left_out() -> None:
    state = fold([added(0, {"type": "b"}, index=5), added(1, {"type": "a"}, index=2)])
    assert seen(state) == {"output": [{"type": "a"}, {"type": "b"}]}


def test_a_growing_text_is_shown_whole() -> None:
    state = fold([added(0), *(delta(number, f"{number} ") for number in range(1, 100))])
    assert seen(state)["output"][0]["content"][0]["text"] == "".join(f"{number} " for number in range(1, 100))


def test_half_of_a_surrogate_pair_in_an_event_made_by_hand_is_shown_replaced() -> None:
    state = fold([OutputTextDelta(sequence_number=0, output_index=0, content_index=0, delta="a\ud800")])
    assert seen(state)["output"][0]["content"][0]["text"] == "a\ufffd"
    assert snapshot(state) == snapshot(fold([delta(0, "a\ufffd")]))


def test_taking_a_snapshot_leaves_the_state_as_it_was() -> None:
    state = fold([created(0, id="a"), added(1), delta(2), delta(3)])
    assert snapshot_json(state) == snapshot_json(state)
    assert state == fold([created(0, id="a"), added(1), delta(2), delta(3)])


# The typed Response


def test_the_typed_response_says_what_the_json_says() -> None:
    response = snapshot(fold([created(0, id="resp_1", status="in_progress"), added(1), delta(2, "a")]))
    message = Message(id="msg_1", role="assistant", content=(OutputText("a"),))
    assert response == Response(id="resp_1", status="in_progress", output=(message,))


def test_a_field_that_does_not_validate_is_named() -> None:
    assert snapshot(fold([created(0, id=5, status="queued")])) == Response(status="queued", rejected=("id",))


def test_a_number_beyond_all_numbers_is_no_fault_where_nobody_looks() -> None:
    state = fold([ResponseCreated(sequence_number=0, response=Raw(b'{"id": "a", "status": "queued", "new": 1e400}'))])
    assert snapshot(state) == Response(id="a", status="queued")


def test_broken_characters_from_the_wire_are_shown_replaced() -> None:
    state = fold([event("response.created", 0, response={"id": "a\ud800", "status": "queued"})])
    assert snapshot(state) == Response(id="a\ufffd", status="queued")


# Laws

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(
    st.text(max_size=4).filter(lambda name: name not in ("output", "content", "status")), VALUES, max_size=4
)


@given(OBJECTS, st.lists(OBJECTS, min_size=1, max_size=3))
def test_every_field_of_a_response_survives(fields: dict[str, Any], items: list[dict[str, Any]]) -> None:
    state = fold(
        [created(0, **{"output": None, **fields}), *(added(n + 1, item, index=n) for n, item in enumerate(items))]
    )
    assert json.loads(snapshot_json(state)) == {"status": "in_progress", "output": items, **fields}
    assert list(seen(state)) == ["status", "output", *fields]


@given(OBJECTS)
def test_every_field_of_an_item_survives_a_growing_text(item: dict[str, Any]) -> None:
    state = fold([added(0, item), delta(1, "a"), delta(2, "b")])
    part = {"type": "output_text", "text": "ab"}
    assert seen(state) == {"output": [{**item, "content": [part]}]}


# A Response from outside the stream

HELD = fold([created(0, id="resp_1", status="in_progress"), added(1), delta(2, "held"), delta(3, " text")])


def response(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def message(text: str) -> dict[str, Any]:
    return MESSAGE | {"content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_every_field_is_the_responses_and_the_cursor_stays(status: str) -> None:
    body = {"id": "resp_1", "status": status, "output": [message("held text, whole")], "new_field": 1e3}
    state = with_response(HELD, json.dumps(body).encode())
    assert (state.cursor, state.status, state.is_terminal, state.output_text) == (3, status, True, "held text, whole")
    assert seen(state) == body
    assert state.anomalies == ()


@pytest.mark.parametrize("output", [{}, {"output": []}, {"output": None}], ids=["absent", "empty", "null"])
def test_folded_items_are_kept_where_the_response_has_none(output: dict[str, Any]) -> None:
    state = with_response(HELD, response(status="cancelled", **output))
    assert (state.status, state.output_text) == ("cancelled", "held text")
    assert tolerated(state) == [("output_kept", 1, 3)]


def test_a_response_that_is_still_open_is_no_last_word() -> None:
    state = with_response(HELD, response(status="in_progress", output=[]))
    assert (state.is_terminal, state.output_text, state.anomalies) == (False, "held text", ())
    assert reduce(state, delta(4, " more")).output_text == "held text more"


def test_once_it_is_over_later_events_change_nothing() -> None:
    body = response(status="completed", output=[message("held text, whole")])
    state = reduce(with_response(HELD, body), delta(4, " more"))
    assert (state.cursor, state.output_text) == (4, "held text, whole")
    assert tolerated(state) == [("after_terminal", 1, 4)]


def test_a_state_that_saw_nothing_becomes_the_response_and_has_no_cursor() -> None:
    state = with_response(State(), response(status="completed", output=[message("whole")]))
    assert (state.cursor, state.status, state.output_text) == (None, "completed", "whole")


def test_a_second_last_word_is_noted() -> None:
    over = fold([completed(0, status="completed", output=[message("first")])])
    state = with_response(over, response(status="cancelled", output=[message("second")]))
    assert (state.status, state.output_text) == ("cancelled", "second")
    assert [anomaly.kind for anomaly in state.anomalies] == [AnomalyKind.TERMINAL_REPEATED]


def test_what_was_tolerated_before_is_still_told() -> None:
    before = fold([keepalive(None)])
    assert with_response(before, response(status="completed")).anomalies == before.anomalies


def test_the_state_itself_stays_as_it_was() -> None:
    with_response(HELD, response(status="completed", output=[message("whole")]))
    assert (HELD.status, HELD.output_text, HELD.cursor) == ("in_progress", "held text", 3)


def test_characters_that_are_none_are_replaced() -> None:
    state = with_response(State(), b'{"status":"completed","id":"\xff","user":"\\ud800"}')
    assert seen(state) == {"status": "completed", "id": "\ufffd", "user": "\ufffd"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html></html>", id="HTML"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"status":', id="truncated"),
        pytest.param(b'{"status":"completed","output":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep"),
    ],
)
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBody) as caught:
        with_response(HELD, data)
    assert caught.value.kind == "Response"
