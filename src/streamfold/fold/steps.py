"""What each event type does to the Response, as one table: STEPS."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias

from msgspec import Raw
from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.state import Document, StreamError, without_text, written
from streamfold.fold.target import Target, are_within_bounds, skeleton
from streamfold.fold.text import Text
from streamfold.fold.tree import NULL, Array, Change, Elements, Node, Object, edit, encode, find, opened, text_of
from streamfold.schema import event as wire
from streamfold.schema import read_head, well_formed

# A step takes the settled document, one event and the number that the event takes, and returns the next document. It is
# total over all events of its type: whatever cannot be applied is noted as an anomaly. docs/reference/events.md lists
# the operations, and a test compares it with STEPS type by type.
#
# `write` is behind all steps that change one place in the output. It keeps the output and the growing text consistent:
# the text is written back before something near it changes, or dropped if the change replaces it anyway.

# An event is Any here: the table decides which step meets which type.
Step: TypeAlias = Callable[[Document, Any, int], Document]

CONTENT_INDEX, SUMMARY_INDEX, COMMAND_INDEX = map(attrgetter, ("content_index", "summary_index", "command_index"))

OUTPUT_TEXT = Target("message", ("content",), CONTENT_INDEX, "output_text", ("text",))
LOGPROBS = Target("message", ("content",), CONTENT_INDEX, "output_text", ("logprobs",))
ANNOTATIONS = Target("message", ("content",), CONTENT_INDEX, "output_text", ("annotations",))
REFUSAL = Target("message", ("content",), CONTENT_INDEX, "refusal", ("refusal",))
REASONING = Target("reasoning", ("content",), CONTENT_INDEX, "reasoning_text", ("text",))
SUMMARY = Target("reasoning", ("summary",), SUMMARY_INDEX, "summary_text", ("text",))
CODE = Target("code_interpreter_call", tail=("code",))
INPUT = Target("custom_tool_call", tail=("input",))
FUNCTION_ARGUMENTS = Target("function_call", tail=("arguments",))
MCP_ARGUMENTS = Target("mcp_call", tail=("arguments",))
DIFF = Target("apply_patch_call", tail=("operation", "diff"))
COMMAND = Target("shell_call", ("action", "commands"), COMMAND_INDEX)
SHELL_OUTPUT = Target("shell_call_output", tail=("output",))
SHELL_ENTRY = Target("shell_call_output", ("output",), COMMAND_INDEX)
MESSAGE_PART = Target("message", ("content",), CONTENT_INDEX)
REASONING_PART = Target("reasoning", ("content",), CONTENT_INDEX)
SUMMARY_PART = Target("reasoning", ("summary",), SUMMARY_INDEX)

# The types that continue a text, and where it stands. `reduce` has a fast path for them.
GROWS: Mapping[type, Target] = {
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
    """Every field becomes the snapshot's; folded output stays if the snapshot has none."""
    head = read_head(event.response)
    if head is None:  # not an object, which no decoder lets through; or nested almost too deeply to be read
        return document.note(AnomalyKind.MISFIT, at)
    if head.output:
        document = replace(without_text(document), output=Array(enumerate(head.output)))
    return replace(document, head=event.response, status=head.status or None)


def take_terminal(document: Document, event: wire.ResponseEvent, at: int) -> Document:
    """The Response becomes the terminal one, which is final, except that folded output stays if it has none."""
    taken = take_snapshot(document, event, at)
    if document.is_closed:
        taken = taken.note(AnomalyKind.TERMINAL_REPEATED, at)
    if taken.output and taken.output is document.output:
        taken = taken.note(AnomalyKind.OUTPUT_KEPT, at)
    return replace(taken, is_closed=True)


def record_error(document: Document, event: wire.ErrorEvent, at: int) -> Document:
    """The error is kept beside the Response, which only a `response.failed` event changes."""
    nested = opened(event.error)
    flat = {"code": event.code, "message": event.message, "param": event.param}
    if not isinstance(nested, Object):
        return replace(document, error=StreamError(**flat))
    facts = {name: _fact(nested.get(name)) for name in StreamError.__struct_fields__}
    return replace(document, error=StreamError(**facts))


def _fact(node: Node | None) -> str | None:
    """The text of a node, or its JSON if it is not text, such as a numeric code; None for nothing and null."""
    if node is None or node == NULL:
        return None
    text = text_of(node)
    return encode(node).decode() if text is None else str(text) or None


# One place in the output


def write(
    document: Document, event: Any, target: Target, change: Change, at: int, *below: int | str, replaces: bool = False
) -> Document:
    """Make `change` at the event's target, or `below` it. An item or part that was never added is created on the way.

    replaces: the change ignores what was there, so a text that grew in it can be dropped instead of written back.
    """
    part = target.part_path(event)
    path = part + target.tail + below
    if not are_within_bounds(path):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    clear = document
    if path[: len(document.path)] == document.path[: len(path)]:  # one path leads to, or through, the other
        clear = without_text(document) if replaces else written(document)
    created: list[AnomalyKind] = []

    def missing(depth: int) -> Node | None:
        if depth == 1:
            created.append(AnomalyKind.ITEM_CREATED)
            return skeleton(target.item_type, item_id=getattr(event, "item_id", None))
        if depth == len(part) and target.part_type:
            created.append(AnomalyKind.PART_CREATED)
            return skeleton(target.part_type)
        return None

    output = edit(clear.output, path, change, missing)
    if not isinstance(output, Array):
        return document.note(AnomalyKind.MISFIT, at)
    for kind in created:
        clear = clear.note(kind, at)
    return replace(clear, output=output)


def grow(document: Document, event: Any, target: Target, at: int) -> Document:
    """Add the event's `delta` to the text at its target, which is then the one that grows, unless it was refused."""
    path = target.path(event)
    if path == document.path:
        return replace(document, text=document.text.push(event.delta))
    document = written(document)
    node = find(document.output, path)
    text = None if node is None or node == NULL else text_of(node)
    if text is None or not are_within_bounds(path):
        return write(document, event, target, _adding(event.delta), at)
    return replace(document, path=path, text=text.push(event.delta))


# Kinds of steps, each made for a target


def put_item(document: Document, event: wire.ItemEvent, at: int) -> Document:
    """The item replaces what is at its index, including what deltas built there. A null item changes nothing."""
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
    """The annotation goes to its index in the part. A null one changes nothing."""
    if event.annotation == NULL:
        return document
    return write(document, event, ANNOTATIONS, lambda _: event.annotation, at, event.annotation_index)


def put(target: Target, name: str) -> Step:
    """A step that puts the event's field `name` at the target, replacing what is there."""

    def step(document: Document, event: Any, at: int) -> Document:
        return write(document, event, target, _being(getattr(event, name)), at, replaces=True)

    return step


def say(target: Target, name: str) -> Step:
    """A step that sets the text at the target to the event's field `name`."""

    def step(document: Document, event: Any, at: int) -> Document:
        value = getattr(event, name)
        if target.path(event) == document.path:
            return replace(document, text=_said(document.text, value))
        return write(document, event, target, lambda node: _said(node, value), at)

    return step


def append(target: Target) -> Step:
    """A step that adds the event's `delta` to the text at the target."""

    def step(document: Document, event: Any, at: int) -> Document:
        return grow(document, event, target, at)

    return step


def append_output_text(document: Document, event: wire.OutputTextDelta, at: int) -> Document:
    """Add the delta to the part's text, and its logprobs, if any, to the part's logprobs."""
    grown = grow(document, event, OUTPUT_TEXT, at)
    if not event.logprobs:
        return grown
    path = OUTPUT_TEXT.path(event)
    if grown.path != path and not isinstance(find(grown.output, path), Text):  # the delta was refused
        return grown
    more = b",".join(map(bytes, event.logprobs)).decode(errors="replace")
    return write(grown, event, LOGPROBS, _extending(more), at)


def append_shell_output(document: Document, event: wire.ShellCallOutputContentDelta, at: int) -> Document:
    """Add what a command printed to its provisional entry, which the done event replaces."""
    changes: list[tuple[str | int, Change]] = []
    for name in ("stdout", "stderr"):
        printed = text_of(find(event.delta, (name,)))
        if printed is None:
            return document.note(AnomalyKind.MISFIT, at)
        if str(printed):
            changes.append((name, _adding(str(printed))))
    return write(document, event, SHELL_ENTRY, _changing(changes), at) if changes else document


def put_shell_output(document: Document, event: wire.ShellCallOutputContentDone, at: int) -> Document:
    """Put the entries in the list from the command's index on, replacing the provisional one."""
    places = range(event.command_index, event.command_index + len(event.output))
    if not are_within_bounds(tuple(places)):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    entries = zip(places, (Raw(well_formed(bytes(entry))) for entry in event.output), strict=True)
    changes: list[tuple[str | int, Change]] = [(place, _being(entry)) for place, entry in entries]
    return write(document, event, SHELL_OUTPUT, _changing(changes), at) if changes else document


def set_status(item_type: str, status: str) -> Step:
    """A step that sets the item's status if it has one: an invented field would not be what the server sent."""
    value = Raw(b'"%b"' % status.encode())
    target = Target(item_type)

    def step(document: Document, event: wire.InItem, at: int) -> Document:
        return write(document, event, target, lambda item: _with_status(item, value), at)

    return step


def keep(document: Document, event: object, at: int) -> Document:
    """No effect on the Response."""
    return document


def note_malformed(document: Document, event: wire.UnknownEvent, at: int) -> Document:
    """Note an event of a known type that did not decode; one of an unknown type has no effect."""
    return document.note(AnomalyKind.MALFORMED, at) if event.error else document


def _adding(delta: str) -> Change:
    def change(node: Node | None) -> Node | None:
        text = text_of(node)
        return None if text is None else text.push(delta)

    return change


def _said(node: Node | None, value: str) -> Text:
    """The text of a done event. If the deltas brought the same, theirs stays, because states share it."""
    return node if isinstance(node, Text) and str(node) == value else Text().push(value)


def _being(value: Node) -> Change:
    return lambda _: value


def _changing(changes: Iterable[tuple[str | int, Change]]) -> Change:
    """Several changes to the fields or elements of one value: either all, or none."""

    def change(node: Node | None) -> Node | None:
        for key, each in changes:
            node = edit(node, (key,), each)
            if node is None:
                return None
        return node

    return change


def _extending(more: str) -> Change:
    """Add elements, given as JSON with commas between them, to a list that only grows."""

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
    **{kind: append(target) for kind, target in GROWS.items()},
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
