"""A POST for a stream that is answered with JSON: the Response is followed by its id, anything else is an error."""

import pytest

from streamfold.client import Request
from streamfold.errors import GatewayError, RequestRefused, UnexpectedAnswer
from streamfold.session import OutcomeStatus
from tests.client.served import HELLO, always, json_told, on_every_transport, served, streamed
from tests.client.stub import JSON, Told, stream
from tests.session.made import body

pytestmark = pytest.mark.anyio


@on_every_transport
@pytest.mark.parametrize("headers", [JSON, {}, {"content-type": "application/problem+json; charset=utf-8"}], ids=str)
async def test_a_response_instead_of_its_stream_is_followed_by_its_id(kind: str, headers: dict[str, str]) -> None:
    def answer(request: Request) -> Told:
        queued = json_told(body("queued"))
        return Told(queued.parts, 200, headers) if request.method == "POST" else stream(*HELLO)

    async with served(kind, answer) as site:
        text, outcome = await streamed(site)
        assert (text, outcome.status, outcome.is_compacted) == ("Hello", OutcomeStatus.COMPLETED, False)
        assert site.asked == ["POST /responses", "GET /responses/resp_1?stream=true"]


@on_every_transport
async def test_one_that_has_no_stream_at_all_is_polled_to_its_end(kind: str) -> None:
    statuses = ["queued", "queued", "in_progress", "completed"]

    def answer(request: Request) -> Told:
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        return json_told(body(status, "Hello" if status == "completed" else None))

    async with served(kind, answer) as site:
        text, outcome = await streamed(site)
    assert (text, outcome.status) == ("Hello", OutcomeStatus.COMPLETED)


@on_every_transport
@pytest.mark.parametrize("status", ["completed", "failed", "incomplete", "cancelled"])
async def test_one_that_is_over_ends_at_once(kind: str, status: str) -> None:
    async with served(kind, always(json_told(body(status, "Hello")))) as site:
        text, outcome = await streamed(site)
        assert (text, outcome.status) == ("Hello", status)
        assert site.asked == ["POST /responses"]


BAD_JSON: dict[str, tuple[Told, type[GatewayError], str]] = {
    "an error": (json_told({"error": {"message": "no model", "code": "c"}}), RequestRefused, "200, code c: no model"),
    "JSON lines": (
        Told([b'{"type":"response.created"}\n'], 200, {"content-type": "application/x-ndjson"}),
        UnexpectedAnswer,
        "expected an event stream, got application/x-ndjson",
    ),
    "another object": (json_told({"id": "chatcmpl-1", "object": "chat.completion"}), UnexpectedAnswer, "JSON"),
    "a list": (json_told([]), UnexpectedAnswer, "JSON"),
    "half of it": (Told([b'{"id": "resp_1", "sta'], 200, JSON), UnexpectedAnswer, "JSON"),
    "an id that cannot be sent": (json_told(body("queued", id="a\nb")), UnexpectedAnswer, "JSON"),
    "no content": (Told([], 204, {}), UnexpectedAnswer, "204"),
}


@on_every_transport
@pytest.mark.parametrize("name", BAD_JSON)
async def test_json_that_is_no_response_is_an_error_that_says_so(kind: str, name: str) -> None:
    told, error, words = BAD_JSON[name]
    async with served(kind, always(told)) as site:
        with pytest.raises(error, match=words):
            await streamed(site)


@on_every_transport
async def test_an_error_with_a_good_status_is_an_error_of_a_plain_call_too(kind: str) -> None:
    async with served(kind, always(json_told({"error": "no model"}))) as site:
        with pytest.raises(RequestRefused, match="answered 200: no model"):
            await site.gateway().retrieve("resp_1")
