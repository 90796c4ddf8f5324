"""tail: no hole, no repeat and no hang, whatever appends, ends, restarts and lost wakes come between."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from streamfold.errors import NumberNotReached, UnknownStream
from streamfold.log import (
    EventLog,
    Lease,
    MemoryLog,
    Note,
    Record,
    SqliteLog,
    StreamInfo,
    StreamKey,
    Tail,
    Watch,
    pages,
    tail,
    wait_for_cancel,
)
from tests.log.handover import run
from tests.log.handover_sqlite import run_sqlite

pytestmark = pytest.mark.anyio

KEY = StreamKey("tenant", "resp_1")


@pytest.mark.parametrize("stories", [300, pytest.param(2_000, marks=pytest.mark.thorough)])
async def test_a_tail_has_no_hole_and_no_repeat_in_any_order(stories: int) -> None:
    """A part of what `python -m tests.log.handover` does."""
    assert await run(stories, seed=1) == []


@pytest.mark.parametrize("stories", [15, pytest.param(60, marks=pytest.mark.thorough)])
async def test_a_tail_of_a_file_has_no_hole_and_no_repeat_in_any_order(stories: int) -> None:
    """A part of what `python -m tests.log.handover --engine sqlite` does: two logs of a file, in one process and in two."""
    assert await run_sqlite(stories, seed=1) == []


async def test_a_tail_that_trusts_its_wakes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the stories can fail: here a tail ends as soon as the stream does, and reads no more."""
    monkeypatch.setattr(Tail, "_read", once_only(Tail._read))
    assert await run(300, seed=1) != []


def once_only(read: Callable[[Tail], Awaitable[bool]]) -> Callable[[Tail], Awaitable[bool]]:
    async def read_unless_finished(self: Tail) -> bool:
        return False if await self._is_finished() else await read(self)

    return read_unless_finished


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


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_reader_that_stalls_holds_no_more_than_max_bytes(engine: str, tmp_path: Path) -> None:
    opened: EventLog = MemoryLog() if engine == "memory" else SqliteLog(tmp_path / "log.db")
    async with opened as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        large = [Record(number, "delta", b"x" * 10_000) for number in range(500)]
        await log.append(lease, large)
        async with tail(log, KEY, max_bytes=35_000) as records:
            got = [await anext(records)]
            assert [each.sequence_number for each in records._ready] == [1, 2]
            await log.append(lease, [Record(500, "delta", b"x" * 50_000)], status="completed")
            got += [record async for record in records]
    assert [record.sequence_number for record in got] == list(range(501))


async def test_records_that_come_with_a_notification_are_held_up_to_max_bytes_too() -> None:
    class Carrying(Watch):
        def received(self, after: int | None) -> list[Record]:
            return [Record(number, "delta", b"x" * 1_000) for number in range((after or 0) + 1, 100)]

        async def wait(self, *, seconds: float) -> None:
            raise AssertionError("there are records")

    records = Tail(MemoryLog(), KEY, watch=Carrying(), after=0, safety_seconds=1, max_bytes=2_500)
    got = []
    for _ in range(9):
        got.append((await anext(records)).sequence_number)
        assert len(records._ready) < 2
    assert got == list(range(1, 10))


async def test_pages_hold_each_record_once_and_only_what_was_there() -> None:
    log = MemoryLog()
    lease = await begun(log, 1_234)
    info = await log.require(KEY)
    await log.append(lease, [Record(1_234, "delta", b"")])
    sizes, numbers = [], list[int]()
    async for page in pages(log, info, after=99, to=1_200):
        sizes.append(len(page))
        numbers += [record.sequence_number for record in page]
    assert (sizes, numbers) == ([500, 500, 101], list(range(100, 1_201)))
    assert sum([len(page) async for page in pages(log, info)]) == 1_234


@pytest.mark.parametrize(("first_number", "to", "cursor"), [(0, 5, 4), (3, 2, 3), (3, 8, 7)])
async def test_pages_to_a_number_that_the_stream_does_not_have_are_refused(
    first_number: int, to: int, cursor: int
) -> None:
    log = MemoryLog()
    lease = await log.acquire(KEY, owner="one", seconds=30, first_number=first_number)
    await log.append(lease, [Record(first_number + number, "delta", b"") for number in range(5)])
    with pytest.raises(NumberNotReached) as refused:
        pages(log, await log.require(KEY), to=to)
    assert (refused.value.at, refused.value.cursor) == (to, cursor)


async def test_a_stream_that_must_exist_and_does_not_is_named() -> None:
    with pytest.raises(UnknownStream, match="the log has no stream of resp_1"):
        await MemoryLog().require(KEY)


async def test_nobody_waits_for_a_stream_once_its_tails_are_left() -> None:
    log = MemoryLog()
    await begun(log, 1)
    async with tail(log, KEY), tail(log, KEY):
        assert log._subscriptions._watches
    assert not log._subscriptions._watches


async def test_there_must_be_a_stream() -> None:
    log = MemoryLog()
    async with tail(log, KEY) as records:
        with pytest.raises(UnknownStream, match="the log has no stream of resp_1"):
            await anext(records)
    with pytest.raises(UnknownStream):
        await wait_for_cancel(log, KEY)


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_who_waits_for_a_cancel_is_not_woken_by_records(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    opened: EventLog = MemoryLog() if engine == "memory" else SqliteLog(tmp_path / "log.db")
    info = opened.info

    async def counted(key: StreamKey) -> StreamInfo | None:
        nonlocal looks
        looks += 1
        return await info(key)

    monkeypatch.setattr(opened, "info", counted)
    async with opened as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(wait_for_cancel, log, KEY, safety_seconds=3600.0))
            await anyio.wait_all_tasks_blocked()
            for number in range(20):
                await log.append(lease, [Record(number, "delta", b"{}")])
                await log.note(lease, Note("repair", "", number, 0.0))
            assert looks == 1
            await log.request_cancel(KEY)
