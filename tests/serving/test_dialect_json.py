"""Every event decodes typed in the real SDKs, and every key that a dialect needs is there."""

from functools import cache
from typing import Any, get_args

import pytest
from msgspec.json import decode, encode

from streamfold import State, reduce, snapshot_json
from streamfold.schema import decode_event
from streamfold.schema.dialect import MKA1, OPEN_RESPONSES, OPENAI, Dialect
from streamfold.serving import (
    Fields,
    event_data,
    shape_event,
    shape_response,
    translate_event,
    translate_response,
    usage_of,
)
from tests.emulator.answers import (
    ALL_KINDS,
    COMPLETED_KINDS_OF_OPENAI,
    CREATED_AT,
    DIALECTS,
    KINDS_OF_MKA1,
    KINDS_OF_OPENAI,
    RESPONSE_ID,
    answered,
    body_of,
    data_of,
    openai_client,
    read_with_mka1,
    sampled,
    unknown_paths,
)

# The MKA1 SDK


@pytest.mark.parametrize("body", sampled(KINDS_OF_MKA1))
def test_every_event_decodes_typed_in_the_mka1_sdk(body: Fields) -> None:
    events, _ = answered(body, MKA1)
    read = read_with_mka1(body_of(events, MKA1))
    assert [event.type for event in read] == [event["type"] for event in events]
    assert [path for event in read for path in unknown_paths(event.model_dump())] == []


@pytest.mark.parametrize("body", KINDS_OF_MKA1)
def test_the_mka1_sdk_finds_each_item_as_its_own_type(body: Fields) -> None:
    _, ended = answered(body, MKA1)
    from meetkai_mka1.models import ResponseObject

    read = ResponseObject.model_validate(ended)
    assert [item.type for item in read.output] == [item["type"] for item in ended["output"]]
    assert read.status == ended["status"]


def test_a_cancelled_response_decodes_typed_in_the_mka1_sdk() -> None:
    events, ended = answered({"input": "2 words"}, MKA1)
    cancelled = shape_response(ended | {"status": "cancelled", "output": [], "usage": None}, MKA1)
    assert (cancelled["output_text"], cancelled["usage"]["total_tokens"]) == ("", 0)
    events[-1] = {"type": "response.cancelled", "response": cancelled}
    assert read_with_mka1(body_of(events, MKA1))[-1].type == "response.cancelled"


# openai


def test_a_failed_event_that_holds_a_cancelled_response_is_typed_in_both_sdks() -> None:
    for dialect in (MKA1, OPENAI):
        cancelled = shape_response(answered({"input": "2 words"}, dialect)[1] | {"status": "cancelled"}, dialect)
        events = [{"type": "response.failed", "response": cancelled}]
        if dialect is MKA1:
            assert read_with_mka1(body_of(events, MKA1))[0].response.status == "cancelled"
        else:
            read = openai_types()["response.failed"].model_validate(decode(data_of(events, OPENAI)[0]))
            assert read.response.status == "cancelled"


@cache
def openai_types() -> dict[str, Any]:
    """openai's class of each event type."""
    from openai.types.responses import ResponseStreamEvent

    union, *_ = get_args(ResponseStreamEvent)
    return {get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(union)}


@pytest.mark.parametrize("body", KINDS_OF_OPENAI)
def test_every_event_validates_in_openais_types(body: Fields) -> None:
    events, _ = answered(body, OPENAI)
    for data in data_of(events, OPENAI, obfuscation=True):
        fields = decode(data)
        if fields["type"] == "error":
            fields |= fields.pop("error") | {"type": "error"}  # typed flat, sent nested
        openai_types()[fields["type"]].model_validate(fields)


@pytest.mark.parametrize("body", COMPLETED_KINDS_OF_OPENAI)
def test_the_openai_sdks_accumulator_takes_the_stream(body: Fields) -> None:
    events, ended = answered(body, OPENAI)
    with (
        openai_client(body_of(events, OPENAI)) as client,
        client.responses.stream(model="toy-1", input="hi") as stream,
    ):
        final = stream.get_final_response()
    assert final.id == RESPONSE_ID
    assert [item.type for item in final.output] == [item["type"] for item in ended["output"]]


def test_the_openai_sdk_raises_on_the_nested_error_event() -> None:
    from openai import APIError

    events, _ = answered({"input": "error event"}, OPENAI)
    with (
        openai_client(body_of(events, OPENAI)) as client,
        client.responses.create(model="toy-1", input="hi", stream=True) as stream,
        pytest.raises(APIError, match="half way"),
    ):
        list(stream)


# The fold


@pytest.mark.parametrize(("body", "dialect"), ALL_KINDS)
def test_folding_the_events_gives_exactly_the_terminal_response(body: Fields, dialect: Dialect) -> None:
    events, ended = answered(body, dialect)
    *data, terminal = data_of(events, dialect, obfuscation=True)
    state = State()
    for each in data:
        state = reduce(state, decode_event(each))
    assert decode(snapshot_json(state))["output"] == ended["output"]
    state = reduce(state, decode_event(terminal))
    assert decode(snapshot_json(state)) == decode(encode(ended))
    assert state.anomalies == ()


# Shapes


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_response_has_every_key_that_its_dialect_requires(dialect: Dialect) -> None:
    _, ended = answered({"input": "2 words"}, dialect)
    assert dialect.required_fields <= ended.keys()
    assert [name for name in dialect.never_null_fields if ended[name] is None] == []


def test_a_response_that_says_little_is_filled() -> None:
    shaped = shape_response({"id": "resp_1", "model": "toy-1", "created_at": 1, "output": None}, MKA1)
    assert MKA1.required_fields <= shaped.keys()
    assert [name for name in MKA1.never_null_fields if shaped[name] is None] == []


def test_usage_is_null_until_the_terminal_event_on_openai_and_zero_on_mka1() -> None:
    begun = {dialect.name: answered({"input": "2 words"}, dialect)[0][0] for dialect in (MKA1, OPENAI)}
    assert shape_event(begun["openai"], OPENAI)["response"]["usage"] is None
    assert shape_event(begun["mka1"], MKA1)["response"]["usage"]["total_tokens"] == 0


def test_output_text_is_sent_on_mka1_alone() -> None:
    assert answered({"input": "echo hello there"}, MKA1)[1]["output_text"] == "hello there"
    assert "output_text" not in answered({"input": "echo hello there"}, OPENAI)[1]


def test_output_text_is_of_output_text_parts_alone() -> None:
    output = [{"type": "message", "content": None}, {"type": "message", "content": [{"type": "refusal"}]}]
    assert shape_response({"output": output, "output_text": "old"}, MKA1)["output_text"] == ""


def test_arguments_done_has_the_name_on_mka1_alone() -> None:
    done = {"type": "response.function_call_arguments.done", "name": "f", "arguments": "{}"}
    assert shape_event(done, MKA1) == done
    assert "name" not in shape_event(done, OPENAI)


def test_what_a_tool_was_given_and_gave_is_told_on_mka1_alone() -> None:
    done = {"type": "response.web_search_call.completed", "item_id": "ws_1", "function_call_output": "2 pages"}
    assert shape_event(done, MKA1) == done
    assert shape_event(done, OPENAI) == {"type": done["type"], "item_id": "ws_1"}


def test_an_annotation_has_mka1s_span_beside_the_usual_keys() -> None:
    annotation = {"type": "url_citation", "start_index": 2, "end_index": 5, "title": "t", "url": "u"}
    added = {"type": "response.output_text.annotation.added", "annotation": annotation}
    assert shape_event(added, MKA1)["annotation"] == annotation | {"text": "t", "start": 2, "end": 5}
    assert shape_event(added, OPENAI)["annotation"] == annotation


def test_an_error_event_is_flat_on_mka1_and_nested_on_openai() -> None:
    error = {"type": "error", "code": "server_error", "message": "m", "param": None}
    assert shape_event(error, MKA1) == error
    nested = {"type": "server_error", "code": "server_error", "message": "m", "param": None}
    assert shape_event(error, OPENAI) == {"type": "error", "error": nested}


@pytest.mark.parametrize(("body", "dialect"), ALL_KINDS)
def test_shaping_changes_nothing_that_it_is_given(body: Fields, dialect: Dialect) -> None:
    events, _ = answered(body, dialect)
    before = encode(events)
    data_of(events, dialect, obfuscation=True)
    assert encode(events) == before


# Data


def test_an_event_begins_with_its_type_and_number() -> None:
    data = event_data({"type": "keepalive"}, sequence_number=7, dialect=OPENAI, obfuscation=True)
    assert data == b'{"type":"keepalive","sequence_number":7}'


@pytest.mark.parametrize("length", [1, 5, 15, 16, 17, 40])
def test_a_delta_and_its_padding_fill_whole_blocks(length: int) -> None:
    for number in (0, 61, 1000):
        event = {"type": "response.output_text.delta", "delta": "x" * length}
        read = decode(event_data(event, sequence_number=number, dialect=OPENAI, obfuscation=True))
        assert (len(read["delta"]) + len(read["obfuscation"])) % 16 == 0
        assert read["obfuscation"]


def test_a_delta_that_is_no_text_has_no_padding() -> None:
    event = {"type": "response.shell_call_output_content.delta", "delta": {"stdout": "x"}}
    assert b"obfuscation" not in event_data(event, sequence_number=1, dialect=OPENAI, obfuscation=True)


def test_without_obfuscation_there_is_no_padding() -> None:
    event = {"type": "response.output_text.delta", "delta": "x"}
    assert b"obfuscation" not in event_data(event, sequence_number=1, dialect=OPENAI, obfuscation=False)


def test_open_responses_has_all_that_it_requires() -> None:
    _, ended = answered({"input": "2 words"}, OPENAI)
    assert OPEN_RESPONSES.required_fields <= shape_response(ended, OPEN_RESPONSES).keys()
    assert ended["created_at"] == CREATED_AT


# From one dialect to another

DELTA = b'{"type":"response.output_text.delta", "sequence_number":4,"delta":"hi","x":1.50}'


def test_from_a_dialect_to_itself_every_byte_stays() -> None:
    for data in (DELTA, b"not JSON", b'{"type":"error" ,"error":{}}'):
        assert translate_event(data, OPENAI, OPENAI) is data
        assert translate_response(data, MKA1, MKA1) is data


@pytest.mark.parametrize(("body", "dialect"), ALL_KINDS)
def test_an_event_gets_the_shape_of_the_other_dialect_and_keeps_its_number(body: Fields, dialect: Dialect) -> None:
    other = OPENAI if dialect is MKA1 else MKA1
    events, _ = answered(body, dialect)
    for number, (event, data) in enumerate(zip(events, data_of(events, dialect), strict=True)):
        sent = data if event["type"] == "error" else encode({**event, "sequence_number": number})
        assert decode(translate_event(sent, dialect, other)) == decode(
            event_data(event, sequence_number=number, dialect=other, obfuscation=False)
        )


def test_a_nested_error_is_flat_in_mka1() -> None:
    nested = b'{"type":"error","sequence_number":3,"error":{"type":"t","code":"c","message":"m","param":null}}'
    flat = {"type": "error", "sequence_number": 3, "code": "c", "message": "m", "param": None}
    assert decode(translate_event(nested, OPENAI, MKA1)) == flat


def test_an_event_without_a_number_gets_none() -> None:
    assert translate_event(b'{"type":"keepalive"}', OPENAI, MKA1) == b'{"type":"keepalive"}'


@pytest.mark.parametrize("data", [b"", b"[DONE]", b"[1]", b'{"type":7}', b"{}", b"\xff"])
def test_what_is_not_an_event_stays_as_it_is(data: bytes) -> None:
    assert translate_event(data, OPENAI, MKA1) == data


def test_a_response_gets_the_keys_of_the_other_dialect() -> None:
    _, ended = answered({"input": "echo hello"}, OPENAI)
    translated = decode(translate_response(encode(ended), OPENAI, MKA1))
    assert translated["output_text"] == "hello"
    assert MKA1.required_fields <= translated.keys()
    assert translate_response(b"not JSON", OPENAI, MKA1) == b"not JSON"


@pytest.mark.parametrize(
    ("dialect", "details"), [(MKA1, {"cached_tokens": 0}), (OPENAI, {"cached_tokens": 0, "cache_write_tokens": 0})]
)
def test_usage_is_whole(dialect: Dialect, details: Fields) -> None:
    usage = usage_of(3, 4, 1, dialect=dialect)
    assert (usage["total_tokens"], usage["input_tokens_details"]) == (7, details)
