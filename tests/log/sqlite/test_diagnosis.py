"""diagnose: what is told of the file and its settings, and when something about them is unsafe."""

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamfold.log import Diagnosis, SqliteLog
from streamfold.log.sqlite import health
from streamfold.log.sqlite.health import file_system_of

pytestmark = pytest.mark.anyio

MOUNTS = """
/dev/sda1 / ext4 rw 0 0
tmpfs /srv tmpfs rw 0 0
server:/export /srv/far\\040away nfs4 rw 0 0
"""


async def diagnosis(path: Path) -> Diagnosis:
    async with SqliteLog(path) as log:
        return await log.diagnose()


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite that is not old."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))


async def test_a_sound_log_has_nothing_unsafe(tmp_path: Path, sound: None) -> None:
    told = await diagnosis(tmp_path / "log.db")
    assert told.unsafe == ()
    assert told.engine == f"SQLite {sqlite3.sqlite_version}"
    assert told.settings["schema"] == "3 of 3"
    assert told.settings["journal_mode"] == "wal"
    assert told.settings["synchronous"] == "full"
    assert told.settings["permissions"] == "600"
    assert told.settings["notifications"] == "sockets"


async def test_an_old_sqlite_is_told_as_unsafe_beside_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    (line,) = (await diagnosis(tmp_path / "log.db")).unsafe
    assert "only under its lock, so let no other program write the file" in line


async def test_a_file_that_others_may_read_is_unsafe(tmp_path: Path, sound: None) -> None:
    async with SqliteLog(tmp_path / "log.db"):
        pass
    (tmp_path / "log.db").chmod(0o644)
    (line,) = (await diagnosis(tmp_path / "log.db")).unsafe
    assert "its permissions are 644; run chmod 600 on it" in line


async def test_a_file_on_a_network_is_unsafe(tmp_path: Path, sound: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mounts").write_text(f"server:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(health, "MOUNTS", tmp_path / "mounts")
    (line,) = (await diagnosis(tmp_path / "log.db")).unsafe
    assert "the file is on nfs4" in line


async def test_a_file_system_of_small_blocks_is_unsafe(
    tmp_path: Path, sound: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bsize=1024))
    (line,) = (await diagnosis(tmp_path / "log.db")).unsafe
    assert "blocks of 1,024 bytes: when it is full, SQLite kills the process" in line


async def test_where_nobody_can_be_woken_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.log.sqlite.notify.new_socket", lambda: None)
    told = await diagnosis(tmp_path / "log.db")
    assert told.settings["notifications"] == "none: tails poll every safety_seconds"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/var/log.db", "ext4", id="of the whole machine"),
        pytest.param("/srv/log.db", "tmpfs", id="of a folder"),
        pytest.param("/srv/far away/a/log.db", "nfs4", id="of the nearest folder, with a blank in its name"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(
    path: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS.strip())
    monkeypatch.setattr(health, "MOUNTS", tmp_path / "mounts")
    assert file_system_of(Path(path)) == kind


def test_a_system_that_lists_no_mounts_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOUNTS", tmp_path / "nowhere")
    assert file_system_of(tmp_path / "log.db") is None
