"""The table from event type to what it does to the Response.

In      the settled document, one event, and the number that the event takes
Out     the document after it; what could not be applied is noted as an anomaly
Units   indexes count from 0 and end at MAX_INDEX
Errors  none: a step is total over all events of its type
Source  the fold operations of docs/reference/events.md, which a test compares with STEPS type by type
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias

from msgspec import Raw
from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.glance import glance_at
from streamfold.fold.place import Place, are_within_bounds, shell
from streamfold.fold.state import Document, StreamError, without_text, written
from streamfold.fold.text import Text
from streamfold.fold.tree import NULL, Array, Change, Elements, Node, Object, edit, encode, find, opened, text_of
from streamfold.schema import UNDECODABLE, well_formed
from streamfold.schema import event as wire

__all__ = ["GROWS", "STEPS", "Step"]

# An event is Any here: the table below is what says which step meets which type.
Step: TypeAlias = Callable[[Document, Any, int], Document]

CONTENT_INDEX, SUMMARY_INDEX, COMMAND_INDEX = map(attrgetter, ("content_index", "summary_index", "command_index"))

OUTPUT_TEXT = Place("message", ("content",), CONTENT_INDEX, "output_text", ("text",))
LOGPROBS = Place("message", ("content",), CONTENT_INDEX, "output_text", ("logprobs",))
ANNOTATIONS = Place("message", ("content",), CONTENT_INDEX, "output_text", ("annotations",))
REFUSAL = Place("message", ("content",), CONTENT_INDEX, "refusal", ("refusal",))
REASONING = Place("reasoning", ("content",), CONTENT_INDEX, "reasoning_text", ("text",))
SUMMARY = Place("reasoning", ("summary",), SUMMARY_INDEX, "summary_text", ("text",))
CODE = Place("code_interpreter_call", tail=("code",))
INPUT = Place("custom_tool_call", tail=("input",))
FUNCTION_ARGUMENTS = Place("function_call", tail=("arguments",))
MCP_ARGUMENTS = Place("mcp_call", tail=("arguments",))
DIFF = Place("apply_patch_call", tail=("operation", "diff"))
COMMAND = Place("shell_call", ("action", "commands"), COMMAND_INDEX)
SHELL_OUTPUT = Place("shell_call_output", tail=("output",))
SHELL_ENTRY = Place("shell_call_output", ("output",), COMMAND_INDEX)
MESSAGE_PART = Place("message", ("content",), CONTENT_INDEX)
REASONING_PART = Place("reasoning", ("content",), CONTENT_INDEX)
SUMMARY_PART = Place("reasoning", ("summary",), SUMMARY_INDEX)

# The types that add to one text, and where it stands. `reduce` has a fast way for those whose text the last one
# added to.
GROWS: Mapping[type, Place] = {
    wire.OutputTextDelta: OUTPUT_TEXT,
    wire.RefusalDelta: REFUSAL,
    wire.ReasoningDelta: REASONING,
    wire.ReasoningTextDelta: REASONING,
    wire.ReasoningSummaryTextDelta: SUMMARY,
    wire.CodeInterpreterCallCodeDelta: CODE,
    wire.CustomToolCallInputDelta: INPUT,
    wire.FunctionCallArgumentsDelta: FUNCTION_ARGUMENTS,
    wire.McpCallArgumentsDelta: MCP_ARGUMENTS,
    wire.ApplyPatchCallOperationDiffDelta: DIFF,
    wire.ShellCallCommandDelta: COMMAND,
}


# The Response as a whole


def take_snapshot(document: Document, event: wire.ResponseEvent, at: int) -> Document:
    """Every field becomes the snapshot's; folded output stays where the snapshot has none."""
    try:
        glance = glance_at(event.response)
    except UNDECODABLE:  # no object, which only an event made by hand can hold; or nested as deep as it just could be
        return document.note(AnomalyKind.MISFIT, at)
    if glance.output:
        document = replace(without_text(document), output=glance.output)
    return replace(document, head=event.response, status=glance.status)


def take_terminal(document: Document, event: wire.ResponseEvent, at: int) -> Document:
    """The Response becomes the terminal one, whose word is the last; only a missing output is no word."""
    taken = take_snapshot(document, event, at)
    if document.is_closed:
        taken = taken.note(AnomalyKind.TERMINAL_REPEATED, at)
    if taken.output and taken.output is document.output:
        taken = taken.note(AnomalyKind.OUTPUT_KEPT, at)
    return replace(taken, is_closed=True)


def record_error(document: Document, event: wire.ErrorEvent, at: int) -> Document:
    """The error is kept beside the Response, which only `response.failed` changes, if it comes."""
    nested = opened(event.error)
    flat = {"code": event.code, "message": event.message, "param": event.param}
    if not isinstance(nested, Object):
        return replace(document, error=StreamError(**flat))
    words = {name: _word(nested.get(name)) for name in StreamError.__struct_fields__}
    return replace(document, error=StreamError(**words))


def _word(node: Node | None) -> str | None:
    """The text of a node, or the JSON of one that is no text, as a number for a code; None for nothing and null."""
    if node is None or node == NULL:
        return None
    text = text_of(node)
    return encode(node).decode() if text is None else str(text) or None


# One place in the output


def write(
    document: Document, event: Any, place: Place, change: Change, at: int, *below: int | str, replaces: bool = False
) -> Document:
    """Make `change` at the event's place, or `below` it; an item or part that was never added is created on the way.

    replaces: whether the change looks at nothing that stood there, so that a text which grew in it is forgotten.
    """
    part = place.part_path(event)
    path = part + place.tail + below
    if not are_within_bounds(path):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    clear = document
    if path[: len(document.path)] == document.path[: len(path)]:  # one leads to, or through, the other
        clear = without_text(document) if replaces else written(document)
    created: list[AnomalyKind] = []

    def missing(depth: int) -> Node | None:
        if depth == 1:
            created.append(AnomalyKind.ITEM_CREATED)
            return shell(place.item_type, item_id=getattr(event, "item_id", None))
        if depth == len(part) and place.part_type:
            created.append(AnomalyKind.PART_CREATED)
            return shell(place.part_type)
        return None

    output = edit(clear.output, path, change, missing)
    if not isinstance(output, Array):
        return document.note(AnomalyKind.MISFIT, at)
    for kind in created:
        clear = clear.note(kind, at)
    return replace(clear, output=output)


def grow(document: Document, event: Any, place: Place, at: int) -> Document:
    """The event's `delta` is added to the text at its place, which then is the one that grows, unless it was refused."""
    path = place.path(event)
    if path == document.path:
        return replace(document, text=document.text.push(event.delta))
    document = written(document)
    node = find(document.output, path)
    text = None if node is None or node == NULL else text_of(node)
    if text is None or not are_within_bounds(path):
        return write(document, event, place, _adding(event.delta), at)
    return replace(document, path=path, text=text.push(event.delta))


# Kinds of steps, each made for a place


def put_item(document: Document, event: wire.ItemEvent, at: int) -> Document:
    """The item takes its place, and what deltas made there is gone; a null item reserves nothing."""
    if event.item == NULL:
        return document
    if not are_within_bounds((event.output_index,)):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    output = Array(document.output)
    output[event.output_index] = event.item
    if document.path[:1] == (event.output_index,):
        document = without_text(document)
    return replace(document, output=output)


def put_annotation(document: Document, event: wire.OutputTextAnnotationAdded, at: int) -> Document:
    """The annotation takes its place in the part; a null one changes nothing."""
    if event.annotation == NULL:
        return document
    return write(document, event, ANNOTATIONS, lambda _: event.annotation, at, event.annotation_index)


def put(place: Place, name: str) -> Step:
    """A step that puts the event's field `name` at the place, over whatever stands there."""

    def step(document: Document, event: Any, at: int) -> Document:
        return write(document, event, place, _being(getattr(event, name)), at, replaces=True)

    return step


def say(place: Place, name: str) -> Step:
    """A step that puts the event's text `name` at the place."""

    def step(document: Document, event: Any, at: int) -> Document:
        value = getattr(event, name)
        if place.path(event) == document.path:
            return replace(document, text=_said(document.text, value))
        return write(document, event, place, lambda node: _said(node, value), at)

    return step


def append(place: Place) -> Step:
    """A step that adds the event's `delta` to the text at the place."""

    def step(document: Document, event: Any, at: int) -> Document:
        return grow(document, event, place, at)

    return step


def append_output_text(document: Document, event: wire.OutputTextDelta, at: int) -> Document:
    """The delta is added to the part's text, and its logprobs, if any, to the part's logprobs."""
    grown = grow(document, event, OUTPUT_TEXT, at)
    if not event.logprobs:
        return grown
    path = OUTPUT_TEXT.path(event)
    if grown.path != path and not isinstance(find(grown.output, path), Text):  # it was refused
        return grown
    more = b",".join(map(bytes, event.logprobs)).decode(errors="replace")
    return write(grown, event, LOGPROBS, _extending(more), at)


def append_shell_output(document: Document, event: wire.ShellCallOutputContentDelta, at: int) -> Document:
    """What a command printed is added to its provisional entry, which the done event replaces."""
    changes: list[tuple[str | int, Change]] = []
    for name in ("stdout", "stderr"):
        printed = text_of(find(event.delta, (name,)))
        if printed is None:
            return document.note(AnomalyKind.MISFIT, at)
        if str(printed):
            changes.append((name, _adding(str(printed))))
    return write(document, event, SHELL_ENTRY, _changing(changes), at) if changes else document


def put_shell_output(document: Document, event: wire.ShellCallOutputContentDone, at: int) -> Document:
    """The entries take the place of the provisional one, from the command's index on."""
    places = range(event.command_index, event.command_index + len(event.output))
    if not are_within_bounds(tuple(places)):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    entries = zip(places, (Raw(well_formed(bytes(entry))) for entry in event.output), strict=True)
    changes: list[tuple[str | int, Change]] = [(place, _being(entry)) for place, entry in entries]
    return write(document, event, SHELL_OUTPUT, _changing(changes), at) if changes else document


def set_status(item_type: str, status: str) -> Step:
    """A step that sets the item's status, where it has one: inventing a field would not be what the server sent."""
    value = Raw(b'"%b"' % status.encode())
    place = Place(item_type)

    def step(document: Document, event: wire.InItem, at: int) -> Document:
        return write(document, event, place, lambda item: _with_status(item, value), at)

    return step


def keep(document: Document, event: object, at: int) -> Document:
    """The event says nothing about the Response."""
    return document


def note_malformed(document: Document, event: wire.UnknownEvent, at: int) -> Document:
    """An event that did not decode is told; one of a type that is simply not known changes nothing."""
    return document.note(AnomalyKind.MALFORMED, at) if event.error else document


def _adding(delta: str) -> Change:
    def change(node: Node | None) -> Node | None:
        text = text_of(node)
        return None if text is None else text.push(delta)

    return change


def _said(node: Node | None, value: str) -> Text:
    """The text of a done event; where the deltas said the same, theirs is kept, for states share it."""
    return node if isinstance(node, Text) and str(node) == value else Text().push(value)


def _being(value: Node) -> Change:
    return lambda _: value


def _changing(changes: Iterable[tuple[str | int, Change]]) -> Change:
    """Several changes to the fields or elements of one value: all of them, or none."""

    def change(node: Node | None) -> Node | None:
        for key, each in changes:
            node = edit(node, (key,), each)
            if node is None:
                return None
        return node

    return change


def _extending(more: str) -> Change:
    """Add elements, given as their JSON with commas between, to a list that only grows."""

    def change(node: Node | None) -> Node | None:
        match opened(node):
            case Elements(json=json):
                return Elements(json.push("," + more))
            case Array() as sent if sent:
                return Elements(Text().push(encode(sent).decode()[1:-1]).push("," + more))
            case Array() | None:
                return Elements(Text().push(more))
            case other:
                return Elements(Text().push(more)) if other == NULL else None

    return change


def _with_status(item: Node | None, value: Raw) -> Node | None:
    item = opened(item)
    return Object({**item, "status": value}) if isinstance(item, Object) and "status" in item else item


# The table


def _statuses(*kinds: type[wire.InItem]) -> dict[type, Step]:
    steps: dict[type, Step] = {}
    for kind in kinds:
        _, item_type, status = str(kind.__struct_config__.tag).split(".")
        # MKA1's shell_call has no status `executing`.
        steps[kind] = set_status(item_type, "in_progress" if status == "executing" else status)
    return steps


STEPS: Mapping[type, Step] = {
    **dict.fromkeys(wire.EVENT_TYPES.values(), keep),
    **{kind: append(place) for kind, place in GROWS.items()},
    wire.UnknownEvent: note_malformed,
    wire.ErrorEvent: record_error,
    wire.ResponseCreated: take_snapshot,
    wire.ResponseQueued: take_snapshot,
    wire.ResponseInProgress: take_snapshot,
    wire.ResponseCompleted: take_terminal,
    wire.ResponseIncomplete: take_terminal,
    wire.ResponseFailed: take_terminal,
    wire.ResponseCancelled: take_terminal,
    wire.OutputItemAdded: put_item,
    wire.OutputItemDone: put_item,
    wire.ContentPartAdded: put(MESSAGE_PART, "part"),
    wire.ContentPartDone: put(MESSAGE_PART, "part"),
    wire.ReasoningPartAdded: put(REASONING_PART, "part"),
    wire.ReasoningPartDone: put(REASONING_PART, "part"),
    wire.ReasoningSummaryPartAdded: put(SUMMARY_PART, "part"),
    wire.ReasoningSummaryPartDone: put(SUMMARY_PART, "part"),
    wire.OutputTextDelta: append_output_text,
    wire.OutputTextDone: say(OUTPUT_TEXT, "text"),
    wire.OutputTextAnnotationAdded: put_annotation,
    wire.RefusalDone: say(REFUSAL, "refusal"),
    wire.ReasoningDone: say(REASONING, "text"),
    wire.ReasoningTextDone: say(REASONING, "text"),
    wire.ReasoningSummaryTextDone: say(SUMMARY, "text"),
    wire.CodeInterpreterCallCodeDone: say(CODE, "code"),
    wire.CustomToolCallInputDone: say(INPUT, "input"),
    wire.FunctionCallArgumentsDone: say(FUNCTION_ARGUMENTS, "arguments"),
    wire.McpCallArgumentsDone: say(MCP_ARGUMENTS, "arguments"),
    wire.ApplyPatchCallOperationDiffDone: say(DIFF, "diff"),
    wire.ShellCallCommandAdded: say(COMMAND, "command"),
    wire.ShellCallCommandDone: say(COMMAND, "command"),
    wire.ShellCallOutputContentDelta: append_shell_output,
    wire.ShellCallOutputContentDone: put_shell_output,
    **_statuses(
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
    ),
}
