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

    streams: int = 20
    seconds: float = 6.0
    rounds: int = 7


FULL_RECORDED = Recorded()
QUICK_RECORDED = Recorded(streams=5, seconds=2.0, rounds=1)
# How far the log may be behind, and what is asked of that.
VARIANTS = {"recorded, at most 50 events behind": (50, Goal("≤", 1.05)), "recorded, before it is read": (0, None)}


def measure_recorded(plan: Recorded) -> Iterator[Row]:
    """The rows, as they are measured."""
    with serving(deltas=1, paced_deltas=1) as url:
        run = partial(follow_busily, "httpx2", url, name="resp_often", streams=plan.streams, seconds=plan.seconds)
        behind = {BARE: None} | {name: most for name, (most, _) in VARIANTS.items()}
        found = in_turns({name: partial(run, max_behind=most) for name, most in behind.items()}, rounds=plan.rounds)
    bare = found[BARE]
    for name, (_, goal) in VARIANTS.items():
        ratios = [one.seconds_an_event / other.seconds_an_event for one, other in zip(found[name], bare, strict=True)]
        yield Row(
            benchmark="recorded",
            name=f"{plan.streams} streams × 50 events/s, CPU of the client: {name}",
            subject="streamfold, httpx2, SqliteLog",
            ours=microseconds(found[name]),
            unit="µs/event",
            reference=BARE,
            theirs=microseconds(bare),
            ratio=Spread.of(ratios),
            goal=goal,
        )


def microseconds(found: list[Busy]) -> Spread:
    return Spread.of([1e6 * each.seconds_an_event for each in found])
