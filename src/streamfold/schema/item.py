"""Output items, their content parts and annotations, one frozen Struct per type.

A missing list is empty, a missing text that the schemas require or that deltas fill is `""`, and everything else that
is missing is None, so an item that has only begun is typed too. A status is any string: real streams hold statuses
that no schema allows. Indexes of annotations count characters of the text, as the server counts them.
"""

import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from msgspec import Meta, Struct, StructMeta, field

JSON: TypeAlias = Any
"""A value whose shape is up to the server: None, bool, int, float, str, or lists and dicts of them."""

Number: TypeAlias = int | float

# msgspec checks a constraint only when it decodes. A pattern that matches nothing keeps a server from sending one of
# the Unknown types, which must be in the tagged unions because our own code creates them.
NotFromTheWire: TypeAlias = Annotated[str, Meta(pattern="(?!)")]


if TYPE_CHECKING:
    from typing import ClassVar, Literal
else:
    # Nobody reads the 130 annotations `ClassVar[Literal["..."]]` at run time, and `typing` takes 3 ms to build them: a
    # fifteenth of `import streamfold`. These two build nothing, and msgspec still sees a ClassVar.
    class Literal:
        def __class_getitem__(cls, name):
            return cls

    class ClassVar:
        def __class_getitem__(cls, kind):
            return typing.ClassVar


class Tagged(StructMeta):
    """Metaclass of all classes that the wire's `type` distinguishes: it makes their `type` msgspec's tag as well.

    The name is then written once, as a `Literal` by which a type checker can narrow a union.
    """

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> "Tagged":
        if "type" in namespace:
            config["tag"] = namespace["type"]
        return super().__new__(mcls, name, bases, namespace, **config)


class Named(Struct, frozen=True, gc=False, tag_field="type", metaclass=Tagged):
    """A value whose `type` on the wire is known."""

    @property
    def wire_type(self) -> str:
        """The name of the type on the wire. Unknown values have it too."""
        return str(self.__struct_config__.tag)


class Unknown(Struct, frozen=True, gc=False, tag_field="type", metaclass=Tagged):
    """A value of an unknown type, or one that does not validate: kept, never dropped.

    Attributes:
        type: Always "streamfold.unknown", so that a comparison with a known name never finds a value without its fields.
        wire_type: The name on the wire; empty if none could be read.
        data: The bytes as they were sent.
        error: Why it did not decode.
    """

    type: ClassVar[Literal["streamfold.unknown"]] = "streamfold.unknown"
    wire_type: str
    data: bytes
    error: NotFromTheWire


# Annotations of a text


class KnownAnnotation(Named, frozen=True, omit_defaults=True):
    """What all annotation types share."""


class FileCitation(KnownAnnotation, frozen=True, kw_only=True):
    """A file that the text is based on. `index` is its position in the list of files."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    file_id: str | None = None
    filename: str | None = None
    index: int | None = None


class UrlCitation(KnownAnnotation, frozen=True, kw_only=True):
    """A web page that part of the text cites. xAI sends only the `url`."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class ContainerFileCitation(KnownAnnotation, frozen=True, kw_only=True):
    """A file in a code interpreter's container that part of the text cites."""

    type: ClassVar[Literal["container_file_citation"]] = "container_file_citation"
    container_id: str | None = None
    file_id: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class FilePath(KnownAnnotation, frozen=True, kw_only=True):
    """A file generated for this answer."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    file_id: str | None = None
    index: int | None = None


class UnknownAnnotation(Unknown, frozen=True):
    """An annotation of an unknown type, or one that does not validate."""


Annotation: TypeAlias = FileCitation | UrlCitation | ContainerFileCitation | FilePath


# Content parts


class TopLogprob(Struct, frozen=True, gc=False, omit_defaults=True):
    """An alternative token, with the natural logarithm of its probability."""

    token: str = ""
    logprob: Number | None = None
    bytes: tuple[Number, ...] | None = None


class Logprob(Struct, frozen=True, gc=False, omit_defaults=True):
    """One token of the text, with the natural logarithm of its probability, and the likeliest alternatives."""

    token: str = ""
    logprob: Number | None = None
    bytes: tuple[Number, ...] | None = None
    top_logprobs: tuple[TopLogprob, ...] | None = None


class KnownPart(Named, frozen=True, omit_defaults=True):
    """What all part types share."""


class OutputText(KnownPart, frozen=True):
    """Text of the answer."""

    type: ClassVar[Literal["output_text"]] = "output_text"
    text: str = ""
    annotations: tuple[Annotation | UnknownAnnotation, ...] = ()
    logprobs: tuple[Logprob, ...] | None = None


class Refusal(KnownPart, frozen=True):
    """The model's reason for not answering."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str = ""


class ReasoningText(KnownPart, frozen=True):
    """Reasoning as text, in a reasoning item's `content`."""

    type: ClassVar[Literal["reasoning_text"]] = "reasoning_text"
    text: str = ""


class SummaryText(KnownPart, frozen=True):
    """A summary of reasoning, in a reasoning item's `summary`."""

    type: ClassVar[Literal["summary_text"]] = "summary_text"
    text: str = ""


class UnknownPart(Unknown, frozen=True):
    """A part of an unknown type, or one that does not validate."""


Part: TypeAlias = OutputText | Refusal | ReasoningText | SummaryText


# Items


class KnownItem(Named, frozen=True, kw_only=True, omit_defaults=True):
    """What all item types share. Any of them may lack an id or a status; `agent` is `{agent_name}` if several run."""

    id: str | None = None
    status: str | None = None
    agent: JSON = None


class Message(KnownItem, frozen=True, kw_only=True):
    """What the model says. `phase` is `commentary` or `final_answer` if the server distinguishes them."""

    type: ClassVar[Literal["message"]] = "message"
    role: str = ""
    content: tuple[Part | UnknownPart, ...] = ()
    phase: str | None = None


class Reasoning(KnownItem, frozen=True, kw_only=True):
    """What the model thinks: as a summary, as text, or encrypted for the next request."""

    type: ClassVar[Literal["reasoning"]] = "reasoning"
    summary: tuple[Part | UnknownPart, ...] = ()
    content: tuple[Part | UnknownPart, ...] | None = None
    encrypted_content: str | None = None


class FunctionCall(KnownItem, frozen=True, kw_only=True):
    """A function for you to run. `arguments` is JSON text, complete only when the item is done."""

    type: ClassVar[Literal["function_call"]] = "function_call"
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    namespace: str | None = None
    caller: JSON = None
    async_: bool | None = field(default=None, name="async")


class FunctionCallOutput(KnownItem, frozen=True, kw_only=True):
    """The result of a function: text, or a list of input parts."""

    type: ClassVar[Literal["function_call_output"]] = "function_call_output"
    call_id: str | None = None
    output: JSON = None
    name: str | None = None
    namespace: str | None = None
    caller: JSON = None
    created_by: str | None = None


class CustomToolCall(KnownItem, frozen=True, kw_only=True):
    """A tool for you to run whose input is free text, not JSON."""

    type: ClassVar[Literal["custom_tool_call"]] = "custom_tool_call"
    call_id: str = ""
    name: str = ""
    input: str = ""
    namespace: str | None = None
    caller: JSON = None
    async_: bool | None = field(default=None, name="async")


class CustomToolCallOutput(KnownItem, frozen=True, kw_only=True):
    """The result of a custom tool: text, or a list of input parts."""

    type: ClassVar[Literal["custom_tool_call_output"]] = "custom_tool_call_output"
    call_id: str = ""
    output: JSON = None
    caller: JSON = None
    created_by: str | None = None


class McpCall(KnownItem, frozen=True, kw_only=True):
    """A tool of an MCP server, run by the gateway. `error` is a string on MKA1, an object on OpenAI."""

    type: ClassVar[Literal["mcp_call"]] = "mcp_call"
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    output: str | None = None
    error: JSON = None
    approval_request_id: str | None = None


class McpListTools(KnownItem, frozen=True, kw_only=True):
    """The tools of an MCP server. `tools` is empty until the list has arrived."""

    type: ClassVar[Literal["mcp_list_tools"]] = "mcp_list_tools"
    server_label: str = ""
    tools: tuple[JSON, ...] = ()
    error: JSON = None


class McpApprovalRequest(KnownItem, frozen=True, kw_only=True):
    """The model asks for permission to run an MCP tool."""

    type: ClassVar[Literal["mcp_approval_request"]] = "mcp_approval_request"
    server_label: str = ""
    name: str = ""
    arguments: str = ""


class McpApprovalResponse(KnownItem, frozen=True, kw_only=True):
    """Your answer to an McpApprovalRequest."""

    type: ClassVar[Literal["mcp_approval_response"]] = "mcp_approval_response"
    approval_request_id: str = ""
    approve: bool | None = None
    reason: str | None = None


class CodeInterpreterCall(KnownItem, frozen=True, kw_only=True):
    """Code run in a container. `outputs` is None unless the request included it."""

    type: ClassVar[Literal["code_interpreter_call"]] = "code_interpreter_call"
    code: str | None = None
    container_id: str | None = None
    outputs: tuple[JSON, ...] | None = None


class WebSearchCall(KnownItem, frozen=True, kw_only=True):
    """A web search, a page opened, or a page searched. `action` says which, often only when done."""

    type: ClassVar[Literal["web_search_call"]] = "web_search_call"
    action: JSON = None


class FileSearchCall(KnownItem, frozen=True, kw_only=True):
    """A search of files. `results` is None unless the request included it."""

    type: ClassVar[Literal["file_search_call"]] = "file_search_call"
    queries: tuple[str, ...] | None = None
    results: tuple[JSON, ...] | None = None


class ImageGenerationCall(KnownItem, frozen=True, kw_only=True):
    """An image. `result` is its base64, None until it is complete."""

    type: ClassVar[Literal["image_generation_call"]] = "image_generation_call"
    result: str | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    revised_prompt: str | None = None
    prompt: str | None = None
    action: JSON = None
    error: JSON = None
    svg_usage: JSON = None


class ShellAction(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What to run in a shell: `commands` on OpenAI, `command` on MKA1 (one text) and in a local shell (words)."""

    type: str | None = None
    commands: tuple[str, ...] = ()
    command: tuple[str, ...] | str | None = None
    env: dict[str, JSON] | None = None
    timeout_ms: int | None = None
    max_output_length: int | None = None
    user: str | None = None
    working_directory: str | None = None


class ShellCall(KnownItem, frozen=True, kw_only=True):
    """Commands for a shell, at the gateway or on your machine."""

    type: ClassVar[Literal["shell_call"]] = "shell_call"
    call_id: str = ""
    action: ShellAction | None = None
    environment: JSON = None
    caller: JSON = None
    created_by: str | None = None


class ShellOutput(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The output of one command, and how it ended: `{type: exit, exit_code}` or `{type: timeout}`."""

    stdout: str = ""
    stderr: str = ""
    outcome: JSON = None
    created_by: str | None = None


class ShellCallOutput(KnownItem, frozen=True, kw_only=True):
    """The output of a shell call: one ShellOutput per command on OpenAI, a single one on MKA1."""

    type: ClassVar[Literal["shell_call_output"]] = "shell_call_output"
    call_id: str = ""
    output: tuple[ShellOutput, ...] | ShellOutput | None = None
    max_output_length: int | None = None
    caller: JSON = None
    created_by: str | None = None


class LocalShellCall(KnownItem, frozen=True, kw_only=True):
    """A command for you to run on your machine."""

    type: ClassVar[Literal["local_shell_call"]] = "local_shell_call"
    call_id: str = ""
    action: ShellAction | None = None


class LocalShellCallOutput(KnownItem, frozen=True, kw_only=True):
    """The output of a local shell call, as JSON text."""

    type: ClassVar[Literal["local_shell_call_output"]] = "local_shell_call_output"
    call_id: str | None = None
    output: JSON = None


class ComputerCall(KnownItem, frozen=True, kw_only=True):
    """Mouse and keyboard input for a screen: one `action`, or several `actions`."""

    type: ClassVar[Literal["computer_call"]] = "computer_call"
    call_id: str = ""
    action: JSON = None
    actions: tuple[JSON, ...] | None = None
    pending_safety_checks: tuple[JSON, ...] | None = None


class ComputerCallOutput(KnownItem, frozen=True, kw_only=True):
    """The screen after a computer call."""

    type: ClassVar[Literal["computer_call_output"]] = "computer_call_output"
    call_id: str = ""
    output: JSON = None
    acknowledged_safety_checks: tuple[JSON, ...] | None = None
    created_by: str | None = None


class ApplyPatchOperation(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A change to one file: `create_file`, `update_file`, or `delete_file` (without a diff)."""

    type: str | None = None
    path: str | None = None
    diff: str = ""


class ApplyPatchCall(KnownItem, frozen=True, kw_only=True):
    """A patch for you to apply."""

    type: ClassVar[Literal["apply_patch_call"]] = "apply_patch_call"
    call_id: str = ""
    operation: ApplyPatchOperation | None = None
    caller: JSON = None
    created_by: str | None = None


class ApplyPatchCallOutput(KnownItem, frozen=True, kw_only=True):
    """The result of a patch."""

    type: ClassVar[Literal["apply_patch_call_output"]] = "apply_patch_call_output"
    call_id: str = ""
    output: str | None = None
    caller: JSON = None
    created_by: str | None = None


class Compaction(KnownItem, frozen=True, kw_only=True):
    """A compacted conversation: `encrypted_content` on OpenAI; MKA1 adds `content`."""

    type: ClassVar[Literal["compaction"]] = "compaction"
    encrypted_content: str | None = None
    content: str | None = None
    created_by: str | None = None


class OutputAudio(KnownItem, frozen=True, kw_only=True):
    """The answer as speech: base64 `data`, and its `transcript`."""

    type: ClassVar[Literal["output_audio"]] = "output_audio"
    data: str = ""
    transcript: str = ""


class ItemReference(KnownItem, frozen=True, kw_only=True):
    """A reference to an item by its id."""

    type: ClassVar[Literal["item_reference"]] = "item_reference"


class ToolSearchCall(KnownItem, frozen=True, kw_only=True):
    """A search for tools, run by the server or, if it has a `call_id`, by you."""

    type: ClassVar[Literal["tool_search_call"]] = "tool_search_call"
    call_id: str | None = None
    execution: str | None = None
    arguments: JSON = None
    created_by: str | None = None


class ToolSearchOutput(KnownItem, frozen=True, kw_only=True):
    """The tools that a search found."""

    type: ClassVar[Literal["tool_search_output"]] = "tool_search_output"
    call_id: str | None = None
    execution: str | None = None
    tools: tuple[JSON, ...] = ()
    created_by: str | None = None


class Program(KnownItem, frozen=True, kw_only=True):
    """Code that calls tools."""

    type: ClassVar[Literal["program"]] = "program"
    call_id: str = ""
    code: str = ""
    fingerprint: str | None = None


class ProgramOutput(KnownItem, frozen=True, kw_only=True):
    """The result of a Program."""

    type: ClassVar[Literal["program_output"]] = "program_output"
    call_id: str = ""
    result: str | None = None


class AdditionalTools(KnownItem, frozen=True, kw_only=True):
    """Tools that are available from here on."""

    type: ClassVar[Literal["additional_tools"]] = "additional_tools"
    role: str | None = None
    tools: tuple[JSON, ...] = ()


class AgentMessage(KnownItem, frozen=True, kw_only=True):
    """What one agent of several says to another, often encrypted."""

    type: ClassVar[Literal["agent_message"]] = "agent_message"
    author: str = ""
    recipient: str = ""
    content: tuple[JSON, ...] = ()


class MultiAgentCall(KnownItem, frozen=True, kw_only=True):
    """Starts, asks or stops another agent; the server runs it. `arguments` is JSON text."""

    type: ClassVar[Literal["multi_agent_call"]] = "multi_agent_call"
    call_id: str = ""
    action: str | None = None
    arguments: str = ""


class MultiAgentCallOutput(KnownItem, frozen=True, kw_only=True):
    """The result of a MultiAgentCall, as text parts."""

    type: ClassVar[Literal["multi_agent_call_output"]] = "multi_agent_call_output"
    call_id: str = ""
    action: str | None = None
    output: tuple[Part | UnknownPart, ...] = ()


class ConfigurationUpdate(KnownItem, frozen=True, kw_only=True):
    """Settings for the responses that follow in the conversation."""

    type: ClassVar[Literal["configuration_update"]] = "configuration_update"
    reasoning: JSON = None
    text: JSON = None


class UnknownItem(Unknown, frozen=True):
    """An item of an unknown type, or one that does not validate."""


Item: TypeAlias = (
    Message
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | McpCall
    | McpListTools
    | McpApprovalRequest
    | McpApprovalResponse
    | CodeInterpreterCall
    | WebSearchCall
    | FileSearchCall
    | ImageGenerationCall
    | ShellCall
    | ShellCallOutput
    | LocalShellCall
    | LocalShellCallOutput
    | ComputerCall
    | ComputerCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | Compaction
    | OutputAudio
    | ItemReference
    | ToolSearchCall
    | ToolSearchOutput
    | Program
    | ProgramOutput
    | AdditionalTools
    | AgentMessage
    | MultiAgentCall
    | MultiAgentCallOutput
    | ConfigurationUpdate
)

ITEM_TYPES: Mapping[str, type[KnownItem]] = MappingProxyType({kind.type: kind for kind in get_args(Item)})
"""The class of each known item type, by its name on the wire."""

PART_TYPES: Mapping[str, type[KnownPart]] = MappingProxyType({kind.type: kind for kind in get_args(Part)})
"""The class of each known part type, by its name on the wire."""
