"""The eleven laws of docs/explanation/laws.md, on generated streams over all event types and on every recording."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streamfold import (
    AnomalyKind,
    Event,
    EventReader,
    SequenceGap,
    SequencePolicy,
    State,
    checkpoint,
    decode_event,
    fold,
    reduce,
    restore,
    snapshot,
    snapshot_json,
    states,
)
from streamfold.schema import EVENT_TYPES, KnownEvent
from tests.conftest import Recording, on_every_recording
from tests.fold.recorded import CUT_BY_HAND, UNNUMBERED, events_of, start, terminal_of, value
from tests.fold.streams import SILENT, Payload, Story, any_events, invented, stories

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def read(chunks: list[bytes]) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    places = sorted(place % (len(data) + 1) for place in places)
    return [data[begin:end] for begin, end in pairwise([0, *places, len(data)])]


def seen(state: State) -> tuple[object, ...]:
    """All that a reader of the state can see."""
    return (state.cursor, state.status, state.output_text, state.anomalies, state.error, snapshot_json(state))


# 1


@given(stories(), LINE_ENDS, st.booleans(), st.lists(st.integers(0, 1 << 20), max_size=30))
def test_cutting_the_bytes_anywhere_gives_the_same_events(
    story: Story, line_end: bytes, has_mark: bool, places: list[int]
) -> None:
    body = (b"\xef\xbb\xbf" if has_mark else b"") + story.body.replace(b"\n", line_end)
    assert read(cut(body, places)) == story.events
    assert read([body[place : place + 1] for place in range(len(body))]) == story.events


# 2


@given(stories())
def test_a_duplicate_changes_nothing(story: Story) -> None:
    events = story.events
    for place, state in enumerate(states(events)):
        for event in events[: place + 1]:
            assert reduce(state, event) is state


@on_every_recording
def test_a_duplicate_changes_nothing_on_every_recording(recording: Recording) -> None:
    events, state = events_of(recording), start(recording)
    can_be_told = recording.name not in UNNUMBERED  # without numbers an event fed twice is two events
    for event in events:
        state = reduce(state, event)
        assert (reduce(state, event) is state) == can_be_told
        assert (reduce(state, events[0]) is state) == can_be_told


# 3


@given(stories(), st.data())
def test_a_prefix_and_then_the_rest_equals_the_whole(story: Story, data: st.DataObject) -> None:
    events = story.events
    place = data.draw(st.integers(0, len(events)))
    assert seen(fold(events[place:], fold(events[:place]))) == seen(fold(events))


@on_every_recording
def test_a_prefix_and_then_the_rest_equals_the_whole_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    whole = fold(events, start(recording))
    for place in range(0, len(events), max(1, len(events) // 20)):
        assert fold(events[place:], restore(checkpoint(fold(events[:place], start(recording))))) == whole


# 4


@given(stories())
def test_a_state_never_changes(story: Story) -> None:
    kept: list[State] = []
    looks: list[tuple[object, ...]] = []
    for state in states(story.events):
        kept.append(state)
        looks.append(seen(state))
    assert [seen(state) for state in kept] == looks
    for place, state in enumerate(kept):
        assert seen(fold(story.events[: place + 1])) == seen(state), "even when another future was folded on it"


@on_every_recording
def test_a_state_never_changes_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    kept = list(states(events, start(recording)))
    texts = [state.output_text for state in kept]
    fold(reversed(events), State.under(SequencePolicy.ARRIVAL))
    assert [state.output_text for state in kept] == texts
    assert all(late.startswith(early) for early, late in pairwise(texts) if early)


# 5


@given(stories(), st.data())
def test_a_gap_is_never_swallowed(story: Story, data: st.DataObject) -> None:
    events = story.events
    place = data.draw(st.integers(1, len(events)))
    state = fold(events[:place])
    before = seen(state)
    for ahead in events[place + 1 :]:
        with pytest.raises(SequenceGap) as caught:
            reduce(state, ahead)
        assert (caught.value.expected, caught.value.got) == (place, ahead.sequence_number)
    assert seen(state) == before
    assert fold(events[place:]).cursor == fold(events).cursor or place == len(events), "any number may come first"


@on_every_recording
def test_a_gap_is_never_swallowed_on_every_recording(recording: Recording) -> None:
    events, state = events_of(recording), start(recording)
    can_be_told = recording.name not in UNNUMBERED | CUT_BY_HAND  # the latter is read by a policy that allows holes
    for event, ahead in pairwise(events):
        if state.cursor is not None:
            assert raises_gap(state, ahead) == can_be_told
        state = reduce(state, event)


def raises_gap(state: State, event: Event) -> bool:
    try:
        reduce(state, event)
    except SequenceGap:
        return True
    return False


def test_the_holes_of_a_recording_that_was_cut_by_hand_are_a_gap(recordings: list[Recording]) -> None:
    (cut_by_hand,) = [recording for recording in recordings if recording.name in CUT_BY_HAND]
    with pytest.raises(SequenceGap, match="expected event 6, got 41; resume after 5"):
        fold(events_of(cut_by_hand))


# 6


@given(any_events(), st.sampled_from(SequencePolicy))
def test_reduce_is_total(events: list[Event], policy: SequencePolicy) -> None:
    state = State.under(policy)
    for event in events:
        try:
            state = reduce(state, event)
        except SequenceGap:
            continue
        msgspec.json.decode(snapshot_json(state))
        snapshot(state)
    assert seen(restore(checkpoint(state))) == seen(state)


@given(stories(), st.randoms(use_true_random=False), st.integers(0, 40))
def test_reduce_is_total_over_reordered_and_truncated_streams(story: Story, chance: Random, count: int) -> None:
    events = story.events
    chance.shuffle(events)
    snapshot(fold(events[:count], State.under(SequencePolicy.ARRIVAL)))


@on_every_recording
def test_reduce_is_total_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    state = State.under(SequencePolicy.ARRIVAL)
    for event in [*reversed(events), *events[::2], *events[1::2]]:
        state = reduce(state, event)
    assert state.is_terminal
    snapshot(state)


# 7


@given(stories())
def test_done_overrides_deltas_and_the_terminal_response_overrides_all(story: Story) -> None:
    body = value(snapshot_json(fold(story.events)))
    assert body == story.payloads[-1]["response"]
    before = value(snapshot_json(fold(story.events[:-1])))
    assert before["output"] == story.output, "done events alone say what the terminal Response says"


@given(stories(), st.sampled_from([b"[]", b"null", None]))
def test_a_terminal_response_without_output_keeps_the_folded_items(story: Story, empty: bytes | None) -> None:
    last = {**story.payloads[-1], "response": {"id": "resp_1", "status": "cancelled"}}
    if empty is not None:
        last["response"]["output"] = msgspec.Raw(empty)
    state = fold([*story.events[:-1], decode_event(msgspec.json.encode(last))])
    kept = [anomaly.kind for anomaly in state.anomalies]
    assert (AnomalyKind.OUTPUT_KEPT in kept) == bool(story.output)
    as_sent = None if empty is None else value(empty)
    assert value(snapshot_json(state)).get("output") == (story.output or as_sent)


@given(stories(), st.sampled_from(["failed", "incomplete", "cancelled"]), st.data())
def test_no_text_is_lost_by_a_terminal_response_that_is_not_completed(
    story: Story, status: str, data: st.DataObject
) -> None:
    """Whatever part of the output the Response holds, all that was folded is there."""
    before = fold(story.events[:-1])
    sent = [shortened(data, item) for item in story.output if data.draw(st.booleans())]
    number = (before.cursor or 0) + 1
    response = {"id": "resp_1", "status": status, "output": sent}
    end = {"type": f"response.{status}", "sequence_number": number, "response": response}
    after = reduce(before, decode_event(msgspec.json.encode(end)))
    assert after.output_text == before.output_text
    assert sorted(strings(value(snapshot_json(after))["output"])) == sorted(
        strings(value(snapshot_json(before))["output"])
    )
    assert {each.kind for each in after.anomalies} <= {AnomalyKind.OUTPUT_KEPT}


def shortened(data: st.DataObject, item: Payload) -> Payload:
    """The item with some of its lists cut short."""
    return {
        key: value[: data.draw(st.integers(0, len(value)))] if key in ("content", "summary") else value
        for key, value in item.items()
    }


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, each in value.items() if key not in ("id", "status") for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


# 8


@given(stories(), st.sampled_from(["completed", "failed", "incomplete", "cancelled", "in_progress", "not_known"]))
def test_status_comes_from_the_response_in_the_event(story: Story, status: str) -> None:
    last = {**story.payloads[-1], "response": {"id": "resp_1", "status": status, "output": []}}
    state = fold([*story.events[:-1], decode_event(msgspec.json.encode(last))])
    assert state.status == status
    assert state.is_terminal == (status in {"completed", "failed", "incomplete", "cancelled"})


@on_every_recording
def test_status_comes_from_the_response_in_the_event_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    state = fold(events, start(recording))
    assert state.status == value(terminal_of(events).response)["status"]
    assert state.is_terminal


# 9


@given(stories(), st.data())
def test_unknown_events_and_keepalive_move_the_cursor_and_nothing_else(story: Story, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(story.payloads)))
    state = fold(story.events[:place])
    name = data.draw(st.sampled_from(["keepalive", "response.not_known_yet", "x"]))
    silent = decode_event(msgspec.json.encode({"type": name, "sequence_number": place, "any": {"thing": 1}}))
    after = reduce(state, silent)
    assert after.cursor == place
    assert seen(after)[1:] == seen(state)[1:]


@on_every_recording
def test_unknown_events_and_keepalive_move_the_cursor_and_nothing_else_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    for state in [*states(events, start(recording))][:: max(1, len(events) // 10)]:
        for name in ("keepalive", "response.not_known_yet"):
            number = None if recording.name in UNNUMBERED else (state.cursor or 0) + 1
            silent = decode_event(msgspec.json.encode({"type": name, "sequence_number": number}))
            after = reduce(state, silent)
            assert (after.cursor, seen(after)[1:3]) == ((state.cursor or 0) + 1, seen(state)[1:3])
            assert snapshot_json(after) == snapshot_json(state)


def test_every_type_without_a_fold_operation_is_silent() -> None:
    assert "keepalive" in SILENT
    assert "response.audio.delta" in SILENT
    assert "response.output_text.delta" not in SILENT


# 10


@given(stories())
def test_streams_without_sequence_numbers_fold_by_order_of_arrival(story: Story) -> None:
    bare = [{key: value for key, value in each.items() if key != "sequence_number"} for each in story.payloads]
    state = State()
    for payload, numbered in zip(bare, states(story.events), strict=True):
        state = reduce(state, decode_event(msgspec.json.encode(payload)))
        assert snapshot_json(state) == snapshot_json(numbered), "also after every event: numbers only make it faster"
    assert seen(state)[1:3] == seen(fold(story.events))[1:3]
    assert state.cursor == len(bare) - 1
    assert [(a.kind, a.count, a.first) for a in state.anomalies] == [(AnomalyKind.UNNUMBERED, len(bare), 0)]


@on_every_recording
def test_streams_without_sequence_numbers_fold_by_order_of_arrival_on_every_recording(recording: Recording) -> None:
    events = events_of(recording)
    bare = [msgspec.structs.replace(event, sequence_number=None) for event in events]
    state = fold(bare)
    assert snapshot_json(state) == snapshot_json(fold(events, start(recording)))
    assert state.cursor == len(events) - 1
    assert {anomaly.kind for anomaly in state.anomalies} >= {AnomalyKind.UNNUMBERED}


@pytest.mark.parametrize(
    ("policy", "renumber"),
    [
        pytest.param(SequencePolicy.RENUMBER, lambda number: number * 3 + 1, id="numbers with holes"),
        pytest.param(SequencePolicy.ARRIVAL, lambda _: 0, id="always the same number"),
        pytest.param(SequencePolicy.ARRIVAL, lambda number: -number, id="numbers that fall"),
    ],
)
@given(story=stories())
def test_wrong_numbers_fold_alike_under_another_policy(
    story: Story, policy: SequencePolicy, renumber: Callable[[int], int]
) -> None:
    wrong = [{**each, "sequence_number": renumber(each["sequence_number"])} for each in story.payloads]
    state = fold((decode_event(msgspec.json.encode(payload)) for payload in wrong), State.under(policy))
    assert snapshot_json(state) == snapshot_json(fold(story.events))


# 11


@given(stories(), st.data())
def test_folding_a_checkpoint_equals_folding_the_state(story: Story, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(story.payloads)))
    state = fold(story.events[:place])
    again = restore(checkpoint(state))
    assert again == state
    assert checkpoint(again) == checkpoint(state)
    assert seen(fold(story.events[place:], again)) == seen(fold(story.events[place:], state))


# And that the streams are what they say


@pytest.mark.thorough
def test_the_generated_streams_hold_every_event_type() -> None:
    found: set[str] = set()

    @settings(max_examples=600, derandomize=True, database=None, phases=[Phase.generate])
    @given(stories(max_items=5))
    def look(story: Story) -> None:
        assert fold(story.events).anomalies == ()
        found.update(payload["type"] for payload in story.payloads)

    look()
    assert set(EVENT_TYPES) - found == set()


@given(invented())
def test_invented_events_decode_as_their_type(payload: dict[str, object]) -> None:
    event = decode_event(msgspec.json.encode(payload))
    assert event.wire_type == payload["type"]
    assert isinstance(event, KnownEvent) or event.wire_type not in EVENT_TYPES or event.error
