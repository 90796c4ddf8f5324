"""One clock for both event loops, and one task for a deadline however often it moves (on trio's clock, which jumps)."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
import trio.testing

from streamfold.client.transport.timing import DeadlineTimer, current_clock

Told = list[float]


def at(script: Callable[[DeadlineTimer, Told], Awaitable[None]]) -> Told:
    """When it told, by the clock's seconds, in the course of a script that begins at 0."""
    told: Told = []

    async def main() -> None:
        began = trio.current_time()

        def clock() -> float:
            return trio.current_time() - began

        async with anyio.create_task_group() as tasks:
            keeper = DeadlineTimer(tasks, clock=clock, wake=lambda: told.append(round(clock(), 3)))
            await script(keeper, told)
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return told


def test_it_tells_when_the_time_has_come_and_once() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        keeper.schedule(10.0)
        await trio.sleep(100)

    assert at(script) == [10.0]


def test_a_time_can_be_brought_forward_and_put_off() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        keeper.schedule(10.0)
        await trio.sleep(1)
        keeper.schedule(3.0)
        await trio.sleep(1)
        keeper.schedule(50.0)
        await trio.sleep(100)

    assert at(script) == [50.0]


def test_nothing_is_told_once_there_is_nothing_to_wait_for() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        keeper.schedule(10.0)
        keeper.schedule(None)
        await trio.sleep(100)

    assert at(script) == []


def test_the_same_time_again_changes_nothing_and_a_time_gone_by_is_told_at_once() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        for _ in range(3):
            keeper.schedule(10.0)
        await trio.sleep(20)
        keeper.schedule(5.0)
        await trio.sleep(1)

    assert at(script) == [10.0, 20.0]


def test_a_new_time_after_the_last_was_told_is_told_too() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        for when in (1.0, 3.0, 5.0):
            keeper.schedule(when)
            await trio.sleep(2.0)

    assert at(script) == [1.0, 3.0, 5.0]


def test_it_costs_no_task_until_it_is_given_a_time() -> None:
    async def script(keeper: DeadlineTimer, told: Told) -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        keeper.schedule(None)
        assert trio.lowlevel.current_statistics().tasks_living == before
        keeper.schedule(1.0)
        assert trio.lowlevel.current_statistics().tasks_living == before + 1

    assert at(script) == []


@pytest.mark.anyio
async def test_it_is_the_clock_of_the_running_loop() -> None:
    clock = current_clock()
    before = anyio.current_time()
    assert before <= clock() <= anyio.current_time()


def test_trios_mock_clock_counts() -> None:
    async def main() -> float:
        clock = current_clock()
        before = clock()
        await trio.sleep(1000)
        return clock() - before

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == 1000
