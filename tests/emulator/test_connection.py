"""Connections of clients that are slow, many, or do not read; and a server that is killed in the middle."""

import logging
import subprocess
import sys
from typing import Any

import anyio
import pytest

from streamfold.emulator import Emulator, Options, emulate
from tests.emulator.rawclient import Raw, ask, read, request

pytestmark = pytest.mark.anyio

PATH = "/v1/responses"
LONG = {"model": "toy", "input": "20000 tokens", "stream": True, "background": True}


async def open_one(url: str) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))


async def to_the_end(stream: anyio.abc.SocketStream) -> Raw:
    raw = Raw()
    with anyio.fail_after(20):
        while raw.end == "open":
            await read(stream, raw)
    return raw


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /v1/resp", id="half a line"),
        pytest.param(b"GET /v1/responses HTTP/1.1\r\nhost: a\r\n", id="half a head"),
        pytest.param(b"POST /v1/responses HTTP/1.1\r\nhost: a\r\nauthorization: Bearer k\r\ncontent-length: 9\r\n\r\n{", id="half a body"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /v1", id="half a second request"),
    ],
)  # fmt: skip
async def test_a_request_that_does_not_come_to_its_end_is_refused_in_time(sent: bytes) -> None:
    async with emulate(Options(request_seconds=0.2)) as url, await open_one(url) as stream:
        if sent:
            await stream.send(sent)
        raw = await to_the_end(stream)
    assert b"HTTP/1.1 408 Request Timeout" in raw.data
    assert b"did not arrive within 0.2 seconds" in raw.data


async def test_a_stream_outlasts_the_time_for_a_request() -> None:
    options = Options(request_seconds=0.1, unread_seconds=0.1, tokens_per_second=20, keepalive_seconds=0.05)
    async with emulate(options) as url:
        raw = await ask(url, "POST", PATH, {"model": "toy", "input": "8 tokens", "stream": True})
    assert raw.events[-1]["type"] == "response.completed"


async def test_a_client_that_reads_nothing_is_cut_and_holds_no_more_than_a_buffer() -> None:
    emulator = Emulator(Options(tokens_per_second=None, unread_seconds=0.3))
    async with emulate(emulator) as url, await open_one(url) as stream:
        await stream.send(request("POST", PATH, LONG))
        is_cut = await anyio.to_thread.run_sync(
            lambda: emulator.journal.wait_for(lambda it: it.counters["disconnects"] > 0, timeout_seconds=20)
        )
    assert is_cut
    [visit] = emulator.journal.visits
    assert (visit.ended, 0 < visit.events < 20_000) == ("disconnected", True)


async def test_one_connection_too_many_is_refused_and_the_others_are_served() -> None:
    async with emulate(Options(max_connections=2)) as url:
        async with await open_one(url) as first, await open_one(url) as second, await open_one(url) as third:
            refused = await to_the_end(third)
            for stream in (first, second):
                await stream.send(request("GET", "/healthz"))
                assert (await to_the_end(stream)).status == 200
    assert refused.status == 503
    assert b"2 connections are open" in refused.data


async def test_a_body_without_the_key_is_not_read_but_its_sender_gets_the_answer() -> None:
    emulator = Emulator(Options(key="right", max_body_bytes=2**20))
    async with emulate(emulator) as url, await open_one(url) as stream:
        await stream.send(request("POST", PATH, {"model": "m", "input": "a" * 100_000}))
        raw = await to_the_end(stream)
    assert raw.status == 401


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_dropped_connection_writes_no_warning(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """asyncio logs `socket.send() raised exception.` from the fifth write to a lost connection on."""
    emulator = Emulator(Options(tokens_per_second=None))
    with caplog.at_level(logging.WARNING, "asyncio"):
        async with emulate(emulator) as url:
            for _ in range(10):
                async with await open_one(url) as stream:
                    if how == "rst":
                        await stream.send(request("POST", PATH, {**LONG, "input": "3000 tokens"}))
                        await stream.receive(1)  # what is unread when it closes makes it a reset
                    else:
                        await ask(url, "POST", PATH, LONG, x_streamfold_fault="drop:after_events=3,where=chunk")
    assert [each.message for each in caplog.records] == []


SERVE = """
from streamfold.emulator import Options, serve
serve(Options(tokens_per_second=200), announce=lambda url: print(url, flush=True))
"""


async def test_a_server_that_is_killed_ends_every_connection() -> None:
    command: list[Any] = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            async with await open_one(url) as streaming, await open_one(url) as asking, await open_one(url) as idle:
                await streaming.send(request("POST", PATH, LONG))
                await asking.send(request("POST", PATH, LONG)[:-10])
                raw = Raw()
                while raw.data.count(b"event:") < 5:
                    await read(streaming, raw)
                process.kill()
                ends = [await to_the_end(each) for each in (streaming, asking, idle)]
        finally:
            process.kill()
    assert not ends[0].data.endswith(b"0\r\n\r\n")
    assert [each.data for each in ends[1:]] == [b"", b""]
