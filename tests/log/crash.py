"""Kill the process that writes a SQLite log, or the server of one on Valkey, at random moments: `make crash KILLS=1000`.

Each kill is of a new process that writes four streams into one file, which all kills share. Its parent has read a random
number of acknowledgements when it kills it. Then the file is opened, every record compared with what was appended, and
each stream continued. It prints what was acknowledged, lost and damaged; the exit status is 1 if anything was.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import anyio
from attrs import define

from streamfold.log import Record, SqliteLog, StreamKey

STREAMS = 4
MOST_RECORDS = 100_000
WRITER = """
import anyio, sys
from streamfold.log import SqliteLog
from tests.log.crash import MOST_RECORDS, STREAMS, key_of, record

async def write(log, name, stream):
    lease = await log.acquire(key_of(name, stream), owner="killed", seconds=0)
    for number in range(MOST_RECORDS):
        await log.append(lease, [record(stream, number)])
        print(stream, number, flush=True)

async def main(path, name):
    async with SqliteLog(path) as log, anyio.create_task_group() as tasks:
        for stream in range(STREAMS):
            tasks.start_soon(write, log, name, stream)

anyio.run(main, sys.argv[1], sys.argv[2])
"""
ROOT = Path(__file__).resolve().parents[2]


@define
class Tally:
    """What came of the kills. acknowledged, there: records. lost, damaged: of those that were acknowledged."""

    kills: int = 0
    acknowledged: int = 0
    there: int = 0
    lost: int = 0
    damaged: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills:,} kills, {self.acknowledged:,} records acknowledged, {self.there:,} there;"
            f" {self.lost} lost, {self.damaged} damaged, every stream gone on with"
        )


def key_of(name: str, stream: int) -> StreamKey:
    return StreamKey("tenant", f"{name}_{stream}")


def record(stream: int, number: int) -> Record:
    return Record(
        number, "delta", (f'{{"stream":{stream},"sequence_number":{number}}}').encode() + b" " * (number % 300)
    )


@contextmanager
def writing(path: Path, name: str, program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, str(path), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def kill_once(path: Path, name: str, random: Random, program: str = WRITER) -> dict[int, int]:
    """How many records of each stream were acknowledged when the process was killed."""
    acknowledged = dict.fromkeys(range(STREAMS), 0)
    with writing(path, name, program) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(random.choice((1, 5, 40, 200)) + random.randrange(8))]
        process.kill()
        lines += process.stdout.readlines()
    for line in lines:
        if line.endswith("\n"):  # the last one may be cut short
            stream, number = map(int, line.split())
            acknowledged[stream] = max(acknowledged[stream], number + 1)
    return acknowledged


async def look(path: Path, name: str, acknowledged: dict[int, int], tally: Tally) -> None:
    """Compare what is there with what was appended, and go on with it."""
    tally.kills += 1
    async with SqliteLog(path) as log:
        for stream, count in acknowledged.items():
            key = key_of(name, stream)
            found = await log.read(key, limit=MOST_RECORDS)
            tally.acknowledged += count
            tally.there += len(found)
            tally.lost += max(0, count - len(found))
            tally.damaged += sum(each != record(stream, number) for number, each in enumerate(found))
            lease = await log.acquire(key, owner="another", seconds=30)
            assert lease.next_number == len(found)
            await log.append(lease, [record(stream, len(found))], status="completed")
            assert len(await log.read(key, limit=MOST_RECORDS)) == len(found) + 1


def run(path: Path, *, kills: int, seed: int, tally: Tally) -> Tally:
    random = Random(seed)
    for number in range(kills):
        name = f"kill_{seed}_{number}"
        acknowledged = kill_once(path, name, random)
        anyio.run(look, path, name, acknowledged, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=["sqlite", "valkey"], default="sqlite")
    asked = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        if asked.engine == "sqlite":
            run(Path(folder) / "log.db", kills=asked.kills, seed=asked.seed, tally=tally)
        else:
            from tests.log.crash_valkey import run as run_valkey

            run_valkey(Path(folder), kills=asked.kills, seed=asked.seed, tally=tally)
    print(f"{tally}; seed {asked.seed}")
    return int(bool(tally.lost or tally.damaged))


if __name__ == "__main__":
    sys.exit(main())
