"""STEPS: items, parts, indexes and texts, those that are missing and those that do not fit."""

import re
from typing import Any

import pytest
from msgspec import Raw

from streamfold.fold.checkpoint import checkpoint, restore
from streamfold.fold.reduce import fold, reduce
from streamfold.fold.target import MAX_INDEX
from streamfold.fold.text import Text
from streamfold.fold.tree import Elements, find
from streamfold.schema import (
    EVENT_TYPES,
    Event,
    decode_event,
)
from streamfold.schema import event as wire
from tests.fold.made import MESSAGE, added, created, delta, event, seen, tolerated
from tests.fold.operations import FIELDS, GROWS_PARTS, ITEM, JsonObject, folded, payload

# Items and parts that were never added

CREATED_ITEMS = [
    pytest.param(
        "response.function_call_arguments.delta",
        {"type": "function_call", "id": "another id", "arguments": " more"},
        id="arguments",
    ),
    pytest.param(
        "response.mcp_call_arguments.done", {"type": "mcp_call", "id": "another id", "arguments": "whole"}, id="mcp"
    ),
    pytest.param(
        "response.custom_tool_call_input.delta",
        {"type": "custom_tool_call", "id": "another id", "input": " more"},
        id="input",
    ),
    pytest.param(
        "response.code_interpreter_call_code.delta",
        {"type": "code_interpreter_call", "id": "another id", "code": " more"},
        id="code",
    ),
    pytest.param(
        "response.apply_patch_call_operation_diff.delta",
        {"type": "apply_patch_call", "id": "another id", "operation": {"diff": " more"}},
        id="diff",
    ),
    pytest.param(
        "response.shell_call_command.delta",
        {"type": "shell_call", "action": {"commands": [" more"]}},
        id="command, which names no id",
    ),
    pytest.param(
        "response.shell_call_output_content.delta",
        {"type": "shell_call_output", "id": "another id", "output": [{"stdout": "O", "stderr": "E"}]},
        id="shell output",
    ),
    pytest.param(
        "response.content_part.added",
        {"type": "message", "id": "another id", "role": "assistant", "content": [FIELDS["part"]]},
        id="a part",
    ),
    pytest.param(
        "response.reasoning_part.done",
        {"type": "reasoning", "id": "another id", "content": [FIELDS["part"]]},
        id="a reasoning part",
    ),
    pytest.param(
        "response.reasoning_summary_part.added",
        {"type": "reasoning", "id": "another id", "summary": [FIELDS["part"]]},
        id="a summary part",
    ),
    pytest.param("response.web_search_call.searching", {"type": "web_search_call", "id": "another id"}, id="a status"),
]


@pytest.mark.parametrize(("name", "item"), CREATED_ITEMS)
def test_an_item_that_was_never_added_is_created_on_first_sight(name: str, item: JsonObject) -> None:
    first, again = event(name, 5, **payload(name)), event(name, 6, **payload(name))
    state = fold([first])
    assert (seen(state)["output"], tolerated(state)) == ([item], [("item_created", 1, 5)])
    assert tolerated(reduce(state, again)) == [("item_created", 1, 5)]


@pytest.mark.parametrize(("name", "part_type"), GROWS_PARTS.items())
def test_a_part_that_was_never_added_is_created_on_first_sight(name: str, part_type: str) -> None:
    state = fold([added(0, {"type": "any"}, index=1), event(name, 1, **payload(name))])
    (item,) = seen(state)["output"]
    (parts,) = (item[name] for name in ("content", "summary") if name in item)
    assert (item["type"], [part["type"] for part in parts]) == ("any", [part_type])
    assert tolerated(state) == [("part_created", 1, 1)]


ITEM_TYPES = {
    "response.content_part.done": "message",
    "response.output_text.delta": "message",
    "response.output_text.done": "message",
    "response.output_text.annotation.added": "message",
    "response.refusal.delta": "message",
    "response.refusal.done": "message",
    "response.reasoning.delta": "reasoning",
    "response.reasoning.done": "reasoning",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_text.done": "reasoning",
    "response.reasoning_part.added": "reasoning",
    "response.reasoning_summary_part.done": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_summary_text.done": "reasoning",
    "response.function_call_arguments.done": "function_call",
    "response.mcp_call_arguments.delta": "mcp_call",
    "response.custom_tool_call_input.done": "custom_tool_call",
    "response.code_interpreter_call_code.done": "code_interpreter_call",
    "response.apply_patch_call_operation_diff.done": "apply_patch_call",
    "response.shell_call_command.added": "shell_call",
    "response.shell_call_command.done": "shell_call",
    "response.shell_call_output_content.done": "shell_call_output",
    "response.code_interpreter_call.interpreting": "code_interpreter_call",
    "response.file_search_call.searching": "file_search_call",
    "response.image_generation_call.generating": "image_generation_call",
    "response.mcp_call.in_progress": "mcp_call",
    "response.shell_call.executing": "shell_call",
}


@pytest.mark.parametrize(("name", "item_type"), ITEM_TYPES.items())
def test_a_created_item_is_of_the_type_that_the_event_speaks_of(name: str, item_type: str) -> None:
    (item,) = seen(fold([event(name, 0, **payload(name))]))["output"]
    assert item["type"] == item_type


def test_an_item_and_its_part_are_created_together() -> None:
    state = fold([delta(3, "a", item=2, part=4)])
    part = {"type": "output_text", "text": "a"}
    assert seen(state) == {"output": [{"type": "message", "role": "assistant", "content": [part]}]}
    assert tolerated(state) == [("item_created", 1, 3), ("part_created", 1, 3)]


def test_an_item_that_comes_later_takes_the_place_of_the_created_one() -> None:
    state = fold([delta(0, "early"), added(1, ITEM)])
    assert seen(state)["output"] == [ITEM]


def test_items_are_shown_by_index_however_they_came() -> None:
    state = fold([added(0, {"type": "c"}, index=7), added(1, {"type": "a"}), added(2, {"type": "b"}, index=3)])
    assert [item["type"] for item in seen(state)["output"]] == ["a", "b", "c"]


# Indexes

INDEXES = [
    pytest.param("response.output_item.done", "output_index", id="of an item"),
    pytest.param("response.output_text.delta", "output_index", id="of a text's item"),
    pytest.param("response.output_text.delta", "content_index", id="of a text's part"),
    pytest.param("response.output_text.annotation.added", "annotation_index", id="of an annotation"),
    pytest.param("response.content_part.done", "content_index", id="of a part"),
    pytest.param("response.reasoning_summary_part.done", "summary_index", id="of a summary"),
    pytest.param("response.shell_call_command.added", "command_index", id="of a command"),
    pytest.param("response.shell_call_output_content.delta", "command_index", id="of an output"),
    pytest.param("response.shell_call_output_content.done", "command_index", id="of a done output"),
    pytest.param("response.mcp_call.failed", "output_index", id="of a status"),
]


@pytest.mark.parametrize(("name", "index"), INDEXES)
@pytest.mark.parametrize("value", [-1, -(10**30), MAX_INDEX + 1, 10**30])
def test_an_index_beyond_the_bounds_is_refused(name: str, index: str, value: int) -> None:
    before = fold([added(0, ITEM), added(1, ITEM, index=1)])
    values = {**payload(name), "logprobs": None, index: value}
    if name == "response.shell_call_output_content.done":
        values["output"] = [{"stdout": "one"}]
    state = reduce(before, event(name, 2, **values))
    assert seen(state) == seen(before)
    assert [(kind, first) for kind, _, first in tolerated(state)] == [("index_refused", 2)]


@pytest.mark.parametrize(("name", "index"), INDEXES)
def test_the_highest_index_is_accepted(name: str, index: str) -> None:
    values = {**payload(name), "logprobs": None, index: MAX_INDEX}
    if name == "response.shell_call_output_content.done":
        values["output"] = [{"stdout": "last"}]
    state = fold([added(0, ITEM), added(1, ITEM, index=1), event(name, 2, **values)])
    assert "index_refused" not in [kind for kind, _, _ in tolerated(state)]


def test_entries_that_would_pass_the_bound_are_refused_together() -> None:
    indexes = {"output_index": 0, "command_index": MAX_INDEX}
    state = fold(
        [added(0, {}), event("response.shell_call_output_content.done", 1, **indexes, output=[{"a": 1}, {}, {}])]
    )
    assert seen(state)["output"] == [{}]
    assert tolerated(state) == [("index_refused", 1, 1)]


def test_entries_of_a_refused_command_are_not_applied_in_part() -> None:
    indexes = {"output_index": 0, "command_index": -1}
    name = "response.shell_call_output_content.done"
    state = fold([added(0, {}), event(name, 1, **indexes, output=[{"a": 1}, {"b": 2}])])
    assert (seen(state)["output"], tolerated(state)) == ([{}], [("index_refused", 1, 1)])


@pytest.mark.parametrize("index", [{"output_index": -1}, {"content_index": -1}, {"content_index": 10_000}])
def test_logprobs_of_a_refused_index_are_refused_too(index: dict[str, int]) -> None:
    values = {"output_index": 0, "content_index": 0, "delta": "x", "logprobs": [1], **index}
    state = fold([event("response.output_text.delta", 0, **values)])
    assert (seen(state), tolerated(state)) == ({"output": []}, [("index_refused", 1, 0)])


# What does not fit

TEXT_DELTA = {"output_index": 0, "content_index": 0, "delta": "x"}


@pytest.mark.parametrize(
    ("item", "name", "fields"),
    [
        pytest.param({"content": "words"}, "response.output_text.delta", TEXT_DELTA, id="content that is a string"),
        pytest.param({"content": {"0": {}}}, "response.output_text.delta", TEXT_DELTA, id="content that is an object"),
        pytest.param({"content": ["words"]}, "response.output_text.delta", TEXT_DELTA, id="a part that is a string"),
        pytest.param({"content": [[]]}, "response.output_text.delta", TEXT_DELTA, id="a part that is an array"),
        pytest.param({"content": [{"text": []}]}, "response.output_text.delta", TEXT_DELTA, id="text that is an array"),
        pytest.param({"content": [{"text": 5}]}, "response.output_text.delta", TEXT_DELTA, id="text that is a number"),
        pytest.param(
            {"content": [{"annotations": 5}]},
            "response.output_text.annotation.added",
            {"output_index": 0, "content_index": 0, "annotation_index": 0, "annotation": {}},
            id="annotations that are none",
        ),
        pytest.param(
            {"arguments": {}},
            "response.function_call_arguments.delta",
            {"output_index": 0, "delta": "x"},
            id="arguments that are an object",
        ),
        pytest.param(
            {"operation": "delete"},
            "response.apply_patch_call_operation_diff.done",
            {"output_index": 0, "diff": "x"},
            id="an operation that is a string",
        ),
        pytest.param(
            {"action": {"commands": [["ls"]]}},
            "response.shell_call_command.delta",
            {"output_index": 0, "command_index": 0, "delta": "x"},
            id="a command that is an array",
        ),
        pytest.param(
            {"output": "done"},
            "response.shell_call_output_content.done",
            {"output_index": 0, "command_index": 0, "output": [{}]},
            id="shell output that is a string",
        ),
        pytest.param(
            {"output": []},
            "response.shell_call_output_content.delta",
            {"output_index": 0, "command_index": 0, "delta": {"stdout": 5}},
            id="printed output that is a number",
        ),
    ],
)
def test_what_does_not_fit_is_told_and_changes_nothing(item: JsonObject, name: str, fields: JsonObject) -> None:
    state = fold([added(0, item), event(name, 1, **fields)])
    assert seen(state)["output"] == [item]
    assert tolerated(state) == [("misfit", 1, 1)]


@pytest.mark.parametrize("output", [["words"], [[]], [5]])
def test_an_item_that_is_none_takes_no_text(output: list[Any]) -> None:
    state = fold([created(0, output=output), delta(1)])
    assert seen(state)["output"] == output
    assert tolerated(state) == [("misfit", 1, 1)]


def test_null_counts_as_empty_where_a_text_grows() -> None:
    state = fold(
        [added(0, {"code": None}), event("response.code_interpreter_call_code.delta", 1, output_index=0, delta="x")]
    )
    assert (seen(state)["output"], tolerated(state)) == ([{"code": "x"}], [])


# logprobs


def with_logprobs(*values: object) -> Event:
    return event("response.output_text.delta", None, **TEXT_DELTA, logprobs=list(values))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({}, [1, 2, 3], id="from nothing"),
        pytest.param({"logprobs": []}, [1, 2, 3], id="from an empty list"),
        pytest.param({"logprobs": None}, [1, 2, 3], id="from null"),
        pytest.param({"logprobs": [{"a": 1e-7}, 0]}, [{"a": 1e-7}, 0, 1, 2, 3], id="from a list that was sent"),
    ],
)
def test_logprobs_are_added_to_those_of_the_part(part: JsonObject, expected: list[Any]) -> None:
    state = fold([added(None, {"content": [part]}), with_logprobs(1, 2), with_logprobs(3)])
    assert seen(state)["output"] == [{"content": [{**part, "text": "xx", "logprobs": expected}]}]


@pytest.mark.parametrize("logprobs", ["words", 5, {}])
def test_logprobs_that_do_not_fit_leave_the_text(logprobs: object) -> None:
    state = fold([added(None, {"content": [{"logprobs": logprobs}]}), with_logprobs(1)])
    assert seen(state)["output"] == [{"content": [{"logprobs": logprobs, "text": "x"}]}]
    assert [kind for kind, _, _ in tolerated(state)] == ["unnumbered", "misfit"]


@pytest.mark.parametrize("logprobs", [[], None])
def test_no_logprobs_make_no_list(logprobs: object) -> None:
    state = fold([added(0, {"content": [{}]}), event("response.output_text.delta", 1, **TEXT_DELTA, logprobs=logprobs)])
    assert seen(state)["output"] == [{"content": [{"text": "x"}]}]


def test_a_logprob_keeps_its_own_spelling_and_its_broken_characters_are_replaced() -> None:
    values = (Raw(b'{"p": -1.90E-7}'), Raw(b'"\xff"'))
    text = wire.OutputTextDelta(sequence_number=0, output_index=0, content_index=0, delta="", logprobs=values)
    logprobs = find(fold([text]).focus.document.output, (0, "content", 0, "logprobs"))
    assert logprobs == Elements(Text().push('{"p": -1.90E-7},"\ufffd"'))


def test_logprobs_of_a_text_that_is_refused_are_refused_with_it() -> None:
    """Whether or not another text was growing, which is written first."""
    broken = added(0, {"content": [{"text": 5}]})
    for before in ([broken], [broken, delta(1, item=1), delta(2, item=1)]):
        refused = event("response.output_text.delta", len(before), **TEXT_DELTA, logprobs=[1])
        state = fold([*before, refused])
        assert seen(state)["output"][0] == {"content": [{"text": 5}]}
        assert tolerated(state)[-1] == ("misfit", 1, len(before))


# A text that grows while other events come

OTHER_EVENTS: list[Any] = [
    pytest.param("response.output_text.annotation.added", {"annotation_index": 0, "annotation": {"a": 1}}, id="beside"),
    pytest.param("response.content_part.added", {"content_index": 1, "part": {"text": ""}}, id="another part"),
    pytest.param("response.output_item.added", {"output_index": 1, "item": {"type": "any"}}, id="another item"),
    pytest.param("response.mcp_call.failed", {}, id="the status of its item"),
    pytest.param("response.mcp_call.failed", {"output_index": 1}, id="the status of another item"),
    pytest.param("response.output_item.done", {"item": None}, id="an item that is null"),
    pytest.param("response.content_part.done", {"content_index": -1, "part": {}}, id="a part that is refused"),
    pytest.param("response.in_progress", {"response": {"output": []}}, id="a snapshot without output"),
    pytest.param("keepalive", {}, id="silence"),
]


@pytest.mark.parametrize(("name", "fields"), OTHER_EVENTS)
def test_a_text_that_grows_goes_on_behind_an_event_that_leaves_it(name: str, fields: JsonObject) -> None:
    growing = fold([added(0, MESSAGE | {"status": "in_progress"}), delta(1, "a"), delta(2, "b")])
    other = event(name, 3, **{"output_index": 0, "content_index": 0, "item_id": "i"} | fields)
    assert fold([other, delta(4, "c"), delta(5, "d")], growing).output_text == "abcd"
    settled = restore(checkpoint(growing))
    assert seen(reduce(growing, other)) == seen(reduce(settled, other))


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        pytest.param("output_text.done", {"text": "ab"}, "abc", id="the same text"),
        pytest.param("output_text.done", {"text": "other"}, "otherc", id="another text"),
        pytest.param("content_part.done", {"part": {"type": "output_text", "text": "P"}}, "Pc", id="its part"),
        pytest.param("output_item.done", {"item": {"type": "message"}}, "c", id="its item"),
        pytest.param("in_progress", {"response": {"output": [MESSAGE]}}, "c", id="the whole output"),
    ],
)
def test_a_text_that_grew_is_forgotten_where_its_place_is_taken(name: str, fields: JsonObject, expected: str) -> None:
    growing = fold([added(0), delta(1, "a"), delta(2, "b")])
    taken = reduce(growing, event(f"response.{name}", 3, **{"output_index": 0, "content_index": 0} | fields))
    assert taken.output_text == expected.removesuffix("c")
    assert reduce(taken, delta(4, "c")).output_text == expected


# Statuses


@pytest.mark.parametrize("name", [name for name in EVENT_TYPES if re.search(r"_call\.\w+$", name)])
@pytest.mark.parametrize("item", [{"type": "any"}, {"type": "any", "new": [1]}])
def test_a_status_is_not_invented(name: str, item: JsonObject) -> None:
    state = folded({"output": [{}, item]}, name, payload(name))
    assert (seen(state)["output"], tolerated(state)) == ([{}, item], [])


@pytest.mark.parametrize("status", ["waiting", None, 5])
def test_a_status_takes_the_place_of_any_other(status: object) -> None:
    state = folded({"output": [{"status": status, "a": 1}]}, "response.mcp_call.failed", {"output_index": 0})
    assert seen(state)["output"] == [{"status": "failed", "a": 1}]


@pytest.mark.parametrize("output", [["words"], [["status"]]])
def test_a_status_of_what_is_no_item_changes_nothing(output: list[Any]) -> None:
    state = folded({"output": output}, "response.mcp_call.failed", {"output_index": 0})
    assert (seen(state)["output"], tolerated(state)) == (output, [])


@pytest.mark.parametrize("output", [[None], [{"type": "message", "content": [None]}]])
def test_null_where_an_item_or_part_should_be_is_created_with_its_shell(output: list[Any]) -> None:
    state = folded({"output": output}, "response.output_text.delta", TEXT_DELTA)
    (item,) = seen(state)["output"]
    assert (item["type"], item["content"][0]) == ("message", {"type": "output_text", "text": "x"})


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [
        ("response.function_call_arguments.done", "function_call", {"arguments": "x"}),
        ("response.content_part.added", "message", {"content_index": 0, "part": {"type": "output_text", "text": "x"}}),
    ],
)
def test_a_null_item_is_created_by_an_event_that_needs_no_certain_part(
    name: str, kind: str, fields: JsonObject
) -> None:
    state = folded({"output": [None]}, name, {"output_index": 0, **fields})
    (item,) = seen(state)["output"]
    assert (item["type"], tolerated(state)) == (kind, [("item_created", 1, 1)])


# Shell output


def shell_delta(number: int, index: int = 0, **printed: object) -> Event:
    name = "response.shell_call_output_content.delta"
    return event(name, number, output_index=0, command_index=index, delta=printed)


def shell_done(number: int, *entries: object, index: int = 0) -> Event:
    name = "response.shell_call_output_content.done"
    return event(name, number, output_index=0, command_index=index, output=list(entries))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([shell_delta(1, stdout="a"), shell_delta(2, stdout="b")], [{"stdout": "ab"}], id="it grows"),
        pytest.param([shell_delta(1, stdout="a", stderr="b")], [{"stdout": "a", "stderr": "b"}], id="both streams"),
        pytest.param([shell_delta(1, stdout="", stderr=None)], None, id="nothing printed makes no entry"),
        pytest.param([shell_delta(1)], None, id="nothing said makes no entry"),
        pytest.param(
            [shell_delta(1, 1, stdout="b"), shell_delta(2, 0, stdout="a")],
            [{"stdout": "a"}, {"stdout": "b"}],
            id="two commands",
        ),
        pytest.param(
            [shell_delta(1, stdout="a"), shell_done(2, {"stdout": "A"})], [{"stdout": "A"}], id="done overrides"
        ),
        pytest.param(
            [shell_done(1, {"a": 1}, {"b": 2}), shell_done(2, {"c": 3}, index=1)], [{"a": 1}, {"c": 3}], id="done again"
        ),
        pytest.param([shell_delta(1, stdout="a"), shell_done(2)], [{"stdout": "a"}], id="done without entries"),
    ],
)
def test_what_a_command_printed_is_provisional_until_done(events: list[Event], expected: list[Any] | None) -> None:
    state = fold([added(0, {"type": "shell_call_output"}), *events])
    assert seen(state)["output"][0].get("output") == expected
    assert tolerated(state) == []


@pytest.mark.parametrize("stderr", ["b", 5])
def test_a_stream_that_does_not_fit_refuses_the_event_once(stderr: object) -> None:
    state = fold([added(0, {}), shell_delta(1, stdout=["a"], stderr=stderr)])
    assert (seen(state)["output"], tolerated(state)) == ([{}], [("misfit", 1, 1)])


def test_a_broken_character_in_an_entry_is_replaced() -> None:
    name = b"response.shell_call_output_content.done"
    data = b'{"type":"%b","sequence_number":1,"output_index":0,"command_index":0,"output":[{"stdout":"a\xff"}]}' % name
    state = fold([added(0, {}), decode_event(data)])
    assert seen(state)["output"] == [{"output": [{"stdout": "a\ufffd"}]}]


# Unknown events


def test_an_unknown_type_changes_nothing_and_is_no_anomaly() -> None:
    before = fold([created(0, id="a"), added(1)])
    state = reduce(before, event("response.new", 2, output_index=0, item={"id": "x"}))
    assert (state.cursor, seen(state), tolerated(state)) == (2, seen(before), [])


def test_an_event_that_did_not_decode_is_told() -> None:
    before = fold([created(0, id="a"), added(1)])
    state = reduce(before, event("response.output_text.delta", 2, delta=5))
    assert (state.cursor, seen(state), tolerated(state)) == (2, seen(before), [("malformed", 1, 2)])


# Items and parts of another type


@pytest.mark.parametrize("name", ["response.output_item.added", "response.output_item.done"])
def test_an_item_that_replaces_one_of_another_type_is_told(name: str) -> None:
    call = {"type": "function_call", "id": "f"}
    state = fold([added(0, call), event(name, 1, output_index=0, item=MESSAGE)])
    assert (seen(state)["output"], tolerated(state)) == ([MESSAGE], [("item_replaced", 1, 1)])


@pytest.mark.parametrize("item", [{**MESSAGE, "id": "another"}, {"id": "a"}])
def test_another_id_or_no_type_is_no_other_item(item: JsonObject) -> None:
    assert tolerated(fold([added(0), added(1, item), added(2)])) == []


def test_a_part_that_replaces_one_of_another_type_is_told() -> None:
    part = {"type": "refusal", "refusal": ""}
    state = fold([added(0), event("response.content_part.added", 1, output_index=0, content_index=0, part=part)])
    assert (seen(state)["output"][0]["content"], tolerated(state)) == ([part], [("part_replaced", 1, 1)])


MISFITS = [name for name in EVENT_TYPES if name.startswith(("response.function_call_arg", "response.mcp_call"))]


def test_a_part_that_is_added_again_is_open_again() -> None:
    part: JsonObject = {"output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "x"}}
    done = fold([added(0), event("response.content_part.done", 1, **part)])
    assert done.focus.document.closed == {(0, "content", 0)}
    again = reduce(done, event("response.content_part.added", 2, **part))
    assert (again.focus.document.closed, tolerated(again)) == (set(), [])


@pytest.mark.parametrize("name", [*MISFITS, "response.refusal.delta", "response.reasoning_text.delta"])
def test_an_event_for_another_type_of_item_or_part_writes_nothing(name: str) -> None:
    before = fold([added(0, MESSAGE | {"status": "in_progress"}), delta(1, "x")])
    state = reduce(before, event(name, 2, **payload(name) | {"output_index": 0, "content_index": 0}))
    assert (seen(state), tolerated(state)) == (seen(before), [("misfit", 1, 2)])
    assert reduce(state, delta(3, "y")).output_text == "xy"


# The agent of an item


@pytest.mark.parametrize("name", ["response.output_item.added", "response.output_item.done"])
def test_an_agent_that_only_the_event_names_is_added_to_its_item(name: str) -> None:
    state = fold([event(name, 0, output_index=0, item={"type": "message"}, agent={"agent_name": "main"})])
    assert seen(state)["output"] == [{"agent": {"agent_name": "main"}, "type": "message"}]


def test_an_agent_that_the_item_names_is_its_own() -> None:
    item = {"type": "message", "agent": {"agent_name": "main.helper"}}
    state = fold([event("response.output_item.done", 0, output_index=0, item=item, agent={"agent_name": "main"})])
    assert seen(state)["output"] == [item]


def test_a_field_that_no_type_names_stays_in_its_item() -> None:
    item = {"type": "function_call", "async": True, "agent": {"agent_name": "a"}, "new": [1]}
    assert seen(fold([added(0, item)]))["output"] == [item]
