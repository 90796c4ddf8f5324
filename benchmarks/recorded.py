"""What it costs a client to record what it follows, over sockets; the load comes from another process.

In      Recorded: how much is measured
Out     Rows
Units   microseconds of CPU an event
Source  docs/reference/benchmarks.md
"""

from collections.abc import Iterator
from functools import partial

from attrs import frozen

from benchmarks.crowd import Busy, follow_busily
from benchmarks.following import in_turns
from benchmarks.load import serving
from streamfold.bench import Goal, Row, Spread

__all__ = ["FULL_RECORDED", "QUICK_RECORDED", "Recorded", "measure_recorded"]

BARE = "the same, not recorded"


@frozen
class Recorded:
    """How much is measured. streams: followed at once, 50 events a second each. rounds, seconds: of each variant."""

    streams: tuple[int, ...] = (1, 20)
    seconds: float = 6.0
    rounds: int = 7


FULL_RECORDED = Recorded()
QUICK_RECORDED = Recorded(seconds=2.0, rounds=1)
BEHIND, BEFORE = "recorded, at most 250 events behind", "recorded, before it is read"
VARIANTS = {BARE: None, BEHIND: 250, BEFORE: 0}  # how far the log may be behind; None for no log


def measure_recorded(plan: Recorded) -> Iterator[Row]:
    """The rows, as they are measured."""
    with serving(deltas=1, paced_deltas=1) as url:
        for streams in plan.streams:
            yield from recorded(plan, url, streams)


def recorded(plan: Recorded, url: str, streams: int) -> Iterator[Row]:
    """So many streams at once: each variant against no log."""
    run = partial(follow_busily, "httpx2", url, name="resp_often", streams=streams, seconds=plan.seconds)
    runs = {name: partial(run, max_behind=most) for name, most in VARIANTS.items()}
    found = in_turns(runs, rounds=plan.rounds)
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


def microseconds(found: list[Busy]) -> Spread:
    return Spread.of([1e6 * each.seconds_an_event for each in found])
