"""The scan: what deserves a mark in what is there, and in what comes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from streamfold.cli.inspect.scan import PAGE, first_look, scan
from streamfold.cli.inspect.timeline import MarkKind, Timeline
from streamfold.errors import LogUnusable, UnknownStream
from streamfold.history import filler
from streamfold.log import EventLog, MemoryLog, Note, SqliteLog, StreamKey
from tests.cli.inspect.made import CANCEL, OUTCOME, RECORDS, RESUME, damage, put, spoil
from tests.history.made import KEY, records_of, said, save

pytestmark = pytest.mark.anyio


async def scanned(log: EventLog) -> list[Timeline]:
    async with scan(log, KEY, await first_look(log, KEY)) as timelines:
        return [each async for each in timelines]


async def test_a_finished_stream_with_its_notes() -> None:
    log = MemoryLog()
    await put(log, notes=(RESUME, CANCEL, OUTCOME), status="completed")
    look = await first_look(log, KEY)
    assert (look.first, look.beyond, look.status) == (0, 7, "completed")
    assert look.notes == (CANCEL, RESUME, OUTCOME)
    assert await scanned(log) == []  # the first look had it all


async def test_gaps_are_told_once_each_however_long() -> None:
    log = MemoryLog()
    gap = range(PAGE - 3, PAGE + 3)
    data = said(*["x"] * (2 * PAGE))
    records = records_of(data)
    for number in (*gap, PAGE + 9):
        records[number] = filler(number)
    await put(log, records, status="completed")
    assert (await scanned(log))[-1].gaps == (gap[0], PAGE + 9)


async def test_damaged_records_and_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        lease = await put(log)
        data = [record.data for record in RECORDS]
        await save(log, lease, data, at=2)
        await save(log, lease, data, at=4)
        await log.append(lease, [], status="completed")
        await log.release(lease)
    damage(path, 3)
    async with SqliteLog(path) as log:
        timeline = (await scanned(log))[-1]
    assert (timeline.damaged, timeline.checkpoints) == ((3,), (2, 4))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE note SET crc = crc + 1 WHERE kind = 'cancel'", "note 1 is damaged or missing"),
        ("UPDATE checkpoint SET crc = crc + 1", "checkpoint 2 is damaged"),
    ],
    ids=["a note", "a checkpoint"],
)
async def test_what_is_damaged_beside_the_records_is_a_row_of_its_own(
    tmp_path: Path, statement: str, words: str
) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        lease = await put(log, notes=(RESUME, CANCEL))
        await save(log, lease, [record.data for record in RECORDS], at=2)
        await log.append(lease, [], status="completed")
        await log.release(lease)
    spoil(path, statement)
    async with SqliteLog(path) as log:
        timeline = (await scanned(log))[-1]
    assert [mark.kind for mark in timeline.marks].count(MarkKind.DAMAGE) == 1
    assert any(note.text.startswith(words) for note in timeline.notes)
    assert timeline.beyond == 7


async def test_a_log_that_fails_is_no_damaged_note() -> None:
    class Failing(MemoryLog):
        async def notes(self, key: StreamKey) -> Sequence[Note]:
            raise LogUnusable("the server", "the connection is lost")

    log = Failing()
    await put(log)
    with pytest.raises(LogUnusable, match="the connection is lost"):
        await first_look(log, KEY)


async def test_what_is_added_is_told_and_at_the_end_it_is_over() -> None:
    log = MemoryLog()
    lease = await put(log, RECORDS[:3])
    async with scan(log, KEY, await first_look(log, KEY)) as timelines:
        await log.append(lease, RECORDS[3:5])
        assert (await anext(timelines)).beyond == 5
        await log.note(lease, RESUME)
        assert (await anext(timelines)).notes == (RESUME,)
        await log.append(lease, RECORDS[5:], status="completed")
        await log.note(lease, OUTCOME)
        await log.release(lease)
        last = [each async for each in timelines][-1]
    assert (last.beyond, last.status, last.notes) == (7, "completed", (RESUME, OUTCOME))


async def test_a_stream_that_is_dropped_meanwhile() -> None:
    log = MemoryLog()
    await put(log)
    async with scan(log, KEY, await first_look(log, KEY)) as timelines:
        await log.drop(KEY)
        with pytest.raises(UnknownStream):
            await anext(timelines)
    with pytest.raises(UnknownStream):
        await first_look(log, KEY)
