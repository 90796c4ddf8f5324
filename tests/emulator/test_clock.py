"""The machine's clock: it never goes back, and a wait ends early when something changes."""

import time

import anyio
import pytest

from streamfold.emulator import SystemClock

pytestmark = pytest.mark.anyio


def test_it_tells_the_time_of_day_and_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 1


async def test_a_wait_ends_when_its_time_is_over() -> None:
    await SystemClock().wait(0)
    await SystemClock().wait(0, anyio.Event())


async def test_a_wait_ends_at_once_when_something_changes() -> None:
    changed = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SystemClock().wait, float("inf"), changed)
            changed.set()
