"""The benchmark `log`: what appends to a SQLite file cost, alone, together and among many streams, and how late tails are.

It uses wall-clock time, because an append mostly waits for the disk.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, time

import anyio
from attrs import frozen

from benchmarks.log.processes import among_processes
from benchmarks.log.tails import FULL_TAILING, QUICK_TAILING, Loosely, TailScale, measure_tails
from streamfold.bench import Goal, Row, Spread
from streamfold.log import Lease, Record, SqliteLog, StreamKey
from streamfold.log.sqlite import queries
from streamfold.log.sqlite.file import connect, make

__all__ = ["FULL_LOGGING", "QUICK_LOGGING", "LogScale", "measure_logs"]

DATA = b'{"type":"response.output_text.delta","delta":"' + b"x" * 150 + b'"}'  # 200 bytes, as engines are measured
GROUPED, SINGLY, LOOSELY = "SqliteLog", "the same, an append a commit", "the same, synchronous = NORMAL"
STRIDE = 7919  # a prime, so that appends go round all streams, and not to neighbours
CONTRACT, RAW = "all that an append looks at", "inserts alone"
AWAITED, DIRECT = "SqliteLog", "the same, in the caller's thread"


@frozen
class LogScale:
    """How much is measured. writers: tasks, each of which waits for its append. appends: of each writer.

    few, many: streams in one file. batches: transactions of one stream. rounds: samples of each variant, in turns.
    processes, seconds: that write at once, and for how long.
    """

    writers: int = 64
    appends: int = 100
    few: int = 100
    many: int = 10_000
    sample_appends: int = 300
    batches: int = 100
    processes: int = 8
    seconds: float = 3.0
    rounds: int = 5
    tailing: TailScale = FULL_TAILING


FULL_LOGGING = LogScale()
QUICK_LOGGING = LogScale(
    appends=20, many=1_000, sample_appends=100, batches=20, seconds=1, rounds=3, tailing=QUICK_TAILING
)


class Singly(SqliteLog):
    """Every append is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        assert self._writer is not None
        self._writer._worker._max_jobs = 1


def measure_logs(scale: LogScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with TemporaryDirectory() as folder:
        yield against_inserts(scale, Path(folder), "NORMAL", 16, Goal("≥", 0.5, "× as many"))
        yield against_inserts(scale, Path(folder), "FULL", 256, Goal("≥", 0.7, "× as many"))
        yield from together(scale, Path(folder))
        yield awaited(scale, Path(folder))
        yield among_many(scale, Path(folder))
        yield from among_processes(scale.processes, scale.seconds, Path(folder))
        yield from measure_tails(scale.tailing, Path(folder))


def in_turns(rounds: int, variants: Mapping[str, Callable[[int], float]]) -> dict[str, list[float]]:
    """The result of each variant, round by round; every second round runs in reverse order."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds):
        for name in variants if number % 2 == 0 else reversed(list(variants)):
            found[name].append(variants[name](number))
    return found


def compared(
    name: str, unit: str, found: Mapping[str, Sequence[float]], ours: str, theirs: str, goal: Goal, *, is_faster: bool
) -> Row:
    ratio = Spread.of([one / other for one, other in zip(found[ours], found[theirs], strict=True)])
    one, other = (Spread.of(found[each]) for each in (ours, theirs))
    return Row("log", f"SQLite: {name}", ours, one, unit, theirs, other, ratio, goal=goal, is_faster=is_faster)


def against_inserts(scale: LogScale, folder: Path, synchronous: str, size: int, goal: Goal) -> Row:
    """One stream, batch after batch in this thread: the cost of the checks before each write."""
    variants = {CONTRACT: appended, RAW: inserted}
    found = in_turns(
        scale.rounds,
        {
            name: partial(records_a_second, write, folder / f"{synchronous} {name}", synchronous, size, scale.batches)
            for name, write in variants.items()
        },
    )
    name = f"batches of {size}, {synchronous}, one stream"
    return compared(name, "records/s", found, CONTRACT, RAW, goal, is_faster=True)


Inserting = Callable[[queries.Transaction, Lease, list[Record]], object]


def appended(transaction: queries.Transaction, lease: Lease, records: list[Record]) -> None:
    queries.append(transaction, lease, records, status=None)


def inserted(transaction: queries.Transaction, lease: Lease, records: list[Record]) -> None:
    transaction.connection.executemany(
        "INSERT INTO raw VALUES (?, ?, ?)", [(each.sequence_number, each.name, each.data) for each in records]
    )


def records_a_second(write: Inserting, path: Path, synchronous: str, size: int, batches: int, number: int) -> float:
    path = path.with_name(f"{path.name} {size} {number}.db")
    make(path)
    with closing(connect(path, may_write=True)) as connection:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("CREATE TABLE raw (k INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL)")
        key = StreamKey("tenant", "resp_1")
        transaction = queries.Transaction(connection, time)
        lease = queries.acquire(transaction, key, owner="bench", seconds=3600, first_number=0)
        begun = perf_counter()
        for first in range(0, batches * size, size):
            records = [Record(each, "response.output_text.delta", DATA) for each in range(first, first + size)]
            connection.execute("BEGIN IMMEDIATE")
            write(transaction, lease, records)
            connection.execute("COMMIT")
        return batches * size / (perf_counter() - begun)


def together(scale: LogScale, folder: Path) -> Iterator[Row]:
    """Many writers at once, sharing commits or with a commit each, and without waiting for the disk."""

    def measured(name: str, kind: Callable[[Path], SqliteLog], number: int) -> float:
        return anyio.run(appends_a_second, kind(folder / f"{number} {name}.db"), scale.writers, scale.appends)

    kinds: dict[str, Callable[[Path], SqliteLog]] = {GROUPED: SqliteLog, SINGLY: Singly, LOOSELY: Loosely}
    found = in_turns(scale.rounds, {name: partial(measured, name, kind) for name, kind in kinds.items()})
    name, unit = f"{scale.writers} writers, each waits for its append", "appends/s"
    yield Row("log", f"SQLite: {name}", GROUPED, Spread.of(found[GROUPED]), unit, goal=Goal("≥", 10_000, unit))
    yield compared(name, unit, found, GROUPED, SINGLY, Goal("≥", 6, "× as many"), is_faster=True)
    yield compared(name, unit, found, GROUPED, LOOSELY, Goal("≥", 0.75, "× as many"), is_faster=True)


def awaited(scale: LogScale, folder: Path) -> Row:
    """One writer: the cost of writing in the log's own thread instead of the caller's."""
    found = in_turns(
        scale.rounds,
        {
            name: partial(median_append, folder / f"awaited {name}", append, scale.sample_appends)
            for name, append in {AWAITED: awaited_append, DIRECT: direct_append}.items()
        },
    )
    return compared("an append, one writer", "ms", found, AWAITED, DIRECT, Goal("≤", 2), is_faster=False)


Appending = Callable[[SqliteLog, Lease, Record], Awaitable[object]]


async def awaited_append(log: SqliteLog, lease: Lease, record: Record) -> None:
    await log.append(lease, [record])


async def direct_append(log: SqliteLog, lease: Lease, record: Record) -> None:
    assert log._writer is not None
    with log._writer._commit():
        queries.append(log._writer._transaction, lease, [record], status=None)


def median_append(path: Path, append: Appending, count: int, number: int) -> float:
    async def run() -> float:
        taken: list[float] = []
        async with SqliteLog(path.with_name(f"{path.name} {number}.db")) as log:
            lease = await begin(log, 0)
            for each in range(count):
                begun = perf_counter()
                await append(log, lease, Record(each, "response.output_text.delta", DATA))
                taken.append(1e3 * (perf_counter() - begun))
        return median(taken)

    return anyio.run(run)


def among_many(scale: LogScale, folder: Path) -> Row:
    """One append to a file of few streams, and to a file of many."""
    few, many = anyio.run(append_milliseconds, folder, scale)
    ratio = Spread.of([median(many) / median(few)])
    name = f"SQLite: an append among {scale.many:,} streams, against {scale.few:,}"
    theirs = f"among {scale.few:,}"
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


async def append_milliseconds(folder: Path, scale: LogScale) -> tuple[list[float], list[float]]:
    """How long an append took, each to another stream, in turns to a file of few and to a file of many."""
    async with SqliteLog(folder / "few.db") as few, SqliteLog(folder / "many.db") as many:
        counts = {few: scale.few, many: scale.many}
        leases = {log: await begin_all(log, count) for log, count in counts.items()}
        taken: dict[SqliteLog, list[float]] = {few: [], many: []}
        for number in range(scale.sample_appends):
            for log in (few, many) if number % 2 == 0 else (many, few):
                lease = leases[log][number * STRIDE % counts[log]]
                record = Record(number // counts[log], "response.output_text.delta", DATA)
                begun = perf_counter()
                await log.append(lease, [record])
                taken[log].append(1e3 * (perf_counter() - begun))
        return taken[few], taken[many]


async def begin_all(log: SqliteLog, count: int) -> list[Lease]:
    leases: dict[int, Lease] = {}

    async def keep(number: int) -> None:
        leases[number] = await begin(log, number)

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(keep, number)
    return [leases[number] for number in range(count)]
