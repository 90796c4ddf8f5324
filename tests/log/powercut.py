"""Cut the power of the disk that a SQLite log is on, and fill such a disk up: `make test-powercut CUTS=10`. Needs root.

The log is on a file system in a file. Its writer is killed and the file copied at once, so the copy has what the disk was
given and nothing that was only in memory. The copy is mounted, as after the power came back, and read. The exit status
is 1 if an acknowledged record was lost.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from random import Random

import anyio

from streamfold.errors import LogError, LogUnusable
from streamfold.log import Record, SqliteLog, StreamKey
from tests.log.crash import WRITER, Tally, kill_once, look

IMAGE_BYTES = 64 * 1024 * 1024
KEY = StreamKey("tenant", "resp_1")
CARELESS = WRITER.replace(
    "from streamfold.log import SqliteLog", "from tests.log.powercut import Careless as SqliteLog"
)


class Careless(SqliteLog):
    """Acknowledges what is not on the disk yet: what shows that a power cut loses something here."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        assert self._writer is not None
        self._writer._connection.execute("PRAGMA synchronous = OFF")


def why_not() -> str:
    """Why no power can be cut here; empty if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root may mount a disk"
    if missing := [each for each in ("mount", "umount", "mkfs.ext4", "losetup") if shutil.which(each) is None]:
        return f"there is no {', '.join(missing)}"
    found = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return "" if found.returncode == 0 else f"there is no loop device: {found.stderr.strip()}"


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[Path]:
    """A file system, at this folder. It is let go of whatever happens in between."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *how, str(folder)], check=True)
    try:
        yield folder
    finally:
        if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode != 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def new_disk(folder: Path, size: int) -> Iterator[tuple[Path, Path]]:
    """A disk of its own: the file that it is, and where it is mounted."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(size)
    # Where blocks are smaller than SQLite's pages of shared memory, a full disk ends the process: diagnose warns of it.
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", str(image)], check=True)
    with mounted(folder / "disk", "-o", "loop", str(image)) as disk:
        yield image, disk


def cut_once(folder: Path, name: str, random: Random, tally: Tally, program: str) -> None:
    copy = folder / "copy.img"
    with new_disk(folder, IMAGE_BYTES) as (image, disk):
        acknowledged = kill_once(disk / "log.db", name, random, program)
        shutil.copy(image, copy)
    with mounted(folder / "after", "-o", "loop", str(copy)) as disk:
        try:
            anyio.run(look, disk / "log.db", name, acknowledged, tally)
        except LogError as error:
            print(error)
            tally.lost += sum(acknowledged.values())


def cut(folder: Path, *, cuts: int, seed: int, program: str = WRITER) -> Tally:
    """What came of so many power cuts."""
    random, tally = Random(seed), Tally()
    for number in range(cuts):
        cut_once(folder, f"cut_{seed}_{number}", random, tally, program)
    return tally


@contextmanager
def refused(words: str) -> Iterator[None]:
    """What is done in it must be refused in these words."""
    try:
        yield
    except LogUnusable as error:
        if words not in str(error):
            raise
    else:
        raise AssertionError(f"was not refused: {words}")


async def fill_up(disk: Path) -> int:
    """Write until the disk is full; then all that was acknowledged is there, and with room again it goes on.

    Returns: how many records there were.
    """
    path, ballast = disk / "log.db", disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    async with SqliteLog(path) as log:
        lease = await log.acquire(KEY, owner="one", seconds=3600)
        count = 0
        with refused("the disk is full; nothing was written"):
            while True:
                count = await log.append(lease, [record(number) for number in range(count, count + 5)])
        await require_whole(log, count)
        ballast.unlink()
        assert await log.append(lease, [record(count)], status="completed") == count + 1
    async with SqliteLog(path) as log:
        await require_whole(log, count + 1)
    return count + 1


def record(number: int) -> Record:
    return Record(number, "delta", Random(number).randbytes(2_000))


async def require_whole(log: SqliteLog, count: int) -> None:
    assert await log.read(KEY, limit=100_000) == [record(number) for number in range(count)]
    assert list(await log.damages()) == []


async def begin_on_a_full_disk(disk: Path) -> None:
    """A log that there is no room for is refused, and made once there is."""
    (disk / "ballast").write_bytes(b"")
    with (disk / "ballast").open("r+b", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError as error:
            if error.errno != ENOSPC:
                raise
    with refused("the disk"):
        await SqliteLog(disk / "log.db").aclose()
    (disk / "ballast").unlink()
    async with SqliteLog(disk / "log.db") as log:
        await log.acquire(KEY, owner="one", seconds=1)


async def read_where_nothing_can_be_written(disk: Path) -> None:
    """On a disk that is mounted to be read, a log is read, and one that is to be written is refused."""
    async with SqliteLog(disk / "log.db", may_write=False) as log:
        info = await log.info(KEY)
        assert info is not None
        await require_whole(log, info.next_number)
        assert (await log.diagnose()).settings["file system"] == "ext4"
    with refused("Read-only file system"):
        await SqliteLog(disk / "log.db").aclose()


def full_disks(folder: Path) -> int:
    """Fill up one disk of a file, and one in memory. Returns: the records that were on them."""
    with new_disk(folder, 16 * 1024 * 1024) as (_, disk):
        count = anyio.run(fill_up, disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        anyio.run(read_where_nothing_can_be_written, disk)
    with mounted(folder / "memory", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        count += anyio.run(fill_up, disk)
    with mounted(folder / "memory", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        anyio.run(begin_on_a_full_disk, disk)
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if reason := why_not():
        print(f"skipped: {reason}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is mounted is let go of
    with tempfile.TemporaryDirectory() as folder:
        ours = cut(Path(folder), cuts=asked.cuts, seed=asked.seed)
        print(f"{ours}".replace("kills", "power cuts"))
        theirs = cut(Path(folder), cuts=2, seed=asked.seed, program=CARELESS)
        print(f"a log that does not wait for the disk, {theirs.kills} cuts: {theirs.lost:,} of its records lost")
        print(f"full disks: {full_disks(Path(folder)):,} records, each there; then gone on with")
    return int(bool(ours.lost or ours.damaged or not theirs.lost))


if __name__ == "__main__":
    sys.exit(main())
