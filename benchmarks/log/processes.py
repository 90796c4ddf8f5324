"""Processes that write to one SQLite log at once: whether each gets its turn, and how long it waits."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import anyio
from attrs import frozen
from msgspec.json import decode, encode

from streamfold.bench import Goal, Row, Spread
from streamfold.log import Record, SqliteLog, StreamKey

__all__ = ["among_processes"]

RECORDS = 16  # in each append
DATA = b"x" * 200


@frozen
class Turns:
    """What a process achieved. `worst` is the milliseconds that its slowest append took."""

    appends: int
    worst: float


def among_processes(processes: int, seconds: float, folder: Path) -> Iterator[Row]:
    """The share of the slowest process, and the longest wait of any."""
    path = folder / "processes.db"
    anyio.run(SqliteLog(path).aclose)
    command = [sys.executable, "-m", "benchmarks.log.processes", str(path), str(seconds)]
    writing = [
        subprocess.Popen([*command, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for place in range(processes)
    ]
    try:
        for each in writing:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in writing:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        got = [decode(each.communicate(timeout=60 + seconds)[0], type=Turns) for each in writing]
    finally:
        for each in writing:
            each.kill()
            each.wait()
    counts = [each.appends for each in got]
    name = f"SQLite: {processes} processes write for {seconds:g} s, {RECORDS} records an append"
    slowest, fastest = (Spread.of([float(each)]) for each in (min(counts), max(counts)))
    share = Spread.of([min(counts) / max(counts)])
    yield Row("log", name, "the slowest", slowest, "appends", "the fastest", fastest, share, goal=Goal("≥", 0.15))
    worst = Spread.of([max(each.worst for each in got)])
    yield Row("log", f"{name}: the longest wait", "SqliteLog", worst, "ms", goal=Goal("≤", 500, "ms"))


# In a writing process


async def write(path: str, seconds: float, name: str) -> None:
    async with SqliteLog(path) as log:
        lease = await log.acquire(StreamKey("tenant", f"resp_{name}"), owner=name, seconds=3600)
        print("ready", flush=True)
        sys.stdin.readline()
        count, worst, end = 0, 0.0, perf_counter() + seconds
        while (begun := perf_counter()) < end:
            first = count * RECORDS
            await log.append(lease, [Record(number, "delta", DATA) for number in range(first, first + RECORDS)])
            count, worst = count + 1, max(worst, perf_counter() - begun)
    print(encode(Turns(count, 1e3 * worst)).decode(), flush=True)


if __name__ == "__main__":
    anyio.run(write, sys.argv[1], float(sys.argv[2]), sys.argv[3])
