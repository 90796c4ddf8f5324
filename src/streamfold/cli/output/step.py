"""One event with the states around it, and what it changed in a few words: `output[0].content[0].text += "Hel"`.

The paths are those of the fold operations in docs/reference/events.md.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from streamfold.fold import AnomalyKind, State, snapshot
from streamfold.schema import Event
from streamfold.schema import event as wire

MAX_QUOTED = 40  # characters of a text
NOTHING = "nothing in the Response"
NOT_APPLIED = {
    AnomalyKind.AFTER_TERMINAL,
    AnomalyKind.DUPLICATE_DIFFERS,
    AnomalyKind.INDEX_REFUSED,
    AnomalyKind.MISFIT,
    AnomalyKind.OTHER_RESPONSE,
}

# The events that add to a text and that give it whole, the field of the latter, and the path below the item or part.
GROWING = (
    (wire.OutputTextDelta, wire.OutputTextDone, "text", "text"),
    (wire.RefusalDelta, wire.RefusalDone, "refusal", "refusal"),
    (wire.ReasoningDelta, wire.ReasoningDone, "text", "text"),
    (wire.ReasoningTextDelta, wire.ReasoningTextDone, "text", "text"),
    (wire.ReasoningSummaryTextDelta, wire.ReasoningSummaryTextDone, "text", "text"),
    (wire.CodeInterpreterCallCodeDelta, wire.CodeInterpreterCallCodeDone, "code", "code"),
    (wire.CustomToolCallInputDelta, wire.CustomToolCallInputDone, "input", "input"),
    (wire.FunctionCallArgumentsDelta, wire.FunctionCallArgumentsDone, "arguments", "arguments"),
    (wire.McpCallArgumentsDelta, wire.McpCallArgumentsDone, "arguments", "arguments"),
    (wire.ApplyPatchCallOperationDiffDelta, wire.ApplyPatchCallOperationDiffDone, "diff", "operation.diff"),
    (wire.ShellCallCommandDelta, wire.ShellCallCommandDone, "command", ""),
)
# The field that an event carries, and the path it changes.
TEXTS: Mapping[type, tuple[str, str]] = {
    wire.ShellCallCommandAdded: ("command", ""),
    **{delta: ("delta", path) for delta, _, _, path in GROWING},
    **{done: (field, path) for _, done, field, path in GROWING},
}
OPENS = (wire.OutputItemAdded, wire.ContentPartAdded, wire.ReasoningPartAdded, wire.ReasoningSummaryPartAdded)


class Step(Struct, frozen=True, gc=False):
    """One event, the bytes it came from, and the states around it: the same object twice for a duplicate.

    `number` is its record's, if it comes from a log.
    """

    event: Event
    data: bytes
    before: State
    after: State
    number: int | None = None


class _Label(Struct):
    """What names an item or part. The server may have put anything here."""

    type: object = None
    status: object = None


_decode_label = Decoder(_Label).decode


def describe_change(step: Step) -> str:
    """Say what the event changed, or why it changed nothing. Anomalies that it caused follow `!`."""
    if step.after is step.before:
        return "duplicate"
    noted = _new_anomalies(step.before, step.after)
    has_error = isinstance(step.event, wire.ErrorEvent) and step.after.error is not step.before.error
    change = "not applied" if NOT_APPLIED & set(noted) and not has_error else _change(step)
    return f"{change} ! {', '.join(noted)}" if noted else change


def _new_anomalies(before: State, after: State) -> list[AnomalyKind]:
    if after.anomalies is before.anomalies:
        return []
    counts = {each.kind: each.count for each in before.anomalies}
    return [each.kind for each in after.anomalies if each.count != counts.get(each.kind)]


def _change(step: Step) -> str:
    if type(step.event) in TEXTS:
        return _text(step.event)
    match step.event:
        case wire.UnknownEvent(error=error):
            return f"unreadable: {' '.join(error.split())}" if error else "unknown"
        case wire.ResponseEvent():
            return _status(step.before.status, step.after.status)
        case wire.ErrorEvent():
            return f"error: {' '.join(error_words(step.after.error).split())}"
        case wire.ItemEvent(item=value) | wire.ContentPartEvent(part=value) | wire.SummaryPartEvent(part=value):
            return f"{_place(step.event)} {_opened_or_closed(step.event, value)}"
        case wire.InItem() as event:
            return _change_in_item(event, step)
        case _:
            return NOTHING


def _change_in_item(event: wire.InItem, step: Step) -> str:
    match event:
        case wire.OutputTextAnnotationAdded(annotation_index=index, annotation=annotation):
            return f"{_place(event)}.annotations[{_index(index)}] = {_name(annotation)}"
        case wire.ShellCallOutputContentDelta():
            return f"{_place(event)} += what it printed"
        case wire.ShellCallOutputContentDone():
            return f"{_place(event)} = what it printed"
        case _:
            return _item_status(event, step)


def _status(before: str | None, after: str | None) -> str:
    if before == after:
        return f"status: still {after}"
    return f"status: {after}" if before is None else f"status: {before} → {after}"


def error_words(error: Any) -> str:
    """Say what a StreamError or a ResponseError holds, if there is one: its code and its message."""
    return ": ".join(str(each) for each in (error.code, error.message) if each) if error else ""


def _place(event: Any) -> str:
    """The path of the item or part that the event belongs to."""
    item = f"output[{_index(event.output_index)}]"
    match event:
        case wire.InContent(content_index=index):
            return f"{item}.content[{_index(index)}]"
        case wire.InSummary(summary_index=index):
            return f"{item}.summary[{_index(index)}]"
        case wire.ShellCallCommandAdded() | wire.ShellCallCommandDelta() | wire.ShellCallCommandDone():
            return f"{item}.action.commands[{_index(event.command_index)}]"
        case wire.ShellCallOutputContentDelta() | wire.ShellCallOutputContentDone():
            return f"{item}.output[{_index(event.command_index)}]"
        case _:
            return item


def _index(index: int | None) -> str:
    """An index, or that the server sent none."""
    return "?" if index is None else str(index)


def _opened_or_closed(event: object, value: Raw) -> str:
    if value == wire.NULL:
        return "is null"
    return f"{'opened' if isinstance(event, OPENS) else 'closed'}: {_name(value)}"


def _name(value: Raw) -> str:
    """The type of an item, part or annotation, and its status if it has one."""
    if value == wire.NULL:
        return "null"
    head = _decode_label(value)
    return " ".join(str(each) for each in (head.type, head.status) if each is not None) or "no type"


def _text(event: Any) -> str:
    field, tail = TEXTS[type(event)]
    path = ".".join(each for each in (_place(event), tail) if each)
    return f"{path} {'+=' if field == 'delta' else '='} {_quoted(getattr(event, field))}"


def _quoted(text: str) -> str:
    """The text as a JSON string; a long one is cut and its length given."""
    if len(text) <= MAX_QUOTED:
        return encode(text).decode()
    return f"{encode(text[:MAX_QUOTED] + '…').decode()} ({len(text):,} characters)"


def _item_status(event: wire.InItem, step: Step) -> str:
    """What the progress of a tool call did to the item's status, which most items do not have."""
    for before, after in zip(_statuses(step.before), _statuses(step.after), strict=False):
        if before != after:
            return f"{_place(event)}.status = {encode(after).decode()}"
    return NOTHING


def _statuses(state: State) -> list[object]:
    return [getattr(item, "status", None) for item in snapshot(state).output]
