"""Kill a relay with -9 at random moments, under load, and start it again: `make crash-relay KILLS=300`.

One relay on a SQLite log serves clients that each create a response, read it, and come back with their last number
whenever the connection breaks. What they read is compared with what the model says: nothing may be lost or come twice,
and a response may only end whole, or as `upstream_lost` where the upstream cannot resume. The upstream's own journal says
how many responses it was asked for. The exit status is 1 if anything was wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
from attrs import define, field
from msgspec.json import decode

from streamfold.emulator import Emulator, Options, emulate
from streamfold.serving import listen, url_of
from streamfold.sse import Frame, FrameDecoder

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 8
TOKENS_PER_SECOND = 400.0
LONGEST_SECONDS = 120.0  # for one answer, kills included
SERVER = """
import sys
from contextlib import asynccontextmanager
from streamfold.client import resolve_transport
from streamfold.log import SqliteLog
from streamfold.relay import HeldStreams, ProxyUpstream, RelayApp, RelayOptions
from streamfold.serving import AsgiServer, ConnectionLimits, listen

url, path, port, behind = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
transport, _ = resolve_transport(None)
streams = HeldStreams(SqliteLog(path), RelayOptions(max_behind=behind, lease_seconds=1.0))

@asynccontextmanager
async def running():
    async with streams.log, streams:
        yield

app = RelayApp(streams, ProxyUpstream(url, transport=transport))
AsgiServer(app, listen("127.0.0.1", port), running=running, limits=ConnectionLimits(), log="relay").run()
"""


@define
class Tally:
    """What came of it. answers: by how they ended. faults: what was wrong, in words."""

    kills: int = 0
    posts: int = 0
    comebacks: int = 0
    events: int = 0
    answers: Counter[str] = field(factory=Counter[str])
    faults: list[str] = field(factory=list[str])

    def __str__(self) -> str:
        ends = ", ".join(f"{count:,} {name}" for name, count in sorted(self.answers.items()))
        return (
            f"{self.kills:,} kills; {self.posts:,} POSTs, {self.comebacks:,} comebacks, {self.events:,} events read;"
            f" answers: {ends}; {len(self.faults)} faults"
        )


class Served:
    """A relay in a process of its own, killed and started again on one port."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *self._arguments], cwd=ROOT, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def free_port() -> Iterator[int]:
    listener = listen("127.0.0.1", 0)
    try:
        yield int(url_of(listener).rpartition(":")[2])
    finally:
        listener.close()


class Client:
    """Creates responses and reads each to its end, whatever happens to the relay."""

    def __init__(self, http: httpx.AsyncClient, tally: Tally, random: Random, *, name: str) -> None:
        self._http = http
        self._tally = tally
        self._random = random
        self._name = name

    async def run(self, is_over: anyio.Event) -> None:
        while not is_over.is_set():
            count = self._random.randrange(5, 120)
            is_background = self._random.random() < 0.7
            with anyio.move_on_after(LONGEST_SECONDS) as limit:
                await self._one(count, is_background=is_background)
            if limit.cancelled_caught:
                self._tally.faults.append(f"{self._name}: no end within {LONGEST_SECONDS:g} s")

    async def _one(self, count: int, *, is_background: bool) -> None:
        frames: list[Frame] = []
        body = {"model": "toy", "input": f"count to {count}", "stream": True, "background": is_background}
        while not frames:
            self._tally.posts += 1
            await self._read(frames, "POST", "/v1/responses", json=body)
        response_id = decode(frames[0].data)["response"]["id"]
        while not is_end(frames[-1]):
            self._tally.comebacks += 1
            headers = {"last-event-id": frames[-1].id.decode()}
            await self._read(frames, "GET", f"/v1/responses/{response_id}?stream=true", headers=headers)
        self._judge(frames, count, is_background=is_background)

    async def _read(self, frames: list[Frame], method: str, url: str, **how: Any) -> None:
        decoder = FrameDecoder()
        try:
            async with self._http.stream(method, url, **how) as answer:
                if answer.status_code != 200:
                    said = (await answer.aread())[:200]
                    if answer.status_code not in (502, 503):  # which ask to come again
                        self._tally.faults.append(f"{self._name}: {method} {url}: {answer.status_code} {said!r}")
                    await anyio.sleep(0.05)
                    return
                async for chunk in answer.aiter_bytes():
                    frames += decoder.feed(chunk)
        except httpx.TransportError:
            await anyio.sleep(0.02)
        else:
            if not (frames and is_end(frames[-1])):
                self._tally.faults.append(f"{self._name}: a clean end without a terminal event")

    def _judge(self, frames: list[Frame], count: int, *, is_background: bool) -> None:
        tally = self._tally
        tally.events += len(frames)
        numbers = [int(frame.id) for frame in frames]
        last = decode(frames[-1].data)
        status = last["type"].removeprefix("response.")
        is_lost = (last["response"].get("error") or {}).get("code") == "upstream_lost"
        tally.answers["upstream_lost" if is_lost else status] += 1
        if numbers != list(range(len(numbers))):
            tally.faults.append(f"{self._name}: the numbers are {numbers}")
        text = "".join(decode(frame.data).get("delta", "") for frame in frames if b'"delta"' in frame.data)
        whole = ", ".join(str(number) for number in range(1, count + 1))
        if status == "completed" and text != whole:
            tally.faults.append(f"{self._name}: completed with {text!r}")
        if status != "completed" and (is_background or not is_lost or not whole.startswith(text)):
            tally.faults.append(f"{self._name}: background={is_background} ended as {status}, lost={is_lost}: {text!r}")


def is_end(frame: Frame) -> bool:
    return frame.event in (b"response.completed", b"response.failed", b"response.incomplete", b"response.cancelled")


@asynccontextmanager
async def load(url: str, tally: Tally, seed: int) -> AsyncGenerator[None]:
    """Clients at work; the end waits until each has read its answer to the end."""
    is_over = anyio.Event()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=10.0, limits=limits) as http:
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                client = Client(http, tally, Random(seed * 1000 + number), name=f"client {number}")
                tasks.start_soon(client.run, is_over)
            yield
            is_over.set()


KEY = {"authorization": "Bearer the-key-of-somebody"}


async def run(kills: int, seed: int, behind: int) -> Tally:
    """Kill a relay this many times, and return what came of it."""
    tally, random = Tally(), Random(seed)
    emulator = Emulator(Options(tokens_per_second=TOKENS_PER_SECOND, cancels_on_disconnect=False))
    with tempfile.TemporaryDirectory() as folder:
        async with emulate(emulator) as upstream:
            with free_port() as port:
                pass
            served = Served([upstream, str(Path(folder, "relay.db")), str(port), str(behind)])
            served.start()
            try:
                async with load(f"http://127.0.0.1:{port}", tally, seed):
                    for _ in range(kills):
                        await anyio.sleep(random.uniform(1.2, 3.0))
                        served.kill()
                        tally.kills += 1
                        served.start()
            finally:
                served.kill()
    creates = emulator.journal.counters["creates"]
    if creates > tally.posts:
        tally.faults.append(f"{creates} creates for {tally.posts} POSTs")
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.relay.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--behind", type=int, default=0, help="how many events readers may get before they are logged")
    asked = parser.parse_args(arguments)
    tally = anyio.run(run, asked.kills, asked.seed, asked.behind)
    print(tally)
    for fault in tally.faults[:20]:
        print(f"  {fault}")
    return int(bool(tally.faults))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
