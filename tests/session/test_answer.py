"""Answers: their words, what a refusal means, how long the gateway asks to wait. No answer of a peer's raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.session.answer import (
    EXCERPT_BYTES,
    Answer,
    ErrorWords,
    Refusal,
    is_event_stream,
    refusal_of,
    seconds_asked,
)

# The answer


@pytest.mark.parametrize(("status", "is_success"), [(200, True), (204, True), (199, False), (300, False), (503, False)])
def test_a_success_is_a_status_of_the_two_hundreds(status: int, is_success: bool) -> None:
    assert Answer(status).is_success is is_success


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("text/html", False),
        ("text/event-stream", False),
    ],
)
def test_the_content_type_tells_whether_the_body_is_json(content_type: str, is_json: bool) -> None:
    assert Answer(200, {"content-type": content_type}).is_json is is_json


def test_an_answer_without_a_content_type_is_no_json() -> None:
    assert Answer(200).is_json is False


def test_the_request_id_is_the_gateways() -> None:
    assert Answer(500, {"x-request-id": "req_7"}).request_id == "req_7"
    assert Answer(500).request_id is None


@pytest.mark.parametrize(
    ("data", "excerpt"),
    [
        pytest.param(b"<html>\n  <b>Bad\tgateway</b>\r\n</html>", "<html> <b>Bad gateway</b> </html>", id="one line"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"a" * (EXCERPT_BYTES + 1), "a" * EXCERPT_BYTES, id="the beginning"),
        pytest.param(b"\xff", "\ufffd", id="no text"),
    ],
)
def test_the_excerpt_is_the_beginning_of_the_body_on_one_line(data: bytes, excerpt: str) -> None:
    assert Answer(502, body=data).excerpt == excerpt


# Its words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(
            {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}},
            ErrorWords("no", "c", "p"),
            id="OpenAI",
        ),
        pytest.param({"error": "Rate limit exceeded"}, ErrorWords("Rate limit exceeded"), id="MKA1's rate limit"),
        pytest.param({"message": "no", "code": "c", "param": "p"}, ErrorWords("no", "c", "p"), id="flat"),
        pytest.param({"detail": "not here"}, ErrorWords("not here"), id="a detail"),
        pytest.param({"detail": [{"msg": "no"}]}, ErrorWords(), id="a detail that is no text"),
        pytest.param({"message": "no", "error": None}, ErrorWords("no"), id="an error that is null"),
        pytest.param({"error": {"message": "no", "code": None, "param": None}}, ErrorWords("no"), id="nulls"),
        pytest.param({"error": {"message": "no", "code": 7}}, ErrorWords("no"), id="a code that is no text"),
        pytest.param({"error": {}}, ErrorWords(), id="an empty error"),
        pytest.param({"error": ["no"]}, ErrorWords(), id="an error that is an array"),
        pytest.param({}, ErrorWords(), id="an empty object"),
        pytest.param(["no"], ErrorWords(), id="an array"),
        pytest.param("no", ErrorWords(), id="a text"),
    ],
)
def test_the_words_of_an_error_are_found_in_every_known_shape(said: object, words: ErrorWords) -> None:
    assert ErrorWords.of(json.dumps(said).encode()) == words


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html></html>", id="HTML"),
        pytest.param(b'{"error":', id="truncated"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"error":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", id="a deep error"),
    ],
)
def test_a_body_that_is_no_error_has_no_words(data: bytes) -> None:
    assert ErrorWords.of(data) == ErrorWords()


@pytest.mark.parametrize(
    "data",
    [
        b'{"error":"\xff"}',
        b'{"error":{"message":"\xff"}}',
        b'{"error":{"\xff":1}}',
        b'{"\xff":1}',
        b'{"message":"\\ud800"}',
    ],
)
def test_characters_that_are_none_raise_nothing(data: bytes) -> None:
    assert ErrorWords.of(data).code is None


@given(st.binary())
def test_no_body_raises(data: bytes) -> None:
    ErrorWords.of(data)
    ErrorWords.of(b'{"error":' + data)
    ErrorWords.of(b'{"error":{"message":"' + data + b'"}}')


# Refusals: protocol 6, 9, 13


def openai(message: str, param: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


@pytest.mark.parametrize(
    ("status", "said", "refusal"),
    [
        pytest.param(401, openai("Incorrect API key"), Refusal.UNAUTHORIZED, id="no such key"),
        pytest.param(403, openai("not yours"), Refusal.UNAUTHORIZED, id="forbidden"),
        pytest.param(404, openai("Response not found"), Refusal.UNKNOWN_ID, id="unknown id"),
        pytest.param(410, None, Refusal.UNKNOWN_ID, id="gone"),
        pytest.param(408, None, Refusal.BUSY, id="timeout"),
        pytest.param(425, None, Refusal.BUSY, id="too early"),
        pytest.param(429, {"error": "Rate limit exceeded"}, Refusal.BUSY, id="rate limit"),
        pytest.param(500, None, Refusal.BUSY, id="server error"),
        pytest.param(504, None, Refusal.BUSY, id="gateway timeout"),
        pytest.param(
            400,
            openai("This response can no longer be streamed because it is more than 5 minutes old."),
            Refusal.NOT_STREAMABLE,
            id="OpenAI: window expired",
        ),
        pytest.param(
            400,
            openai("This response cannot be streamed because it was not created with background=true."),
            Refusal.NOT_STREAMABLE,
            id="OpenAI: not in the background",
        ),
        pytest.param(
            400,
            openai("This response cannot be streamed because it was not created with stream=true.", "stream"),
            Refusal.NOT_STREAMABLE,
            id="Azure: not created with a stream",
        ),
        pytest.param(400, openai("must be >= 0", "starting_after"), Refusal.CURSOR_REFUSED, id="the cursor by name"),
        pytest.param(400, openai("starting_after is too large"), Refusal.CURSOR_REFUSED, id="the cursor by message"),
        pytest.param(400, openai("no"), Refusal.UNRECOGNIZED, id="no reason that we know"),
        pytest.param(400, None, Refusal.UNRECOGNIZED, id="no words"),
        pytest.param(307, None, Refusal.UNRECOGNIZED, id="a redirect"),
        pytest.param(409, openai("no"), Refusal.UNRECOGNIZED, id="a conflict"),
    ],
)
def test_a_refusal_is_recognised_by_status_and_words(status: int, said: object, refusal: Refusal) -> None:
    assert refusal_of(Answer(status, body=json.dumps(said).encode())) is refusal


# Streams


@pytest.mark.parametrize(
    ("status", "content_type", "expected"),
    [
        (200, "text/event-stream", True),
        (200, "text/event-stream; charset=utf-8", True),
        (200, "Text/Event-Stream", True),
        (200, "application/json", False),
        (200, "", False),
        (503, "text/event-stream", False),
    ],
)
def test_a_stream_is_told_by_its_head(status: int, content_type: str, expected: bool) -> None:
    assert is_event_stream(status, {"content-type": content_type}) is expected


def test_a_head_without_a_content_type_is_no_stream() -> None:
    assert is_event_stream(200, {}) is False


# How long to wait

SENT = "Wed, 21 Oct 2026 07:27:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, 0.0, id="nothing asked"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="half a second"),
        pytest.param({"retry-after-ms": "1500"}, 1.5, id="milliseconds"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "2"}, 1.5, id="milliseconds are finer"),
        pytest.param({"retry-after-ms": "soon", "retry-after": "2"}, 2.0, id="milliseconds that are none"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": SENT}, 60.0, id="a date"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 09:28:00 +0200", "date": SENT}, 60.0, id="a date elsewhere"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT", "date": SENT}, 0.0, id="a date gone by"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0, id="a date without the answer's own"),
        pytest.param({"retry-after": "-7"}, 0.0, id="a negative wish"),
        pytest.param({"retry-after": "soon", "date": SENT}, 0.0, id="no number and no date"),
        pytest.param({"retry-after": "nan"}, 0.0, id="not a number"),
    ],
)
def test_what_the_gateway_asks_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert seconds_asked(headers) == seconds


@pytest.mark.parametrize(
    "until",
    [
        "Wed, 21 Oct 2026 07:28:00",
        "Wed, 21 Oct 2026 07:28:00 -0000",
        "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
        "Wed, 21 Oct 2026 07:28:00 +99999999999999999999",
        "Wed, 21 Oct 2026 07:28:00 +9999",
    ],
)
def test_an_odd_date_raises_nothing(until: str) -> None:
    assert 0.0 <= seconds_asked({"retry-after": until, "date": SENT}) <= 60.0


@given(st.text(), st.text())
def test_no_wish_raises(asked: str, date: str) -> None:
    assert seconds_asked({"retry-after": asked, "retry-after-ms": date, "date": date}) >= 0.0
