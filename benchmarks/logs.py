"""The log in one file: what appends cost that wait for the disk, alone, together, and among many streams.

In      Logging: how much is measured
Out     Rows
Units   appends a second, milliseconds of the clock on the wall, for waiting for the disk is what is measured
Source  docs/reference/benchmarks.md
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio
from attrs import frozen

from streamfold.bench import Goal, Row, Spread
from streamfold.log import Lease, Record, SqliteLog, StreamKey

__all__ = ["FULL_LOGGING", "QUICK_LOGGING", "Logging", "measure_logs"]

DATA = b'{"type":"response.output_text.delta","delta":"' + b"x" * 150 + b'"}'  # 200 bytes, as engines are measured
GROUPED, SINGLY = "SqliteLog", "the same, an append a commit"


@frozen
class Logging:
    """How much is measured. writers: tasks, each of which waits for its append. appends: of each writer.

    few, many: streams in one file. rounds: samples of each variant, in turns.
    """

    writers: int = 64
    appends: int = 100
    few: int = 100
    many: int = 10_000
    sample_appends: int = 300
    rounds: int = 5


FULL_LOGGING = Logging()
QUICK_LOGGING = Logging(appends=20, many=1_000, sample_appends=100, rounds=3)


class Singly(SqliteLog):
    """Every append is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        assert self._writer is not None
        self._writer._worker._most = 1


def measure_logs(plan: Logging) -> Iterator[Row]:
    """The rows, as they are measured."""
    with TemporaryDirectory() as folder:
        yield from together(plan, Path(folder))
        yield among_many(plan, Path(folder))


def together(plan: Logging, folder: Path) -> Iterator[Row]:
    """Many writers at once, in one commit or each in its own."""
    found: dict[str, list[float]] = {GROUPED: [], SINGLY: []}
    for number in range(plan.rounds):
        kinds = {GROUPED: SqliteLog, SINGLY: Singly}
        for name in kinds if number % 2 == 0 else reversed(list(kinds)):
            path = folder / f"{number} {name}.db"
            found[name].append(anyio.run(appends_a_second, kinds[name](path), plan.writers, plan.appends))
    ours, theirs = (Spread.of(found[name]) for name in (GROUPED, SINGLY))
    ratio = Spread.of([one / other for one, other in zip(found[GROUPED], found[SINGLY], strict=True)])
    name = f"SQLite: {plan.writers} writers, each waits for its append"
    unit = "appends/s"
    yield Row("log", name, GROUPED, ours, unit, goal=Goal("≥", 10_000, unit))
    yield Row("log", name, GROUPED, ours, unit, SINGLY, theirs, ratio, goal=Goal("≥", 6, "× as many"), is_faster=True)


def among_many(plan: Logging, folder: Path) -> Row:
    """One append among few streams of a file, and among many."""
    few, many = anyio.run(append_milliseconds, SqliteLog(folder / "many.db"), plan)
    ratio = Spread.of([median(many) / median(few)])
    name = f"SQLite: an append among {plan.many:,} streams, against {plan.few:,}"
    theirs = f"among {plan.few:,}"
    return Row("log", name, GROUPED, Spread.of(many), "ms", theirs, Spread.of(few), ratio, goal=Goal("≤", 2))


async def appends_a_second(log: SqliteLog, writers: int, appends: int) -> float:
    async with log:
        leases = [await begin(log, number) for number in range(writers)]
        begun = perf_counter()
        async with anyio.create_task_group() as tasks:
            for lease in leases:
                tasks.start_soon(write, log, lease, appends)
        return writers * appends / (perf_counter() - begun)


async def begin(log: SqliteLog, number: int) -> Lease:
    return await log.acquire(StreamKey("tenant", f"resp_{number}"), owner="bench", seconds=3600)


async def write(log: SqliteLog, lease: Lease, appends: int) -> None:
    for number in range(appends):
        await log.append(lease, [Record(number, "response.output_text.delta", DATA)])


async def append_milliseconds(log: SqliteLog, plan: Logging) -> tuple[list[float], list[float]]:
    """How long an append took, each to another stream: while there were few, and when there were many."""
    async with log:
        leases = [await begin(log, number) for number in range(plan.few)]
        few = await timed(log, leases, plan.sample_appends, at=0)
        async with anyio.create_task_group() as tasks:
            for number in range(plan.few, plan.many):
                tasks.start_soon(begin, log, number)
        more = [await begin(log, number) for number in range(plan.many - plan.few, plan.many)]
        many = await timed(log, more, plan.sample_appends, at=0)
    return few, many


async def timed(log: SqliteLog, leases: list[Lease], count: int, *, at: int) -> list[float]:
    taken: list[float] = []
    for number in range(count):
        place = number % len(leases)
        record = Record(at + number // len(leases), "response.output_text.delta", DATA)
        begun = perf_counter()
        await log.append(leases[place], [record])
        taken.append(1e3 * (perf_counter() - begun))
    return taken
