"""The whole relay on a socket, in front of an emulator: what it holds, passes on, reports, and how it ends."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from streamfold.emulator import Emulator, Options, emulate
from streamfold.errors import InvalidArgument, LogUnusable
from streamfold.log import EventLog, MemoryLog, StreamInfo, StreamKey
from streamfold.relay import RelayOptions, RelayServer, ServerOptions
from tests.emulator.rawclient import Raw, ask, read, request
from tests.serving.running import serving

pytestmark = pytest.mark.anyio

PATH = "/v1/responses"
ASKED = {"model": "toy", "input": "30 tokens", "stream": True}


@asynccontextmanager
async def relayed(
    behaviour: Options | None = None,
    *,
    log: EventLog | None = None,
    limits: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncGenerator[tuple[str, Emulator, RelayServer]]:
    """The relay's URL, the upstream behind it, and the relay."""
    emulator = Emulator(behaviour or Options(tokens_per_second=None))
    async with emulate(emulator) as upstream:
        relay = RelayServer(
            f"{upstream}/v1",
            log or MemoryLog(),
            log_kind="memory",
            options=RelayOptions(**options),
            limits=ServerOptions(**(limits or {})),
        )
        how = {"running": relay.running, "log": "streamfold.relay", "upgrade": relay.tunnels.open}
        with serving(relay, **how) as url:
            yield url, emulator, relay


async def test_a_stream_is_held_and_resumes_from_any_event_without_another_create() -> None:
    async with relayed() as (url, emulator, _):
        whole = await ask(url, "POST", PATH, ASKED)
        id = whole.events[0]["response"]["id"]
        rest = await ask(url, "GET", f"{PATH}/{id}?stream=true&starting_after=5")
        same = await ask(url, "GET", f"{PATH}/{id}?stream=true", last_event_id="5")
    assert whole.events[-1]["type"] == "response.completed"
    assert rest.events == same.events == whole.events[6:]
    assert len([each for each in emulator.journal.visits if each.method == "POST"]) == 1


async def test_a_client_that_leaves_does_not_end_its_stream() -> None:
    async with relayed(Options(tokens_per_second=200)) as (url, _, _):
        raw = Raw()
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream:
            await stream.send(request("POST", PATH, ASKED))
            while raw.data.count(b"event:") < 3:
                await read(stream, raw)
        id = json.loads(raw.data.split(b"data: ")[1].partition(b"\n")[0])["response"]["id"]
        rest = await ask(url, "GET", f"{PATH}/{id}?stream=true")
    assert rest.events[-1]["type"] == "response.completed"


async def test_the_key_of_each_request_goes_upstream_and_another_key_sees_nothing() -> None:
    async with relayed(Options(tokens_per_second=None, key="key")) as (url, _, _):
        refused = await ask(url, "POST", PATH, ASKED, authorization="Bearer wrong")
        whole = await ask(url, "POST", PATH, ASKED)
        id = whole.events[0]["response"]["id"]
        foreign = await ask(url, "GET", f"{PATH}/{id}?stream=true", authorization="Bearer other")
        on_behalf = await ask(url, "GET", f"{PATH}/{id}?stream=true", x_on_behalf_of="somebody")
    assert (refused.status, whole.status, foreign.status) == (401, 200, 401)
    assert on_behalf.status == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_not_held_is_passed_on(method: str) -> None:
    body = None if method == "GET" else {"model": "toy", "input": "echo: hello"}
    async with relayed() as (url, emulator, _):
        raw = await ask(url, method, PATH, body)
    assert raw.status == 200
    assert raw.headers["x-request-id"] == emulator.journal.visits[0].request_id


async def test_one_header_says_which_pages_may_read() -> None:
    async with relayed() as (url, _, _):
        held = await ask(url, "POST", PATH, ASKED, origin="https://page")
        passed = await ask(url, "GET", PATH, origin="https://page")
    for raw in (held, passed):
        assert raw.data.partition(b"\r\n\r\n")[0].count(b"access-control-allow-origin") == 1


@pytest.mark.parametrize("origins", ["*", ""])
async def test_a_preflight_is_the_providers_if_no_pages_are_named(origins: str) -> None:
    async with relayed(cors_origins=origins) as (url, emulator, _):
        raw = await ask(url, "OPTIONS", PATH, origin="https://page", access_control_request_method="POST")
    assert raw.status == 204
    assert len(emulator.journal.visits) == (origins == "")


async def test_its_health_says_what_is_kept_and_every_limit() -> None:
    async with relayed(retain_seconds=7.0, limits={"max_websockets": 3}) as (url, _, relay):
        state = json.loads((await ask(url, "GET", "/healthz")).body)
        head = await ask(url, "HEAD", "/healthz")
    assert (state["status"], state["upstream"], state["log"]) == ("ok", str(relay.origin), "memory")
    assert (state["streams"], state["readers"], state["websockets"], state["attach"]["creates"]) == (0, 0, 0, 0)
    assert (state["settings"]["retain_seconds"], state["settings"]["max_websockets"]) == (7.0, 3)
    assert (head.status, head.payload) == (200, b"")


class BrokenLog(MemoryLog):
    """A log that cannot be read."""

    async def info(self, key: StreamKey) -> StreamInfo | None:
        raise LogUnusable("where", "why")


async def test_it_is_ready_while_its_log_can_be_read_and_it_does_not_drain() -> None:
    async with relayed() as (url, _, relay):
        ready = await ask(url, "GET", "/readyz")
        relay.drain()
        draining = await ask(url, "GET", "/readyz")
        health = await ask(url, "GET", "/healthz")
    async with relayed(log=BrokenLog()) as (url, _, _):
        broken = await ask(url, "GET", "/readyz")
    assert (ready.status, draining.status, broken.status) == (200, 503, 503)
    assert json.loads(health.body)["status"] == "draining"


async def test_a_fault_of_the_relay_is_logged_by_its_place_and_without_what_a_client_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class FaultyLog(MemoryLog):
        async def info(self, key: StreamKey) -> StreamInfo | None:
            raise ZeroDivisionError(f"secret {key}")

    with caplog.at_level(logging.DEBUG, "streamfold"):
        async with relayed(log=FaultyLog()) as (url, _, _):
            raw = await ask(url, "GET", f"{PATH}/resp_secret?stream=true", authorization="Bearer secret")
    assert (raw.status, b"its log says where" in raw.body) == (500, True)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text.replace('f"secret {key}"', "")


@pytest.mark.parametrize("name", ["max_connections", "drain_seconds", "upstream_idle_seconds"])
def test_a_limit_is_more_than_nothing(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        ServerOptions(**{name: 0})


async def test_another_server_opens_it_by_the_lifespan_and_sees_websockets_refused() -> None:
    relay = RelayServer("http://127.0.0.1:9", MemoryLog())
    asked = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return asked.pop() if asked else {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await relay({"type": "lifespan"}, receive, send)
    await relay({"type": "websocket", "path": "/v1/realtime"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
