"""fork: the beginning of a stream as another stream."""

from importlib import import_module

import pytest

from streamfold.errors import InvalidArgument, LeaseHeld, LogConflict, NumberNotReached, UnknownStream
from streamfold.history import fork, replay
from streamfold.log import MemoryLog, Note, Record, StreamKey
from tests.history.made import KEY, all_records, begin, facts, records_of, said, save

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c")
RECORDS = records_of(DATA)
LAST = len(DATA) - 1
NEW = StreamKey("one", "resp_2")


async def stored() -> MemoryLog:
    log = MemoryLog()
    lease = await begin(log, RECORDS, status="completed")
    await save(log, lease, DATA, at=2)
    await log.note(lease, Note("repair", "resumed", 1, 0.0))
    await log.release(lease)
    return log


async def test_a_fork_holds_the_records_up_to_there_and_is_open() -> None:
    log = await stored()
    assert await fork(log, KEY, at=3, to=NEW) == 4
    info = await log.info(NEW)
    assert info is not None
    assert (await all_records(log, NEW), info.status, info.owner) == (RECORDS[:4], None, "")
    assert await log.checkpoint(NEW) == await log.checkpoint(KEY, at=2)
    assert await log.notes(NEW) == []


@pytest.mark.parametrize("at", range(LAST + 1))
async def test_a_fork_replays_as_its_origin(at: int) -> None:
    log, other = await stored(), MemoryLog()
    await fork(log, KEY, at=at, to=NEW, to_log=other)
    assert facts(await replay(other, NEW)) == facts(await replay(log, KEY, at=at))


async def test_a_fork_at_the_end_of_a_finished_stream_is_finished() -> None:
    log = await stored()
    await fork(log, KEY, at=LAST, to=NEW)
    info = await log.info(NEW)
    assert info is not None
    assert info.status == "completed"


async def test_a_fork_of_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.log.tail"), "READ_AT_ONCE", 2)
    log = await stored()
    await fork(log, KEY, at=LAST, to=NEW)
    assert await all_records(log, NEW) == RECORDS


async def test_a_fork_can_go_on_otherwise() -> None:
    log = await stored()
    await fork(log, KEY, at=2, to=NEW)
    lease = await log.acquire(NEW, owner="another", seconds=1)
    await log.append(lease, records_of(said("a", "X")[3:], first=3), status="completed")
    assert ((await replay(log, NEW)).output_text, (await replay(log, KEY)).output_text) == ("aX", "abc")


async def test_to_fork_once_more_changes_nothing_and_goes_on_where_it_was_broken_off() -> None:
    log = await stored()
    await fork(log, KEY, at=1, to=NEW)
    await fork(log, KEY, at=3, to=NEW)
    assert await fork(log, KEY, at=3, to=NEW) == 4
    assert await all_records(log, NEW) == RECORDS[:4]


async def test_what_is_there_already_is_never_changed() -> None:
    log = await stored()
    with pytest.raises(InvalidArgument, match="to: resp_1 exists already; pass another id, or drop that stream first"):
        await fork(log, KEY, at=3, to=KEY)
    await fork(log, KEY, at=3, to=NEW)
    with pytest.raises(InvalidArgument, match="resp_2 exists already"):
        await fork(log, KEY, at=2, to=NEW)
    other = StreamKey("one", "resp_3")
    await log.release(await begin(log, records_of(said("X")[:3]), key=other))
    with pytest.raises(LogConflict, match="the log holds a different record 2"):
        await fork(log, KEY, at=3, to=other)
    later = StreamKey("one", "resp_4")
    await log.release(await begin(log, [Record(1, "x", b"{}")], key=later))
    with pytest.raises(LogConflict):
        await fork(log, KEY, at=3, to=later)


async def test_what_somebody_writes_is_left_to_them() -> None:
    log = await stored()
    await log.acquire(NEW, owner="another", seconds=30)
    with pytest.raises(LeaseHeld, match="another is writing this stream"):
        await fork(log, KEY, at=3, to=NEW)


async def test_what_is_not_there_is_not_forked() -> None:
    log = await stored()
    with pytest.raises(NumberNotReached):
        await fork(log, KEY, at=LAST + 1, to=NEW)
    with pytest.raises(UnknownStream):
        await fork(log, StreamKey("one", "nobody"), at=0, to=NEW)
    assert await log.info(NEW) is None
