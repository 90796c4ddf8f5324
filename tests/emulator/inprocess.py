"""Asking an emulator in process: an ASGI client that sees every write, and a clock that is moved by hand."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from streamfold.emulator import Emulator
from streamfold.sse import FrameDecoder

MKA1 = "/api/v1/llm"
OPENAI = "/v1"
BOTH = [MKA1, OPENAI]


class HandClock:
    """A clock that stands still until it is moved; or, if it jumps, is moved by whoever waits."""

    def __init__(self, *, jumps: bool = False) -> None:
        self.time = 1_700_000_000.0
        self.waits: list[float] = []
        self._jumps = jumps
        self._moved = anyio.Event()

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        self.waits.append(seconds)
        if self._jumps and seconds < 1e9:
            self.advance(seconds)
            await checkpoint()
            return
        until = self.time + seconds
        async with anyio.create_task_group() as tasks:
            if changed is not None:
                tasks.start_soon(self._end, changed, tasks.cancel_scope)
            while self.time < until:
                await self._moved.wait()
            tasks.cancel_scope.cancel()

    async def _end(self, changed: anyio.Event, scope: anyio.CancelScope) -> None:
        await changed.wait()
        scope.cancel()


@dataclass
class Answer:
    """What came of one request: every write of the body by itself."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    writes: list[bytes] = field(default_factory=list)
    is_complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.writes)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(frame.data) for frame in FrameDecoder().feed(self.body)]

    @property
    def types(self) -> list[str]:
        return [each["type"].removeprefix("response.") for each in self.events]

    @property
    def numbers(self) -> list[int]:
        return [each["sequence_number"] for each in self.events]

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


@dataclass
class Exchange:
    """A request under way. `leave()` is the client closing its connection."""

    answer: Answer
    headers: Mapping[str, str]
    left: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    wrote: anyio.Event = field(default_factory=anyio.Event)

    def leave(self) -> None:
        self.left.set()

    async def until(self, events: int) -> None:
        """Wait until so many writes have come."""
        while len(self.answer.writes) < events:
            self.wrote = anyio.Event()
            await self.wrote.wait()


def scope_of(method: str, target: str, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}


async def call(app: Emulator, method: str, target: str, body: Any, answer: Answer, **headers: str) -> None:
    """One request in this task, so that what the application raises arrives here."""
    await run(app, method, target, body, Exchange(answer, headers))


async def run(app: Emulator, method: str, target: str, body: Any, exchange: Exchange) -> None:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    told = {
        "authorization": "Bearer key",
        **{name.replace("_", "-"): value for name, value in exchange.headers.items()},
    }
    asked = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if message := next(asked, None):
            return message
        await exchange.left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await checkpoint()
        answer = exchange.answer
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if message["body"]:
            answer.writes.append(message["body"])
        answer.is_complete = not message["more_body"]
        exchange.wrote.set()

    await app(scope_of(method, target, told), receive, send)
    exchange.done.set()


@asynccontextmanager
async def begin(
    app: Emulator, method: str, target: str, body: Any = None, **headers: str
) -> AsyncGenerator[Exchange, None]:
    """A request under way. Leaving the block leaves the request."""
    exchange = Exchange(Answer(), headers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, app, method, target, body, exchange)
        yield exchange
        exchange.leave()
        await exchange.done.wait()


async def ask(app: Emulator, method: str, target: str, body: Any = None, **headers: str) -> Answer:
    """One request to its end."""
    async with begin(app, method, target, body, **headers) as exchange:
        await exchange.done.wait()
    return exchange.answer


async def create(app: Emulator, prefix: str = MKA1, **fields: Any) -> Answer:
    """A Response, asked for with these fields."""
    headers = {name: fields.pop(name) for name in list(fields) if name.startswith("x_")}
    return await ask(app, "POST", f"{prefix}/responses", {"model": "toy", "input": "Hello", **fields}, **headers)


async def start(app: Emulator, prefix: str = MKA1, **fields: Any) -> str:
    """The id of a Response in the background."""
    answer = await create(app, prefix, background=True, **fields)
    return answer.events[0]["response"]["id"] if fields.get("stream") else answer.json["id"]
