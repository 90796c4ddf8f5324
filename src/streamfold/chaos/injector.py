"""All faults of one answer together: what is sent, when, and how the connection ends.

It only decides; the code that holds the connection carries out the effects. After a Cut there are no more. A frame
whose data is not a JSON object keeps its data.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import MsgspecError, Raw, structs

from streamfold.chaos import fault as kind
from streamfold.chaos.fault import Drip, Drop, Fault, Gzip, How, Stall, Where
from streamfold.sse import Frame, encode_frame

GZIP_WINDOW = 31  # zlib's number for the largest window, with a gzip header
CONTINUATION = range(0x80, 0xC0)  # bytes inside a UTF-8 character, after its first
TERMINAL = {f"response.{status}" for status in ("completed", "failed", "incomplete", "cancelled")}
TORN = b"\xff"  # never valid UTF-8, so the event cannot be mistaken for another

_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_number = msgspec.json.Decoder(int).decode
_encode = msgspec.json.Encoder().encode


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

# What one fault does with the frame at an index, counted from 0.
Change: TypeAlias = Callable[[Any, Frame, int], Iterable[Frame]]


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

    def effects(self, sent: Frame | bytes | None) -> Iterator[Effect]:
        """What to do instead of sending a frame, or other bytes, one by one; None stands for the end.

        A fault may repeat an event, or split it, any number of times: carry out each effect before you ask for the next.
        """
        if sent is None:
            yield from self._frames(self._frame_faults.close())
            if self._gzip and not self.is_cut and (rest := self._gzip.flush()):
                yield Send(rest)
        elif isinstance(sent, bytes):
            yield from self._until_cut(self._sent(sent))
        else:
            yield from self._frames(self._frame_faults.feed(sent))

    def frame(self, frame: Frame) -> list[Effect]:
        """What to do instead of sending this frame."""
        return list(self.effects(frame))

    def data(self, data: bytes) -> list[Effect]:
        """What to do instead of sending bytes that are not an event, such as a comment or a JSON body."""
        return list(self.effects(data))

    def close(self) -> list[Effect]:
        """What to do before the answer ends."""
        return list(self.effects(None))

    def _frames(self, frames: Iterable[Frame]) -> Iterator[Effect]:
        for frame in frames:
            yield from self._until_cut(self._one_frame(encode_frame(frame)))
            if self.is_cut:
                return

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


class FrameFaults:
    """The faults of one answer, applied to each frame one after the other."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._stages = [_Stage(each) for each in faults if isinstance(each, kind.Reorder) or type(each) in CHANGES]

    def feed(self, frame: Frame) -> Iterable[Frame]:
        """The frames to send instead of this one, lazily; often itself, sometimes none."""
        frames: Iterable[Frame] = (frame,)
        for stage in self._stages:
            frames = chain.from_iterable(map(stage.feed, frames))
        return frames

    def close(self) -> Iterable[Frame]:
        """The frames that were held back to the end, lazily."""
        frames: Iterable[Frame] = ()
        for stage in self._stages:
            frames = _closed(stage, frames)
        return frames


def _closed(stage: "_Stage", frames: Iterable[Frame]) -> Iterator[Frame]:
    yield from chain.from_iterable(map(stage.feed, frames))
    yield from stage.close()


class _Stage:
    """One fault, and how many frames it has seen. held: the frame whose place the next one takes."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._seen = 0
        self._held: list[Frame] = []

    def feed(self, frame: Frame) -> Iterable[Frame]:
        index = self._seen
        self._seen += 1
        if not isinstance(self._fault, kind.Reorder):
            return CHANGES[type(self._fault)](self._fault, frame, index)
        if index == self._fault.after_events:
            self._held = [frame]
            return ()
        return frame, *self.close()

    def close(self) -> list[Frame]:
        held, self._held = self._held, []
        return held


def _duplicate(fault: kind.Duplicate, frame: Frame, index: int) -> Iterable[Frame]:
    return repeat(frame, 1 + fault.count) if index + 1 == fault.after_events else (frame,)


def _leave_out(fault: kind.Gap, frame: Frame, index: int) -> Iterable[Frame]:
    return () if fault.after_events <= index < fault.after_events + fault.count else (frame,)


def _renumber(fault: kind.Renumber, frame: Frame, index: int) -> Iterable[Frame]:
    return (_shifted(frame, fault.by) if index >= fault.after_events else frame,)


def _corrupt(fault: kind.Corrupt, frame: Frame, index: int) -> Iterable[Frame]:
    if index != fault.after_events:
        return (frame,)
    middle = len(frame.data) // 2
    return (structs.replace(frame, data=frame.data[:middle] + TORN + frame.data[middle + 1 :]),)


def _keep_alive(_: kind.KeepaliveFirst, frame: Frame, index: int) -> Iterable[Frame]:
    shifted = _shifted(frame, 1)
    if index or _type_of(frame) != "response.created":
        return (shifted,)
    return _event("keepalive", _number_of(frame)), shifted


def _fail(fault: kind.ErrorNested | kind.ErrorFlat, frame: Frame, index: int) -> Iterable[Frame]:
    """The error instead of the event at that index, and nothing after it."""
    if index != fault.after_events:
        return (frame,) if index < fault.after_events else ()
    facts = {"code": "server_error", "message": "An error on purpose.", "param": None}
    nested = {"error": {"type": "server_error", **facts}}
    return (_event("error", _number_of(frame), **(nested if isinstance(fault, kind.ErrorNested) else facts)),)


def _leave_out_terminal(_: kind.NoTerminal, frame: Frame, __: int) -> Iterable[Frame]:
    return () if _type_of(frame) in TERMINAL else (frame,)


def _repeat_terminal(_: kind.TwoTerminals, frame: Frame, __: int) -> Iterable[Frame]:
    return (frame, _shifted(frame, 1)) if _type_of(frame) in TERMINAL else (frame,)


CHANGES: Mapping[type[Fault], Change] = {
    kind.Duplicate: _duplicate,
    kind.Gap: _leave_out,
    kind.Renumber: _renumber,
    kind.Corrupt: _corrupt,
    kind.KeepaliveFirst: _keep_alive,
    kind.ErrorNested: _fail,
    kind.ErrorFlat: _fail,
    kind.NoTerminal: _leave_out_terminal,
    kind.TwoTerminals: _repeat_terminal,
}


def _members(frame: Frame) -> dict[str, Raw]:
    """The event's members, their values as they were written."""
    try:
        return _decode(frame.data)
    except (MsgspecError, UnicodeDecodeError):
        return {}


def _type_of(frame: Frame) -> str:
    return bytes(_members(frame).get("type", Raw(b'""'))).decode().strip('"')


def _number_of(frame: Frame) -> int:
    try:
        return _decode_number(_members(frame)["sequence_number"])
    except (KeyError, MsgspecError):
        return 0


def _shifted(frame: Frame, by: int) -> Frame:
    members = _members(frame)
    if "sequence_number" not in members:
        return frame
    number = Raw(b"%d" % (_number_of(frame) + by))
    return structs.replace(frame, data=_encode(members | {"sequence_number": number}))


def _event(name: str, number: int, **rest: Any) -> Frame:
    return Frame(event=name.encode(), data=_encode({"type": name, "sequence_number": number, **rest}))
