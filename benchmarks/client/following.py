"""The benchmark `following`: the client against openai's and against bare transports, over sockets."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

from attrs import frozen

from benchmarks.client.clients import BARE, FOLLOWERS, count_chunks, read
from benchmarks.client.crowd import Busy, drops, follow_busily, has_memory_figures, idle_kib, opening_seconds
from benchmarks.client.load import event_count, serving
from benchmarks.process import measure_apart, run_apart
from benchmarks.stream.reading import ratio_row
from streamfold.bench import Goal, Row, Spread, Timings, Variant

__all__ = ["FULL_FOLLOWING", "QUICK_FOLLOWING", "FollowingScale", "measure_following"]

TRANSPORTS = ("direct", "httpx2", "httpx")
OPENAI = f"openai {version('openai')} AsyncStream"
AGAIN = "bare httpx2, again"

Result = TypeVar("Result")


@frozen
class FollowingScale:
    """How much is measured.

    deltas: of the streams that are sent fast; paced_deltas: of the one that is sent slowly. rounds, slow_rounds: samples
    of each client, and of what takes long. streams, seconds: how many are followed at once, and for how long; openai_streams: by openai's client.
    few, many: idle streams, whose memory is compared. opened: how many are opened at once. drops: of one stream.
    """

    deltas: int = 10_000
    paced_deltas: int = 1_500
    rounds: int = 7
    slow_rounds: int = 3
    streams: int = 500
    openai_streams: int = 100
    seconds: float = 4.0
    few: int = 200
    many: int = 1_000
    opened: int = 500
    drops: int = 20
    sample_seconds: float = 0.05


FULL_FOLLOWING = FollowingScale()
QUICK_FOLLOWING = FollowingScale(
    deltas=2_000, paced_deltas=400, rounds=3, slow_rounds=1, seconds=2.0, few=50, many=250, drops=5
)


def measure_following(scale: FollowingScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with serving(deltas=scale.deltas, paced_deltas=scale.paced_deltas) as url:
        yield from each(scale, url)
        yield from joined(scale, url)
        yield from paced(scale, url)
        yield from busy(scale, url)
        yield from idle(scale, url)
        yield from opening(scale, url)
        yield from dropped(scale, url)


def ours(kind: str) -> str:
    """The name of our variant."""
    return f"streamfold, {kind}"


def bare(kind: str) -> str:
    return f"bare {kind}"


# One stream


class OneStream:
    """What each event of one stream of the server costs each client."""

    def __init__(self, url: str, name: str, *, benchmark: str, events: int) -> None:
        self._about: dict[str, Any] = {"benchmark": benchmark, "events": events}
        self._url = url
        self._name = name
        self._events = events
        self._benchmark = benchmark
        self._timings = Timings({})

    def measure(self, *, bare_kinds: Sequence[str], again: bool, rounds: int, sample_seconds: float) -> None:
        clients = {OPENAI if kind == "openai" else ours(kind): client for kind, client in FOLLOWERS.items()}
        clients |= {bare(kind): BARE[kind] for kind in bare_kinds}
        clients |= {AGAIN: BARE["httpx2"]} if again else {}
        variants = [
            Variant(name, partial(read, client, self._url, self._name, events=self._events))
            for name, client in clients.items()
        ]
        self._timings = measure_apart(variants, rounds=rounds, sample_seconds=sample_seconds)

    def against_openai(self, kind: str, goal: float | None) -> Row:
        bound = None if goal is None else Goal("≥", goal, "× faster")
        name = f"{kind}: socket → a state after every event"
        return ratio_row(self._timings, ours(kind), OPENAI, name=name, goal=bound, is_faster=True, **self._about)

    def against_bare(self, kind: str, goal: float | None = None) -> Row:
        bound = None if goal is None else Goal("≤", goal)
        name = f"{kind}: socket → a state after every event"
        return ratio_row(self._timings, ours(kind), bare(kind), name=name, goal=bound, **self._about)

    def noise(self) -> Row:
        return ratio_row(self._timings, AGAIN, bare("httpx2"), name="noise: the reference twice", **self._about)

    def chunk(self, kind: str) -> Row:
        """Measured by itself, because counting slows a reader down, and a slower reader finds more at each read."""
        chunks = run_apart(partial(count_chunks, kind, self._url, self._name))
        held = Spread.of([self._events / chunks])
        return Row(self._benchmark, f"{kind}: events in a chunk", ours(kind), held, "events")


def each(scale: FollowingScale, url: str) -> Iterator[Row]:
    """Each event its own write, as fast as the kernel takes them."""
    stream = OneStream(url, "resp_each", benchmark="following-each", events=event_count(scale.deltas))
    stream.measure(bare_kinds=TRANSPORTS, again=True, rounds=scale.rounds, sample_seconds=scale.sample_seconds)
    for kind, goal in (("direct", 40), ("httpx2", 8), ("httpx", None)):
        yield stream.against_openai(kind, goal)
    for kind, bound in (("direct", None), ("httpx2", 1.2), ("httpx", None)):
        yield stream.against_bare(kind, bound)
    yield stream.noise()
    yield stream.chunk("direct")
    yield stream.chunk("httpx2")


def joined(scale: FollowingScale, url: str) -> Iterator[Row]:
    """Writes of 16 KiB."""
    stream = OneStream(url, "resp_joined", benchmark="following-joined", events=event_count(scale.deltas))
    stream.measure(bare_kinds=(), again=False, rounds=scale.rounds, sample_seconds=scale.sample_seconds)
    for kind, goal in (("direct", 50), ("httpx2", None), ("httpx", None)):
        yield stream.against_openai(kind, goal)
    yield stream.chunk("direct")


def paced(scale: FollowingScale, url: str) -> Iterator[Row]:
    """Each event its own write, far enough apart to be read alone."""
    stream = OneStream(url, "resp_paced", benchmark="following-paced", events=event_count(scale.paced_deltas))
    stream.measure(bare_kinds=("direct", "httpx2"), again=False, rounds=scale.slow_rounds, sample_seconds=0)
    for kind in TRANSPORTS:
        yield stream.against_openai(kind, None)
    for kind in ("direct", "httpx2"):
        yield stream.against_bare(kind)
    yield stream.chunk("direct")


# Many streams


def busy(scale: FollowingScale, url: str) -> Iterator[Row]:
    """Many slow streams at once; for openai's client fewer, so that it keeps up."""
    run = partial(follow_busily, seconds=scale.seconds)
    runs = {kind: partial(run, kind, url, streams=scale.streams) for kind in TRANSPORTS}
    for kind, found in in_turns(runs, rounds=scale.slow_rounds).items():
        yield from about_busy(kind, found, streams=scale.streams, is_judged=kind == "direct")
    found = [run_apart(partial(run, "openai", url, streams=scale.openai_streams))]
    yield from about_busy("openai", found, streams=scale.openai_streams, is_judged=False)


def about_busy(kind: str, found: Sequence[Busy], *, streams: int, is_judged: bool) -> Iterator[Row]:
    about = f"{kind}: {streams:,} streams × 10 events/s"
    subject = OPENAI if kind == "openai" else ours(kind)
    figures: tuple[tuple[str, list[float], str, float | None], ...] = (
        ("cores used", [each.cores for each in found], "cores", 0.4),
        ("median lateness", [1e3 * each.lateness[0] for each in found], "ms", None),
        ("99th percentile of lateness", [1e3 * each.lateness[1] for each in found], "ms", 100),
        ("such streams a core takes", [0.1 / each.seconds_an_event for each in found], "streams", None),
    )
    for name, samples, unit, bound in figures:
        goal = Goal("≤", bound, unit) if is_judged and bound is not None else None
        yield Row("following-busy", f"{about}, {name}", subject, Spread.of(samples), unit, goal=goal)


def idle(scale: FollowingScale, url: str) -> Iterator[Row]:
    """The memory of a silent stream."""
    if not has_memory_figures():
        print("no resident memory: this system does not tell it as Linux does", file=sys.stderr)
        return
    kinds = (*TRANSPORTS, "openai")
    run = partial(idle_kib, few=scale.few, many=scale.many)
    for kind, samples in in_turns({kind: partial(run, kind, url) for kind in kinds}, rounds=scale.slow_rounds).items():
        yield Row(
            benchmark="following-idle",
            name=f"{kind}: memory of an idle stream, {scale.many:,} against {scale.few:,}",
            subject=OPENAI if kind == "openai" else ours(kind),
            ours=Spread.of(samples),
            unit="KiB",
            goal=None if kind == "openai" else Goal("≤", 64, "KiB"),
        )


def opening(scale: FollowingScale, url: str) -> Iterator[Row]:
    """What opening many streams at once takes."""
    run = partial(opening_seconds, streams=scale.opened)
    runs = {kind: partial(run, kind, url) for kind in (*TRANSPORTS, "openai")}
    taken = {kind: tuple(samples) for kind, samples in in_turns(runs, rounds=scale.slow_rounds).items()}
    timings = Timings({OPENAI if kind == "openai" else ours(kind): samples for kind, samples in taken.items()})
    for kind in TRANSPORTS:
        yield Row(
            benchmark="following-open",
            name=f"{kind}: {scale.opened:,} streams opened at once, each",
            subject=ours(kind),
            ours=timings.seconds(ours(kind)).scaled(1e3 / scale.opened),
            unit="ms",
            reference=OPENAI,
            theirs=timings.seconds(OPENAI).scaled(1e3 / scale.opened),
            ratio=timings.ratio(OPENAI, ours(kind)),
            is_faster=True,
        )


def dropped(scale: FollowingScale, url: str) -> Iterator[Row]:
    """What a drop costs besides the back-off, compared with one request of the bare transport."""
    for kind in TRANSPORTS:
        found = run_apart(partial(drops, kind, url, count=scale.drops))
        timings = Timings({ours(kind): found.after, bare(kind): found.bare})
        yield Row(
            benchmark="following-dropped",
            name=f"{kind}: a drop → the first event after it, less the back-off",
            subject=ours(kind),
            ours=timings.seconds(ours(kind)).scaled(1e3),
            unit="ms",
            reference=f"{bare(kind)}: request → first bytes",
            theirs=timings.seconds(bare(kind)).scaled(1e3),
            ratio=timings.ratio(ours(kind), bare(kind)),
            goal=Goal("≤", 1.5),
        )


def in_turns(runs: Mapping[str, Callable[[], Result]], *, rounds: int) -> dict[str, list[Result]]:
    """Run each several times, each time in a fresh process, interleaved."""
    found: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in runs if number % 2 == 0 else reversed(list(runs)):
            found[name].append(run_apart(runs[name]))
    return found
