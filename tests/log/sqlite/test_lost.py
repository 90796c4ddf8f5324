"""The files of a SQLite log that are deleted, moved, replaced or truncated while it is open: noticed before anything counts."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import anyio
import pytest

from streamfold.errors import LogUnusable
from streamfold.log import Record, SqliteLog, StreamKey, tail
from streamfold.log.sqlite import file, queries

pytestmark = pytest.mark.anyio

KEY = StreamKey("tenant", "resp_1")


def some(first: int, count: int = 1, *, size: int = 10) -> list[Record]:
    return [Record(number, "delta", b"x" * size) for number in range(first, first + count)]


async def make(path: Path, *, count: int = 1) -> None:
    async with SqliteLog(path) as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, some(0, count, size=2_000))


def replaced_by_a_log(path: Path) -> None:
    other = path.with_name("other.db")
    anyio.run(make, other)
    os.replace(other, path)


def moved_with_its_folder(path: Path) -> None:
    os.rename(path.parent, path.parent.with_name("elsewhere"))


def beside(path: Path, what: str) -> Path:
    return Path(f"{path}{what}")


# What happens to the files, and what a writer and a reader say of it.
LOSSES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (os.unlink, "the file was deleted or moved"),
    "moved": (lambda path: os.rename(path, path.with_name("moved.db")), "the file was deleted or moved"),
    "moved with its folder": (moved_with_its_folder, "the file was deleted or moved"),
    "its folder deleted": (lambda path: shutil.rmtree(path.parent), "the file was deleted or moved"),
    "replaced by another log": (replaced_by_a_log, "the file was replaced"),
    "replaced by an empty file": (lambda path: (os.unlink(path), path.touch()), "the file was replaced"),
    "its -wal deleted": (lambda path: os.unlink(beside(path, "-wal")), "its -wal was deleted or moved"),
    "its -shm deleted": (lambda path: os.unlink(beside(path, "-shm")), "its -shm was deleted or moved"),
    "its -wal replaced": (
        lambda path: (os.rename(beside(path, "-wal"), beside(path, "-old")), beside(path, "-wal").touch()),
        "its -wal was replaced",
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "log.db"


async def settled(log: SqliteLog) -> None:
    """Let reads and writes go on until the folder's time is believed, so that only a change of it leads to a look."""
    while log._files._folder.may_have_changed():
        await log.info(KEY)


@pytest.fixture(params=[True, False], ids=["settled", "at once"])
def is_settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(file, "SETTLED_SECONDS", 0.02)  # more than a step of the folder's time
    return bool(request.param)


def lose(loss: Callable[[Path], object], path: Path) -> None:
    """In a thread, as another process would: `anyio.run` cannot run inside a loop."""
    loss(path)


@pytest.mark.parametrize("name", LOSSES)
async def test_it_is_noticed_before_anything_more_is_acknowledged(name: str, is_settled: bool, path: Path) -> None:
    loss, words = LOSSES[name]
    log = SqliteLog(path)
    lease = await log.acquire(KEY, owner="one", seconds=30)
    await log.append(lease, some(0))
    if is_settled:
        await settled(log)
    await anyio.to_thread.run_sync(lose, loss, path)
    for call in (lambda: log.append(lease, some(1)), lambda: log.renew(lease, seconds=30), lambda: log.drop(KEY)):
        with pytest.raises(LogUnusable, match=words):
            await call()
    await log.aclose()


@pytest.mark.parametrize("may_write", [True, False], ids=["a writer's reads", "a reader"])
@pytest.mark.parametrize("name", LOSSES)
async def test_readers_and_tails_notice_it_too(name: str, may_write: bool, is_settled: bool, path: Path) -> None:
    loss, words = LOSSES[name]
    writing = SqliteLog(path)
    await writing.append(await writing.acquire(KEY, owner="one", seconds=30), some(0))
    reading = writing if may_write else SqliteLog(path, may_write=False)
    with anyio.fail_after(10):
        async with tail(reading, KEY, safety_seconds=0.01) as records:
            await anext(records)
            if is_settled:
                await settled(reading)
            await anyio.to_thread.run_sync(lose, loss, path)
            with pytest.raises(LogUnusable, match=words):
                await anext(records)
    with pytest.raises(LogUnusable, match=words):
        await reading.info(KEY)
    await reading.aclose()
    await writing.aclose()


async def test_a_loss_in_the_middle_of_a_commit_is_noticed_before_it_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SqliteLog(path)
    lease = await log.acquire(KEY, owner="one", seconds=30)
    append = queries.append

    def and_delete(*given: object, **named: object) -> object:
        os.unlink(path)
        return append(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(queries, "append", and_delete)
    with pytest.raises(LogUnusable, match="the file was deleted or moved"):
        await log.append(lease, some(0))
    await log.aclose()


async def test_a_log_that_lost_its_file_deletes_nothing_of_the_one_that_took_its_place(path: Path) -> None:
    """SQLite would delete the -wal by its name, and with it what another process has just written."""
    lost = SqliteLog(path)
    await lost.append(await lost.acquire(KEY, owner="one", seconds=30), some(0))
    for each in list(path.parent.iterdir()):
        each.rename(path.parent.with_name(each.name))
    async with SqliteLog(path) as log:
        lease = await log.acquire(KEY, owner="two", seconds=30)
        await log.append(lease, some(0, 3))
        with suppress(LogUnusable):
            await lost.append(lease, some(3))
        await lost.aclose()
        assert beside(path, "-wal").stat().st_size > 0
        await log.append(lease, some(3))
    async with SqliteLog(path) as log:
        assert len(await log.read(KEY)) == 4


async def test_a_lock_that_was_deleted_is_made_again_and_still_excludes(path: Path) -> None:
    async with SqliteLog(path) as one, SqliteLog(path) as two:
        lease = await one.acquire(KEY, owner="one", seconds=30)
        for number in range(6):
            os.unlink(beside(path, "-lock"))
            await (one, two)[number % 2].append(lease, some(number))
        assert len(await two.read(KEY)) == 6
    assert beside(path, "-lock").exists()


@pytest.mark.parametrize("left", [0, 4_096, 100_000], ids=["nothing", "a page", "most of it"])
async def test_a_file_that_is_truncated_under_its_writer_is_noticed(left: int, path: Path) -> None:
    await make(path, count=100)
    log = SqliteLog(path)
    lease = await log.acquire(KEY, owner="one", seconds=30)
    await log.append(lease, some(100))
    os.truncate(path, left)
    with pytest.raises(LogUnusable, match=r"damaged|cut short"):
        await log.append(lease, some(101))
    with suppress(LogUnusable):
        await log.aclose()


async def test_a_file_that_another_program_made_smaller_in_a_proper_way_is_written_on(path: Path) -> None:
    await make(path, count=500)
    async with SqliteLog(path) as log:
        await log.drop(KEY)
        size = path.stat().st_size
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("VACUUM")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < size
        lease = await log.acquire(KEY, owner="one", seconds=30)
        assert await log.append(lease, some(0)) == 1


async def test_a_file_that_grows_and_shrinks_by_the_logs_own_work_is_no_loss(path: Path) -> None:
    async with SqliteLog(path) as one, SqliteLog(path) as two:
        for log in (one, two, one, two):
            lease = await log.acquire(KEY, owner="one", seconds=30)
            await log.append(lease, some(0, 20, size=1_000_000))
            await log.drop(KEY)
        assert await two.info(KEY) is None
