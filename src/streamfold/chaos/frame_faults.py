"""Faults over the frames of one answer: which are sent, in which order, with which numbers.

A frame whose data is not a JSON object keeps its data.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, TypeAlias

import msgspec
from msgspec import MsgspecError, Raw, structs

from streamfold.chaos import fault as kind
from streamfold.chaos.fault import Fault
from streamfold.sse import Frame

TERMINAL = {f"response.{status}" for status in ("completed", "failed", "incomplete", "cancelled")}
TORN = b"\xff"  # never valid UTF-8, so the event cannot be mistaken for another

# What one fault does with the frame at an index, counted from 0.
Change: TypeAlias = Callable[[Any, Frame, int], Iterable[Frame]]


class FrameFaults:
    """The faults of one answer, applied to each frame one after the other."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._stages = [
            _Swap(each) if isinstance(each, kind.Reorder) else _FrameFault(each, CHANGES[type(each)])
            for each in faults
            if isinstance(each, kind.Reorder) or type(each) in CHANGES
        ]

    def feed(self, frame: Frame) -> list[Frame]:
        """The frames to send instead of this one; often itself, sometimes none."""
        frames = [frame]
        for stage in self._stages:
            frames = list(chain.from_iterable(map(stage.feed, frames)))
        return frames

    def close(self) -> list[Frame]:
        """The frames that were held back to the end."""
        frames: list[Frame] = []
        for stage in self._stages:
            frames = [*chain.from_iterable(map(stage.feed, frames)), *stage.close()]
        return frames


class _FrameFault:
    def __init__(self, fault: Fault, change: Change) -> None:
        self._fault = fault
        self._change = change
        self._seen = 0

    def feed(self, frame: Frame) -> Iterable[Frame]:
        self._seen += 1
        return self._change(self._fault, frame, self._seen - 1)

    def close(self) -> Iterable[Frame]:
        return ()


class _Swap:
    def __init__(self, fault: kind.Reorder) -> None:
        self._left = fault.after_events
        self._held: Frame | None = None

    def feed(self, frame: Frame) -> Iterable[Frame]:
        self._left -= 1
        if self._left == -1:
            self._held = frame
            return ()
        if self._held is not None:
            return frame, *self.close()
        return (frame,)

    def close(self) -> Iterable[Frame]:
        held, self._held = self._held, None
        return () if held is None else (held,)


def _duplicate(fault: kind.Duplicate, frame: Frame, index: int) -> Iterable[Frame]:
    return [frame] * (1 + fault.count if index + 1 == fault.after_events else 1)


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


_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_number = msgspec.json.Decoder(int).decode
_encode = msgspec.json.Encoder().encode


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
