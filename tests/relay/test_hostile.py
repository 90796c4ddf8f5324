"""A relay under attack: by its upstream, by its clients, by sheer size. It stays alive, and other streams are unharmed."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from streamfold.client.conformance.site import Story, Wire, chunk, head, serve
from streamfold.emulator import Emulator, Options, emulate
from tests.attack.emulator_requests import run, scenarios
from tests.attack.stories import KEY, WHOLE
from tests.attack.upstreams import scenarios as upstreams
from tests.emulator.rawclient import Raw, ask, read
from tests.emulator.test_hostile_requests import largest_memory

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

MEBIBYTE = 2**20
SERVE = """
import json, logging, sys
from streamfold.log import MemoryLog
from streamfold.relay import RelayOptions, RelayServer, ServerOptions, serve_relay
from streamfold.session import Backoff, Patience

logging.basicConfig(level=logging.DEBUG)
for library in ("httpx", "httpx2", "httpcore", "httpcore2"):  # they log URLs, and an id may be the key
    logging.getLogger(library).setLevel(logging.WARNING)
patience = None if sys.argv[4] == "patient" else Patience(
    backoff=Backoff(first_seconds=0.01, max_seconds=0.05, max_retry_after_seconds=0.1), max_attempts=2,
    total_seconds=8.0, stalled_seconds=4.0, idle_seconds=2.0, poll_seconds=0.05, gap_seconds=0.05,
    cancel_grace_seconds=0.1, cancel_seconds=0.5, window_bytes=2**20, max_frame_bytes=2**20, max_body_bytes=2**22,
)
relay = RelayServer(
    sys.argv[1], MemoryLog(), patience=patience, options=RelayOptions(**json.loads(sys.argv[2])),
    limits=ServerOptions(**{"drain_seconds": 0.1, "upstream_idle_seconds": 1.0, **json.loads(sys.argv[3])}),
)
serve_relay(relay, announce=lambda url: print(url, flush=True))
"""


NEVER_SAID = ("Traceback", "failed inside", "never awaited", KEY)


class Attacked:
    """A relay in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.url = url
        self.before = largest_memory(process.pid)
        self._process = process

    @property
    def grown(self) -> int:
        """How much memory it took more than at its start, in bytes."""
        return largest_memory(self._process.pid) - self.before

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@asynccontextmanager
async def attacked(
    upstream: str, *, patience: str = "patient", limits: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[Attacked]:
    """A relay; at the end it must be alive, and have logged no key and no fault of its own."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        SERVE,
        upstream,
        json.dumps(options),
        json.dumps(limits or {}),
        patience,
    ]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=-1, stderr=errors, text=True) as process:
            assert process.stdout is not None
            try:
                url = await anyio.to_thread.run_sync(process.stdout.readline)
                relay = Attacked(process, url.strip())
                yield relay
                assert (await ask(relay.url, "GET", "/healthz")).status == 200
                process.terminate()
                assert process.wait(20) == 0
            finally:
                process.kill()
        errors.seek(0)
        said = errors.read().splitlines()
    assert [line for line in said if any(word in line for word in NEVER_SAID)] == []


# Upstreams


CLIENTS: dict[str, Callable[[str], bytes]] = {
    "passed on": lambda path: f"GET {path}/v1/files HTTP/1.1\r\n".encode(),
    "held": lambda path: f"POST {path}/v1/responses HTTP/1.1\r\n".encode(),
    "WebSocket": lambda path: (
        f"GET {path}/v1/realtime HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n".encode()
    ),
}
BODY = b'{"model":"m","input":"x","stream":true}'
MOST_READ = 2 * MEBIBYTE
MOST_SECONDS = 2.0
HEAD = re.compile(
    rb"HTTP/1\.1 [1-5]\d\d [^\x00-\x1f\x7f]*\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*\r\n"
)


async def attack(relay: Attacked, path: str, kind: str) -> str:
    """What is wrong with what a client got; empty if nothing is."""
    raw = Raw()
    request = CLIENTS[kind](path) + f"host: a\r\nauthorization: Bearer {KEY}\r\n".encode()
    if kind == "held":
        request += b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    else:
        request += b"\r\n"
    with anyio.move_on_after(MOST_SECONDS):
        async with await anyio.connect_tcp("127.0.0.1", relay.port) as stream:
            await stream.send(request)
            while raw.end == "open" and len(raw.data) < MOST_READ:
                await read(stream, raw)
    if kind == "WebSocket" and b" 101 " in raw.data[:20]:
        return ""
    if raw.data and not HEAD.match(raw.data):
        return f"{path} {kind}: a head that is not valid: {raw.data[:200]!r}"
    return f"{path} {kind}: closed without an answer" if raw.end != "open" and not raw.data else ""


async def patient(wire: Wire) -> None:
    """A good stream that takes its time."""
    await wire.send(head())
    for event in WHOLE.split(b"\n\n")[:-1]:
        await anyio.sleep(0.2)
        await wire.send(chunk(event + b"\n\n"))
    await wire.send(chunk(b""))


ALL = list(upstreams().items())


def dispatch(stories: dict[str, Story]) -> Story:
    async def story(wire: Wire) -> None:
        path = wire.head.split(b" ")[1].decode()
        await stories[path.partition("/v1/")[0]](wire)

    return story


@pytest.mark.parametrize(
    "every", [pytest.param(90, id="a sample"), pytest.param(1, id="all", marks=pytest.mark.thorough)]
)
@pytest.mark.timeout(600)
async def test_a_hostile_upstream_is_bounded_and_harms_no_other_stream(every: int) -> None:
    stories = {f"/{place}": story for place, (_, story) in enumerate(ALL) if place % every == 0}
    waiting = [(path, kind) for path in stories for kind in CLIENTS]
    problems: list[str] = []
    good: list[Raw] = []

    async with (
        serve(dispatch({**stories, "/good": patient})) as upstream,
        attacked(upstream.url, patience="hasty") as relay,
    ):

        async def work() -> None:
            while waiting:
                path, kind = waiting.pop()
                if problem := await attack(relay, path, kind):
                    problems.append(f"{ALL[int(path[1:])][0]}: {problem}")

        async def read_good() -> None:
            asked = {"model": "m", "input": "x", "stream": True}
            good.append(await ask(relay.url, "POST", "/good/v1/responses", asked))

        async with anyio.create_task_group() as tasks:
            for _ in range(16):
                tasks.start_soon(work)
            tasks.start_soon(read_good)
        grown = relay.grown
    assert problems == []
    assert [event["type"] for event in good[0].events][-1] == "response.completed"
    assert grown < 256 * MEBIBYTE


# Clients

# An answer that comes before the end of the body: a relay reads it only then, and the upstream may have hung up by now.
NOT_THE_SAME = {
    "bytes: a body without the key",
    "bytes: an endless body without the key",
    "bytes: an expectation without the key",
    "bytes: a body that is too long",
    "bytes: chunks that are too long",
}
LIMITS = {"request_seconds": 2.0, "unread_seconds": 2.0, "upstream_idle_seconds": 20.0}
EMULATOR = Options(key="key", tokens_per_second=None, max_body_bytes=MEBIBYTE, max_answer_tokens=10_000)


@pytest.mark.parametrize(
    "every", [pytest.param(16, id="a sample"), pytest.param(1, id="all", marks=pytest.mark.thorough)]
)
@pytest.mark.timeout(600)
async def test_hostile_requests_are_answered_through_a_relay_as_without_it(every: int) -> None:
    chosen = [each for each in scenarios() if each.name not in NOT_THE_SAME][::every]
    async with emulate(Emulator(EMULATOR)) as upstream, attacked(upstream, limits=LIMITS) as relay:
        verdicts = await run(relay.url, chosen)
        grown = relay.grown
    assert [(each.scenario.name, each.problem) for each in verdicts if each.problem] == []
    assert grown < 256 * MEBIBYTE


async def test_bodies_of_100_mb_take_no_memory() -> None:
    received = 0

    async def story(wire: Wire) -> None:
        nonlocal received
        received, last = len(wire.body), wire.body
        while not last.endswith(b"0\r\n\r\n"):
            last = last[-4:] + await wire._stream.receive()
            received += len(last) - 4
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (100 * MEBIBYTE))
        for _ in range(100):
            await wire.send(bytes(MEBIBYTE))

    async with serve(story) as upstream, attacked(upstream.url) as relay:
        async with await anyio.connect_tcp("127.0.0.1", relay.port) as client:
            await client.send(b"POST /v1/files HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(1600):
                await client.send(chunk(bytes(65536)))
            await client.send(chunk(b""))
            length = 0
            while length < 100 * MEBIBYTE:
                length += len(await client.receive())
        grown = relay.grown
    assert received >= 100 * MEBIBYTE
    assert grown < 32 * MEBIBYTE


async def test_slow_writers_and_readers_are_cut_while_streams_are_served() -> None:
    limits = {"request_seconds": 0.5, "unread_seconds": 0.5, "max_connections": 60}
    begun = [
        b"",
        b"GET /v1",
        b"GET / HTTP/1.1\r\nhost: a\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{",
    ]
    asked = {"model": "toy", "input": "20 tokens", "stream": True}
    async with emulate(Options(tokens_per_second=100)) as upstream, attacked(upstream, limits=limits) as relay:

        async def loiter(sent: bytes) -> None:
            raw = Raw()
            async with await anyio.connect_tcp("127.0.0.1", relay.port) as client:
                if sent:
                    await client.send(sent)
                with anyio.fail_after(20):
                    while raw.end == "open":
                        await read(client, raw)

        async with anyio.create_task_group() as tasks:
            for place in range(48):
                tasks.start_soon(loiter, begun[place % len(begun)])
            raws = [await ask(relay.url, "POST", "/v1/responses", asked) for _ in range(3)]
    assert [raw.events[-1]["type"] for raw in raws] == ["response.completed"] * 3


ODD_IDS = [
    "..",
    ".",
    "%2e%2e",
    "a%0d%0ax:y",
    "a%00b",
    "%ff%fe",
    "a" * 5000,
    "..%2f..%2fhealthz",
    "resp_1%3fstream=true",
    "%5c",
]


@pytest.mark.parametrize(
    "query", ["", "?stream=true", "?stream=true&starting_after=-1", "?stream=true&starting_after=9e9"]
)
async def test_odd_ids_reach_nothing_else_and_no_log(query: str) -> None:
    async with emulate(Emulator(Options(tokens_per_second=None))) as upstream, attacked(upstream) as relay:
        raws = [await ask(relay.url, "GET", f"/v1/responses/{id}{query}") for id in ODD_IDS]
    assert {raw.status for raw in raws} <= {400, 404, 422}
    assert all(HEAD.match(raw.data) for raw in raws)
