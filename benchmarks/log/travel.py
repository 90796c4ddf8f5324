"""The benchmark `travel`: what the state at any number of a long stream costs, and what its checkpoints cost.

It uses the CPU time of all threads, so that waiting for a busy machine does not count.
"""

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time

import anyio
from attrs import frozen

from benchmarks.stream.workload import Shape, make_stream, payloads
from streamfold import State, checkpoint
from streamfold.bench import Goal, Row, Spread, Variant, measure
from streamfold.history import CheckpointPolicy, fold_records, import_stream, replay
from streamfold.log import Record, SqliteLog, StreamKey
from streamfold.schema import decode_event

__all__ = ["FULL_TRAVEL", "QUICK_TRAVEL", "TravelScale", "measure_travel"]

BENCHMARK = "travel"
REPLAY, FOLD, SAVE = "replay", "the same from the first record", "checkpoints, where they are due"
PAGE = 500  # records that are folded at once, as a writer appends them


@frozen
class TravelScale:
    """How much is measured. deltas: of the stream. replays: numbers that are asked for. folds: of them from the start.

    rounds: samples of what saving costs.
    """

    deltas: int = 100_000
    replays: int = 500
    folds: int = 20
    rounds: int = 7


FULL_TRAVEL = TravelScale()
QUICK_TRAVEL = TravelScale(deltas=20_000, replays=100, folds=5, rounds=3)


def measure_travel(scale: TravelScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    frames = make_stream(Shape(deltas=scale.deltas))
    with TemporaryDirectory() as folder:
        yield from anyio.run(travelled, scale, frames, Path(folder))
    yield saving(scale, frames)


async def travelled(scale: TravelScale, frames: Sequence[bytes], folder: Path) -> list[Row]:
    """States at random numbers, from the nearest checkpoint and from the first record."""
    async with SqliteLog(folder / "with.db") as log, SqliteLog(folder / "without.db") as bare:
        key = StreamKey("bench", (await import_stream(log, "bench", frames)).response_id)
        info = await log.info(key)
        assert info is not None
        lease = await bare.acquire(key, owner="bench", seconds=3600)
        await bare.append(lease, await log.read(key, limit=info.next_number))
        random = Random(1)
        numbers = [random.randrange(info.next_number) for _ in range(scale.replays)]
        ours = Spread.of(await milliseconds(log, key, numbers))
        theirs = Spread.of(await milliseconds(bare, key, numbers[: scale.folds]))
    name = f"SQLite: the state at any of {info.next_number:,} numbers"
    goal = Goal("≤", 20, "ms")
    return [
        Row(BENCHMARK, name, REPLAY, ours, "ms", FOLD, theirs, goal=goal),
        Row(BENCHMARK, f"{name}, the slowest of {scale.replays}", REPLAY, Spread.of([ours.most]), "ms", goal=goal),
    ]


async def milliseconds(log: SqliteLog, key: StreamKey, numbers: Sequence[int]) -> list[float]:
    """How long each replay took. Garbage is collected before each one and not during it."""
    taken: list[float] = []
    gc.freeze()
    gc.disable()
    try:
        for number in numbers:
            gc.collect()
            begun = process_time()
            state = await replay(log, key, at=number)
            taken.append(1e3 * (process_time() - begun))
            assert state.cursor == number
    finally:
        gc.enable()
        gc.unfreeze()
    return taken


def saving(scale: TravelScale, frames: Sequence[bytes]) -> Row:
    """What the checkpoints of a stream cost, compared with folding it."""
    data = payloads(frames)
    records = [Record(number, decode_event(each).type, each) for number, each in enumerate(data)]
    due = states_to_save(records)
    variants = [
        Variant(SAVE, lambda: deque(map(checkpoint, due), maxlen=0)),
        Variant("folding its records", lambda: fold_records(State(), records)),
    ]
    timings = measure(variants, rounds=scale.rounds)
    ours, theirs = (timings.seconds(variant.name).scaled(1e3) for variant in variants)
    name = f"{len(due)} checkpoints in {len(records):,} records"
    return Row(BENCHMARK, name, SAVE, ours, "ms", variants[1].name, theirs, timings.ratio(SAVE, variants[1].name))


def states_to_save(records: Sequence[Record]) -> list[State]:
    """The states that a writer of these records saves."""
    pace, state, found = CheckpointPolicy(), State(), list[State]()
    for start in range(0, len(records), PAGE):
        group = records[start : start + PAGE]
        state = fold_records(state, group)
        for record in group:
            pace.count(record)
        if pace.is_due:
            pace.saved(checkpoint(state))
            found.append(state)
    return found
