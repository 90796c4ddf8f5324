"""A recorded stream cut anywhere: the events of the bridge lead to its end, and no text is lost or comes twice."""

import pytest
from msgspec.json import decode, encode

from streamfold.fold import SequencePolicy, State, fold, snapshot_json, states, with_response
from streamfold.log import Record
from streamfold.reader import EventReader
from streamfold.relay.bridge import NoBridge, bridge
from streamfold.schema import decode_event
from tests.conftest import Recording

CUTS = 10  # of each recording
# Its output indexes leave one out, and the final Response does not: no events lead from the one to the other.
LEAVES_AN_INDEX_OUT = "ai-openai-phase-1.sse"


def folded(before: State, records: list[Record]) -> State:
    return fold([decode_event(each.data, each.name) for each in records], before)


def output_of(state: State) -> object:
    return decode(snapshot_json(state)).get("output")


def reached_by(recording: Recording) -> list[State]:
    reader = EventReader()
    begin = State.under(SequencePolicy.ARRIVAL)
    return [begin, *states([*reader.feed(recording.data), *reader.close()], begin)]


def test_any_recording_cut_anywhere_is_led_to_its_end(sampled_recordings: list[Recording]) -> None:
    led = 0
    for recording in sampled_recordings:
        reached = reached_by(recording)
        final = reached[-1]
        if not final.is_terminal:
            continue
        for before in [*reached[:: 1 + len(reached) // CUTS], reached[-2]]:
            if recording.path.name == LEAVES_AN_INDEX_OUT and output_of(before) != output_of(final):
                continue
            records = list(bridge(before, final, 7))
            after = folded(before, records)
            assert output_of(after) == output_of(final), recording.name
            assert [each.sequence_number for each in records] == list(range(7, 7 + len(records)))
            deltas = [decode(each.data)["delta"] for each in records if each.name == "response.output_text.delta"]
            assert before.output_text + "".join(deltas) == final.output_text, recording.name
            assert list(bridge(after, final, 0)) == []
            led += 1
    assert led > CUTS * len(sampled_recordings) // 2


def state(*output: object) -> State:
    return with_response(State(), encode({"id": "resp_1", "status": "in_progress", "output": output}))


def message(*texts: str, status: str = "completed") -> dict[str, object]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"id": "msg_1", "type": "message", "status": status, "content": parts}


CALL = {"id": "fc_1", "type": "function_call", "name": "f", "arguments": '{"a": 1}', "status": "completed"}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed"}


@pytest.mark.parametrize(
    ("before", "final", "names"),
    [
        (state(), state(), []),
        (state(message("a")), state(message("a")), []),
        (
            state(message("a", status="in_progress")),
            state(message("ab")),
            ["output_text.delta", "output_text.done", "content_part.done", "output_item.done"],
        ),
        (
            state(),
            state(CALL),
            [
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
            ],
        ),
        (
            state(),
            state(THOUGHT, SEARCH),
            [
                "output_item.added",
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done",
                "output_item.added",
                "output_item.done",
            ],
        ),
        (
            state(message("a")),
            state(message("a", "b")),
            [
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
            ],
        ),
    ],
)
def test_the_events_are_those_that_a_server_would_have_sent(before: State, final: State, names: list[str]) -> None:
    assert [each.name.removeprefix("response.") for each in bridge(before, final, 0)] == names


@pytest.mark.parametrize(
    ("before", "final"),
    [
        (state(message("a"), CALL), state(message("a"))),
        (state(message("ax")), state(message("ab"))),
        (state(message("a", "b")), state(message("a"))),
        (state(CALL), state(message("a"))),
        (state(message("a")), state(3)),
    ],
)
def test_an_end_that_takes_something_back_has_no_bridge(before: State, final: State) -> None:
    with pytest.raises(NoBridge):
        bridge(before, final, 0)
