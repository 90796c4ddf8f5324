"""Many readers cancelled wherever they happen to be: what must not be left behind."""

import asyncio
import gc
import os
import random

import anyio
import pytest

from streamfold.client.conformance import FaultyServer, Wire, chunk, head, serve
from streamfold.client.transport.transport import Request, Transport

AT_ONCE = 20
how_many = pytest.mark.parametrize("readers", [100, pytest.param(1000, marks=pytest.mark.thorough)])


async def stream(wire: Wire) -> None:
    """A head, then events until the client hangs up."""
    await anyio.lowlevel.checkpoint()
    await wire.send(head())
    while True:
        await wire.send(chunk(b"data: {}\n\n" * 10))
        await anyio.lowlevel.checkpoint()


async def read_for_ever(transport: Transport, url: str) -> None:
    request = Request(method="GET", url=url, headers=(("accept", "text/event-stream"),))
    async with transport.open(request) as reply:
        async for _ in reply.chunks():
            pass


async def cancel_at_random(transport: Transport, *, server: FaultyServer, readers: int, seed: int = 7) -> None:
    """Start readers, AT_ONCE at a time, and cancel each after some turns of the loop."""
    draw = random.Random(seed)

    async def one(turns: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_for_ever, transport, server.url)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    for _ in range(readers // AT_ONCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(one, draw.randrange(60))


async def must_leave_nothing(transport: Transport, *, readers: int) -> None:
    """Cancel readers at random; then count sockets and tasks, and what the server still holds open."""
    async with serve(stream) as server:
        await settle()
        before = open_files(), running_tasks()
        await cancel_at_random(transport, server=server, readers=readers)
        await transport.aclose()
        with anyio.fail_after(10):
            for wire in server.wires:
                await wire.closed.wait()
        await settle()
        gc.collect()
        assert (open_files(), running_tasks()) == before
        assert len(server.wires) > readers // 10, "the readers must get as far as the server"


async def settle() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def running_tasks() -> int:
    """A group's own wait for its children is no task; trio's children are all in groups, or system tasks."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        import trio

        return trio.lowlevel.current_statistics().tasks_living
