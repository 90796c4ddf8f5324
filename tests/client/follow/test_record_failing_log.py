"""A recorded response whose log fails, forgets, or is written by another."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from attrs import evolve

from streamfold.client import record
from streamfold.errors import LogGap, LogUnusable, UnknownStream
from streamfold.log import Lease, MemoryLog, Record
from streamfold.session import CancelResult
from tests.client.follow.test_follow import QUICK, WHOLE, by_call, gateway
from tests.client.follow.test_record import KEY, data_of, leave_after, numbers, recorded, resumed
from tests.client.stub import forever, said, stream
from tests.session.made import body

pytestmark = pytest.mark.anyio


class Failing(MemoryLog):
    """Fails so many appends."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        if records and self.times:
            self.times -= 1
            raise LogUnusable("the log", "the disk is full; nothing was written")
        return await super().append(lease, records, status=status)


async def test_what_could_not_be_written_is_not_given_and_comes_with_the_next_read() -> None:
    log = Failing(2)
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        for _ in range(2):
            with pytest.raises(LogUnusable):
                await anext(response)
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_a_log_that_fails_while_a_cancel_is_read_for_fails_no_task() -> None:
    log = Failing(1)
    here, _ = gateway(
        by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled")), retrieve=said(body("cancelled"))),
        evolve(QUICK, cancel_grace_seconds=0.0),
    )
    with anyio.fail_after(30):
        async with record(here.stream(model="toy", input="hi", background=True), log) as response:
            assert await response.cancel() is CancelResult.CANCEL_WON
            assert [event.sequence_number async for event in response] == [0]  # what was read before it failed
    info = await log.info(KEY)
    assert info is not None
    assert info.status == "cancelled"


async def test_a_read_that_is_cancelled_while_the_log_writes_loses_and_repeats_nothing() -> None:
    class Slow(MemoryLog):
        async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
            await anyio.lowlevel.checkpoint()
            next_number = await super().append(lease, records, status=status)
            await anyio.lowlevel.checkpoint()
            return next_number

    log = Slow()
    response, _ = recorded(log, stream(*WHOLE))
    got: list[int | None] = []
    async with response:
        for turns in (0, 1, 2, 3, 4, 5, 6) * 4:
            async with cancelled_after(turns):
                got.append((await anext(response)).sequence_number)
        got += [event.sequence_number async for event in response]
    assert got == [0, 1, 2, 3, 4]
    assert await numbers(log) == [0, 1, 2, 3, 4]


@asynccontextmanager
async def cancelled_after(turns: int) -> AsyncIterator[None]:
    """Cancel what is inside after so many turns of the loop."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

            tasks.start_soon(cancel)
            with suppress(StopAsyncIteration):
                yield
            tasks.cancel_scope.cancel()


class Forgets(MemoryLog):
    """Forgets the last records that it acknowledged, once, as a store whose follower took over does."""

    may_forget = True

    def __init__(self, at: int, count: int) -> None:
        super().__init__()
        self.at = at
        self.count = count

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        if self.count and len(stream.records) >= self.at:
            del stream.records[-self.count :]
            stream.change(next_number=stream.info.next_number - self.count)
            self.count = 0
        return await super().append(lease, records, status=status)


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_what_the_log_forgot_is_told_again(count: int) -> None:
    log = Forgets(3, count)
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
    assert [each.data for each in await log.read(KEY)] == data_of(*WHOLE)


class ForgetsTheWriter(MemoryLog):
    """Forgets, once, that it was ever acquired: the stream, or who came last."""

    may_forget = True

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        stream = self._stream(lease.key)
        if len(stream.records) >= 2 and self.what == "the stream":
            del self._streams[lease.key]
            self.what = ""
        elif len(stream.records) >= 2 and self.what == "the writer":
            self.what = ""
            stream.change(epoch=lease.epoch - 1, owner="", next_number=stream.info.next_number - 1)
            del stream.records[-1:]
        return await super().append(lease, records, status=status)


@pytest.mark.parametrize("what", ["the stream", "the writer"])
async def test_a_log_that_forgot_who_writes_is_acquired_again_and_told_again(what: str) -> None:
    log = ForgetsTheWriter(what)
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
    assert log.what == ""
    assert [each.data for each in await log.read(KEY)] == data_of(*WHOLE)


async def test_a_stream_that_was_dropped_is_not_made_anew_where_the_log_forgets_nothing() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE))
    with pytest.raises(UnknownStream):
        async with response:
            await anext(response)
            await log.drop(KEY)
            await anext(response)


async def test_what_an_earlier_process_wrote_cannot_be_told_again_and_that_is_said() -> None:
    log = Forgets(99, 0)
    await leave_after(3, log)
    log.at, log.count = 3, 2
    response, _ = resumed(log, stream(*WHOLE[3:]))
    with pytest.raises(LogGap):
        async with response:
            await anext(response)
