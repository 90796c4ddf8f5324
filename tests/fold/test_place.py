"""located: an event without an index goes to its item by id, else to what was opened last; with one, the index decides."""

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given

from streamfold import AnomalyKind, Event, State, checkpoint, decode_event, fold, restore, snapshot_json
from streamfold.fold.place import INDEXES_OF, path_of_added
from streamfold.schema import EVENT_TYPES
from streamfold.schema import event as wire
from tests.fold.made import seen, tolerated
from tests.fold.recorded import value
from tests.fold.streams import Story, one_by_one, stories

Json = dict[str, Any]
ADDED, DONE = "output_item.added", "output_item.done"
DELTA, TEXT_DONE = "output_text.delta", "output_text.done"
PART_ADDED, PART_DONE = "content_part.added", "content_part.done"
ARGUMENTS, SUMMARY, REFUSAL = "function_call_arguments.delta", "reasoning_summary_text.delta", "refusal.delta"
COMMAND_ADDED, COMMAND = "shell_call_command.added", "shell_call_command.delta"
ANNOTATION, OUTPUT = "output_text.annotation.added", "shell_call_output_content"


def text(value: str = "") -> Json:
    return {"type": "output_text", "text": value}


def message(item_id: str | None = "m", *parts: Json) -> Json:
    return {"type": "message", "id": item_id, "role": "assistant", "content": list(parts)}


def call(item_id: str | None = "f", arguments: str = "") -> Json:
    return {"type": "function_call", "id": item_id, "arguments": arguments}


def shell(item_id: str = "s", *commands: str) -> Json:
    return {"type": "shell_call", "id": item_id, "action": {"commands": list(commands)}}


def folded(*events: tuple[str, Json], state: State | None = None) -> State:
    start = -1 if state is None or state.cursor is None else state.cursor
    payloads = [
        {"type": f"response.{name}", "sequence_number": number, **fields}
        for number, (name, fields) in enumerate(events, start + 1)
    ]
    return fold([decode_event(msgspec.json.encode(each)) for each in payloads], state or State())


CASES = [
    pytest.param(
        [(ADDED, {"item": message("a")}), (ADDED, {"item": message("b")}), (DELTA, {"item_id": "a", "delta": "x"})],
        [message("a", text("x")), message("b")],
        id="to the item with its id",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (ADDED, {"item": message("b")}), (DELTA, {"delta": "x"})],
        [message("a"), message("b", text("x"))],
        id="to the item opened last",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (DELTA, {"item_id": "other", "delta": "x"})],
        [message("a", text("x"))],
        id="to the item opened last, if no item has its id",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (ADDED, {"item": call("b")}), (DELTA, {"delta": "x"})],
        [message("a", text("x")), call("b")],
        id="to the one opened last of those to which it may belong",
    ),
    pytest.param(
        [
            (ADDED, {"output_index": 1, "item": message("b")}),
            (ADDED, {"output_index": 0, "item": message("a")}),
            (DELTA, {"delta": "x"}),
        ],
        [message("a", text("x")), message("b")],
        id="opened last is not the highest index",
    ),
    pytest.param(
        [
            (ADDED, {"item": message("a")}),
            (ADDED, {"item": message("b")}),
            (ADDED, {"output_index": 0, "item": message("a")}),
            (DELTA, {"delta": "x"}),
        ],
        [message("a", text("x")), message("b")],
        id="an item that is added again is the one opened last",
    ),
    pytest.param(
        [
            (ADDED, {"item": message("a")}),
            (ADDED, {"item": message("b")}),
            (DONE, {"item": message("b")}),
            (DELTA, {"delta": "x"}),
        ],
        [message("a", text("x")), message("b")],
        id="an open one before a closed one",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (DONE, {"item": message("a")}), (DELTA, {"delta": "x"})],
        [message("a", text("x"))],
        id="a closed one, if none is open",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (ARGUMENTS, {"item_id": "f", "delta": "{}"})],
        [message("a"), call("f", "{}")],
        id="to a new item, if there is none to which it may belong",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (ARGUMENTS, {"item_id": "a", "delta": "{}"})],
        [message("a")],
        id="the id decides, even where it does not fit",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (DONE, {"item": message("a", text("x"))})],
        [message("a", text("x"))],
        id="done closes the item with its id",
    ),
    pytest.param(
        [
            (ADDED, {"item": message("a")}),
            (ADDED, {"item": call("b")}),
            (DONE, {"item": message("other", text("x"))}),
        ],
        [message("other", text("x")), call("b")],
        id="done closes the open item of its type",
    ),
    pytest.param(
        [(DONE, {"item": message(None, text("x"))}), (DONE, {"item": message(None, text("y"))})],
        [message(None, text("x")), message(None, text("y"))],
        id="done opens a new item where none is open",
    ),
    pytest.param(
        [(ADDED, {"item": message("a")}), (ADDED, {"item": message("a")})],
        [message("a"), message("a")],
        id="added opens a new item",
    ),
    pytest.param(
        [(ADDED, {"output_index": 4, "item": message("a")}), (ADDED, {"item": message("b")})],
        [message("a"), message("b")],
        id="added opens a new item after the highest index",
    ),
    pytest.param(
        [(ADDED, {"output_index": None, "item": message("a")}), (DELTA, {"content_index": None, "delta": "x"})],
        [message("a", text("x"))],
        id="null is none",
    ),
    pytest.param(
        [(ADDED, {"item": message("a", text("x"), text("y"))}), (DELTA, {"delta": "z"})],
        [message("a", text("x"), text("yz"))],
        id="to the part opened last",
    ),
    pytest.param(
        [
            (ADDED, {"item": message("a")}),
            (PART_ADDED, {"part": text()}),
            (PART_ADDED, {"part": text()}),
            (PART_DONE, {"part": text("two")}),
            (DELTA, {"delta": "x"}),
        ],
        [message("a", text("x"), text("two"))],
        id="to the open part",
    ),
    pytest.param(
        [(PART_DONE, {"part": text("x")}), (PART_DONE, {"part": text("y")})],
        [message(None, text("x"), text("y"))],
        id="a done part opens a new one where none is open",
    ),
    pytest.param(
        [(ADDED, {"item": message("a", text("x"))}), (REFUSAL, {"delta": "no"})],
        [message("a", text("x"), {"type": "refusal", "refusal": "no"})],
        id="to a new part, if there is none to which it may belong",
    ),
    pytest.param(
        [(DELTA, {"output_index": 0, "delta": "x"}), (TEXT_DONE, {"output_index": 0, "text": "xy"})],
        [message(None, text("xy"))],
        id="done sets the text of the part opened last",
    ),
    pytest.param(
        [(SUMMARY, {"output_index": 0, "delta": "x"}), (SUMMARY, {"output_index": 0, "delta": "y"})],
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "xy"}]}],
        id="without a summary_index",
    ),
    pytest.param(
        [(ADDED, {"item": message("a", text("x"))}), *[(ANNOTATION, {"annotation": {"n": n}}) for n in (1, 2)]],
        [message("a", {**text("x"), "annotations": [{"n": 1}, {"n": 2}]})],
        id="an annotation goes to the end of the list",
    ),
    pytest.param(
        [
            (ADDED, {"item": message("a", text("x"))}),
            (ANNOTATION, {"annotation_index": 0, "annotation": {"n": 1}}),
        ],
        [message("a", {**text("x"), "annotations": [{"n": 1}]})],
        id="an annotation that only names its own index",
    ),
    pytest.param(
        [(ADDED, {"item": message("a", text("x"))}), (ANNOTATION, {"content_index": 0, "annotation": {"n": 1}})],
        [message("a", {**text("x"), "annotations": [{"n": 1}]})],
        id="an annotation that only names its part",
    ),
    pytest.param(
        [
            (ADDED, {"item": shell()}),
            (COMMAND_ADDED, {"command": "l"}),
            (COMMAND_ADDED, {"command": "c"}),
            (COMMAND, {"delta": "d"}),
        ],
        [shell("s", "l", "cd")],
        id="a command goes to the end of the list, and grows there",
    ),
    pytest.param(
        [
            (ADDED, {"item": {"type": "shell_call_output"}}),
            (f"{OUTPUT}.delta", {"delta": {"stdout": "x"}}),
            (f"{OUTPUT}.done", {"output": [{"stdout": "xy"}]}),
        ],
        [{"type": "shell_call_output", "output": [{"stdout": "xy"}]}],
        id="what a command printed",
    ),
    pytest.param(
        [(ADDED, {"item": {**call(), "type": "mcp_call", "status": "in_progress"}}), ("mcp_call.failed", {})],
        [{**call(), "type": "mcp_call", "status": "failed"}],
        id="a status",
    ),
]


def without_nothing(items: list[Json]) -> list[Json]:
    return [{key: each for key, each in item.items() if each is not None} for item in items]


@pytest.mark.parametrize(("events", "expected"), CASES)
def test_an_event_without_an_index_goes(events: list[tuple[str, Json]], expected: list[Json]) -> None:
    state = folded(*events)
    assert without_nothing(seen(state)["output"]) == without_nothing(expected)
    missing = sum(
        fields.get("output_index") is None or not {"item", "content_index"} & set(fields) for _, fields in events
    )
    assert {kind: count for kind, count, _ in tolerated(state)}["index_assumed"] == missing


@pytest.mark.parametrize(("events", "expected"), CASES)
def test_what_was_opened_last_survives_a_checkpoint(events: list[tuple[str, Json]], expected: list[Json]) -> None:
    for place in range(len(events)):
        state = restore(checkpoint(folded(*events[:place])))
        assert without_nothing(seen(folded(*events[place:], state=state))["output"]) == without_nothing(expected)


@pytest.mark.parametrize("index", [-1, 10_000])
@pytest.mark.parametrize("name", ["output_index", "content_index"])
def test_an_index_out_of_bounds_is_no_missing_one(index: int, name: str) -> None:
    state = folded(
        (ADDED, {"item": message()}), (DELTA, {"output_index": 0, "content_index": 0, name: index, "delta": "x"})
    )
    assert seen(state)["output"] == [message()]
    assert [kind for kind, _, _ in tolerated(state)] == ["index_assumed", "index_refused"]


def test_an_index_decides_whatever_the_id_says() -> None:
    items = ((ADDED, {"item": message("a")}), (ADDED, {"item": message("b")}))
    state = folded(*items, (DELTA, {"output_index": 0, "content_index": 0, "item_id": "b", "delta": "x"}))
    assert seen(state)["output"] == [message("a", text("x")), message("b")]


def test_beyond_the_last_index_there_is_no_room() -> None:
    full = ((ADDED, {"output_index": 9_999, "item": message("a")}), (ADDED, {"item": message("b")}))
    assert [kind for kind, _, _ in tolerated(folded(*full))] == ["index_assumed", "index_refused"]


def test_an_event_that_needs_no_index_is_no_anomaly_without_one() -> None:
    state = folded((ADDED, {"output_index": 0, "item": message()}), ("mcp_list_tools.completed", {}))
    assert tolerated(state) == []


def test_every_type_that_changes_an_item_is_listed() -> None:
    """Each type of the wire with an index, but for those that the fold does not look at."""
    indexed = {kind for kind in EVENT_TYPES.values() if "output_index" in kind.__struct_fields__}
    for kind in INDEXES_OF:
        names = [name for name in kind.__struct_fields__ if name.endswith("_index")]
        assert len(set(names)) == len(names) <= len(INDEXES_OF[kind](kind(**made(kind))))
    assert set(INDEXES_OF) <= indexed
    assert wire.OutputTextDelta in INDEXES_OF


def made(kind: type) -> Json:
    values = {str: "x", msgspec.Raw: msgspec.Raw(b"{}")}
    return {each.name: values.get(each.type, ()) for each in msgspec.structs.fields(kind) if each.required}


# The law: without its indexes a stream gives the same items


def without_indexes(story: Story, *also: str) -> list[Event]:
    events = []
    for payload in story.payloads[:-1]:
        left = {key: each for key, each in payload.items() if not key.endswith("_index") and key not in also}
        events.append(decode_event(msgspec.json.encode(left)))
    return events


def items_by_id(state: State) -> list[Json]:
    return sorted(value(snapshot_json(state))["output"], key=lambda item: item["id"])


@given(stories(parts=one_by_one))
def test_without_indexes_the_ids_say_the_same(story: Story) -> None:
    assume(sum(item["type"] == "shell_call" for item in story.output) < 2)  # its events have no id
    state = fold(without_indexes(story))
    assert items_by_id(state) == items_by_id(fold(story.events[:-1]))
    assert {anomaly.kind for anomaly in state.anomalies} <= {AnomalyKind.INDEX_ASSUMED}


@given(stories(items=one_by_one, parts=one_by_one))
def test_without_indexes_and_ids_the_order_says_the_same(story: Story) -> None:
    state = fold(without_indexes(story, "item_id"))
    assert snapshot_json(state) == snapshot_json(fold(story.events[:-1]))
    assert {anomaly.kind for anomaly in state.anomalies} <= {AnomalyKind.INDEX_ASSUMED}


# What an added event has just opened


@pytest.mark.parametrize(
    ("events", "path"),
    [
        pytest.param([(ADDED, {"output_index": 3, "item": message()})], (3,), id="an item with an index"),
        pytest.param(
            [(ADDED, {"output_index": 3, "item": message()}), (ADDED, {"item": message()})], (4,), id="an item"
        ),
        pytest.param(
            [(PART_ADDED, {"output_index": 1, "content_index": 2, "part": text()})], (1, "content", 2), id="a part"
        ),
        pytest.param(
            [(PART_ADDED, {"part": text()}), (PART_ADDED, {"part": text()})], (0, "content", 1), id="a part without one"
        ),
        pytest.param([(ADDED, {"item": None})], (0,), id="a null item"),
    ],
)
def test_the_path_of_what_was_added_is_known_without_an_index_too(events: list[tuple[str, Json]], path: Any) -> None:
    name, fields = events[-1]
    last: Any = decode_event(msgspec.json.encode({"type": f"response.{name}", **fields}))
    assert path_of_added(folded(*events).focus.document, last) == path
