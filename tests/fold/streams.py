"""Valid streams over all event types, as Hypothesis strategies.

Each item is made backwards: first as it ends, then the events that lead there, its texts cut into deltas anywhere.
Up to three items are open at once, and the parts of one item grow in turn too, with events in between that change nothing
in the Response.
"""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any, TypeAlias

import msgspec
from attrs import frozen
from hypothesis import strategies as st

from streamfold.fold.steps import STEPS, keep
from streamfold.schema import EVENT_TYPES, Event, KnownEvent, decode_event

Payload = dict[str, Any]
Tracks: TypeAlias = list[list[Payload]]
Merge: TypeAlias = Callable[[Any, Tracks], list[Payload]]

SHORT = st.text(max_size=8)
TEXT = st.text(max_size=40)
ITEM_STATUSES = {
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "file_search_call": ("in_progress", "searching", "completed", "failed"),
    "image_generation_call": ("in_progress", "generating", "completed", "failed"),
    "mcp_call": ("in_progress", "completed", "failed"),
    "shell_call": ("in_progress", "executing", "completed"),
    "web_search_call": ("in_progress", "searching", "completed"),
}
SILENT = sorted(name for name, kind in EVENT_TYPES.items() if STEPS[kind] is keep)


@frozen
class Story:
    """One stream, and what it must fold to. output: the items as the terminal event has them."""

    payloads: tuple[Payload, ...]
    output: list[Payload]

    @property
    def data(self) -> list[bytes]:
        return [msgspec.json.encode(payload) for payload in self.payloads]

    @property
    def events(self) -> list[Event]:
        return [decode_event(data) for data in self.data]

    @property
    def body(self) -> bytes:
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (p["type"].encode(), d) for p, d in zip(self.payloads, self.data, strict=True)
        )


def pieces(draw: Any, text: str) -> list[str]:
    """The text, cut into deltas at places that are drawn."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def text_events(draw: Any, name: str, text: str, *, done: str, **where: Any) -> list[Payload]:
    """Deltas of a text, then the event that says it whole."""
    deltas = [{"type": f"response.{name}.delta", **where, "delta": piece} for piece in pieces(draw, text)]
    return [*deltas, {"type": f"response.{name}.done", **where, done: text}]


def message(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
    item_id, content, tracks = f"msg_{index}", [], []
    for place in range(draw(st.sampled_from([2, 0, 1, 2, 2]))):
        where = {"item_id": item_id, "output_index": index, "content_index": place}
        events: list[Payload] = []
        part = draw(st.sampled_from([output_text, output_text, refusal]))(draw, where, events)
        content.append(part)
        tracks.append([*events, {"type": "response.content_part.done", **where, "part": part}])
    item = {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}
    return item, merge(draw, tracks)


def output_text(draw: Any, where: Payload, events: list[Payload]) -> Payload:
    part: Payload = {"type": "output_text", "text": "", "annotations": []}
    events.append({"type": "response.content_part.added", **where, "part": part})
    text = draw(TEXT)
    events += text_events(draw, "output_text", text, done="text", **where)
    annotations = [{"type": "url_citation", "url": url} for url in draw(st.lists(SHORT, max_size=2))]
    for place, annotation in enumerate(annotations):
        name = "response.output_text.annotation.added"
        events.append({"type": name, **where, "annotation_index": place, "annotation": annotation})
    return {**part, "text": text, "annotations": annotations}


def refusal(draw: Any, where: Payload, events: list[Payload]) -> Payload:
    events.append({"type": "response.content_part.added", **where, "part": {"type": "refusal", "refusal": ""}})
    text = draw(TEXT)
    events += text_events(draw, "refusal", text, done="refusal", **where)
    return {"type": "refusal", "refusal": text}


def reasoning(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
    item_id, summary, content, tracks = f"rs_{index}", [], [], []
    for place in range(draw(st.integers(0, 2))):
        where = {"item_id": item_id, "output_index": index, "summary_index": place}
        text = draw(TEXT)
        part = {"type": "summary_text", "text": text}
        added = {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
        texts = text_events(draw, "reasoning_summary_text", text, done="text", **where)
        tracks.append([added, *texts, {"type": "response.reasoning_summary_part.done", **where, "part": part}])
        summary.append(part)
    for place in range(draw(st.integers(0, 2))):
        where = {"item_id": item_id, "output_index": index, "content_index": place}
        text = draw(TEXT)
        part = {"type": "reasoning_text", "text": text}
        kind = draw(st.sampled_from(["content_part", "reasoning_part"]))
        name = draw(st.sampled_from(["reasoning_text", "reasoning"]))
        added = {"type": f"response.{kind}.added", **where, "part": {**part, "text": ""}}
        texts = text_events(draw, name, text, done="text", **where)
        tracks.append([added, *texts, {"type": f"response.{kind}.done", **where, "part": part}])
        content.append(part)
    return {"type": "reasoning", "id": item_id, "summary": summary, "content": content}, merge(draw, tracks)


def call(item_type: str, name: str, field: str) -> Any:
    """An item with one text of its own: arguments, input or code."""

    def make(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
        item_id, text = f"call_{index}", draw(TEXT)
        events = text_events(draw, name, text, done=field, item_id=item_id, output_index=index)
        item = {"type": item_type, "id": item_id, "call_id": "c", "name": "n", "status": "completed", field: text}
        return item, progress(draw, item_type, index, item_id) + events

    return make


def progress(draw: Any, item_type: str, index: int, item_id: str) -> list[Payload]:
    """Some of the events that tell how far a tool is."""
    names = (
        draw(st.lists(st.sampled_from(ITEM_STATUSES.get(item_type, ())), max_size=3))
        if item_type in ITEM_STATUSES
        else []
    )
    where = {"item_id": item_id, "output_index": index}
    failed = {"function_call_output": "no"}
    return [{"type": f"response.{item_type}.{name}", **where, **(failed if name == "failed" else {})} for name in names]


def tool(item_type: str) -> Any:
    """An item whose result comes only when it is done."""

    def make(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
        item_id = f"tool_{index}"
        item = {"type": item_type, "id": item_id, "status": "completed", "action": {"type": "search", "query": "q"}}
        return item, progress(draw, item_type, index, item_id)

    return make


def patch(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
    item_id, text = f"apc_{index}", draw(TEXT)
    name = "apply_patch_call_operation_diff"
    events = text_events(draw, name, text, done="diff", item_id=item_id, output_index=index)
    operation = {"type": "update_file", "path": "a", "diff": text}
    return {"type": "apply_patch_call", "id": item_id, "status": "completed", "operation": operation}, events


def shell(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
    item_id, commands, events = f"sh_{index}", draw(st.lists(TEXT, max_size=2)), []
    for place, command in enumerate(commands):
        where = {"output_index": index, "command_index": place}
        events.append({"type": "response.shell_call_command.added", **where, "command": ""})
        events += text_events(draw, "shell_call_command", command, done="command", **where)
    item = {"type": "shell_call", "id": item_id, "status": "completed", "action": {"commands": commands}}
    return item, events + progress(draw, "shell_call", index, item_id)


def shell_output(draw: Any, index: int, merge: Merge) -> tuple[Payload, list[Payload]]:
    item_id, output, events = f"sho_{index}", [], []
    for place in range(draw(st.integers(0, 2))):
        where = {"item_id": item_id, "output_index": index, "command_index": place}
        entry = {"stdout": draw(TEXT), "stderr": draw(SHORT), "outcome": {"type": "exit", "exit_code": 0}}
        deltas = [{"stdout": piece} for piece in pieces(draw, entry["stdout"])] + [{"stderr": entry["stderr"]}]
        name = "response.shell_call_output_content"
        events += [{"type": f"{name}.delta", **where, "delta": delta} for delta in deltas]
        events.append({"type": f"{name}.done", **where, "output": [entry]})
        output.append(entry)
    return {"type": "shell_call_output", "id": item_id, "status": "completed", "output": output}, events


MAKERS = [
    message,
    message,
    reasoning,
    call("function_call", "function_call_arguments", "arguments"),
    call("custom_tool_call", "custom_tool_call_input", "input"),
    call("mcp_call", "mcp_call_arguments", "arguments"),
    call("code_interpreter_call", "code_interpreter_call_code", "code"),
    tool("web_search_call"),
    tool("file_search_call"),
    tool("image_generation_call"),
    tool("mcp_list_tools"),
    patch,
    shell,
    shell_output,
]


def opening(item: Payload) -> Payload:
    """The item as it is added: its texts empty, its lists too, its status open."""
    empty: Payload = {}
    for key, value in item.items():
        match value:
            case list():
                empty[key] = []
            case dict():
                empty[key] = opening(value)
            case str() if key in ("arguments", "input", "code", "diff"):
                empty[key] = ""
            case _:
                empty[key] = value
    return {**empty, "status": "in_progress"} if "status" in item else empty


def silent(draw: Any) -> Payload:
    """An event that says nothing about the Response, of a type that is drawn, or of none that is known."""
    name = draw(st.sampled_from([*SILENT, "response.not_known_yet", "error"]))
    if name not in EVENT_TYPES:
        return {"type": name, "payload": draw(SHORT)}
    return {"type": name, **{field: made(kind) for field, kind in required_fields(EVENT_TYPES[name]).items()}}


def required_fields(kind: type[KnownEvent]) -> dict[str, Any]:
    return {each.name: each.type for each in msgspec.structs.fields(kind) if each.required}


def made(kind: Any) -> Any:
    """The least value of a field's type."""
    return {str: "x", int: 0, msgspec.Raw: {}}.get(kind, [])


def response(status: str, output: list[Payload]) -> Payload:
    """A Response with this status and output, and fields that nobody models."""
    return {"id": "resp_1", "object": "response", "status": status, "output": output, "x_new": {"a": [1, None]}}


def one_by_one(draw: Any, tracks: Tracks) -> list[Payload]:
    """The events of items or parts, each after the one before it."""
    return [payload for track in tracks for payload in track]


def merged(draw: Any, tracks: Tracks) -> list[Payload]:
    """The events of items or parts that are open at once, each track in its order: in turn, or as it is drawn."""
    events: list[Payload] = []
    if draw(st.booleans()):
        return [payload for turn in zip_longest(*tracks) for payload in turn if payload is not None]
    while tracks := [track for track in tracks if track]:
        track = tracks[draw(st.integers(0, len(tracks) - 1))]
        events.append(track.pop(0))
    return events


@st.composite
def stories(draw: Any, *, max_items: int = 3, items: Merge = merged, parts: Merge = merged) -> Story:
    """One whole stream: opened, a few items, silent events between, and a terminal event.

    items, parts: How the events of several items, and of several parts of one item, follow each other.
    """
    opened = draw(st.sampled_from([["created", "in_progress"], ["created", "queued", "in_progress"], ["created"]]))
    events = [{"type": f"response.{name}", "response": response(status_of(name), [])} for name in opened]
    output, tracks = [], []
    # Items of any kind, or all of one kind, most often messages: their texts can only be told apart by their indexes.
    makers = draw(st.sampled_from([MAKERS, MAKERS[:1], *([maker] for maker in MAKERS)]))
    for index in range(draw(st.integers(0, max_items))):
        item, between = draw(st.sampled_from(makers))(draw, index, parts)
        added = {"type": "response.output_item.added", "output_index": index, "item": opening(item)}
        tracks.append([added, *between, {"type": "response.output_item.done", "output_index": index, "item": item}])
        output.append(item)
    events += items(draw, tracks)
    for place in sorted(draw(st.lists(st.integers(1, len(events)), max_size=3)), reverse=True):
        events.insert(place, silent(draw))
    end = draw(st.sampled_from(["completed", "incomplete", "failed", "cancelled"]))
    events.append({"type": f"response.{end}", "response": response(end, output)})
    return Story(tuple({**event, "sequence_number": number} for number, event in enumerate(events)), output)


def status_of(name: str) -> str:
    return "queued" if name == "queued" else "in_progress"


@st.composite
def any_events(draw: Any) -> list[Event]:
    """Events that no server would send: of any known type, with any numbers, indexes and texts, in any order."""
    payloads = draw(st.lists(invented(), max_size=12))
    return [decode_event(msgspec.json.encode(payload)) for payload in payloads]


@st.composite
def invented(draw: Any) -> Payload:
    name = draw(st.sampled_from([*sorted(EVENT_TYPES), "response.not_known_yet"]))
    payload: Payload = {"type": name}
    for each in msgspec.structs.fields(EVENT_TYPES[name]) if name in EVENT_TYPES else ():
        if each.required or draw(st.booleans()):
            payload[each.name] = draw(invented_value(each.name, each.type))
    return payload


def invented_value(name: str, kind: Any) -> st.SearchStrategy[Any]:
    if name == "sequence_number":
        return st.integers(0, 6)
    if name.endswith("_index"):
        return st.sampled_from([0, 0, 0, 1, 2, None, -1, 9_999, 10_000])
    if kind is Any:
        return INVENTED_OBJECTS
    if kind is str or kind == str | None:
        return st.one_of(SHORT, SHORT) if kind is str else st.none() | SHORT
    if kind is msgspec.Raw:
        return INVENTED_OBJECTS
    return st.lists(INVENTED_OBJECTS, max_size=2)


# Objects of the shapes that matter, with their texts and lists sometimes of a wrong type.
ODD = st.sampled_from([None, 0, "", "text", [], {}, ["x"], [{"type": "output_text", "text": "a"}], [None, 1], True])
INVENTED_OBJECTS = st.dictionaries(
    st.sampled_from(
        ["type", "text", "content", "summary", "arguments", "status", "output", "action", "stdout", "logprobs"]
    ),
    st.sampled_from(["message", "reasoning", "output_text", "completed", "cancelled"]) | ODD,
    max_size=4,
)
