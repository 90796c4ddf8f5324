"""What one event changed, in words: a table over the kinds of events, and every event type of the wire."""

import json
import re
from typing import Any

import pytest

from streamfold.cli.output.step import TEXTS, Step, describe_change
from streamfold.fold import State, fold, reduce
from streamfold.schema import EVENT_TYPES, Event, decode_event
from streamfold.schema import event as wire
from tests.cli.made import completed, delta, opening


def event(fields: dict[str, Any], *, number: int = 9) -> Event:
    return decode_event(json.dumps(fields | {"sequence_number": number}).encode())


def state_after(*events: dict[str, Any]) -> State:
    return fold(event(each, number=9 - len(events) + place) for place, each in enumerate(events))


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": 0, "item": {"type": kind, **fields}}


SEARCH = item("web_search_call", status="in_progress")
SHELL = item("shell_call", status="in_progress", action={"commands": []})
AT = {"output_index": 0, "item_id": "x"}
LONG = "word " * 30

CHANGES = [
    pytest.param([], {"type": "response.created", "response": {"status": "queued"}}, "status: queued", id="created"),
    pytest.param(opening(), completed(""), "status: in_progress → completed", id="completed"),
    pytest.param(opening(), opening()[0], "status: still in_progress", id="status stays"),
    pytest.param([], item("message", status="in_progress"), "output[0] opened: message in_progress", id="item opens"),
    pytest.param(
        opening(),
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "status": "completed"}},
        "output[0] closed: message completed",
        id="item closes",
    ),
    pytest.param(
        [], {"type": "response.output_item.added", "output_index": 0, "item": None}, "output[0] is null", id="no item"
    ),
    pytest.param([], item("x", type=[1]), "output[0] opened: [1]", id="odd type"),
    pytest.param(
        [],
        {"type": "response.output_item.added", "output_index": 0, "item": {}},
        "output[0] opened: no type",
        id="no type",
    ),
    pytest.param(
        [item("reasoning")],
        {
            "type": "response.reasoning_summary_part.added",
            **AT,
            "summary_index": 1,
            "part": {"type": "summary_text", "text": ""},
        },
        "output[0].summary[1] opened: summary_text",
        id="summary part opens",
    ),
    pytest.param(opening(), delta('a "b"\n'), 'output[0].content[0].text += "a \\"b\\"\\n"', id="text grows"),
    pytest.param(
        opening(),
        {"type": "response.output_text.done", **AT, "content_index": 0, "text": LONG},
        'output[0].content[0].text = "word word word word word word word word …" (150 characters)',
        id="long text",
    ),
    pytest.param(
        [item("function_call", arguments="")],
        {"type": "response.function_call_arguments.delta", **AT, "delta": "{"},
        'output[0].arguments += "{"',
        id="arguments grow",
    ),
    pytest.param(
        [item("apply_patch_call", operation={})],
        {"type": "response.apply_patch_call_operation_diff.done", **AT, "diff": "+x"},
        'output[0].operation.diff = "+x"',
        id="diff",
    ),
    pytest.param(
        [SHELL],
        {"type": "response.shell_call_command.added", "output_index": 0, "command_index": 0, "command": "ls"},
        'output[0].action.commands[0] = "ls"',
        id="command",
    ),
    pytest.param(
        [item("shell_call_output", output=[])],
        {
            "type": "response.shell_call_output_content.delta",
            **AT,
            "command_index": 0,
            "delta": {"stdout": "x", "stderr": ""},
        },
        "output[0].output[0] += what it printed",
        id="command prints",
    ),
    pytest.param(
        opening(),
        {
            "type": "response.output_text.annotation.added",
            **AT,
            "content_index": 0,
            "annotation_index": 2,
            "annotation": {"type": "url_citation"},
        },
        "output[0].content[0].annotations[2] = url_citation",
        id="annotation",
    ),
    pytest.param(
        [SEARCH],
        {"type": "response.web_search_call.searching", **AT},
        'output[0].status = "searching"',
        id="item status",
    ),
    pytest.param(
        [SEARCH], {"type": "response.web_search_call.in_progress", **AT}, "nothing in the Response", id="same status"
    ),
    pytest.param(
        [SEARCH], {"type": "response.mcp_list_tools.completed", **AT}, "nothing in the Response", id="no status"
    ),
    pytest.param([], {"type": "keepalive"}, "nothing in the Response", id="keepalive"),
    pytest.param([], {"type": "error", "code": "x", "message": "a\nb"}, "error: x: a b", id="error"),
    pytest.param([], {"type": "response.brand_new"}, "unknown", id="unknown"),
    pytest.param(
        opening()[:1],
        delta("x"),
        'output[0].content[0].text += "x" ! item_created, part_created',
        id="never added",
    ),
    pytest.param(
        [*opening(), completed("")], delta("x"), "not applied ! after_terminal", id="after the terminal event"
    ),
    pytest.param([], delta("x", item=-1), "not applied ! index_refused", id="index refused"),
]


@pytest.mark.parametrize(("before", "then", "told"), CHANGES)
def test_a_change_is_told(before: list[dict[str, Any]], then: dict[str, Any], told: str) -> None:
    state = state_after(*before)
    it = event(then)
    assert describe_change(Step(it, b"", state, reduce(state, it))) == told


def test_a_duplicate_is_told_as_such() -> None:
    state = state_after(*opening())
    it = event(opening()[2], number=8)
    assert describe_change(Step(it, b"", state, reduce(state, it))) == "duplicate"


def test_a_known_number_with_other_words_is_told() -> None:
    state = state_after(*opening())
    it = event(delta("x"), number=8)
    assert describe_change(Step(it, b"", state, reduce(state, it))) == "not applied ! duplicate_differs"


def test_an_event_that_does_not_validate_tells_why() -> None:
    it = event({"type": "response.output_text.delta", "delta": 1})
    told = describe_change(Step(it, b"", State(), reduce(State(), it)))
    assert re.fullmatch(r"unreadable: .+ ! malformed", told)


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.__name__)
def test_the_path_is_the_one_that_the_schema_names(kind: type[wire.KnownEvent]) -> None:
    field, _ = TEXTS[kind]
    indexes = {"output_index": 1, "content_index": 2, "summary_index": 3, "command_index": 4}
    it = event({"type": kind.__struct_config__.tag, **indexes, field: "x"})
    told = describe_change(Step(it, b"", State(), reduce(State(), it)))
    named = re.search(r"`(output\[.*?)`", kind.__doc__ or "")
    assert named is not None
    expected = re.sub(r"\[(\w+)\]", lambda found: f"[{indexes[found[1]]}]", named[1])
    assert told.startswith(f'{expected} {"+=" if field == "delta" else "="} "x"')


@pytest.mark.parametrize("text_field", ["delta", "text", "refusal", "arguments", "code", "input", "diff", "command"])
def test_no_type_that_changes_a_text_is_left_out(text_field: str) -> None:
    told_otherwise = {wire.AudioDelta, wire.AudioTranscriptDelta, wire.ShellCallOutputContentDelta}
    kinds = {kind for kind in EVENT_TYPES.values() if text_field in kind.__struct_fields__}
    assert kinds - told_otherwise - {wire.InjectFailed, wire.ErrorEvent} <= TEXTS.keys()
