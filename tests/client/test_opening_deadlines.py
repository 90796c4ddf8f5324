"""Nothing is waited for without end: the opening of a POST, heads and bodies that drip, uploads, on every transport."""

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from streamfold.client import Gateway
from streamfold.client.conformance import FaultyServer, Wire, serve
from streamfold.errors import ConnectFailed, GatewayError, IdleTimeout, RequestRefused
from streamfold.session import OutcomeStatus, Patience
from tests.client.served import KEY, MODEL, client, on_sockets
from tests.conftest import sampled_product

pytestmark = pytest.mark.anyio

MAX_SECONDS = 0.4
LATE = 8.0  # a loaded machine; without a bound each of these waits for ever


def dripping(begin: bytes, drip: bytes) -> Callable[[Wire], Awaitable[None]]:
    """The beginning of an answer, then a little more of it again and again: never silent, never whole."""

    async def run(wire: Wire) -> None:
        await wire.send(begin)
        while True:
            await anyio.sleep(0.02)
            await wire.send(drip)

    return run


HEAD = b"HTTP/1.1 200 OK\r\nx: "
ENDLESS_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
SLOW_BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n"
SLOW_REFUSAL = SLOW_BODY.replace(b"200 OK", b"400 No")
BLANK_BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"
STORIES = {
    "a head": dripping(HEAD, b"y"),
    "hints": dripping(ENDLESS_HINTS, ENDLESS_HINTS),
    "a body": dripping(SLOW_BODY, b" "),
    "a refusal": dripping(SLOW_REFUSAL, b" "),
    "nothing that shows what it is": dripping(BLANK_BODY, b"\n"),
}
every_story = sampled_product("story", 2, STORIES)


@asynccontextmanager
async def gateway(kind: str, story: str, **settings: Any) -> AsyncGenerator[tuple[Gateway, FaultyServer], None]:
    async with serve(STORIES[story]) as server, client(kind) as http:
        yield Gateway(f"{server.url}v1", api_key=KEY, dialect="openai", http=http, **settings), server


async def entered(response: Any) -> None:
    async with response:
        pass


CALLS: dict[str, Callable[..., Awaitable[object]]] = {
    "stream": lambda here, **given: entered(here.stream(**MODEL, **given)),
    "create": lambda here, **given: here.create(**MODEL, **given),
    "retrieve": lambda here, **given: here.retrieve("resp_1", **given),
    "batches": lambda here, **given: here.batches.list(**given),
}


@on_sockets
@sampled_product("story,call,way", 4, STORIES, CALLS, ["total_seconds", "timeout"])
async def test_a_call_ends_in_its_time_whatever_drips(kind: str, story: str, call: str, way: str) -> None:
    patience = Patience(total_seconds=MAX_SECONDS if way == "total_seconds" else None)
    given = {"timeout": MAX_SECONDS} if way == "timeout" else {}
    async with gateway(kind, story, patience=patience) as (here, _):
        with anyio.fail_after(LATE), pytest.raises((IdleTimeout, RequestRefused)) as caught:
            await CALLS[call](here, **given)
    assert "POST http" in str(caught.value) or "GET http" in str(caught.value)
    assert isinstance(caught.value, RequestRefused) == (story == "a refusal")


@on_sockets
@every_story
async def test_without_a_timeout_a_stream_is_opened_within_the_silence_that_is_allowed(kind: str, story: str) -> None:
    async with gateway(kind, story, patience=Patience(idle_seconds=MAX_SECONDS), connect_seconds=MAX_SECONDS) as (
        here,
        _,
    ):
        with anyio.fail_after(LATE), pytest.raises(GatewayError):
            await CALLS["stream"](here)


@on_sockets
@every_story
async def test_a_follow_ends_in_its_time_too(kind: str, story: str) -> None:
    patience = Patience(total_seconds=MAX_SECONDS)
    async with gateway(kind, story, patience=patience) as (here, _):
        with anyio.fail_after(LATE):
            async with here.follow("resp_1") as response:
                outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.LOST


@on_sockets
@every_story
async def test_the_gets_of_a_batch_end_in_their_time_too(kind: str, story: str) -> None:
    patience = Patience(idle_seconds=0.1, total_seconds=MAX_SECONDS * 2, stalled_seconds=MAX_SECONDS)
    async with gateway(kind, story, patience=patience, connect_seconds=0.1) as (here, server):
        with anyio.fail_after(LATE):
            async with here.batches.follow("batch_1") as batch:
                assert (await batch.outcome()).status != "completed"
        assert server.wires


@on_sockets
async def test_the_words_of_a_refusal_are_waited_for_for_a_short_time_only(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfold.client.api.answer.REFUSAL_SECONDS", 0.1)
    async with gateway(kind, "a refusal") as (here, _):
        with anyio.fail_after(LATE), pytest.raises(RequestRefused, match="400"):
            await here.retrieve("resp_1")


# httpx leaves the generator of a body that it was writing, which trio warns of.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object ByteStream.__aiter__")
@on_sockets
async def test_an_upload_that_nobody_takes_ends_in_its_time(kind: str) -> None:
    async def accept_nothing(stream: Any) -> None:
        async with stream:
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks, client(kind) as http:
        tasks.start_soon(listener.serve, accept_nothing)
        here = Gateway(f"http://127.0.0.1:{port}", api_key=KEY, dialect="openai", http=http)
        with anyio.fail_after(LATE), pytest.raises(IdleTimeout):
            await here.create(model="toy", input="x" * 20_000_000, timeout=MAX_SECONDS)
        tasks.cancel_scope.cancel()
    await listener.aclose()


@on_sockets
async def test_a_name_that_is_never_resolved_is_no_connection(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def resolve(*arguments: Any, **given: Any) -> Any:
        is_over.wait(LATE)
        raise OSError("nobody answers")

    async with client(kind) as http:
        here = Gateway(
            "http://gateway.invalid",
            api_key=KEY,
            dialect="openai",
            http=http,
            connect_seconds=MAX_SECONDS,
            max_retries=0,
        )
        monkeypatch.setattr("socket.getaddrinfo", resolve)
        try:
            with anyio.fail_after(LATE), pytest.raises(ConnectFailed):
                await here.retrieve("resp_1")
        finally:
            is_over.set()


@on_sockets
async def test_a_tls_handshake_that_never_ends_is_no_connection(kind: str) -> None:
    async with serve(STORIES["a head"]) as server, client(kind) as http:
        url = server.url.replace("http:", "https:")
        here = Gateway(url, api_key=KEY, dialect="openai", http=http, connect_seconds=MAX_SECONDS, max_retries=0)
        with anyio.fail_after(LATE), pytest.raises(ConnectFailed):
            await here.retrieve("resp_1")
