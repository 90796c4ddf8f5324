"""How fast the stream folds: time of reading and folding alone, for nothing is drawn and nobody waits.

In      frames
Out     a Rate: the median of whole passes, bytes → a State after every event, each State kept
Units   seconds, bytes, events a second
"""

import gc
import time
from collections.abc import Callable
from statistics import median

from attrs import frozen

from streamfold.fold import states
from streamfold.reader import EventReader

__all__ = ["Rate", "measure"]

CHUNK_BYTES = 16 * 1024
MIN_PASSES, MAX_PASSES = 3, 200
ENOUGH_SECONDS = 0.3


@frozen
class Rate:
    """What one pass over a stream takes. seconds: the median of `passes`."""

    events: int
    bytes: int
    seconds: float
    passes: int

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.events_per_second:,.0f} events/s: {self.bytes:,} bytes to {self.events:,} States, one after every "
            f"event, in {self.seconds * 1000:.1f} ms (reading and folding only; median of {self.passes} passes)"
        )


def measure(frames: list[bytes], *, clock: Callable[[], float] = time.perf_counter) -> Rate:
    """Fold the frames again and again, for a third of a second at most if they are few."""
    data = b"".join(frames)
    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    taken: list[float] = []
    gc.collect()  # so that no pass pays for what was made before
    events = 0
    while len(taken) < MIN_PASSES or (sum(taken) < ENOUGH_SECONDS and len(taken) < MAX_PASSES):
        started = clock()
        events = _fold(chunks)
        taken.append(clock() - started)
    return Rate(events=events, bytes=len(data), seconds=median(taken), passes=len(taken))


def _fold(chunks: list[bytes]) -> int:
    reader = EventReader()
    kept = list(states(event for chunk in chunks for event in reader.feed(chunk)))
    return len(kept)
