"""WebSockets through a relay, with a real client and server; and what never becomes one, byte by byte."""

import base64
import hashlib
import logging
import socket
import ssl
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from streamfold.client.conformance.site import FaultyServer, Story, Wire, serve
from streamfold.relay import Origin, Passthrough, Tunnels
from tests.emulator.rawclient import Raw, read
from tests.relay.passing import ask, deaf, flood, says
from tests.serving.running import serving, talk

pytestmark = pytest.mark.anyio

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD = ["Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"]
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


@asynccontextmanager
async def tunnelled(
    story: Story, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncGenerator[tuple[str, FaultyServer], None]:
    async with serve(story, tls=tls) as upstream:
        with relay(upstream.url, **options) as url:
            yield url, upstream


def relay(upstream: str, *, limits: dict[str, Any] | None = None, **options: Any) -> Any:
    origin = Origin.of(upstream)
    tunnels = Tunnels(origin, **options)

    @asynccontextmanager
    async def running() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await tunnels.aclose()

    how = {"limits": limits or {}, "log": "streamfold.relay", "upgrade": tunnels.open, "running": running}
    return serving(Passthrough(origin), **how)


async def agree(wire: Wire) -> None:
    await wire.send(AGREED)


async def connect(url: str) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))


async def exactly(stream: anyio.abc.ByteStream, count: int) -> bytes:
    data = b""
    with anyio.fail_after(10):
        while len(data) < count:
            data += await stream.receive(count - len(data))
    return data


async def test_the_head_goes_upstream_unchanged_but_for_its_host() -> None:
    async with tunnelled(agree) as (url, upstream):
        raw = await talk(
            url,
            ask("/v1//realtime?model=a%20b", *HEAD, "Content-Length: 0", "Authorization: Bearer k", "X-A: 1", "X-A: 2"),
        )
    assert raw.data == AGREED
    names = [
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "content-length",
        "authorization",
        "x-a",
        "x-a",
    ]
    lines = upstream.wires[0].head.decode().split("\r\n")
    assert lines[0] == "GET /v1//realtime?model=a%20b HTTP/1.1"
    assert lines[1] == f"host: {upstream.url[7:-1]}"
    assert [line.partition(":")[0] for line in lines[2:]] == names


async def test_bytes_go_both_ways_also_those_that_come_with_the_heads() -> None:
    async def story(wire: Wire) -> None:
        await wire.send(AGREED + b"first")
        assert await exactly(wire._stream, 5) == b"early"
        await wire.send(b"second")
        assert await exactly(wire._stream, 4) == b"late"

    async with tunnelled(story) as (url, _), await connect(url) as client:
        await client.send(ask("/", *HEAD, body=b"early"))
        assert await exactly(client, len(AGREED) + 11) == AGREED + b"firstsecond"
        await client.send(b"late")
        with pytest.raises(anyio.EndOfStream):
            await client.receive()


async def test_an_upstream_may_have_tls(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(AGREED)
        await wire.send(await exactly(wire._stream, 5))

    server, client = certificates
    async with tunnelled(story, tls=server, ssl_context=client) as (url, _), await connect(url) as stream:
        await stream.send(ask("/", *HEAD, body=b"early"))
        assert await exactly(stream, len(AGREED) + 5) == AGREED + b"early"


async def test_an_upstream_that_nobody_vouches_for_is_not_spoken_to(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with tunnelled(agree, tls=certificates[0]) as (url, upstream):
        raw = await talk(url, ask("/", *HEAD, "authorization: Bearer secret"))
    assert (raw.status, b"certificate verify failed" in raw.body, upstream.wires) == (502, True, [])


async def test_a_client_that_leaves_is_gone_upstream_too() -> None:
    async def story(wire: Wire) -> None:
        await wire.send(AGREED)
        await wire.gone()

    async with tunnelled(story) as (url, upstream):
        async with await connect(url) as client:
            await client.send(ask("/", *HEAD))
            await exactly(client, len(AGREED))
        with anyio.fail_after(5):
            await upstream.wires[0].closed.wait()


async def test_a_slow_client_slows_the_upstream() -> None:
    sent, done = 0, anyio.Event()

    async def story(wire: Wire) -> None:
        nonlocal sent
        await wire.send(AGREED)
        sent = await flood(wire._stream)
        done.set()

    async with tunnelled(story) as (url, _), await connect(url) as client:
        await client.send(ask("/", *HEAD))
        await done.wait()
    assert sent < 100_000_000


async def test_a_slow_upstream_slows_the_client() -> None:
    with deaf(AGREED) as upstream, relay(upstream) as url:
        async with await connect(url) as client:
            await client.send(ask("/", *HEAD))
            await exactly(client, len(AGREED))
            sent = await flood(client)
    assert sent < 100_000_000


REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Mine: 1\r\n\r\nno"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([REFUSED], id="a length"),
        pytest.param(
            [b"HTTP/1.1 426 X\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\nno\r\n", b"0\r\n\r\n"], id="chunks"
        ),
        pytest.param([b"HTTP/1.1 103 X\r\nlink: y\r\n\r\n", REFUSED], id="an interim answer first"),
        pytest.param([b"HTTP/1.1 400 X\r\n\r\n", b"no"], id="until the end"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], id="no refusal, no agreement"),
        pytest.param([each for byte in REFUSED for each in [bytes([byte])]], id="byte by byte"),
    ],
)
async def test_a_refusal_is_passed_on_and_ends_the_connection(answer: list[bytes]) -> None:
    async with tunnelled(says(*answer)) as (url, upstream):
        raw = await talk(url, ask("/", *HEAD, body=b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"))
    assert raw.data == b"".join(answer)
    assert all(b"smuggled" not in wire.head + wire.body for wire in upstream.wires)


async def test_after_a_refusal_nothing_reaches_the_upstream_though_it_stays_open() -> None:
    after = b""

    async def story(wire: Wire) -> None:
        nonlocal after
        await wire.send(REFUSED)
        try:
            while True:
                after += await wire._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass

    async with tunnelled(story) as (url, _):
        raw = await talk(url, ask("/", *HEAD), b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (raw.status, after) == (403, b"")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", b"closed the connection before it answered"),
        (b"hello\r\n\r\n", b"did not answer in HTTP"),
        (b"HTTP/1.1 600 X\r\n\r\n", b"did not answer in HTTP"),
        (b"HTTP/1.1 500 \x1b[2J\r\n\r\n", b"did not answer in HTTP"),
        (b"HTTP/1.1 101 X\r\nx: a\0b\r\n\r\n", b"did not answer in HTTP"),
        (b"HTTP/1.1 101 X\r\nx: " + b"y" * 100_000, b"a head of more than 65536 bytes"),
    ],
)
async def test_an_answer_that_is_not_http_is_a_bad_gateway(answer: bytes, why: bytes) -> None:
    async with tunnelled(says(answer)) as (url, _):
        raw = await talk(url, ask("/", *HEAD))
    assert (raw.status, why in raw.body) == (502, True)


async def test_an_upstream_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with caplog.at_level(logging.DEBUG, "streamfold"), relay(f"http://127.0.0.1:{port}") as url:
        raw = await talk(url, ask("/v1/realtime?key=secret", *HEAD, "Authorization: Bearer secret"))
    assert (raw.status, b"Check that it runs, and the relay's --upstream." in raw.body) == (502, True)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("/v1/realtime: The relay cannot connect")


async def silent(wire: Wire) -> None:
    await wire.send(AGREED)
    await wire.gone()


async def test_a_silent_tunnel_is_cut() -> None:
    async with tunnelled(silent, idle_seconds=0.3, limits={"unread_seconds": 1}) as (url, upstream):
        raw = await talk(url, ask("/", *HEAD))
        with anyio.fail_after(5):
            await upstream.wires[0].closed.wait()
    assert raw.data == AGREED


async def test_one_tunnel_too_many_is_refused_and_a_closed_one_makes_room() -> None:
    async with tunnelled(silent, max_tunnels=1) as (url, upstream):
        async with await connect(url) as first:
            await first.send(ask("/", *HEAD))
            await exactly(first, len(AGREED))
            raw = await talk(url, ask("/", *HEAD))
            assert (raw.status, b"1 WebSockets open" in raw.body) == (503, True)
        await upstream.wires[0].closed.wait()
        async with await connect(url) as second:
            await second.send(ask("/", *HEAD))
            await exactly(second, len(AGREED))


async def test_tunnels_count_as_connections_and_are_cut_at_the_end() -> None:
    async with tunnelled(silent, limits={"max_connections": 1}) as (url, _):
        client = await connect(url)
        await client.send(ask("/", *HEAD))
        await exactly(client, len(AGREED))
        assert (await talk(url, ask("/"))).status == 503
    raw = Raw()
    async with client:
        while raw.end == "open":
            await read(client, raw)


def mask(opcode: int, payload: bytes) -> bytes:
    """A client's frame."""
    key = b"\1\2\3\4"
    body = bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
    return struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload)) + key + body


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_real_client_and_a_real_server_notice_nothing() -> None:
    """`websockets` runs on asyncio alone."""
    websockets = pytest.importorskip("websockets.asyncio.server")
    client = pytest.importorskip("websockets.asyncio.client")
    exceptions = pytest.importorskip("websockets.exceptions")

    async def handler(connection: Any) -> None:
        assert connection.request.headers["Authorization"] == "Bearer k"
        try:
            async for message in connection:
                if message == "close":
                    await connection.close(4001, "as you like")
                    return
                await connection.send(message)
        except exceptions.ConnectionClosedError:
            pass

    def refuse(connection: Any, request: Any) -> Any:
        return connection.respond(401, "no key\n") if "Authorization" not in request.headers else None

    async with websockets.serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with relay(f"http://127.0.0.1:{port}") as url:
            ws = url.replace("http", "ws") + "/v1/realtime"
            async with client.connect(ws, additional_headers={"Authorization": "Bearer k"}) as connection:
                for message in ("text ü", bytes(range(256)), "x" * 500_000, ["a", "b"]):
                    await connection.send(message)
                    assert await connection.recv() == ("ab" if isinstance(message, list) else message)
                assert await (await connection.ping()) >= 0
                await connection.send("close")
                with pytest.raises(exceptions.ConnectionClosed) as closed:
                    await connection.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you like")
            with pytest.raises(exceptions.InvalidStatus) as refused:
                await client.connect(ws)
            assert (refused.value.response.status_code, refused.value.response.body) == (401, b"no key\n")
