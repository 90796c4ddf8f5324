"""A reply is collected whole, within its bound; a bad one becomes the error that tells it."""

import pytest
from attrs import evolve

from streamfold.client import Deleted, Page, Request
from streamfold.client.api.answer import (
    bad_answer,
    begins_as_stream,
    collect,
    decode_deleted,
    decode_page,
    is_error,
    names_response,
)
from streamfold.errors import (
    Disconnected,
    IdleTimeout,
    MalformedBody,
    ProtocolViolation,
    RequestRefused,
    UnexpectedAnswer,
)
from streamfold.schema import decode_response
from streamfold.session import Answer
from tests.client.stub import Part, Stub, Told, forever

POST = Request(method="POST", url="http://stub/v1/responses?key=1")
BAD = [
    b'{"data":[{"id":"a"},7]}',
    b"",
    b"[]",
    b"null",
    b"<html>",
    b'{"id":7,"data":7}',
    b'{"data":[1',
    b"\xff",
    b'{"data":' + b"[" * 10_000,
]


async def collected(*parts: Part, most: int = 10) -> Answer:
    stub = Stub(lambda request: Told(parts, 201, {"content-type": "text/plain"}))
    async with stub.open(Request(method="GET", url="http://stub")) as reply:
        return await collect(reply, POST, max_body_bytes=most)


@pytest.mark.anyio
async def test_the_pieces_of_a_body_are_put_together() -> None:
    answer = await collected(b"one", b"", b"two")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, b"onetwo", "text/plain")


@pytest.mark.anyio
async def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert (await collected(b"12345", b"67890")).body == b"1234567890"
    with pytest.raises(ProtocolViolation, match="larger than 10 bytes"):
        await collected(b"12345", b"678901")


@pytest.mark.anyio
async def test_a_body_that_breaks_off_is_told() -> None:
    with pytest.raises(Disconnected, match="cut"):
        await collected(b"12", Disconnected("cut"))


@pytest.mark.anyio
async def test_a_refusal_whose_body_breaks_off_or_has_no_end_keeps_its_status_and_headers() -> None:
    for parts in ([b"12", Disconnected("cut")], [b"123456", b"7890123"]):
        stub = Stub(lambda request, parts=parts: Told(parts, 429, {"retry-after": "7"}))
        async with stub.open(POST) as reply:
            answer = await collect(reply, POST, max_body_bytes=10)
        assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, parts[0], "7")


def test_a_refusal_has_the_gateways_words() -> None:
    body = b'{"error": {"message": "no", "code": "c", "param": "p"}}'
    error = bad_answer(Answer(422, {"x-request-id": "req_1"}, body), POST, expected="a Response")
    assert isinstance(error, RequestRefused)
    told = (error.status, error.message, error.code, error.param, error.request_id, error.excerpt)
    assert told == (422, "no", "c", "p", "req_1", body.decode())


def test_a_refusal_without_words_has_the_beginning_of_its_body_on_one_line() -> None:
    error = bad_answer(Answer(502, {}, b"<html>\n  <h1>Bad gateway</h1>" + b"x" * 1000), POST, expected="a Response")
    assert isinstance(error, RequestRefused)
    assert error.message is None
    assert error.excerpt.startswith("<html> <h1>Bad gateway</h1>xxx")
    assert len(error.excerpt) <= 300


def test_a_success_of_another_kind_says_what_was_expected() -> None:
    error = bad_answer(Answer(200, {"content-type": "text/html"}, b"<html>"), POST, expected="a Response")
    assert isinstance(error, UnexpectedAnswer)
    assert (error.expected, error.content_type, error.excerpt) == ("a Response", "text/html", "<html>")


def test_a_page_has_its_entries_typed_and_their_json_as_it_was_sent() -> None:
    data = b'{"data":[{"id": "a"},{"id":"b", "model": 7}],"has_more":true,"first_id":"a","last_id":"b","extra":1}'
    page = decode_page(data, decode_response)
    assert isinstance(page, Page)
    assert [(each.id, each.rejected) for each in page.data] == [("a", ()), ("b", ("model",))]
    assert page.raw == (b'{"id": "a"}', b'{"id":"b", "model": 7}')
    assert (page.has_more, page.first_id, page.last_id) == (True, "a", "b")


def test_a_page_may_say_no_more_than_its_entries() -> None:
    page = decode_page(b'{"data":[]}', decode_response)
    assert (page.data, page.has_more, page.first_id, page.last_id) == ((), False, None, None)


def test_a_deletion_is_one_unless_it_says_otherwise() -> None:
    assert decode_deleted(b'{"id":"resp_1"}') == Deleted(id="resp_1", deleted=True)
    assert not decode_deleted(b'{"id":"resp_1","deleted":false}').deleted


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_no_list_and_no_deletion_is_told_as_that(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="not a list"):
        decode_page(data, decode_response)
    with pytest.raises(MalformedBody, match="not a deletion"):
        decode_deleted(data)


@pytest.mark.anyio
async def test_a_body_that_drips_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, error in ((200, IdleTimeout), (400, None)):
        monkeypatch.setattr("streamfold.client.api.answer.REFUSAL_SECONDS", 0.02)
        stub = Stub(lambda request, status=status: Told([b"1", forever()], status))
        async with stub.open(POST) as reply:
            slow = collect(reply, evolve(POST, idle_timeout_seconds=0.05), max_body_bytes=10)
            if error is None:
                assert (await slow).body == b"1"
            else:
                with pytest.raises(error, match=r"no complete answer within 0\.05 seconds"):
                    await slow


@pytest.mark.anyio
async def test_a_refusal_and_what_is_no_json_repeat_no_key_and_a_response_stays_as_it_is() -> None:
    request = evolve(POST, headers=(("authorization", "Bearer sk-123456"),))
    said = b'{"error": "sk-123456"}'
    for status, kind, body in ((401, "application/json", said), (200, "text/html", b"<p>sk-123456"), (200, "", said)):
        stub = Stub(lambda _, s=status, k=kind, b=body: Told([b], s, {"content-type": k, "x-request-id": "sk-123456"}))
        async with stub.open(request) as reply:
            answer = await collect(reply, request, max_body_bytes=1000)
        is_kept = status == 200 and body.startswith(b"{")
        assert (b"sk-123456" in answer.body) is is_kept
        assert ("sk-123456" in answer.headers["x-request-id"]) is is_kept


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ('{"error": {"message": "no"}}', True),
        ('{"error": "no"}', True),
        ('{"error": "no", "status": 3}', True),
        ('{"error": null}', False),
        ('{"error": {"message": "no"}, "id": "resp_1"}', False),
        ('{"error": "no", "data": []}', False),
        ("[]", False),
        ("", False),
        ("\xff", False),
    ],
)
def test_a_body_with_an_error_and_nothing_else_is_an_error_whatever_the_status(body: str, verdict: bool) -> None:
    assert is_error(Answer(200, {}, body.encode("latin-1"))) is verdict


@pytest.mark.parametrize(
    ("body", "kind", "verdict"),
    [
        ('{"id": "resp_1", "status": "queued"}', "application/json; charset=utf-8", True),
        ('{"id": "resp_1", "status": "queued"}', "", True),
        ('{"id": "resp_1", "status": "queued"}', "application/x-ndjson", False),
        ('{"id": "resp_1", "status": "queued"}', "text/html", False),
        ('{"id": "resp_1"}', "application/json", False),
        ('{"id": "a\\nb", "status": "queued"}', "application/json", False),
        ('{"id": 7, "status": "queued"}', "application/json", False),
        ("[]", "application/json", False),
        ("", "application/json", False),
    ],
)
def test_a_response_is_followed_that_says_its_id_and_status(body: str, kind: str, verdict: bool) -> None:
    assert names_response(Answer(201, {"content-type": kind}, body.encode())) is verdict
    assert not names_response(Answer(400, {"content-type": kind}, body.encode()))


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"data: x", True),
        (b"event:x", True),
        (b"id:1", True),
        (b"retry: 1", True),
        (b": comment", True),
        (b"\xef\xbb\xbf\r\n\tdata:", True),
        (b"dat", None),
        (b"", None),
        (b"\xef\xbb", None),
        (b" \n", None),
        (b" " * 1024, False),
        (b"dates: x", False),
        (b"datas", False),
        (b"{", False),
        (b"<html>: x", False),
        (b"data\n", False),
    ],
)
def test_a_body_begins_as_a_stream_with_a_field_or_a_comment(data: bytes, verdict: bool | None) -> None:
    assert begins_as_stream(data) is verdict
