"""SqliteLog among processes: who is woken, who is fenced, and what a kill, a pause or another's end leaves as it is."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from streamfold.log import Record, SqliteLog, StreamKey, tail
from streamfold.log.sqlite.notify import folder_of
from tests.conftest import trio_is_thorough
from tests.log.crash import Tally, run
from tests.log.race import race
from tests.log.sqlite.test_engine import numbers, some

pytestmark = pytest.mark.anyio

KEY = StreamKey("tenant", "resp_1")

WRITER = """
import anyio, sys
from streamfold.log import Record, SqliteLog, StreamKey

async def main(path):
    async with SqliteLog(path) as log:
        lease = await log.acquire(StreamKey("tenant", "resp_1"), owner="another process", seconds=0)
        for number in range(200):
            await log.append(lease, [Record(number, "delta", b'{"n":%d}' % number)])
        await log.append(lease, [], status="completed")

anyio.run(main, sys.argv[1])
"""


@trio_is_thorough
async def test_a_tail_is_woken_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        await log.acquire(KEY, owner="", seconds=0)
        with anyio.fail_after(30):
            # So long between two looks that only a wake can bring it.
            async with tail(log, KEY, safety_seconds=3600) as records:
                with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as other:
                    got = [each.sequence_number async for each in records]
                    assert other.wait() == 0
    assert got == list(range(200))
    assert not folder_of(path).exists()


@trio_is_thorough
async def test_a_log_that_is_opened_twice_keeps_its_hold_on_the_file(tmp_path: Path) -> None:
    """Else a process that closes its own would take itself for the last, and remove what this one still writes to."""
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await SqliteLog(path).aclose()
        for number in range(3):
            other = "from streamfold.log import SqliteLog; import anyio, sys; anyio.run(SqliteLog(sys.argv[1]).aclose)"
            subprocess.run([sys.executable, "-c", other, str(path)], check=True)
            await log.append(lease, some(number, 1))
            assert (tmp_path / "log.db-wal").stat().st_nlink == 1
    assert await numbers(path) == [0, 1, 2]


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.thorough)])
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, kills: int) -> None:
    """A few of the kills that `make crash` does."""
    tally = run(tmp_path / "log.db", kills=kills, seed=1, tally=Tally())
    assert (tally.kills, tally.lost, tally.damaged) == (kills, 0, 0)
    assert tally.there >= tally.acknowledged > 8 * kills


@trio_is_thorough
@pytest.mark.parametrize("processes", [3, pytest.param(8, marks=pytest.mark.thorough)])
async def test_no_number_is_won_twice_by_processes_that_race_for_it(tmp_path: Path, processes: int) -> None:
    won, fenced = race(f"sqlite:{tmp_path}/log.db", processes=processes, numbers=100)
    async with SqliteLog(tmp_path / "log.db") as log:
        there = {each.sequence_number: each.name for each in await log.read(KEY)}
    assert {number: name for name, numbers in won.items() for number in numbers} == there
    assert sum(map(len, won.values())) == len(there) == 100
    assert fenced > 0


async def test_a_socket_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        async with tail(log, KEY):
            left = folder_of(path) / "1-dead"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.bind(str(left))
            await log.append(await log.acquire(KEY, owner="one", seconds=1), some(0, 1))
            assert not left.exists()


PAUSED = """
import anyio, sys
from streamfold.errors import WriterFenced
from streamfold.log import Record, SqliteLog, StreamKey

async def main(path):
    async with SqliteLog(path) as log:
        lease = await log.acquire(StreamKey("tenant", "resp_1"), owner="the paused one", seconds=0)
        number = lease.next_number
        for number in range(number, number + 3):
            await log.append(lease, [Record(number, "old", b"")])
        print("ready", flush=True)
        sys.stdin.readline()
        for write in (
            lambda: log.append(lease, [Record(number + 1, "old", b"")]),
            lambda: log.append(lease, [], status="completed"),
            lambda: log.renew(lease, seconds=30),
        ):
            try:
                await write()
                print("written", flush=True)
            except WriterFenced:
                print("fenced", flush=True)
        await log.release(lease)

anyio.run(main, sys.argv[1])
"""


@trio_is_thorough
async def test_a_paused_writer_that_wakes_is_refused(tmp_path: Path) -> None:
    """It was stopped between two appends; meanwhile its lease ended, and this process took the stream over."""
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        for round_ in range(3):
            command = [sys.executable, "-c", PAUSED, str(path)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as old:
                try:
                    assert old.stdout is not None
                    assert old.stdout.readline() == "ready\n"
                    os.kill(old.pid, signal.SIGSTOP)
                    lease = await log.acquire(KEY, owner="another", seconds=30)
                    assert lease.next_number == round_ * 4 + 3
                    await log.append(lease, [Record(lease.next_number, "new", b"")])
                    os.kill(old.pid, signal.SIGCONT)
                    said, _ = old.communicate("go on\n", timeout=30)
                finally:
                    old.kill()
            assert said.split() == ["fenced"] * 3
            info = await log.info(KEY)
            assert info is not None
            assert (info.owner, info.epoch, info.status) == ("another", lease.epoch, None)
            await log.release(lease)
        assert [each.name for each in await log.read(KEY)] == ["old", "old", "old", "new"] * 3
