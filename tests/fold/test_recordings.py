"""Every recorded stream, folded whole, without its end, without its done events, cut anywhere, and fed twice.

The differences that real servers make are listed here by name and counted: INDEX.md of the corpus and PROTOCOL 13.8
say where they come from. One that is not listed fails.
"""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from streamfold import (
    AnomalyKind,
    Event,
    EventReader,
    FrameDecoder,
    SequencePolicy,
    State,
    fold,
    snapshot_json,
    states,
)
from streamfold.fold.steps import GROWS
from streamfold.schema import ShellCallOutputContentDelta
from tests.conftest import Recording, on_every_recording, on_sampled_recordings
from tests.fold.recorded import CUT_BY_HAND, UNNUMBERED, events_of, start, terminal_of, value

# The terminal Response says output [] although items were streamed: the folded ones are kept.
EMPTY_OUTPUT = {
    "chatgpt-codex/rig-long-history-replay-nonstreaming-1.sse",
    "chatgpt-codex/rig-nested-arguments-roundtrip-nonstreaming-1.sse",
    "chatgpt-codex/rig-nested-arguments-roundtrip-nonstreaming.sse",
    "chatgpt-codex/rig-none-suppresses-tool-calls.sse",
    "chatgpt-codex/rig-reasoning-session-two-tool-calls-streaming-1.sse",
    "chatgpt-codex/rig-reasoning-session-two-tool-calls-streaming.sse",
    "chatgpt-codex/rig-required-forces-a-tool-call.sse",
    "chatgpt-codex/rig-tool-call-completed-response-without-output.sse",
}

# What only the terminal event says of the output: the field, how often in all recordings, and why.
ONLY_IN_THE_TERMINAL = {
    "[].encrypted_content": 40,  # encrypted anew for every event
    "[].id": 2,  # GitHub Copilot gives every event new ids
    "[].fingerprint": 1,  # of a program, made anew as well
    "[].tools[]": 2,  # two mcp_list_tools items never got their output_item.done
}

# Bedrock Mantle numbers the message's only part 1, after the reasoning item's part 0; the output shows it first.
FIRST_PART_IS_NUMBER_ONE = {
    "bedrock-mantle/ruby_llm-providers-bedrock-mantle-responses-chat-streams-8c122b.sse": {(1, "content", 1, "text")},
}


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths at which two JSON values differ, indexes left out."""
    match one, other:
        case dict(), dict():
            for key in one.keys() | other.keys():
                yield from differences(one.get(key), other.get(key), f"{path}.{key}")
        case list(), list() if len(one) == len(other):
            for left, right in zip(one, other, strict=True):
                yield from differences(left, right, f"{path}[]")
        case _ if one != other:
            yield f"{path}[]" if isinstance(one, list) else path


@on_every_recording
def test_the_whole_stream_gives_the_terminal_response(recording: Recording) -> None:
    events = events_of(recording)
    state = fold(events, start(recording))
    body, terminal = value(snapshot_json(state)), value(terminal_of(events).response)
    if recording.name in EMPTY_OUTPUT:
        assert terminal.pop("output") == []
        assert body.pop("output")
    assert body == terminal


@on_every_recording
def test_what_was_tolerated_is_told(recording: Recording) -> None:
    expected = {
        AnomalyKind.OUTPUT_KEPT: recording.name in EMPTY_OUTPUT,
        AnomalyKind.UNNUMBERED: recording.name in UNNUMBERED,
        AnomalyKind.HOLE: recording.name in CUT_BY_HAND,
    }
    state = fold(events_of(recording), start(recording))
    assert {anomaly.kind for anomaly in state.anomalies} == {kind for kind, is_met in expected.items() if is_met}


def test_without_the_terminal_event_the_output_differs_only_where_servers_say_more(recordings: list[Recording]) -> None:
    found: Counter[str] = Counter()
    for recording in recordings:
        events = events_of(recording)
        terminal = terminal_of(events)
        state = fold((event for event in events if event is not terminal), start(recording))
        if recording.name not in EMPTY_OUTPUT:
            found.update(differences(value(snapshot_json(state))["output"], value(terminal.response)["output"]))
    assert found == ONLY_IN_THE_TERMINAL


def at(output: list[Any], path: tuple[str | int, ...]) -> Any:
    """What stands at this path of an output."""
    found: Any = output
    for key in path:
        found = found[key]
    return found


def grown_paths(events: list[Event]) -> set[tuple[str | int, ...]]:
    """Where the deltas of these events point to."""
    paths = {GROWS[type(event)].path(event) for event in events if type(event) in GROWS}
    for event in events:
        if isinstance(event, ShellCallOutputContentDelta):
            paths |= {(event.output_index, "output", event.command_index, name) for name in value(event.delta)}
    return paths


def test_without_any_done_event_every_text_with_deltas_equals_the_terminal_one(recordings: list[Recording]) -> None:
    compared = 0
    for recording in recordings:
        if recording.name not in CUT_BY_HAND:
            events = events_of(recording)
            whole = value(snapshot_json(fold(events)))["output"]
            terminal = terminal_of(events)
            left = [event for event in events if event is not terminal and not event.type.endswith(".done")]
            holes = State() if recording.name in UNNUMBERED else State.under(SequencePolicy.RENUMBER)
            folded = value(snapshot_json(fold(left, holes)))["output"]
            for path in grown_paths(left) - FIRST_PART_IS_NUMBER_ONE.get(recording.name, set()):
                assert at(folded, path) == at(whole, path), (recording.name, path)
                compared += 1
            for item, _, _, name in FIRST_PART_IS_NUMBER_ONE.get(recording.name, ()):
                assert at(folded, (item, "content", 0, name)) == at(whole, (item, "content", 0, name))
    assert compared == 293


@on_sampled_recordings
def test_cut_at_every_event_gives_the_same_end_state(recording: Recording) -> None:
    events = events_of(recording)
    kept = list(states(events, start(recording)))
    for place, state in enumerate(kept):
        assert fold(events[place + 1 :], state) == kept[-1]


@pytest.mark.parametrize("cuts", [20, pytest.param(200, marks=pytest.mark.thorough)])
@on_every_recording
def test_cut_at_random_bytes_gives_the_same_events(recording: Recording, cuts: int) -> None:
    random = Random(recording.name)
    whole = events_of(recording)
    for place in random.choices(range(len(recording.data) + 1), k=cuts):
        reader = EventReader(tolerant=True)
        events = reader.feed(recording.data[:place]) + reader.feed(recording.data[place:]) + reader.close()
        assert events == whole, f"cut at byte {place}"


@on_every_recording
def test_the_fast_reader_gives_what_the_frames_hold(recording: Recording) -> None:
    decoder, reader = FrameDecoder(tolerant=True), EventReader(tolerant=True)
    data = [frame.data for frame in decoder.feed(recording.data) + decoder.close()]
    payloads: list[bytes] = []
    for place in range(0, len(recording.data), 16_384):
        reader.feed(recording.data[place : place + 16_384])
        payloads += reader.payloads
    reader.close()
    assert payloads + reader.payloads == [each for each in data if each != b"[DONE]"]
