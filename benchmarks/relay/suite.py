"""The benchmark `relay`: `streamfold relay` beside a bare ASGI application and sse-starlette, over sockets.

Each server has a process of its own, which reports its CPU time; the readers are sockets in this one.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from math import inf
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TypeAlias

from attrs import field, frozen

from benchmarks.client.crowd import has_memory_figures
from benchmarks.client.load import raise_file_limit
from benchmarks.relay.late import lateness
from benchmarks.relay.readers import Crowd, Server, running
from benchmarks.relay.sources import event_count
from streamfold.bench import Goal, Row, Spread

__all__ = ["FULL_RELAY", "QUICK_RELAY", "RelayScale", "measure_relay"]

RELAY, BARE, AGAIN = "streamfold relay", "bare ASGI on uvicorn", "bare ASGI, again"
STARLETTE = f"sse-starlette {version('sse-starlette')}" if find_spec("sse_starlette") else "sse-starlette"
REFERENCES = {BARE: "bare", STARLETTE: "sse-starlette", AGAIN: "bare"}
STRAIGHT, BEHIND, FIRST = "straight", "streamfold relay, log behind", "streamfold relay, log first"
WHOLE_STREAM = str(2**26)  # as --window-bytes
MAX_BEHIND = 250
CHURN_STREAMS_AT_ONCE = 10
SETTLE_SECONDS = 0.3
SPARE_FILES = 200
NO_FILES = "{0:,} idle readers need {1:,} open files, and this system allows {2:,}"

Run: TypeAlias = Callable[[Server], float]


@frozen
class RelayScale:
    """How much is measured.

    live: text deltas of a live stream, by its number of readers. replayed: of one that is replayed, to each number of
    `replay_readers`. rounds: samples of each server. paced: events of a stream of 200 a second, in each of
    `paced_rounds`. few, many: idle readers whose memory is compared. stalled: deltas of a stream that one reader does not read.
    churn_seconds: how long short streams come and go.
    """

    live: Mapping[int, int] = field(factory=lambda: {1: 3000, 100: 300, 1000: 60})
    replayed: int = 20_000
    replay_readers: tuple[int, ...] = (1, 10)
    rounds: int = 7
    paced: int = 600
    paced_rounds: int = 5
    few: int = 500
    many: int = 10_000
    stalled: int = 20_000
    churn_seconds: float = 1800.0


FULL_RELAY = RelayScale()
QUICK_RELAY = RelayScale(rounds=3, paced=400, paced_rounds=3, few=100, many=2_000, stalled=10_000, churn_seconds=60.0)


def measure_relay(scale: RelayScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    raise_file_limit()
    yield from beside(scale)
    yield from paced(scale)
    if not has_memory_figures():
        print("no resident memory: this system does not report it as Linux does", file=sys.stderr)
        return
    yield from idle(scale)
    yield from stalled(scale)
    yield from churn(scale)


# Deliveries: events times readers


def beside(scale: RelayScale) -> Iterator[Row]:
    """What a second of the server's CPU time delivers, live and from the start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        relay = stack.enter_context(running("relay", "--window-bytes", WHOLE_STREAM))
        references = {name: stack.enter_context(running(kind)) for name, kind in REFERENCES.items()}
        for readers, deltas in scale.live.items():
            run = partial(live, readers=readers, deltas=deltas)
            found = in_turns({RELAY: relay, **references}, {RELAY: run}, run, scale.rounds)
            yield from judged("relay-live", f"live, {counted(readers)}", found, starlette=3)
        logged = ("--log", str(folder / "log.db"), "--max-behind", str(MAX_BEHIND))
        on_file = stack.enter_context(running("relay", *logged))
        for place, server, is_logged in (("memory", relay, False), ("a SQLite log", on_file, True)):
            for readers in scale.replay_readers:
                run = partial(replay, readers=readers, deltas=scale.replayed)
                ours = {RELAY: partial(run, is_logged=is_logged)}
                found = in_turns({RELAY: server, **references}, ours, run, scale.rounds)
                name = f"{scale.replayed:,} events from {place}, {counted(readers)}"
                yield from judged("relay-replay", name, found, starlette=15)


def counted(readers: int) -> str:
    return "1 reader" if readers == 1 else f"{readers:,} readers"


def live(server: Server, readers: int, deltas: int) -> float:
    """Deliveries of a CPU second: each event is written to all readers before the next one is there."""
    events = event_count(deltas)
    with Crowd(server) as crowd:
        crowd.join(crowd.create(f"live-{deltas}"), readers - 1)
        before, _ = server.figures()
        server.go()
        crowd.read(events)
        after, _ = server.figures()
    return readers * (events - 1) / (after - before)


def replay(server: Server, readers: int, deltas: int, *, is_logged: bool = False) -> float:
    """Deliveries of a CPU second when readers come after the events. is_logged: the relay has them in its log alone."""
    events = event_count(deltas)
    with Crowd(server) as creator, Crowd(server) as crowd:
        id = creator.create(f"stored-{deltas}")
        creator.read(events - 1)
        if is_logged:
            server.go()
            creator.read(events)
            sleep(SETTLE_SECONDS)
        before, _ = server.figures()
        crowd.join(id, readers, events=events if is_logged else events - 1)
        after, _ = server.figures()
        server.go()
    return readers * events / (after - before)


def in_turns(
    servers: Mapping[str, Server], special: Mapping[str, Run], run: Run, rounds: int
) -> dict[str, list[float]]:
    """Measure each server several times, interleaved, after a run that is not counted. special: other runs, by server."""
    found: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(-1, rounds):
        for name in servers if number % 2 == 0 else reversed(list(servers)):
            sample = special.get(name, run)(servers[name])
            if number >= 0:
                found[name].append(sample)
    return found


def judged(benchmark: str, name: str, found: Mapping[str, Sequence[float]], *, starlette: float) -> Iterator[Row]:
    yield compared(benchmark, name, found, RELAY, BARE, Goal("≥", 0.5, "× as many"))
    yield compared(benchmark, name, found, RELAY, STARLETTE, Goal("≥", starlette, "× as many"))
    yield compared(benchmark, name, found, BARE, STARLETTE, None)
    yield compared(benchmark, f"{name}, noise: the reference twice", found, AGAIN, BARE, None)


def compared(
    benchmark: str, name: str, found: Mapping[str, Sequence[float]], subject: str, reference: str, goal: Goal | None
) -> Row:
    ours, theirs = found[subject], found[reference]
    return Row(
        benchmark,
        f"{name}: deliveries",
        subject,
        Spread.of([each / 1000 for each in ours]),
        "k/CPU s",
        reference=reference,
        theirs=Spread.of([each / 1000 for each in theirs]),
        ratio=Spread.of([a / b for a, b in zip(ours, theirs, strict=True)]),
        goal=goal,
    )


# Latency


def paced(scale: RelayScale) -> Iterator[Row]:
    """How much later an event of 200 a second comes over the relay than straight."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        upstream = stack.enter_context(running(str(scale.paced), "0.005", module="benchmarks.relay.upstream"))
        servers = {STRAIGHT: upstream}
        for name, behind in ((BEHIND, MAX_BEHIND), (FIRST, 0)):
            logged = ("--log", str(folder / f"{behind}.db"), "--max-behind", str(behind))
            servers[name] = stack.enter_context(running("relay", "--upstream", upstream.url, *logged))
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for number in range(scale.paced_rounds):
            for name in servers if number % 2 == 0 else reversed(list(servers)):
                found[name].append(lateness(servers[name], scale.paced))
    for name, goals in ((BEHIND, (0.25, 2.0)), (FIRST, (None, None))):
        for place, (title, goal) in enumerate(zip(("median", "99th percentile"), goals, strict=True)):
            late = [1e3 * each[place] for each in found[name]]
            straight = [1e3 * each[place] for each in found[STRAIGHT]]
            yield Row(
                "relay-latency",
                f"{name.partition(', ')[2]}: added at 200 events/s, {title}",
                name,
                Spread.of([ours - theirs for ours, theirs in zip(late, straight, strict=True)]),
                "ms",
                reference=f"{STRAIGHT}, from its write to its arrival",
                theirs=Spread.of(straight),
                goal=None if goal is None else Goal("≤", goal, "ms"),
            )


# Memory


def idle(scale: RelayScale) -> Iterator[Row]:
    """The memory of a reader who waits."""
    if (files := file_limit()) < scale.many + SPARE_FILES:
        print(NO_FILES.format(scale.many, scale.many + SPARE_FILES, files), file=sys.stderr)
        return
    with running("relay") as server, Crowd(server) as crowd:
        id = crowd.create("idle")
        crowd.join(id, scale.few)
        _, before = server.figures()
        crowd.join(id, scale.many - scale.few)
        _, after = server.figures()
    kib = (after - before) / (scale.many - scale.few)
    name = f"memory of an idle reader, {scale.many:,} against {scale.few:,}"
    yield Row("relay-idle", name, RELAY, Spread.of([kib]), "KiB", goal=Goal("≤", 20, "KiB"))


def file_limit() -> float:
    """How many files this process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if soft == resource.RLIM_INFINITY else soft


def stalled(scale: RelayScale) -> Iterator[Row]:
    """What the memory grows by while one of ten readers reads nothing, beside the same when all of them read."""
    readers, grown = 10, {True: 0.0, False: 0.0}
    for stalls in (False, True):
        with TemporaryDirectory() as folder:
            logged = ("--log", str(Path(folder) / "log.db"), "--max-behind", str(MAX_BEHIND))
            with running("relay", *logged) as server:
                events = event_count(scale.stalled)
                before = 0.0
                for is_counted in (False, True):  # the first fills what is filled once
                    with Crowd(server) as crowd:
                        id = crowd.create(f"live-{scale.stalled}")
                        crowd.join(id, readers - 2)
                        if is_counted and stalls:
                            crowd.stall(id)
                        else:
                            crowd.join(id, 1)
                        _, before = server.figures()
                        server.go()
                        crowd.read(events)
                        _, after = server.figures()
                grown[stalls] = (after - before) / 1024
    name = f"memory grows in {scale.stalled:,} events, one of {readers} readers stalled"
    yield Row(
        "relay-stalled", name, RELAY, Spread.of([grown[True]]), "MiB",
        reference="all read", theirs=Spread.of([grown[False]]),
    )  # fmt: skip


def churn(scale: RelayScale) -> Iterator[Row]:
    """What the memory grows by while short streams are created, read, read again and left."""
    with TemporaryDirectory() as folder:
        logged = ("--log", str(Path(folder) / "log.db"), "--max-behind", str(MAX_BEHIND), "--retain-seconds", "2")
        with running("relay", *logged) as server:
            samples: list[tuple[float, float]] = []
            begin, streams = monotonic(), 0
            while (elapsed := monotonic() - begin) < scale.churn_seconds:
                streams += come_and_go(server)
                samples.append((elapsed, server.figures()[1]))
    settled = [kib for at, kib in samples if at >= scale.churn_seconds / 4] or [samples[-1][1]]
    few = max(1, len(settled) // 10)
    grown = (median(settled[-few:]) - median(settled[:few])) / 1024
    name = f"memory grows in {scale.churn_seconds * 3 / 4:.0f} s of short streams, {streams:,} in all"
    yield Row("relay-churn", name, RELAY, Spread.of([grown]), "MiB")


def come_and_go(server: Server) -> int:
    """Some streams at once: each is read by two, and a third of them is left before the end. Returns how many."""
    events = event_count(30)
    with ExitStack() as stack:
        crowds = [stack.enter_context(Crowd(server)) for _ in range(CHURN_STREAMS_AT_ONCE)]
        for crowd in crowds:
            crowd.join(crowd.create("live-30"), 1)
        left = crowds[::3]
        for crowd in left:
            crowd.leave()
        server.go()
        for crowd in crowds:
            if crowd not in left:
                crowd.read(events)
    return CHURN_STREAMS_AT_ONCE
