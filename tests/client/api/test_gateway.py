"""Each call of a gateway is sent once, as the API has it, and what comes is typed, or told as what it is."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from streamfold.client import Gateway, Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options
from streamfold.errors import Disconnected, InvalidArgument, RequestRefused, UnexpectedAnswer
from streamfold.schema import MKA1, OPENAI, Dialect, decode_response
from streamfold.session import OutcomeStatus
from tests.client.stub import Stub, Told, body_of, said
from tests.session.made import body

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret"
PAGE: dict[str, Any] = {
    "object": "list",
    "data": [body("completed")],
    "has_more": True,
    "first_id": "a",
    "last_id": "b",
}
BATCH: dict[str, Any] = {"id": "batch_1", "status": "validating"}
NEW_BATCH: dict[str, Any] = {"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": "24h"}

Call = Callable[[Gateway], Any]
CALLS: dict[str, tuple[Call, Any, str, str]] = {
    "create": (lambda here: here.create(model="toy", input="hi"), body("completed"), "POST", "/responses"),
    "retrieve": (lambda here: here.retrieve("resp_1"), body("completed"), "GET", "/responses/resp_1"),
    "retrieve with include": (
        lambda here: here.retrieve("resp_1", include=["a", "b c"]),
        body("completed"),
        "GET",
        "/responses/resp_1?include%5B%5D=a&include%5B%5D=b%20c",
    ),
    "cancel": (lambda here: here.cancel("resp_1"), body("cancelled"), "POST", "/responses/resp_1/cancel"),
    "update": (
        lambda here: here.update("resp_1", metadata={"k": "v"}),
        body("completed"),
        "POST",
        "/responses/resp_1",
    ),
    "delete": (lambda here: here.delete("resp_1"), {"id": "resp_1", "deleted": True}, "DELETE", "/responses/resp_1"),
    "list": (lambda here: here.list(), PAGE, "GET", "/responses"),
    "list a page": (
        lambda here: here.list(after="a", before="b", limit=100, order="asc"),
        PAGE,
        "GET",
        "/responses?after=a&before=b&limit=100&order=asc",
    ),
    "input_items": (
        lambda here: here.input_items("resp_1", include=["a"], after="x", limit=1, order="desc"),
        PAGE,
        "GET",
        "/responses/resp_1/input_items?include%5B%5D=a&after=x&limit=1&order=desc",
    ),
    "batches.create": (lambda here: here.batches.create(**NEW_BATCH), BATCH, "POST", "/batches"),
    "batches.retrieve": (lambda here: here.batches.retrieve("batch_1"), BATCH, "GET", "/batches/batch_1"),
    "batches.cancel": (lambda here: here.batches.cancel("batch_1"), BATCH, "POST", "/batches/batch_1/cancel"),
    "batches.list": (lambda here: here.batches.list(after="a", limit=2), PAGE, "GET", "/batches?after=a&limit=2"),
}
every_call = pytest.mark.parametrize("name", CALLS)


def gateway(told: Told, **settings: Any) -> tuple[Gateway, Stub]:
    stub = Stub(lambda request: told)
    return Gateway("http://stub", api_key=KEY, http=stub, **({"dialect": OPENAI} | settings)), stub


@every_call
async def test_a_call_is_sent_once_to_its_path_and_what_comes_is_typed(name: str) -> None:
    call, answer, method, path = CALLS[name]
    here, stub = gateway(said(answer))
    typed = await call(here)
    (request,) = stub.requests
    assert (request.method, request.url) == (method, f"http://stub/v1{path}")
    assert stub.is_open == 0
    told = getattr(typed, "id", None) or typed.last_id
    assert told in {"resp_1", "batch_1", "b"}


@every_call
async def test_a_call_that_is_refused_raises_with_the_gateways_words(name: str) -> None:
    here, stub = gateway(said({"error": {"message": "Slow down.", "code": "rate"}}, 429, x_request_id="req_1"))
    with pytest.raises(RequestRefused) as caught:
        await CALLS[name][0](here)
    error = caught.value
    assert (error.status, error.message, error.code, error.request_id) == (429, "Slow down.", "rate", "req_1")
    assert KEY not in repr(error) + str(error)
    assert len(stub.requests) == 1


@every_call
@pytest.mark.parametrize(
    "answer", [b"<html>Sign in</html>", b"[]", b"", b"\xff"], ids=["a page", "a list", "none", "bytes"]
)
async def test_a_body_that_is_no_such_thing_is_unexpected(name: str, answer: bytes) -> None:
    here, _ = gateway(Told([answer], 200, {"content-type": "text/html"}))
    with pytest.raises(UnexpectedAnswer) as caught:
        await CALLS[name][0](here)
    assert caught.value.content_type == "text/html"
    assert caught.value.__cause__ is not None or not answer


@every_call
async def test_a_connection_that_fails_is_told_and_nothing_is_sent_again(name: str) -> None:
    here, stub = gateway(Told(opening=Disconnected("gone")))
    with pytest.raises(Disconnected, match="gone"):
        await CALLS[name][0](here)
    assert len(stub.requests) == 1


@every_call
async def test_a_call_carries_the_key_the_end_user_and_the_callers_headers(name: str) -> None:
    here, stub = gateway(said(CALLS[name][1]), on_behalf_of="user-7", headers={"x-trace": "t1"}, connect_seconds=1.5)
    await CALLS[name][0](here)
    request = stub.requests[0]
    headers = dict(request.headers)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-on-behalf-of"] == "user-7"
    assert headers["x-trace"] == "t1"
    assert headers["accept"] == "application/json"
    assert request.connect_timeout_seconds == 1.5
    assert ("content-type" in headers) is bool(request.body)


async def test_a_create_sends_what_it_was_given_and_leaves_out_what_is_none() -> None:
    here, stub = gateway(said(body("queued")))
    made = await here.create(
        model="toy", input=[{"role": "user", "content": "hi"}], background=True, temperature=None, new_one={"a": [1]}
    )
    assert made.status == "queued"
    sent = {"model": "toy", "input": [{"role": "user", "content": "hi"}], "background": True, "new_one": {"a": [1]}}
    assert body_of(stub.requests[0]) == sent | {"stream": False}


async def test_a_key_may_be_given_with_its_scheme() -> None:
    stub = Stub(lambda request: said(body("completed")))
    await Gateway("http://stub", api_key=f"Bearer {KEY}", http=stub).retrieve("resp_1")
    assert dict(stub.requests[0].headers)["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("base_url", "dialect", "expected"),
    [
        ("http://host", MKA1, "http://host/api/v1/llm"),
        ("http://host/", OPENAI, "http://host/v1"),
        ("https://host:8443", OPENAI, "https://host:8443/v1"),
        ("https://host/own/path/", MKA1, "https://host/own/path"),
        ("http://[::1]:80", OPENAI, "http://[::1]:80/v1"),
    ],
)
async def test_the_dialects_path_is_put_behind_a_url_that_has_none(
    base_url: str, dialect: Dialect, expected: str
) -> None:
    stub = Stub(lambda request: said(body("completed")))
    await Gateway(base_url, api_key=KEY, dialect=dialect, http=stub).retrieve("resp_1")
    assert stub.requests[0].url == f"{expected}/responses/resp_1"


async def test_the_entries_of_a_page_are_read_when_they_are_wanted() -> None:
    here, _ = gateway(said(PAGE))
    page = await here.list()
    assert (page.has_more, page.first_id, page.last_id) == (True, "a", "b")
    (entry,) = page.data
    assert decode_response(bytes(entry)).status == "completed"


async def test_a_transport_that_was_passed_in_stays_open() -> None:
    here, stub = gateway(said(body("completed")))
    async with here:
        await here.retrieve("resp_1")
    assert not stub.is_closed


async def test_a_client_that_was_passed_in_stays_open() -> None:
    async with httpx2.AsyncClient() as client:
        async with Gateway("http://stub", api_key=KEY, http=client):
            pass
        assert not client.is_closed


@pytest.mark.parametrize("http", [None, "httpx", "direct"])
async def test_a_transport_that_was_made_here_is_closed_with_the_gateway(http: str | None) -> None:
    async with Gateway("http://127.0.0.1:9", api_key=KEY, http=http) as here:
        pass
    await here.aclose()


async def test_a_body_that_json_cannot_say_is_refused_before_it_is_sent() -> None:
    here, stub = gateway(said({}))
    with pytest.raises(InvalidArgument):
        await here.create(model="toy", input="hi", extra=object())
    assert not stub.requests


@pytest.mark.parametrize("dialect", [MKA1, OPENAI], ids=["mka1", "openai"])
async def test_every_call_works_against_the_emulator(dialect: Dialect) -> None:
    transport = AsgiTransport(Emulator(Options(tokens_per_second=None)))
    async with Gateway("http://emulator", api_key=KEY, dialect=dialect, http=transport) as here:
        made = await here.create(model="toy", input="echo hi", metadata={"k": "1"})
        assert made.status == "completed"
        assert made.id
        assert (await here.retrieve(made.id, include=["message.output_text.logprobs"])).id == made.id
        assert json.loads(bytes((await here.list(limit=1)).data[0]))["id"] == made.id
        (asked,) = (await here.input_items(made.id)).data
        assert b"echo hi" in bytes(asked)
        assert (await here.update(made.id, metadata={"k": "2"})).metadata == {"k": "2"}
        with pytest.raises(RequestRefused, match="synchronous"):
            await here.cancel(made.id)
        assert (await here.delete(made.id)).deleted
        with pytest.raises(RequestRefused) as caught:
            await here.retrieve(made.id)
        assert (caught.value.status, bool(caught.value.request_id)) == (404, True)
        batch = await here.batches.create(**NEW_BATCH | ({"max_concurrency": 2} if dialect is MKA1 else {}))
        assert batch.id
        assert (await here.batches.retrieve(batch.id)).status == "validating"
        assert (await here.batches.cancel(batch.id)).status == "cancelling"
        assert len((await here.batches.list()).data) == 1
        async with here.stream(model="toy", input="echo hi", background=True) as response:
            assert (await response.outcome()).status is OutcomeStatus.COMPLETED
    await transport.aclose()


async def test_the_key_that_is_not_taken_is_told_without_the_key() -> None:
    transport = AsgiTransport(Emulator(Options(key="another")))
    async with Gateway("http://emulator", api_key=KEY, http=transport) as here:
        with pytest.raises(RequestRefused) as caught:
            async with here.stream(model="toy", input="hi"):
                pass
    assert caught.value.status == 401
    assert KEY not in f"{caught.value!s}{caught.value!r}"
    await transport.aclose()


def test_a_request_of_the_public_door_is_what_a_transport_is_given() -> None:
    assert Request(method="GET", url="http://stub").idle_timeout_seconds == 60.0
