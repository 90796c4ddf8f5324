"""What a client may send, hold and leave unread, by raw sockets against a small application."""

import asyncio
import socket
import threading
import time
from typing import Any, cast

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from uvicorn.config import Config
from uvicorn.server import ServerState

from streamfold.errors import StreamBroken
from streamfold.serving import ConnectionLimits, Message, Receive, SendMessage
from streamfold.serving.connection import LimitedConnection
from streamfold.serving.upgrade import OpenConnection, UpgradeRequest
from tests.emulator.rawclient import Raw, read
from tests.serving.running import serving, talk

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Of the client: what is tested has an event loop of its own."""
    return request.param


async def echo(scope: Message, receive: Receive, send: SendMessage) -> None:
    """Answer with the target and the body; break off, wait, or send without end where the path says so."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    target: bytes = scope["extensions"]["streamfold.target"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": target + b" " + body, "more_body": True})
    if target == b"/broken":
        raise StreamBroken("on purpose")
    while target == b"/endless" and (await _sent(send, scope)):
        pass
    await send({"type": "http.response.body", "body": b""})


async def _sent(send: SendMessage, scope: Message) -> bool:
    await send({"type": "http.response.body", "body": bytes(60_000), "more_body": True})
    return not scope["extensions"]["streamfold.transport"].is_closing()


def ask(target: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "host: a", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


LAST = "connection: close"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("target", ["/a//b/../c/./%2e%2F?", "/?a=1&&b=%zz", "/x?y?z#", "http://elsewhere/a"])
async def test_an_application_has_the_target_as_it_was_sent(target: str) -> None:
    with serving(echo) as url:
        raw = await talk(url, ask(target, LAST))
    assert raw.body == target.encode() + b" "


async def test_no_event_waits_for_the_acknowledgement_of_the_one_before() -> None:
    async def app(scope: Message, receive: Receive, send: SendMessage) -> None:
        accepted: socket.socket = scope["extensions"]["streamfold.transport"].get_extra_info("socket")
        option = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(option).encode()})

    with serving(app) as url:
        assert (await talk(url, ask("/", LAST))).body == b"1"


SMUGGLING = {
    "both": ["content-length: 5", "transfer-encoding: chunked"],
    "both, the other way round": ["transfer-encoding: chunked", "content-length: 5"],
    "two lengths": ["content-length: 5", "content-length: 6"],
    "two equal lengths": ["content-length: 5", "content-length: 5"],
    "a length with a sign": ["content-length: +5"],
    "a length in a list": ["content-length: 5, 5"],
    "a blank before the colon": ["transfer-encoding : chunked"],
    "a tab before the colon": ["transfer-encoding\t: chunked"],
    "a coding that is none": ["transfer-encoding: xchunked"],
    "a coding with a vertical tab": ["transfer-encoding: \x0bchunked"],
    "a coding twice": ["transfer-encoding: chunked", "transfer-encoding: chunked"],
    "a coding and another": ["transfer-encoding: chunked, identity"],
    "another coding and chunked": ["transfer-encoding: gzip, chunked"],
    "a quoted coding": ['transfer-encoding: "chunked"'],
    "a folded coding": ["transfer-encoding:", " chunked"],
    "a folded header": ["x: a", " b"],
    "a CR in a header": ["x: a\rtransfer-encoding: chunked"],
    "a bare LF in a header": ["x: a\nbad header"],
    "a NUL": ["x: a\0b"],
    "a second host": ["host: b"],
    "a name with a blank": ["x y: a"],
    "a name that is empty": [": a"],
    "the key as a header of the hop": ["authorization: Bearer k", "connection: authorization"],
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING)
async def test_what_two_servers_could_read_differently_is_refused_and_closed(headers: list[str]) -> None:
    with serving(echo) as url:
        raw = await talk(url, ask("/", *headers, method="POST", body=b"0\r\n\r\n" + SMUGGLED))
    assert (raw.status, raw.data.count(b"HTTP/1.1 ")) == (400, 1)


@pytest.mark.parametrize(
    "chunks",
    [b"5;a=b\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"-1\r\n"],
)  # fmt: skip
async def test_a_chunk_that_two_servers_could_read_differently_closes_the_connection(chunks: bytes) -> None:
    with serving(echo) as url:
        raw = await talk(url, ask("/", "transfer-encoding: chunked", method="POST", body=chunks + SMUGGLED))
    assert (raw.status, b"/smuggled" in raw.data) == (400, False)


async def test_a_request_to_be_a_tunnel_is_refused() -> None:
    with serving(echo) as url:
        raw = await talk(url, b"CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n")
    assert raw.status == 400


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
@pytest.mark.parametrize(
    ("length", "body"), [("content-length: 5", b"hello"), ("transfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")]
)
async def test_an_upgrade_that_is_not_served_is_a_request_like_any_other(
    upgrade: str, length: str, body: bytes
) -> None:
    sent = ask("/one", f"upgrade: {upgrade}", "connection: Upgrade", length, method="POST", body=body)
    with serving(echo) as url:
        at_once = await talk(url, sent + ask("/two", "upgrade: h2c", "connection: Upgrade") + ask("/three", LAST))
        in_pieces = await talk(url, sent[:30], sent[30:-7], sent[-7:], ask("/two"), ask("/three", LAST))
    for raw in (at_once, in_pieces):
        assert [part in raw.data for part in (b"/one hello", b"/two ", b"/three ")] == [True, True, True]


async def test_a_broken_stream_ends_without_its_last_chunk(caplog: pytest.LogCaptureFixture) -> None:
    with serving(echo) as url:
        raw = await talk(url, ask("/broken"))
    assert (raw.status, raw.is_complete, raw.body) == (200, False, b"/broken ")
    assert caplog.records == []


@pytest.mark.parametrize("more", [0, 1])
async def test_a_request_has_so_many_headers_and_no_more(more: int) -> None:
    with serving(echo, limits={"max_headers": 20}) as url:
        raw = await talk(url, ask("/", LAST, *[f"x-{number}: y" for number in range(18 + more)]))
    assert raw.status == (431 if more else 200)


@pytest.mark.parametrize("more", [0, 1])
async def test_a_head_has_so_many_bytes_and_no_more(more: int) -> None:
    rest = len("/" + "hosta" + "connectionclose" + "x")  # what is counted: the target, names and values
    head = ask("/", LAST, "x: " + "y" * (1000 - rest + more))
    with serving(echo, limits={"max_head_bytes": 1000}) as url:
        raw = await talk(url, head)
    assert raw.status == (431 if more else 200)


@pytest.mark.parametrize("more", [0, 1])
async def test_so_many_requests_may_wait_for_the_first_and_no_more(more: int) -> None:
    first = ask("/first", "content-length: 1", method="POST", body=b"x")
    waiting = [*[ask("/next")] * (2 + more), ask("/last", LAST)]
    with serving(echo, limits={"max_pipelined": 3}) as url:
        raw = await talk(url, first + b"".join(waiting))
    assert raw.data.count(b"HTTP/1.1 200") == (0 if more else 4)


@pytest.mark.parametrize("more", [0, 1])
async def test_so_much_of_a_body_is_read_after_its_answer_and_no_more(more: int) -> None:
    async def app(scope: Message, receive: Receive, send: SendMessage) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    body, raw = bytes(100_000 + more), Raw()
    with serving(app, limits={"max_discarded_bytes": 100_000}) as url, anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
            await client.send(ask("/", f"content-length: {len(body)}", method="POST"))
            await read(client, raw)
            await client.send(body + ask("/", LAST))
            while raw.end == "open":
                await read(client, raw)
    assert raw.data.count(b"HTTP/1.1 413") == (1 if more else 2)


async def test_a_body_that_stops_coming_is_refused() -> None:
    limits = {"request_seconds": 0.2, "min_bytes_per_second": 10_000}
    with serving(echo, limits=limits) as url:
        raw = await talk(url, ask("/", LAST, "content-length: 60000", method="POST", body=bytes(50_000)))
    assert (raw.status, b"less than 10000 bytes a second" in raw.data) == (408, True)


class Ears(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("each_look", "is_taken", "is_refused"),
    [
        pytest.param(1000, True, False, id="it keeps coming"),
        pytest.param(10, True, True, id="it drips"),
        pytest.param(0, False, False, id="what takes the body is slow"),
    ],
)
async def test_a_body_may_take_long_if_it_keeps_coming(each_look: int, is_taken: bool, is_refused: bool) -> None:
    async def app(scope: Message, receive: Receive, send: SendMessage) -> None:
        while is_taken:
            await receive()
        await anyio.sleep_forever()

    config = Config(cast(Any, app), http="httptools", ws="none", lifespan="off", log_config=None)
    limits = ConnectionLimits(request_seconds=10, min_bytes_per_second=100)
    connection, transport = LimitedConnection(config, ServerState(), limits, "streamfold.tests", None), Ears()
    connection.connection_made(transport)
    connection.data_received(ask("/", "content-length: 1000000", method="POST"))
    await wait_all_tasks_blocked()
    begun = time.monotonic()
    if not is_taken:
        connection.data_received(bytes(70_000))  # more than is kept, so reading is paused
    for second in range(1, 60):
        if each_look:
            connection.data_received(bytes(each_look))
            await wait_all_tasks_blocked()
        connection.look(begun + second)
    for task in list(connection.tasks):
        task.cancel()
    assert (transport.sent.startswith(b"HTTP/1.1 408"), transport.is_closed) == (is_refused, is_refused)


def test_a_client_that_reads_too_slowly_is_cut() -> None:
    is_over = threading.Event()

    async def app(scope: Message, receive: Receive, send: SendMessage) -> None:
        await echo(scope, receive, send)
        is_over.set()

    limits = {"unread_seconds": 0.3, "min_bytes_per_second": 1000}
    with serving(app, limits=limits) as url, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        client.sendall(ask("/endless"))
        while not is_over.wait(0.001):  # a byte now and then
            assert client.recv(1)


def upgraded(taken: list[UpgradeRequest]) -> Any:
    def upgrade(request: UpgradeRequest) -> None:
        taken.append(request)
        request.transport.write(b"taken")
        request.transport.close()

    return upgrade


HEAD = ["Upgrade: WebSocket", "Connection: keep-alive, Upgrade"]


async def test_an_upgrade_hands_over_the_connection_and_what_came_after_the_head() -> None:
    taken: list[UpgradeRequest] = []
    with serving(echo, upgrade=upgraded(taken)) as url:
        raw = await talk(url, ask("/a//b?c", *HEAD, body=b"early"))
    assert raw.data == b"taken"
    [request] = taken
    assert (request.method, request.target, request.rest) == (b"GET", b"/a//b?c", b"early")
    assert request.headers[:2] == ((b"host", b"a"), (b"upgrade", b"WebSocket"))
    assert "host" not in repr(request)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(ask("/", *HEAD, "content-length: 5", body=b"hello"), id="with a body"),
        pytest.param(ask("/endless") + ask("/", *HEAD), id="before the answer"),
    ],
)
async def test_an_upgrade_that_is_not_in_order_is_refused(sent: bytes) -> None:
    taken: list[UpgradeRequest] = []
    with serving(echo, upgrade=upgraded(taken)) as url:
        raw = await talk(url, sent)
    assert (taken, raw.end) == ([], "fin")
    assert b"HTTP/1.1 400" in raw.data or not raw.is_complete


def test_a_connection_of_another_kind_is_one_too() -> None:
    assert {"look", "shutdown", "transport"} <= set(dir(OpenConnection))
