"""STEPS: each type does exactly what the wire's fold operations say, and notes what cannot be done."""

from typing import Any

import pytest
from msgspec import Raw

from streamfold.fold.reduce import fold, reduce
from streamfold.fold.state import Document, StreamError
from streamfold.fold.steps import GROWS, STEPS, keep, take_snapshot, take_terminal
from streamfold.fold.target import MAX_INDEX
from streamfold.schema import (
    EVENT_TYPES,
    ErrorEvent,
    ResponseCompleted,
    ResponseCreated,
    UnknownEvent,
)
from tests.conftest import for_every
from tests.fold.made import MESSAGE, added, completed, created, delta, event, seen, tolerated
from tests.fold.operations import BARE_ITEM, DEVIATIONS, GROWS_PARTS, ITEM, JsonObject, expected_of, folded, payload

EACH_NAME = for_every("name", EVENT_TYPES)


@EACH_NAME
def test_a_step_does_what_the_fold_operations_say(name: str, protocol_events: list[JsonObject]) -> None:
    start = {"id": "resp", "status": "in_progress", "output": [ITEM, ITEM], "error": None, "new": {"a": [1]}}
    state = folded(start, name, payload(name))
    assert seen(state) == expected_of(protocol_events, name, start, payload(name))


@EACH_NAME
def test_a_step_does_the_same_where_nothing_stands_in_the_item(name: str, protocol_events: list[JsonObject]) -> None:
    values = {**payload(name), **{index: 0 for index in payload(name) if index.endswith("_index")}}
    start = {"status": "in_progress", "output": [BARE_ITEM]}
    state = folded(start, name, values)
    expected = expected_of(protocol_events, name, start, values)
    (item,) = expected["output"]
    for part in [*item.get("content", []), *item.get("summary", [])]:
        part.setdefault("type", GROWS_PARTS.get(name, "put"))
    assert seen(state) == expected


@EACH_NAME
def test_the_same_event_again_does_the_same_again(name: str, protocol_events: list[JsonObject]) -> None:
    start: JsonObject = {"status": "in_progress", "output": [ITEM, ITEM]}
    state = folded(start, name, payload(name), payload(name))
    once = expected_of(protocol_events, name, start, payload(name))
    repeated = [("terminal_repeated", 1, 2)] if STEPS[EVENT_TYPES[name]] is take_terminal else []
    assert seen(state) == expected_of(protocol_events, name, once, payload(name))
    told_elsewhere = {"output_kept", "item_replaced", "part_replaced"}
    assert [entry for entry in tolerated(state) if entry[0] not in told_elsewhere] == repeated


@EACH_NAME
def test_what_a_type_changes_is_what_its_fold_operations_name(name: str, protocol_events: list[JsonObject]) -> None:
    (facts,) = (each for each in protocol_events if each["type"] == name)
    is_silent = STEPS[EVENT_TYPES[name]] is keep
    operations = DEVIATIONS.get(name, facts["fold"])
    assert is_silent == (operations == [{"op": "none"}] and name != "error")
    assert (EVENT_TYPES[name] in GROWS) == any(each["op"] == "append" for each in facts["fold"])


def test_there_is_a_step_for_every_type_and_for_the_unknown() -> None:
    assert set(STEPS) == {*EVENT_TYPES.values(), UnknownEvent}


# The Response as a whole

NO_OUTPUT = [
    pytest.param({}, id="absent"),
    pytest.param({"output": None}, id="null"),
    pytest.param({"output": []}, id="empty"),
    pytest.param({"output": "none"}, id="no array"),
]


@pytest.mark.parametrize("fields", NO_OUTPUT)
def test_a_snapshot_without_output_keeps_the_folded_one(fields: JsonObject) -> None:
    state = fold([created(0, id="a"), added(1), created(2, id="a", new=1, **fields)])
    assert seen(state) == {"status": "in_progress", "id": "a", "new": 1, "output": [MESSAGE]}
    assert tolerated(state) == []


@pytest.mark.parametrize("fields", NO_OUTPUT)
def test_a_terminal_without_output_keeps_the_folded_one_and_says_so(fields: JsonObject) -> None:
    state = fold([created(0, id="a"), added(1), completed(2, id="a", new=1, **fields)])
    assert seen(state) == {"status": "completed", "id": "a", "new": 1, "output": [MESSAGE]}
    assert tolerated(state) == [("output_kept", 1, 2)]


@pytest.mark.parametrize("fields", NO_OUTPUT)
def test_a_terminal_without_output_is_no_anomaly_where_nothing_was_folded(fields: JsonObject) -> None:
    state = fold([created(0), completed(1, id="b", **fields)])
    assert seen(state) == {"status": "completed", "id": "b", **fields}
    assert tolerated(state) == []


@pytest.mark.parametrize("make", [created, completed])
def test_a_response_with_output_overrides_what_was_folded_and_a_lost_text_is_told(make: Any) -> None:
    state = fold([created(0, id="a", old=1), added(1), delta(2), make(3, id="a", output=[ITEM])])
    assert seen(state) == {"status": state.status, "id": "a", "output": [ITEM]}
    assert tolerated(state) == [("text_lost", 1, 3)]


def test_a_second_terminal_counts_and_is_told() -> None:
    state = fold([completed(0, status="completed", output=[ITEM]), completed(1, status="failed", output=[ITEM])])
    assert (state.status, seen(state)["output"]) == ("failed", [ITEM])
    assert tolerated(state) == [("terminal_repeated", 1, 1)]


@pytest.mark.parametrize(
    "name", [name for name, kind in EVENT_TYPES.items() if STEPS[kind] not in (keep, take_terminal)]
)
def test_after_the_terminal_event_nothing_is_applied(name: str) -> None:
    before = fold([completed(0, status="completed", output=[ITEM, ITEM])])
    state = reduce(before, event(name, 1, **payload(name)))
    assert (seen(state), state.status) == (seen(before), "completed")
    assert (state.error is None) == (name != "error"), "only the words of an error still count"
    assert tolerated(state) == [("after_terminal", 1, 1)]


@pytest.mark.parametrize("name", [name for name, kind in EVENT_TYPES.items() if STEPS[kind] is keep])
def test_what_says_nothing_may_come_after_the_terminal_event(name: str) -> None:
    state = fold([completed(0, output=[ITEM]), event(name, 1, **payload(name))])
    assert (state.cursor, tolerated(state)) == (1, [])


@pytest.mark.parametrize("response", [Raw(b"{broken"), Raw(b'{"a": [}')])
def test_a_response_that_cannot_be_read_changes_nothing(response: Raw) -> None:
    state = fold([created(0, id="a"), ResponseCreated(sequence_number=1, response=response)])
    assert seen(state) == {"status": "in_progress", "id": "a"}
    assert tolerated(state) == [("misfit", 1, 1)]


def test_a_terminal_response_that_cannot_be_read_ends_the_stream_all_the_same() -> None:
    end = ResponseCompleted(sequence_number=1, response=Raw(b"{broken"))
    state = fold([created(0, id="a"), end, delta(2)])
    assert seen(state) == {"status": "in_progress", "id": "a"}
    assert tolerated(state) == [("misfit", 1, 1), ("after_terminal", 1, 2)]


def test_a_step_leaves_the_document_before_as_it_was() -> None:
    before = Document()
    take_snapshot(before, created(0, id="a", output=[ITEM]), 0)
    assert before == Document()


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3, 4), (None,) * 5], ids=["numbered", "not numbered"])
def test_a_text_grows_where_the_last_delta_left_it_and_elsewhere(numbers: tuple[int | None, ...]) -> None:
    begin, *places = numbers
    said = zip(places, ((0, "Hel"), (0, "lo"), (1, "you"), (0, "!")), strict=True)
    item = MESSAGE | {"content": MESSAGE["content"] * 2}
    state = fold([added(begin, item), *(delta(number, text, part=part) for number, (part, text) in said)])
    assert [part["text"] for part in seen(state)["output"][0]["content"]] == ["Hello!", "you"]


# Errors


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"code": "c", "message": "m", "param": "p"}, StreamError("c", "m", "p"), id="flat"),
        pytest.param({}, StreamError(), id="it says nothing"),
        pytest.param(
            {"error": {"type": "t", "code": "c", "message": "m", "param": None}},
            StreamError("c", "m", None, "t"),
            id="nested",
        ),
        pytest.param({"error": {}, "message": "m"}, StreamError(), id="nested, and the flat one is not looked at"),
        pytest.param({"error": None, "message": "m"}, StreamError(message="m"), id="nested null is flat"),
        pytest.param(
            {"error": {"code": 5, "message": "m"}}, StreamError(code="5", message="m"), id="a code that is no word"
        ),
        pytest.param({"error": {"code": "", "new": 1}}, StreamError(), id="an empty word"),
    ],
)
def test_an_error_is_kept_beside_the_response(fields: JsonObject, expected: StreamError) -> None:
    state = fold([created(0, id="a", status="in_progress"), event("error", 1, **fields)])
    assert state.error == expected
    assert (seen(state), state.status, tolerated(state)) == ({"id": "a", "status": "in_progress"}, "in_progress", [])


def test_the_last_error_is_the_one_that_is_kept() -> None:
    assert fold([ErrorEvent(sequence_number=n, code=str(n)) for n in range(3)]).error == StreamError("2")


def test_an_error_is_kept_when_the_failed_response_comes() -> None:
    state = fold([ErrorEvent(sequence_number=0, code="c"), event("response.failed", 1, response={"status": "failed"})])
    assert (state.error, state.status) == (StreamError("c"), "failed")


# Null says nothing


@pytest.mark.parametrize("name", ["response.output_item.added", "response.output_item.done"])
@pytest.mark.parametrize("index", [0, 1, -1, MAX_INDEX + 1])
def test_a_null_item_reserves_nothing(name: str, index: int) -> None:
    state = fold([added(0, ITEM), event(name, 1, output_index=index, item=None)])
    assert (seen(state)["output"], tolerated(state)) == ([ITEM], [])


@pytest.mark.parametrize("fields", [{"annotation": None}, {}])
def test_a_null_annotation_changes_nothing(fields: JsonObject) -> None:
    indexes = {"output_index": 3, "content_index": 0, "annotation_index": 0}
    state = fold([added(0, ITEM), event("response.output_text.annotation.added", 1, **indexes, **fields)])
    assert (seen(state)["output"], tolerated(state)) == ([ITEM], [])
