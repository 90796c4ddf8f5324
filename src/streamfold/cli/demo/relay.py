"""The demo's second act: clients in front of a relay, over a link that breaks, and while the relay is killed."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import Process
from msgspec.json import decode

from streamfold.cli.demo.link import open_link
from streamfold.cli.demo.page import DemoPage, none_or
from streamfold.sse import Frame, FrameDecoder

if TYPE_CHECKING:
    import httpx

    from streamfold.emulator import Emulator

CUT_AFTER = (15, 30, 45)  # events of the answer to each of the first requests
MOST_TRIES = 10
KEY = {"authorization": "Bearer demo"}
IDEMPOTENCY = {"idempotency-key": "one-answer"}
SHORT: dict[str, Any] = {"model": "toy", "input": "60 words", "stream": True}
LONG: dict[str, Any] = {"model": "toy", "input": "360 words", "stream": True, "background": True}
KILLED_AFTER = 60
"""How many events both readers have when the relay is killed."""

LEASE_SECONDS = 1.0  # how long a new relay waits for one that is dead
START_SECONDS = 30.0
RECONNECT_SECONDS = 0.1
COMPLETED = b"response.completed"
ENDS = (COMPLETED, b"response.failed", b"response.incomplete", b"response.cancelled", b"error")


class RelayProcess:
    """`streamfold relay` as a process of its own.

    Attributes:
        url: Where it serves, the same each time that it is started.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        self.url: str = ""
        self._upstream = upstream
        self._folder = folder
        self._errors = folder / "relay.errors"
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it. It serves once `serves` returns."""
        command = [sys.executable, "-m", "streamfold", "relay", "--upstream", self._upstream]
        command += ["--log", f"sqlite:{self._folder / 'relay.db'}", "--lease-seconds", f"{LEASE_SECONDS:g}"]
        command += ["--port", self.url.rpartition(":")[2] or "0"]
        # Its sockets for other processes are temporary files, which one that is killed does not remove.
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder))}
        with self._errors.open("wb") as file:
            self._process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=file, env=environment)

    async def serves(self) -> None:
        """Wait until it serves.

        Raises:
            RuntimeError: It ended instead.
            TimeoutError: It did neither.
        """
        said = b""
        with anyio.fail_after(START_SECONDS):
            while b"\n" not in said and self._process is not None and self._process.stdout is not None:
                try:
                    said += await self._process.stdout.receive()
                except anyio.EndOfStream:
                    reason = self._errors.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
                    raise RuntimeError(f"the relay did not start: {reason}") from None
        self.url = said.partition(b"\n")[0].decode()

    async def kill(self) -> None:
        """Kill it with -9, and return once it is dead."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with suppress(ProcessLookupError):
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


@asynccontextmanager
async def relay_process(upstream: str, folder: Path) -> AsyncGenerator[RelayProcess]:
    """A relay in front of this gateway, with its log in this folder: started, and dead at the end."""
    relay = RelayProcess(upstream, folder)
    try:
        await relay.start()
        yield relay
    finally:
        await relay.kill()


def client_of(url: str) -> "httpx.AsyncClient":
    """An HTTP client of a relay or a gateway."""
    import httpx

    return httpx.AsyncClient(base_url=url, headers=KEY, timeout=10.0)


# A client that sends its request again


async def show_retries(page: DemoPage, emulator: "Emulator", url: str, relay: RelayProcess) -> None:
    """Let a client send its request again after each cut, straight to the gateway and through the relay."""
    page.heading("3. Through the relay, a client that retries causes one answer")
    await retry(page, emulator, url, way="straight to the gateway", target=url, answers=len(CUT_AFTER) + 1)
    await relay.serves()
    await retry(page, emulator, url, way="through the relay", target=relay.url, answers=1)


async def retry(page: DemoPage, emulator: "Emulator", url: str, *, way: str, target: str, answers: int) -> None:
    """Check how many answers the gateway generates for one that a client gets over a link that is cut."""
    before = emulator.journal.counters["creates"]
    async with open_link(target, CUT_AFTER) as link, client_of(link.url) as http:
        frames, requests = await send_until_whole(http)
    created = emulator.journal.counters["creates"] - before
    is_whole = text_of(frames) == await truth_of(url, frames)
    page.check(
        f"{way}: cut off {link.cuts} times, {requests} requests, {created} answer{'s' * (created != 1)} generated"
        f"{'' if is_whole else ', and the text is not whole'}",
        holds=(requests, created, link.cuts) == (len(CUT_AFTER) + 1, answers, len(CUT_AFTER)) and is_whole,
    )


async def send_until_whole(http: "httpx.AsyncClient") -> tuple[list[Frame], int]:
    """Send one request until its answer ends. Returns the answer, and how many requests that took."""
    import httpx

    for requests in range(1, MOST_TRIES + 1):
        frames: list[Frame] = []
        with suppress(httpx.TransportError):
            await receive(http, frames, "POST", "/v1/responses", json=SHORT, headers=IDEMPOTENCY)
        if frames and frames[-1].event in ENDS:
            return frames, requests
    raise RuntimeError(f"no whole answer after {MOST_TRIES} requests")


async def receive(
    http: "httpx.AsyncClient",
    frames: list[Frame],
    method: str,
    path: str,
    *,
    on_growth: Callable[[], None] = lambda: None,
    **how: Any,
) -> None:
    """Append the frames of an answer as they arrive. An answer that is not a stream changes nothing."""
    decoder = FrameDecoder()
    async with http.stream(method, path, **how) as answer:
        if answer.status_code == 200:
            async for chunk in answer.aiter_bytes():
                frames += decoder.feed(chunk)
                on_growth()


def text_of(frames: list[Frame]) -> str:
    """The text that a reader has who joins the pieces."""
    return "".join(decode(frame.data)["delta"] for frame in frames if frame.event == b"response.output_text.delta")


def id_of(frames: list[Frame]) -> str:
    """The id of the response, which its first event carries."""
    response_id: str = decode(frames[0].data)["response"]["id"]
    return response_id


async def truth_of(url: str, frames: list[Frame]) -> str:
    """The text of the same response as the gateway has it."""
    async with client_of(url) as http:
        response = (await http.get(f"/v1/responses/{id_of(frames)}")).json()
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()) if "text" in part)


# Readers of a relay that is killed


class ReconnectingReader:
    """Reads one answer through the relay, and reconnects after its last event when the connection breaks.

    Attributes:
        frames: What it has received.
        reconnects: How often it connected again.
        has_begun, is_midway: Set when it has an event, and when it has as many as the demo waits for.
    """

    def __init__(self, url: str) -> None:
        self.frames: list[Frame] = []
        self.reconnects: int = 0
        self.has_begun: anyio.Event = anyio.Event()
        self.is_midway: anyio.Event = anyio.Event()
        self._url = url

    async def create(self) -> None:
        """Create the answer, and read it to its end."""
        await self._read("POST", "/v1/responses", json=LONG)

    async def join(self, response_id: str) -> None:
        """Read an answer that somebody else has created."""
        await self._read("GET", f"/v1/responses/{response_id}?stream=true")

    async def _read(self, method: str, path: str, **how: Any) -> None:
        await self._connect(method, path, **how)
        while not (self.frames and self.frames[-1].event in ENDS):
            if not self.frames:
                raise RuntimeError(f"no answer to {method} {path}")
            self.reconnects += 1
            await anyio.sleep(RECONNECT_SECONDS)
            last = {"last-event-id": self.frames[-1].id.decode()}
            await self._connect("GET", f"/v1/responses/{id_of(self.frames)}?stream=true", headers=last)

    async def _connect(self, method: str, path: str, **how: Any) -> None:
        import httpx

        with suppress(httpx.TransportError):
            async with client_of(self._url) as http:
                await receive(http, self.frames, method, path, on_growth=self._report, **how)

    def _report(self) -> None:
        if self.frames:
            self.has_begun.set()
        if len(self.frames) >= KILLED_AFTER:
            self.is_midway.set()

    def check(self, page: DemoPage, name: str, truth: str) -> None:
        """Check that it has every event once, and the whole text."""
        numbers = [int(frame.id or -1) for frame in self.frames]
        twice = len(numbers) - len(set(numbers))
        lost = max(numbers) + 1 - len(set(numbers))
        is_whole = text_of(self.frames) == truth and self.frames[-1].event == COMPLETED
        page.check(
            f"{name}: {len(numbers)} events, {none_or(lost)} lost, {none_or(twice)} twice,"
            f" the text is {'whole' if is_whole else 'not whole'}",
            holds=numbers == list(range(len(numbers))) and is_whole and self.reconnects > 0,
        )


async def show_kill(page: DemoPage, url: str, relay: RelayProcess) -> None:
    """Kill the relay while two readers read, start it again, and see that both end whole."""
    page.heading("4. The relay is killed in the middle, and its readers miss nothing")
    one, two = ReconnectingReader(relay.url), ReconnectingReader(relay.url)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.create)
        await one.has_begun.wait()
        tasks.start_soon(two.join, id_of(one.frames))
        await one.is_midway.wait()
        await two.is_midway.wait()
        await relay.kill()
        page.line(f"the relay is killed with -9: reader one has {len(one.frames)} events, reader two {len(two.frames)}")
        killed = monotonic()
        await relay.start()
        await relay.serves()
        page.line(f"it serves again after {monotonic() - killed:.1f} seconds, and the readers reconnect")
    truth = await truth_of(url, one.frames)
    one.check(page, "reader one", truth)
    two.check(page, "reader two", truth)
