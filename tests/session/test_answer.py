"""Answers: the error's words, how long to wait, and what an answer means for the repair ladder."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold import State, fold, snapshot_json
from streamfold.schema import Event
from streamfold.session.answer import (
    EXCERPT_BYTES,
    STREAMS,
    Answer,
    CallFailure,
    Ended,
    ErrorWords,
    Refusal,
    StillOpen,
    error_words,
    in_short,
    is_event_stream,
    read_no_stream,
    read_refusal,
    read_retrieved,
    refusal_of,
    retry_after_seconds,
)
from streamfold.session.outcome import RepairKind
from tests.fold.made import added, delta, event
from tests.session.made import answer, body, refused

PAGE = "an HTML page"


def error(**words: str) -> Event:
    return event("error", None, error=words)


def ended(response: dict[str, object]) -> Event:
    return event("response.failed", None, response={"status": "failed", **response})


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
        pytest.param({"error": {"message": "no", "code": 429}}, ErrorWords("no", "429"), id="a numeric code"),
        pytest.param({"error": {"message": "no", "code": -1.5}}, ErrorWords("no", "-1.5"), id="a code with a point"),
        pytest.param({"error": {"message": "no", "code": [7]}}, ErrorWords("no"), id="a code that is neither"),
        pytest.param({"error": {"message": "no", "code": 10**30}}, ErrorWords("no"), id="a number too long for a code"),
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


def coded(code: str) -> dict[str, object]:
    return {"error": {"message": "It is no longer there.", "type": "conflict", "code": code}}


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
        pytest.param(307, None, Refusal.NOT_THE_GATEWAY, id="a redirect"),
        pytest.param(409, openai("no"), Refusal.UNRECOGNIZED, id="a conflict"),
        pytest.param(416, None, Refusal.CURSOR_REFUSED, id="a range that cannot be had"),
        pytest.param(409, coded("stream_cursor_expired"), Refusal.CURSOR_REFUSED, id="the cursor has expired, 409"),
        pytest.param(410, coded("stream_cursor_expired"), Refusal.CURSOR_REFUSED, id="the cursor has expired, 410"),
        pytest.param(404, coded("cursor_not_found"), Refusal.CURSOR_REFUSED, id="the cursor is not known, 404"),
        pytest.param(400, openai("The cursor has expired."), Refusal.CURSOR_REFUSED, id="the cursor by its words"),
        pytest.param(400, openai("bad Last-Event-ID"), Refusal.CURSOR_REFUSED, id="the cursor of EventSource"),
        pytest.param(401, coded("stream_cursor_expired"), Refusal.UNAUTHORIZED, id="the key counts for more"),
        pytest.param(503, coded("stream_cursor_expired"), Refusal.BUSY, id="an outage counts for more"),
        pytest.param(
            400,
            openai("starting_after needs a response that was created with background=true."),
            Refusal.CURSOR_REFUSED,
            id="a message about both is about the cursor",
        ),
        pytest.param(409, openai("The stream has expired."), Refusal.NOT_STREAMABLE, id="the stream has expired"),
    ],
)
def test_a_refusal_is_recognised_by_status_and_words(status: int, said: object, refusal: Refusal) -> None:
    assert refusal_of(Answer(status, body=json.dumps(said).encode())) is refusal


@pytest.mark.parametrize(
    ("status", "content_type", "refusal"),
    [
        (400, "text/html", Refusal.NOT_THE_GATEWAY),
        (404, "text/html; charset=utf-8", Refusal.NOT_THE_GATEWAY),
        (404, "text/plain", Refusal.NOT_THE_GATEWAY),
        (410, "text/html", Refusal.NOT_THE_GATEWAY),
        (404, "application/json", Refusal.UNKNOWN_ID),
        (404, "", Refusal.UNKNOWN_ID),
        (401, "text/html", Refusal.UNAUTHORIZED),
        (403, "text/html", Refusal.UNAUTHORIZED),
        (502, "text/html", Refusal.BUSY),
        (302, "application/json", Refusal.NOT_THE_GATEWAY),
    ],
)
def test_a_page_is_a_proxys_word(status: int, content_type: str, refusal: Refusal) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert refusal_of(Answer(status, headers, b"<html>404 page not found</html>")) is refusal


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
    assert retry_after_seconds(headers) == seconds


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
    assert 0.0 <= retry_after_seconds({"retry-after": until, "date": SENT}) <= 60.0


@given(st.text(), st.text())
def test_no_wish_raises(asked: str, date: str) -> None:
    assert retry_after_seconds({"retry-after": asked, "retry-after-ms": date, "date": date}) >= 0.0


RESUME, REPLAY, RETRIEVE = RepairKind
OLD = "This response can no longer be streamed because it is more than 5 minutes old."


NO_LONGER = "the stream was refused with 409: It is no longer there."


def html(status: int) -> Answer:
    return Answer(status, {"content-type": "text/html"}, b"<html>hello</html>")


@pytest.mark.parametrize(
    ("said", "trying", "steps"),
    [
        pytest.param(refused(401), RESUME, set(RepairKind), id="unauthorized: nothing is left"),
        pytest.param(refused(403), REPLAY, set(RepairKind), id="forbidden: nothing is left"),
        pytest.param(refused(404), RESUME, STREAMS, id="unknown id: no stream, but perhaps a GET"),
        pytest.param(refused(400, OLD), RESUME, STREAMS, id="window expired: no stream"),
        pytest.param(refused(400, "not created with background=true"), REPLAY, STREAMS, id="foreground: no stream"),
        pytest.param(refused(400, param="starting_after"), RESUME, {RESUME}, id="the cursor: the whole may be had"),
        pytest.param(refused(400, param="starting_after"), REPLAY, {RESUME, REPLAY}, id="the cursor, never sent"),
        pytest.param(refused(400), RESUME, {RESUME}, id="no known reason: this step"),
        pytest.param(refused(400), REPLAY, {REPLAY}, id="no known reason: that step"),
        pytest.param(refused(503), RESUME, set(), id="busy: none"),
        pytest.param(refused(429), REPLAY, set(), id="too many: none"),
        pytest.param(html(200), RESUME, set(), id="a page of HTML: none"),
        pytest.param(html(404), RESUME, set(), id="a page of HTML that is not found: none"),
        pytest.param(Answer(307), RESUME, set(), id="a redirect: none"),
        pytest.param(answer(409, coded("stream_cursor_expired")), RESUME, {RESUME}, id="an expired cursor: the same"),
        pytest.param(Answer(204), RESUME, set(), id="nothing: none"),
    ],
)
def test_a_refused_stream_refuses_these_steps_for_good(
    said: Answer, trying: RepairKind, steps: set[RepairKind]
) -> None:
    assert read_no_stream(said, trying=trying).refused == steps


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        pytest.param(refused(401), set(RepairKind), id="unauthorized"),
        pytest.param(refused(404), {RETRIEVE}, id="unknown id"),
        pytest.param(refused(400), {RETRIEVE}, id="no known reason"),
        pytest.param(refused(503), set(), id="busy"),
        pytest.param(html(200), set(), id="a page of HTML"),
        pytest.param(html(404), set(), id="a page of HTML that is not found"),
        pytest.param(answer(200, {"id": "resp_1"}), set(), id="no status"),
        pytest.param(answer(200, {"status": 5}), set(), id="a status that is no text"),
        pytest.param(answer(200, []), set(), id="an array"),
        pytest.param(answer(200, b""), set(), id="nothing"),
    ],
)
def test_a_refused_get_refuses_these_steps_for_good(said: Answer, steps: set[RepairKind]) -> None:
    failure = read_retrieved(said, State())
    assert isinstance(failure, CallFailure)
    assert failure.refused == steps


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(refused(400, "not so"), "the stream was refused with 400: not so", id="the gateway's words"),
        pytest.param(html(502), f"the stream was refused with 502: {PAGE}", id="a page"),
        pytest.param(answer(409, coded("c") | {"x": "secret"}), NO_LONGER, id="the message alone"),
        pytest.param(answer(502, {"error": {"code": "down"}}), "the stream was refused with 502: down", id="a code"),
        pytest.param(Answer(502, body=b"down"), "the stream was refused with 502: no reason given", id="no error"),
        pytest.param(
            answer(502, {"text": "my"}), "the stream was refused with 502: no reason given", id="another body"
        ),
        pytest.param(Answer(500), "the stream was refused with 500: no reason given", id="no words"),
        pytest.param(Answer(204), "the stream was empty, with status 204", id="empty"),
        pytest.param(html(200), f"expected an event stream, got {PAGE} with status 200", id="HTML"),
        pytest.param(
            Answer(200, {"content-type": "text/plain; charset=utf-8"}, b"x"),
            "expected an event stream, got text/plain with status 200",
            id="text",
        ),
        pytest.param(
            Answer(200, body=b"x"),
            "expected an event stream, got no content type with status 200",
            id="no content type",
        ),
    ],
)
def test_the_reason_says_what_came(said: Answer, reason: str) -> None:
    assert read_no_stream(said, trying=RESUME).reason == reason


def test_the_reason_of_a_get_names_the_response() -> None:
    assert read_retrieved(refused(404, "gone"), State()) == CallFailure(
        "the Response was refused with 404: gone", frozenset({RETRIEVE})
    )


def test_only_a_busy_gateway_is_asked_when_to_come_back() -> None:
    busy = answer(503, None, retry_after="7")
    assert read_no_stream(busy, trying=RESUME).retry_after_seconds == 7.0
    assert read_retrieved(busy, State()) == CallFailure(
        "the Response was refused with 503: no reason given", retry_after_seconds=7.0, is_outage=True
    )


@pytest.mark.parametrize("status", [*range(100, 200, 25), 300, 307, 400, 401, 403, 404, 405, 409, 410, 418, 422, 451])
def test_no_other_answer_is_an_outage(status: int) -> None:
    assert read_refusal("the stream", refused(status), RESUME).is_outage is False


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 529, 530, 599])
def test_an_answer_that_says_later_is_an_outage_whatever_its_body(status: int) -> None:
    for said in (refused(status), html(status), Answer(status), Answer(status, {"content-type": "application/json"})):
        failure = read_refusal("the stream", said, RESUME)
        assert (failure.is_outage, failure.refused) == (True, frozenset())


def test_an_empty_stream_is_worth_no_more_than_a_second_attempt() -> None:
    assert read_no_stream(Answer(204), trying=RESUME).max_attempts == 2


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "thinking"])
def test_a_response_that_runs_is_still_open(status: str) -> None:
    found = read_retrieved(answer(200, body(status, "so far")), State())
    assert isinstance(found, StillOpen)
    assert (found.status, found.is_background, found.state.output_text) == (status, True, "so far")


@pytest.mark.parametrize("is_background", [True, False, None])
def test_a_response_that_runs_says_where(is_background: bool | None) -> None:
    found = read_retrieved(answer(200, body(background=is_background)), State())
    assert isinstance(found, StillOpen)
    assert (found.status, found.is_background) == ("in_progress", is_background)


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_a_response_that_is_over_becomes_the_state(status: str) -> None:
    before = fold([added(0), delta(1, "held")])
    said = answer(200, body(status, "told"))
    found = read_retrieved(said, before)
    assert isinstance(found, Ended)
    assert (found.state.status, found.state.output_text, found.state.cursor) == (status, "told", 1)
    assert found.body == said.body
    assert before.output_text == "held"


def test_a_response_without_output_keeps_what_was_folded() -> None:
    found = read_retrieved(answer(200, body("cancelled")), fold([added(0), delta(1, "held")]))
    assert isinstance(found, Ended)
    assert b"held" in snapshot_json(found.state)


def test_an_error_in_place_of_a_response_is_told() -> None:
    found = read_retrieved(answer(200, {"error": {"message": "engine died"}}), State())
    assert found == CallFailure("the body is not a Response: it is an error: engine died")


# Words that people see


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("two\nlines\t and  blanks", "two lines and blanks", id="one line"),
        pytest.param("\x1b]0;title\x07red\x9b31m\u202e", "]0;title red 31m", id="no control characters"),
        pytest.param("x" * 301, "x" * 297 + "...", id="short"),
        pytest.param("x" * 300, "x" * 300, id="just short enough"),
        pytest.param("Incorrect API key provided: sk-abc123.", "Incorrect API key provided: sk-...", id="a key"),
        pytest.param("got Bearer abc.def, sorry", "got Bearer ..., sorry", id="a token"),
        pytest.param("ask-me is no key", "ask-me is no key", id="a word that looks like one"),
    ],
)
def test_words_are_shown_on_one_short_line_without_keys(said: str, shown: str) -> None:
    assert in_short(said) == shown
    assert f": {shown}" in read_refusal("the stream", refused(400, said), RESUME).reason


@given(st.text())
def test_no_words_raise_or_break_the_line(said: str) -> None:
    assert len(in_short(said)) <= 300
    assert in_short(said).isprintable()


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([error(message="engine died", code="c")], "engine died", id="an error event"),
        pytest.param([error(code="rate_limit")], "rate_limit", id="only its code"),
        pytest.param([ended({"error": {"message": "The model failed."}})], "The model failed.", id="the Response"),
        pytest.param([ended({"error": {"code": "c"}})], "", id="the Response, without a message"),
        pytest.param([ended({"error": None})], "", id="a Response that says nothing"),
        pytest.param(
            [ended({"incomplete_details": {"reason": "max_output_tokens"}})], "max_output_tokens", id="a limit"
        ),
        pytest.param([ended({"incomplete_details": None})], "", id="no limit"),
        pytest.param([error(message="filtered"), ended({"error": {"message": "failed"}})], "filtered", id="both"),
        pytest.param([error(), ended({"error": {"message": "failed"}})], "failed", id="an error without words"),
    ],
)
def test_the_words_of_a_bad_end_are_the_streams_or_the_responses(events: list[Event], words: str) -> None:
    assert error_words(fold(events)).message == words


def test_a_call_without_an_answer_stays_a_failure() -> None:
    failure = CallFailure("reset")
    assert read_no_stream(failure, trying=RESUME) is read_retrieved(failure, State()) is failure


def test_the_words_of_a_redirect_without_words_say_where_it_points_and_no_more() -> None:
    place = {"location": "https://me:word@elsewhere/v1?key=1"}
    assert Answer(307, place).error.message == "it redirects to https://elsewhere/v1, which is not followed"
    assert Answer(307, place, b'{"error": "moved"}').error.message == "moved"
    assert Answer(200, place).error == Answer(307).error == ErrorWords()


@pytest.mark.parametrize(
    ("kind", "body", "verdict"),
    [
        ("application/json", b"", True),
        ("Application/Problem+JSON; charset=utf-8", b"", True),
        ("application/x-ndjson", b"{}", False),
        ("text/html", b"{}", False),
        ("", b" {}", True),
        ("", b"[]", False),
    ],
)
def test_json_is_named_so_or_looks_so_where_nothing_is_named(kind: str, body: bytes, verdict: bool) -> None:
    assert Answer(200, {"content-type": kind}, body).is_json is verdict


def test_an_answer_is_shown_without_its_headers_and_its_body() -> None:
    assert repr(Answer(200, {"x": "secret"}, b"secret")) == "Answer(status=200)"
