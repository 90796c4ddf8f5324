"""The direct transport keeps the contract, over TCP and TLS; and what only it promises."""

import tracemalloc
from contextlib import AsyncExitStack

import anyio
import pytest

from streamfold.client.conformance import CHECKS, Wire, check, chunk, head, serve
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.transport import Request
from streamfold.errors import ConnectFailed, Disconnected, InvalidArgument, ProtocolViolation, UsageError
from tests.client.conftest import Certificates
from tests.client.leaving import how_many, must_leave_nothing
from tests.conftest import trio_is_thorough

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", CHECKS)
async def test_it_keeps_the_contract(name: str) -> None:
    await check(DirectTransport(), name)


@trio_is_thorough
@pytest.mark.parametrize("name", CHECKS)
async def test_it_keeps_the_contract_over_tls(name: str, certificates: Certificates) -> None:
    await check(DirectTransport(ssl_context=certificates.client), name, tls=certificates.server)


@how_many
async def test_readers_cancelled_at_random_leave_nothing(readers: int) -> None:
    await must_leave_nothing(DirectTransport(), readers=readers)


async def test_a_certificate_that_nobody_trusts_is_a_failed_connection(certificates: Certificates) -> None:
    async with serve(stay, tls=certificates.server) as server:
        with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await get(server.url)


async def test_a_server_that_does_not_answer_the_handshake_is_a_failed_connection() -> None:
    async with serve(stay) as server:
        url = server.url.replace("http", "https")
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.1 seconds"):
            await get(url, connect_timeout_seconds=0.1)


async def test_a_mistake_that_is_no_failure_of_the_connection_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mistake(*where: object) -> None:
        raise LookupError("a mistake")

    monkeypatch.setattr(anyio, "connect_tcp", mistake)
    with pytest.raises(LookupError, match="a mistake"):
        await get("http://127.0.0.1/")


@pytest.mark.parametrize("host", ["nowhere.invalid", "nowhere" * 10 + ".invalid"], ids=["no address", "no name"])
async def test_a_host_that_has_no_address_is_a_failed_connection(host: str) -> None:
    with pytest.raises(ConnectFailed, match="nowhere"):
        await get(f"http://{host}/")


async def test_an_answer_given_before_the_request_was_read_counts() -> None:
    async def refuse(wire: Wire) -> None:
        await wire.send(head("413 Content Too Large", transfer_encoding="", content_length="2") + b"{}")
        await wire.gone()

    async with serve(refuse) as server:
        request = Request(method="POST", url=server.url, body=b"x" * 100)
        async with DirectTransport().open(request) as reply:
            assert (reply.status, [part async for part in reply.chunks()]) == (413, [b"{}"])


async def test_what_came_before_a_broken_chunk_is_read_before_the_failure() -> None:
    async def break_it(wire: Wire) -> None:
        await wire.send(head() + chunk(b"one") + chunk(b"two") + b"zzz\r\n" + chunk(b"three"))
        await wire.gone()

    got: list[bytes] = []
    async with serve(break_it) as server, DirectTransport().open(Request(method="GET", url=server.url)) as reply:
        with pytest.raises(ProtocolViolation):
            async for part in reply.chunks():
                got.append(part)
    assert got == [b"onetwo"]


async def test_a_head_without_end_is_refused() -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await wire.send(b"x-more: " + b"x" * 60_000 + b"\r\n")

    async with serve(talk) as server:
        with pytest.raises(ProtocolViolation, match="bytes arrived outside of a body"):
            await get(server.url)


async def test_a_change_of_protocol_is_refused() -> None:
    async def upgrade(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
        await wire.gone()

    async with serve(upgrade) as server:
        with pytest.raises(ProtocolViolation, match="another protocol"):
            await get(server.url)


async def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    async def brotli(wire: Wire) -> None:
        await wire.send(head(content_encoding="br") + chunk(b"?"))
        await wire.gone()

    async with serve(brotli) as server:
        with pytest.raises(ProtocolViolation, match="'br'"):
            await get(server.url)


async def test_a_reply_is_read_once() -> None:
    async with serve(stay_after_head) as server, DirectTransport().open(Request(method="GET", url=server.url)) as reply:
        reply.chunks()
        with pytest.raises(UsageError):
            reply.chunks()


async def test_leaving_while_another_task_reads_ends_that_read() -> None:
    failures: list[Exception] = []

    async with (
        serve(stay_after_head) as server,
        anyio.create_task_group() as tasks,
        DirectTransport().open(Request(method="GET", url=server.url)) as reply,
    ):

        async def read() -> None:
            try:
                async for _ in reply.chunks():
                    pass
            except Disconnected as error:
                failures.append(error)

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
    assert len(failures) == 1


async def test_in_a_burst_what_comes_soon_after_a_read_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(head())
        for asked, parts in steps:
            await asked.wait()
            for part in parts:
                await wire.send(chunk(part))
        sent.set()
        await wire.gone()

    monkeypatch.setattr("streamfold.client.transport.direct.GATHER_SECONDS", 1.0)
    steps = [(anyio.Event(), parts) for parts in ([b"first"], [b"second"], [b"a", b"b", b"c"])]
    sent = anyio.Event()
    async with serve(talk) as server, DirectTransport().open(Request(method="GET", url=server.url)) as reply:
        chunks = reply.chunks()
        began = anyio.current_time()
        for (asked, _), expected in zip(steps, (b"first", b"second"), strict=False):
            asked.set()
            assert await anext(chunks) == expected
        assert anyio.current_time() - began < 1.0, "what comes after silence is read at once"
        steps[2][0].set()
        await sent.wait()
        assert await anext(chunks) == b"abc"
        assert anyio.current_time() - began >= 1.0


async def test_a_url_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidArgument):
        await get("ftp://127.0.0.1/")


async def test_an_open_reply_takes_little_memory() -> None:
    count = 50
    async with serve(stay_after_head) as server, AsyncExitStack() as stack:
        transport = DirectTransport()
        await stack.enter_async_context(transport.open(Request(method="GET", url=server.url)))
        tracemalloc.start()
        try:
            for _ in range(count):
                await stack.enter_async_context(transport.open(Request(method="GET", url=server.url)))
            each = sum(held_by_the_client(tracemalloc.take_snapshot())) / count
        finally:
            tracemalloc.stop()
    assert each < 16 * 1024


def held_by_the_client(snapshot: tracemalloc.Snapshot) -> list[int]:
    ours = tracemalloc.Filter(True, "*/streamfold/client/*")
    others = tracemalloc.Filter(False, "*/conformance/*")
    return [each.size for each in snapshot.filter_traces((ours, others)).statistics("lineno")]


async def stay(wire: Wire) -> None:
    await wire.gone()


async def stay_after_head(wire: Wire) -> None:
    await wire.send(head())
    await wire.gone()


async def get(url: str, *, connect_timeout_seconds: float = 5.0) -> bytes:
    request = Request(method="GET", url=url, connect_timeout_seconds=connect_timeout_seconds)
    async with DirectTransport().open(request) as reply:
        return b"".join([part async for part in reply.chunks()])
