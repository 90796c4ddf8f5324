"""Each call of a gateway is sent once, as the API has it, and what comes is typed, or told as what it is."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest

from streamfold.client import Gateway, Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.emulator import Emulator, Options
from streamfold.errors import (
    Disconnected,
    GatewayError,
    IdleTimeout,
    InvalidArgument,
    RequestRefused,
    UnexpectedAnswer,
    UsageError,
)
from streamfold.schema import MKA1, OPENAI, Dialect
from streamfold.session import OutcomeStatus, Patience
from tests.client.stub import Stub, Told, body_of, said, stream
from tests.session.made import body, created, ended

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
    here, stub = gateway(
        said({"error": {"message": "Slow down.", "code": "rate"}}, 429, x_request_id="req_1"), max_retries=0
    )
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
async def test_every_error_names_the_call_without_its_query(name: str) -> None:
    call, _, method, path = CALLS[name]
    for told in (said({}, 500), said(b"<html>"), Told(opening=Disconnected("gone"))):
        here, _ = gateway(told)
        with pytest.raises(GatewayError) as caught:
            await call(here)
        url = f"http://stub/v1{path.partition('?')[0]}"
        assert (caught.value.method, caught.value.url) == (method, url)
        assert str(caught.value).startswith(f"{method} {url}: ")


OPTIONS: dict[str, Any] = {
    "extra_headers": {"X-Trace": "t2", "x-own": "1", "Accept": "application/json; q=1"},
    "extra_query": {"version": "2", "limit": 7, "deep": True, "tag": ["a", "b"], "none": None},
    "extra_body": {"new": {"a": 1}},
    "timeout": 3.0,
}


@pytest.mark.parametrize("name", [name for name in CALLS if " " not in name])
async def test_every_call_takes_headers_a_query_fields_and_a_timeout_of_the_callers_own(name: str) -> None:
    here, stub = gateway(said(CALLS[name][1]), headers={"x-trace": "t1"})
    call = CALLS[name][0]
    # The same call with options: through a gateway whose methods all add them.
    await call(cast(Gateway, WithOptions(here)))
    request = stub.requests[0]
    headers = dict(request.headers)
    assert (headers["x-trace"], headers["x-own"], headers["accept"]) == ("t2", "1", "application/json; q=1")
    assert len(headers) == len(request.headers)
    query = parse_qs(urlsplit(request.url).query)
    assert (query["version"], query["limit"], query["deep"], query["tag"]) == (["2"], ["7"], ["true"], ["a", "b"])
    assert body_of(request)["new"] == {"a": 1}
    assert request.idle_timeout_seconds == request.connect_timeout_seconds == 3.0


class WithOptions:
    """Calls every method of a gateway, and of its batches, with the options above."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def batches(self) -> "WithOptions":
        return WithOptions(self._inner.batches)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(getattr(self._inner, name), **OPTIONS)


async def test_extra_body_is_merged_last_and_not_checked() -> None:
    here, stub = gateway(said(body("completed")))
    await here.create(model="toy", input="hi", temperature=1, extra_body={"temperature": "hot", "extra_body": {"a": 1}})
    sent = body_of(stub.requests[0])
    assert (sent["temperature"], sent["extra_body"]) == ("hot", {"a": 1})


@every_call
async def test_a_call_is_bounded_as_a_whole(name: str) -> None:
    here, _ = gateway(Told([b"{", b"}"] * 1000 + [anyio.Event()]), timeout=0.05)
    with anyio.fail_after(5), pytest.raises(IdleTimeout, match=r"no complete answer within 0\.05 seconds"):
        await CALLS[name][0](here)


async def test_the_total_time_of_patience_bounds_a_plain_call_too() -> None:
    here, _ = gateway(Told(opening=anyio.Event()), patience=Patience(total_seconds=0.05))
    with anyio.fail_after(5), pytest.raises(IdleTimeout, match="allow more with timeout="):
        await here.retrieve("resp_1")


async def test_an_id_of_any_printable_characters_is_one_segment_of_the_path() -> None:
    here, stub = gateway(said(body("completed")))
    await here.retrieve("resp/1=é?a b%2F")
    assert stub.requests[0].url == "http://stub/v1/responses/resp%2F1%3D%C3%A9%3Fa%20b%252F"


async def test_what_a_creation_includes_its_repairs_include_too() -> None:
    here, stub = gateway(said({}))
    answers = iter([stream(created(0), Disconnected("cut")), stream(ended(1, text="hi"))])
    stub.answer = lambda request: next(answers)
    asked: Any = {"include": ["message.output_text.logprobs"], "stream_options": {"include_obfuscation": False}}
    async with here.stream(model="toy", input="hi", **asked) as response:
        await response.outcome()
    query = parse_qs(urlsplit(stub.requests[1].url).query)
    assert (query["include[]"], query["include_obfuscation"]) == (["message.output_text.logprobs"], ["false"])


async def test_the_gateways_own_on_repair_is_called_besides_the_calls() -> None:
    told: list[str] = []
    here, stub = gateway(said({}), on_repair=lambda repair: told.append("gateway"))
    answers = iter([stream(created(0), Disconnected("cut")), stream(ended(1, text="hi"))])
    stub.answer = lambda request: next(answers)
    async with here.follow("resp_1", on_repair=lambda repair: told.append("call")) as response:
        await response.outcome()
    assert told == ["gateway", "call"]


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
        model="toy",
        input=[{"role": "user", "content": "hi"}],
        background=True,
        temperature=None,
        extra_body={"new_one": {"a": [1]}},
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
        ("http://host/", OPENAI, "http://host"),
        ("https://host:8443", "openai", "https://host:8443/v1"),
        ("https://host/own/path/", MKA1, "https://host/own/path"),
        ("https://host/own/path", MKA1, "https://host/own/path/api/v1/llm"),
        ("https://host/openai/v1", OPENAI, "https://host/openai/v1"),
        ("http://[::1]:80", OPENAI, "http://[::1]:80/v1"),
        ("http://host", "open-responses", "http://host"),
        ("http://host", "open_responses", "http://host"),
        ("http://host", "OpenAI", "http://host/v1"),
        ("http://host/v1/", MKA1, "http://host/v1"),
        ("http://host/v1", "Open-Responses", "http://host/v1"),
        ("http://host", None, "http://host/api/v1/llm"),
        ("http://host/v1", None, "http://host/v1"),
        ("http://host/api/v1/llm", None, "http://host/api/v1/llm"),
        ("https://api.openai.com", None, "https://api.openai.com/v1"),
        ("https://eu.api.openai.com/v1/", None, "https://eu.api.openai.com/v1"),
    ],
)
async def test_the_dialects_path_is_added_unless_it_is_there_or_a_slash_says_that_this_is_the_root(
    base_url: str, dialect: Dialect | str | None, expected: str
) -> None:
    stub = Stub(lambda request: said(body("completed")))
    await Gateway(base_url, api_key=KEY, dialect=dialect, http=stub).retrieve("resp_1")
    assert stub.requests[0].url == f"{expected}/responses/resp_1"


@pytest.mark.parametrize(
    ("base_url", "dialect", "other"),
    [
        ("https://host/v1", "mka1", "openai"),
        ("https://host/own/v1", "mka1", "openai"),
        ("https://host/api/v1/llm", "openai", "mka1"),
    ],
)
def test_a_url_that_ends_in_the_path_of_another_dialect_is_refused(base_url: str, dialect: str, other: str) -> None:
    with pytest.raises(InvalidArgument, match=f"is {dialect}, but the base URL ends in .*; pass dialect=.{other}"):
        Gateway(base_url, api_key=KEY, dialect=dialect)


async def test_the_entries_of_a_page_are_responses() -> None:
    here, _ = gateway(said(PAGE))
    page = await here.list()
    assert (page.has_more, page.first_id, page.last_id) == (True, "a", "b")
    assert [each.status for each in page.data] == ["completed"]


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
async def test_a_transport_that_was_made_here_is_closed_with_the_gateway(
    http: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def close(kind: type[HttpxTransport | DirectTransport]) -> Callable[[Any], Any]:
        original = kind.aclose

        async def aclose(transport: Any) -> None:
            closed.append(kind.__name__)
            await original(transport)

        return aclose

    for kind in (HttpxTransport, DirectTransport):
        monkeypatch.setattr(kind, "aclose", close(kind))
    async with Gateway("http://127.0.0.1:9", api_key=KEY, http=http):
        assert closed == []
    assert closed == ["DirectTransport" if http == "direct" else "HttpxTransport"]


async def test_a_gateway_that_was_closed_says_so() -> None:
    async with Gateway("http://127.0.0.1:9", api_key=KEY) as here:
        pass
    with pytest.raises(UsageError, match="the gateway is closed"):
        await here.retrieve("resp_1")
    for call in (lambda: here.stream(model="toy", input="hi"), lambda: here.follow("resp_1")):
        with pytest.raises(UsageError, match="the gateway is closed"):
            call()


async def test_a_body_that_json_cannot_say_is_refused_before_it_is_sent() -> None:
    here, stub = gateway(said({}))
    with pytest.raises(InvalidArgument):
        await here.create(model="toy", input="hi", extra_body={"extra": object()})
    assert not stub.requests


@pytest.mark.parametrize("dialect", [MKA1, OPENAI], ids=["mka1", "openai"])
async def test_every_call_works_against_the_emulator(dialect: Dialect) -> None:
    transport = AsgiTransport(Emulator(Options(tokens_per_second=None)))
    async with Gateway("http://emulator", api_key=KEY, dialect=dialect, http=transport) as here:
        made = await here.create(model="toy", input="echo hi", metadata={"k": "1"})
        assert made.status == "completed"
        assert made.id
        assert (await here.retrieve(made.id, include=["message.output_text.logprobs"])).id == made.id
        assert [each.id for each in (await here.list(limit=1)).data] == [made.id]
        asked = await here.input_items(made.id)
        assert [each.type for each in asked.data] == ["message"]
        assert b"echo hi" in asked.raw[0]
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
        assert [each.id for each in (await here.batches.list()).data] == [batch.id]
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
