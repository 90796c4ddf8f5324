"""All faults of one answer together: what is sent, when, and how the connection ends.

It only decides; the code that holds the connection carries out the effects. After a Cut there are no more.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

from streamfold.chaos.fault import Drip, Drop, Fault, Gzip, How, Stall, Where
from streamfold.chaos.frame_faults import FrameFaults
from streamfold.sse import Frame, encode_frame

GZIP_WINDOW = 31  # zlib's number for the largest window, with a gzip header
CONTINUATION = range(0x80, 0xC0)  # bytes inside a UTF-8 character, after its first


class Send(NamedTuple):
    """Write these bytes of the body, at once."""

    data: bytes


class Pause(NamedTuple):
    """Send nothing for this long."""

    seconds: float


class Cut(NamedTuple):
    """End the connection here. where: CHUNK means that a part of an HTTP chunk header is sent first."""

    how: How
    where: Where


Effect: TypeAlias = Send | Pause | Cut
F = TypeVar("F", bound=Fault)


class FaultInjector:
    """The faults of one answer: give it what should be sent, and get the effects to carry out.

    Without faults each frame is one Send of its bytes. is_cut: whether a Cut was among the effects.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        faults = tuple(faults)
        self._frame_faults = FrameFaults(faults)
        self._drops = _only(Drop, faults)
        self._stalls = _only(Stall, faults)
        self._drip = next(iter(_only(Drip, faults)), None)
        self._gzip = zlib.compressobj(wbits=GZIP_WINDOW) if _only(Gzip, faults) else None
        self._events = 0
        self._bytes = 0
        self.is_cut: bool = False

    @property
    def encoding(self) -> str | None:
        """The value of the content-encoding header; None for no such header."""
        return "gzip" if self._gzip else None

    def open(self) -> list[Effect]:
        """What to do right after the head."""
        return list(self._until_cut(self._between()))

    def frame(self, frame: Frame) -> list[Effect]:
        """What to do instead of sending this frame."""
        return self._frames(self._frame_faults.feed(frame))

    def data(self, data: bytes) -> list[Effect]:
        """What to do instead of sending bytes that are not an event, such as a comment or a JSON body."""
        return list(self._until_cut(self._sent(data)))

    def close(self) -> list[Effect]:
        """What to do before the answer ends."""
        effects = self._frames(self._frame_faults.close())
        rest = self._gzip.flush() if self._gzip and not self.is_cut else b""
        return [*effects, Send(rest)] if rest else effects

    def _frames(self, frames: list[Frame]) -> list[Effect]:
        effects: list[Effect] = []
        for frame in frames:
            effects += self._until_cut(self._one_frame(encode_frame(frame)))
        return effects

    def _until_cut(self, effects: Iterator[Effect]) -> Iterator[Effect]:
        while not self.is_cut and (effect := next(effects, None)) is not None:
            self.is_cut = isinstance(effect, Cut)
            yield effect

    def _one_frame(self, data: bytes) -> Iterator[Effect]:
        for drop in self._drops:
            is_due = _events_before(drop) in range(self._events + 1)
            length = _cut_inside(drop, data) if is_due and drop.where in (Where.FRAME, Where.CHARACTER) else None
            if length is not None:
                yield from self._sent(data[:length])
                yield Cut(drop.how, drop.where)
        yield from self._sent(data)
        self._events += 1
        yield from self._between()

    def _between(self) -> Iterator[Effect]:
        """What happens between two events, or before the first."""
        for stall in self._stalls:
            if stall.after_events == self._events:
                yield Pause(stall.seconds)
        for drop in self._drops:
            if drop.where in (Where.BETWEEN, Where.CHUNK) and _events_before(drop) == self._events:
                yield Cut(drop.how, drop.where)

    def _sent(self, data: bytes) -> Iterator[Effect]:
        """The bytes, or as many of them as a drop leaves, and then the cut."""
        for drop in self._drops:
            left = None if drop.after_bytes is None else max(0, drop.after_bytes - self._bytes)
            if left is not None and left <= len(data):
                yield from self._written(data[:left])
                yield Cut(drop.how, drop.where)
        yield from self._written(data)
        self._bytes += len(data)

    def _written(self, data: bytes) -> Iterator[Effect]:
        if self._gzip and data:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        size = self._drip.bytes if self._drip else len(data)
        for start in range(0, len(data), size or 1):
            if start and self._drip and self._drip.seconds:
                yield Pause(self._drip.seconds)
            yield Send(data[start : start + size])


def _only(kind: type[F], faults: tuple[Fault, ...]) -> tuple[F, ...]:
    return tuple(each for each in faults if isinstance(each, kind))


def _events_before(drop: Drop) -> int | None:
    """The number of events before the cut: 0 if the drop names no number, None if it counts bytes alone."""
    return 0 if drop.after_bytes is None and drop.after_events is None else drop.after_events


def _cut_inside(drop: Drop, data: bytes) -> int | None:
    """The number of bytes before the cut inside an event; None if the event has no character of several bytes."""
    if drop.where == Where.FRAME:
        return len(data) // 2
    return next((at for at, byte in enumerate(data) if byte in CONTINUATION), None)
