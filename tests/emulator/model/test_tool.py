"""Each kind of tool: its events, its items, and what is left of it when the limit of tokens cuts it."""

import base64
from random import Random
from typing import Any

import pytest
from msgspec.json import decode

from streamfold.emulator.model.answer_builder import AnswerBuilder
from streamfold.emulator.model.tool import ToolCall, tool_of
from streamfold.schema.dialect import MKA1, OPEN_RESPONSES, OPENAI, Dialect
from streamfold.serving import Fields
from tests.emulator.answers import DIALECTS, LOOK_UP


def run(
    definition: Fields, dialect: Dialect = MKA1, *, limit: int | None = None, include: tuple[str, ...] = ()
) -> tuple[list[str], list[Fields], AnswerBuilder]:
    """The events' types with runs of deltas as one, the items, and the builder."""
    builder = AnswerBuilder(random=Random(1), names=Random(2), limit=limit)
    tool = tool_of(definition, dialect)
    assert tool is not None
    found: list[str] = []
    for step in tool.make(ToolCall(builder, definition, "who sleeps", dialect, include)):
        kind = step.fields["type"].removeprefix("response.")
        if not (found and found[-1] == kind):
            found.append(kind)
    return found, builder.output, builder


# What the caller carries out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_function_gets_arguments_that_fit(dialect: Dialect) -> None:
    events, [item], builder = run(LOOK_UP, dialect)
    assert events[1:3] == ["function_call_arguments.delta", "function_call_arguments.done"]
    arguments = decode(item["arguments"])
    assert (type(arguments["word"]), type(arguments["limit"])) == (str, int)
    assert (item["name"], item["status"], item["call_id"][:5]) == ("look_up", "completed", "call_")
    assert builder.output_tokens > 5


def test_a_function_without_parameters_gets_an_empty_object() -> None:
    assert run({"type": "function", "name": "now"})[1][0]["arguments"] == "{}"


def test_arguments_that_are_cut_are_no_json() -> None:
    _, [item], _ = run(LOOK_UP, limit=2)
    assert (item["status"], item["arguments"]) == ("incomplete", '{"')


def test_a_custom_tool_gets_plain_text() -> None:
    events, [item], _ = run({"type": "custom", "name": "note"})
    assert events[1:3] == ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert (item["name"], item["input"]) == ("note", "who sleeps")


@pytest.mark.parametrize(
    ("kind", "dialect", "item_type"),
    [
        ("local_shell", MKA1, "local_shell_call"),
        ("computer_use_preview", OPENAI, "computer_call"),
        ("computer", OPENAI, "computer_call"),
        ("apply_patch", OPENAI, "apply_patch_call"),
    ],
)
def test_some_calls_come_whole(kind: str, dialect: Dialect, item_type: str) -> None:
    events, [item], _ = run({"type": kind}, dialect)
    assert events == ["output_item.added", "output_item.done"]
    assert (item["type"], item["status"]) == (item_type, "completed")


def test_a_patch_adds_what_was_asked() -> None:
    assert run({"type": "apply_patch"}, OPENAI)[1][0]["operation"]["diff"] == "+who sleeps\n"


# What the gateway carries out


def progress(name: str, *stages: str) -> list[str]:
    return ["output_item.added", *(f"{name}.{stage}" for stage in stages), "output_item.done"]


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_2025_08_26"])
def test_a_web_search_shows_its_sources_where_they_are_asked_for(kind: str) -> None:
    events, [item], _ = run({"type": kind})
    assert events == progress("web_search_call", "in_progress", "searching", "completed")
    assert item["action"] == {"type": "search", "query": "who sleeps"}
    _, [item], _ = run({"type": kind}, include=("web_search_call.action.sources",))
    assert len(item["action"]["sources"]) == 2


def test_a_file_search_shows_its_results_where_they_are_asked_for() -> None:
    events, [item], _ = run({"type": "file_search"})
    assert events == progress("file_search_call", "in_progress", "searching", "completed")
    assert (item["queries"], item["results"]) == (["who sleeps"], None)
    _, [item], _ = run({"type": "file_search"}, include=("file_search_call.results",))
    assert item["results"][0]["text"] == "who sleeps"


def test_code_is_written_run_and_shown() -> None:
    events, [item], _ = run({"type": "code_interpreter"}, include=("code_interpreter_call.outputs",))
    assert events[1:-1] == [
        "code_interpreter_call.in_progress",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "code_interpreter_call.interpreting",
        "code_interpreter_call.completed",
    ]
    compile(item["code"], "answer.py", "exec")
    assert item["outputs"] == [{"type": "logs", "logs": "2\n"}]


def test_outputs_of_code_are_shown_only_where_they_are_asked_for() -> None:
    assert run({"type": "code_interpreter"})[1][0]["outputs"] is None


def test_code_that_is_cut_is_not_run() -> None:
    events, [item], _ = run({"type": "code_interpreter"}, limit=2)
    assert (events[-2], item["status"], item["code"]) == ("code_interpreter_call_code.done", "incomplete", "words =")


@pytest.mark.parametrize(
    ("wanted", "images"),
    [(None, 0), (0, 0), (2, 2), (9, 3), ("two", 0)],
    ids=["none", "zero", "two", "many", "no number"],
)
def test_an_image_comes_with_as_many_partial_ones_as_asked(wanted: Any, images: int) -> None:
    builder = AnswerBuilder(random=Random(1), names=Random(2), limit=None)
    definition = {"type": "image_generation", "partial_images": wanted}
    tool = tool_of(definition, MKA1)
    assert tool is not None
    steps = list(tool.make(ToolCall(builder, definition, "a point", MKA1)))
    assert sum("partial_image_b64" in step.fields for step in steps) == images
    assert base64.b64decode(builder.output[0]["result"]).startswith(b"\x89PNG\r\n")


def test_an_image_that_is_not_there_yet_is_null_on_openai_and_empty_on_mka1() -> None:
    definition = {"type": "image_generation"}
    tool = tool_of(definition, MKA1)
    assert tool is not None
    for dialect, nothing in ((MKA1, ""), (OPENAI, None)):
        builder = AnswerBuilder(random=Random(1), names=Random(2), limit=None)
        assert next(tool.make(ToolCall(builder, definition, "", dialect))).fields["item"]["result"] == nothing


def test_a_server_of_tools_is_listed_then_called() -> None:
    events, [listed, called], _ = run({"type": "mcp", "server_label": "words"})
    assert events[:4] == progress("mcp_list_tools", "in_progress", "completed")
    assert events[5:-1] == [
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
    ]
    assert listed["tools"][0]["name"] == called["name"]
    assert (called["server_label"], called["output"], called["error"]) == ("words", "found", None)
    assert run({"type": "mcp"})[1][1]["server_label"] == "toy"


def test_a_call_of_a_server_that_is_cut_has_no_output() -> None:
    _, [_, called], _ = run({"type": "mcp"}, limit=2)
    assert (called["arguments"], called["output"]) == ('{"', None)


def test_a_shell_of_mka1_shows_command_and_output_whole() -> None:
    events, [called, printed], _ = run({"type": "shell"})
    assert events[:5] == progress("shell_call", "in_progress", "executing", "completed")
    assert called["action"] == {"type": "exec", "command": "echo hello"}
    assert (printed["call_id"], printed["output"]["stdout"]) == (called["call_id"], "hello\n")


def test_a_shell_of_openai_streams_command_and_output() -> None:
    events, [called, printed], _ = run({"type": "shell"}, OPENAI)
    assert events[1:4] == [f"shell_call_command.{stage}" for stage in ("added", "delta", "done")]
    assert events[6:8] == [f"shell_call_output_content.{stage}" for stage in ("delta", "done")]
    assert called["action"]["commands"] == ["echo hello"]
    assert (printed["call_id"], printed["output"][0]["stdout"]) == (called["call_id"], "hello\n")


def test_a_command_that_is_cut_is_not_run() -> None:
    _, [called], _ = run({"type": "shell"}, OPENAI, limit=1)
    assert (called["status"], called["action"]["commands"]) == ("incomplete", ["echo"])


@pytest.mark.parametrize(
    ("definition", "stages"),
    [
        ({"type": "agent", "agent_id": "agent_1"}, ("in_progress", "completed")),
        ({"type": "agent"}, ("in_progress", "completed")),
        ({"type": "history"}, ("in_progress", "searching", "completed")),
        ({"type": "sleep"}, ("in_progress", "sleeping", "completed")),
    ],
    ids=["an agent", "any agent", "history", "sleep"],
)
def test_tools_of_mka1_alone_show_as_a_function_call(definition: Fields, stages: tuple[str, ...]) -> None:
    events, [item], _ = run(definition)
    name = f"{definition['type']}_call"
    assert events == progress(name, *stages)
    assert (item["type"], item["name"], item["status"]) == ("function_call", name, "completed")
    assert isinstance(decode(item["arguments"]), dict)


# Which tool


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [
        ("agent", OPENAI),
        ("apply_patch", MKA1),
        ("of_tomorrow", MKA1),
        ("shell", OPEN_RESPONSES),
    ],
)
def test_a_tool_that_the_dialect_does_not_have_is_none(kind: str, dialect: Dialect) -> None:
    assert tool_of({"type": kind}, dialect) is None


def test_the_caller_carries_out_its_own_tools() -> None:
    own = ["function", "custom", "local_shell", "apply_patch", "computer"]
    assert [kind for kind in own if (tool := tool_of({"type": kind}, OPENAI)) and tool.is_hosted] == []
    hosted = tool_of({"type": "web_search"}, OPENAI)
    assert hosted is not None
    assert hosted.is_hosted
