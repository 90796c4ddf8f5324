"""tail: no hole, no repeat and no hang, whatever appends, ends, restarts and lost wakes come between."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import UnknownStream
from streamfold.log import EventLog, Lease, MemoryLog, Record, StreamInfo, StreamKey, Watch, tail, wait_for_cancel

pytestmark = pytest.mark.anyio

KEY = StreamKey("tenant", "resp_1")


class Slow(MemoryLog):
    """A log that lets others go first at each of its steps, as often as it is told; every so many wakes are lost."""

    def __init__(self, pauses: list[int], *, lost: int) -> None:
        super().__init__()
        self._pauses = pauses
        self._steps = 0
        self._lost = lost

    async def pause(self) -> None:
        self._steps += 1
        for _ in range(self._pauses[self._steps % len(self._pauses)]):
            await checkpoint()

    async def read(self, key: StreamKey, *, after: int | None = None, limit: int = 500) -> list[Record]:
        await self.pause()
        found = await super().read(key, after=after, limit=limit)
        await self.pause()
        return found

    async def info(self, key: StreamKey) -> StreamInfo | None:
        await self.pause()
        found = await super().info(key)
        await self.pause()
        return found

    def watch(self, key: StreamKey) -> AbstractAsyncContextManager[Watch]:
        return self._losing(super().watch(key))

    @asynccontextmanager
    async def _losing(self, watching: AbstractAsyncContextManager[Watch]) -> AsyncGenerator[Watch, None]:
        async with watching as watch:
            yield Impatient(watch) if self._lost else watch


class Impatient(Watch):
    """Nobody tells it anything: it looks again by itself."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def wait(self, *, seconds: float) -> None:
        await checkpoint()


async def write(log: Slow, *, runs: list[int], is_ended_with_last: bool) -> int:
    number = 0
    lease = await log.acquire(KEY, owner="one", seconds=30)
    for place, run in enumerate(runs):
        await log.pause()
        if run == 0:  # the writer begins anew, and sends the last one again
            lease = await log.acquire(KEY, owner="one", seconds=30)
            number = max(0, number - 1)
            run = 1
        records = [Record(each, "delta", b"%d" % each) for each in range(number, number + run)]
        is_last = place == len(runs) - 1
        number = await log.append(lease, records, status="completed" if is_last and is_ended_with_last else None)
    await log.pause()
    await log.append(lease, [], status="completed")
    return number


@given(
    runs=st.lists(st.integers(0, 4), max_size=6),
    is_ended_with_last=st.booleans(),
    afters=st.lists(st.integers(-1, 6), min_size=1, max_size=3),
    pauses=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    lost=st.sampled_from((0, 1)),
)
def test_a_tail_has_no_hole_and_no_repeat_in_any_order(
    runs: list[int], is_ended_with_last: bool, afters: list[int], pauses: list[int], lost: int
) -> None:
    async def story() -> None:
        log = Slow(pauses, lost=lost)
        await log.acquire(KEY, owner="one", seconds=30)
        got: list[tuple[int, list[int]]] = []

        async def follow(after: int) -> None:
            for _ in range(pauses[0]):
                await checkpoint()
            async with tail(log, KEY, after=after, safety_seconds=3600) as records:
                got.append((after, [each.sequence_number async for each in records]))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for after in afters:
                    tasks.start_soon(follow, after)
                count = await write(log, runs=runs, is_ended_with_last=is_ended_with_last)
        assert sorted(got) == sorted((after, list(range(after + 1, count))) for after in afters)

    anyio.run(story)


async def begun(log: EventLog, count: int) -> Lease:
    lease = await log.acquire(KEY, owner="one", seconds=30)
    await log.append(lease, [Record(number, "delta", b"") for number in range(count)])
    return lease


async def test_a_tail_that_is_left_in_the_middle_tells_how_far_it_came() -> None:
    log = MemoryLog()
    await begun(log, 5)
    async with tail(log, KEY) as records:
        assert records.cursor is None
        async for record in records:
            if record.sequence_number == 2:
                break
        assert records.cursor == 2
        assert (await anext(records)).sequence_number == 3


async def test_nobody_waits_for_a_stream_once_its_tails_are_left() -> None:
    log = MemoryLog()
    await begun(log, 1)
    async with tail(log, KEY), tail(log, KEY):
        assert log._watchers.are_there
    assert not log._watchers.are_there


async def test_there_must_be_a_stream() -> None:
    log = MemoryLog()
    async with tail(log, KEY) as records:
        with pytest.raises(UnknownStream, match="the log has no stream of resp_1"):
            await anext(records)
    with pytest.raises(UnknownStream):
        await wait_for_cancel(log, KEY)
