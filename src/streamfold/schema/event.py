"""Every event type of a Responses stream, one Struct each, tagged by the wire's `type`.

In      one event's JSON, decoded by `streamfold.schema.codec.decode_event`
Out     a frozen Struct, or an UnknownEvent that keeps the bytes
Units   sequence numbers and indexes count from 0
Source  docs/reference/events.md, which names the servers and SDKs that each type was seen in

An object on the wire (an item, a part, a Response) stays its own bytes, as `msgspec.Raw`: nothing the server
sent is lost, nothing can be changed, and nobody pays for what they do not read. `decode_item`, `decode_part` and
`decode_response` make typed values of them. Two fields are laxer than the SDKs' types: `sequence_number` may be
absent (recorded streams of 2025 have none), and `item_id`, for it is never used as an address: one gateway gives
an item a new id with every event.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Raw, Struct
from msgspec.structs import fields

__all__ = [
    "EVENT_TYPES",
    "NULL",
    "AgentCallCompleted",
    "AgentCallFailed",
    "AgentCallInProgress",
    "ApplyPatchCallOperationDiffDelta",
    "ApplyPatchCallOperationDiffDone",
    "AudioDelta",
    "AudioDone",
    "AudioTranscriptDelta",
    "AudioTranscriptDone",
    "CodeInterpreterCallCodeDelta",
    "CodeInterpreterCallCodeDone",
    "CodeInterpreterCallCompleted",
    "CodeInterpreterCallInProgress",
    "CodeInterpreterCallInterpreting",
    "CompactionCompacting",
    "ContentPartAdded",
    "ContentPartDone",
    "ContentPartEvent",
    "CustomToolCallInputDelta",
    "CustomToolCallInputDone",
    "ErrorEvent",
    "Event",
    "FileSearchCallCompleted",
    "FileSearchCallFailed",
    "FileSearchCallInProgress",
    "FileSearchCallSearching",
    "FunctionCallArgumentsDelta",
    "FunctionCallArgumentsDone",
    "HistoryCallCompleted",
    "HistoryCallInProgress",
    "HistoryCallSearching",
    "ImageGenerationCallCompleted",
    "ImageGenerationCallFailed",
    "ImageGenerationCallGenerating",
    "ImageGenerationCallInProgress",
    "ImageGenerationCallPartialImage",
    "InContent",
    "InItem",
    "InSummary",
    "InjectCreated",
    "InjectFailed",
    "ItemEvent",
    "Keepalive",
    "KnownEvent",
    "McpCallArgumentsDelta",
    "McpCallArgumentsDone",
    "McpCallCompleted",
    "McpCallFailed",
    "McpCallInProgress",
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputTextAnnotationAdded",
    "OutputTextDelta",
    "OutputTextDone",
    "ReadFileCallCompleted",
    "ReadFileCallInProgress",
    "ReadFileCallReading",
    "ReasoningDelta",
    "ReasoningDone",
    "ReasoningPartAdded",
    "ReasoningPartDone",
    "ReasoningSummaryPartAdded",
    "ReasoningSummaryPartDone",
    "ReasoningSummaryTextDelta",
    "ReasoningSummaryTextDone",
    "ReasoningTextDelta",
    "ReasoningTextDone",
    "RefusalDelta",
    "RefusalDone",
    "ResponseCancelled",
    "ResponseCompleted",
    "ResponseCreated",
    "ResponseEvent",
    "ResponseFailed",
    "ResponseInProgress",
    "ResponseIncomplete",
    "ResponseQueued",
    "ShellCallCommandAdded",
    "ShellCallCommandDelta",
    "ShellCallCommandDone",
    "ShellCallCompleted",
    "ShellCallExecuting",
    "ShellCallInProgress",
    "ShellCallOutputContentDelta",
    "ShellCallOutputContentDone",
    "SleepCallCompleted",
    "SleepCallInProgress",
    "SleepCallSleeping",
    "SteerAccepted",
    "SteerFailed",
    "SteerPending",
    "SummaryPartEvent",
    "ToolSearchCallCompleted",
    "ToolSearchCallInProgress",
    "ToolSearchCallSearching",
    "UnknownEvent",
    "WebSearchCallCompleted",
    "WebSearchCallInProgress",
    "WebSearchCallSearching",
]

NULL = Raw(b"null")


class KnownEvent(Struct, frozen=True, gc=False, kw_only=True, tag_field="type"):
    """What all event types share. `sequence_number` is None on servers that do not number their events."""

    sequence_number: int | None = None

    @property
    def type(self) -> str:
        """The wire's name of this event type, as `response.output_text.delta`."""
        return str(self.__struct_config__.tag)


class UnknownEvent(Struct, frozen=True, gc=False):
    """An event of a type that is not modelled, or one that does not validate: kept, never dropped.

    type: the wire's name, empty where none could be read. data: the bytes as they were sent.
    error: why a known type did not decode; empty for a type that is simply not known.
    """

    type: str
    sequence_number: int | None
    data: bytes
    error: str = ""


Event: TypeAlias = KnownEvent | UnknownEvent


def require_objects(event: Struct) -> None:
    """Refuse an event in which a field that should hold an object holds something else.

    `Raw` takes any JSON. Null passes where the type is optional, and for `item` (Open Responses sends it).
    An object must also be UTF-8 throughout, for it is shown again as it came.
    Raises: ValueError, which msgspec reports as its ValidationError.
    """
    for name in _object_fields(type(event)):
        value = getattr(event, name)
        if not str(value, "utf-8").startswith("{") and (value != NULL or name in NEVER_NULL):
            raise ValueError(f"Expected `object` - at `$.{name}`")


NEVER_NULL = frozenset({"response", "part", "delta", "steer"})


@cache
def _object_fields(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.type is Raw)


# Shapes that several types share


class ResponseEvent(KnownEvent, kw_only=True, frozen=True):
    """An event that carries the Response as a whole; its status is in there, never in the event's name."""

    response: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class ItemEvent(KnownEvent, kw_only=True, frozen=True):
    """An event that carries one output item."""

    output_index: int
    item: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class InItem(KnownEvent, kw_only=True, frozen=True):
    """An event about the item at `output_index`."""

    item_id: str | None = None
    output_index: int


class InContent(InItem, kw_only=True, frozen=True):
    """An event about the part at `content[content_index]` of an item."""

    content_index: int


class InSummary(InItem, kw_only=True, frozen=True):
    """An event about the part at `summary[summary_index]` of an item."""

    summary_index: int


class ContentPartEvent(InContent, kw_only=True, frozen=True):
    """An event that carries one content part."""

    part: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class SummaryPartEvent(InSummary, kw_only=True, frozen=True):
    """An event that carries one summary part."""

    part: Raw

    def __post_init__(self) -> None:
        require_objects(self)


# The response as a whole


class ResponseCreated(ResponseEvent, tag="response.created", frozen=True):
    """Replaces the Response so far; folded output stays where the snapshot has none."""


class ResponseQueued(ResponseEvent, tag="response.queued", frozen=True):
    """Replaces the Response so far; folded output stays where the snapshot has none."""


class ResponseInProgress(ResponseEvent, tag="response.in_progress", frozen=True):
    """Replaces the Response so far; folded output stays where the snapshot has none."""


class ResponseCompleted(ResponseEvent, tag="response.completed", frozen=True):
    """Replaces the Response; nothing more comes."""


class ResponseIncomplete(ResponseEvent, tag="response.incomplete", frozen=True):
    """Replaces the Response; nothing more comes."""


class ResponseFailed(ResponseEvent, tag="response.failed", frozen=True):
    """Replaces the Response; nothing more comes."""


class ResponseCancelled(ResponseEvent, tag="response.cancelled", frozen=True):
    """Replaces the Response; nothing more comes."""


# The stream itself


class ErrorEvent(KnownEvent, tag="error", kw_only=True, frozen=True):
    """Changes nothing in the Response; `State.error` keeps it. Flat in the SDK types, nested in `error` on the wire."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    error: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class Keepalive(KnownEvent, tag="keepalive", frozen=True):
    """A sign of life that takes a sequence number, and changes nothing else."""


# Items and parts


class OutputItemAdded(ItemEvent, tag="response.output_item.added", frozen=True):
    """Puts `item` at `output[output_index]`."""


class OutputItemDone(ItemEvent, tag="response.output_item.done", frozen=True):
    """Puts `item` at `output[output_index]`."""


class ContentPartAdded(ContentPartEvent, tag="response.content_part.added", frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""


class ContentPartDone(ContentPartEvent, tag="response.content_part.done", frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""


class ReasoningPartAdded(ContentPartEvent, tag="response.reasoning_part.added", frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""


class ReasoningPartDone(ContentPartEvent, tag="response.reasoning_part.done", frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""


class ReasoningSummaryPartAdded(SummaryPartEvent, tag="response.reasoning_summary_part.added", frozen=True):
    """Puts `part` at `output[output_index].summary[summary_index]`."""


class ReasoningSummaryPartDone(SummaryPartEvent, tag="response.reasoning_summary_part.done", kw_only=True, frozen=True):
    """Puts `part` at `output[output_index].summary[summary_index]`."""

    status: str | None = None


# Text of content parts and summaries


class OutputTextAnnotationAdded(InContent, tag="response.output_text.annotation.added", kw_only=True, frozen=True):
    """Puts `annotation` at `output[output_index].content[content_index].annotations[annotation_index]`."""

    annotation_index: int
    annotation: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class OutputTextDelta(InContent, tag="response.output_text.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`. Extends `logprobs` beside it."""

    delta: str
    logprobs: tuple[Raw, ...] | None = None
    obfuscation: str | None = None


class OutputTextDone(InContent, tag="response.output_text.done", kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    logprobs: tuple[Raw, ...] | None = None
    text: str


class RefusalDelta(InContent, tag="response.refusal.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].refusal`."""

    delta: str
    obfuscation: str | None = None


class RefusalDone(InContent, tag="response.refusal.done", kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].refusal` to `refusal`."""

    refusal: str


class ReasoningDelta(InContent, tag="response.reasoning.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`."""

    delta: str
    obfuscation: str | None = None


class ReasoningDone(InContent, tag="response.reasoning.done", kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    text: str


class ReasoningSummaryTextDelta(InSummary, tag="response.reasoning_summary_text.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].summary[summary_index].text`."""

    delta: str
    obfuscation: str | None = None


class ReasoningSummaryTextDone(InSummary, tag="response.reasoning_summary_text.done", kw_only=True, frozen=True):
    """Sets `output[output_index].summary[summary_index].text` to `text`."""

    text: str


class ReasoningTextDelta(InContent, tag="response.reasoning_text.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`."""

    delta: str
    obfuscation: str | None = None


class ReasoningTextDone(InContent, tag="response.reasoning_text.done", kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    text: str


# Text of items: arguments, code, input, diffs, commands


class ApplyPatchCallOperationDiffDelta(
    InItem, tag="response.apply_patch_call_operation_diff.delta", kw_only=True, frozen=True
):
    """Appends `delta` to `output[output_index].operation.diff`."""

    delta: str
    obfuscation: str | None = None


class ApplyPatchCallOperationDiffDone(
    InItem, tag="response.apply_patch_call_operation_diff.done", kw_only=True, frozen=True
):
    """Sets `output[output_index].operation.diff` to `diff`."""

    diff: str


class CodeInterpreterCallCodeDelta(InItem, tag="response.code_interpreter_call_code.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].code`."""

    delta: str
    obfuscation: str | None = None


class CodeInterpreterCallCodeDone(InItem, tag="response.code_interpreter_call_code.done", kw_only=True, frozen=True):
    """Sets `output[output_index].code` to `code`."""

    code: str


class CustomToolCallInputDelta(InItem, tag="response.custom_tool_call_input.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].input`."""

    delta: str
    obfuscation: str | None = None


class CustomToolCallInputDone(InItem, tag="response.custom_tool_call_input.done", kw_only=True, frozen=True):
    """Sets `output[output_index].input` to `input`."""

    input: str


class FunctionCallArgumentsDelta(InItem, tag="response.function_call_arguments.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].arguments`."""

    delta: str
    obfuscation: str | None = None


class FunctionCallArgumentsDone(InItem, tag="response.function_call_arguments.done", kw_only=True, frozen=True):
    """Sets `output[output_index].arguments` to `arguments`."""

    arguments: str
    name: str | None = None


class McpCallArgumentsDelta(InItem, tag="response.mcp_call_arguments.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].arguments`."""

    delta: str
    obfuscation: str | None = None


class McpCallArgumentsDone(InItem, tag="response.mcp_call_arguments.done", kw_only=True, frozen=True):
    """Sets `output[output_index].arguments` to `arguments`."""

    arguments: str


class ShellCallCommandAdded(KnownEvent, tag="response.shell_call_command.added", kw_only=True, frozen=True):
    """Puts `command` at `output[output_index].action.commands[command_index]`."""

    output_index: int
    command_index: int
    command: str


class ShellCallCommandDelta(KnownEvent, tag="response.shell_call_command.delta", kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].action.commands[command_index]`."""

    output_index: int
    command_index: int
    delta: str
    obfuscation: str | None = None


class ShellCallCommandDone(KnownEvent, tag="response.shell_call_command.done", kw_only=True, frozen=True):
    """Sets `output[output_index].action.commands[command_index]` to `command`."""

    output_index: int
    command_index: int
    command: str


class ShellCallOutputContentDelta(InItem, tag="response.shell_call_output_content.delta", kw_only=True, frozen=True):
    """Appends `stdout` and `stderr` of `delta` to `output[output_index].output[command_index]`."""

    command_index: int
    delta: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class ShellCallOutputContentDone(InItem, tag="response.shell_call_output_content.done", kw_only=True, frozen=True):
    """Puts the entries of `output` at `output[output_index].output`, from `command_index` on."""

    command_index: int
    output: tuple[Raw, ...]


# Progress of tools


class AgentCallCompleted(InItem, tag="response.agent_call.completed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    function_call_output: str | None = None


class AgentCallFailed(InItem, tag="response.agent_call.failed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    error: str


class AgentCallInProgress(InItem, tag="response.agent_call.in_progress", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    agent_id: str


class CodeInterpreterCallCompleted(InItem, tag="response.code_interpreter_call.completed", frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""


class CodeInterpreterCallInProgress(InItem, tag="response.code_interpreter_call.in_progress", frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""


class CodeInterpreterCallInterpreting(InItem, tag="response.code_interpreter_call.interpreting", frozen=True):
    """Sets the item's `status` to `interpreting`, where it has one."""


class CompactionCompacting(InItem, tag="response.compaction.compacting", frozen=True):
    """Changes nothing in the Response."""


class FileSearchCallCompleted(InItem, tag="response.file_search_call.completed", frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""


class FileSearchCallFailed(InItem, tag="response.file_search_call.failed", kw_only=True, frozen=True):
    """Sets the item's `status` to `failed`, where it has one."""

    function_call_output: str


class FileSearchCallInProgress(InItem, tag="response.file_search_call.in_progress", frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""


class FileSearchCallSearching(InItem, tag="response.file_search_call.searching", frozen=True):
    """Sets the item's `status` to `searching`, where it has one."""


class HistoryCallCompleted(InItem, tag="response.history_call.completed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    function_call_output: str | None = None


class HistoryCallInProgress(InItem, tag="response.history_call.in_progress", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class HistoryCallSearching(InItem, tag="response.history_call.searching", frozen=True):
    """Changes nothing in the Response."""


class ImageGenerationCallCompleted(InItem, tag="response.image_generation_call.completed", kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""

    function_call_output: str | None = None


class ImageGenerationCallFailed(InItem, tag="response.image_generation_call.failed", kw_only=True, frozen=True):
    """Sets the item's `status` to `failed`, where it has one."""

    function_call_output: str


class ImageGenerationCallGenerating(InItem, tag="response.image_generation_call.generating", frozen=True):
    """Sets the item's `status` to `generating`, where it has one."""


class ImageGenerationCallInProgress(
    InItem, tag="response.image_generation_call.in_progress", kw_only=True, frozen=True
):
    """Sets the item's `status` to `in_progress`, where it has one."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class ImageGenerationCallPartialImage(
    InItem, tag="response.image_generation_call.partial_image", kw_only=True, frozen=True
):
    """Changes nothing in the Response."""

    partial_image_index: int
    partial_image_b64: str
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None


class McpCallCompleted(InItem, tag="response.mcp_call.completed", frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""


class McpCallFailed(InItem, tag="response.mcp_call.failed", frozen=True):
    """Sets the item's `status` to `failed`, where it has one."""


class McpCallInProgress(InItem, tag="response.mcp_call.in_progress", frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""


class McpListToolsCompleted(InItem, tag="response.mcp_list_tools.completed", frozen=True):
    """Changes nothing in the Response."""


class McpListToolsFailed(InItem, tag="response.mcp_list_tools.failed", frozen=True):
    """Changes nothing in the Response."""


class McpListToolsInProgress(InItem, tag="response.mcp_list_tools.in_progress", frozen=True):
    """Changes nothing in the Response."""


class ReadFileCallCompleted(InItem, tag="response.read_file_call.completed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    function_call_output: str | None = None


class ReadFileCallInProgress(InItem, tag="response.read_file_call.in_progress", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class ReadFileCallReading(InItem, tag="response.read_file_call.reading", frozen=True):
    """Changes nothing in the Response."""


class ShellCallCompleted(InItem, tag="response.shell_call.completed", kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""

    function_call_output: str | None = None


class ShellCallExecuting(InItem, tag="response.shell_call.executing", frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""


class ShellCallInProgress(InItem, tag="response.shell_call.in_progress", kw_only=True, frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class SleepCallCompleted(InItem, tag="response.sleep_call.completed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    function_call_output: str | None = None
    status: str | None = None


class SleepCallInProgress(InItem, tag="response.sleep_call.in_progress", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class SleepCallSleeping(InItem, tag="response.sleep_call.sleeping", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    wake_at: str | None = None


class ToolSearchCallCompleted(InItem, tag="response.tool_search_call.completed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    function_call_output: str | None = None


class ToolSearchCallInProgress(InItem, tag="response.tool_search_call.in_progress", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class ToolSearchCallSearching(InItem, tag="response.tool_search_call.searching", frozen=True):
    """Changes nothing in the Response."""


class WebSearchCallCompleted(InItem, tag="response.web_search_call.completed", kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, where it has one."""

    function_call_output: str | None = None


class WebSearchCallInProgress(InItem, tag="response.web_search_call.in_progress", kw_only=True, frozen=True):
    """Sets the item's `status` to `in_progress`, where it has one."""

    args: Raw = NULL

    def __post_init__(self) -> None:
        require_objects(self)


class WebSearchCallSearching(InItem, tag="response.web_search_call.searching", frozen=True):
    """Sets the item's `status` to `searching`, where it has one."""


# Beside the Response: audio, and what travels on a WebSocket


class AudioDelta(KnownEvent, tag="response.audio.delta", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    delta: str


class AudioDone(KnownEvent, tag="response.audio.done", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    response_id: str | None = None


class AudioTranscriptDelta(KnownEvent, tag="response.audio.transcript.delta", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    delta: str
    response_id: str | None = None


class AudioTranscriptDone(KnownEvent, tag="response.audio.transcript.done", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    response_id: str | None = None


class InjectCreated(KnownEvent, tag="response.inject.created", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    stream_id: str | None = None
    response_id: str


class InjectFailed(KnownEvent, tag="response.inject.failed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    stream_id: str | None = None
    error: Raw
    input: tuple[Raw, ...]
    response_id: str

    def __post_init__(self) -> None:
        require_objects(self)


class SteerAccepted(KnownEvent, tag="response.steer.accepted", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    stream_id: str | None = None
    steer: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class SteerFailed(KnownEvent, tag="response.steer.failed", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    stream_id: str | None = None
    error: Raw
    steer: Raw

    def __post_init__(self) -> None:
        require_objects(self)


class SteerPending(KnownEvent, tag="response.steer.pending", kw_only=True, frozen=True):
    """Changes nothing in the Response."""

    stream_id: str | None = None
    reason: str
    required_input: tuple[Raw, ...]
    steer: Raw

    def __post_init__(self) -> None:
        require_objects(self)


def _event_types(base: type[KnownEvent]) -> dict[str, type[KnownEvent]]:
    found: dict[str, type[KnownEvent]] = {}
    for kind in base.__subclasses__():
        found |= _event_types(kind) or {str(kind.__struct_config__.tag): kind}
    return found


EVENT_TYPES: Mapping[str, type[KnownEvent]] = MappingProxyType(_event_types(KnownEvent))
