"""A followed response may be left early, by any task, or not at all: its caller is never cancelled, and nothing stays open."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any

import anyio
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamfold.client import FollowedResponse, Gateway
from streamfold.errors import Disconnected, UsageError
from streamfold.session import OutcomeStatus
from tests.client.follow.test_follow import CUT, WHOLE, by_call, gateway
from tests.client.leaving import running_tasks
from tests.client.stub import Stub, Told, forever, said, stream
from tests.session.made import RESPONSE_ID, body

pytestmark = pytest.mark.anyio


def running() -> tuple[Gateway, Stub]:
    """A gateway whose response brings three events, and then stands still."""
    return gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled"))))


async def events(here: Gateway, **how: Any) -> AsyncIterator[int | None]:
    async with here.stream(model="toy", input="hi", background=True, **how) as response:
        async for event in response:
            yield event.sequence_number


async def settle() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def not_cancelled() -> None:
    """Wait like any task would: a scope that was left open would cancel it."""
    with anyio.fail_after(5):
        await settle()


async def test_a_generator_that_is_closed_early_leaves_the_response() -> None:
    here, stub = running()
    async with aclosing(events(here)) as numbers:
        async for number in numbers:
            if number == 1:
                break
    assert stub.is_open == 0
    await not_cancelled()


async def test_a_generator_may_be_closed_by_another_task() -> None:
    here, stub = running()
    numbers = events(here)
    assert await anext(numbers) == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(numbers.aclose)
    assert stub.is_open == 0
    await not_cancelled()


async def test_a_generator_that_is_dropped_is_closed_by_the_garbage_collector() -> None:
    here, stub = running()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # trio warns of every generator that is dropped
        numbers = events(here)
        assert await anext(numbers) == 0
        del numbers
        gc.collect()
        await not_cancelled()
    await settle()
    assert stub.is_open == 0


async def test_a_generator_that_is_dropped_in_a_cancelled_task_is_closed_too() -> None:
    here, stub = running()

    async def read() -> None:
        async for _ in events(here):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        gc.collect()
        await not_cancelled()
    assert stub.is_open == 0


async def test_a_response_that_is_dropped_without_being_left_ends_its_tasks() -> None:
    here, stub = running()
    before = running_tasks()

    async def drop() -> None:
        response = await here.stream(model="toy", input="hi").__aenter__()
        await anext(response)
        assert stub.is_open == 1

    await drop()
    gc.collect()
    await settle()
    assert (stub.is_open, running_tasks()) == (0, before)


async def test_one_task_enters_another_reads_and_a_third_leaves() -> None:
    here, stub = running()
    stack, found = AsyncExitStack(), list[FollowedResponse]()

    async def enter() -> None:
        found.append(await stack.enter_async_context(here.stream(model="toy", input="hi")))

    async def read() -> None:
        assert (await anext(found[0])).sequence_number == 0

    for step in (enter, read, stack.aclose):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)
    assert stub.is_open == 0
    await not_cancelled()


async def test_a_reader_that_waits_ends_when_another_task_leaves() -> None:
    here, stub = running()
    stack, seen = AsyncExitStack(), list[int | None]()
    response = await stack.enter_async_context(here.stream(model="toy", input="hi"))

    async def read() -> None:
        seen.extend([event.sequence_number async for event in response])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await stack.aclose()
    assert (seen, stub.is_open) == ([0, 1, 2], 0)
    assert (await response.outcome()).status is OutcomeStatus.ABANDONED


async def test_two_responses_are_left_in_the_order_in_which_they_were_entered() -> None:
    here, stub = running()
    first, second = events(here), events(here)
    assert [await anext(first), await anext(second)] == [0, 0]
    await first.aclose()
    assert await anext(second) == 1
    await second.aclose()
    assert stub.is_open == 0
    await not_cancelled()


async def test_leaving_inside_a_scope_that_was_entered_later_cancels_nothing() -> None:
    here, stub = running()
    numbers = events(here)
    assert await anext(numbers) == 0
    with anyio.CancelScope() as scope:
        await numbers.aclose()
        await not_cancelled()
    assert (stub.is_open, scope.cancelled_caught) == (0, False)


async def test_a_generator_that_is_closed_early_cancels_the_response_if_that_was_asked() -> None:
    here, stub = running()
    async with aclosing(events(here, on_exit="cancel")) as numbers:
        await anext(numbers)
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel"]


async def test_an_error_of_on_repair_in_a_task_is_raised_by_the_next_read() -> None:
    def fail(repair: object) -> None:
        raise LookupError("mine")

    refused = Told(opening=Disconnected("gone"))
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=refused, retrieve=said(body("in_progress"))))
    with pytest.raises(LookupError, match="mine"):
        async with here.stream(model="toy", input="hi", on_repair=fail) as response:
            await response.outcome()
    await not_cancelled()
    assert stub.is_open == 0


async def test_a_batch_may_be_left_by_another_task() -> None:
    here, _ = gateway(lambda request: Told(opening=forever()))
    stack = AsyncExitStack()
    await stack.enter_async_context(here.batches.follow("batch_1"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stack.aclose)
    await not_cancelled()


async def test_who_waits_for_a_batch_learns_that_another_task_left_it() -> None:
    here, _ = gateway(lambda request: Told(opening=forever()))
    stack = AsyncExitStack()
    batch = await stack.enter_async_context(here.batches.follow("batch_1"))
    raised: list[str] = []

    async def wait() -> None:
        with pytest.raises(UsageError, match="the block has ended"):
            await batch.outcome()
        raised.append("raised")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await stack.aclose()
    assert raised == ["raised"]


# Under a web framework


def app_of(here: Gateway, left: list[str]) -> Starlette:
    async def pieces() -> AsyncIterator[str]:
        try:
            async for number in events(here):
                yield f"{number}\n"
        finally:
            left.append("left")

    async def endpoint(request: WebRequest) -> StreamingResponse:
        return StreamingResponse(pieces())

    return Starlette(routes=[Route("/", endpoint)])


@pytest.mark.parametrize("spec_version", ["2.0", "2.4"])
async def test_a_browser_that_disconnects_leaves_the_response(spec_version: str) -> None:
    here, stub = running()
    left: list[str] = []
    has_read = anyio.Event()

    async def receive() -> dict[str, Any]:
        await has_read.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("body") == b"2\n":
            has_read.set()
            if spec_version == "2.4":  # a server of this version raises when the browser has gone
                raise OSError("gone")
        await anyio.lowlevel.checkpoint()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with suppress(Exception):  # ClientDisconnect, which the server ignores
            await app_of(here, left)(scope, receive, send)
        gc.collect()
        await not_cancelled()
        await settle()
    assert (stub.is_open, left) == (0, ["left"])


# At the end of the event loop


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_generator_that_is_still_open_when_the_loop_ends_is_closed(backend: str) -> None:
    here, stub = running()
    numbers = events(here)

    async def main() -> None:
        assert await anext(numbers) == 0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(main()) if backend == "asyncio" else trio.run(main)
    assert stub.is_open == 0


async def test_an_error_of_on_repair_loses_no_event_and_stops_no_repair() -> None:
    """A caller that catches it reads on, though the next connection waits for a back-off."""

    def fail(repair: object) -> None:
        raise LookupError("mine")

    streams = iter([Told(opening=Disconnected("gone")), Told(opening=Disconnected("gone")), stream(*WHOLE[3:])])
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=lambda: next(streams)))
    got: list[int | None] = []
    caught = 0
    async with here.stream(model="toy", input="hi", background=True, on_repair=fail) as response:
        with anyio.fail_after(5):
            while not response.has_ended:
                try:
                    async for event in response:
                        got.append(event.sequence_number)
                except LookupError:
                    caught += 1
        outcome = await response.outcome()
    assert got == list(range(len(WHOLE)))
    assert outcome.status is OutcomeStatus.COMPLETED
    assert caught > 0
    assert stub.is_open == 0


async def test_a_task_that_crashed_is_never_waited_for_again() -> None:
    """A transport that makes a mistake, such as a closed client: asking again raises the same error."""
    wrong = Told(opening=LookupError("mine"))
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=wrong))
    async with here.stream(model="toy", input="hi", background=True) as response:
        with anyio.fail_after(5):
            for _ in range(2):
                with pytest.raises(LookupError, match="mine"):
                    await response.outcome()
    assert stub.is_open == 0


# Reading after the block


@pytest.mark.parametrize("how", ["__aiter__", "states", "text"])
async def test_reading_that_begins_after_the_block_was_left_early_is_refused(how: str) -> None:
    here, _ = running()
    async with here.stream(model="toy", input="hi") as response:
        await anext(response)
    with pytest.raises(UsageError, match=r"the block of this response has ended: .*follow it again from its cursor"):
        getattr(response, how)()


async def test_what_had_arrived_of_an_ended_response_can_be_read_after_the_block() -> None:
    here, _ = gateway(by_call(create=stream(b"".join(WHOLE))))
    async with here.stream(model="toy", input="hi") as response:
        async for _ in response:
            break
    assert [event.sequence_number async for event in response] == [1, 2, 3, 4]


async def test_reading_may_begin_again_inside_the_block() -> None:
    here, _ = gateway(by_call(create=stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        async for _ in response:
            break
        assert [event.sequence_number async for event in response] == [1, 2, 3, 4]
