"""All faults of one answer together: what is sent, when, and how the connection ends.

In      the answer's frames, or its bytes, in order; and its Faults
Out     Acts: send these bytes, wait, cut the connection
Units   bytes of the body before compression; seconds
Errors  none
Source  docs/reference/emulator.md

It decides; whoever holds the connection carries out. After a Cut there are no more Acts.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

from streamfold.chaos.alteration import Alteration
from streamfold.chaos.fault import Drip, Drop, Fault, Gzip, How, Stall, Where
from streamfold.sse import Frame, encode_frame

__all__ = ["Act", "Cut", "Disturbance", "Send", "Wait"]

GZIP_WINDOW = 31  # zlib's number for the largest window, with a gzip header
CONTINUATION = range(0x80, 0xC0)  # bytes that go on with a UTF-8 character


class Send(NamedTuple):
    """Write these bytes of the body, at once."""

    data: bytes


class Wait(NamedTuple):
    """Send nothing for so long."""

    seconds: float


class Cut(NamedTuple):
    """End the connection here. where: CHUNK asks for a part of an HTTP chunk header first."""

    how: How
    where: Where


Act: TypeAlias = Send | Wait | Cut
F = TypeVar("F", bound=Fault)


class Disturbance:
    """The faults of one answer. Feed it what should be sent; it answers with what to do.

    Without faults each frame is one Send of its bytes.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        faults = tuple(faults)
        self._alteration = Alteration(faults)
        self._drops = _only(Drop, faults)
        self._stalls = _only(Stall, faults)
        self._drip = next(iter(_only(Drip, faults)), None)
        self._gzip = zlib.compressobj(wbits=GZIP_WINDOW) if _only(Gzip, faults) else None
        self._events = 0
        self._bytes = 0
        self.is_cut: bool = False

    @property
    def encoding(self) -> str | None:
        """What the content-encoding header has to say."""
        return "gzip" if self._gzip else None

    def open(self) -> list[Act]:
        """What to do before anything is sent, once the head is."""
        return list(self._until_cut(self._between()))

    def frame(self, frame: Frame) -> list[Act]:
        """What to do when this frame is to be sent."""
        return self._frames(self._alteration.feed(frame))

    def data(self, data: bytes) -> list[Act]:
        """What to do when bytes that are no event, as a comment or a JSON body, are to be sent."""
        return list(self._until_cut(self._sent(data)))

    def close(self) -> list[Act]:
        """What to do when the answer is to end."""
        acts = self._frames(self._alteration.close())
        rest = self._gzip.flush() if self._gzip and not self.is_cut else b""
        return [*acts, Send(rest)] if rest else acts

    def _frames(self, frames: list[Frame]) -> list[Act]:
        acts: list[Act] = []
        for frame in frames:
            acts += self._until_cut(self._one_frame(encode_frame(frame)))
        return acts

    def _until_cut(self, acts: Iterator[Act]) -> Iterator[Act]:
        while not self.is_cut and (act := next(acts, None)) is not None:
            self.is_cut = isinstance(act, Cut)
            yield act

    def _one_frame(self, data: bytes) -> Iterator[Act]:
        for drop in self._drops:
            is_due = _events_before(drop) in range(self._events + 1)
            length = _cut_inside(drop, data) if is_due and drop.where in (Where.FRAME, Where.CHARACTER) else None
            if length is not None:
                yield from self._sent(data[:length])
                yield Cut(drop.how, drop.where)
        yield from self._sent(data)
        self._events += 1
        yield from self._between()

    def _between(self) -> Iterator[Act]:
        """What happens between two events, or before the first."""
        for stall in self._stalls:
            if stall.after_events == self._events:
                yield Wait(stall.seconds)
        for drop in self._drops:
            if drop.where in (Where.BETWEEN, Where.CHUNK) and _events_before(drop) == self._events:
                yield Cut(drop.how, drop.where)

    def _sent(self, data: bytes) -> Iterator[Act]:
        """The bytes, or as many of them as a drop leaves, and then the cut."""
        for drop in self._drops:
            left = None if drop.after_bytes is None else max(0, drop.after_bytes - self._bytes)
            if left is not None and left <= len(data):
                yield from self._written(data[:left])
                yield Cut(drop.how, drop.where)
        yield from self._written(data)
        self._bytes += len(data)

    def _written(self, data: bytes) -> Iterator[Act]:
        if self._gzip and data:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        size = self._drip.bytes if self._drip else len(data)
        for start in range(0, len(data), size or 1):
            if start and self._drip and self._drip.seconds:
                yield Wait(self._drip.seconds)
            yield Send(data[start : start + size])


def _only(kind: type[F], faults: tuple[Fault, ...]) -> tuple[F, ...]:
    return tuple(each for each in faults if isinstance(each, kind))


def _events_before(drop: Drop) -> int | None:
    """How many events come before the cut; none where the drop says nothing, None where it goes by bytes alone."""
    return 0 if drop.after_bytes is None and drop.after_events is None else drop.after_events


def _cut_inside(drop: Drop, data: bytes) -> int | None:
    """How many bytes of an event come before the cut inside it; None where it has no character of several bytes."""
    if drop.where == Where.FRAME:
        return len(data) // 2
    return next((at for at, byte in enumerate(data) if byte in CONTINUATION), None)
