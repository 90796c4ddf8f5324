"""The I/O of serving: read an ASGI request, write its answer, notice when the client disconnects.

The only module of this package that waits. One task writes and one watches for the disconnect, because a server reports
that to nobody who does not ask; neither outlives the request.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from streamfold.serving.reply import BodyReply, PendingReply, Problem, ServerReply, StreamReply
from streamfold.serving.writer import HEARTBEAT, StreamWriter, Turn, encode_frames, head_of
from streamfold.sse import Frame

__all__ = [
    "SLICE_BYTES",
    "WRITES_PER_CHECKPOINT",
    "AsgiWriter",
    "ByteBudget",
    "Clock",
    "LoopClock",
    "Message",
    "Receive",
    "SendMessage",
    "SystemClock",
    "deliver",
    "headers_of",
    "read_body",
    "refuse_websocket",
    "run_lifespan",
    "until_disconnect",
    "when_ready",
]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
SendMessage: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 64 * 2**20
# A server's `send` returns without yielding while its buffer is not full. A checkpoint costs 4 us, twice as much as the rest
# of an event (decision 0019), and one per 16 writes still lets a cancel or a disconnect in within 0.1 ms.
WRITES_PER_CHECKPOINT = 16
# What a client does not read stays in the server's buffer, so a long body is handed over in slices of this size.
SLICE_BYTES = 64 * 2**10


class Clock(Protocol):
    """Where a server gets the time from; a test passes a clock of its own and never sleeps."""

    def now(self) -> float:
        """Unix seconds; never less than before."""
        ...

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        """Return after so many seconds, or as soon as `changed` is set."""
        ...


class SystemClock:
    """The machine's clock: the date is read once and a monotonic time added, so that it never goes back."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        with anyio.move_on_after(seconds):
            if changed is None:
                await anyio.sleep(seconds)
            else:
                await changed.wait()


class LoopClock:
    """The event loop's clock, which no change of the date disturbs. Make one inside the loop."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = _loop_time()

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        with anyio.move_on_after(seconds):
            await (changed or anyio.Event()).wait()


def _loop_time() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time  # a tenth of what anyio takes to find it for each event
    except RuntimeError:
        return anyio.current_time


class ByteBudget:
    """How many bytes of bodies and long writes may be in memory at the same time, over all requests.

    Args:
        most: The limit. A single write that is longer waits until nothing else is held.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: int = 0
        self._given_back: anyio.Event | None = None  # made by the first who waits, on the event loop of the server

    def try_take(self, count: int) -> bool:
        """Take so many bytes if they are left."""
        if self.held + count > self.most:
            return False
        self.held += count
        return True

    async def take(self, count: int) -> None:
        """Wait until so many bytes are left, and take them."""
        while self.held and self.held + count > self.most:
            if self._given_back is None:
                self._given_back = anyio.Event()
            await self._given_back.wait()
        self.held += count

    def give_back(self, count: int) -> None:
        """Return what was taken."""
        self.held -= count
        if self._given_back is not None:
            self._given_back.set()
            self._given_back = None


class AsgiWriter:
    """Writes one answer. Subclass it to change what is written, as faults do: every byte goes through these methods."""

    def __init__(self, send: SendMessage, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self.last_write: float = clock.now()

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The head."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    # These two return the awaitable of what they call: each coroutine between an event and the server costs 0.2 us.
    def write_frames(self, frames: Sequence[Frame | bytes]) -> Awaitable[None]:
        """Events, in one write."""
        return self.write(encode_frames(frames))

    def write(self, data: bytes) -> Awaitable[None]:
        """Bytes of the body, in one write unless they are many."""
        self.last_write = self._clock.now()
        if len(data) <= SLICE_BYTES:
            return self._send({"type": "http.response.body", "body": data, "more_body": True})
        return self._write_slices(data)

    async def _write_slices(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_BYTES):
            part = data[start : start + SLICE_BYTES]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def finish(self) -> None:
        """The end, in order."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def deliver(
    reply: ServerReply,
    writer: AsgiWriter,
    clock: Clock,
    *,
    heartbeat_seconds: float,
    headers: Sequence[tuple[str, str]],
    is_head: bool = False,
) -> None:
    """Write a whole answer, from its head to its end.

    Args:
        reply: What to answer.
        writer: Where it goes.
        clock: What time it is; it also waits for a PendingReply.
        heartbeat_seconds: The longest silence of a stream; then a comment is sent.
        headers: Those that every answer has.
        is_head: Whether only the head was asked for, by HEAD.
    """
    reply = await when_ready(reply, clock)
    await writer.start(*head_of(reply, *headers))
    if is_head:
        pass
    elif isinstance(reply, BodyReply):
        await writer.write(reply.body)
    else:
        await _write_events(reply, writer, clock, heartbeat_seconds)
    await writer.finish()


async def when_ready(reply: ServerReply, clock: Clock) -> BodyReply | StreamReply:
    """The answer, once a PendingReply is ready."""
    if not isinstance(reply, PendingReply):
        return reply
    while not isinstance(ready := reply.poll(clock.now()), BodyReply):
        await reply.wait(ready)
    return ready


async def _write_events(reply: StreamReply, writer: AsgiWriter, clock: Clock, heartbeat_seconds: float) -> None:
    stream = StreamWriter(reply, heartbeat_seconds=heartbeat_seconds)
    writes = 0
    while (turn := stream.next(clock.now(), last_write=writer.last_write)) is not Turn.END:
        if isinstance(turn, (float, int)):
            await reply.events.wait(turn)
            writes = 0
        elif turn is Turn.BEAT:
            await writer.write(HEARTBEAT)
        else:
            await writer.write_frames(turn)
            writes += 1
            if writes % WRITES_PER_CHECKPOINT == 0:
                await checkpoint()


async def until_disconnect(
    receive: Receive, work: Callable[[], Awaitable[None]], on_disconnect: Callable[[], None]
) -> None:
    """Run the work to its end, or until the client disconnects. What the work raises is raised as it is.

    The work has a task of its own, and the caller's watches: each wake-up of a task passes through every coroutine that
    waits in it, and the caller's may be ten deep.
    """
    failures: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            try:
                await work()
            except Exception as error:  # raised below, where it is in no group
                failures.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(run)
        while (await receive())["type"] != "http.disconnect":
            pass
        on_disconnect()
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


async def run_lifespan(
    receive: Receive, send: SendMessage, running: Callable[[], AbstractAsyncContextManager[object]]
) -> None:
    """Serve a lifespan scope: `running()` is open between startup and shutdown."""
    await receive()
    async with running():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def refuse_websocket(scope: Message, receive: Receive, send: SendMessage, problem: BodyReply) -> None:
    """Answer a WebSocket scope with this reply, or close it if the server cannot send one."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
        return
    status, headers = head_of(problem)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": problem.body})


async def read_body(
    receive: Receive, *, max_bytes: int = MAX_BODY_BYTES, budget: ByteBudget | None = None
) -> bytes | Problem | None:
    """The whole body; a Problem if it is too long; None if the client disconnected before its end.

    Args:
        receive: The request's.
        max_bytes: The longest body.
        budget: What all bodies that are being read may take together; without any, there is no such limit. A body
            that is returned has been given back.
    """
    parts: list[bytes] = []
    length = 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            if length + len(part) > max_bytes:
                said = f"The request body is longer than {max_bytes} bytes."
                return Problem(413, said, code="request_too_large")
            if budget is not None and not budget.try_take(len(part)):
                said = f"The requests that are being read hold {budget.most} bytes, the most that they may; try again."
                return Problem(503, said, code="server_busy", type="server_error")
            length += len(part)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
    finally:
        if budget is not None:
            budget.give_back(length)


def headers_of(scope: Message) -> dict[str, str]:
    """The request's headers, names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
