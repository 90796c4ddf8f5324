"""verify: a stream that is whole is told so, and every kind of damage is found and named."""

import sqlite3
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from streamfold import checkpoint, fold
from streamfold.errors import LogUnusable
from streamfold.fold import with_response
from streamfold.history import StreamReport, filler, import_stream, verify
from streamfold.log import Damage, EventLog, MemoryLog, Record, SavedCheckpoint, SqliteLog, StreamInfo, StreamKey
from tests.conftest import Recording
from tests.history.made import KEY, begin, body, events_of, imported, records_of, said, save
from tests.history.test_recordings import policy

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c")
RECORDS = records_of(DATA)
LAST = len(DATA) - 1


async def verdicts(log: EventLog) -> list[StreamReport]:
    return [verdict async for verdict in verify(log)]


async def test_whole_streams_of_all_tenants() -> None:
    log = MemoryLog()
    lease = await begin(log, RECORDS, status="completed")
    await save(log, lease, DATA, at=1)
    await save(log, lease, DATA, at=3)
    open_one, others = StreamKey("one", "resp_2"), StreamKey("two", "resp_1")
    await begin(log, RECORDS[:3], key=open_one)
    await import_stream(log, "two", [body(DATA)])
    steps = verify(log)
    assert [verdict async for verdict in steps] == [
        StreamReport(KEY, 6, "completed"),
        StreamReport(open_one, 3, None),
        StreamReport(others, 6, "completed"),
    ]
    assert steps.streams == 3


async def test_more_streams_than_are_listed_at_once() -> None:
    log = MemoryLog()
    for number in range(205):
        await log.acquire(StreamKey(f"tenant {number % 3}", f"resp_{number:03}"), owner="test", seconds=1)
    found = await verdicts(log)
    assert len({verdict.key for verdict in found}) == len(found) == 205
    assert all(verdict.is_whole for verdict in found)


async def test_an_empty_log() -> None:
    assert await verdicts(MemoryLog()) == []


async def test_every_recording_is_whole(recordings: list[Recording], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.history.replay"), "CHECKPOINT_EVERY", 20_000)
    monkeypatch.setattr("streamfold.history.transfer.GROUP_RECORDS", 20)
    log = MemoryLog()
    for recording in recordings:
        await import_stream(log, "", [recording.data], recording.name, policy=policy(recording))
    found = await verdicts(log)
    assert len(found) == len(recordings)
    assert [verdict for verdict in found if not verdict.is_whole] == []
    saved = [await log.checkpoint(verdict.key) for verdict in found if verdict.key]
    assert any(each is not None and each.cursor > 100 for each in saved)


async def test_a_last_word_may_know_more_than_the_events() -> None:
    log = MemoryLog()
    data = said("a", is_over=False)
    lease = await begin(log, records_of(data))
    fetched = with_response(fold(events_of(data)), b'{"status":"completed","output":[]}')
    await log.save_checkpoint(lease, SavedCheckpoint(2, checkpoint(fetched)))
    assert [verdict.is_whole for verdict in await verdicts(log)] == [False]  # while the stream is open it may not
    await log.append(lease, [], status="completed")
    assert await verdicts(log) == [StreamReport(KEY, 3, "completed")]


async def torn(log: MemoryLog) -> None:
    await begin(log, [*RECORDS[:3], Record(3, "", b'{"type":"resp'), *RECORDS[4:]], status="completed")


async def without_an_end(log: MemoryLog) -> None:
    await begin(log, RECORDS[:4], status="completed")


async def false_checkpoint(log: MemoryLog) -> None:
    lease = await begin(log, RECORDS)
    await save(log, lease, said("X", "b"), at=3)


async def no_checkpoint(log: MemoryLog) -> None:
    lease = await begin(log, RECORDS)
    await log.save_checkpoint(lease, SavedCheckpoint(2, b"{}"))


async def stray_checkpoint(log: MemoryLog) -> None:
    lease = await begin(log, [*RECORDS[:3], filler(3)])
    await log.save_checkpoint(lease, SavedCheckpoint(3, checkpoint(fold(events_of(DATA[:3])))))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (torn, "record 3 is not an event: Input data was truncated"),
        (without_an_end, "the stream is finished as completed, but its state is in_progress"),
        (false_checkpoint, "the checkpoint at 3 differs from the fold of the records before it"),
        (no_checkpoint, "at 2: not a checkpoint: Object missing required field `version`; fold again from the events"),
        (stray_checkpoint, "the checkpoint at 3 belongs to no event"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_wrong_is_told(damage: Callable[[MemoryLog], Awaitable[None]], words: str) -> None:
    log = MemoryLog()
    await damage(log)
    await imported(log, DATA, response_id="resp_2")
    one, other = await verdicts(log)
    assert [problem[: len(words)] for problem in one.problems] == [words]
    assert other.is_whole


async def test_a_flipped_bit_is_found_and_the_other_streams_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        for name in ("resp_1", "resp_2"):
            await imported(log, DATA, response_id=name)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE event SET data = replace(data, 'b', 'c') WHERE k % (1 << 24) = 3 AND k < (2 << 24)")
    connection.close()
    async with SqliteLog(path) as log:
        found = await verdicts(log)
    one, other = (verdict for verdict in found if verdict.key)
    assert (one.key, one.is_whole) == (KEY, False)
    assert "record 3 is damaged" in one.problems[0]
    assert (other.events, other.is_whole) == (6, True)


class Broken(MemoryLog):
    """A store of which parts cannot be read. fails: the methods that raise."""

    def __init__(self, *fails: str) -> None:
        super().__init__()
        self._fails = fails

    def _fail(self, name: str) -> None:
        if name in self._fails:
            raise LogUnusable("the disk", "it cannot be read")

    async def damages(self) -> list[Damage]:
        self._fail("damages")
        return [
            Damage(None, "a page is lost"),
            Damage(KEY, "a row is lost"),
            Damage(StreamKey("two", "x"), "it is gone"),
        ]

    async def list(self, tenant: str, **options: Any) -> Any:
        self._fail("list")
        return await super().list(tenant, **options)

    async def info(self, key: StreamKey) -> StreamInfo | None:
        self._fail("info")
        return await super().info(key)


async def test_what_the_store_says_itself_is_told_with_its_stream_or_at_the_end() -> None:
    log = Broken()
    await begin(log, RECORDS)
    assert await verdicts(log) == [
        StreamReport(KEY, 6, None, ("a row is lost",)),
        StreamReport(None, problems=("a page is lost",)),
        StreamReport(StreamKey("two", "x"), problems=("it is gone",)),
    ]


class Emptied(MemoryLog):
    """A log whose streams are dropped while they are looked at. at_once: even before that."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self._at_once = at_once

    async def info(self, key: StreamKey) -> StreamInfo | None:
        info = await super().info(key)
        await self.drop(key)
        return None if self._at_once else info


@pytest.mark.parametrize(("at_once", "found"), [(True, []), (False, [StreamReport(KEY)])])
async def test_a_stream_that_is_dropped_meanwhile_is_no_damage(at_once: bool, found: list[StreamReport]) -> None:
    log = Emptied(at_once=at_once)
    await begin(log, RECORDS)
    assert await verdicts(log) == found


@pytest.mark.parametrize("fails", ["damages", "list", "info"])
async def test_a_store_that_cannot_be_read_is_a_verdict_too(fails: str) -> None:
    log = Broken(fails)
    await begin(log, RECORDS)
    told = [problem for verdict in await verdicts(log) for problem in verdict.problems]
    assert told.count("the disk: it cannot be read") == 1
