"""The toy model answers the same to the same request, as the request asks, and lazily."""

import re
import time
from itertools import islice
from typing import Any

import pytest
from msgspec.json import decode, encode

from streamfold import SequencePolicy, State, decode_event, fold, snapshot_json
from streamfold.emulator.model import Script, answer, read_playback
from streamfold.errors import UsageError
from streamfold.reader import EventReader
from streamfold.schema.dialect import MKA1, OPENAI, Dialect
from streamfold.serving import Fields
from tests.conftest import Recording
from tests.emulator.answers import (
    ALL_KINDS,
    CREATED_AT,
    DIALECTS,
    LOOK_UP,
    RESPONSE_ID,
    SCHEMA,
    answered,
    body_of,
    data_of,
    request,
)


def script(body: Fields, dialect: Dialect = MKA1, *, seed: int = 0, response_id: str = RESPONSE_ID) -> Script:
    return answer(request(body, dialect), response_id=response_id, created_at=CREATED_AT, dialect=dialect, seed=seed)


def ended(body: Fields, dialect: Dialect = MKA1) -> Fields:
    return answered(body, dialect)[1]


def item_types(body: Fields, dialect: Dialect = MKA1) -> list[str]:
    return [item["type"] for item in ended(body, dialect)["output"]]


def text(body: Fields) -> str:
    said: str = ended(body)["output_text"]
    return said


# Always the same


@pytest.mark.parametrize(("body", "dialect"), ALL_KINDS)
def test_the_same_request_and_seed_give_the_same_bytes(body: Fields, dialect: Dialect) -> None:
    first, again = (data_of(answered(body, dialect, seed=3)[0], dialect) for _ in range(2))
    assert first == again


def test_another_seed_another_request_or_another_id_gives_another_answer() -> None:
    base = encode([step.fields for step in script({"input": "20 words"}).steps])
    others = [
        script({"input": "20 words"}, seed=1),
        script({"input": "20 words!"}),
        script({"input": "20 words"}, response_id="resp_2"),
    ]
    assert base not in [encode([step.fields for step in other.steps]) for other in others]


def test_another_id_changes_only_ids() -> None:
    texts = [
        [step.fields.get("delta") for step in script({"input": "20 words"}, response_id=each).steps]
        for each in ("resp_1", "resp_2")
    ]
    assert texts[0] == texts[1]


# Length


@pytest.mark.parametrize(
    ("prompt", "tokens"), [("hi", 40), ("7 tokens", 7), ("a long answer", 4000), ("count to 9", 9)]
)
def test_the_input_says_how_long_the_answer_is(prompt: str, tokens: int) -> None:
    usage = ended({"input": prompt})["usage"]
    assert usage["output_tokens"] == tokens
    assert usage["total_tokens"] == usage["input_tokens"] + tokens


def test_it_counts_and_echoes() -> None:
    assert text({"input": "count to 5"}) == "1, 2, 3, 4, 5"
    assert text({"input": "echo Grüße, 東京!"}) == "Grüße, 東京!"
    assert text({"input": "What is the capital of France?"}) == "The capital of France is Paris."


def test_words_are_words() -> None:
    assert re.match(r"[A-ZА-Я🌍][^.]+\. ", text({"input": "200 words"}))


def test_max_output_tokens_cuts_the_answer() -> None:
    response = ended({"input": "a long answer", "max_output_tokens": 20})
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (response["usage"]["output_tokens"], response["output"][0]["status"]) == (20, "incomplete")


def test_max_output_tokens_that_suffice_cut_nothing() -> None:
    assert ended({"input": "7 tokens", "max_output_tokens": 7})["status"] == "completed"


def test_steps_are_lazy_and_cheap() -> None:
    begun = time.perf_counter()
    steps = script({"input": "10,000,000 tokens"}).steps
    assert len(list(islice(steps, 100_000))) == 100_000
    assert (time.perf_counter() - begun) / 100_000 < 20e-6


# Ends


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_fails_half_way(dialect: Dialect) -> None:
    events, response = answered({"input": "fail, 8 words"}, dialect)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert sum("delta" in event for event in events) == 4
    assert events[-1]["type"] == "response.failed"


def test_an_error_event_comes_before_the_failure() -> None:
    events, response = answered({"input": "error event"})
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == response["error"]["code"]


def test_no_error_event_comes_where_the_limit_was_first() -> None:
    events, response = answered({"input": "error event", "max_output_tokens": 1})
    assert (response["status"], events[-2]["type"]) == ("incomplete", "response.output_item.done")


def test_the_content_filter_leaves_it_incomplete() -> None:
    response = ended({"input": "filter"})
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_before_its_end_a_script_says_what_has_ended() -> None:
    made = script({"input": "6 words", "tools": [{"type": "web_search"}]})
    assert (made.ended["status"], made.ended["output"]) == ("in_progress", [])
    list(islice(made.steps, 6))
    assert [item["type"] for item in made.ended["output"]] == ["web_search_call"]
    list(made.steps)
    assert (made.ended["status"], made.is_recorded) == ("completed", False)


def test_openai_tells_the_tier_that_served() -> None:
    assert ended({"input": "hi"}, OPENAI)["service_tier"] == "default"
    assert ended({"input": "hi", "service_tier": "flex"}, OPENAI)["service_tier"] == "flex"
    assert ended({"input": "hi"}, MKA1)["service_tier"] == "auto"


# Thinking, and forms of the answer


def test_more_effort_thinks_longer() -> None:
    spent = [
        ended({"input": "hi", "reasoning": {"effort": effort}})["usage"]["output_tokens_details"]["reasoning_tokens"]
        for effort in ("minimal", "low", "medium", "high", "xhigh")
    ]
    assert spent == sorted(set(spent))


def test_a_thought_comes_first_with_a_summary_where_asked() -> None:
    assert item_types({"input": "think"}) == ["reasoning", "message"]
    summary = ended({"input": "hi", "reasoning": {"summary": "auto"}})["output"][0]["summary"]
    assert len(summary) == 2


def test_a_refusal_is_no_output_text() -> None:
    response = ended({"input": "refuse"})
    assert response["output"][0]["content"][0]["type"] == "refusal"
    assert (response["status"], response["output_text"]) == ("completed", "")


def test_a_json_answer_fits_its_schema() -> None:
    form = {"type": "json_schema", "name": "place", "schema": SCHEMA}
    place = decode(text({"input": "hi", "text": {"format": form}}))
    assert (type(place["city"]), place["people"] >= 1000) == (str, True)


def test_logprobs_come_by_include_or_by_number() -> None:
    for body in ({"include": ["message.output_text.logprobs"]}, {"top_logprobs": 1}):
        assert len(ended({"input": "5 words", **body})["output"][0]["content"][0]["logprobs"]) == 5


def test_sound_is_mka1s() -> None:
    body: Fields = {"input": "echo hi", "modalities": ["text", "audio"]}
    assert item_types(body) == ["message", "output_audio"]
    assert ended(body)["output"][1]["transcript"] == "hi"
    assert item_types(body, OPENAI) == item_types({"input": "hi", "modalities": ["text"]}) == ["message"]


# Tools

SEARCH, CODE, SHELL = {"type": "web_search"}, {"type": "code_interpreter"}, {"type": "shell"}
NOTE = {"type": "custom", "name": "note"}
OTHER = LOOK_UP | {"name": "other"}
RESULT = [{"role": "user", "content": "hi"}, {"type": "function_call_output", "call_id": "call_1", "output": "5"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"tools": [LOOK_UP]}, ["look_up"], id="a function"),
        pytest.param({"tools": [LOOK_UP, OTHER]}, ["look_up"], id="the first function"),
        pytest.param({"tools": [LOOK_UP, OTHER], "input": "use other"}, ["other"], id="the one that is named"),
        pytest.param(
            {"tools": [LOOK_UP, OTHER, NOTE], "input": "use other and note"}, ["other", "note"], id="all that are named"
        ),
        pytest.param(
            {"tools": [LOOK_UP, OTHER], "input": "look_up, other", "parallel_tool_calls": False},
            ["look_up"],
            id="one at a time",
        ),
        pytest.param({"tools": [SEARCH, LOOK_UP]}, ["web_search_call", "look_up"], id="hosted ones first"),
        pytest.param({"tools": [LOOK_UP, SEARCH]}, ["web_search_call", "look_up"], id="hosted ones first, always"),
        pytest.param({"tools": [SEARCH, CODE]}, ["web_search_call", "code_interpreter_call", "message"], id="two"),
        pytest.param({"tools": [SEARCH, CODE], "max_tool_calls": 1}, ["web_search_call", "message"], id="a limit"),
        pytest.param({"tools": [LOOK_UP, SEARCH], "tool_choice": "none"}, ["message"], id="none"),
        pytest.param({"tools": [LOOK_UP], "tool_choice": "required"}, ["look_up"], id="required"),
        pytest.param(
            {"tools": [LOOK_UP, OTHER], "tool_choice": {"type": "function", "name": "other"}}, ["other"], id="by name"
        ),
        pytest.param(
            {"tools": [LOOK_UP, SEARCH], "tool_choice": {"type": "web_search"}},
            ["web_search_call", "message"],
            id="by type",
        ),
        pytest.param(
            {
                "tools": [LOOK_UP, SEARCH, CODE],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH, LOOK_UP]},
            },
            ["web_search_call", "look_up"],
            id="allowed ones",
        ),
        pytest.param({"tools": [LOOK_UP], "tool_choice": {"type": "allowed_tools"}}, ["message"], id="none allowed"),
        pytest.param({"tools": [LOOK_UP], "input": RESULT}, ["message"], id="the result is there"),
        pytest.param({"tools": [LOOK_UP], "input": []}, ["look_up"], id="no input"),
        pytest.param({"tools": [LOOK_UP], "input": "fail"}, ["message"], id="it fails instead"),
        pytest.param({"tools": [{"type": "of_tomorrow"}]}, ["message"], id="a tool of tomorrow"),
        pytest.param({"tools": None, "tool_choice": None, "include": None}, ["message"], id="null"),
    ],
)
def test_which_tools_are_called(body: dict[str, Any], expected: list[str]) -> None:
    output = ended({"input": "hi", **body})["output"]
    assert [item.get("name", item["type"]) for item in output] == expected


def test_a_call_that_is_cut_ends_the_answer() -> None:
    response = ended({"input": "hi", "tools": [CODE, LOOK_UP], "max_output_tokens": 3})
    assert [item["type"] for item in response["output"]] == ["code_interpreter_call"]
    assert response["status"] == "incomplete"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_shell_is_the_dialects(dialect: Dialect) -> None:
    assert item_types({"input": "hi", "tools": [SHELL]}, dialect) == ["shell_call", "shell_call_output", "message"]


# A recorded stream played back


def test_the_bytes_and_numbers_are_the_recorded_ones() -> None:
    events, _ = answered({"input": "3 words"}, OPENAI)
    script = read_playback(body_of(events, OPENAI))
    steps = list(script.steps)
    assert script.is_recorded
    assert [step.data for step in steps] == data_of(events, OPENAI, obfuscation=True)
    assert [step.fields["sequence_number"] for step in steps] == list(range(len(events)))


def test_a_recording_begins_and_ends_as_it_did() -> None:
    events, ended = answered({"input": "3 words"}, MKA1)
    script = read_playback(body_of(events, MKA1))
    assert script.begun["status"] == "queued"
    assert script.ended == decode(snapshot_json(fold(EventReader().feed(body_of(events, MKA1)))))
    assert script.ended["output"] == ended["output"]


def test_a_delta_takes_a_token_of_time_and_other_events_none() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    steps = read_playback(body_of(events, MKA1)).steps
    assert sum(step.wait_tokens for step in steps) == 3


def test_a_recording_can_be_played_again() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    recording = read_playback(body_of(events, MKA1))
    assert list(recording.steps) == list(recording.steps)


def test_what_is_no_event_is_passed_over() -> None:
    odd = b'data: [DONE]\n\ndata: {"a":\n\ndata: [1]\n\ndata: {"type":5}\n\n: comment\n\ndata: {"type":"keepalive"}\n\n'
    recording = read_playback(odd)
    assert [step.data for step in recording.steps] == [b'{"type":"keepalive"}']
    assert recording.begun == recording.ended == {"output": []}


def test_a_torn_recording_is_played_to_where_it_was_torn() -> None:
    events, _ = answered({"input": "3 words"}, MKA1)
    whole = body_of(events, MKA1)
    assert len([*read_playback(whole[: len(whole) // 2]).steps]) < len(events)
    assert len([*read_playback(whole[:-2]).steps]) == len(events)


@pytest.mark.parametrize("data", [b"data: [DONE]\n\n", b"<html>no stream</html>"])
def test_bytes_without_an_event_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="holds no event"):
        read_playback(data)


def test_an_empty_recording_is_called_empty() -> None:
    with pytest.raises(UsageError, match="the recording is empty"):
        read_playback(b"\n")


def test_every_recorded_stream_plays_to_the_same_response(recordings: list[Recording]) -> None:
    for recording in recordings:
        played = [decode_event(step.data) for step in read_playback(recording.data).steps if step.data is not None]
        reader = EventReader(tolerant=True)
        sent = [*reader.feed(recording.data), *reader.close()]
        by_arrival = State.under(SequencePolicy.ARRIVAL)
        assert snapshot_json(fold(played, by_arrival)) == snapshot_json(fold(sent, by_arrival)), recording.name
        assert 0 < len(played) <= len(sent), recording.name
