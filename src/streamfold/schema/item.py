"""Output items, their content parts and annotations: one Struct for each type, tagged by the wire's `type`.

In      one item's or part's JSON, decoded by `streamfold.schema.body`
Out     frozen Structs; what no type fits is an UnknownItem, UnknownPart or UnknownAnnotation that keeps its bytes
Units   indexes of annotations count characters of the text, as the server counts them
Source  docs/reference/bodies.md

How absence reads: a list is empty, a text that the schemas require or that deltas fill is `""`, all else is None.
So an item that was only begun is typed too. A status is any string: real streams hold states that no schema allows.
"""

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct, field

__all__ = [
    "JSON",
    "AdditionalTools",
    "Annotation",
    "ApplyPatchCall",
    "ApplyPatchCallOutput",
    "ApplyPatchOperation",
    "CodeInterpreterCall",
    "Compaction",
    "ComputerCall",
    "ComputerCallOutput",
    "ContainerFileCitation",
    "CustomToolCall",
    "CustomToolCallOutput",
    "FileCitation",
    "FilePath",
    "FileSearchCall",
    "FunctionCall",
    "FunctionCallOutput",
    "ImageGenerationCall",
    "Item",
    "ItemReference",
    "KnownAnnotation",
    "KnownItem",
    "KnownPart",
    "LocalShellCall",
    "LocalShellCallOutput",
    "Logprob",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpListTools",
    "Message",
    "Number",
    "OutputAudio",
    "OutputText",
    "Part",
    "Program",
    "ProgramOutput",
    "Reasoning",
    "ReasoningText",
    "Refusal",
    "ShellAction",
    "ShellCall",
    "ShellCallOutput",
    "ShellOutput",
    "SummaryText",
    "ToolSearchCall",
    "ToolSearchOutput",
    "TopLogprob",
    "UnknownAnnotation",
    "UnknownItem",
    "UnknownPart",
    "UrlCitation",
    "WebSearchCall",
]

JSON: TypeAlias = Any
"""A value whose shape is left to the server: None, bool, int, float, str, or lists and dicts of such."""

Number: TypeAlias = int | float

# A constraint binds decoding alone. With a pattern that nothing matches, no bytes of a server can pass for one of
# the Unknown types, though these must stand in the tagged unions: only our own code makes them.
NotFromTheWire: TypeAlias = Annotated[str, Meta(pattern="(?!)")]


# Annotations of a text


class KnownAnnotation(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """What all annotation types share: their name on the wire."""

    @property
    def type(self) -> str:
        """The wire's name of this annotation type, as `url_citation`."""
        return str(self.__struct_config__.tag)


class FileCitation(KnownAnnotation, frozen=True, kw_only=True, tag="file_citation"):
    """A file that the text was taken from; `index` is its place in the list of files."""

    file_id: str | None = None
    filename: str | None = None
    index: int | None = None


class UrlCitation(KnownAnnotation, frozen=True, kw_only=True, tag="url_citation"):
    """A web page that a stretch of the text cites. xAI sends the `url` alone."""

    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class ContainerFileCitation(KnownAnnotation, frozen=True, kw_only=True, tag="container_file_citation"):
    """A file of a code interpreter's container that a stretch of the text cites."""

    container_id: str | None = None
    file_id: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class FilePath(KnownAnnotation, frozen=True, kw_only=True, tag="file_path"):
    """A file that was made for this answer."""

    file_id: str | None = None
    index: int | None = None


class UnknownAnnotation(Struct, frozen=True, gc=False, tag_field="type", tag="streamfold.unknown"):
    """An annotation of a type not modelled, or one that does not validate.

    type: the wire's name, empty where none could be read. data: its bytes as sent. error: why it did not decode.
    """

    type: str = field(name="unknown_type")
    data: bytes
    error: NotFromTheWire


Annotation: TypeAlias = FileCitation | UrlCitation | ContainerFileCitation | FilePath


# Content parts


class TopLogprob(Struct, frozen=True, gc=False, omit_defaults=True):
    """One token that could have stood here, with the natural logarithm of its probability."""

    token: str = ""
    logprob: Number | None = None
    bytes: tuple[Number, ...] | None = None


class Logprob(Struct, frozen=True, gc=False, omit_defaults=True):
    """One token of the text, with the natural logarithm of its probability and the likeliest others."""

    token: str = ""
    logprob: Number | None = None
    bytes: tuple[Number, ...] | None = None
    top_logprobs: tuple[TopLogprob, ...] | None = None


class KnownPart(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """What all part types share: their name on the wire."""

    @property
    def type(self) -> str:
        """The wire's name of this part type, as `output_text`."""
        return str(self.__struct_config__.tag)


class OutputText(KnownPart, frozen=True, tag="output_text"):
    """Text of the answer."""

    text: str = ""
    annotations: tuple[Annotation | UnknownAnnotation, ...] = ()
    logprobs: tuple[Logprob, ...] | None = None


class Refusal(KnownPart, frozen=True, tag="refusal"):
    """The model's words for why it does not answer."""

    refusal: str = ""


class ReasoningText(KnownPart, frozen=True, tag="reasoning_text"):
    """Reasoning in the open, in a reasoning item's `content`."""

    text: str = ""


class SummaryText(KnownPart, frozen=True, tag="summary_text"):
    """A summary of reasoning, in a reasoning item's `summary`."""

    text: str = ""


class UnknownPart(Struct, frozen=True, gc=False, tag_field="type", tag="streamfold.unknown"):
    """A part of a type not modelled, or one that does not validate.

    type: the wire's name, empty where none could be read. data: its bytes as sent. error: why it did not decode.
    """

    type: str = field(name="unknown_type")
    data: bytes
    error: NotFromTheWire


Part: TypeAlias = OutputText | Refusal | ReasoningText | SummaryText


# Items


class KnownItem(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all item types share. An id or a status may be absent on any of them."""

    id: str | None = None
    status: str | None = None

    @property
    def type(self) -> str:
        """The wire's name of this item type, as `function_call`."""
        return str(self.__struct_config__.tag)


class Message(KnownItem, frozen=True, kw_only=True, tag="message"):
    """What the model says. `phase` is `commentary` or `final_answer` where the server tells them apart."""

    role: str = ""
    content: tuple[Part | UnknownPart, ...] = ()
    phase: str | None = None


class Reasoning(KnownItem, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thinks: summed up, in the open, or encrypted for the next request."""

    summary: tuple[Part | UnknownPart, ...] = ()
    content: tuple[Part | UnknownPart, ...] | None = None
    encrypted_content: str | None = None


class FunctionCall(KnownItem, frozen=True, kw_only=True, tag="function_call"):
    """A function that the caller shall run; `arguments` is JSON text, whole only when the item is done."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""
    namespace: str | None = None
    caller: JSON = None


class FunctionCallOutput(KnownItem, frozen=True, kw_only=True, tag="function_call_output"):
    """What a function gave: text, or a list of input parts."""

    call_id: str | None = None
    output: JSON = None
    name: str | None = None
    namespace: str | None = None
    caller: JSON = None
    created_by: str | None = None


class CustomToolCall(KnownItem, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A tool whose input is free text, not JSON."""

    call_id: str = ""
    name: str = ""
    input: str = ""
    namespace: str | None = None
    caller: JSON = None


class CustomToolCallOutput(KnownItem, frozen=True, kw_only=True, tag="custom_tool_call_output"):
    """What a custom tool gave: text, or a list of input parts."""

    call_id: str = ""
    output: JSON = None
    caller: JSON = None
    created_by: str | None = None


class McpCall(KnownItem, frozen=True, kw_only=True, tag="mcp_call"):
    """A tool of an MCP server, run by the gateway. `error` is a string on MKA1 and an object on OpenAI."""

    server_label: str = ""
    name: str = ""
    arguments: str = ""
    output: str | None = None
    error: JSON = None
    approval_request_id: str | None = None


class McpListTools(KnownItem, frozen=True, kw_only=True, tag="mcp_list_tools"):
    """The tools that an MCP server offers; `tools` is empty until the list has come."""

    server_label: str = ""
    tools: tuple[JSON, ...] = ()
    error: JSON = None


class McpApprovalRequest(KnownItem, frozen=True, kw_only=True, tag="mcp_approval_request"):
    """The model asks whether it may run an MCP tool."""

    server_label: str = ""
    name: str = ""
    arguments: str = ""


class McpApprovalResponse(KnownItem, frozen=True, kw_only=True, tag="mcp_approval_response"):
    """The answer to an McpApprovalRequest."""

    approval_request_id: str = ""
    approve: bool | None = None
    reason: str | None = None


class CodeInterpreterCall(KnownItem, frozen=True, kw_only=True, tag="code_interpreter_call"):
    """Code run in a container; `outputs` stays None unless the request included it."""

    code: str | None = None
    container_id: str | None = None
    outputs: tuple[JSON, ...] | None = None


class WebSearchCall(KnownItem, frozen=True, kw_only=True, tag="web_search_call"):
    """A search of the web, a page opened, or a page searched: `action` says which, often only when done."""

    action: JSON = None


class FileSearchCall(KnownItem, frozen=True, kw_only=True, tag="file_search_call"):
    """A search of files; `results` stays None unless the request included it."""

    queries: tuple[str, ...] | None = None
    results: tuple[JSON, ...] | None = None


class ImageGenerationCall(KnownItem, frozen=True, kw_only=True, tag="image_generation_call"):
    """An image; `result` is its base64, None until it is whole."""

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
    """What a shell shall run: `commands` on OpenAI, `command` as one text on MKA1, as words in a local shell."""

    type: str | None = None
    commands: tuple[str, ...] = ()
    command: tuple[str, ...] | str | None = None
    env: dict[str, JSON] | None = None
    timeout_ms: int | None = None
    max_output_length: int | None = None
    user: str | None = None
    working_directory: str | None = None


class ShellCall(KnownItem, frozen=True, kw_only=True, tag="shell_call"):
    """Commands for a shell of the gateway's or the caller's."""

    call_id: str = ""
    action: ShellAction | None = None
    environment: JSON = None
    caller: JSON = None
    created_by: str | None = None


class ShellOutput(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What one command wrote, and how it ended: `{type: exit, exit_code}` or `{type: timeout}`."""

    stdout: str = ""
    stderr: str = ""
    outcome: JSON = None
    created_by: str | None = None


class ShellCallOutput(KnownItem, frozen=True, kw_only=True, tag="shell_call_output"):
    """What a shell call wrote: one ShellOutput for each command on OpenAI, a single one on MKA1."""

    call_id: str = ""
    output: tuple[ShellOutput, ...] | ShellOutput | None = None
    max_output_length: int | None = None
    caller: JSON = None
    created_by: str | None = None


class LocalShellCall(KnownItem, frozen=True, kw_only=True, tag="local_shell_call"):
    """A command that the caller shall run on its own machine."""

    call_id: str = ""
    action: ShellAction | None = None


class LocalShellCallOutput(KnownItem, frozen=True, kw_only=True, tag="local_shell_call_output"):
    """What a local shell call wrote, as JSON text."""

    call_id: str | None = None
    output: JSON = None


class ComputerCall(KnownItem, frozen=True, kw_only=True, tag="computer_call"):
    """Mouse and keys for a screen: one `action`, or several `actions`."""

    call_id: str = ""
    action: JSON = None
    actions: tuple[JSON, ...] | None = None
    pending_safety_checks: tuple[JSON, ...] | None = None


class ComputerCallOutput(KnownItem, frozen=True, kw_only=True, tag="computer_call_output"):
    """The screen after a computer call."""

    call_id: str = ""
    output: JSON = None
    acknowledged_safety_checks: tuple[JSON, ...] | None = None
    created_by: str | None = None


class ApplyPatchOperation(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A change to one file: `create_file`, `update_file`, or `delete_file`, which has no diff."""

    type: str | None = None
    path: str | None = None
    diff: str = ""


class ApplyPatchCall(KnownItem, frozen=True, kw_only=True, tag="apply_patch_call"):
    """A patch that the caller shall apply."""

    call_id: str = ""
    operation: ApplyPatchOperation | None = None
    caller: JSON = None
    created_by: str | None = None


class ApplyPatchCallOutput(KnownItem, frozen=True, kw_only=True, tag="apply_patch_call_output"):
    """What became of a patch."""

    call_id: str = ""
    output: str | None = None
    caller: JSON = None
    created_by: str | None = None


class Compaction(KnownItem, frozen=True, kw_only=True, tag="compaction"):
    """A conversation made smaller: `encrypted_content` on OpenAI, `content` too on MKA1."""

    encrypted_content: str | None = None
    content: str | None = None
    created_by: str | None = None


class OutputAudio(KnownItem, frozen=True, kw_only=True, tag="output_audio"):
    """Speech of the answer: base64 `data` and its words."""

    data: str = ""
    transcript: str = ""


class ItemReference(KnownItem, frozen=True, kw_only=True, tag="item_reference"):
    """An item that is named, not repeated."""


class ToolSearchCall(KnownItem, frozen=True, kw_only=True, tag="tool_search_call"):
    """A search for tools, by the server or, with a call_id, by the caller."""

    call_id: str | None = None
    execution: str | None = None
    arguments: JSON = None
    created_by: str | None = None


class ToolSearchOutput(KnownItem, frozen=True, kw_only=True, tag="tool_search_output"):
    """The tools that a search found."""

    call_id: str | None = None
    execution: str | None = None
    tools: tuple[JSON, ...] = ()
    created_by: str | None = None


class Program(KnownItem, frozen=True, kw_only=True, tag="program"):
    """Code that calls tools."""

    call_id: str = ""
    code: str = ""
    fingerprint: str | None = None


class ProgramOutput(KnownItem, frozen=True, kw_only=True, tag="program_output"):
    """What a Program gave."""

    call_id: str = ""
    result: str | None = None


class AdditionalTools(KnownItem, frozen=True, kw_only=True, tag="additional_tools"):
    """Tools that are offered from here on."""

    role: str | None = None
    tools: tuple[JSON, ...] = ()


class UnknownItem(Struct, frozen=True, gc=False, tag_field="type", tag="streamfold.unknown"):
    """An item of a type not modelled, or one that does not validate.

    type: the wire's name, empty where none could be read. data: its bytes as sent. error: why it did not decode.
    """

    type: str = field(name="unknown_type")
    data: bytes
    error: NotFromTheWire


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
)
