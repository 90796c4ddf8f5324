"""checkpoint and restore: the same state from bytes, later events fold alike, and bytes that are none are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.json import encode

from streamfold.errors import MalformedCheckpoint
from streamfold.fold.checkpoint import VERSION, checkpoint, restore
from streamfold.fold.reduce import fold, reduce
from streamfold.fold.snapshot import snapshot_json
from streamfold.fold.state import Document, GrowingText, SequencePolicy, State, StreamError
from streamfold.fold.text import Text
from streamfold.fold.tree import Array, Elements, Object
from streamfold.schema import ErrorEvent, Event, OutputItemDone, decode_event
from tests.conftest import for_every
from tests.fold.made import MESSAGE, added, completed, created, delta, event, keepalive, seen

SPELLINGS = Raw(b'{"z" : 1E400,"big":123456789012345678901234567890,"s":"\\u0041","n":{ }}')
STREAM: list[Event] = [
    created(7, id="resp_1", status="in_progress", output=[]),
    added(8),
    delta(9, "Hel"),
    delta(10, "lo"),
    event("response.output_text.delta", 11, output_index=0, content_index=0, delta="!", logprobs=[{"p": 0.5}]),
    delta(12, "early", item=3, part=5),
    event("response.mcp_call.failed", 13, output_index=0),
    event("error", 14, error={"code": "c", "message": "m"}),
    event("response.output_text.delta", 15),
    decode_event(b"{torn"),
    keepalive(16),
    added(17, {"type": "message", "content": None}, index=1),
    delta(18, "a", item=1),
    delta(19, "b", item=1),
    completed(20, id="resp_1", status="completed", output=[]),
    delta(21, "late"),
]


def of_document(**fields: Any) -> State:
    return State(3, GrowingText(Document(**fields)))


STATES = [
    pytest.param(State(), id="nothing seen"),
    pytest.param(State.under(SequencePolicy.RENUMBER), id="renumbered"),
    pytest.param(State.under(SequencePolicy.ARRIVAL), id="by arrival"),
    pytest.param(fold([keepalive(-(10**30))]), id="a number below 64 bits"),
    pytest.param(fold([created(0)]), id="a Response without fields"),
    pytest.param(fold([created(0, id=None, status=None, output=None)]), id="null in every field"),
    pytest.param(fold([added(None), delta(None, "a")]), id="no numbers"),
    pytest.param(fold([added(0), delta(1, "a"), delta(2, "b")]), id="a growing text"),
    pytest.param(fold([added(0, {}, index=9_999), added(1, {}, index=4)]), id="holes in the output"),
    pytest.param(fold([delta(0, "a", item=2, part=7)]), id="holes in an item"),
    pytest.param(fold(STREAM[:5]), id="logprobs"),
    pytest.param(fold(STREAM), id="all at once"),
    pytest.param(fold([completed(0, status="failed")]), id="closed"),
    pytest.param(fold([event("error", 0)]), id="an error that says nothing"),
    pytest.param(fold([event("error", 0, code='"', message="\n\u20ac\0", param="")]), id="words with escapes"),
    pytest.param(fold([OutputItemDone(sequence_number=0, output_index=0, item=SPELLINGS)]), id="odd spellings"),
    pytest.param(
        of_document(head=Object(a=Object(), b=Array(), c=Text(), d=Elements(Text()))), id="empty of each kind"
    ),
    pytest.param(of_document(head=Object({"": Raw(b"null"), "raw": Raw(b'{"text":"a"}')})), id="our own words as keys"),
    pytest.param(of_document(output=Array({0: Text().push("a"), 1: Elements(Text().push("1,2"))})), id="odd items"),
    pytest.param(of_document(error=StreamError("c", "m", "p", "t"), status="new"), id="all words of an error"),
]


@pytest.mark.parametrize("state", STATES)
def test_a_restored_state_is_equal(state: State) -> None:
    restored = restore(checkpoint(state))
    assert restored == state
    assert (restored.status, restored.error, restored.anomalies) == (state.status, state.error, state.anomalies)
    assert snapshot_json(restored) == snapshot_json(state)


@pytest.mark.parametrize("state", STATES)
def test_a_checkpoint_of_a_restored_state_is_the_same_bytes(state: State) -> None:
    assert checkpoint(restore(checkpoint(state))) == checkpoint(state)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_later_events_fold_alike_on_a_restored_state(cut: int) -> None:
    restored = restore(checkpoint(fold(STREAM[:cut])))
    assert fold(STREAM[cut:], restored) == fold(STREAM)


@pytest.mark.parametrize("cut", range(1, len(STREAM) + 1))
def test_a_restored_state_knows_its_duplicates(cut: int) -> None:
    restored = restore(checkpoint(fold(STREAM[:cut])))
    assert reduce(restored, STREAM[0]) is restored


def test_an_item_that_comes_late_finds_its_hole() -> None:
    state = restore(checkpoint(fold([added(0, {"type": "b"}, index=5), delta(1, "a", item=5, part=2)])))
    state = fold([added(2, {"type": "a"}, index=1), delta(3, "x", item=5, part=0)], state)
    shown = seen(state)["output"]
    assert [item["type"] for item in shown] == ["a", "b"]
    assert [part["text"] for part in shown[1]["content"]] == ["x", "a"]


def test_a_checkpoint_is_one_readable_object_of_one_version() -> None:
    saved = json.loads(checkpoint(fold(STREAM[:5])))
    assert (saved["type"], saved["version"], saved["cursor"]) == ("streamfold.checkpoint", VERSION, 11)


def test_taking_a_checkpoint_leaves_the_state_as_it_was() -> None:
    state = fold(STREAM[:4])
    assert checkpoint(state) == checkpoint(state)
    assert (state.output_text, state.previous is None) == ("Hello", False)


# Bytes that are no checkpoint

SAVED: dict[str, Any] = json.loads(checkpoint(fold([created(0, id="a"), added(1, MESSAGE)])))


def saved(**changes: Any) -> bytes:
    return encode(SAVED | changes)


@pytest.mark.parametrize("version", [0, 2, -1, 10**20])
def test_another_version_is_refused_by_its_number(version: int) -> None:
    with pytest.raises(MalformedCheckpoint) as raised:
        restore(saved(version=version))
    assert raised.value.reason == f"its version is {version}, and this streamfold reads version 1"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "Input data was truncated", id="nothing"),
        pytest.param(b"rubbish", "JSON is malformed: invalid character (byte 0)", id="rubbish"),
        pytest.param(b"[]", "Expected `object`, got `array`", id="an array"),
        pytest.param(b"null", "Expected `object`, got `null`", id="null"),
        pytest.param(b'{"id":"resp_1"}', "Object missing required field `version`", id="a Response"),
        pytest.param(saved(type="other"), "Invalid value 'other' - at `$.type`", id="another type"),
        pytest.param(saved(version="1"), "Expected `int`, got `str` - at `$.version`", id="a version that is none"),
        pytest.param(saved(cursor="9"), "Expected `int | null`, got `str` - at `$.cursor`", id="a cursor that is none"),
        pytest.param(saved(cursor=9.5), "Expected `int | null`, got `float` - at `$.cursor`", id="half a cursor"),
        pytest.param(saved(status=5), "Expected `str | null`, got `int` - at `$.status`", id="a status that is none"),
        pytest.param(saved(error="c"), "Expected `object`, got `str` - at `$.error`", id="an error that is none"),
        pytest.param(saved(is_closed=0), "Expected `bool`, got `int` - at `$.is_closed`", id="a claim that is none"),
        pytest.param(saved(policy="new"), "Invalid enum value 'new' - at `$.policy`", id="a policy nobody knows"),
        pytest.param(
            saved(anomalies=[{"kind": "new", "count": 1, "first": 0}]),
            "Invalid enum value 'new' - at `$.anomalies",
            id="an anomaly nobody knows",
        ),
        pytest.param(saved(anomalies=None), "Expected `array`, got `null` - at `$.anomalies`", id="anomalies null"),
        pytest.param(saved(head=[]), "Expected `object`, got `array`", id="a head that is no node"),
        pytest.param(saved(head="a"), "Expected `object`, got `str`", id="a head that is a string"),
        pytest.param(saved(head={"text": "a"}), "its Response is not an object", id="a head that is a text"),
        pytest.param(saved(head={"values": {}}), "its Response is not an object", id="a head that is an array"),
        pytest.param(saved(head={"raw": []}), "its Response is not an object", id="a head of other bytes"),
        pytest.param(saved(output=None), "its Response is not an object", id="no output"),
        pytest.param(saved(output={"fields": {}}), "its Response is not an object", id="an output that is an object"),
        pytest.param(saved(output={"elements": []}), "its Response is not an object", id="an output of elements"),
        pytest.param(
            saved(output={"values": {"a": {"raw": 1}}}),
            "Expected `int`, got `str` - at `key` in `$.values`",
            id="an index that is none",
        ),
        pytest.param(saved(output={"values": {"0": 5}}), "Expected `object`, got `int`", id="an item that is no node"),
        pytest.param(
            saved(head={"fields": {"a": {"text": 5}}}),
            "Expected `str | null`, got `int` - at `$.text`",
            id="a text that is none",
        ),
        pytest.param(
            saved(head={"fields": {"a": {"fields": []}}}),
            "Expected `object | null`, got `array` - at `$.fields`",
            id="fields that are none",
        ),
    ],
)
def test_bytes_that_are_no_checkpoint_are_refused_and_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedCheckpoint) as raised:
        restore(data)
    assert raised.value.reason.startswith(reason)


# Fields that came later: a checkpoint without them is read as one that has nothing to say about them.
LATER = {"is_mixed", "uncounted", "closed", "response_id", "ids_drift", "is_foreign", "runs"}


@pytest.mark.parametrize("name", SAVED)
def test_no_field_of_a_checkpoint_may_be_missing_but_its_type_and_later_ones(name: str) -> None:
    data = encode({key: value for key, value in SAVED.items() if key != name})
    if name in LATER:
        assert restore(data).cursor == restore(encode(SAVED)).cursor
    elif name == "type":
        assert restore(data) == restore(encode(SAVED))
    else:
        with pytest.raises(MalformedCheckpoint, match=f"Object missing required field `{name}`"):
            restore(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(status="Q").replace(b"Q", b"\xff"), id="in the status"),
        pytest.param(saved(head={"fields": {"a": {"text": "Q"}}}).replace(b"Q", b"\xff"), id="in a text"),
        pytest.param(saved(head={"fields": {"Q": {"raw": 1}}}).replace(b"Q", b"\xff"), id="in a key"),
    ],
)
def test_a_checkpoint_that_is_no_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCheckpoint, match="invalid start byte"):
        restore(data)


def test_a_checkpoint_nested_deeper_than_any_state_is_refused() -> None:
    levels = 100_000
    deep = b'{"fields":{"a":' * levels + b'{"raw":1}' + b"}}" * levels
    with pytest.raises(MalformedCheckpoint, match="recursion"):
        restore(saved(head="deep").replace(b'"deep"', deep))


def test_the_cause_of_a_refusal_is_kept() -> None:
    with pytest.raises(MalformedCheckpoint) as raised:
        restore(b"rubbish")
    assert str(raised.value.__cause__) == raised.value.reason


@for_every("length", range(len(encode(SAVED))))
def test_a_checkpoint_cut_short_anywhere_is_refused(length: int) -> None:
    with pytest.raises(MalformedCheckpoint):
        restore(encode(SAVED)[:length])


# Laws


@given(st.binary())
def test_any_bytes_are_refused_or_restored(data: bytes) -> None:
    with pytest.raises(MalformedCheckpoint):
        restore(data)


@given(st.lists(st.sampled_from(STREAM), max_size=20))
def test_a_checkpoint_may_be_taken_anywhere(events: list[Event]) -> None:
    state = fold(events, State.under(SequencePolicy.ARRIVAL))
    restored = restore(checkpoint(state))
    assert restored == state
    assert fold(STREAM, restored) == fold(STREAM, state)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(delta(0, "\ud800"), id="in a text"),
        pytest.param(ErrorEvent(sequence_number=0, code="\ud800"), id="in an error"),
    ],
)
def test_half_a_surrogate_pair_is_saved_as_the_replacement_character(made: Event) -> None:
    assert b"\xef\xbf\xbd" in checkpoint(fold([made]))


@pytest.mark.parametrize("node", [{}, {"elements": "junk"}, {"elements": ","}])
def test_a_node_that_holds_nothing_is_refused(node: dict[str, str]) -> None:
    with pytest.raises(MalformedCheckpoint, match="one of its nodes holds nothing"):
        restore(saved(head={"fields": {"id": node}}))


@pytest.mark.parametrize("index", ["-5", "10000"])
def test_an_index_out_of_bounds_is_refused(index: str) -> None:
    with pytest.raises(MalformedCheckpoint, match="Expected `int`"):
        restore(saved(output={"values": {index: {"raw": 1}}}))


def test_bytes_inside_that_are_no_utf8_are_refused() -> None:
    data = saved(head={"fields": {"id": {"raw": "QQ"}}}).replace(b"QQ", b"\xff")
    with pytest.raises(MalformedCheckpoint, match="utf-8"):
        restore(data)
