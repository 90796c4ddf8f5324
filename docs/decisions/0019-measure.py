"""Decision 0019, measured: what an event costs in a bare ASGI loop, in streamfold.serving and in starlette.

Run `python docs/decisions/0019-measure.py` with streamfold and starlette installed. `send` does nothing, the variants are
interleaved, and each figure is the median of 9 rounds. All yield once per 16 writes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from statistics import median
from time import process_time
from typing import Any

from starlette.responses import StreamingResponse

from streamfold.serving import AsgiWriter, ReadyEvents, StreamReply, SystemClock, deliver, until_disconnect

EVENTS, ROUNDS = 20_000, 9
BLOCK = b"event: response.output_text.delta\ndata: " + b"x" * 200 + b"\n\n"


async def receive() -> dict[str, Any]:
    await asyncio.sleep(3600)
    return {"type": "http.disconnect"}


async def send(_: Any) -> None:
    pass


async def bare() -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(EVENTS):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        if number % 16 == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Events:
    """So many events are ready whenever the writer asks."""

    def __init__(self, size: int) -> None:
        self.frames = (BLOCK,) * size

    def next_after(self, place: int, now: float) -> ReadyEvents | None:
        return ReadyEvents(self.frames, place + len(self.frames)) if place < EVENTS else None

    def wait(self, seconds: float) -> Awaitable[None]:
        raise AssertionError


async def serving(size: int = 1) -> None:
    clock = SystemClock()
    reply = StreamReply(events=Events(size), content_type="text/event-stream")

    async def work() -> None:
        await deliver(reply, AsgiWriter(send, clock), clock, heartbeat_seconds=2.0, headers=())

    await until_disconnect(receive, work, lambda: None)


async def serving_32_a_write() -> None:
    await serving(32)


async def blocks() -> AsyncIterator[bytes]:
    for number in range(EVENTS):
        yield BLOCK
        if number % 16 == 0:
            await asyncio.sleep(0)


async def starlette() -> None:
    response = StreamingResponse(blocks(), media_type="text/event-stream")
    await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)


def main() -> None:
    variants = [bare, serving, serving_32_a_write, starlette]
    spent: dict[str, list[float]] = {variant.__name__: [] for variant in variants}
    for _ in range(ROUNDS):
        for variant in variants:
            begun = process_time()
            asyncio.run(variant())
            spent[variant.__name__].append((process_time() - begun) / EVENTS * 1e6)
    for name, times in spent.items():
        print(f"{name:20} {median(times):5.2f} us an event")


if __name__ == "__main__":
    main()
