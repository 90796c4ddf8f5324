"""damages and diagnose: whatever is not as it was written is told, and the search goes on."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from streamfold.errors import LogError, LogUnusable
from streamfold.log import Note, Record, SavedCheckpoint, SqliteLog, StreamKey

pytestmark = pytest.mark.anyio

ONE, OTHER = StreamKey("tenant", "resp_1"), StreamKey("tenant", "resp_2")


async def fill(path: Path) -> None:
    async with SqliteLog(path) as log:
        for key in (ONE, OTHER):
            lease = await log.acquire(key, owner="one", seconds=30)
            await log.append(lease, [Record(number, "delta", b'{"n":%d}' % number) for number in range(20)])
            await log.save_checkpoint(lease, SavedCheckpoint(5, b"five"))
            for number in range(3):
                await log.note(lease, Note("repair", f"the {number}th", number, 1.0))


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for each in statements:
            connection.execute(each)


async def found(path: Path) -> list[tuple[StreamKey | None, str]]:
    async with SqliteLog(path) as log:
        return [(each.key, each.reason) for each in await log.damages()]


STREAM_IS_DAMAGED = [(ONE, "the entry of stream 1 is damaged")]
HURTS = {
    "data": ("UPDATE event SET data = x'00' WHERE k = (1 << 24) + 5", [(ONE, "record 5 is damaged")]),
    "name": ("UPDATE event SET name = 'other' WHERE k = (1 << 24) + 5", [(ONE, "record 5 is damaged")]),
    "kind": ("UPDATE event SET name = CAST(name AS BLOB) WHERE k = (1 << 24) + 5", [(ONE, "record 5 is damaged")]),
    "one is gone": ("DELETE FROM event WHERE k = (1 << 24) + 5", [(ONE, "record 5 is missing")]),
    "more are gone": ("DELETE FROM event WHERE k & 0xFFFFFF IN (5, 6) AND k >> 24 = 1", [(ONE, "records 5 to 6 are missing")]),
    "the last is gone": ("DELETE FROM event WHERE k = (1 << 24) + 19", [(ONE, "record 19 is missing")]),
    "moved": (
        "UPDATE event SET k = (1 << 24) + 30 WHERE k = (1 << 24) + 5",
        [(ONE, "record 5 is missing"), (ONE, "record 30 should not exist")],
    ),
    "checkpoint": ("UPDATE checkpoint SET data = x'00' WHERE stream = 1", [(ONE, "checkpoint 5 is damaged")]),
    "checkpoint's cursor": ("UPDATE checkpoint SET cursor = 4 WHERE stream = 1", [(ONE, "checkpoint 4 is damaged")]),
    "note": ("UPDATE note SET text = 'another' WHERE stream = 1 AND number = 1", [(ONE, "note 1 is damaged")]),
    "a note is gone": ("DELETE FROM note WHERE stream = 1 AND number = 2", [(ONE, "note 2 is missing")]),
    "status": ("UPDATE stream SET status = 'completed' WHERE id = 1", STREAM_IS_DAMAGED),
    "next number": ("UPDATE stream SET next_number = 19 WHERE id = 1", STREAM_IS_DAMAGED),
    "lease": ("UPDATE stream SET lease_expires_at = 0 WHERE id = 1", STREAM_IS_DAMAGED),
    "the stream is gone": (
        "DELETE FROM stream WHERE id = 1",
        [(None, "20 records belong to no stream"), (None, "1 checkpoints belong to no stream"), (None, "3 notes belong to no stream")],
    ),
}  # fmt: skip


async def test_a_log_as_it_was_written_has_no_damage(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    assert await found(tmp_path / "log.db") == []


@pytest.mark.parametrize("what", HURTS)
async def test_a_damage_is_found_and_told_whose_it_is(what: str, tmp_path: Path) -> None:
    statement, expected = HURTS[what]
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", statement)
    assert await found(tmp_path / "log.db") == expected


async def test_the_search_goes_on_after_a_finding(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(
        tmp_path / "log.db",
        "UPDATE event SET data = x'00' WHERE k & 0xFFFFFF IN (5, 7)",
        "UPDATE note SET kind = 'x' WHERE number = 0",
    )
    of_each = ["record 5 is damaged", "record 7 is damaged", "note 0 is damaged"]
    assert await found(tmp_path / "log.db") == [(key, reason) for key in (ONE, OTHER) for reason in of_each]


async def test_a_key_that_is_damaged_is_not_told_as_one(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(
        tmp_path / "log.db",
        "UPDATE stream SET response_id = 'resp_9' WHERE id = 1",
    )
    data = (tmp_path / "log.db").read_bytes()
    assert data.count(b"resp_9") == 2  # in the row, and in the index
    (tmp_path / "log.db").write_bytes(data.replace(b"resp_9", b"resp_7", 1))
    keys = [key for key, reason in await found(tmp_path / "log.db") if reason == "the entry of stream 1 is damaged"]
    assert keys == [None]


async def test_what_sqlite_cannot_read_is_a_damage_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    reasons = await found(path)
    assert {key for key, _ in reasons} >= {None, ONE, OTHER}
    assert all("malformed" in reason for key, reason in reasons if key is not None)


HURT_READS = {
    "record": "UPDATE event SET data = x'00' WHERE k = (1 << 24) + 5",
    "record that is gone": "DELETE FROM event WHERE k = (1 << 24) + 5",
    "stream": "UPDATE stream SET next_number = 25 WHERE id = 1",
}


@pytest.mark.parametrize("what", HURT_READS)
async def test_a_damaged_stream_is_never_read_as_another_one(what: str, tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", HURT_READS[what])
    async with SqliteLog(tmp_path / "log.db") as log:
        with pytest.raises(LogUnusable, match=r"^resp_1: .* is (damaged|missing); restore the log from a copy"):
            await log.read(ONE)
        assert len(await log.read(OTHER)) == 20


async def test_a_record_that_is_gone_is_told_wherever_a_read_begins(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", "DELETE FROM event WHERE k & 0xFFFFFF IN (5, 19)")
    async with SqliteLog(tmp_path / "log.db") as log:
        assert len(await log.read(ONE, limit=5)) == 5
        for after, limit, missing in ((None, 6, 5), (4, 1, 5), (5, 500, 19), (18, 500, 19)):
            with pytest.raises(LogUnusable, match=f"record {missing} is missing"):
                await log.read(ONE, after=after, limit=limit)
        assert len(await log.read(ONE, after=5, limit=13)) == 13


async def test_a_damaged_checkpoint_or_note_is_told(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", "UPDATE checkpoint SET data = x'00'", "UPDATE note SET after = 9 WHERE number = 1")
    async with SqliteLog(tmp_path / "log.db") as log:
        with pytest.raises(LogUnusable, match="resp_1: checkpoint 5 is damaged"):
            await log.checkpoint(ONE)
        with pytest.raises(LogUnusable, match="resp_1: note 1 is damaged or missing"):
            await log.notes(ONE)


async def test_a_damaged_stream_can_be_dropped_and_no_other(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", "UPDATE stream SET status = 'completed' WHERE id = 1")
    async with SqliteLog(tmp_path / "log.db") as log:
        with pytest.raises(LogError):
            await log.info(ONE)
        assert await log.drop(ONE)
        assert list(await log.damages()) == []
        assert len(await log.read(OTHER)) == 20


async def test_no_stream_is_dropped_before_its_time(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    changed(tmp_path / "log.db", "UPDATE stream SET expires_at = 1 WHERE id = 1")
    async with SqliteLog(tmp_path / "log.db") as log:
        with pytest.raises(LogUnusable, match="resp_1: the entry of the stream is damaged"):
            await log.expire()
        assert await log.tenants() == ["tenant"]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
async def test_of_a_file_that_was_cut_short_what_is_whole_can_be_read(tmp_path: Path, kept: float) -> None:
    keys = [StreamKey("tenant", f"resp_{number:02}") for number in range(30)]
    records = [Record(number, "delta", b'{"n":%d}' % number + b" " * 500) for number in range(40)]
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        for key in keys:
            await log.append(await log.acquire(key, owner="one", seconds=30), records)
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.truncate(int(size * kept))
    with pytest.raises(LogUnusable, match="it is damaged; restore it from a copy"):
        await SqliteLog(path).__aenter__()
    whole: set[StreamKey] = set()
    async with SqliteLog(path, may_write=False) as log:
        damages = await log.damages()
        for key in keys:
            with suppress(LogUnusable):
                assert await log.read(key, limit=100) == records
                whole.add(key)
    assert damages[0].reason == f"the file is cut short: it has {int(size * kept):,} bytes, fewer than its header says"
    assert all("\n" not in each.reason for each in damages)
    assert 0 < len(whole) < len(keys)
    assert {each.key for each in damages if each.key} == set(keys) - whole


async def test_a_file_of_which_hardly_anything_is_left_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await fill(path)
    with path.open("rb+") as file:
        file.truncate(1_000)
    async with SqliteLog(path, may_write=False) as log:
        with pytest.raises(LogUnusable, match="it is damaged; restore it from a copy"):
            await log.list("tenant")


async def test_a_file_whose_rest_is_still_in_the_wal_is_whole(tmp_path: Path) -> None:
    """As a kill leaves it, in the middle of moving the -wal into the file: its first page counts pages that are not there."""
    path, copy = tmp_path / "log.db", tmp_path / "copy.db"
    async with SqliteLog(path) as log:
        lease = await log.acquire(ONE, owner="one", seconds=30)
        await log.append(lease, [Record(number, "delta", b" " * 500) for number in range(100)])
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    assert Path(f"{copy}-wal").stat().st_size > 50_000
    with copy.open("rb+") as file:
        file.seek(28)
        file.write(path.read_bytes()[28:32])
    async with SqliteLog(copy, may_write=False) as log:
        assert list(await log.damages()) == []
        assert len(await log.read(ONE)) == 100
