"""What a Response does: its status, the output it replaces or lacks, and the errors beside it."""

import json
from typing import Any

import pytest
from msgspec import Raw

from streamfold import AnomalyKind, State, decode_event, fold, snapshot, snapshot_json
from streamfold.fold.response import TEXTS, take_answer
from streamfold.fold.snapshot import with_response
from streamfold.fold.state import Document
from streamfold.fold.target import GROWS
from streamfold.schema import ResponseCompleted, ResponseCreated
from tests.fold.made import added, completed, created, delta, event, keepalive, seen, tolerated

Json = dict[str, Any]
BAD_ENDS = ["failed", "incomplete", "cancelled"]
NAMES = {
    "created": "in_progress",
    "queued": "queued",
    "in_progress": "in_progress",
    **dict(zip(["completed", *BAD_ENDS], ["completed", *BAD_ENDS], strict=True)),
}


def ended(number: int, status: str, *output: Json, **fields: Any) -> Any:
    return event(f"response.{status}", number, response={"id": "a", "status": status, "output": list(output), **fields})


# A Response without a status


@pytest.mark.parametrize(("name", "status"), NAMES.items())
@pytest.mark.parametrize("fields", [{}, {"status": None}, {"status": ""}, {"status": 5}, {"status": ["completed"]}])
def test_a_response_without_a_status_takes_the_one_of_its_events_name(name: str, status: str, fields: Json) -> None:
    state = fold([event(f"response.{name}", 0, response={"id": "a", **fields})])
    assert (state.status, snapshot(state).status) == (status, status)
    assert tolerated(state) == [("status_assumed", 1, 0)]
    assert state.is_terminal == (status in {"completed", *BAD_ENDS})


@pytest.mark.parametrize("status", ["cancelled", "in_progress", "new", " "])
@pytest.mark.parametrize("name", NAMES)
def test_a_status_that_is_text_is_taken_as_it_was_sent(name: str, status: str) -> None:
    state = fold([event(f"response.{name}", 0, response={"id": "a", "status": status})])
    assert (state.status, tolerated(state)) == (status, [])


def test_the_other_fields_keep_their_spelling_beside_an_assumed_status() -> None:
    data = b'{"type":"response.created","sequence_number":0,"response":{"id":"a","big":1E400}}'
    assert snapshot_json(fold([decode_event(data)])) == b'{"id":"a","big":1E400,"status":"in_progress"}'


def test_a_response_from_outside_the_stream_is_given_no_status() -> None:
    assert with_response(fold([created(0)]), b'{"id":"a"}').status is None


# A terminal Response that holds less than was folded

TEXT = "Half of an answer"
PARTS: Json = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": TEXT}]}
# For each kind of text: the item as folded, and the event that brings it
ITEMS = [
    pytest.param(PARTS, id="output_text"),
    pytest.param({**PARTS, "content": [{"type": "refusal", "refusal": TEXT}]}, id="refusal"),
    pytest.param(
        {"type": "reasoning", "id": "m", "content": [{"type": "reasoning_text", "text": TEXT}]}, id="reasoning"
    ),
    pytest.param({"type": "reasoning", "id": "m", "summary": [{"type": "summary_text", "text": TEXT}]}, id="summary"),
    pytest.param({"type": "function_call", "id": "m", "arguments": TEXT}, id="arguments"),
    pytest.param({"type": "mcp_call", "id": "m", "arguments": TEXT}, id="mcp arguments"),
    pytest.param({"type": "custom_tool_call", "id": "m", "input": TEXT}, id="input"),
    pytest.param({"type": "code_interpreter_call", "id": "m", "code": TEXT}, id="code"),
    pytest.param({"type": "apply_patch_call", "id": "m", "operation": {"path": "p", "diff": TEXT}}, id="diff"),
    pytest.param({"type": "shell_call", "id": "m", "action": {"commands": [TEXT]}}, id="command"),
    pytest.param({"type": "shell_call_output", "id": "m", "output": [{"stdout": TEXT}]}, id="stdout"),
    pytest.param({"type": "shell_call_output", "id": "m", "output": [{"stderr": TEXT}]}, id="stderr"),
]


def changed(value: Any, text: str | None) -> Any:
    """The item with another text, or without it and the part it was in."""
    if isinstance(value, dict):
        return {key: made for key, each in value.items() if (made := changed(each, text)) is not None}
    if isinstance(value, list):
        return [made for each in value if text is not None for made in [changed(each, text)]]
    return text if value == TEXT else value


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("status", BAD_ENDS)
@pytest.mark.parametrize(
    "less", [None, "", "Half", "Half of an answe"], ids=["no part", "empty", "half", "all but one"]
)
def test_a_text_that_was_folded_stays_where_a_bad_end_has_less(item: Json, status: str, less: str | None) -> None:
    state = fold(
        [created(0, id="a"), added(1, item), ended(2, status, {**changed(item, less), "status": "incomplete"})]
    )
    assert seen(state)["output"] == [{**item, "status": "incomplete"}]
    assert (state.status, tolerated(state)) == (status, [("output_kept", 1, 2)])


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("less", [None, "", "Half"], ids=["no part", "empty", "half"])
def test_a_completed_response_has_the_last_word_and_a_lost_text_is_told(item: Json, less: str | None) -> None:
    sent = changed(item, less)
    state = fold([created(0, id="a"), added(1, item), ended(2, "completed", sent)])
    assert (seen(state)["output"], tolerated(state)) == ([sent], [("text_lost", 1, 2)])


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("status", ["completed", *BAD_ENDS])
@pytest.mark.parametrize("text", [TEXT, TEXT + " and more", "Another text of any words"])
def test_a_text_that_is_as_long_is_the_later_one(item: Json, status: str, text: str) -> None:
    sent = {**changed(item, text), "new": 1}
    state = fold([created(0, id="a"), added(1, item), ended(2, status, sent)])
    assert (seen(state)["output"], tolerated(state)) == ([sent], [])


def test_every_text_that_deltas_fill_is_compared() -> None:
    compared = {
        (kind, *path, *tail) for kind, lists in TEXTS.items() for path, tails in lists.items() for tail in tails
    }
    assert {(each.item_type, *each.list_path, *each.tail) for each in GROWS.values()} <= compared
    covered = {json.dumps(each.values[0]) for each in ITEMS}
    assert len(covered) == len(ITEMS) == len(compared)


def message(item_id: str | None, *texts: str) -> Json:
    return {"type": "message", "id": item_id, "content": [{"type": "output_text", "text": text} for text in texts]}


def reasoning(item_id: str | None, text: str = "hm") -> Json:
    return {"type": "reasoning", "id": item_id, "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


@pytest.mark.parametrize(
    ("folded", "sent", "expected"),
    [
        pytest.param(
            [message("a", "x"), message("b", "y")], [message("b", "y")], ["x", "y"], id="the first is missing"
        ),
        pytest.param([message("a", "x"), message("b", "y")], [message("a", "x")], ["x", "y"], id="the last is missing"),
        pytest.param(
            [message("a", "x"), message("b", "y")], [message("b", ""), message("a", "x")], ["y", "x"], id="by id"
        ),
        pytest.param([message("a", "x", "y")], [message("a", "x")], ["x", "y"], id="a part is missing"),
        pytest.param([message("a", "x", "yz")], [message("a", "x", "y")], ["x", "yz"], id="the second text is shorter"),
        pytest.param([message("a", "xy")], [message("other", "x")], ["xy"], id="ids drift: by type"),
        pytest.param(
            [reasoning("a"), message("b", "x")], [message("other", "x")], ["x"], id="ids drift, one is missing"
        ),
        pytest.param(
            [message(None, "x"), message(None, "y")], [message(None, ""), message(None, "y")], ["x", "y"], id="no ids"
        ),
        pytest.param([message("a", "x")], [message("b", "y"), message("a", "")], ["y", "x"], id="and a new item"),
    ],
)
def test_items_are_found_again_by_id_else_by_type(folded: list[Json], sent: list[Json], expected: list[str]) -> None:
    state = fold(
        [
            created(0, id="a"),
            *(added(n + 1, item, index=n) for n, item in enumerate(folded)),
            ended(len(folded) + 1, "failed", *sent),
        ],
        State(),
    )
    assert state.output_text == "".join(expected)
    assert tolerated(state)[-1][0] == "output_kept"
    assert [item for item in seen(state)["output"] if item["type"] == "reasoning"] == [
        item for item in folded if item["type"] == "reasoning"
    ]


def test_a_text_that_grows_counts_too() -> None:
    events = [created(0, id="a"), added(1, message("m", "")), delta(2, "Half of"), delta(3, " an answer")]
    state = fold([*events, ended(4, "failed", message("m"))])
    assert (state.output_text, tolerated(state)) == (TEXT, [("output_kept", 1, 4)])


def test_a_part_behind_a_hole_is_compared_by_its_place() -> None:
    events = [created(0, id="a"), added(1, message("m")), delta(2, "x", part=1)]
    state = fold([*events, ended(3, "failed", message("m", "xy"))])
    assert (state.output_text, [kind for kind, _, _ in tolerated(state)]) == ("xy", ["part_created"])


def test_a_part_of_another_type_has_no_room_for_the_text() -> None:
    refusal = {"type": "message", "id": "m", "content": [{"type": "refusal", "refusal": "no"}]}
    state = fold([created(0, id="a"), added(1, message("m", "x")), ended(2, "failed", refusal)])
    assert (seen(state)["output"], tolerated(state)) == ([refusal], [("text_lost", 1, 2)])


@pytest.mark.parametrize("content", ["text", 5, {"a": 1}])
def test_an_item_that_cannot_hold_parts_loses_the_text_and_says_so(content: Any) -> None:
    sent = {"type": "message", "id": "m", "content": content}
    state = fold([created(0, id="a"), added(1, message("m", "x")), ended(2, "failed", sent)])
    assert (seen(state)["output"], tolerated(state)) == ([sent], [("text_lost", 1, 2)])


def test_an_empty_part_is_kept_where_a_bad_end_lacks_it_but_is_no_lost_text() -> None:
    begun = [created(0, id="a"), added(1, message("m", ""))]
    assert tolerated(fold([*begun, ended(2, "failed", message("m"))])) == [("output_kept", 1, 2)]
    assert tolerated(fold([*begun, ended(2, "completed", message("m"))])) == []


@pytest.mark.parametrize("status", BAD_ENDS)
def test_an_answer_from_outside_keeps_what_it_lacks_as_well(status: str) -> None:
    before = fold([created(0, id="a"), added(1, message("m", TEXT))])
    body = {"id": "a", "status": status, "output": [message("m", "Half")]}
    after = with_response(before, json.dumps(body).encode())
    assert (after.output_text, after.status, tolerated(after)) == (TEXT, status, [("output_kept", 1, 1)])


def test_an_answer_that_cannot_be_read_is_a_misfit() -> None:
    document = take_answer(Document(), Raw(b"[]"), 0)
    assert [each.kind for each in document.anomalies] == [AnomalyKind.MISFIT]


# Errors


@pytest.mark.parametrize("status", ["completed", *BAD_ENDS])
def test_an_error_after_the_end_is_kept(status: str) -> None:
    error = {"type": "invalid_request_error", "code": "content_filter", "message": "filtered", "param": "prompt"}
    state = fold([ended(0, status), event("error", 1, error=error), keepalive(2)])
    assert state.error is not None
    assert (state.error.message, state.error.code, state.status) == ("filtered", "content_filter", status)
    assert (state.cursor, tolerated(state)) == (2, [("after_terminal", 1, 1)])


def test_a_second_end_replaces_the_first_whatever_the_first_held() -> None:
    state = fold([completed(0, id="a", output=[message("m", "x")]), completed(1, id="a", output=[message("m", "y")])])
    assert (state.output_text, tolerated(state)) == ("y", [("terminal_repeated", 1, 1)])


# What cannot be read, and what belongs to another response


@pytest.mark.parametrize("make", [ResponseCreated, ResponseCompleted])
def test_a_response_that_cannot_be_read_is_a_misfit(make: Any) -> None:
    state = fold([created(0, id="a"), make(sequence_number=1, response=Raw(b"{broken"))])
    assert (seen(state)["id"], tolerated(state)) == ("a", [("misfit", 1, 1)])


def test_another_response_is_not_applied() -> None:
    begun = [created(0, id="a"), added(1, message("m", "x"))]
    for other in (created(2, id="b"), ended(2, "failed", id="b"), ended(2, "completed", message("m", "y" * 0), id="b")):
        state = fold([*begun, other])
        assert (seen(state)["id"], state.is_foreign, tolerated(state)) == ("a", True, [("other_response", 1, 1)])


def test_a_response_that_holds_what_was_folded_is_this_one() -> None:
    state = fold([created(0, id="a"), added(1, message("m", "x")), ended(2, "completed", message("m", "x"), id="b")])
    assert (seen(state)["id"], state.is_foreign) == ("b", False)


def test_ids_that_drift_say_nothing() -> None:
    events = [created(0, id="a"), event("response.in_progress", 1, response={"id": "b", "status": "in_progress"})]
    state = fold([*events, ended(2, "completed", id="c")])
    assert (state.status, tolerated(state)) == ("completed", [])


def test_an_end_without_output_keeps_the_folded_one_and_says_so() -> None:
    state = fold([created(0, id="a"), added(1, message("m", "x")), ended(2, "completed")])
    assert (state.output_text, tolerated(state)) == ("x", [("output_kept", 1, 2)])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"code": "c", "message": "m"}, ("c", "m")),
        ({"error": {"code": 5, "detail": "d"}}, ("5", "d")),
        ({}, (None, None)),
    ],
)
def test_an_error_is_kept_in_its_own_words(fields: Json, expected: tuple[str | None, str | None]) -> None:
    error = fold([event("error", 0, **fields)]).error
    assert error is not None
    assert (error.code, error.message) == expected
