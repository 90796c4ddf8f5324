"""Where in the Response an event points to, and what to create if nothing is there yet.

An event names its item and part by index, never by id, because some gateways give an item a new id with every event.
What happens to an event without an index is in place.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.fold.text import NO_TEXT, Text
from streamfold.fold.tree import Node, Object, Path
from streamfold.schema import ITEM_TYPES, PART_TYPES, UNDECODABLE, read_text
from streamfold.schema import event as wire

MAX_INDEX = 9_999
"""The highest index an event may carry: 10,000 items, parts, annotations or commands."""

_READERS: Mapping[str, Callable[[object], Any]] = {
    name: attrgetter(name) for name in ("output_index", "content_index", "summary_index", "command_index")
}


# A type as it is in an opened object: one comparison of bytes shows that an object has the type that an event expects.
_AS_SENT: Mapping[str, Raw] = {name: Raw(b'"%b"' % name.encode()) for name in (*ITEM_TYPES, *PART_TYPES)}
_NAMES = {bytes(sent): name for name, sent in _AS_SENT.items()}  # looked up faster than decoded


class Target(Struct, frozen=True, gc=False):
    """Where events of one kind point to.

    Attributes:
        item_type: The type of the item they belong to.
        list_path: The keys from the item to a list; empty if the event means the item itself.
        index: The event's field with the index in that list.
        part_type: The type of the parts in the list; empty if they may be of any type, or are plain values.
        tail: The keys from the part, or from the item, to the value.
        other_item_type: Another type of item to which such events may belong.
    """

    item_type: str
    list_path: tuple[str, ...] = ()
    index: str = "output_index"
    part_type: str = ""
    tail: tuple[str, ...] = ()
    other_item_type: str = ""

    @property
    def index_of(self) -> Callable[[object], Any]:
        """Reads the event's index in the list."""
        return _READERS[self.index]

    @property
    def part_depth(self) -> int:
        """How many keys lead to a part in the list."""
        return len(self.list_path) + 2

    def path(self, event: Any) -> Path:
        """The path of the value that the event changes."""
        if self.list_path:
            return (event.output_index, *self.list_path, getattr(event, self.index), *self.tail)
        return (event.output_index, *self.tail)

    def fits(self, depth: int, node: Object) -> bool:
        """Whether such an event may go through this object, to which so many keys of its path lead: the item, or a part."""
        if depth == 1:
            return node.get("type") == _AS_SENT.get(self.item_type) or self.fits_item(node)
        part_type = self.part_type
        return not part_type or node.get("type") == _AS_SENT.get(part_type) or self.fits_part(node)

    def fits_item(self, item: Node | None) -> bool:
        """Whether such an event may belong to this item: to one of its type, or of a type that is not known."""
        kind = type_of(item)
        return kind in (self.item_type, self.other_item_type) or kind not in ITEM_TYPES

    def fits_part(self, part: Node | None) -> bool:
        """Whether such an event may belong to this part of the list."""
        if not self.part_type:
            return True
        kind = type_of(part)
        return kind == self.part_type or kind not in PART_TYPES


class _Typed(Struct):
    type: str = ""


_decode_typed = Decoder(_Typed).decode
# Nearly every server sends the type first, or after the id. An item may be long, and decoding its type reads all of it.
_match_type = re.compile(rb'\{(?:"id": ?"[^"]*+(?<!\\)", ?)?"type": ?("[^"]*+")').match


def type_of(node: Node | None) -> str:
    """The `type` of an item or a part; empty if it has none."""
    if type(node) is Raw:  # without opening it
        found = _match_type(node)
        if found is not None and (known := _NAMES.get(found[1])):
            return known
        try:
            return _decode_typed(node).type
        except UNDECODABLE:
            return ""
    name = node.get("type") if type(node) is Object else None
    if type(name) is Raw:
        return _NAMES.get(bytes(name)) or read_text(name) or ""
    return str(name) if type(name) is Text else ""


def is_another_type(before: Node, after: Node) -> bool:
    """Whether these are an item or a part, and what replaces it by one of another type."""
    found = _match_type(after) if type(after) is Raw else None
    if found is not None:  # nearly always the same bytes, so that neither type is looked up
        sent = found[1]
        if type(before) is Raw:
            known = _match_type(before)
            if known is not None and known[1] == sent:
                return False
        elif type(before) is Object and before.get("type") == Raw(sent):
            return False
    kind = type_of(after)
    return bool(kind) and type_of(before) not in ("", kind)


def are_within_bounds(path: Iterable[str | int | None]) -> bool:
    """Whether every index in this path is there, and is from 0 to MAX_INDEX."""
    for key in path:
        if key is None or (type(key) is int and not 0 <= key <= MAX_INDEX):
            return False
    return True


def skeleton(kind: str, *, item_id: str | None = None) -> Object:
    """The least that makes an item or part: its type, and its id if the event gives one."""
    fields = {"type": kind, "id": item_id, "role": "assistant" if kind == "message" else None}
    return Object({name: NO_TEXT.push(value) for name, value in fields.items() if value is not None})


# Every event type that changes one place in an item. Of a status event, the item's type is in its name.

CONTENT, SUMMARY = ("content",), ("summary",)
OUTPUT_TEXT = Target("message", CONTENT, "content_index", "output_text", ("text",))
LOGPROBS = Target("message", CONTENT, "content_index", "output_text", ("logprobs",))
ANNOTATIONS = Target("message", CONTENT, "content_index", "output_text", ("annotations",))
REFUSAL = Target("message", CONTENT, "content_index", "refusal", ("refusal",))
REASONING = Target("reasoning", CONTENT, "content_index", "reasoning_text", ("text",))
SUMMARY_TEXT = Target("reasoning", SUMMARY, "summary_index", "summary_text", ("text",))
CODE = Target("code_interpreter_call", tail=("code",))
INPUT = Target("custom_tool_call", tail=("input",))
FUNCTION_ARGUMENTS = Target("function_call", tail=("arguments",))
MCP_ARGUMENTS = Target("mcp_call", tail=("arguments",))
DIFF = Target("apply_patch_call", tail=("operation", "diff"))
COMMAND = Target("shell_call", ("action", "commands"), "command_index")
SHELL_OUTPUT = Target("shell_call_output", tail=("output",))
SHELL_ENTRY = Target("shell_call_output", ("output",), "command_index")
PART = Target("message", CONTENT, "content_index", other_item_type="reasoning")
REASONING_PART = Target("reasoning", CONTENT, "content_index")
SUMMARY_PART = Target("reasoning", SUMMARY, "summary_index")

# The tables of the steps and of the places without an index are built on these, so that a type is listed once.

GROWS: Mapping[type, Target] = {
    wire.OutputTextDelta: OUTPUT_TEXT,
    wire.RefusalDelta: REFUSAL,
    wire.ReasoningDelta: REASONING,
    wire.ReasoningTextDelta: REASONING,
    wire.ReasoningSummaryTextDelta: SUMMARY_TEXT,
    wire.CodeInterpreterCallCodeDelta: CODE,
    wire.CustomToolCallInputDelta: INPUT,
    wire.FunctionCallArgumentsDelta: FUNCTION_ARGUMENTS,
    wire.McpCallArgumentsDelta: MCP_ARGUMENTS,
    wire.ApplyPatchCallOperationDiffDelta: DIFF,
    wire.ShellCallCommandDelta: COMMAND,
}
"""The types that continue a text, and where it stands. `reduce` has a fast path for them."""

STATUSES: Mapping[type, Target] = {
    kind: Target(str(kind.type).split(".")[1])
    for kind in (
        wire.CodeInterpreterCallInProgress,
        wire.CodeInterpreterCallInterpreting,
        wire.CodeInterpreterCallCompleted,
        wire.FileSearchCallInProgress,
        wire.FileSearchCallSearching,
        wire.FileSearchCallCompleted,
        wire.FileSearchCallFailed,
        wire.ImageGenerationCallInProgress,
        wire.ImageGenerationCallGenerating,
        wire.ImageGenerationCallCompleted,
        wire.ImageGenerationCallFailed,
        wire.McpCallInProgress,
        wire.McpCallCompleted,
        wire.McpCallFailed,
        wire.ShellCallInProgress,
        wire.ShellCallExecuting,
        wire.ShellCallCompleted,
        wire.WebSearchCallInProgress,
        wire.WebSearchCallSearching,
        wire.WebSearchCallCompleted,
    )
}
"""The types that set the status of an item."""

ENDS_TEXT: Mapping[type, Target] = {
    wire.OutputTextDone: OUTPUT_TEXT,
    wire.RefusalDone: REFUSAL,
    wire.ReasoningDone: REASONING,
    wire.ReasoningTextDone: REASONING,
    wire.ReasoningSummaryTextDone: SUMMARY_TEXT,
    wire.CodeInterpreterCallCodeDone: CODE,
    wire.CustomToolCallInputDone: INPUT,
    wire.FunctionCallArgumentsDone: FUNCTION_ARGUMENTS,
    wire.McpCallArgumentsDone: MCP_ARGUMENTS,
    wire.ApplyPatchCallOperationDiffDone: DIFF,
    wire.ShellCallCommandAdded: COMMAND,
    wire.ShellCallCommandDone: COMMAND,
}
"""The types that replace a text as a whole."""

TARGETS: Mapping[type, Target] = {
    **GROWS,
    **ENDS_TEXT,
    **STATUSES,
    wire.ContentPartAdded: PART,
    wire.ContentPartDone: PART,
    wire.ReasoningPartAdded: REASONING_PART,
    wire.ReasoningPartDone: REASONING_PART,
    wire.ReasoningSummaryPartAdded: SUMMARY_PART,
    wire.ReasoningSummaryPartDone: SUMMARY_PART,
    wire.OutputTextAnnotationAdded: ANNOTATIONS,
    wire.ShellCallOutputContentDelta: SHELL_ENTRY,
    wire.ShellCallOutputContentDone: SHELL_ENTRY,
}
"""Every type that changes one place in an item, and that place."""
