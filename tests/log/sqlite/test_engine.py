"""SqliteLog: its file, what can be wrong with one, its other processes, and what a group of appends shares."""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamfold.errors import LogConflict, LogGap, LogUnusable
from streamfold.log import Record, SqliteLog, StreamKey, tail
from streamfold.log.sqlite.writer import Writer

pytestmark = pytest.mark.anyio

KEY = StreamKey("tenant", "resp_1")
NOBODY = 65534


def some(first: int, count: int) -> list[Record]:
    return [Record(number, "delta", b'{"n":%d}' % number) for number in range(first, first + count)]


async def fill(path: Path, count: int = 10) -> None:
    async with SqliteLog(path) as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, some(0, count))
        await log.release(lease)


async def numbers(path: Path) -> list[int]:
    async with SqliteLog(path) as log:
        return [each.sequence_number for each in await log.read(KEY)]


# The file


async def test_what_was_appended_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    assert await numbers(tmp_path / "log.db") == list(range(10))


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    async with SqliteLog(tmp_path / "log.db") as log:
        await log.info(KEY)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert {mode & 0o077 for mode in modes.values()} == {0}, modes


async def test_the_write_ahead_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        most = 0
        for number in range(60):
            await log.append(lease, [Record(number, "delta", os.urandom(500_000))])
            most = max(most, (tmp_path / "log.db-wal").stat().st_size)
    assert most < 20_000_000
    assert not (tmp_path / "log.db-wal").exists()


async def test_what_is_dropped_gives_its_room_back(tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, [Record(0, "delta", os.urandom(5_000_000))])
        await log.drop(KEY)
    assert (tmp_path / "log.db").stat().st_size < 200_000


# What can be wrong with it


def another_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photo (id INTEGER)")
    connection.close()


BAD: dict[str, tuple[Any, str]] = {
    "a directory": (lambda path: path.mkdir(), "it is a directory; name a file in it"),
    "no database": (lambda path: path.write_bytes(b"hello " * 1000), "it is not a SQLite database"),
    "another program's": (another_database, "it is a database of another program"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_is_no_log_is_refused_and_left_as_it_is(what: str, tmp_path: Path) -> None:
    make, words = BAD[what]
    path = tmp_path / "log.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LogUnusable, match=words) as caught:
        SqliteLog(path)
    assert caught.value.where == str(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogUnusable, match="it cannot be opened: No such file or directory"):
        SqliteLog(tmp_path / "nowhere" / "log.db")


def test_an_empty_file_beside_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    """SQLite would take it for a new one, and remove what was written last."""
    (tmp_path / "log.db").touch()
    (tmp_path / "log.db-wal").write_bytes(b"what was written last")
    with pytest.raises(LogUnusable, match="it is empty but its -wal is not; restore both from a copy"):
        SqliteLog(tmp_path / "log.db")
    assert (tmp_path / "log.db-wal").read_bytes() == b"what was written last"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.db")
    for may_write in (True, False):
        with pytest.raises(LogUnusable, match="it is not a file"):
            SqliteLog(tmp_path / "log.db", may_write=may_write)


async def test_a_copy_that_sqlite_made_is_a_log_like_any_other(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    async with SqliteLog(tmp_path / "copy.db") as log:
        assert (await log.diagnose()).settings["journal_mode"] == "wal"
    assert await numbers(tmp_path / "copy.db") == list(range(10))


async def test_all_names_of_a_file_share_its_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "log.db")
    await fill(tmp_path / "link.db")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.db", "log.db", "log.db-lock"]


# A log that is only read


async def test_a_log_that_is_only_read_can_be_read_while_another_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await fill(path)
    async with SqliteLog(path) as writing, SqliteLog(path, may_write=False) as reading:
        lease = await writing.acquire(KEY, owner="one", seconds=30)
        with anyio.fail_after(10):
            async with tail(reading, KEY, after=9, safety_seconds=3600) as records:
                await writing.append(lease, some(10, 1), status="completed")
                assert [each.sequence_number async for each in records] == [10]
        assert list(await reading.damages()) == []
        assert (await reading.diagnose()).settings["schema"] == "3 of 3"
        assert [each.key for each in await reading.list("tenant")] == [KEY]


async def test_a_log_that_is_only_read_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await fill(path)
    before = path.read_bytes()
    async with SqliteLog(path, may_write=False) as log:
        for write in (log.acquire(KEY, owner="one", seconds=30), log.drop(KEY), log.request_cancel(KEY), log.expire()):
            with pytest.raises(LogUnusable, match="it was opened with may_write=False"):
                await write
        assert len(await log.read(KEY)) == 10
    with pytest.raises(LogUnusable, match="it was closed before"):
        await log.drop(KEY)
    with pytest.raises(LogUnusable, match="it was closed before"):
        await log.damages()
    assert path.read_bytes() == before


def test_a_log_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LogUnusable, match="the file does not exist"):
        SqliteLog(tmp_path / "log.db", may_write=False)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def as_no_root() -> Iterator[None]:
    """Root may write everything: be somebody else for a while."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others than root reach too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
        Path(name).chmod(0o777)


async def test_a_file_that_cannot_be_written_is_refused_and_can_be_read(folder: Path) -> None:
    await fill(folder / "log.db")
    (folder / "log.db").chmod(0o444)
    with as_no_root():
        with pytest.raises(LogUnusable, match="open it with may_write=False"):
            SqliteLog(folder / "log.db")
        async with SqliteLog(folder / "log.db", may_write=False) as log:
            assert len(await log.read(KEY)) == 10
            assert list(await log.damages()) == []
            assert "permissions are 444" in " ".join((await log.diagnose()).unsafe)


async def test_a_file_in_a_folder_that_cannot_be_written_can_be_read(folder: Path) -> None:
    await fill(folder / "log.db")
    (folder / "log.db").chmod(0o444)
    folder.chmod(0o555)
    with as_no_root():
        async with SqliteLog(folder / "log.db", may_write=False) as log:
            assert len(await log.read(KEY)) == 10
            assert list(await log.damages()) == []
    assert sorted(each.name for each in folder.iterdir()) == ["log.db", "log.db-lock"]


async def test_what_is_still_beside_the_file_is_not_passed_over(folder: Path) -> None:
    """The -wal has what was written last; who cannot read it is not shown the rest as if it were all."""
    async with SqliteLog(folder / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, some(0, 10))
        copy = folder / "copy"
        copy.mkdir()
        for name in ("log.db", "log.db-wal"):
            shutil.copy(folder / name, copy)
            (copy / name).chmod(0o444)
    copy.chmod(0o555)
    with as_no_root():
        with pytest.raises(LogUnusable, match=r"it can(not be opened| only be read); check"):
            SqliteLog(copy / "log.db", may_write=False)
    copy.chmod(0o777)


async def test_a_file_that_nobody_may_read_is_refused(folder: Path) -> None:
    await fill(folder / "log.db")
    (folder / "log.db").chmod(0)
    with as_no_root():
        for may_write in (True, False):
            with pytest.raises(LogUnusable, match="it cannot be opened"):
                SqliteLog(folder / "log.db", may_write=may_write)


def test_a_folder_that_cannot_be_written_holds_no_new_log(folder: Path) -> None:
    folder.chmod(0o555)
    with as_no_root():
        with pytest.raises(LogUnusable, match="it cannot be opened: Permission denied"):
            SqliteLog(folder / "log.db")


# Damage


async def test_a_flipped_bit_in_a_record_is_never_read_as_another_event(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db")
    connection = sqlite3.connect(tmp_path / "log.db")
    connection.execute("UPDATE event SET data = ? WHERE data = ?", (b'{"n":7}', b'{"n":5}'))
    connection.commit()
    connection.close()
    async with SqliteLog(tmp_path / "log.db") as log:
        with pytest.raises(LogUnusable, match="record 5 is damaged"):
            await log.read(KEY)
        assert len(await log.read(KEY, after=5)) == 4


async def test_a_file_that_was_cut_short_is_told(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db", 5_000)
    data = (tmp_path / "log.db").read_bytes()
    (tmp_path / "log.db").write_bytes(data[: len(data) // 2])
    with pytest.raises(LogUnusable, match=r"damaged|not a SQLite database"):
        async with SqliteLog(tmp_path / "log.db") as log:
            await log.read(KEY, limit=5_000)


async def test_a_disk_without_room_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, some(0, 3))
        assert log._writer is not None
        written = log._writer._connection
        pages = written.execute("PRAGMA page_count").fetchone()[0]
        written.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(LogUnusable, match="the disk is full; nothing was written"):
            await log.append(lease, [Record(3, "delta", os.urandom(100_000))])
        written.execute("PRAGMA max_page_count = 1000000")
        assert [each.sequence_number for each in await log.read(KEY)] == [0, 1, 2]
        assert await log.append(lease, some(3, 1)) == 4


async def test_what_was_committed_is_not_told_as_lost_where_only_the_tidying_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(writer: Writer) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        monkeypatch.setattr(Writer, "_tidy", fail)
        assert await log.append(lease, some(0, 3)) == 3
        assert [each.sequence_number for each in await log.read(KEY)] == [0, 1, 2]


# A group


async def test_an_append_that_is_refused_refuses_itself_alone(tmp_path: Path) -> None:
    keys = [StreamKey("tenant", f"resp_{number}") for number in range(8)]
    refused: list[object] = []
    async with SqliteLog(tmp_path / "log.db") as log:
        leases = [await log.acquire(key, owner="one", seconds=30) for key in keys]

        async def write(place: int) -> None:
            for number in range(20):
                try:
                    await log.append(leases[place], some(number + (number == 10 and place % 2), 1))
                except (LogGap, LogConflict) as error:
                    refused.append((place, type(error)))
                    await log.append(leases[place], some(number, 1))

        async with anyio.create_task_group() as tasks:
            for place in range(8):
                tasks.start_soon(write, place)
        found = [[each.sequence_number for each in await log.read(key)] for key in keys]
    assert found == [list(range(20))] * 8
    assert sorted(refused, key=str) == [(place, LogGap) for place in (1, 3, 5, 7)]


async def test_who_is_cancelled_while_an_append_is_written_can_send_it_again(tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        for number in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await log.append(lease, some(number, 1))
            assert await log.append(lease, some(number, 1)) == number + 1
    assert await numbers(tmp_path / "log.db") == list(range(20))
