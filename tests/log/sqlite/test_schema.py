"""The schema: a file of an older version becomes one of ours, whole or not at all; any other is refused."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from streamfold.errors import LogUnusable
from streamfold.log import EventLog, Note, Record, SqliteLog
from tests.log.sqlite import version_1
from tests.log.sqlite.version_1 import CHECKPOINTS, FINISHED, OPEN, RECORDS

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from streamfold.log import SqliteLog
from streamfold.log.sqlite import schema

def to_2_and_no_further(connection):
    to_2(connection)
    connection.execute("PRAGMA cache_spill = 1")
    os.kill(os.getpid(), signal.SIGKILL)

to_2 = schema.STEPS[1]
schema.STEPS = {1: to_2_and_no_further}
SqliteLog(Path(sys.argv[1]))
"""


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()


async def complain_unless_whole(log: EventLog) -> None:
    for key, records in RECORDS.items():
        assert await log.read(key, limit=1_000) == records
        for saved in CHECKPOINTS[key]:
            assert await log.checkpoint(key, at=saved.cursor) == saved
        assert list(await log.notes(key)) == []
    assert list(await log.damages()) == []


async def test_a_file_of_version_1_is_migrated_and_whole(tmp_path: Path) -> None:
    version_1.make(tmp_path / "log.db")
    async with SqliteLog(tmp_path / "log.db") as log:
        await complain_unless_whole(log)
        finished, still_open = [await log.info(key) for key in (FINISHED, OPEN)]
    assert finished is not None
    assert still_open is not None
    assert (finished.status, finished.next_number, finished.expires_at) == ("completed", 300, version_1.EXPIRES_AT)
    assert (still_open.status, still_open.first_number, still_open.next_number) == (None, 7, 200)
    assert (still_open.owner, still_open.epoch) == (version_1.OWNER, version_1.EPOCH)
    assert still_open.is_cancel_requested


async def test_a_file_that_was_migrated_is_gone_on_with(tmp_path: Path) -> None:
    version_1.make(tmp_path / "log.db")
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(OPEN, owner="another", seconds=30)
        await log.append(lease, [Record(200, "delta", b"")], status="completed")
        await log.note(lease, Note("end", "it is over", 200, 1.5))
    async with SqliteLog(tmp_path / "log.db") as log:
        assert [each.sequence_number for each in await log.read(OPEN, after=198)] == [199, 200]
        assert list(await log.notes(OPEN)) == [Note("end", "it is over", 200, 1.5)]
        assert list(await log.damages()) == []


async def test_what_was_damaged_before_a_migration_is_damaged_after_it(tmp_path: Path) -> None:
    version_1.make(tmp_path / "log.db")
    asked(tmp_path / "log.db", "UPDATE event SET data = x'00' WHERE k = (1 << 24) + 5")
    asked(tmp_path / "log.db", "UPDATE event SET name = x'00' WHERE k = (1 << 24) + 6")
    async with SqliteLog(tmp_path / "log.db") as log:
        assert [(each.key, each.reason) for each in await log.damages()] == [
            (FINISHED, "record 5 is damaged"),
            (FINISHED, "record 6 is damaged"),
        ]


async def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    version_1.make(tmp_path / "old.db")
    tables: list[object] = []
    for name in ("old.db", "new.db"):
        async with SqliteLog(tmp_path / name):
            pass
        of_all = [asked(tmp_path / name, f"PRAGMA table_xinfo({table})") for table in ("stream", "event", "note")]
        checkpoint = sorted(row[1:] for row in asked(tmp_path / name, "PRAGMA table_xinfo(checkpoint)"))
        indexes = asked(tmp_path / name, "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name")
        tables.append((of_all, checkpoint, indexes, asked(tmp_path / name, "PRAGMA user_version")))
    assert tables[0] == tables[1]


async def test_a_kill_in_the_middle_of_a_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    version_1.make(path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert asked(path, "PRAGMA user_version") == [(1,)]
    assert asked(path, "SELECT count(*) FROM pragma_table_info('stream')") == [(12,)]
    async with SqliteLog(path) as log:
        await complain_unless_whole(log)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param(0, "it has schema 0, which does not exist", id="of none"),
        pytest.param(
            4, "it has schema 4 and this streamfold supports up to 3; upgrade streamfold", id="of a newer one"
        ),
    ],
)
async def test_a_version_that_is_not_known_is_refused(version: int, words: str, tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db"):
        pass
    asked(tmp_path / "log.db", f"PRAGMA user_version = {version}")
    for may_write in (True, False):
        with pytest.raises(LogUnusable, match=words):
            SqliteLog(tmp_path / "log.db", may_write=may_write)
    assert asked(tmp_path / "log.db", "PRAGMA user_version") == [(version,)]


async def test_a_writer_stops_when_a_newer_streamfold_has_migrated_the_file(tmp_path: Path) -> None:
    async with SqliteLog(tmp_path / "log.db") as log:
        lease = await log.acquire(OPEN, owner="one", seconds=30)
        asked(tmp_path / "log.db", "PRAGMA user_version = 4")
        with pytest.raises(LogUnusable, match="upgrade streamfold"):
            await log.append(lease, [Record(0, "delta", b"")])


async def test_a_file_of_version_1_is_not_read_before_it_was_migrated(tmp_path: Path) -> None:
    version_1.make(tmp_path / "log.db")
    with pytest.raises(LogUnusable, match="it has schema 1; open it once for writing to migrate it to 3"):
        SqliteLog(tmp_path / "log.db", may_write=False)
