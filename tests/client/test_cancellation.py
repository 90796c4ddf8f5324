"""Tasks cancelled at any point: nothing is left behind, and the gateway is asked to cancel nothing.

Over real connections to the emulator, which notes who disconnected and who asked for a cancel.
"""

import gc
import random
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from streamfold.client import Gateway, Transport
from streamfold.client.follow.follow import OnExit
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.emulator import Emulator, Journal, Options, emulate
from streamfold.schema import OPENAI
from streamfold.session import Backoff, Patience
from tests.client.leaving import open_files, running_tasks
from tests.conftest import trio_is_thorough

pytestmark = pytest.mark.anyio

AT_ONCE = 25
MOST_TURNS = 120
SEED = 20261122
PATIENCE = Patience(backoff=Backoff(first_seconds=0.001), cancel_grace_seconds=0.0)

TRANSPORTS: dict[str, Callable[[], Transport]] = {"httpx": HttpxTransport, "direct": DirectTransport}
each_transport = pytest.mark.parametrize("name", TRANSPORTS)


async def read_events(here: Gateway, response_id: str, on_exit: OnExit) -> None:
    async with here.stream(model="toy", input="300 words", background=True, on_exit=on_exit) as response:
        async for _ in response:
            pass


async def read_states(here: Gateway, response_id: str, on_exit: OnExit) -> None:
    async with here.follow(response_id, starting_after=5, on_exit=on_exit) as response:
        async for _ in response.states(coalesced=True):
            pass


async def read_text(here: Gateway, response_id: str, on_exit: OnExit) -> None:
    async with here.follow(response_id, on_exit=on_exit) as response:
        async for _ in response.text(strict=False):
            pass


async def wait_twice(here: Gateway, response_id: str, on_exit: OnExit) -> None:
    async with here.follow(response_id, on_exit=on_exit) as response, anyio.create_task_group() as tasks:
        tasks.start_soon(response.outcome)
        await response.outcome()


WAYS = [read_events, read_states, read_text, wait_twice]


async def cancel_at_random(here: Gateway, response_id: str, *, tasks: int, on_exit: OnExit = "leave") -> None:
    """So many tasks, some at a time, each cancelled after some turns of the loop."""
    draw = random.Random(SEED)

    async def one(way: Callable[..., Any], turns: int) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(way, here, response_id, on_exit)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    for _ in range(tasks // AT_ONCE):
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(one, draw.choice(WAYS), draw.randrange(MOST_TURNS))


async def everybody_left(emulator: Emulator) -> None:
    """Wait until the emulator, in its own thread, has seen it."""

    def have_left() -> bool:
        def nobody(seen: Journal) -> bool:
            return all(visit.ended != "open" for visit in seen.visits)

        return emulator.journal.wait_for(nobody, timeout_seconds=20)

    assert await anyio.to_thread.run_sync(have_left)


async def run(name: str, *, tasks: int, on_exit: OnExit) -> Emulator:
    """Cancel so many tasks at random. Returns: the emulator that they followed responses of."""
    # What stands still in the middle costs nothing, and never ends by itself.
    emulator = Emulator(Options(tokens_per_second=None, hold_after_events=150, cancel="mka1"))
    before = open_files(), running_tasks()
    async with emulate(emulator) as url:
        transport = TRANSPORTS[name]()
        async with Gateway(url, api_key="key", dialect=OPENAI, http=transport, patience=PATIENCE) as here:
            async with here.stream(model="toy", input="300 words", background=True) as response:
                await anext(response)
            await cancel_at_random(here, str(response.id), tasks=tasks, on_exit=on_exit)
        await transport.aclose()
        await everybody_left(emulator)
    gc.collect()  # what nobody closed is warned of here, and a warning is an error
    # Its own sockets are of this process too, and are closed by now.
    left = max(0, open_files() - before[0]), running_tasks() - before[1]
    assert left == (0, 0), f"{left[0]} open files and {left[1]} tasks are left"
    return emulator


@each_transport
@pytest.mark.parametrize("tasks", [60, pytest.param(1000, marks=pytest.mark.thorough)])
async def test_tasks_cancelled_anywhere_leave_nothing_and_cancel_nothing(name: str, tasks: int) -> None:
    emulator = await run(name, tasks=tasks, on_exit="leave")
    counters = emulator.journal.counters
    assert counters["cancels"] == 0
    assert counters["disconnects"] > tasks // 10, "they must get as far as the gateway"
    assert {visit.ended for visit in emulator.journal.visits} <= {"disconnected", "complete"}


@trio_is_thorough
@each_transport
async def test_only_where_that_is_asked_is_what_was_left_cancelled(name: str) -> None:
    emulator = await run(name, tasks=50, on_exit="cancel")
    assert emulator.journal.counters["cancels"] > 0
