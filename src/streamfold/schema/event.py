"""Every event type of a Responses stream, one frozen Struct each.

An object on the wire (an item, a part, a Response) stays its own bytes, as `msgspec.Raw`: nothing the server sent is
lost, and you pay only for what you read. `decode_item`, `decode_part` and `decode_response` turn them into typed
values. Some fields are laxer than in the SDKs: `sequence_number` may be absent (streams recorded in 2025 have none), and so
may every index and `item_id`. An index alone decides where an event goes; the id counts only without one, because some
gateways give an item a new id with every event.
docs/reference/events.md lists the servers and SDKs that have each type.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, get_args

from msgspec import Raw, Struct
from msgspec.structs import fields

from streamfold.schema.item import JSON, Named

if TYPE_CHECKING:
    from typing import ClassVar, Literal
else:
    from streamfold.schema.item import ClassVar, Literal

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


class KnownEvent(Named, frozen=True, kw_only=True):
    """What all event types share. `sequence_number` is None on servers that do not number their events.

    Each type has a `type` of its own, a `Literal`, so that `if event.type == "response.output_text.delta":` narrows
    an `Event` for a type checker, as `match` on the class does.
    """

    sequence_number: int | None = None


class UnknownEvent(Struct, frozen=True, gc=False):
    """An event of a type that is not modelled, or one that does not validate: kept, never dropped.

    Attributes:
        type: Always "streamfold.unknown", so that a comparison with a known name never finds an event without its
            fields.
        wire_type: The name on the wire; empty if none could be read.
        data: The bytes as they were sent.
        error: Why an event of a known type did not decode; empty if the type is just not known.
    """

    type: ClassVar[Literal["streamfold.unknown"]] = "streamfold.unknown"
    wire_type: str
    sequence_number: int | None
    data: bytes
    error: str = ""


class HoldsObjects(KnownEvent, frozen=True):
    """An event with fields that must hold an object, which `Raw` does not say: it takes any JSON."""

    def __post_init__(self) -> None:
        """Check those fields. msgspec reports a ValueError as its ValidationError.

        Null passes where the type is optional, and for `item` (Open Responses sends it). An object must be UTF-8
        throughout, because it is shown again as it came.
        """
        for name in _object_fields(type(self)):
            value = getattr(self, name)
            if not str(value, "utf-8").startswith("{") and (value != NULL or name in NEVER_NULL):
                raise ValueError(f"Expected `object` - at `$.{name}`")


NEVER_NULL = frozenset({"response", "part", "delta", "steer"})


@cache
def _object_fields(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.type is Raw)


# Shapes that several types share


class ResponseEvent(HoldsObjects, kw_only=True, frozen=True):
    """An event that carries the whole Response. Its status is in there, not in the event's name."""

    response: Raw


class ItemEvent(HoldsObjects, kw_only=True, frozen=True):
    """An event that carries one output item."""

    output_index: int | None = None
    item: Raw
    agent: JSON = None


class InItem(KnownEvent, kw_only=True, frozen=True):
    """An event about the item at `output_index`."""

    item_id: str | None = None
    output_index: int | None = None


class InContent(InItem, kw_only=True, frozen=True):
    """An event about the part at `content[content_index]` of an item."""

    content_index: int | None = None


class InSummary(InItem, kw_only=True, frozen=True):
    """An event about the part at `summary[summary_index]` of an item."""

    summary_index: int | None = None


class ContentPartEvent(InContent, HoldsObjects, kw_only=True, frozen=True):
    """An event that carries one content part."""

    part: Raw


class SummaryPartEvent(InSummary, HoldsObjects, kw_only=True, frozen=True):
    """An event that carries one summary part."""

    part: Raw


# The response as a whole


class ResponseCreated(ResponseEvent, frozen=True):
    """Replaces the Response so far. Folded output stays if the snapshot has none."""

    type: ClassVar[Literal["response.created"]] = "response.created"


class ResponseQueued(ResponseEvent, frozen=True):
    """Replaces the Response so far. Folded output stays if the snapshot has none."""

    type: ClassVar[Literal["response.queued"]] = "response.queued"


class ResponseInProgress(ResponseEvent, frozen=True):
    """Replaces the Response so far. Folded output stays if the snapshot has none."""

    type: ClassVar[Literal["response.in_progress"]] = "response.in_progress"


class ResponseCompleted(ResponseEvent, frozen=True):
    """Replaces the Response and ends it."""

    type: ClassVar[Literal["response.completed"]] = "response.completed"


class ResponseIncomplete(ResponseEvent, frozen=True):
    """Replaces the Response and ends it."""

    type: ClassVar[Literal["response.incomplete"]] = "response.incomplete"


class ResponseFailed(ResponseEvent, frozen=True):
    """Replaces the Response and ends it."""

    type: ClassVar[Literal["response.failed"]] = "response.failed"


class ResponseCancelled(ResponseEvent, frozen=True):
    """Replaces the Response and ends it."""

    type: ClassVar[Literal["response.cancelled"]] = "response.cancelled"


# The stream itself


class ErrorEvent(HoldsObjects, kw_only=True, frozen=True):
    """Does not change the Response; see `State.error`. Flat in the SDKs' types, nested in `error` on the wire."""

    type: ClassVar[Literal["error"]] = "error"
    code: str | None = None
    message: str | None = None
    param: str | None = None
    error: Raw = NULL


class Keepalive(KnownEvent, frozen=True):
    """Keeps the connection open. It takes a sequence number and changes nothing else."""

    type: ClassVar[Literal["keepalive"]] = "keepalive"


# Items and parts


class OutputItemAdded(ItemEvent, frozen=True):
    """Puts `item` at `output[output_index]`."""

    type: ClassVar[Literal["response.output_item.added"]] = "response.output_item.added"


class OutputItemDone(ItemEvent, frozen=True):
    """Puts `item` at `output[output_index]`."""

    type: ClassVar[Literal["response.output_item.done"]] = "response.output_item.done"


class ContentPartAdded(ContentPartEvent, frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""

    type: ClassVar[Literal["response.content_part.added"]] = "response.content_part.added"


class ContentPartDone(ContentPartEvent, frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""

    type: ClassVar[Literal["response.content_part.done"]] = "response.content_part.done"


class ReasoningPartAdded(ContentPartEvent, frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""

    type: ClassVar[Literal["response.reasoning_part.added"]] = "response.reasoning_part.added"


class ReasoningPartDone(ContentPartEvent, frozen=True):
    """Puts `part` at `output[output_index].content[content_index]`."""

    type: ClassVar[Literal["response.reasoning_part.done"]] = "response.reasoning_part.done"


class ReasoningSummaryPartAdded(SummaryPartEvent, frozen=True):
    """Puts `part` at `output[output_index].summary[summary_index]`."""

    type: ClassVar[Literal["response.reasoning_summary_part.added"]] = "response.reasoning_summary_part.added"


class ReasoningSummaryPartDone(SummaryPartEvent, kw_only=True, frozen=True):
    """Puts `part` at `output[output_index].summary[summary_index]`."""

    type: ClassVar[Literal["response.reasoning_summary_part.done"]] = "response.reasoning_summary_part.done"
    status: str | None = None


# Text of content parts and summaries


class OutputTextAnnotationAdded(InContent, HoldsObjects, kw_only=True, frozen=True):
    """Puts `annotation` at `output[output_index].content[content_index].annotations[annotation_index]`."""

    type: ClassVar[Literal["response.output_text.annotation.added"]] = "response.output_text.annotation.added"
    annotation_index: int | None = None
    annotation: Raw = NULL


class OutputTextDelta(InContent, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`. Extends `logprobs` beside it."""

    type: ClassVar[Literal["response.output_text.delta"]] = "response.output_text.delta"
    delta: str
    logprobs: tuple[Raw, ...] | None = None
    obfuscation: str | None = None


class OutputTextDone(InContent, kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    type: ClassVar[Literal["response.output_text.done"]] = "response.output_text.done"
    logprobs: tuple[Raw, ...] | None = None
    text: str


class RefusalDelta(InContent, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].refusal`."""

    type: ClassVar[Literal["response.refusal.delta"]] = "response.refusal.delta"
    delta: str
    obfuscation: str | None = None


class RefusalDone(InContent, kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].refusal` to `refusal`."""

    type: ClassVar[Literal["response.refusal.done"]] = "response.refusal.done"
    refusal: str


class ReasoningDelta(InContent, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`."""

    type: ClassVar[Literal["response.reasoning.delta"]] = "response.reasoning.delta"
    delta: str
    obfuscation: str | None = None


class ReasoningDone(InContent, kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    type: ClassVar[Literal["response.reasoning.done"]] = "response.reasoning.done"
    text: str


class ReasoningSummaryTextDelta(InSummary, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].summary[summary_index].text`."""

    type: ClassVar[Literal["response.reasoning_summary_text.delta"]] = "response.reasoning_summary_text.delta"
    delta: str
    obfuscation: str | None = None


class ReasoningSummaryTextDone(InSummary, kw_only=True, frozen=True):
    """Sets `output[output_index].summary[summary_index].text` to `text`."""

    type: ClassVar[Literal["response.reasoning_summary_text.done"]] = "response.reasoning_summary_text.done"
    text: str


class ReasoningTextDelta(InContent, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].content[content_index].text`."""

    type: ClassVar[Literal["response.reasoning_text.delta"]] = "response.reasoning_text.delta"
    delta: str
    obfuscation: str | None = None


class ReasoningTextDone(InContent, kw_only=True, frozen=True):
    """Sets `output[output_index].content[content_index].text` to `text`."""

    type: ClassVar[Literal["response.reasoning_text.done"]] = "response.reasoning_text.done"
    text: str


# Text of items: arguments, code, input, diffs, commands


class ApplyPatchCallOperationDiffDelta(InItem, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].operation.diff`."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.delta"]] = (
        "response.apply_patch_call_operation_diff.delta"
    )
    delta: str
    obfuscation: str | None = None


class ApplyPatchCallOperationDiffDone(InItem, kw_only=True, frozen=True):
    """Sets `output[output_index].operation.diff` to `diff`."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.done"]] = (
        "response.apply_patch_call_operation_diff.done"
    )
    diff: str


class CodeInterpreterCallCodeDelta(InItem, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].code`."""

    type: ClassVar[Literal["response.code_interpreter_call_code.delta"]] = "response.code_interpreter_call_code.delta"
    delta: str
    obfuscation: str | None = None


class CodeInterpreterCallCodeDone(InItem, kw_only=True, frozen=True):
    """Sets `output[output_index].code` to `code`."""

    type: ClassVar[Literal["response.code_interpreter_call_code.done"]] = "response.code_interpreter_call_code.done"
    code: str


class CustomToolCallInputDelta(InItem, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].input`."""

    type: ClassVar[Literal["response.custom_tool_call_input.delta"]] = "response.custom_tool_call_input.delta"
    delta: str
    obfuscation: str | None = None


class CustomToolCallInputDone(InItem, kw_only=True, frozen=True):
    """Sets `output[output_index].input` to `input`."""

    type: ClassVar[Literal["response.custom_tool_call_input.done"]] = "response.custom_tool_call_input.done"
    input: str


class FunctionCallArgumentsDelta(InItem, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].arguments`."""

    type: ClassVar[Literal["response.function_call_arguments.delta"]] = "response.function_call_arguments.delta"
    delta: str
    obfuscation: str | None = None


class FunctionCallArgumentsDone(InItem, kw_only=True, frozen=True):
    """Sets `output[output_index].arguments` to `arguments`."""

    type: ClassVar[Literal["response.function_call_arguments.done"]] = "response.function_call_arguments.done"
    arguments: str
    name: str | None = None


class McpCallArgumentsDelta(InItem, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].arguments`."""

    type: ClassVar[Literal["response.mcp_call_arguments.delta"]] = "response.mcp_call_arguments.delta"
    delta: str
    obfuscation: str | None = None


class McpCallArgumentsDone(InItem, kw_only=True, frozen=True):
    """Sets `output[output_index].arguments` to `arguments`."""

    type: ClassVar[Literal["response.mcp_call_arguments.done"]] = "response.mcp_call_arguments.done"
    arguments: str


class ShellCallCommandAdded(KnownEvent, kw_only=True, frozen=True):
    """Puts `command` at `output[output_index].action.commands[command_index]`."""

    type: ClassVar[Literal["response.shell_call_command.added"]] = "response.shell_call_command.added"
    output_index: int | None = None
    command_index: int | None = None
    command: str


class ShellCallCommandDelta(KnownEvent, kw_only=True, frozen=True):
    """Appends `delta` to `output[output_index].action.commands[command_index]`."""

    type: ClassVar[Literal["response.shell_call_command.delta"]] = "response.shell_call_command.delta"
    output_index: int | None = None
    command_index: int | None = None
    delta: str
    obfuscation: str | None = None


class ShellCallCommandDone(KnownEvent, kw_only=True, frozen=True):
    """Sets `output[output_index].action.commands[command_index]` to `command`."""

    type: ClassVar[Literal["response.shell_call_command.done"]] = "response.shell_call_command.done"
    output_index: int | None = None
    command_index: int | None = None
    command: str


class ShellCallOutputContentDelta(InItem, HoldsObjects, kw_only=True, frozen=True):
    """Appends `stdout` and `stderr` of `delta` to `output[output_index].output[command_index]`."""

    type: ClassVar[Literal["response.shell_call_output_content.delta"]] = "response.shell_call_output_content.delta"
    command_index: int | None = None
    delta: Raw


class ShellCallOutputContentDone(InItem, kw_only=True, frozen=True):
    """Puts the entries of `output` at `output[output_index].output`, from `command_index` on."""

    type: ClassVar[Literal["response.shell_call_output_content.done"]] = "response.shell_call_output_content.done"
    command_index: int | None = None
    output: tuple[Raw, ...]


# Progress of tools


class AgentCallCompleted(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.agent_call.completed"]] = "response.agent_call.completed"
    function_call_output: str | None = None


class AgentCallFailed(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.agent_call.failed"]] = "response.agent_call.failed"
    error: str


class AgentCallInProgress(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.agent_call.in_progress"]] = "response.agent_call.in_progress"
    agent_id: str


class CodeInterpreterCallCompleted(InItem, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.code_interpreter_call.completed"]] = "response.code_interpreter_call.completed"


class CodeInterpreterCallInProgress(InItem, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.code_interpreter_call.in_progress"]] = "response.code_interpreter_call.in_progress"


class CodeInterpreterCallInterpreting(InItem, frozen=True):
    """Sets the item's `status` to `interpreting`, if it has one."""

    type: ClassVar[Literal["response.code_interpreter_call.interpreting"]] = (
        "response.code_interpreter_call.interpreting"
    )


class CompactionCompacting(InItem, frozen=True):
    type: ClassVar[Literal["response.compaction.compacting"]] = "response.compaction.compacting"


class FileSearchCallCompleted(InItem, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.file_search_call.completed"]] = "response.file_search_call.completed"


class FileSearchCallFailed(InItem, kw_only=True, frozen=True):
    """Sets the item's `status` to `failed`, if it has one."""

    type: ClassVar[Literal["response.file_search_call.failed"]] = "response.file_search_call.failed"
    function_call_output: str


class FileSearchCallInProgress(InItem, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.file_search_call.in_progress"]] = "response.file_search_call.in_progress"


class FileSearchCallSearching(InItem, frozen=True):
    """Sets the item's `status` to `searching`, if it has one."""

    type: ClassVar[Literal["response.file_search_call.searching"]] = "response.file_search_call.searching"


class HistoryCallCompleted(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.history_call.completed"]] = "response.history_call.completed"
    function_call_output: str | None = None


class HistoryCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.history_call.in_progress"]] = "response.history_call.in_progress"
    args: Raw = NULL


class HistoryCallSearching(InItem, frozen=True):
    type: ClassVar[Literal["response.history_call.searching"]] = "response.history_call.searching"


class ImageGenerationCallCompleted(InItem, kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.image_generation_call.completed"]] = "response.image_generation_call.completed"
    function_call_output: str | None = None


class ImageGenerationCallFailed(InItem, kw_only=True, frozen=True):
    """Sets the item's `status` to `failed`, if it has one."""

    type: ClassVar[Literal["response.image_generation_call.failed"]] = "response.image_generation_call.failed"
    function_call_output: str


class ImageGenerationCallGenerating(InItem, frozen=True):
    """Sets the item's `status` to `generating`, if it has one."""

    type: ClassVar[Literal["response.image_generation_call.generating"]] = "response.image_generation_call.generating"


class ImageGenerationCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.image_generation_call.in_progress"]] = "response.image_generation_call.in_progress"
    args: Raw = NULL


class ImageGenerationCallPartialImage(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.image_generation_call.partial_image"]] = (
        "response.image_generation_call.partial_image"
    )
    partial_image_index: int | None = None
    partial_image_b64: str
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None


class McpCallCompleted(InItem, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.mcp_call.completed"]] = "response.mcp_call.completed"


class McpCallFailed(InItem, frozen=True):
    """Sets the item's `status` to `failed`, if it has one."""

    type: ClassVar[Literal["response.mcp_call.failed"]] = "response.mcp_call.failed"


class McpCallInProgress(InItem, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.mcp_call.in_progress"]] = "response.mcp_call.in_progress"


class McpListToolsCompleted(InItem, frozen=True):
    type: ClassVar[Literal["response.mcp_list_tools.completed"]] = "response.mcp_list_tools.completed"


class McpListToolsFailed(InItem, frozen=True):
    type: ClassVar[Literal["response.mcp_list_tools.failed"]] = "response.mcp_list_tools.failed"


class McpListToolsInProgress(InItem, frozen=True):
    type: ClassVar[Literal["response.mcp_list_tools.in_progress"]] = "response.mcp_list_tools.in_progress"


class ReadFileCallCompleted(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.read_file_call.completed"]] = "response.read_file_call.completed"
    function_call_output: str | None = None


class ReadFileCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.read_file_call.in_progress"]] = "response.read_file_call.in_progress"
    args: Raw = NULL


class ReadFileCallReading(InItem, frozen=True):
    type: ClassVar[Literal["response.read_file_call.reading"]] = "response.read_file_call.reading"


class ShellCallCompleted(InItem, kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.shell_call.completed"]] = "response.shell_call.completed"
    function_call_output: str | None = None


class ShellCallExecuting(InItem, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.shell_call.executing"]] = "response.shell_call.executing"


class ShellCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.shell_call.in_progress"]] = "response.shell_call.in_progress"
    args: Raw = NULL


class SleepCallCompleted(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.sleep_call.completed"]] = "response.sleep_call.completed"
    function_call_output: str | None = None
    status: str | None = None


class SleepCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.sleep_call.in_progress"]] = "response.sleep_call.in_progress"
    args: Raw = NULL


class SleepCallSleeping(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.sleep_call.sleeping"]] = "response.sleep_call.sleeping"
    wake_at: str | None = None


class ToolSearchCallCompleted(InItem, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.tool_search_call.completed"]] = "response.tool_search_call.completed"
    function_call_output: str | None = None


class ToolSearchCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.tool_search_call.in_progress"]] = "response.tool_search_call.in_progress"
    args: Raw = NULL


class ToolSearchCallSearching(InItem, frozen=True):
    type: ClassVar[Literal["response.tool_search_call.searching"]] = "response.tool_search_call.searching"


class WebSearchCallCompleted(InItem, kw_only=True, frozen=True):
    """Sets the item's `status` to `completed`, if it has one."""

    type: ClassVar[Literal["response.web_search_call.completed"]] = "response.web_search_call.completed"
    function_call_output: str | None = None


class WebSearchCallInProgress(InItem, HoldsObjects, kw_only=True, frozen=True):
    """Sets the item's `status` to `in_progress`, if it has one."""

    type: ClassVar[Literal["response.web_search_call.in_progress"]] = "response.web_search_call.in_progress"
    args: Raw = NULL


class WebSearchCallSearching(InItem, frozen=True):
    """Sets the item's `status` to `searching`, if it has one."""

    type: ClassVar[Literal["response.web_search_call.searching"]] = "response.web_search_call.searching"


# Outside the Response: audio, and events on a WebSocket


class AudioDelta(KnownEvent, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.audio.delta"]] = "response.audio.delta"
    delta: str


class AudioDone(KnownEvent, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.audio.done"]] = "response.audio.done"
    response_id: str | None = None


class AudioTranscriptDelta(KnownEvent, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.audio.transcript.delta"]] = "response.audio.transcript.delta"
    delta: str
    response_id: str | None = None


class AudioTranscriptDone(KnownEvent, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.audio.transcript.done"]] = "response.audio.transcript.done"
    response_id: str | None = None


class InjectCreated(KnownEvent, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.inject.created"]] = "response.inject.created"
    stream_id: str | None = None
    response_id: str


class InjectFailed(HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.inject.failed"]] = "response.inject.failed"
    stream_id: str | None = None
    error: Raw
    input: tuple[Raw, ...]
    response_id: str


class SteerAccepted(HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.steer.accepted"]] = "response.steer.accepted"
    stream_id: str | None = None
    steer: Raw


class SteerFailed(HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.steer.failed"]] = "response.steer.failed"
    stream_id: str | None = None
    error: Raw
    steer: Raw


class SteerPending(HoldsObjects, kw_only=True, frozen=True):
    type: ClassVar[Literal["response.steer.pending"]] = "response.steer.pending"
    stream_id: str | None = None
    reason: str
    required_input: tuple[Raw, ...]
    steer: Raw


Event: TypeAlias = (
    UnknownEvent
    | ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | ResponseCancelled
    | ErrorEvent
    | Keepalive
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | ReasoningPartAdded
    | ReasoningPartDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryPartDone
    | OutputTextAnnotationAdded
    | OutputTextDelta
    | OutputTextDone
    | RefusalDelta
    | RefusalDone
    | ReasoningDelta
    | ReasoningDone
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | ApplyPatchCallOperationDiffDelta
    | ApplyPatchCallOperationDiffDone
    | CodeInterpreterCallCodeDelta
    | CodeInterpreterCallCodeDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | McpCallArgumentsDelta
    | McpCallArgumentsDone
    | ShellCallCommandAdded
    | ShellCallCommandDelta
    | ShellCallCommandDone
    | ShellCallOutputContentDelta
    | ShellCallOutputContentDone
    | AgentCallCompleted
    | AgentCallFailed
    | AgentCallInProgress
    | CodeInterpreterCallCompleted
    | CodeInterpreterCallInProgress
    | CodeInterpreterCallInterpreting
    | CompactionCompacting
    | FileSearchCallCompleted
    | FileSearchCallFailed
    | FileSearchCallInProgress
    | FileSearchCallSearching
    | HistoryCallCompleted
    | HistoryCallInProgress
    | HistoryCallSearching
    | ImageGenerationCallCompleted
    | ImageGenerationCallFailed
    | ImageGenerationCallGenerating
    | ImageGenerationCallInProgress
    | ImageGenerationCallPartialImage
    | McpCallCompleted
    | McpCallFailed
    | McpCallInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | McpListToolsInProgress
    | ReadFileCallCompleted
    | ReadFileCallInProgress
    | ReadFileCallReading
    | ShellCallCompleted
    | ShellCallExecuting
    | ShellCallInProgress
    | SleepCallCompleted
    | SleepCallInProgress
    | SleepCallSleeping
    | ToolSearchCallCompleted
    | ToolSearchCallInProgress
    | ToolSearchCallSearching
    | WebSearchCallCompleted
    | WebSearchCallInProgress
    | WebSearchCallSearching
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | AudioTranscriptDone
    | InjectCreated
    | InjectFailed
    | SteerAccepted
    | SteerFailed
    | SteerPending
)
"""Any event. To handle one type, compare `event.type` or match the class."""

EVENT_TYPES: Mapping[str, type[KnownEvent]] = MappingProxyType(
    {kind.type: kind for kind in get_args(Event) if kind is not UnknownEvent}
)
"""The class of each known event type, by its name on the wire."""
