"""httpx and httpx2 keep the contract, over TCP and TLS, given or made; and what only they promise."""

import gc
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from streamfold.client.conformance import CHECKS, Wire, check, chunk, head, serve
from streamfold.client.transport.httpx import HttpxReply, HttpxTransport, innermost
from streamfold.client.transport.transport import Request
from streamfold.errors import Disconnected, UsageError
from tests.client.conftest import Certificates
from tests.client.leaving import how_many, must_leave_nothing
from tests.conftest import trio_is_thorough

pytestmark = pytest.mark.anyio
libraries = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])

EVENT = b"data: {}\n\n"
OK = head(connection="close") + chunk(EVENT) + chunk(b"")


@pytest.fixture(scope="module", autouse=True)
def little_to_collect() -> None:
    """Leave what the tests before have kept alive out of each of the collections below."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize(
    ("library", "anyio_backend"),
    [
        pytest.param(httpx2, "asyncio", id="httpx2-asyncio"),
        pytest.param(httpx2, "trio", id="httpx2-trio", marks=pytest.mark.thorough),
        pytest.param(httpx, "asyncio", id="httpx-asyncio", marks=pytest.mark.thorough),
        pytest.param(httpx, "trio", id="httpx-trio"),
    ],
)
@pytest.mark.parametrize("name", CHECKS)
async def test_it_keeps_the_contract(name: str, library: ModuleType) -> None:
    async with library.AsyncClient() as client:
        await check(HttpxTransport(client), name)
    gc.collect()  # a generator that was left open is reported here


@trio_is_thorough
@pytest.mark.parametrize("name", CHECKS)
async def test_the_client_made_here_keeps_the_contract_over_tls(name: str, certificates: Certificates) -> None:
    transport = HttpxTransport(ssl_context=certificates.client)
    try:
        await check(transport, name, tls=certificates.server)
    finally:
        await transport.aclose()


@libraries
@how_many
async def test_readers_cancelled_at_random_leave_nothing(library: ModuleType, readers: int) -> None:
    async with library.AsyncClient(limits=library.Limits(max_connections=None)) as client:
        await must_leave_nothing(HttpxTransport(client), readers=readers)


async def test_a_client_that_was_passed_in_stays_open() -> None:
    async with httpx2.AsyncClient() as client:
        await HttpxTransport(client).aclose()
        assert not client.is_closed


async def test_a_client_that_was_made_here_is_closed_and_is_httpx2() -> None:
    transport = HttpxTransport()
    made: Any = transport._client
    await transport.aclose()
    assert isinstance(made, httpx2.AsyncClient)
    assert made.is_closed


async def test_httpx_is_taken_where_httpx2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.client.transport.httpx.find_spec", lambda name: None)
    transport = HttpxTransport()
    await transport.aclose()
    assert isinstance(transport._client, httpx.AsyncClient)


async def test_more_streams_are_open_at_once_than_a_pool_holds() -> None:
    transport = HttpxTransport()
    opened = 0

    async def hold(url: str, enough: anyio.Event) -> None:
        nonlocal opened
        async with transport.open(get(url)):
            opened += 1
            if opened == 120:
                enough.set()
            await enough.wait()

    enough = anyio.Event()
    async with serve(stay) as server:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(120):
                    tasks.start_soon(hold, server.url, enough)
    await transport.aclose()
    assert opened == 120


async def test_a_tls_context_for_a_client_of_ones_own_is_refused(certificates: Certificates) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(UsageError):
            HttpxTransport(client, ssl_context=certificates.client)


@libraries
async def test_a_client_that_follows_redirects_does_not_here(library: ModuleType) -> None:
    async with library.AsyncClient(follow_redirects=True, timeout=0.001) as client:
        await check(HttpxTransport(client), "5: a redirect is a reply, and is not followed")


@libraries
async def test_a_stream_is_asked_for_with_no_store_and_anything_else_as_it_is(library: ModuleType) -> None:
    async with library.AsyncClient() as client, serve(answer) as server:
        for accept in ("text/event-stream", "application/json"):
            async with HttpxTransport(client).open(get(server.url, accept=accept)) as reply:
                assert [part async for part in reply.chunks()] == [EVENT]
    stream, plain = (wire.head.lower() for wire in server.wires)
    assert b"accept: text/event-stream\r\n" in stream
    assert b"cache-control: no-store" in stream
    assert b"accept: application/json" in plain
    assert b"cache-control" not in plain
    assert b"accept-encoding: identity" in plain


@libraries
async def test_a_reply_without_a_socket_can_be_aborted_too(library: ModuleType) -> None:
    class Silent(library.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield EVENT
            await anyio.sleep_forever()

    def respond(request: Any) -> Any:
        return library.Response(200, stream=Silent())

    got: list[bytes] = []
    async with (
        library.AsyncClient(transport=library.MockTransport(respond)) as client,
        anyio.create_task_group() as group,
        HttpxTransport(client).open(get("http://nowhere.invalid/")) as reply,
    ):

        async def read() -> None:
            with pytest.raises(Disconnected):
                async for part in reply.chunks():
                    got.append(part)

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await reply.abort()
    assert got == [EVENT]


@libraries
async def test_the_body_is_read_where_nothing_but_http_stands_below(library: ModuleType) -> None:
    async with serve(answer) as server, library.AsyncClient() as client, client.stream("GET", server.url) as response:
        below = innermost(response.stream)
        assert type(below).__name__ == "HTTP11ConnectionByteStream"
        assert [part async for part in below] == [EVENT]


def test_a_stream_that_is_not_known_by_name_is_read_itself() -> None:
    class Stream:
        def __init__(self, inner: object) -> None:
            self._stream = inner

    class BoundAsyncStream(Stream):
        pass

    unknown = Stream(b"not looked at")
    assert innermost(unknown) is unknown
    assert innermost(BoundAsyncStream(unknown)) is unknown
    assert innermost(changed := object.__new__(BoundAsyncStream)) is changed


@libraries
async def test_a_reply_without_a_socket_that_is_left_in_the_middle_leaves_no_generator(library: ModuleType) -> None:
    class Endless(library.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await anyio.lowlevel.checkpoint()
                yield EVENT

    def respond(request: Any) -> Any:
        return library.Response(200, stream=Endless())

    async with library.AsyncClient(transport=library.MockTransport(respond)) as client:
        async with HttpxTransport(client).open(get("http://nowhere.invalid/")) as reply:
            assert await anext(reply.chunks()) == EVENT
    gc.collect()  # a generator that is left is warned of here, and a warning is an error


@libraries
async def test_a_reply_that_is_aborted_after_its_end_harms_no_other(library: ModuleType) -> None:
    async def answer_and_stay(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="2") + b"{}")
        await wire.gone()

    async with serve(answer_and_stay) as server, library.AsyncClient() as client:
        for _ in range(2):
            async with HttpxTransport(client).open(get(server.url)) as reply:
                chunks = reply.chunks()
                assert await anext(chunks) == b"{}"
                with pytest.raises(StopAsyncIteration):
                    await anext(chunks)
                await reply.abort()


@libraries
async def test_an_abort_after_a_reset_harms_no_other_request_either(library: ModuleType) -> None:
    async def answer_and_reset(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="2") + b"{}")
        await was_read.wait()
        await wire.reset()

    async with serve(answer_and_reset) as server, library.AsyncClient() as client:
        for _ in range(2):
            was_read = anyio.Event()
            async with HttpxTransport(client).open(get(server.url)) as reply:
                assert [part async for part in reply.chunks()] == [b"{}"]
                was_read.set()
                await server.wires[-1].closed.wait()
                await reply.abort()


@pytest.mark.parametrize("refusal", [TypeError("no such method"), NotImplementedError(), AttributeError("shutdown")])
async def test_a_socket_that_cannot_be_shut_down_is_closed(refusal: Exception) -> None:
    class Socket:
        is_closed = False

        def get_extra_info(self, name: str) -> "Socket":
            return self

        def shutdown(self, how: int) -> None:
            raise refusal

        async def aclose(self) -> None:
            self.is_closed = True

    sock = Socket()
    response = httpx.Response(200, extensions={"http_version": b"HTTP/1.1", "network_stream": sock})
    await HttpxReply(response).abort()
    assert sock.is_closed


async def test_a_reply_is_read_once() -> None:
    transport = HttpxTransport()
    async with serve(answer) as server, transport.open(get(server.url)) as reply:
        reply.chunks()
        with pytest.raises(UsageError):
            reply.chunks()
    await transport.aclose()


async def test_a_mistake_that_is_no_failure_of_the_connection_stays_what_it_is() -> None:
    async def hook(request: httpx.Request) -> None:
        raise LookupError("mine")

    async with httpx.AsyncClient(event_hooks={"request": [hook]}) as client:
        with pytest.raises(LookupError, match="mine"):
            async with HttpxTransport(client).open(get("http://127.0.0.1/")):
                pass


@libraries
async def test_a_client_that_was_closed_is_a_mistake_of_the_caller(library: ModuleType) -> None:
    async with library.AsyncClient() as client:
        pass
    with pytest.raises(UsageError, match="the HTTP client is closed"):
        async with HttpxTransport(client).open(get("http://127.0.0.1/")):
            pass


async def answer(wire: Wire) -> None:
    await wire.send(OK)
    await wire.gone()


async def stay(wire: Wire) -> None:
    await wire.send(head())
    await wire.gone()


def get(url: str, *, accept: str = "text/event-stream") -> Request:
    return Request(method="GET", url=url, headers=(("accept", accept),))
