"""The decoders: what is wrong costs no more than the smallest piece that holds it, and nothing escapes but MalformedBody."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, inspect

from streamfold.errors import MalformedBody
from streamfold.schema.body import (
    Head,
    decode_annotation,
    decode_batch,
    decode_item,
    decode_part,
    decode_response,
    is_usable_id,
    read_head,
)
from streamfold.schema.item import (
    CodeInterpreterCall,
    FilePath,
    FunctionCall,
    Item,
    Message,
    OutputText,
    Part,
    Reasoning,
    Refusal,
    SummaryText,
    UnknownAnnotation,
    UnknownItem,
    UnknownPart,
)
from streamfold.schema.response import Batch, RequestCounts, Response, Usage

Decode = Callable[[bytes], Any]

EACH_BODY = pytest.mark.parametrize(
    ("decode", "kind"),
    [pytest.param(decode_response, "Response", id="response"), pytest.param(decode_batch, "Batch", id="batch")],
)
EACH_VALUE = pytest.mark.parametrize(
    ("decode", "unknown"),
    [
        pytest.param(decode_item, UnknownItem, id="item"),
        pytest.param(decode_part, UnknownPart, id="part"),
        pytest.param(decode_annotation, UnknownAnnotation, id="annotation"),
    ],
)
NO_OBJECT = pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b'["a"]', id="a list"),
        pytest.param(b"1e400", id="a number beyond all numbers"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b'{"id": "a"', id="cut short"),
        pytest.param(b'{"id": "a"} {}', id="two objects"),
        pytest.param(b'{"id": "a\xff"}', id="text that is no UTF-8"),
        pytest.param(b'{"\xff": 1}', id="a key that is no UTF-8"),
        pytest.param(b'{"id": "a", "x": "\xff"}', id="no UTF-8 where nobody looks"),
        pytest.param(b'{"id": "\\ud800"}', id="half of a surrogate pair"),
        pytest.param(b'{"tools": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", id="ten thousand levels"),
    ],
)


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


# Bodies


@EACH_BODY
@NO_OBJECT
def test_bytes_that_are_no_json_object_are_a_malformed_body(decode: Decode, kind: str, data: bytes) -> None:
    with pytest.raises(MalformedBody) as raised:
        decode(data)
    assert raised.value.kind == kind
    assert raised.value.reason


def test_a_malformed_body_says_where_it_broke() -> None:
    with pytest.raises(MalformedBody, match=r"not a Response: JSON is malformed: invalid character \(byte 8\)"):
        decode_response(b'{"id": nope}')


@EACH_BODY
def test_an_empty_object_is_a_body_that_says_nothing(decode: Decode, kind: str) -> None:
    assert decode(b"{}") in (Response(), Batch())
    assert type(decode(b"{}")).__name__ == kind


@EACH_BODY
def test_a_body_may_be_raw_json_of_an_event(decode: Decode, kind: str) -> None:
    body = decode(Raw(b'{"id": "a", "object": 5}'))
    assert (body.id, body.rejected) == ("a", ("object",))


def test_a_whole_response_decodes_with_nothing_rejected() -> None:
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    body = {"id": "resp_1", "status": "completed", "output": [message], "usage": {"total_tokens": 15}, "new": [1]}
    assert decode_response(dump(body)) == Response(
        id="resp_1",
        status="completed",
        output=(Message(id="msg_1", role="assistant", content=(OutputText("a"),)),),
        usage=Usage(total_tokens=15),
    )


def test_the_batch_of_a_cancel_decodes_with_nothing_rejected() -> None:
    body = {"status": "cancelling", "errors": None, "completed_at": 9, "request_counts": {"total": 3}}
    expected = Batch(status="cancelling", completed_at=9, request_counts=RequestCounts(total=3))
    assert decode_batch(dump(body)) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("status", b"5", id="a number for a string"),
        pytest.param("created_at", b'"today"', id="a string for a number"),
        pytest.param("usage", b'{"total_tokens": "many"}', id="one token count"),
        pytest.param("error", b'"Rate limit exceeded"', id="a string for an error"),
        pytest.param("output", b"null", id="output null"),
        pytest.param("output", b'{"0": {}}', id="output no list"),
        pytest.param("temperature", b"1e400", id="a number beyond all numbers"),
        pytest.param("metadata", b"[]", id="a list for an object"),
    ],
)
def test_one_bad_field_is_rejected_by_name_and_the_others_stay(name: str, value: bytes) -> None:
    response = decode_response(b'{"id": "resp_1", "model": "m", "' + name.encode() + b'": ' + value + b"}")
    assert response == Response(id="resp_1", model="m", rejected=(name,))


def test_bad_fields_are_rejected_in_the_order_of_the_alphabet() -> None:
    assert decode_response(b'{"user": 5, "status": 5, "id": 5}').rejected == ("id", "status", "user")


def test_one_bad_field_of_a_batch_is_rejected_by_name() -> None:
    batch = decode_batch(b'{"id": "batch_1", "status": "failed", "request_counts": 3}')
    assert batch == Batch(id="batch_1", status="failed", rejected=("request_counts",))


@EACH_BODY
def test_a_server_cannot_fill_rejected(decode: Decode, kind: str) -> None:
    assert decode(b'{"id": "a", "rejected": ["status"]}').rejected == ()


def test_one_bad_item_leaves_the_response_and_its_neighbours_typed() -> None:
    call = b'{"type": "x_search_call", "name": "find" }'
    response = decode_response(b'{"id": "a", "output": [{"type": "message"}, ' + call + b', {"type": "reasoning"}]}')
    message, unknown, reasoning = response.output
    assert (message, reasoning, response.rejected) == (Message(), Reasoning(), ())
    assert isinstance(unknown, UnknownItem)
    assert (unknown.wire_type, unknown.data) == ("x_search_call", call)


# Items, parts, annotations


@EACH_VALUE
@NO_OBJECT
def test_bytes_that_are_no_json_object_are_an_unknown_value(decode: Decode, unknown: type[Any], data: bytes) -> None:
    value = decode(data)
    assert type(value) is unknown
    assert (value.wire_type, value.data) == ("", data)
    assert value.error


@EACH_VALUE
@pytest.mark.parametrize(
    ("data", "name"),
    [
        pytest.param(b'{"type": "new", "a": 1}', "new", id="a new type"),
        pytest.param(b'{"a": 1}', "", id="no type"),
        pytest.param(b'{"type": null}', "", id="type null"),
        pytest.param(b'{"type": "streamfold.unknown", "unknown_type": "a", "data": "", "error": ""}', None, id="ours"),
    ],
)
def test_what_no_type_fits_keeps_its_bytes(decode: Decode, unknown: type[Any], data: bytes, name: str | None) -> None:
    value = decode(data)
    assert type(value) is unknown
    assert (value.wire_type, value.data) == ("streamfold.unknown" if name is None else name, data)
    assert value.error


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        pytest.param(decode_item, b'{"type": "function_call", "arguments": {}}', id="arguments as an object"),
        pytest.param(decode_item, b'{"type": "message", "status": 5}', id="status as a number"),
        pytest.param(decode_item, b'{"type": "message", "content": "text"}', id="content as text"),
        pytest.param(decode_item, b'{"type": "message", "content": [], "role": 5}', id="role as a number"),
        pytest.param(decode_part, b'{"type": "output_text", "text": null}', id="text null"),
        pytest.param(decode_part, b'{"type": "output_text", "annotations": null}', id="annotations null"),
        pytest.param(decode_annotation, b'{"type": "file_path", "index": "a"}', id="index as text"),
    ],
)
def test_a_known_type_that_does_not_validate_says_why(decode: Decode, data: bytes) -> None:
    value = decode(data)
    assert (value.wire_type, value.data) == (json.loads(data)["type"], data)
    assert value.error.startswith("Expected `")


def test_a_good_item_is_typed_without_a_detour() -> None:
    data = b'{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "item_id": "extra"}'
    assert decode_item(data) == FunctionCall(call_id="c", name="f", arguments="{}")
    assert decode_item(Raw(b'{"type": "code_interpreter_call"}')) == CodeInterpreterCall()


def test_one_bad_part_leaves_the_message_and_its_neighbours_typed() -> None:
    bad = b'{"type": "input_text", "text": "q"}'
    data = b'{"id": "m", "type": "message", "content": [{"type": "refusal", "refusal": "no"}, ' + bad + b"]}"
    unknown = UnknownPart("input_text", bad, "Invalid value 'input_text' - at `$.type`")
    assert decode_item(data) == Message(id="m", content=(Refusal("no"), unknown))


def test_one_bad_summary_leaves_the_reasoning_and_its_neighbours_typed() -> None:
    data = b'{"type": "reasoning", "content": null, "summary": [{"type": "summary_text", "text": "s"}, 7]}'
    unknown = UnknownPart("", b"7", "Expected `object`, got `int`")
    assert decode_item(data) == Reasoning(summary=(SummaryText("s"), unknown))


def test_one_bad_annotation_leaves_the_text_and_its_neighbours_typed() -> None:
    bad = b'{"type": "x", "start": 0, "end": 1}'
    data = b'{"type": "output_text", "text": "a", "annotations": [{"type": "file_path"}, ' + bad + b"]}"
    unknown = UnknownAnnotation("x", bad, "Invalid value 'x' - at `$.type`")
    assert decode_part(data) == OutputText("a", annotations=(FilePath(), unknown))


def test_one_bad_annotation_leaves_the_response_typed() -> None:
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "x"}]}
    (message,) = decode_response(dump({"output": [{"type": "message", "content": [part]}]})).output
    assert isinstance(message, Message)
    assert isinstance(message.content[0], OutputText)
    assert message.content[0].text == "a"


# Laws

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(), values, max_size=2),
    max_leaves=3,
)
SCALARS: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.AnyType: JSON_VALUES,
    inspect.NoneType: st.none(),
    inspect.BoolType: st.booleans(),
    inspect.IntType: st.integers(-(2**53), 2**53),
    inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    inspect.StrType: st.text(max_size=5),
}


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Any value of a type as msgspec sees it, but for those that only our own decoder makes."""
    match kind:
        case inspect.UnionType(types=types):
            return st.one_of([values_of(each) for each in types if not is_unknown(each)])
        case inspect.VarTupleType(item_type=each):
            return st.lists(values_of(each), max_size=2).map(tuple)
        case inspect.DictType(value_type=value):
            return st.dictionaries(st.text(max_size=5), values_of(value), max_size=2)
        case inspect.StructType(cls=cls, fields=fields):
            given_fields = {each.name: values_of(each.type) for each in fields if each.name != "rejected"}
            return st.fixed_dictionaries({}, optional=given_fields).map(lambda values: cls(**values))
    return SCALARS[type(kind)]


def is_unknown(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.StructType) and kind.cls in (UnknownItem, UnknownPart, UnknownAnnotation)


RESPONSES = values_of(inspect.type_info(Response))
BATCHES = values_of(inspect.type_info(Batch))


@given(RESPONSES)
def test_a_response_that_was_encoded_decodes_equal(response: Response) -> None:
    assert decode_response(msgspec.json.encode(response)) == response


@given(BATCHES)
def test_a_batch_that_was_encoded_decodes_equal(batch: Batch) -> None:
    assert decode_batch(msgspec.json.encode(batch)) == batch


@given(values_of(inspect.type_info(Item)))
def test_an_item_that_was_encoded_decodes_equal(item: Item) -> None:
    assert decode_item(msgspec.json.encode(item)) == item


@given(values_of(inspect.type_info(Part)))
def test_a_part_that_was_encoded_decodes_equal(part: Part) -> None:
    assert decode_part(msgspec.json.encode(part)) == part


@given(RESPONSES)
def test_taking_a_response_apart_gives_the_same_fields(response: Response) -> None:
    values = msgspec.json.decode(msgspec.json.encode(response)) | {"model": 5}
    expected = msgspec.structs.replace(response, model=None, rejected=("model",))
    assert decode_response(dump(values)) == expected


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """An encoded Response of which a stretch was replaced by other bytes."""
    data = msgspec.json.encode(draw(RESPONSES))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, len(data)))
    return data[:start] + draw(st.binary(max_size=8) | st.sampled_from([b"null", b"[", b'"', b"1e400"])) + data[end:]


ANY_BYTES = st.binary() | damaged_bodies() | JSON_VALUES.map(dump)


@EACH_BODY
@given(data=ANY_BYTES)
def test_any_bytes_are_a_body_or_a_malformed_body(decode: Decode, kind: str, data: bytes) -> None:
    try:
        found = type(decode(data)).__name__
    except MalformedBody as error:
        found = error.kind
    assert found == kind


@given(ANY_BYTES)
def test_any_bytes_are_an_item_a_part_and_an_annotation(data: bytes) -> None:
    for decode in (decode_item, decode_part, decode_annotation):
        assert isinstance(decode(data), Struct)


# The head of a Response


@pytest.mark.parametrize(
    ("response", "head"),
    [
        pytest.param({}, Head(), id="nothing"),
        pytest.param(
            {"id": "r", "status": "queued", "background": True}, Head("r", "queued", True), id="all but output"
        ),
        pytest.param({"output": [], "new": 1}, Head(output=[]), id="an output with nothing in it"),
        pytest.param({"id": None, "status": None, "background": None, "output": None}, Head(), id="nulls"),
        pytest.param({"id": 5, "status": "completed"}, Head(status="completed"), id="an id that is a number"),
        pytest.param({"id": "r", "status": []}, Head("r"), id="a status that is a list"),
        pytest.param({"id": "r", "background": "yes"}, Head("r"), id="background as text"),
        pytest.param(
            {"background": False, "output": {"a": 1}}, Head(background=False), id="an output that is an object"
        ),
        pytest.param({"background": True, "output": "words"}, Head(background=True), id="an output that is text"),
    ],
)
def test_each_field_of_the_head_is_read_if_it_is_of_its_type(response: dict[str, Any], head: Head) -> None:
    assert read_head(msgspec.json.encode(response)) == head


def test_the_items_of_the_head_stay_bytes_even_beside_a_field_of_a_wrong_type() -> None:
    head = read_head(b'{"id":5,"output":[{"a":1.50},null]}')
    assert head is not None
    assert head.output == [Raw(b'{"a":1.50}'), Raw(b"null")]


def test_the_rest_of_a_response_is_not_read() -> None:
    assert read_head(b'{"status":"queued","size":1E400}') == Head(status="queued")


@pytest.mark.parametrize("data", [b"[]", b'"words"', b"null", b'{"status":', b"", b'{"id":1'])
def test_what_is_not_an_object_has_no_head(data: bytes) -> None:
    assert read_head(data) is None


@pytest.mark.parametrize(
    ("data", "is_background"),
    [
        (b'{"background":true}', True),
        (b'{"background":false}', False),
        (b'{"background":null}', None),
        (b'{"background":"true"}', None),
        (b"{}", None),
        (b"<html>", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_response_says_whether_it_runs_in_the_background(data: bytes, is_background: bool | None) -> None:
    head = read_head(data)
    assert (head.background if head else None) is is_background


@pytest.mark.parametrize("value", ["resp_1", "resp_YQ==", "a/b?c#d", "50%", "two words", "ö", "...", "x" * 4096])
def test_an_id_of_any_printable_characters_can_be_sent(value: str) -> None:
    assert is_usable_id(value)


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "\x00", "\u2028", "\ud800", "x" * 4097, None, 7, b"resp_1"])
def test_what_a_url_resolves_away_or_cannot_hold_is_not_an_id(value: object) -> None:
    assert not is_usable_id(value)
