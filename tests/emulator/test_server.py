"""The server: in a thread beside the caller, quick to begin, gone when it ends; and in the caller's place."""

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint

from streamfold.emulator import Emulator, Options, emulate, serve
from tests.emulator.rawclient import Raw, ask, read, request

pytestmark = pytest.mark.anyio

PATH = "/api/v1/llm/responses"
ASKED = {"model": "toy", "input": "Hello", "stream": True}


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def test_it_is_there_as_soon_as_the_url_is_and_soon_gone() -> None:
    took: list[float] = []
    for _ in range(3):
        begun = time.monotonic()
        async with emulate(Options(tokens_per_second=None)) as url:
            assert (await ask(url, "GET", PATH)).status == 200
        took.append(time.monotonic() - begun)
    assert min(took) < 0.5  # of three, for a busy machine is no fault of ours


async def test_when_it_ends_thread_and_socket_are_gone() -> None:
    async with emulate() as url:
        assert "streamfold-emulator" in [thread.name for thread in threading.enumerate()]
    assert "streamfold-emulator" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(OSError, match=r".*"):
        await anyio.connect_tcp("127.0.0.1", port_of(url))


async def test_it_ends_at_once_although_streams_are_open() -> None:
    emulator = Emulator(Options(tokens_per_second=0.01))
    raw = Raw()
    async with emulate(emulator) as url:
        stream = await anyio.connect_tcp("127.0.0.1", port_of(url))
        await stream.send(request("POST", PATH, ASKED))
        while raw.data.count(b"event:") < 2:
            await read(stream, raw)
        begun = time.monotonic()
    assert time.monotonic() - begun < 0.9  # nothing waits for the stream, which would take a second
    async with stream:
        while raw.end == "open":
            await read(stream, raw)
    assert not raw.is_complete


async def test_it_ends_when_nobody_ever_came() -> None:
    async with emulate():
        pass


async def test_it_ends_although_the_caller_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        async with emulate() as url:
            raise ZeroDivisionError
    with pytest.raises(OSError, match=r".*"):
        await anyio.connect_tcp("127.0.0.1", port_of(url))


async def test_many_may_run_side_by_side() -> None:
    urls: list[str] = []

    async def one(seed: int) -> None:
        async with emulate(Options(tokens_per_second=None, seed=seed)) as url:
            urls.append(url)
            assert json.loads((await ask(url, "POST", PATH, {"model": "toy", "input": "Hi"})).body)["object"]

    async with anyio.create_task_group() as tasks:
        for seed in range(10):
            tasks.start_soon(one, seed)
    assert len(set(urls)) == 10


async def test_it_may_be_started_again_on_its_port_and_knows_what_it_knew() -> None:
    emulator = Emulator(Options(tokens_per_second=None))
    async with emulate(emulator) as url:
        made = json.loads((await ask(url, "POST", PATH, {"model": "toy", "input": "Hi"})).body)
    async with emulate(emulator, port=port_of(url)) as again:
        found = json.loads((await ask(again, "GET", f"{PATH}/{made['id']}")).body)
    assert (again, found) == (url, made)


async def test_a_client_that_leaves_is_noticed() -> None:
    emulator = Emulator(Options(tokens_per_second=0.01))
    raw = Raw()
    async with emulate(emulator) as url:
        async with await anyio.connect_tcp("127.0.0.1", port_of(url)) as stream:
            await stream.send(request("POST", PATH, ASKED))
            while raw.data.count(b"event:") < 2:
                await read(stream, raw)
        with anyio.fail_after(1):
            while not emulator.journal.counters["disconnects"]:
                await checkpoint()
    assert emulator.journal.visits[0].ended == "disconnected"


async def test_silence_is_broken_on_the_real_clock_too() -> None:
    async with emulate(Options(tokens_per_second=0.01, keepalive_seconds=0.01)) as url:
        raw = Raw()
        async with await anyio.connect_tcp("127.0.0.1", port_of(url)) as stream:
            await stream.send(request("POST", PATH, ASKED))
            with anyio.fail_after(2):
                while raw.data.count(b":\n") < 3:
                    await read(stream, raw)


async def test_a_cancel_reaches_a_stream_that_waits() -> None:
    async with emulate(Options(tokens_per_second=0.001)) as url:
        raw = Raw()
        async with await anyio.connect_tcp("127.0.0.1", port_of(url)) as stream:
            await stream.send(request("POST", PATH, {**ASKED, "background": True}))
            while raw.data.count(b"event:") < 3:
                await read(stream, raw)
            begun = time.monotonic()
            await ask(url, "POST", f"{PATH}/{raw.events[0]['response']['id']}/cancel")
            while raw.end == "open" and not raw.is_complete:
                await read(stream, raw)
    assert raw.events[-1]["type"] == "response.cancelled"
    assert time.monotonic() - begun < 1


async def test_a_connection_serves_one_request_after_the_other() -> None:
    raw = Raw()
    async with (
        emulate(Options(tokens_per_second=None)) as url,
        await anyio.connect_tcp("127.0.0.1", port_of(url)) as stream,
    ):
        for count in (1, 2):
            await stream.send(request("GET", PATH, connection="keep-alive"))
            while raw.data.count(b'"has_more"') < count:
                await read(stream, raw)


async def test_what_is_no_http_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    raw = Raw()
    async with emulate() as url, await anyio.connect_tcp("127.0.0.1", port_of(url)) as stream:
        await stream.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        while raw.end == "open":
            await read(stream, raw)
    assert raw.status == 400
    assert capfd.readouterr() == ("", "")


async def test_the_loggers_of_uvicorn_stay_as_they_were() -> None:
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(each.handlers, each.level, each.propagate) for each in loggers]
    async with emulate() as url:
        await ask(url, "GET", PATH)
    assert [(each.handlers, each.level, each.propagate) for each in loggers] == before


def test_it_runs_in_a_plain_with_block_too() -> None:
    emulator = Emulator(Options(tokens_per_second=None))
    with emulate(emulator) as url, httpx.Client(base_url=url, headers={"authorization": "Bearer any"}) as client:
        answer = client.post("/v1/responses", json={"model": "toy", "input": "echo: hello"})
    assert answer.json()["output"][0]["content"][0]["text"] == "hello"
    assert "streamfold-emulator" not in [thread.name for thread in threading.enumerate()]
    with emulate(emulator) as url, httpx.Client(base_url=url, headers={"authorization": "Bearer any"}) as client:
        assert client.get(f"/v1/responses/{answer.json()['id']}").status_code == 200


# A parent that ignores SIGINT, such as `nohup make test &`, hands that on: the child takes its own handler back.
SERVE = """
import signal
from streamfold.emulator import Options, serve
signal.signal(signal.SIGINT, signal.default_int_handler)
serve(Options(), announce=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_may_take_the_callers_place_until_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-W", "error", "-c", SERVE], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            with socket.create_connection(("127.0.0.1", port_of(url)), timeout=5) as client:
                client.sendall(request("POST", PATH, {**ASKED, "input": "a long story"}))
                assert client.recv(100).startswith(b"HTTP/1.1 200")
                process.send_signal(number)
                out, err = process.communicate(timeout=10)
        finally:
            process.kill()  # Popen would wait for it without a bound
    assert (out, err, process.returncode) == ("ended\n", "", 0)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match=r".*"):
        serve(port=taken.getsockname()[1])
