"""Flip a bit of a SQLite log's file or of its -wal, or truncate one, and read everything: `make flips FLIPS=500`.

Damage is harmless if all reads back as it was written. If the -wal was damaged, a stream may be a shorter prefix of what
it was: SQLite treats what follows a frame that it cannot trust as never written. The damage is done in another process, so
that one that ends the interpreter, or never ends, is counted too. The exit status is 1 if damage was not detected.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import anyio
from attrs import define, field, frozen

from streamfold.errors import LogError
from streamfold.log import Lease, Note, Record, SavedCheckpoint, SqliteLog, StreamInfo, StreamKey

ROOT = Path(__file__).resolve().parents[2]
PAGE_BYTES = 4096
SECONDS_EACH = 20
SOUND = ("at open", "on read", "by damages", "harmless", "shorter")


@define
class Truth:
    """What a stream was: its records, its checkpoints and its notes, and where it stood after each append."""

    first_number: int
    records: list[Record] = field(factory=list[Record])
    checkpoints: dict[int, bytes] = field(factory=dict[int, bytes])
    notes: list[Note] = field(factory=list[Note])
    stood: list[tuple[int, str | None]] = field(factory=list[tuple[int, str | None]])


@frozen
class Hurt:
    """kind: "flip" of a bit, or "cut". file: the suffix. place: the byte."""

    state: str
    kind: str
    file: str
    place: int
    bit: int

    def do(self, path: Path) -> None:
        file = Path(f"{path}{self.file}")
        data = bytearray(file.read_bytes())
        if self.kind == "cut":
            del data[self.place :]
        else:
            data[self.place] ^= 1 << self.bit
        file.write_bytes(data)


Truths = dict[StreamKey, Truth]


async def build(folder: Path, seed: int) -> Truths:
    """Three states of one log: with its last pages in the -wal, just after they were moved, and closed."""
    random, path = Random(seed), folder / "log.db"
    truths: Truths = {}
    async with SqliteLog(path) as log:
        assert log._writer is not None
        written = log._writer._connection
        leases = [await begin(log, truths, number, random) for number in range(8)]
        for part in range(2):
            for _ in range(60):
                await grow(log, truths, random.choice(leases), random)
            for _ in range(2):
                await grow(log, truths, leases.pop(), random, status="completed")
            if part == 0:
                written.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        keep(path, folder / "written")
        written.execute("PRAGMA wal_checkpoint(PASSIVE)")
        keep(path, folder / "moved")
    keep(path, folder / "closed")
    return truths


def keep(path: Path, folder: Path) -> None:
    folder.mkdir()
    for file in (path, Path(f"{path}-wal")):
        if file.exists():
            shutil.copy(file, folder / file.name)


async def begin(log: SqliteLog, truths: Truths, number: int, random: Random) -> Lease:
    key = StreamKey(f"tenant {number % 2}", f"resp_{number}")
    first = random.choice((0, 0, 3, 300))
    truths[key] = Truth(first, stood=[(first, None)])
    return await log.acquire(key, owner="one", seconds=3600, first_number=first)


async def grow(log: SqliteLog, truths: Truths, lease: Lease, random: Random, status: str | None = None) -> None:
    truth = truths[lease.key]
    first = truth.first_number + len(truth.records)
    records = [
        Record(number, "response.output_text.delta", random.randbytes(random.choice((20, 200, 200, 6000))))
        for number in range(first, first + random.randint(1, 20))
    ]
    await log.append(lease, records, status=status)
    truth.records += records
    truth.stood.append((first + len(records), status))
    if random.random() < 0.3:
        saved = SavedCheckpoint(first, random.randbytes(random.choice((50, 9000))))
        await log.save_checkpoint(lease, saved)
        truth.checkpoints[first] = saved.data
    if random.random() < 0.3:
        note = Note("repair", f"after {first}", first, random.random())
        await log.note(lease, note)
        truth.notes.append(note)


def draw(random: Random, folder: Path) -> Hurt:
    state = random.choice(("written", "moved", "closed"))
    files = [each for each in ("", "-wal") if (folder / state / f"log.db{each}").exists()]
    file = random.choice(files)
    size = (folder / state / f"log.db{file}").stat().st_size
    if random.random() < 0.2:
        return Hurt(state, "cut", file, random.randrange(1, size), 0)
    page = random.randrange(size // PAGE_BYTES) * PAGE_BYTES
    # Most of a file is data: half of the flips are where pages say what is on them.
    place = random.choice(
        (random.randrange(size), random.randrange(size), page + random.randrange(64), random.randrange(PAGE_BYTES))
    )
    return Hurt(state, "flip", file, place, random.randrange(8))


class Wrong(Exception):
    """Something was read that never was written."""


async def outcome(path: Path, truths: Truths, hurt: Hurt, random: Random) -> str:
    """How the hurt was detected. Raises: Wrong; whatever else is raised that should not be."""
    try:
        log = SqliteLog(path, may_write=random.random() < 0.5)
    except LogError:
        return "at open"
    found = ""
    async with log:
        is_whole = True
        for key, truth in truths.items():
            for look in (info_of, records_of, one_of, checkpoints_of, notes_of):
                try:
                    is_whole &= await look(log, key, truth, random)
                except LogError:
                    found = "on read"
        try:
            is_whole &= await listed(log, truths)
        except LogError:
            found = "on read"
        damaged = await log.damages()
    if found or damaged:
        return found or "by damages"
    if is_whole:
        return "harmless"
    if hurt.file != "-wal":
        raise Wrong("something is missing, and nothing tells")
    return "shorter"


def require(is_so: bool, what: str) -> None:
    if not is_so:
        raise Wrong(what)


def require_once(info: StreamInfo, truth: Truth) -> bool:
    require(info.first_number == truth.first_number, "first number")
    require((info.next_number, info.status) in truth.stood, f"{info.key}: {info.next_number} {info.status}")
    return (info.next_number, info.status) == truth.stood[-1]


async def info_of(log: SqliteLog, key: StreamKey, truth: Truth, _: Random) -> bool:
    info = await log.info(key)
    return info is not None and require_once(info, truth)


async def records_of(log: SqliteLog, key: StreamKey, truth: Truth, _: Random) -> bool:
    records: list[Record] = []
    while part := await log.read(key, after=records[-1].sequence_number if records else None, limit=100):
        records += part
    require(records == truth.records[: len(records)], f"{key}: records")
    return len(records) == len(truth.records)


async def one_of(log: SqliteLog, key: StreamKey, truth: Truth, random: Random) -> bool:
    for _ in range(10):
        place = random.randrange(len(truth.records))
        found = await log.read(key, after=truth.first_number + place - 1, limit=1)
        require(found in ([], truth.records[place : place + 1]), f"{key}: record {place}")
        if not found:
            return False
    return True


async def checkpoints_of(log: SqliteLog, key: StreamKey, truth: Truth, _: Random) -> bool:
    for cursor, data in truth.checkpoints.items():
        saved = await log.checkpoint(key, at=cursor)
        if saved is None:
            return False
        require(truth.checkpoints.get(saved.cursor) == saved.data, f"{key}: checkpoint {cursor}")
        if saved != SavedCheckpoint(cursor, data):
            return False
    return True


async def notes_of(log: SqliteLog, key: StreamKey, truth: Truth, _: Random) -> bool:
    notes = list(await log.notes(key))
    require(notes == truth.notes[: len(notes)], f"{key}: notes")
    return len(notes) == len(truth.notes)


async def listed(log: SqliteLog, truths: Truths) -> bool:
    told: list[StreamInfo] = []
    for tenant in ("tenant 0", "tenant 1"):
        told += await log.list(tenant)
    whole = [require_once(each, truths[each.key]) for each in told]
    return all(whole) and len(told) == len(truths) and list(await log.tenants()) == ["tenant 0", "tenant 1"]


async def hurt_all(folder: Path, first: int, beyond: int, seed: int) -> None:
    """Say how each hurt was detected, one on a line."""
    truths = await build(folder, seed)
    for number in range(first, beyond):
        random = Random(f"{seed} {number}")
        hurt = draw(random, folder)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            for file in (folder / hurt.state).iterdir():
                shutil.copy(file, place)
            hurt.do(Path(place) / "log.db")
            print(f"{number} {hurt}", flush=True)
            try:
                print(await outcome(Path(place) / "log.db", truths, hurt, random), flush=True)
            except Exception as error:  # it is what is looked for
                print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


def run(hurts: int, *, seed: int) -> tuple[Counter[str], list[str]]:
    """How often each was detected in which way, and what was not, each with its hurt."""
    counted: Counter[str] = Counter()
    complaints: list[str] = []
    done = 0
    while done < hurts:
        said = list(told(done, hurts, seed))
        for hurt, how in zip(said[::2], [*said[1::2], "the interpreter ended, or it never ended"], strict=False):
            counted[how if how in SOUND else "UNDETECTED"] += 1
            complaints += [] if how in SOUND else [f"{hurt}: {how}"]
            done += 1
        if not said:
            raise RuntimeError("no log could be made")
    return counted, complaints


def told(first: int, beyond: int, seed: int) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.log.flips", "--child", f"{first},{beyond}", "--seed", f"{seed}"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60 + SECONDS_EACH * (beyond - first) / 10,
            check=False,
        )
        said: str | bytes | None = done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout
    yield from (said.decode() if isinstance(said, bytes) else said or "").splitlines()


def summary(counted: Counter[str], seed: int) -> str:
    detected = ", ".join(f"{counted[how]} {how}" for how in SOUND[:3])
    return (
        f"{counted.total()} hurts: detected {detected}; {counted['harmless']} harmless,"
        f" {counted['shorter']} a shorter prefix after a hurt -wal; {counted['UNDETECTED']} UNDETECTED OR WRONG; seed {seed}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", default="")
    asked = parser.parse_args(arguments)
    if asked.child:
        first, beyond = map(int, asked.child.split(","))
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(hurt_all, Path(folder), first, beyond, asked.seed)
        return 0
    counted, complaints = run(asked.flips, seed=asked.seed)
    print("\n".join([*complaints[:20], summary(counted, asked.seed)]))
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
