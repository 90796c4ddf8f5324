"""The benchmarks of reading streams by name, and how much of each is measured."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from benchmarks.process import measure_apart
from benchmarks.stream.footprint import import_rows, memory_row
from benchmarks.stream.reading import (
    EVENTS,
    EVENTS_SINGLE,
    FLOOR,
    LEAN_FLOOR,
    STATES,
    STATES_SINGLE,
    TEXTS,
    GeneratedStream,
    Peer,
    ratio_row,
    require_agreement,
)
from streamfold.bench import Goal, Row
from streamfold.bench.measure import Timings

__all__ = ["BENCHMARKS", "FULL", "QUICK", "Benchmark", "Scale", "run"]


@frozen
class Scale:
    """How much is measured.

    sizes: of the made streams, in text deltas. growth: the two sizes whose cost an event is compared. rounds: samples
    of each variant; slow_rounds: the same where a slow peer takes part, largest_slow_rounds: where on more than
    10,000 deltas. sample_seconds: how long a sample lasts at least.
    """

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    growth: tuple[int, int] = (1_000, 100_000)
    text_deltas: int = 10_000
    memory_deltas: int = 10_000
    rounds: int = 11
    slow_rounds: int = 5
    largest_slow_rounds: int = 2
    import_rounds: int = 15
    sample_seconds: float = 0.05


FULL = Scale()
QUICK = Scale(sizes=(1_000, 10_000), rounds=5, slow_rounds=2, import_rounds=7, sample_seconds=0.02)

Benchmark = Callable[[Scale, Sequence[Peer]], Iterator[Row]]

# Ours, its reference, what the row is called, and the goal.
AGAINST_FLOORS = (
    (EVENTS, FLOOR, "bytes → events", Goal("≤", 2.0)),
    (EVENTS_SINGLE, FLOOR, "bytes → events, one a chunk", Goal("≤", 3.0)),
    (STATES, FLOOR, "bytes → a state after every event", Goal("≤", 3.0)),
    (STATES_SINGLE, FLOOR, "bytes → a state after every event, one a chunk", None),
    (EVENTS, LEAN_FLOOR, "bytes → events", None),
)
AGAIN = f"{FLOOR}, again"


def streams(scale: Scale, peers: Sequence[Peer]) -> Iterator[Row]:
    """Each size of stream: ours against the floors and each peer."""
    for deltas in scale.sizes:
        stream = GeneratedStream.of(deltas)
        require_agreement(stream, peers)
        yield from _against_quick(stream, [peer for peer in peers if not peer.is_slow], scale)
        yield from _against_slow(stream, [peer for peer in peers if peer.is_slow], scale)


def _against_quick(stream: GeneratedStream, peers: Sequence[Peer], scale: Scale) -> Iterator[Row]:
    names = (FLOOR, LEAN_FLOOR, EVENTS, EVENTS_SINGLE, STATES, STATES_SINGLE)
    variants = [*map(stream.variant, names), *map(stream.peer, peers), stream.variant(FLOOR, called=AGAIN)]
    timings = measure_apart(variants, rounds=scale.rounds, sample_seconds=scale.sample_seconds)
    benchmark, events = f"stream-{stream.deltas}", len(stream.frames)
    for subject, reference, name, goal in AGAINST_FLOORS:
        yield ratio_row(timings, subject, reference, benchmark=benchmark, name=name, events=events, goal=goal)
    for peer in peers:
        yield _against(peer, stream, timings)
    yield ratio_row(timings, AGAIN, FLOOR, benchmark=benchmark, name="noise: the reference twice", events=events)


def _against_slow(stream: GeneratedStream, peers: Sequence[Peer], scale: Scale) -> Iterator[Row]:
    if not peers:
        return
    ours = sorted({peer.stands_against for peer in peers})
    rounds = scale.slow_rounds if stream.deltas <= 10_000 else scale.largest_slow_rounds
    variants = [*map(stream.variant, ours), *map(stream.peer, peers)]
    timings = measure_apart(variants, rounds=rounds, sample_seconds=scale.sample_seconds)
    for peer in peers:
        yield _against(peer, stream, timings)


def _against(peer: Peer, stream: GeneratedStream, timings: Timings) -> Row:
    return ratio_row(
        timings,
        peer.stands_against,
        peer.name,
        benchmark=f"stream-{stream.deltas}",
        name="bytes → events" if peer.stands_against == EVENTS else "bytes → a state after every event",
        events=len(stream.frames),
        goal=peer.goal,
        is_faster=True,
    )


def texts(scale: Scale, peers: Sequence[Peer]) -> Iterator[Row]:
    """The cost of reading the whole text after every event, next to states alone and peers with a state."""
    stream = GeneratedStream.of(scale.text_deltas)
    peers = [peer for peer in peers if peer.stands_against == STATES]
    require_agreement(stream, peers)
    variants = [stream.variant(STATES), stream.variant(TEXTS), *map(stream.peer, peers)]
    timings = measure_apart(variants, rounds=scale.slow_rounds, sample_seconds=scale.sample_seconds)
    name, events = f"the text read after every event, {scale.text_deltas:,} deltas", len(stream.frames)
    yield ratio_row(timings, TEXTS, STATES, benchmark="text", name=name, events=events)
    for peer in peers:
        yield ratio_row(timings, TEXTS, peer.name, benchmark="text", name=name, events=events, is_faster=True)


def growth(scale: Scale, peers: Sequence[Peer]) -> Iterator[Row]:
    """The cost of an event in a long stream against a short one, and the same for the floor, which has no state."""
    short, long = map(GeneratedStream.of, scale.growth)
    names = {each: (f"{each}, {short.deltas:,} deltas", f"{each}, {long.deltas:,} deltas") for each in (STATES, FLOOR)}
    variants = [
        stream.variant(each, called=called)
        for each, both in names.items()
        for stream, called in zip((short, long), both, strict=True)
    ]
    timings = measure_apart(variants, rounds=scale.rounds, sample_seconds=scale.sample_seconds)
    costs = Timings(
        {
            called: tuple(1e6 * seconds / len(stream.frames) for seconds in timings.samples[called])
            for both in names.values()
            for stream, called in zip((short, long), both, strict=True)
        }
    )
    for each, (in_short, in_long) in names.items():
        yield Row(
            benchmark="growth",
            name=f"cost of an event of {long.deltas:,} deltas, {each}",
            subject=in_long,
            ours=costs.seconds(in_long),
            unit="µs/event",
            reference=in_short,
            theirs=costs.seconds(in_short),
            ratio=costs.ratio(in_long, in_short),
            goal=Goal("≤", 1.15) if each == STATES else None,
        )


def memory(scale: Scale, peers: Sequence[Peer]) -> Iterator[Row]:
    """The memory of keeping every state."""
    yield memory_row(scale.memory_deltas)


def imports(scale: Scale, peers: Sequence[Peer]) -> Iterator[Row]:
    """What `import streamfold` costs and brings."""
    yield from import_rows(scale.import_rounds)


BENCHMARKS: Mapping[str, Benchmark] = {
    "streams": streams,
    "text": texts,
    "growth": growth,
    "memory": memory,
    "import": imports,
}


def run(scale: Scale, *, peers: Sequence[Peer] = (), only: Iterable[str] = ()) -> Iterator[Row]:
    """The rows of the named benchmarks, as they are measured; of all where none is named.

    Raises: KeyError for a name that is none.
    """
    for name in list(only) or BENCHMARKS:
        yield from BENCHMARKS[name](scale, peers)
