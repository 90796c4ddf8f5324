"""The benchmark `recorded`: what recording costs a client that follows streams over sockets."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from attrs import frozen

from benchmarks.client.crowd import Busy, follow_busily
from benchmarks.client.load import serving
from benchmarks.process import run_apart
from streamfold.bench import Goal, Row, Spread
from streamfold.client.follow.recorder import LEASE_SECONDS

__all__ = ["FULL_RECORDED", "QUICK_RECORDED", "RecordedScale", "measure_recorded"]

BARE = "the same, not recorded"


@frozen
class RecordedScale:
    """How much is measured. streams: followed at once, 50 events a second each. rounds, seconds: of each variant.

    seconds: two commits of a writer that may be behind, so that each round has as many.
    """

    streams: tuple[int, ...] = (1, 20)
    seconds: float = 2 * LEASE_SECONDS / 3
    rounds: int = 15


FULL_RECORDED = RecordedScale()
QUICK_RECORDED = RecordedScale(seconds=2.0, rounds=1)
BEHIND, BEFORE = "recorded, at most 250 events behind", "recorded, before it is read"
VARIANTS = {BARE: None, BEHIND: 250, BEFORE: 0}  # how far the log may be behind; None for no log


def measure_recorded(scale: RecordedScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with serving(deltas=1, paced_deltas=1) as url:
        for streams in scale.streams:
            yield from recorded(scale, url, streams)


def recorded(scale: RecordedScale, url: str, streams: int) -> Iterator[Row]:
    """Many streams at once: each variant compared with no log."""
    run = partial(follow_busily, "httpx2", url, name="resp_often", streams=streams, seconds=scale.seconds)
    runs = {name: partial(run, max_behind=most) for name, most in VARIANTS.items()}
    found = side_by_side(runs, rounds=scale.rounds)
    bare = found[BARE]
    for name in (BEHIND, BEFORE):
        ratios = [one.seconds_an_event / other.seconds_an_event for one, other in zip(found[name], bare, strict=True)]
        yield Row(
            benchmark="recorded",
            name=f"{streams} × 50 events/s, CPU of the client: {name}",
            subject="streamfold, httpx2, SqliteLog",
            ours=microseconds(found[name]),
            unit="µs/event",
            reference=BARE,
            theirs=microseconds(bare),
            ratio=Spread.of(ratios),
            goal=Goal("≤", 1.05) if name is BEHIND and streams == 1 else None,
        )


def side_by_side(runs: Mapping[str, Callable[[], Busy]], *, rounds: int) -> dict[str, list[Busy]]:
    """Run all variants side by side, several times, each time in fresh processes: other load affects all alike."""
    found: dict[str, list[Busy]] = {name: [] for name in runs}
    with ThreadPoolExecutor(len(runs)) as threads:
        for number in range(rounds):
            names = list(runs) if number % 2 == 0 else list(reversed(runs))
            for name, busy in zip(names, threads.map(run_apart, [runs[name] for name in names]), strict=True):
                found[name].append(busy)
    return found


def microseconds(found: list[Busy]) -> Spread:
    return Spread.of([1e6 * each.seconds_an_event for each in found])
