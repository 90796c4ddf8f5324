"""A recording is played as it was: every event, every number, every byte."""

import pytest
from msgspec.json import decode

from streamfold import SequencePolicy, State, decode_event, fold, snapshot_json
from streamfold.emulator.playback import read_recording
from streamfold.errors import UsageError
from streamfold.reader import EventReader
from streamfold.schema.dialect import MKA1, OPENAI
from tests.conftest import Recording
from tests.emulator.answers import answered, body_of, data_of


def test_the_bytes_and_numbers_are_the_recorded_ones() -> None:
    events, _ = answered({"input": "3 words"}, OPENAI)
    script = read_recording(body_of(events, OPENAI)).script()
    steps = list(script.steps)
    assert script.is_recorded
    assert [step.data for step in steps] == data_of(events, OPENAI, obfuscation=True)
    assert [step.fields["sequence_number"] for step in steps] == list(range(len(events)))


def test_a_recording_begins_and_ends_as_it_did() -> None:
    events, ended = answered({"input": "3 words"}, MKA1)
    script = read_recording(body_of(events, MKA1)).script()
    assert script.begun["status"] == "queued"
    assert script.ended == decode(snapshot_json(fold(EventReader().feed(body_of(events, MKA1)))))
    assert script.ended["output"] == ended["output"]


def test_a_delta_takes_a_token_of_time_and_other_events_none() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    steps = read_recording(body_of(events, MKA1)).script().steps
    assert sum(step.wait_tokens for step in steps) == 3


def test_a_recording_can_be_played_again() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    recording = read_recording(body_of(events, MKA1))
    assert list(recording.script().steps) == list(recording.script().steps)


def test_what_is_no_event_is_passed_over() -> None:
    odd = b'data: [DONE]\n\ndata: {"a":\n\ndata: [1]\n\ndata: {"type":5}\n\n: comment\n\ndata: {"type":"keepalive"}\n\n'
    recording = read_recording(odd)
    assert [step.data for step in recording.steps] == [b'{"type":"keepalive"}']
    assert recording.begun == recording.ended == {"output": []}


def test_a_torn_recording_is_played_to_where_it_was_torn() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    whole = body_of(events, MKA1)
    assert len(read_recording(whole[: len(whole) // 2]).steps) < len(events)
    assert len(read_recording(whole[:-2]).steps) == len(events)


@pytest.mark.parametrize("data", [b"", b"data: [DONE]\n\n", b"<html>no stream</html>"])
def test_bytes_without_an_event_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="holds no event"):
        read_recording(data)


def test_every_recorded_stream_plays_to_the_same_response(recordings: list[Recording]) -> None:
    for recording in recordings:
        played = [decode_event(step.data) for step in read_recording(recording.data).steps if step.data is not None]
        reader = EventReader(tolerant=True)
        sent = [*reader.feed(recording.data), *reader.close()]
        by_arrival = State.under(SequencePolicy.ARRIVAL)
        assert snapshot_json(fold(played, by_arrival)) == snapshot_json(fold(sent, by_arrival)), recording.name
        assert 0 < len(played) <= len(sent), recording.name
