"""A gateway that repeats the key wherever it can: no error, outcome, representation or log record shows it."""

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from streamfold.client import Gateway, Request
from streamfold.client.api.request import Calls
from streamfold.client.conformance import Wire, serve
from streamfold.errors import GatewayError, StreamfoldError
from streamfold.schema import OPENAI
from tests.client.served import KEY, MODEL, QUICK, client, json_told, on_every_transport, on_sockets, served
from tests.client.stub import JSON, Told, stream
from tests.session.made import body, created, frame

pytestmark = pytest.mark.anyio


SHORT = evolve(QUICK, stalled_seconds=0.1, cancel_seconds=0.1)  # an outage is waited out to its end


def cut() -> Exception:
    return ConnectionError(f"cut by {KEY}")


ECHOES: dict[str, Callable[[], Told]] = {
    "in an error": lambda: json_told({"error": {"message": f"no {KEY}", "code": KEY, "param": f"x{KEY}"}}, 401),
    "in a text": lambda: json_told({"error": f"Bearer {KEY}"}, 429, retry_after="0"),
    "in a detail": lambda: json_told({"detail": KEY}, 400),
    "in a page": lambda: Told([f"<html>{KEY}".encode()], 403, {"content-type": "text/html"}),
    "in plain words": lambda: Told([KEY.encode()], 500, {"content-type": "text/plain"}),
    "cut in the middle": lambda: Told([b"no ", KEY[:14].encode(), cut()], 400, {"content-type": "text/plain"}),
    "in headers": lambda: json_told({}, 400, x_request_id=KEY, www_authenticate=KEY, retry_after=KEY),
    "in a redirect": lambda: Told([], 307, {"location": f"https://elsewhere.invalid/{KEY}/x?key={KEY}#{KEY}"}),
    "as another type": lambda: Told([KEY.encode()], 200, {"content-type": KEY}),
    "as another encoding": lambda: Told([b"x"], 200, JSON | {"content-encoding": f"br, {KEY}"}),
    "in a good answer": lambda: Told([f'["{KEY}"]'.encode()], 200, JSON),
    "in an error that is a success": lambda: json_told({"error": {"message": KEY}}),
    "in the failure of the connection": lambda: Told([b"{", cut()], 200, JSON),
}


def shown(error: BaseException) -> str:
    """Everything that is printed of an exception."""
    lines = traceback.format_exception(error)
    own = [line for line in lines if "served.py" not in line and "test_token" not in line]
    return "\n".join([str(error), repr(error), repr(vars(error)), *own, str(pickle.loads(pickle.dumps(error)))])


async def attempt(call: Any) -> BaseException | None:
    try:
        await call
    except StreamfoldError as error:
        return error
    return None


async def opened(here: Gateway, **given: Any) -> None:
    async with here.stream(**MODEL, **given):
        pass


@on_every_transport
@pytest.mark.parametrize("name", ECHOES)
async def test_no_error_shows_the_key(kind: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="streamfold")
    async with served(kind, lambda request: ECHOES[name]()) as site:
        here = site.gateway(max_retries=1)
        calls = [here.retrieve("resp_1"), here.create(**MODEL), here.batches.list(), opened(here)]
        errors = [await attempt(call) for call in calls]
    for error in errors:
        assert isinstance(error, GatewayError)
        assert KEY[:14] not in shown(error)
    assert KEY not in caplog.text


@on_every_transport
@pytest.mark.parametrize("name", ECHOES)
async def test_no_outcome_shows_the_key(kind: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="streamfold")

    def answer(request: Request) -> Told:
        return stream(created(0), cut()) if request.method == "POST" else ECHOES[name]()

    async with served(kind, answer) as site:
        async with site.gateway(patience=SHORT).stream(**MODEL) as response:
            result = await response.cancel()
            outcome = await response.outcome()
    assert KEY[:14] not in repr((outcome.reason, outcome.repairs, outcome.conflicts, result))
    with pytest.raises(StreamfoldError) as caught:
        outcome.raise_for_status()
    assert KEY[:14] not in shown(caught.value)
    assert KEY not in caplog.text


HEADS = {
    "a status line": f"HTTP/9 {KEY}\r\n\r\n",
    "no HTTP": f"{KEY}\r\n\r\n",
    "a header line": f"HTTP/1.1 200 OK\r\nbad header {KEY}\r\n\r\n",
    "a length": f"HTTP/1.1 200 OK\r\ncontent-length: {KEY}\r\n\r\n",
    "a chunk": f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{KEY}\r\n",
    "an encoding": f"HTTP/1.1 200 OK\r\ntransfer-encoding: {KEY}\r\n\r\n",
}


@on_sockets
@pytest.mark.parametrize("name", HEADS)
async def test_bytes_that_are_not_http_are_quoted_without_the_key(kind: str, name: str) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(HEADS[name].encode())

    async with serve(story) as server, client(kind) as http:
        here = Gateway(server.url, api_key=KEY, dialect="openai", http=http)
        error = await attempt(here.retrieve("resp_1"))
    assert isinstance(error, GatewayError)
    assert KEY[:14] not in shown(error)


@on_every_transport
async def test_keys_in_other_headers_and_in_the_query_are_hidden_as_well(kind: str) -> None:
    async with served(kind, lambda request: json_told({"error": request.url + str(request.headers)}, 400)) as site:
        call = site.gateway().retrieve(
            "resp_1", extra_headers={"x-api-key": "one-secret"}, extra_query={"key": "two-secret"}
        )
        error = await attempt(call)
    assert error is not None
    assert not any(word in shown(error) for word in (KEY, "one-secret", "two-secret"))


def test_a_request_and_the_calls_are_shown_without_the_key() -> None:
    calls = Calls.to("http://host", api_key=KEY, dialect=OPENAI, headers={"x-api-key": KEY})
    calls = calls.with_options(
        {"extra_query": {"key": KEY}, "extra_headers": {"cookie": KEY}, "extra_body": {"k": KEY}}
    )
    request = calls.create(MODEL, stream=True)
    assert repr(request).startswith("Request(method='POST', url='http://host/v1/responses', connect_timeout")
    for one in (calls, request, Gateway("http://host", api_key=KEY), [request]):
        assert KEY not in f"{one!r} {one}"


def test_a_url_with_a_user_is_shown_without() -> None:
    assert repr(Request(method="GET", url="http://me:word@host/x?key=1#part")).count("http://host/x'") == 1


@on_every_transport
async def test_a_response_that_holds_the_key_is_given_as_it_is(kind: str) -> None:
    async with served(kind, lambda request: json_told(body("completed", f"your key is {KEY}"))) as site:
        assert (await site.gateway().retrieve("resp_1")).output_text == f"your key is {KEY}"


@on_every_transport
async def test_a_key_in_place_of_an_id_is_hidden_too(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="streamfold")

    def answer(request: Request) -> Told:
        if request.method == "POST" and request.url.endswith("/responses"):
            return stream(created(0, id=KEY), ConnectionError("cut"))
        return json_told({"error": "no such id"}, 404)

    async with served(kind, answer) as site:
        error = await attempt(site.gateway().retrieve(KEY))
        assert error is not None
        assert KEY not in shown(error)
        async with site.gateway().stream(**MODEL) as response:
            outcome = await response.outcome()
        with pytest.raises(StreamfoldError) as caught:
            outcome.raise_for_status()
        assert KEY not in shown(caught.value)
        async with site.gateway().batches.follow(KEY) as batch:
            await batch.outcome()
    assert caplog.messages
    assert KEY not in caplog.text


FAILED = body("failed", error={"code": f"bad_{KEY}", "message": f"no such key: {KEY}"})
LONG = "x" * 290 + KEY * 2
IN_STREAM: dict[str, tuple[bytes, ...]] = {
    "an error": (frame("error", 1, message=f"no such key: {KEY}"),),
    "a nested error": (frame("error", 1, error={"message": f"no such key: {KEY}"}),),
    "a failed Response": (frame("response.failed", 1, response=FAILED),),
    "an untyped error": (b'data: {"error": "%b"}\n\n' % KEY.encode(),),
    "a code": (frame("error", 1, code=KEY, message="no"),),
    "words that are cut": (frame("error", 1, message=LONG),),
    "an error, then the end": (frame("error", 1, message=KEY), frame("response.failed", 2, response=FAILED)),
}


@on_every_transport
@pytest.mark.parametrize("name", IN_STREAM)
async def test_no_reason_from_inside_a_stream_shows_the_key(
    kind: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="streamfold")

    def answer(request: Request) -> Told:
        return stream(created(0), *IN_STREAM[name]) if request.method == "POST" else json_told({"error": KEY}, 404)

    async with served(kind, answer) as site, site.gateway().stream(**MODEL) as response:
        outcome = await response.outcome()
    assert KEY[:6] not in repr((outcome.reason, outcome.code, outcome.repairs, outcome.conflicts))
    with pytest.raises(StreamfoldError) as caught:
        outcome.raise_for_status()
    assert KEY[:14] not in shown(caught.value)
    assert KEY not in caplog.text
