"""One clock for both event loops, and one task for a deadline however often it moves (on trio's clock, which jumps)."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import anyio
import pytest
import trio
import trio.testing

from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.timing import DeadlineTimer, call_later, current_clock, spawn
from streamfold.client.transport.transport import Request
from streamfold.errors import IdleTimeout

Told = list[float]


def at(script: Callable[[DeadlineTimer, Told], Awaitable[None]]) -> Told:
    """When it told, by the clock's seconds, in the course of a script that begins at 0."""
    told: Told = []

    async def main() -> None:
        began = trio.current_time()

        def clock() -> float:
            return trio.current_time() - began

        timer = DeadlineTimer(clock=clock, wake=lambda: told.append(round(clock(), 3)))
        await script(timer, told)
        timer.stop()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return told


def test_it_tells_when_the_time_has_come_and_once() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        timer.schedule(10.0)
        await trio.sleep(100)

    assert at(script) == [10.0]


def test_a_time_can_be_brought_forward_and_put_off() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        timer.schedule(10.0)
        await trio.sleep(1)
        timer.schedule(3.0)
        await trio.sleep(1)
        timer.schedule(50.0)
        await trio.sleep(100)

    assert at(script) == [50.0]


def test_nothing_is_told_once_there_is_nothing_to_wait_for() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        timer.schedule(10.0)
        timer.schedule(inf)
        await trio.sleep(100)

    assert at(script) == []


def test_the_same_time_again_changes_nothing_and_a_time_gone_by_is_told_at_once() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        for _ in range(3):
            timer.schedule(10.0)
        await trio.sleep(20)
        timer.schedule(5.0)
        await trio.sleep(1)

    assert at(script) == [10.0, 20.0]


def test_a_new_time_after_the_last_was_told_is_told_too() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        for when in (1.0, 3.0, 5.0):
            timer.schedule(when)
            await trio.sleep(2.0)

    assert at(script) == [1.0, 3.0, 5.0]


def test_it_costs_no_task_until_it_is_given_a_time() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        timer.schedule(inf)
        assert trio.lowlevel.current_statistics().tasks_living == before
        timer.schedule(1.0)
        assert trio.lowlevel.current_statistics().tasks_living == before + 1

    assert at(script) == []


def test_a_deadline_that_moves_away_sets_no_new_timer() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        timer.schedule(10.0)
        await trio.sleep(1)
        before = trio.lowlevel.current_statistics().tasks_living
        for when in range(11, 50):
            timer.schedule(float(when))
        assert trio.lowlevel.current_statistics().tasks_living == before
        await trio.sleep(100)

    assert at(script) == [49.0]


def test_a_timer_that_is_stopped_wakes_nobody() -> None:
    async def script(timer: DeadlineTimer, told: Told) -> None:
        timer.schedule(10.0)
        timer.stop()
        await trio.sleep(100)

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


# Under plain asyncio.run, where anyio knows the event loop by the current task alone


def test_a_timers_callback_may_set_another_timer_and_spawn_a_task() -> None:
    async def main() -> list[str]:
        seen, over = list[str](), asyncio.Event()

        async def task() -> None:
            seen.append("task")
            over.set()

        def first() -> None:
            seen.append("first")
            call_later(0.0, second)

        def second() -> None:
            seen.append("second")
            spawn(task)

        call_later(0.0, first)
        await over.wait()
        return seen

    assert asyncio.run(main()) == ["first", "second", "task"]


def test_an_idle_timer_ends_a_direct_read() -> None:
    async def main() -> None:
        async def say_nothing(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                await anyio.sleep_forever()

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, say_nothing)
            request = Request(method="GET", url=f"http://127.0.0.1:{port}/", idle_timeout_seconds=0.05)
            with anyio.fail_after(5), pytest.raises(IdleTimeout):
                async with DirectTransport().open(request) as reply:
                    await anext(reply.chunks())
            tasks.cancel_scope.cancel()
        await listener.aclose()

    asyncio.run(main())
