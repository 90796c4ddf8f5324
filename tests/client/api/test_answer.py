"""A reply is collected whole, within its bound; a bad one becomes the error that tells it."""

import pytest

from streamfold.client import Request
from streamfold.client.api.answer import bad_answer, collect
from streamfold.errors import Disconnected, ProtocolViolation, RequestRefused, UnexpectedAnswer
from streamfold.session import Answer
from tests.client.stub import Part, Stub, Told

pytestmark = pytest.mark.anyio


async def collected(*parts: Part, most: int = 10) -> Answer:
    stub = Stub(lambda request: Told(parts, 201, {"content-type": "text/plain"}))
    async with stub.open(Request(method="GET", url="http://stub")) as reply:
        return await collect(reply, max_body_bytes=most)


async def test_the_pieces_of_a_body_are_put_together() -> None:
    answer = await collected(b"one", b"", b"two")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, b"onetwo", "text/plain")


async def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert (await collected(b"12345", b"67890")).body == b"1234567890"
    with pytest.raises(ProtocolViolation, match="larger than 10 bytes"):
        await collected(b"12345", b"678901")


async def test_a_body_that_breaks_off_is_told() -> None:
    with pytest.raises(Disconnected, match="cut"):
        await collected(b"12", Disconnected("cut"))


def test_a_refusal_has_the_gateways_words() -> None:
    body = b'{"error": {"message": "no", "code": "c", "param": "p"}}'
    error = bad_answer(Answer(422, {"x-request-id": "req_1"}, body), expected="a Response")
    assert isinstance(error, RequestRefused)
    told = (error.status, error.message, error.code, error.param, error.request_id, error.excerpt)
    assert told == (422, "no", "c", "p", "req_1", body.decode())


def test_a_refusal_without_words_has_the_beginning_of_its_body_on_one_line() -> None:
    error = bad_answer(Answer(502, {}, b"<html>\n  <h1>Bad gateway</h1>" + b"x" * 1000), expected="a Response")
    assert isinstance(error, RequestRefused)
    assert error.message is None
    assert error.excerpt.startswith("<html> <h1>Bad gateway</h1>xxx")
    assert len(error.excerpt) <= 300


def test_a_success_of_another_kind_says_what_was_expected() -> None:
    error = bad_answer(Answer(200, {"content-type": "text/html"}, b"<html>"), expected="a Response")
    assert isinstance(error, UnexpectedAnswer)
    assert (error.expected, error.content_type, error.excerpt) == ("a Response", "text/html", "<html>")
