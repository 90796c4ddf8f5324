"""decode_event: an error in whatever shape is an ErrorEvent with the server's words, and nothing else is one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold import fold
from streamfold.fold import StreamError
from streamfold.schema.codec import decode_event
from streamfold.schema.event import EVENT_TYPES, ErrorEvent, UnknownEvent

WORDS = {"message": "engine died", "code": "c", "type": "t", "param": "p"}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def words_of(data: bytes, name: str = "") -> StreamError | None:
    return fold([decode_event(data, name)]).error


SHAPES = [
    pytest.param({"type": "error", "error": WORDS}, StreamError("c", "engine died", "p", "t"), id="nested"),
    pytest.param({"error": WORDS}, StreamError("c", "engine died", "p", "t"), id="nested, without a type"),
    pytest.param({"error": {**WORDS, "code": 400}}, StreamError("400", "engine died", "p", "t"), id="a numeric code"),
    pytest.param({"error": {"detail": "no"}}, StreamError(message="no"), id="nested detail"),
    pytest.param({"error": {}}, StreamError(), id="nested and empty"),
    pytest.param({"error": "engine died"}, StreamError(message="engine died"), id="text"),
    pytest.param({"type": "error", "error": "engine died"}, StreamError(message="engine died"), id="text with a type"),
    pytest.param({"error": "overloaded", "code": 529}, StreamError("529", "overloaded"), id="text with a code"),
    pytest.param({"error": ["a", 1]}, StreamError(message='["a", 1]'), id="a list"),
    pytest.param({"error": 500}, StreamError(message="500"), id="a number"),
    pytest.param({"type": "error", "message": "m", "code": 429}, StreamError("429", "m"), id="flat, numeric code"),
    pytest.param({"type": "error", "message": ["m"]}, StreamError(message='["m"]'), id="flat, a list for words"),
    pytest.param({"type": "error", "param": {"a": 1}}, StreamError(param='{"a": 1}'), id="flat, an object for a param"),
    pytest.param({"object": "error", **WORDS}, StreamError("c", "engine died", "p", "t"), id="flat, an error object"),
    pytest.param({"message": "m", "code": None}, StreamError(message="m"), id="flat, without a type"),
    pytest.param({"detail": "Not found"}, StreamError(message="Not found"), id="detail"),
    pytest.param({"detail": [{"msg": "x"}]}, StreamError(message='[{"msg": "x"}]'), id="detail, a list"),
    pytest.param(
        {"type": "server_error", "message": "m"}, StreamError(message="m", type="server_error"), id="own type"
    ),
    pytest.param(
        {"type": "BadRequestError", "code": 400, "message": "m"},
        StreamError("400", "m", None, "BadRequestError"),
        id="its class",
    ),
    pytest.param(
        {"type": "response.error", "error": WORDS}, StreamError("c", "engine died", "p", "t"), id="another name"
    ),
    pytest.param({"type": "response.error", "error": "m"}, StreamError(message="m"), id="another name, text"),
    pytest.param({"error": {"message": "a\ud800"}}, StreamError(message="a\ufffd"), id="half a surrogate pair"),
]


@pytest.mark.parametrize(("value", "expected"), SHAPES)
def test_an_error_in_any_shape_is_one_with_its_words(value: Any, expected: StreamError) -> None:
    assert isinstance(decode_event(encoded(value)), ErrorEvent)
    assert words_of(encoded(value)) == expected


@pytest.mark.parametrize(("value", "expected"), SHAPES)
@pytest.mark.parametrize(("number", "read"), [(7, 7), ("7", None), (None, None), (7.5, None)])
def test_its_number_is_read_as_of_any_event(value: Any, expected: StreamError, number: Any, read: int | None) -> None:
    event = decode_event(encoded({**value, "sequence_number": number}))
    assert event.sequence_number == read
    assert fold([event]).error == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"error": None}, id="null"),
        pytest.param({"error": False}, id="false"),
        pytest.param({"message": None, "detail": None}, id="no words"),
        pytest.param({"id": "resp_1", "object": "response", "status": "failed", "error": None}, id="a Response"),
        pytest.param({"type": "response.not_known_yet", "error": WORDS}, id="an unknown type with an error"),
        pytest.param({"type": "response.not_known_yet", "message": "m"}, id="an unknown type with a message"),
        pytest.param({"type": "server_error"}, id="a name without words"),
        pytest.param({"type": 5}, id="a type that is no text"),
    ],
)
def test_what_reports_no_error_is_none(value: Any) -> None:
    assert isinstance(decode_event(encoded(value)), UnknownEvent)


@pytest.mark.parametrize("name", sorted(set(EVENT_TYPES) - {"error"}))
def test_an_event_of_a_known_type_that_did_not_decode_is_no_error(name: str) -> None:
    broken = encoded({"type": name, "response": 5, "output_index": "x", "error": 5, "message": "m", "delta": 5})
    for event in (decode_event(broken), decode_event(broken, "error")):
        assert not isinstance(event, ErrorEvent)


# The name of the frame


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"Too many requests", StreamError(message="Too many requests"), id="plain text"),
        pytest.param(b'"Too many"', StreamError(message="Too many"), id="JSON text"),
        pytest.param(b"a\xff", StreamError(message="a\ufffd"), id="broken characters"),
        pytest.param(b"", StreamError(), id="nothing"),
        pytest.param(b"null", StreamError(), id="null"),
        pytest.param(b"{}", StreamError(), id="an object without words"),
        pytest.param(b'{"code": 5}', StreamError(code="5"), id="an object with a code alone"),
        pytest.param(b'{"type":"overloaded","message":"m"}', StreamError(None, "m", None, "overloaded"), id="own type"),
    ],
)
def test_the_name_error_makes_an_error_of_any_words(data: bytes, expected: StreamError) -> None:
    assert words_of(data, "error") == expected
    assert words_of(data) is None or b"message" in data


@pytest.mark.parametrize("data", [b'{"error":{"mess', b"[DONE]", b'["a"', b'[{"error":"m"}]'])
def test_what_was_torn_or_is_the_end_is_no_error_even_under_that_name(data: bytes) -> None:
    assert isinstance(decode_event(data, "error"), UnknownEvent)


def test_the_type_in_the_data_decides_over_the_name() -> None:
    assert decode_event(b'{"type":"keepalive"}', "error").type == "keepalive"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda each: (
            st.lists(each, max_size=2)
            | st.dictionaries(
                st.sampled_from(["error", "type", "message", "detail", "code", "object", "sequence_number"]),
                each,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["", "error", "x"]),
)
def test_no_json_makes_it_raise(value: Any, name: str) -> None:
    event = decode_event(encoded(value), name)
    assert fold([event]).error is None or isinstance(event, ErrorEvent)
