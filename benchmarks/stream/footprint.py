"""What streamfold takes besides time: memory for the states that you keep, and the cost of `import streamfold`."""

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence

from benchmarks.stream.reading import CHUNK_BYTES
from benchmarks.stream.workload import Shape, cut, make_stream
from streamfold.bench import Goal, Row, Spread, Timings
from streamfold.fold import states
from streamfold.reader import EventReader
from streamfold.schema import Event

__all__ = ["bytes_of_kept_states", "import_rows", "memory_row", "time_imports"]

# What the pure core must never bring along: HTTP clients, databases, event loops, sockets.
UNWANTED = tuple(
    """
    _sqlite3 aiohttp anyio asyncio h11 http.client httpcore httpx httpx2 httpx_sse openai redis requests socket sqlite3
    ssl trio urllib3
    """.split()
)


def memory_row(deltas: int) -> Row:
    """The cost of keeping the state after every event."""
    frames = make_stream(Shape(deltas=deltas))
    kept, text = bytes_of_kept_states(frames)
    return Row(
        benchmark="memory",
        name=f"every state kept, beyond the text, {deltas:,} deltas",
        subject="streamfold states",
        ours=Spread.of([(kept - text) / len(frames)]),
        unit="bytes/event",
        goal=Goal("≤", 200, "bytes"),
    )


def bytes_of_kept_states(frames: Sequence[bytes]) -> tuple[int, int]:
    """How many bytes stay allocated when the list of all states is all that is left, and the text's share of them.

    Counted is everything that Python allocated since reading began and that the list keeps reachable: the list, the
    states, what they share, each fragment of text, and payloads that a state still points into. Not counted are the
    chunks, the events and the reader, which are gone by then, but for what a state holds of them. The text's share
    is the UTF-8 size of the deltas, once; its copies and the heads of its strings count as ours.
    """
    data = b"".join(frames)
    gc.collect()
    tracemalloc.start()
    try:
        kept = list(states(_events(data)))
        gc.collect()
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    text = sum(len(getattr(event, "delta", "").encode()) for event in _events(data))
    assert kept[-1].is_terminal
    return allocated, text


def _events(data: bytes) -> Iterator[Event]:
    reader = EventReader()
    for chunk in cut(data, CHUNK_BYTES):
        yield from reader.feed(chunk)
    yield from reader.close()


# A fresh process times one import with its own clock, so that starting Python is not in it, and tells what came along.
CHILD = """
import sys, time
start = time.process_time()
import {modules}
spent = time.process_time() - start
print(spent, *(name for name in sys.argv[1:] if name in sys.modules))
"""


def time_imports(modules: Sequence[str], *, rounds: int) -> tuple[Timings, list[str]]:
    """Import each, as `msgspec, attrs`, in processes of its own, interleaved.

    Returns: the CPU seconds, and which unwanted modules the first one brought.
    """
    samples: dict[str, list[float]] = {each: [] for each in modules}
    unwanted: list[str] = []
    for number in range(-1, rounds):  # the first round only writes and warms the caches of the file system
        for each in modules if number % 2 == 0 else reversed(modules):
            seconds, found = _import(each)
            if number >= 0:
                samples[each].append(seconds)
            if each == modules[0]:
                unwanted = found
    return Timings({name: tuple(values) for name, values in samples.items()}), unwanted


def _import(modules: str) -> tuple[float, list[str]]:
    # An installer compiles what it installs; a checkout is compiled at its first import, unless that is forbidden.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", CHILD.format(modules=modules), *UNWANTED]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60, env=environment
    ).stdout.split()
    return float(answer[0]), answer[1:]


def import_rows(rounds: int) -> list[Row]:
    """The cost of an import compared with its dependencies, and the unwanted modules that it loads."""
    ours, theirs = "streamfold", "msgspec, attrs"
    timings, unwanted = time_imports((ours, theirs), rounds=rounds)
    return [
        Row(
            benchmark="import",
            name="import streamfold",
            subject=ours,
            ours=timings.seconds(ours).scaled(1000),
            unit="ms",
            reference=theirs,
            theirs=timings.seconds(theirs).scaled(1000),
            ratio=timings.ratio(ours, theirs),
            goal=Goal("≤", 1.5),
        ),
        Row(
            benchmark="import",
            name="HTTP clients, databases, event loops imported" + "".join(f": {name}" for name in unwanted),
            subject=ours,
            ours=Spread.of([float(len(unwanted))]),
            unit="modules",
            goal=Goal("≤", 0, "modules"),
        ),
    ]
