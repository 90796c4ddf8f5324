"""Tails of a SQLite log in other processes: how late they are, alone and in a crowd, notified and polling.

This process writes; each reading process runs this module and reports what it saw at its end. Lateness is measured from
before the append until the tail has yielded the record.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from time import monotonic_ns, perf_counter, process_time

import anyio
from anyio.to_thread import run_sync
from attrs import frozen
from msgspec.json import decode, encode

from streamfold.bench import Goal, Row, Spread
from streamfold.log import Record, SqliteLog, StreamKey, Watch, tail

__all__ = ["FULL_TAILING", "QUICK_TAILING", "Loosely", "TailScale", "measure_tails"]

KEY = StreamKey("tenant", "resp_1")
POLL_SECONDS = 0.005
WARM_RECORDS = 10
WOKEN, POLLING = "SqliteLog", "a poll each 5 ms"
SHARED, OWN = "one log for all tails of a process", "a log for each tail"


@frozen
class TailScale:
    """How much is measured. records: of each run. alone, crowd: records a second. processes, tails: of the crowd; the
    tails of each process. rounds: runs of each variant, in turns."""

    records: int = 300
    alone: float = 200.0
    crowd: float = 50.0
    processes: int = 4
    tails: int = 25
    rounds: int = 3


FULL_TAILING = TailScale()
QUICK_TAILING = TailScale(records=60, processes=2, rounds=1)


@frozen
class Seen:
    """What the readers saw: milliseconds of each record, and the cores that all of them used."""

    late: tuple[float, ...]
    acknowledged: tuple[float, ...]
    cores: float


@frozen
class Asked:
    """What a reading process does: how many logs it opens, with how many tails each."""

    path: str
    logs: int
    tails: int
    polls: bool


@frozen
class Told:
    late: tuple[float, ...]
    cores: float


class Loosely(SqliteLog):
    """An acknowledged record survives a crash of the process but not a power cut: nothing waits for the disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        assert self._writer is not None
        self._writer._connection.execute("PRAGMA synchronous = NORMAL")


class Polling(SqliteLog):
    """It gets no notifications."""

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        return self._asleep()

    @asynccontextmanager
    async def _asleep(self) -> AsyncGenerator[Watch, None]:
        yield Asleep()


class Asleep(Watch):
    async def wait(self, *, seconds: float) -> None:
        await anyio.sleep(POLL_SECONDS)


def measure_tails(scale: TailScale, folder: Path) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    alone = {WOKEN: (1, 1, False), POLLING: (1, 1, True)}
    woken, polling = runs(scale, folder, alone, processes=1, rate=scale.alone).values()
    yield row(f"a tail in another process, {scale.alone:g} records/s", WOKEN, woken, POLLING, polling, Goal("≤", 0.35))
    after = Spread.of([median(each.late) - median(each.acknowledged) for each in woken])
    yield Row("log", "SQLite: the same, less the append itself", WOKEN, after, "ms", goal=Goal("≤", 1, "ms"))

    crowds = {SHARED: (1, scale.tails, False), OWN: (scale.tails, 1, False)}
    shared, own = runs(scale, folder, crowds, processes=scale.processes, rate=scale.crowd).values()
    (one,) = runs(scale, folder, {"alone": (1, 1, False)}, processes=1, rate=scale.crowd).values()
    name = f"{scale.processes * scale.tails} tails in {scale.processes} processes, {scale.crowd:g} records/s"
    yield row(name, SHARED, shared, "one tail", one, Goal("≤", 4))
    cores = [Spread.of([each.cores for each in seen]) for seen in (shared, own)]
    ratio = Spread.of([each.cores / other.cores for each, other in zip(shared, own, strict=True)])
    yield Row("log", f"SQLite: {name}", SHARED, cores[0], "cores", OWN, cores[1], ratio, goal=Goal("≤", 0.35))


def row(name: str, subject: str, ours: Sequence[Seen], reference: str, theirs: Sequence[Seen], goal: Goal) -> Row:
    medians = [[median(each.late) for each in seen] for seen in (ours, theirs)]
    ratio = Spread.of([one / other for one, other in zip(*medians, strict=True)])
    spreads = [Spread.of(each) for each in medians]
    return Row("log", f"SQLite: {name}", subject, spreads[0], "ms", reference, spreads[1], ratio, goal=goal)


def runs(
    scale: TailScale, folder: Path, variants: dict[str, tuple[int, int, bool]], *, processes: int, rate: float
) -> dict[str, list[Seen]]:
    """What each variant showed, round by round. A variant is a number of logs, of tails each, and whether it polls."""
    found: dict[str, list[Seen]] = {name: [] for name in variants}
    for number in range(scale.rounds):
        for name in variants if number % 2 == 0 else reversed(list(variants)):
            logs, tails, polls = variants[name]
            path = folder / f"tails {processes} {number} {name}.db"
            asked = Asked(str(path), logs, tails, polls)
            found[name].append(anyio.run(seen_by, scale, path, asked, processes, rate))
    return found


async def seen_by(scale: TailScale, path: Path, asked: Asked, processes: int, rate: float) -> Seen:
    command = [sys.executable, "-m", "benchmarks.log.tails", encode(asked).decode()]
    async with Loosely(path) as log:  # it is the wake that is measured, and not the disk
        lease = await log.acquire(KEY, owner="bench", seconds=3600)
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        try:
            for reader in readers:
                await run_sync(line_of, reader)
            acknowledged: list[float] = []
            begun = perf_counter()
            for number in range(scale.records):
                await anyio.sleep(max(0.0, begun + number / rate - perf_counter()))
                sent = monotonic_ns()
                await log.append(lease, [Record(number, "delta", b"%d" % sent)])
                acknowledged.append((monotonic_ns() - sent) / 1e6)
            await log.append(lease, [], status="completed")
            told = [decode(await run_sync(line_of, reader), type=Told) for reader in readers]
        finally:
            for reader in readers:
                reader.kill()
                reader.communicate()
    late = tuple(each for of_one in told for each in of_one.late)
    return Seen(late, tuple(acknowledged[WARM_RECORDS:]), sum(each.cores for each in told))


def line_of(reader: "subprocess.Popen[str]") -> str:
    assert reader.stdout is not None
    return reader.stdout.readline()


# In a reading process


async def read(asked: Asked) -> None:
    kind = Polling if asked.polls else SqliteLog
    logs = [kind(asked.path) for _ in range(asked.logs)]
    late: list[float] = []

    async def follow(log: SqliteLog) -> None:
        async with tail(log, KEY, safety_seconds=3600) as records:
            async for record in records:
                if record.sequence_number >= WARM_RECORDS:
                    late.append((monotonic_ns() - int(record.data)) / 1e6)

    begun, before = perf_counter(), process_time()
    async with anyio.create_task_group() as tasks:
        for log in logs:
            for _ in range(asked.tails):
                tasks.start_soon(follow, log)
        await anyio.sleep(0.2)
        print("ready", flush=True)
    cores = (process_time() - before) / (perf_counter() - begun)
    for log in logs:
        await log.aclose()
    print(encode(Told(tuple(late), cores)).decode(), flush=True)


if __name__ == "__main__":
    anyio.run(read, decode(sys.argv[1], type=Asked))
