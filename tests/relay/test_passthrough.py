"""What goes through a relay goes through unchanged, both ways; what fails says so."""

import gzip
import logging
import socket
import ssl

import anyio
import pytest

from streamfold.client.conformance.site import Wire, chunk, serve
from streamfold.relay import Origin, Passthrough
from tests.relay.passing import LAST, answer, ask, deaf, flood, passing, says
from tests.serving.running import serving, talk

pytestmark = pytest.mark.anyio

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def sent_for(*request: bytes, story: bytes = WHOLE) -> Wire:
    """What the upstream gets."""
    async with passing(says(story)) as (url, upstream):
        await talk(url, *request)
    [wire] = upstream.wires
    return wire


# Requests


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_method_and_target_are_as_they_were_sent(method: str) -> None:
    target = "/v1//a/../b/./%2e%2F%zz?x=%20&&y=a+b?c"
    wire = await sent_for(ask(target, LAST, method=method))
    assert wire.head.split(b"\r\n")[0] == f"{method} {target} HTTP/1.1".encode()


async def test_a_target_with_a_host_goes_to_the_upstream_all_the_same() -> None:
    wire = await sent_for(ask("http://elsewhere:1/a?b", LAST))
    assert wire.head.startswith(b"GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_headers_keep_their_order_and_repetitions_without_those_of_the_connection() -> None:
    headers = [
        "authorization: Bearer k ",
        "x-a: 1",
        "x-on-behalf-of: me",
        "x-a: 2",
        "connection: close, x-mine",
        "x-mine: 1",
        "keep-alive: 5",
        "te: trailers",
        "proxy-authorization: Basic x",
        "cookie: a=b",
        "user-agent: test",
        "accept-encoding: br",
    ]
    wire = await sent_for(ask("/", *headers))
    assert wire.head.split(b"\r\n")[2:] == [
        b"authorization: Bearer k",
        b"x-a: 1",
        b"x-on-behalf-of: me",
        b"x-a: 2",
        b"cookie: a=b",
        b"user-agent: test",
        b"accept-encoding: br",
    ]


async def test_a_body_of_known_length_keeps_it() -> None:
    wire = await sent_for(ask("/", LAST, "content-length: 5", method="POST", body=b"he"), b"llo")
    assert b"content-length: 5" in wire.head
    assert (b"transfer-encoding" in wire.head, wire.body) == (False, b"hello")


async def test_a_chunked_body_is_passed_on_while_it_comes() -> None:
    """The upstream answers after the first chunk, and only then the client sends the second."""
    first, rest = anyio.Event(), b""

    async def story(wire: Wire) -> None:
        nonlocal rest
        while b"hello" not in wire.body:
            wire.body += await wire._stream.receive()
        first.set()
        while not wire.body.endswith(b"0\r\n\r\n"):
            wire.body += await wire._stream.receive()
        rest = wire.body
        await wire.send(WHOLE)

    async with passing(story) as (url, _), await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
        head = ask("/", LAST, "transfer-encoding: chunked", method="POST")
        await client.send(head + chunk(b"hello"))
        with anyio.fail_after(5):
            await first.wait()
        await client.send(chunk(b"you") + chunk(b""))
        assert (await client.receive()).startswith(b"HTTP/1.1 200")
    assert rest == chunk(b"hello") + chunk(b"you") + chunk(b"")


async def test_a_long_body_is_not_held() -> None:
    """The upstream reads nothing, so the client cannot send more than the buffers between them take."""
    with deaf(b"") as upstream, serving(Passthrough(Origin.of(upstream))) as url:
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
            await client.send(ask("/", "content-length: 1000000000", method="POST"))
            sent = await flood(client)
    assert sent < 100_000_000


async def test_a_body_that_is_too_long_is_refused_and_not_ended_as_if_it_were_whole() -> None:
    body = b"".join([chunk(bytes(100)), chunk(bytes(100)), chunk(b"")])
    async with passing(says(WHOLE), max_upload_bytes=150) as (url, upstream):
        raw = await talk(url, ask("/", LAST, "transfer-encoding: chunked", method="POST", body=body))
    assert (raw.status, b"longer than 150 bytes" in raw.body) == (413, True)
    assert all(not wire.body.endswith(b"0\r\n\r\n") for wire in upstream.wires)


# Answers


@pytest.mark.parametrize(
    "status", [b"200 OK", b"201 Created", b"302 Found", b"404 Not Found", b"429 X", b"500 Y", b"599 Z"]
)
async def test_status_headers_and_body_are_as_the_upstream_sends_them(status: bytes) -> None:
    head = (
        b"HTTP/1.1 "
        + status
        + b"\r\nx-a: 1\r\nset-cookie: a\r\nx-a: 2\r\nset-cookie: b\r\nlocation: http://elsewhere/\r\n"
    )
    head += b"connection: close, x-mine\r\nx-mine: 1\r\nkeep-alive: 5\r\ncontent-length: 5\r\n\r\n"
    raw = await answer(says(head + b"hello"), ask("/", LAST))
    assert (raw.status, raw.body) == (int(status[:3]), b"hello")
    lines = raw.data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    known = [
        b"x-a: 1",
        b"set-cookie: a",
        b"x-a: 2",
        b"set-cookie: b",
        b"location: http://elsewhere/",
        b"content-length: 5",
    ]
    assert lines == [*known, b"connection: close"]


async def test_a_coded_body_is_not_decoded() -> None:
    body = gzip.compress(b"hello" * 100)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    assert (await answer(says(head + body), ask("/", LAST, "accept-encoding: gzip"))).body == body


async def test_each_piece_of_a_stream_is_passed_on_at_once() -> None:
    got = anyio.Event()

    async def story(wire: Wire) -> None:
        await wire.send(CHUNKED + chunk(b"data: 1\n\n"))
        await got.wait()
        await wire.send(chunk(b"data: 2\n\n") + chunk(b""))

    async with passing(story) as (url, _), await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
        await client.send(ask("/", LAST))
        data = b""
        with anyio.fail_after(5):
            while b"data: 1" not in data:
                data += await client.receive()
            got.set()
            while not data.endswith(chunk(b"")):
                data += await client.receive()
    assert data.endswith(chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n") + chunk(b""))


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body_has_none_whatever_its_length_says(status: bytes) -> None:
    raw = await answer(says(b"HTTP/1.1 " + status + b"\r\ncontent-length: 5\r\netag: x\r\n\r\n"), ask("/", LAST))
    assert (raw.status, raw.headers, raw.payload) == (int(status[:3]), {"etag": "x", "connection": "close"}, b"")


@pytest.mark.parametrize("head", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b""])
async def test_the_head_alone_is_answered_to_head(head: bytes) -> None:
    raw = await answer(says(b"HTTP/1.1 200 OK\r\n" + head + b"x: y\r\n\r\n"), ask("/", LAST, method="HEAD"))
    assert (raw.status, raw.payload, raw.headers["x"]) == (200, b"", "y")
    assert raw.headers.get("content-length") == ("5" if b"length" in head else None)


async def test_interim_answers_and_trailers_are_dropped() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    raw = await answer(says(early + CHUNKED + chunk(b"hello") + b"0\r\nx: y\r\n\r\n"), ask("/", LAST))
    assert (raw.status, raw.body, raw.is_complete, b"link" in raw.data) == (200, b"hello", True, False)


async def test_a_length_beside_chunks_is_not_believed() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
    raw = await answer(says(head + chunk(b"hello") + chunk(b"")), ask("/", LAST))
    assert (raw.body, raw.is_complete, "content-length" in raw.headers) == (b"hello", True, False)


# Ends


@pytest.mark.parametrize("then", ["fin", "rst"])
@pytest.mark.parametrize("head", [CHUNKED + chunk(b"hello"), WHOLE.replace(b"length: 5", b"length: 9")])
async def test_a_body_that_breaks_off_is_broken_off(head: bytes, then: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head)
        if then == "rst":
            await wire.reset()

    with caplog.at_level(logging.DEBUG, "streamfold"):
        raw = await answer(story, ask("/v1/a%0ab?key=secret", LAST, "authorization: Bearer secret"))
    assert (raw.status, raw.is_complete) == (200, False)
    assert caplog.messages == ["GET /v1/a%0ab: the upstream broke off its answer"]


async def test_a_client_that_leaves_ends_the_request_upstream() -> None:
    async def story(wire: Wire) -> None:
        await wire.send(CHUNKED + chunk(b"hello"))
        await wire.gone()

    async with passing(story) as (url, upstream):
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
            await client.send(ask("/"))
            await client.receive()
        with anyio.fail_after(5):
            await upstream.wires[0].closed.wait()


async def test_a_client_that_leaves_before_the_answer_ends_the_request_upstream() -> None:
    async def story(wire: Wire) -> None:
        asked.set()
        await wire.gone()

    asked = anyio.Event()
    async with passing(story) as (url, upstream):
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
            await client.send(ask("/"))
            await asked.wait()
        with anyio.fail_after(5):
            await upstream.wires[0].closed.wait()


async def test_an_upstream_that_is_not_there_is_named_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        caplog.at_level(logging.DEBUG, "streamfold"),
        serving(Passthrough(Origin.of(f"http://127.0.0.1:{port}"))) as url,
    ):
        raw = await talk(url, ask("/v1?key=secret", LAST))
    assert raw.status == 502
    assert f"cannot connect to its upstream http://127.0.0.1:{port}: ".encode() in raw.body
    assert b"Check that it runs, and the relay's --upstream." in raw.body
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("story", "status"),
    [
        pytest.param(b"", 502, id="nothing"),
        pytest.param(b"hello", 502, id="no HTTP"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, id="another protocol"),
        pytest.param(b"HTTP/1.1 777 X\r\ncontent-length: 0\r\n\r\n", 502, id="a status beyond"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: a\x1bb\r\ncontent-length: 0\r\n\r\n", 502, id="a control character"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000 + b"\r\n\r\n", 502, id="a head without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 502, id="two lengths"),
    ],
)
async def test_an_answer_that_is_not_http_is_a_bad_gateway(story: bytes, status: int) -> None:
    raw = await answer(says(story), ask("/", LAST))
    assert (raw.status, raw.is_complete, b"\x1b" in raw.data) == (status, True, False)
    assert b'"error"' in raw.body


async def test_an_upstream_that_is_silent_too_long_is_given_up() -> None:
    async def story(wire: Wire) -> None:
        await wire.gone()

    raw = await answer(story, ask("/", LAST), idle_seconds=0.2)
    assert (raw.status, b"sent nothing for 0.2 seconds" in raw.body) == (504, True)


async def test_an_upstream_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.relay.passthrough.WRITE_SECONDS", 0.3)
    with deaf(b"") as upstream, serving(Passthrough(Origin.of(upstream))) as url:
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as client:
            await client.send(ask("/", "content-length: 1000000000", method="POST"))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood, client)
                with anyio.fail_after(10):
                    assert (await client.receive()).startswith(b"HTTP/1.1 504")
                tasks.cancel_scope.cancel()


async def test_an_early_answer_is_passed_on_though_the_body_is_not_read() -> None:
    async def story(wire: Wire) -> None:
        await wire.send(WHOLE.replace(b"200 OK", b"401 No"))
        await wire.reset() if wire.body == b"never" else None

    async with passing(story) as (url, _):
        raw = await talk(url, ask("/", LAST, "content-length: 5", method="POST", body=b"hello"))
    assert raw.status == 401


# TLS


async def test_an_upstream_may_have_tls(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificates
    body = ask("/", LAST, "content-length: 5", method="POST", body=b"hello")
    async with passing(says(WHOLE), tls=server, ssl_context=client) as (url, upstream):
        raw = await talk(url, body)
    assert (raw.status, raw.body, upstream.wires[0].body) == (200, b"hello", b"hello")


async def test_an_upstream_that_nobody_vouches_for_is_not_spoken_to(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with passing(says(WHOLE), tls=certificates[0]) as (url, upstream):
        raw = await talk(url, ask("/", LAST, "authorization: Bearer secret"))
    assert (raw.status, b"certificate verify failed" in raw.body, upstream.wires) == (502, True, [])


# Web pages


async def test_cors_headers_are_the_upstreams_own_unless_pages_are_named() -> None:
    head = b"HTTP/1.1 200 OK\r\naccess-control-allow-origin: https://upstream\r\ncontent-length: 0\r\n\r\n"
    own = await answer(says(head), ask("/", LAST, "origin: https://page"))
    ours = await answer(says(head), ask("/", LAST, "origin: https://page"), cors_origins="https://page")
    assert own.headers["access-control-allow-origin"] == "https://upstream"
    assert ours.headers["access-control-allow-origin"] == "https://page"
    assert ours.data.count(b"access-control-allow-origin") == 1


async def test_many_requests_use_few_connections() -> None:
    async def story(wire: Wire) -> None:
        while True:
            await wire.send(WHOLE)
            wire.head = b""
            await wire.read_request()

    async with passing(story) as (url, upstream):
        for _ in range(5):
            assert (await talk(url, ask("/", LAST))).status == 200
    assert len(upstream.wires) == 1


async def test_it_serves_in_process_too() -> None:
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async with serve(says(WHOLE)) as upstream:
        app = Passthrough(Origin.of(upstream.url))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c",
            "headers": [],
        }
        await app(scope, receive, send)  # type: ignore[arg-type]
        await app.aclose()
    assert upstream.wires[0].head.startswith(b"GET /a%20b?c HTTP/1.1")
    assert b"".join(each.get("body", b"") for each in sent) == b"hello"  # type: ignore[misc]
