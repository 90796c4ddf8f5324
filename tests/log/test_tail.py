"""tail: no hole, no repeat and no hang, whatever appends, ends, restarts and lost wakes come between."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from streamfold.errors import UnknownStream
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
