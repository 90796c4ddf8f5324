"""What each event type does to the Response, as one table: STEPS."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import Raw
from msgspec.json import encode as to_json
from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.place import ADDED
from streamfold.fold.response import record_error, take_snapshot, take_terminal
from streamfold.fold.state import Document, without_text, written
from streamfold.fold.target import (
    GROWS,
    LOGPROBS,
    MAX_INDEX,
    OUTPUT_TEXT,
    SHELL_OUTPUT,
    STATUSES,
    TARGETS,
    Target,
    are_within_bounds,
    is_another_type,
    skeleton,
)
from streamfold.fold.text import NO_TEXT, Text
from streamfold.fold.tree import (
    NULL,
    Array,
    Change,
    Elements,
    Node,
    Object,
    Path,
    being,
    edit,
    encode,
    find,
    nothing,
    opened,
    text_of,
)
from streamfold.schema import event as wire
from streamfold.schema import well_formed

# A step takes the settled document, one event and the number that the event takes, and returns the next document. It is
# total over all events of its type: whatever cannot be applied is noted as an anomaly. docs/reference/events.md lists
# the operations, and a test compares it with STEPS type by type.
#
# `write` is behind all steps that change one place in the output. It keeps the output and the growing text consistent:
# the text is written back before something near it changes, or dropped if the change replaces it anyway.

# An event is Any here: the table decides which step meets which type.
Step: TypeAlias = Callable[[Document, Any, int], Document]

# One place in the output


def write(
    document: Document,
    event: Any,
    target: Target,
    path: Path,
    change: Change,
    at: int,
    *,
    closed: frozenset[Path] | None = None,
) -> Document:
    """Make `change` at the path, which is of the target. An item or part that was never added is created on the way.

    closed: What is closed after a change that replaces a part: a text that grew in it is dropped, not written back.
    """
    if not are_within_bounds(path):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    clear, growing = document, document.path
    missing: Callable[[int], Node | None] = nothing
    if growing and path[: len(growing)] == growing[: len(path)]:  # one path leads to, or through, the other
        clear = written(document) if closed is None else without_text(document)
    created: list[AnomalyKind] = []
    index: Any = path[0]
    if target.part_type or clear.output.get(index, NULL) == NULL:
        missing = _creating(event, target, created)
    output = edit(clear.output, path, change, missing, target.fits)
    if not isinstance(output, Array):
        return document.note(AnomalyKind.MISFIT, at)
    for kind in created:
        clear = clear.note(kind, at)
    return replace(clear, output=output) if closed is None else replace(clear, output=output, closed=closed)


def _creating(event: Any, target: Target, created: list[AnomalyKind]) -> Callable[[int], Node | None]:
    """Creates the event's item or part where it is missing or null, and lists what was created."""

    def missing(depth: int) -> Node | None:
        if depth == 1:
            created.append(AnomalyKind.ITEM_CREATED)
            return skeleton(target.item_type, item_id=getattr(event, "item_id", None))
        if target.part_type and depth == target.part_depth:
            created.append(AnomalyKind.PART_CREATED)
            return skeleton(target.part_type)
        return None

    return missing


def grow(document: Document, event: Any, target: Target, at: int) -> Document:
    """Add the event's `delta` to the text at its target, which is then the one that grows, unless it was refused."""
    path = target.path(event)
    if path == document.path and target is document.target:
        return replace(document, text=document.text.push(event.delta))
    if document.path:
        document = written(document)
    node = find(document.output, path, target.fits)
    text = None if node is None or node == NULL else text_of(node)
    if text is None or not are_within_bounds(path):
        return write(document, event, target, path, _adding(event.delta), at)
    return replace(document, path=path, text=text.push(event.delta), target=target)


# The steps, each for all types that do the same at their target


def put_item(document: Document, event: wire.ItemEvent, at: int) -> Document:
    """The item replaces what is at its index, including what deltas built there. A null item changes nothing."""
    index = event.output_index
    if index is not None and event.item == NULL:
        return document
    if index is None or not 0 <= index <= MAX_INDEX:
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    item = event.item if event.agent is None else _of_agent(event.item, Raw(to_json(event.agent)))
    output, closed = Array(document.output), document.closed
    before = output.get(index)
    if before is not None:
        document = _without_item(document, index, before, item, at)
    if type(event) is wire.OutputItemDone:
        closed |= {(index,)}
    elif before is not None:
        del output[index]  # so that it is the one opened last
        closed = _reopened(closed, index)
    output[index] = item
    return replace(document, output=output, closed=closed)


def _reopened(closed: frozenset[Path], index: int) -> frozenset[Path]:
    """The closed paths after an added event opened this item again, with all that is in it."""
    return frozenset(path for path in closed if path[0] != index)


def _without_item(document: Document, index: int, before: Node, item: Node, at: int) -> Document:
    """The document before an item is replaced: without the text that grew in it."""
    if is_another_type(before, item):
        document = document.note(AnomalyKind.ITEM_REPLACED, at)
    return without_text(document) if document.path and document.path[0] == index else document


def put_part(document: Document, event: Any, at: int) -> Document:
    """The part replaces what is at its index."""
    part: Raw = event.part
    target, closed, is_replaced = TARGETS[type(event)], document.closed, False
    path = target.path(event)

    def change(node: Node | None) -> Node:
        nonlocal is_replaced
        is_replaced = node is not None and is_another_type(node, part)
        return part

    # Nothing in a part is closed, so its own path is the only one that may be opened again.
    if type(event) not in ADDED:
        closed |= {path}
    elif path in closed:
        closed -= {path}
    after = write(document, event, target, path, change, at, closed=closed)
    return after.note(AnomalyKind.PART_REPLACED, at) if is_replaced else after


def _of_agent(item: Node, agent: Raw) -> Node:
    """The item with the agent that only its event names."""
    fields = opened(item)
    return Object({"agent": agent, **fields}) if isinstance(fields, Object) else item


def put_annotation(document: Document, event: wire.OutputTextAnnotationAdded, at: int) -> Document:
    """The annotation goes to its index in the part. A null one changes nothing."""
    target, index = TARGETS[type(event)], event.annotation_index
    path: Any = (*target.path(event), index)
    if event.annotation == NULL and None not in path:
        return document
    return write(document, event, target, path, being(event.annotation), at)


def say(name: str) -> Step:
    """A step that sets the text at the target to the event's field `name`."""

    def step(document: Document, event: Any, at: int) -> Document:
        target, value = TARGETS[type(event)], getattr(event, name)
        path = target.path(event)
        if target is document.target and path == document.path:
            return replace(document, text=_said(document.text, value))
        return write(document, event, target, path, lambda node: _said(node, value), at)

    return step


def append(document: Document, event: Any, at: int) -> Document:
    """Add the event's `delta` to the text at the target."""
    return grow(document, event, TARGETS[type(event)], at)


def append_output_text(document: Document, event: wire.OutputTextDelta, at: int) -> Document:
    """Add the delta to the part's text, and its logprobs, if any, to the part's logprobs."""
    grown = grow(document, event, OUTPUT_TEXT, at)
    if not event.logprobs:
        return grown
    path = OUTPUT_TEXT.path(event)
    if grown.path != path and not isinstance(find(grown.output, path), Text):  # the delta was refused
        return grown
    more = b",".join(map(bytes, event.logprobs)).decode(errors="replace")
    return write(grown, event, LOGPROBS, LOGPROBS.path(event), _extending(more), at)


def append_shell_output(document: Document, event: wire.ShellCallOutputContentDelta, at: int) -> Document:
    """Add what a command printed to its provisional entry, which the done event replaces."""
    changes: list[tuple[str | int, Change]] = []
    for name in ("stdout", "stderr"):
        printed = text_of(find(event.delta, (name,)))
        if printed is None:
            return document.note(AnomalyKind.MISFIT, at)
        if str(printed):
            changes.append((name, _adding(str(printed))))
    target = TARGETS[type(event)]
    path: Any = target.path(event)
    return write(document, event, target, path, _changing(changes), at) if changes or None in path else document


def put_shell_output(document: Document, event: wire.ShellCallOutputContentDone, at: int) -> Document:
    """Put the entries in the list from the command's index on, replacing the provisional one."""
    first = event.command_index
    if first is None or not are_within_bounds(places := range(first, first + len(event.output))):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    entries = zip(places, (Raw(well_formed(bytes(entry))) for entry in event.output), strict=True)
    changes: list[tuple[str | int, Change]] = [(place, being(entry)) for place, entry in entries]
    path: Any = SHELL_OUTPUT.path(event)
    return write(document, event, SHELL_OUTPUT, path, _changing(changes), at) if changes or None in path else document


def set_status(document: Document, event: Any, at: int) -> Document:
    """Set the item's status if it has one: an invented field would not be what the server sent."""
    status: str = event.type.rpartition(".")[2]
    # MKA1's shell_call has no status `executing`.
    value = Raw(b'"%b"' % ("in_progress" if status == "executing" else status).encode())
    target = TARGETS[type(event)]
    return write(document, event, target, target.path(event), lambda item: _with_status(item, target, value), at)


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
    return node if isinstance(node, Text) and str(node) == value else NO_TEXT.push(value)


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
                return Elements(NO_TEXT.push(encode(sent).decode()[1:-1]).push("," + more))
            case Array() | None:
                return Elements(NO_TEXT.push(more))
            case other:
                return Elements(NO_TEXT.push(more)) if other == NULL else None

    return change


def _with_status(item: Node | None, target: Target, value: Raw) -> Node | None:
    item = opened(item)
    if not target.fits_item(item):
        return None
    return Object({**item, "status": value}) if isinstance(item, Object) and "status" in item else item


# The table


STEPS: Mapping[type, Step] = {
    **dict.fromkeys(wire.EVENT_TYPES.values(), keep),
    **dict.fromkeys(GROWS, append),
    **dict.fromkeys(STATUSES, set_status),
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
    wire.ContentPartAdded: put_part,
    wire.ContentPartDone: put_part,
    wire.ReasoningPartAdded: put_part,
    wire.ReasoningPartDone: put_part,
    wire.ReasoningSummaryPartAdded: put_part,
    wire.ReasoningSummaryPartDone: put_part,
    wire.OutputTextDelta: append_output_text,
    wire.OutputTextDone: say("text"),
    wire.OutputTextAnnotationAdded: put_annotation,
    wire.RefusalDone: say("refusal"),
    wire.ReasoningDone: say("text"),
    wire.ReasoningTextDone: say("text"),
    wire.ReasoningSummaryTextDone: say("text"),
    wire.CodeInterpreterCallCodeDone: say("code"),
    wire.CustomToolCallInputDone: say("input"),
    wire.FunctionCallArgumentsDone: say("arguments"),
    wire.McpCallArgumentsDone: say("arguments"),
    wire.ApplyPatchCallOperationDiffDone: say("diff"),
    wire.ShellCallCommandAdded: say("command"),
    wire.ShellCallCommandDone: say("command"),
    wire.ShellCallOutputContentDelta: append_shell_output,
    wire.ShellCallOutputContentDone: put_shell_output,
}
