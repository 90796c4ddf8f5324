"""A response that another process records: its events come from the log live, and the lease is taken over when it lapses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from streamfold import State, snapshot_json
from streamfold.client import FollowedResponse, record
from streamfold.errors import LogUnusable, UnknownStream
from streamfold.log import EventLog, Lease, MemoryLog, Record, SqliteLog, StreamKey
from streamfold.session import CancelResult, OutcomeStatus, Proof, RepairKind
from tests.client.follow.test_follow import QUICK, WHOLE, by_call, gateway, in_turn
from tests.client.follow.test_record import data_of, kinds, numbers
from tests.client.stub import Stub, Told, forever, said, stream
from tests.session.made import RESPONSE_ID, body, delta, ended

pytestmark = pytest.mark.anyio

KEY = StreamKey("", RESPONSE_ID)
MORE = [*WHOLE[:4], *(delta(number, "!") for number in range(4, 30)), ended(30, text="Hello" + "!" * 26)]
SHORT = 0.3  # seconds of a lease that a dead process leaves behind


@pytest.fixture(params=["memory", "sqlite"])
async def logs(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[list[EventLog]]:
    """Two handles of one log, as two processes have them."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            log = await stack.enter_async_context(MemoryLog())
            yield [log, log]
        else:
            path = tmp_path / "log.db"
            yield [await stack.enter_async_context(SqliteLog(path)) for _ in range(2)]


def writer(log: EventLog, *parts: Any, **how: Any) -> FollowedResponse:
    """The process that creates the response, and records it."""
    here, _ = gateway(by_call(create=stream(*parts)))
    return record(here.stream(model="toy", input="hi", background=True), log, **how)


def joiner(log: EventLog, *answers: Told, state: State | None = None, **how: Any) -> tuple[FollowedResponse, Stub]:
    """Another process, which follows it from its first event."""
    here, stub = gateway(in_turn(*answers))
    return record(here.follow(RESPONSE_ID, state=state or State()), log, **how), stub


async def all_numbers(response: FollowedResponse) -> list[int | None]:
    return [event.sequence_number async for event in response]


async def died(log: EventLog, count: int) -> None:
    """A process that wrote so many events, and will never renew its lease."""
    lease = await log.acquire(KEY, owner="dead", seconds=SHORT)
    chunks = data_of(*WHOLE[:count])
    await log.append(lease, [Record(number, "event", data) for number, data in enumerate(chunks)])


async def test_a_live_writer_is_read_live_and_to_its_end(logs: list[EventLog]) -> None:
    gates = [anyio.Event() for _ in MORE]
    parts = [part for pair in zip(gates, MORE, strict=True) for part in pair]
    gates[0].set()
    got: list[int | None] = []
    async with writer(logs[0], *parts) as first:
        await anext(first)
        second, stub = joiner(logs[1])
        async with second, anyio.create_task_group() as tasks:

            async def read() -> None:
                async for event in second:
                    got.append(event.sequence_number)
                    came[len(got)].set()

            came = [anyio.Event() for _ in range(len(gates) + 1)]
            tasks.start_soon(read)
            with anyio.fail_after(10):
                for place, gate in enumerate(gates[1:], 1):
                    await came[place].wait()  # live: it has what the writer has before the next event is sent
                    gate.set()
                    await anext(first)
            outcome_of_first = await first.outcome()
        outcome = await second.outcome()
    assert got == list(range(31))
    assert (outcome.status, outcome.proof) == (OutcomeStatus.COMPLETED, Proof.TERMINAL_EVENT)
    assert snapshot_json(outcome.state) == snapshot_json(outcome_of_first.state)
    assert (outcome.repairs, stub.asked) == ((), [])


async def test_a_writer_that_died_is_succeeded_when_its_lease_lapses(logs: list[EventLog]) -> None:
    await died(logs[0], 3)
    response, stub = joiner(logs[1], stream(*WHOLE[3:]))
    with anyio.fail_after(10):
        async with response:
            assert [(await anext(response)).sequence_number for _ in range(3)] == [0, 1, 2]
            assert stub.asked == [], "what the log has comes at once"
            assert await all_numbers(response) == [3, 4]
            outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.COMPLETED
    assert [(repair.kind, repair.after) for repair in outcome.repairs] == [(RepairKind.RESUME, 2)]
    assert stub.asked == [f"GET /{RESPONSE_ID} stream after 2"]
    assert [each.data for each in await logs[0].read(KEY)] == data_of(*WHOLE)
    info = await logs[0].require(KEY)
    assert (info.status, info.owner) == ("completed", "")


async def test_a_writer_that_leaves_is_succeeded_at_once(logs: list[EventLog]) -> None:
    response, stub = joiner(logs[1], stream(*WHOLE[3:]))
    got: list[int | None] = []
    with anyio.fail_after(5):
        async with AsyncExitStack() as outside:
            first = await outside.enter_async_context(writer(logs[0], *WHOLE[:3], forever(), lease_seconds=600))
            await anext(first)
            async with response, anyio.create_task_group() as tasks:

                async def read() -> None:
                    got.extend(await all_numbers(response))

                tasks.start_soon(read)
                for _ in range(2):
                    await anext(first)
                await outside.aclose()
    assert got == [0, 1, 2, 3, 4]
    assert await numbers(logs[0]) == [0, 1, 2, 3, 4]
    assert stub.asked == [f"GET /{RESPONSE_ID} stream after 2"]


async def test_of_two_that_wait_one_takes_over_and_the_other_reads_on(logs: list[EventLog]) -> None:
    await died(logs[0], 2)
    answered = [stream(*WHOLE[2:]), stream(*WHOLE[2:])]
    first, asked = joiner(logs[0], answered[0])
    second, asked_too = joiner(logs[1], answered[1])
    found: list[list[int | None]] = []
    with anyio.fail_after(10):
        async with first, second, anyio.create_task_group() as tasks:

            async def read(response: FollowedResponse) -> None:
                found.append(await all_numbers(response))

            tasks.start_soon(read, first)
            tasks.start_soon(read, second)
    assert found == [[0, 1, 2, 3, 4]] * 2
    assert len(asked.asked) + len(asked_too.asked) == 1, "one of them asks the gateway"
    assert [each.data for each in await logs[0].read(KEY)] == data_of(*WHOLE)


async def test_a_reader_that_joins_late_has_no_gap_and_no_duplicate(logs: list[EventLog]) -> None:
    async with writer(logs[0], *MORE[:20], forever()) as first:
        for _ in range(20):
            await anext(first)
        response, _ = joiner(logs[1], state=State())
        async with response:
            assert [(await anext(response)).sequence_number for _ in range(20)] == list(range(20))
        here, _ = gateway(in_turn())
        async with here.follow(RESPONSE_ID, log=logs[1], starting_after=9) as later:
            assert [(await anext(later)).sequence_number for _ in range(10)] == list(range(10, 20))
        async with here.follow(RESPONSE_ID, log=logs[1]) as last:
            assert (last.cursor, last.state.output_text) == (19, first.state.output_text)


async def test_a_reader_that_is_ahead_of_the_log_is_given_nothing_twice(logs: list[EventLog]) -> None:
    gate = anyio.Event()
    async with writer(logs[0], *WHOLE[:2], gate, *WHOLE[2:]) as first:
        await anext(first)
        await anext(first)
        here, _ = gateway(in_turn())
        async with here.follow(RESPONSE_ID, log=logs[1], starting_after=3) as later:
            gate.set()
            await first.outcome()
            assert await all_numbers(later) == [4]


async def test_an_end_that_no_event_brought_is_known_to_a_joiner(logs: list[EventLog]) -> None:
    go = anyio.Event()
    refused = said({"error": {"message": "it can no longer be streamed"}}, 400)
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], go), stream=refused, retrieve=said(body("completed", "Hello"))))
    first = record(here.stream(model="toy", input="hi", background=True), logs[0])
    with anyio.fail_after(10):
        async with first:
            await anext(first)
            response, stub = joiner(logs[1])
            async with response:
                go.set()
                await first.outcome()
                assert await all_numbers(response) == [0, 1, 2]
                outcome = await response.outcome()
    assert (outcome.status, outcome.state.output_text, stub.asked) == (OutcomeStatus.COMPLETED, "Hello", [])


async def test_a_joiner_may_cancel_at_the_gateway_itself(logs: list[EventLog]) -> None:
    async with writer(logs[0], *WHOLE[:3], forever()) as first:
        await anext(first)
        here, stub = gateway(
            by_call(cancel=said(body("cancelled", "Hel")), retrieve=said(body("cancelled", "Hel"))),
            evolve(QUICK, cancel_grace_seconds=0.0),
        )
        with anyio.fail_after(10):
            async with here.follow(RESPONSE_ID, log=logs[1]) as response:
                assert await response.cancel() is CancelResult.CANCEL_WON
    assert f"POST /{RESPONSE_ID}/cancel" in stub.asked


async def test_a_joiner_that_leaves_does_not_touch_the_writer(logs: list[EventLog]) -> None:
    async with writer(logs[0], *WHOLE[:2], forever()) as first:
        await anext(first)
        response, stub = joiner(logs[1])
        async with response:
            await anext(response)
        info = await logs[0].require(KEY)
        assert (info.owner != "", info.is_finished, stub.is_open) == (True, False, 0)
    assert await kinds(logs[0]) == ["outcome"]


async def test_a_joiner_that_waits_ends_when_another_task_leaves(logs: list[EventLog]) -> None:
    async with writer(logs[0], *WHOLE[:2], forever()) as first:
        await anext(first)
        await anext(first)
        response, _ = joiner(logs[1])
        stack, got = AsyncExitStack(), list[int | None]()
        await stack.enter_async_context(response)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                has_both = anyio.Event()

                async def read() -> None:
                    async for event in response:
                        got.append(event.sequence_number)
                        if len(got) == 2:
                            has_both.set()

                tasks.start_soon(read)
                await has_both.wait()
                await anyio.wait_all_tasks_blocked()  # it waits for a third event
                await stack.aclose()
    assert got == [0, 1]


async def test_two_that_begin_to_record_at_the_same_moment_both_have_every_event(logs: list[EventLog]) -> None:
    """Neither finds the stream in the log; the one that is slower waits until the other has written what it read."""
    begun: list[FollowedResponse] = []
    found: list[list[int | None]] = []
    with anyio.fail_after(10):
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            for log in logs:
                here, _ = gateway(in_turn(stream(*WHOLE)))
                begun.append(await stack.enter_async_context(here.follow(RESPONSE_ID, log=log)))

            async def read(response: FollowedResponse) -> None:
                found.append(await all_numbers(response))

            for response in begun:
                tasks.start_soon(read, response)
    assert found == [[0, 1, 2, 3, 4]] * 2
    assert [each.data for each in await logs[0].read(KEY)] == data_of(*WHOLE)


# A log that fails


class Flaky(MemoryLog):
    """Fails the next read, if it is told to."""

    fails = False

    async def read(self, key: StreamKey, **how: Any) -> list[Record]:
        if self.fails:
            self.fails = False
            raise LogUnusable("the log", "it is out of luck")
        return await super().read(key, **how)


async def test_a_log_that_cannot_be_read_is_reported_and_read_again_by_the_next_read() -> None:
    log = Flaky()
    async with writer(log, *WHOLE[:2], forever()) as first:
        await anext(first)
        response, _ = joiner(log)
        async with response:
            await anext(response)
            await anext(first)
            log.fails = True
            with pytest.raises(LogUnusable):
                await anext(response)
            assert (await anext(response)).sequence_number == 1


async def test_a_stream_that_is_dropped_while_it_is_read_is_reported() -> None:
    log = MemoryLog()
    await died(log, 1)
    response, _ = joiner(log)
    async with response:
        await anext(response)
        await log.drop(KEY)
        with pytest.raises(UnknownStream):
            await anext(response)


@asynccontextmanager
async def renewed(log: EventLog, lease: Lease) -> AsyncIterator[None]:
    """Keep a short lease alive."""
    async with anyio.create_task_group() as tasks:

        async def renew() -> None:
            while True:
                await log.renew(lease, seconds=SHORT)
                await anyio.sleep(SHORT / 5)

        tasks.start_soon(renew)
        yield
        tasks.cancel_scope.cancel()


async def test_a_writer_that_renews_its_lease_is_not_disturbed(logs: list[EventLog]) -> None:
    lease = await logs[0].acquire(KEY, owner="alive", seconds=SHORT)
    chunks = data_of(*WHOLE)
    await logs[0].append(lease, [Record(0, "event", chunks[0])])
    response, stub = joiner(logs[1])
    async with response, renewed(logs[0], lease):
        await anext(response)
        await anyio.sleep(SHORT * 2)
        await logs[0].append(lease, [Record(1, "event", chunks[1])])
        assert (await anext(response)).sequence_number == 1
    assert ((await logs[0].require(KEY)).owner, stub.asked) == ("alive", [])
