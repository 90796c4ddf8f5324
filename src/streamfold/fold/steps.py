"""What each event type does to the Response, as one table: STEPS."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from msgspec import Raw
from msgspec.json import encode as to_json
from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.response import record_error, take_snapshot, take_terminal
from streamfold.fold.state import Document, without_text, written
from streamfold.fold.target import (
    GROWS,
    LOGPROBS,
    OUTPUT_TEXT,
    SHELL_OUTPUT,
    STATUSES,
    TARGETS,
    Target,
    are_within_bounds,
    skeleton,
    type_of,
)
from streamfold.fold.text import Text
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
    change: Change,
    at: int,
    *below: int | str,
    closed: frozenset[Path] | None = None,
) -> Document:
    """Make `change` at the event's target, or `below` it. An item or part that was never added is created on the way.

    closed: What is closed after a change that replaces a part: a text that grew in it is dropped, not written back.
    """
    part = target.part_path(event)
    path = part + target.tail + below
    if not are_within_bounds(path):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    clear = document
    if path[: len(document.path)] == document.path[: len(path)]:  # one path leads to, or through, the other
        clear = written(document) if closed is None else without_text(document)
    created: list[AnomalyKind] = []

    def missing(depth: int) -> Node | None:
        if depth == 1:
            created.append(AnomalyKind.ITEM_CREATED)
            return skeleton(target.item_type, item_id=getattr(event, "item_id", None))
        if depth == len(part) and target.part_type:
            created.append(AnomalyKind.PART_CREATED)
            return skeleton(target.part_type)
        return None

    output = edit(clear.output, path, change, missing, target.fits)
    if not isinstance(output, Array):
        return document.note(AnomalyKind.MISFIT, at)
    for kind in created:
        clear = clear.note(kind, at)
    return replace(clear, output=output, closed=clear.closed if closed is None else closed)


def grow(document: Document, event: Any, target: Target, at: int) -> Document:
    """Add the event's `delta` to the text at its target, which is then the one that grows, unless it was refused."""
    path = target.path(event)
    if path == document.path and target is document.target:
        return replace(document, text=document.text.push(event.delta))
    document = written(document)
    node = find(document.output, path, target.fits)
    text = None if node is None or node == NULL else text_of(node)
    if text is None or not are_within_bounds(path):
        return write(document, event, target, _adding(event.delta), at)
    return replace(document, path=path, text=text.push(event.delta), target=target)


# The steps, each for all types that do the same at their target


def put_item(document: Document, event: wire.ItemEvent, at: int) -> Document:
    """The item replaces what is at its index, including what deltas built there. A null item changes nothing."""
    if event.item == NULL:
        return document
    index: Any = event.output_index
    if not are_within_bounds((index,)):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    item: Node = event.item
    if event.agent is not None:
        item = _of_agent(item, Raw(to_json(event.agent)))
    output = Array(document.output)
    before = output.get(index)
    if before is not None and _is_another_type(before, item):
        document = document.note(AnomalyKind.ITEM_REPLACED, at)
    is_added = isinstance(event, wire.OutputItemAdded)
    if is_added:
        output.pop(index, None)  # it is the one opened last
    output[index] = item
    if document.path[:1] == (index,):
        document = without_text(document)
    return replace(document, output=output, closed=_closed(document, (index,), is_open=is_added))


def put_part(document: Document, event: Any, at: int) -> Document:
    """The part replaces what is at its index."""
    target, part = TARGETS[type(event)], event.part
    before: list[Node | None] = []

    def change(node: Node | None) -> Node | None:
        before.append(node)
        return cast(Raw, part)

    closed = _closed(document, target.part_path(event), is_open=event.type.endswith(".added"))
    after = write(document, event, target, change, at, closed=closed)
    if before and before[0] is not None and _is_another_type(before[0], event.part):
        after = after.note(AnomalyKind.PART_REPLACED, at)
    return after


def _is_another_type(before: Node, after: Node) -> bool:
    kind = type_of(before)
    return kind != "" and type_of(after) not in ("", kind)


def _closed(document: Document, path: Path, *, is_open: bool) -> frozenset[Path]:
    """The closed paths after an added event opened this one, with all that is in it, or a done event closed it."""
    closed = document.closed
    if not is_open:
        return closed | {path}
    return frozenset(each for each in closed if each[: len(path)] != path) if closed else closed


def _of_agent(item: Node, agent: Raw) -> Node:
    """The item with the agent that only its event names."""
    fields = opened(item)
    return Object({"agent": agent, **fields}) if isinstance(fields, Object) else item


def put_annotation(document: Document, event: wire.OutputTextAnnotationAdded, at: int) -> Document:
    """The annotation goes to its index in the part. A null one changes nothing."""
    if event.annotation == NULL:
        return document
    index: Any = event.annotation_index
    return write(document, event, TARGETS[type(event)], lambda _: event.annotation, at, index)


def say(name: str) -> Step:
    """A step that sets the text at the target to the event's field `name`."""

    def step(document: Document, event: Any, at: int) -> Document:
        target, value = TARGETS[type(event)], getattr(event, name)
        if target.path(event) == document.path and target is document.target:
            return replace(document, text=_said(document.text, value))
        return write(document, event, target, lambda node: _said(node, value), at)

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
    return write(document, event, TARGETS[type(event)], _changing(changes), at) if changes else document


def put_shell_output(document: Document, event: wire.ShellCallOutputContentDone, at: int) -> Document:
    """Put the entries in the list from the command's index on, replacing the provisional one."""
    first: Any = event.command_index
    places = range(first, first + len(event.output))
    if not are_within_bounds(tuple(places)):
        return document.note(AnomalyKind.INDEX_REFUSED, at)
    entries = zip(places, (Raw(well_formed(bytes(entry))) for entry in event.output), strict=True)
    changes: list[tuple[str | int, Change]] = [(place, being(entry)) for place, entry in entries]
    return write(document, event, SHELL_OUTPUT, _changing(changes), at) if changes else document


def set_status(document: Document, event: Any, at: int) -> Document:
    """Set the item's status if it has one: an invented field would not be what the server sent."""
    status: str = event.type.rpartition(".")[2]
    # MKA1's shell_call has no status `executing`.
    value = Raw(b'"%b"' % ("in_progress" if status == "executing" else status).encode())
    target = TARGETS[type(event)]
    return write(document, event, target, lambda item: _with_status(item, target, value), at)


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
