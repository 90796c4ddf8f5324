"""The Response echoes its request, and every JSON body validates in both SDKs."""

from typing import Any

import pytest
from msgspec.json import decode, encode

from streamfold import State, reduce, snapshot_json
from streamfold.emulator.model.body import input_items, response_begun
from streamfold.schema import decode_event
from streamfold.schema.dialect import MKA1, OPENAI, Dialect
from streamfold.serving import Fields, shape_response, usage_of
from tests.emulator.answers import (
    CREATED_AT,
    DIALECTS,
    KINDS_OF_MKA1,
    KINDS_OF_OPENAI,
    LOOK_UP,
    RESPONSE_ID,
    answered,
    data_of,
    request,
    unknown_paths,
)

EVERYTHING: Fields = {
    "instructions": "Be short.",
    "background": True,
    "conversation": {"id": "conv_1"},
    "context_management": [{"type": "compaction", "compact_threshold": 2000}],
    "frequency_penalty": -1.5,
    "max_output_tokens": 50,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "presence_penalty": 1.5,
    "previous_response_id": "resp_0",
    "prompt": {"id": "prompt_1"},
    "prompt_cache_key": "key",
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "safe",
    "service_tier": "flex",
    "temperature": 0.5,
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "tool_choice": "required",
    "tools": [LOOK_UP],
    "top_logprobs": 2,
    "top_p": 0.25,
    "truncation": "disabled",
    "user": "somebody",
}


def begun(fields: Fields, dialect: Dialect = MKA1) -> Fields:
    read = request(fields, dialect)
    return response_begun(read, response_id=RESPONSE_ID, created_at=CREATED_AT + 0.7, dialect=dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_response_echoes_the_request(dialect: Dialect) -> None:
    response = begun(EVERYTHING, dialect)
    assert {name: response[name] for name in EVERYTHING} == EVERYTHING


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_begins_in_progress_with_nothing(dialect: Dialect) -> None:
    response = begun({"input": "hi"}, dialect)
    expected = {"status": "in_progress", "output": [], "usage": None, "error": None, "completed_at": None}
    assert response | expected == response
    assert (response["id"], response["created_at"]) == (RESPONSE_ID, CREATED_AT)


def test_defaults_are_the_dialects() -> None:
    mka1, openai = begun({"text": {"verbosity": None}}, MKA1), begun({}, OPENAI)
    assert (mka1["truncation"], mka1["max_tool_calls"], mka1["text"]["verbosity"]) == ("auto", 30, "medium")
    assert (openai["truncation"], openai["max_tool_calls"], openai["temperature"]) == ("disabled", None, 1.0)
    assert "temperature" not in mka1


def test_a_conversation_may_be_an_id() -> None:
    assert begun({"conversation": "conv_1"})["conversation"] == {"id": "conv_1"}


def test_usage_adds_up() -> None:
    usage = usage_of(8, 7, 3, dialect=MKA1)
    assert usage["total_tokens"] == 15
    assert usage["input_tokens_details"] == {"cached_tokens": 0}
    assert usage_of(8, 7, 3, dialect=OPENAI)["input_tokens_details"]["cache_write_tokens"] == 0


# The SDKs


def states_of(events: list[Fields], dialect: Dialect) -> list[Fields]:
    """The Response after each event, as a GET would show it."""
    state = State()
    shown: list[Fields] = []
    for data in data_of(events, dialect):
        state = reduce(state, decode_event(data))
        shown.append(shape_response(decode(snapshot_json(state)), dialect))
    return shown


@pytest.mark.parametrize("body", KINDS_OF_MKA1)
def test_the_response_at_any_moment_validates_in_the_mka1_sdk(body: Fields) -> None:
    from meetkai_mka1.models import ResponseObject

    for response in states_of(answered(body, MKA1)[0], MKA1):
        read = ResponseObject.model_validate(response)
        assert unknown_paths(read.model_dump()) == []
        assert read.status == response["status"]


@pytest.mark.parametrize("body", KINDS_OF_OPENAI)
def test_the_response_at_any_moment_validates_in_openais_type(body: Fields) -> None:
    from openai.types.responses import Response

    for response in states_of(answered(body, OPENAI)[0], OPENAI):
        if b'"output":[{"stdout":"hello\\n"}]' in encode(response["output"]):
            continue  # what a command printed, before its outcome: the wire has no whole entry yet
        assert Response.model_validate(response).status == response["status"]


def test_a_response_that_echoes_everything_validates() -> None:
    from meetkai_mka1.models import ResponseObject
    from openai.types.responses import Response

    assert ResponseObject.model_validate(shape_response(begun(EVERYTHING, MKA1), MKA1)).top_p == 0.25
    assert Response.model_validate(shape_response(begun(EVERYTHING, OPENAI), OPENAI)).top_p == 0.25


def test_lists_and_deletions_validate_in_the_mka1_sdk() -> None:
    from meetkai_mka1.models import DeleteResponseObject, ResponseListObject

    _, ended = answered({"input": "2 words"}, MKA1)
    page = {"object": "list", "data": [ended], "has_more": False, "first_id": RESPONSE_ID, "last_id": RESPONSE_ID}
    assert ResponseListObject.model_validate(page).data[0].id == RESPONSE_ID
    assert DeleteResponseObject.model_validate({"id": RESPONSE_ID, "object": "response", "deleted": True}).deleted


# Input items

ITEMS: list[Any] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "again"}], "id": "msg_own"},
    {"role": "user"},
    {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "5"},
    {"id": "msg_before"},
]


def items_of(given: Any) -> list[Fields]:
    return input_items(request({"input": given}), response_id=RESPONSE_ID)


def test_a_text_is_one_message_of_the_user() -> None:
    [item] = items_of("hi")
    assert (item["type"], item["role"], item["content"]) == ("message", "user", [{"type": "input_text", "text": "hi"}])
    assert item["id"].startswith("msg_")


def test_no_input_is_no_item() -> None:
    assert items_of(None) == items_of("") == items_of([]) == []


def test_every_item_has_a_type_and_an_id_that_stays() -> None:
    items = items_of(ITEMS)
    assert items == items_of(ITEMS)
    assert [item["type"] for item in items][-3:] == ["function_call", "function_call_output", "item_reference"]
    assert items[1]["content"] == [{"type": "output_text", "text": "hello"}]
    assert items[2]["id"] == "msg_own"
    assert len({item["id"] for item in items}) == len(ITEMS)


def test_input_items_validate_in_both_sdks() -> None:
    from meetkai_mka1.models import InputItemListObject
    from openai.types.responses import ResponseItemList

    items = items_of([item for item in ITEMS if item != {"id": "msg_before"}])
    page = {"object": "list", "data": items, "has_more": False, "first_id": items[0]["id"], "last_id": items[-1]["id"]}
    assert len(InputItemListObject.model_validate(decode(encode(page))).data) == len(items)
    assert len(ResponseItemList.model_construct(**page).data) == len(items)
