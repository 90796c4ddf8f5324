"""From what a stream brought to how its response ended: the events that a reader lacks in between.

An upstream that cannot resume a stream may still return the whole Response. A reader that joins the deltas would have a
wrong text then, and most clients do join them. So the relay makes the events that lead from the one to the other. They
are made from two states alone, and so are the same for every reader, live or later.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec.json import decode, encode

from streamfold.fold import State, fold, snapshot_json
from streamfold.log import Record
from streamfold.schema import decode_event
from streamfold.serving import Fields, is_list, is_object

Event: TypeAlias = tuple[str, Fields]

# An item whose text grows in one field of its own: the field, and what its events are called.
GROWING: Mapping[str, tuple[str, str]] = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
    "code_interpreter_call": ("code", "response.code_interpreter_call_code"),
}
# A part whose text grows: the same.
PARTS: Mapping[str, tuple[str, str]] = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
    "summary_text": ("text", "response.reasoning_summary_text"),
}
# The lists of an item that hold parts: how an event names the place, and what opens and closes one.
LISTS: Mapping[str, tuple[str, str]] = {
    "content": ("content_index", "response.content_part"),
    "summary": ("summary_index", "response.reasoning_summary_part"),
}


class NoBridge(Exception):
    """What was sent is not the beginning of what the response has: no events lead from the one to the other."""


def bridge(before: State, final: State, number: int) -> Sequence[Record]:
    """The events that lead from one state to the output of another.

    Args:
        before: After the last event that the stream brought.
        final: How the response ended.
        number: The number of the first event that is made.

    Raises:
        NoBridge: The final output does not continue what was sent.
    """
    sent, wanted = _output(before), _output(final)
    if len(sent) > len(wanted):
        raise NoBridge
    records: list[Record] = []
    for index, item in enumerate(wanted):
        known = sent[index] if index < len(sent) else None
        for name, fields in _of_item(known, item):
            place = {"type": name, "sequence_number": number, "output_index": index, **fields}
            records.append(Record(number, name, encode(place)))
            number += 1
    # Indexes with holes, or items in another order, do not show in the outputs alone.
    after = fold([decode_event(each.data, each.name) for each in records], before)
    if _output(after) != wanted:
        raise NoBridge
    return records


def _output(state: State) -> list[Any]:
    output: Any = decode(snapshot_json(state)).get("output")
    return output if is_list(output) else []


def _of_item(known: Any, item: Any) -> Iterator[Event]:
    if known == item:
        return
    if not is_object(item):
        raise NoBridge
    kind, named = item.get("type"), {"item_id": item.get("id")}
    if known is None:
        known = _opened(item)
        yield "response.output_item.added", {"item": known}
    elif (
        not is_object(known) or known.get("type") != kind
    ):  # ids may differ: some gateways give new ones with each event
        raise NoBridge
    for name in LISTS:
        yield from _of_parts(name, known.get(name), item.get(name), named)
    if isinstance(kind, str) and kind in GROWING:
        field, event = GROWING[kind]
        yield from _of_text(event, field, known.get(field), item.get(field), named)
    yield "response.output_item.done", {"item": item}


def _opened(item: Fields) -> Fields:
    """The item as it was when nothing of it had been written."""
    empty: Fields = {name: [] for name in LISTS if is_list(item.get(name))}
    if (growing := GROWING.get(str(item.get("type")))) is not None:
        empty[growing[0]] = ""
    return {**item, **empty, "status": "in_progress"} if "status" in item else {**item, **empty}


def _of_parts(name: str, known: Any, wanted: Any, named: Fields) -> Iterator[Event]:
    place, event = LISTS[name]
    old = known if is_list(known) else []
    new = wanted if is_list(wanted) else []
    if len(old) > len(new):
        raise NoBridge
    for index, part in enumerate(new):
        had = old[index] if index < len(old) else None
        if had != part:
            yield from _of_part(event, had, part, {**named, place: index})


def _of_part(event: str, known: Any, part: Any, at: Fields) -> Iterator[Event]:
    growing = PARTS.get(str(part.get("type"))) if is_object(part) else None
    if known is None:
        known = {**part, growing[0]: ""} if growing is not None else part
        yield f"{event}.added", {**at, "part": known}
    if growing is not None:
        yield from _of_text(growing[1], growing[0], known.get(growing[0]), part.get(growing[0]), at)
    yield f"{event}.done", {**at, "part": part}


def _of_text(event: str, field: str, known: Any, wanted: Any, at: Fields) -> Iterator[Event]:
    old, new = known or "", wanted or ""
    if old == new:
        return
    if not isinstance(old, str) or not isinstance(new, str) or not new.startswith(old):
        raise NoBridge
    yield f"{event}.delta", {**at, "delta": new[len(old) :]}
    yield f"{event}.done", {**at, field: new}
