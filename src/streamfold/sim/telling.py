"""The events of one response as its server tells them, if nobody cancels it: data, frames, bytes on the wire.

In      the data of a whole stream, and a Manner
Out     a Telling
Units   events; sequence numbers
Errors  none for streams as `streamfold.bench.make_stream` makes them
Source  docs/explanation/simulation.md

This room knows no frames: how an event's name and data become one is passed in by whoever runs it.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import frozen

from streamfold.chaos import Disturbance, Send
from streamfold.schema import ResponseStatus
from streamfold.sim.script import Manner, Script

__all__ = ["Framed", "Library", "Line", "Telling", "with_number", "with_response"]

Framed: TypeAlias = Callable[[bytes, bytes], Any]

TOLD_BY = ("numbering", "first_number", "has_keepalive", "background", "ending")
NUMBER = re.compile(rb'"sequence_number":\d+,?')
TYPE = re.compile(rb'"type":"([^"]+)"')
ERROR = b'{"code":"server_error","message":"An error on purpose."}'
KEEPALIVE = b'{"type":"keepalive","sequence_number":0}'
NESTED = b'{"type":"error","sequence_number":0,"error":{"type":"server_error","code":"server_error","message":"On purpose."}}'
FLAT = b'{"type":"error","sequence_number":0,"code":"server_error","message":"On purpose.","param":null}'


@frozen
class Line:
    """One event. adds: whether it adds text, or an item, to the output. frame: it, for chaos. wire: its bytes."""

    data: bytes
    number: int | None
    adds: bool
    frame: Any
    wire: bytes


@frozen
class Telling:
    """A response, told to its end. last: the event that ends it, also where it is not sent.

    running, ended: the Response as JSON, while it runs and at its end. status: at its end.
    """

    lines: tuple[Line, ...]
    running: bytes
    ended: bytes
    status: str
    framed: Framed

    def line(self, data: bytes) -> Line:
        """Another event of the same server."""
        return _line(data, self.framed)


def with_number(data: bytes, number: int | None) -> bytes:
    """The event with another sequence number; None for without."""
    return NUMBER.sub(b"" if number is None else b'"sequence_number":%d,' % number, data, count=1).replace(b",}", b"}")


def with_response(kind: str, number: int | None, response: bytes) -> bytes:
    """An event that holds a Response."""
    return with_number(b'{"type":"%s","sequence_number":0,"response":%s}' % (kind.encode(), response), number)


class Library:
    """Streams to tell. streams: the data of the events of each, the shortest first."""

    def __init__(self, streams: Sequence[Sequence[bytes]], framed: Framed) -> None:
        self._streams = streams
        self._framed = framed
        self._tell = lru_cache(maxsize=400)(self._told)

    def __len__(self) -> int:
        return len(self._streams)

    def lengths(self) -> list[int]:
        """How many events each stream has."""
        return [len(stream) for stream in self._streams]

    def tell(self, script: Script) -> Telling:
        """What the script's gateway has to tell."""
        told = {name: getattr(script.manner, name) for name in TOLD_BY}
        return self._tell(script.stream, Manner(**told))

    def _told(self, stream: int, manner: Manner) -> Telling:
        """The telling of this stream. manner: only what bears on it, so that the same ones are the same."""
        keepalive, first, numbering, ending = manner.has_keepalive, manner.first_number, manner.numbering, manner.ending
        told = [KEEPALIVE] * keepalive + list(self._streams[stream])
        if manner.background:
            told = [each.replace(b'"background":false', b'"background":true') for each in told]
        running = _response_of(told[int(keepalive)])
        status, told = _with_end(told, ending)
        ended = _response_of(told[-1])
        if ending in {"error_flat", "unsaid", "never"}:
            told.pop()
        steps = {"plain": 1, "holes": 3, "zeros": 0}
        numbers = [first + steps[numbering] * place if numbering in steps else None for place in range(len(told))]
        lines = [_line(with_number(each, number), self._framed) for each, number in zip(told, numbers, strict=True)]
        return Telling(tuple(lines), running, ended, status, self._framed)


def _with_end(told: list[bytes], ending: str) -> tuple[str, list[bytes]]:
    """The status at the end, and the events with the end that tells it."""
    match ending:
        case "incomplete" | "failed":
            return ending, [*told[:-1], _ended(told[-1], ending)]
        case "error_nested" | "error_flat":
            error = NESTED if ending == "error_nested" else FLAT
            # Nothing of the output is in the Response that failed: what was told of it is all there is.
            failed = _ended(told[0 if told[0] is not KEEPALIVE else 1], "failed", was="in_progress")
            return "failed", [*told[: len(told) // 2], error, failed]
        case _:
            return ResponseStatus.COMPLETED, told


def _ended(event: bytes, status: str, *, was: str = "completed") -> bytes:
    response = event.partition(b'"response":')[2]
    response = response.replace(b'"status":"%s"' % was.encode(), b'"status":"%s"' % status.encode(), 1)
    if status == "failed":
        response = response.replace(b'"error":null', b'"error":' + ERROR, 1)
    return b'{"type":"response.%s","sequence_number":0,"response":%s' % (status.encode(), response)


def _response_of(event: bytes) -> bytes:
    return event.partition(b'"response":')[2][:-1]


def _line(data: bytes, framed: Framed) -> Line:
    named = TYPE.search(data)
    name = named[1] if named else b""
    found = NUMBER.search(data)
    number = int(found[0].partition(b":")[2].rstrip(b",")) if found else None
    frame = framed(name, data)
    acts = Disturbance().frame(frame)
    wire = b"".join(act.data for act in acts if isinstance(act, Send))
    return Line(data, number, name.endswith((b".delta", b"output_item.added")), frame, wire)
