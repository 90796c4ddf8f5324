"""Items, parts and annotations: each type of the wire decodes to its Struct, with as little as the wire may send."""

from typing import Any

import msgspec
import pytest

from streamfold.schema.item import (
    ApplyPatchCall,
    ApplyPatchOperation,
    CodeInterpreterCall,
    Compaction,
    FilePath,
    FunctionCall,
    ImageGenerationCall,
    Item,
    KnownAnnotation,
    KnownItem,
    KnownPart,
    LocalShellCall,
    Logprob,
    McpCall,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    Refusal,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
    SummaryText,
    ToolSearchCall,
    TopLogprob,
    UnknownAnnotation,
    UnknownItem,
    UnknownPart,
    UrlCitation,
    WebSearchCall,
)

ITEM_TYPES = """
    additional_tools agent_message apply_patch_call apply_patch_call_output code_interpreter_call compaction
    computer_call computer_call_output configuration_update custom_tool_call custom_tool_call_output file_search_call
    function_call function_call_output image_generation_call item_reference local_shell_call local_shell_call_output
    mcp_approval_request mcp_approval_response mcp_call mcp_list_tools message multi_agent_call multi_agent_call_output
    output_audio program program_output reasoning shell_call shell_call_output tool_search_call tool_search_output
    web_search_call
""".split()
PART_TYPES = "output_text reasoning_text refusal summary_text".split()
ANNOTATION_TYPES = "container_file_citation file_citation file_path url_citation".split()


def decode(value: dict[str, Any]) -> Item:
    return msgspec.json.decode(msgspec.json.encode(value), type=Item)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        pytest.param(KnownItem, ITEM_TYPES, id="items"),
        pytest.param(KnownPart, PART_TYPES, id="parts"),
        pytest.param(KnownAnnotation, ANNOTATION_TYPES, id="annotations"),
    ],
)
def test_every_type_of_the_protocol_has_one_struct(family: type[Any], expected: list[str]) -> None:
    values = [each() for each in family.__subclasses__()]
    assert sorted(value.type for value in values) == sorted(value.wire_type for value in values) == expected


@pytest.mark.parametrize("name", ITEM_TYPES)
def test_an_item_of_which_only_the_type_came_is_typed(name: str) -> None:
    item = decode({"type": name})
    assert item.type == name
    assert (item.id, item.status) == (None, None)


@pytest.mark.parametrize("name", ITEM_TYPES)
def test_what_was_not_sent_is_not_encoded(name: str) -> None:
    assert msgspec.json.decode(msgspec.json.encode(decode({"type": name}))) == {"type": name}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(
            {"type": "message", "id": "m", "status": "completed", "role": "assistant", "phase": "final_answer"},
            Message(id="m", status="completed", role="assistant", phase="final_answer"),
            id="message",
        ),
        pytest.param(
            {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
            Message(content=(OutputText(text="a"), Refusal(refusal="b"))),
            id="content parts",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": None},
            Reasoning(summary=(SummaryText(text="s"),)),
            id="reasoning summed up",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
            Reasoning(content=(ReasoningText(text="r"),)),
            id="reasoning in the open",
        ),
        pytest.param(
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "caller": {"type": "direct"}},
            FunctionCall(call_id="c", name="f", arguments="{}", caller={"type": "direct"}),
            id="function call",
        ),
        pytest.param(
            {"type": "tool_search_call", "call_id": None, "arguments": {"paths": ["a"]}, "execution": "server"},
            ToolSearchCall(arguments={"paths": ["a"]}, execution="server"),
            id="tool search whose arguments are an object",
        ),
        pytest.param(
            {"type": "code_interpreter_call", "code": None, "container_id": "k", "outputs": None},
            CodeInterpreterCall(container_id="k"),
            id="code interpreter before its code",
        ),
        pytest.param({"type": "web_search_call"}, WebSearchCall(), id="web search without an action"),
        pytest.param(
            {"type": "image_generation_call", "status": "generating", "result": None},
            ImageGenerationCall(status="generating"),
            id="image before its result",
        ),
        pytest.param(
            {"type": "compaction", "encrypted_content": "e"}, Compaction(encrypted_content="e"), id="compacted"
        ),
        pytest.param(
            {"type": "compaction", "content": "c"}, Compaction(content="c"), id="compacted on MKA1, with its content"
        ),
        pytest.param(
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a.py"}},
            ApplyPatchCall(operation=ApplyPatchOperation(type="delete_file", path="a.py")),
            id="patch that deletes a file has no diff",
        ),
    ],
)
def test_an_item_decodes_to_its_type(sent: dict[str, Any], expected: Item) -> None:
    assert decode(sent) == expected


@pytest.mark.parametrize(
    "error", [pytest.param("no route", id="string, MKA1"), pytest.param({"type": "http_error"}, id="object, OpenAI")]
)
def test_the_error_of_an_mcp_call_may_have_any_shape(error: object) -> None:
    assert decode({"type": "mcp_call", "error": error}) == McpCall(error=error)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param({"commands": ["a", "b"]}, ShellAction(commands=("a", "b")), id="several, OpenAI"),
        pytest.param({"type": "exec", "command": "a"}, ShellAction(type="exec", command="a"), id="one text, MKA1"),
        pytest.param({"command": ["a", "b"]}, ShellAction(command=("a", "b")), id="words of one command, local"),
    ],
)
def test_a_shell_action_names_its_command_in_three_ways(action: dict[str, Any], expected: ShellAction) -> None:
    assert decode({"type": "shell_call", "action": action}) == ShellCall(action=expected)
    assert decode({"type": "local_shell_call", "action": action}) == LocalShellCall(action=expected)


def test_a_shell_output_is_a_list_on_openai_and_one_object_on_mka1() -> None:
    output = {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    expected = ShellOutput(stdout="a", outcome={"type": "exit", "exit_code": 0})
    assert decode({"type": "shell_call_output", "output": [output]}) == ShellCallOutput(output=(expected,))
    assert decode({"type": "shell_call_output", "output": output}) == ShellCallOutput(output=expected)


def test_a_status_may_be_any_string() -> None:
    assert decode({"type": "message", "status": "warming_up"}).status == "warming_up"


def test_a_citation_may_be_an_address_alone() -> None:
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}]}
    assert decode({"type": "message", "content": [part]}) == Message(
        content=(OutputText(text="a", annotations=(UrlCitation(url="u"),)),)
    )


def test_logprobs_keep_the_likeliest_other_tokens() -> None:
    token = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}
    part = msgspec.convert({"type": "output_text", "text": "a", "logprobs": [token]}, OutputText)
    assert part.logprobs == (
        Logprob(token="a", bytes=(97,), logprob=-0.5, top_logprobs=(TopLogprob(token="b", logprob=-1),)),
    )


@pytest.mark.parametrize("field", ["file_id", "index"])
def test_an_item_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        setattr(FilePath(), field, None)


@pytest.mark.parametrize("unknown", [UnknownItem, UnknownPart, UnknownAnnotation])
def test_no_bytes_of_a_server_pass_for_an_unknown_value(unknown: type[Any]) -> None:
    ours = unknown("new_call", b"{}", "why")
    assert (ours.wire_type, ours.data, ours.error) == ("new_call", b"{}", "why")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(ours), type=unknown)
