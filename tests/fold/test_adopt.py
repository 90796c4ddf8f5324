"""adopt: a state takes over a Response that came outside the stream, by the laws that hold for one in it."""

import json
from typing import Any

import pytest

from streamfold.errors import MalformedBody
from streamfold.fold.adopt import with_response
from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.reduce import reduce
from streamfold.fold.replay import fold
from streamfold.fold.state import State
from tests.fold.made import MESSAGE, added, completed, created, delta, keepalive, seen, tolerated

HELD = fold([created(0, id="resp_1", status="in_progress"), added(1), delta(2, "held"), delta(3, " text")])


def response(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def message(text: str) -> dict[str, Any]:
    return MESSAGE | {"content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_every_field_is_the_responses_and_the_cursor_stays(status: str) -> None:
    body = {"id": "resp_1", "status": status, "output": [message("whole")], "new_field": 1e3}
    state = with_response(HELD, json.dumps(body).encode())
    assert (state.cursor, state.status, state.is_terminal, state.output_text) == (3, status, True, "whole")
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
    state = reduce(with_response(HELD, response(status="completed", output=[message("whole")])), delta(4, " more"))
    assert (state.cursor, state.output_text) == (4, "whole")
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
