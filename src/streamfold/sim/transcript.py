"""The transcript of a response that nobody cancels: its events as one server or another sends them.

A transcript depends on few fields of a scenario and is cached for all runs.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import frozen
from msgspec.json import encode

from streamfold.chaos import FaultInjector, Send
from streamfold.errors import SequenceGap
from streamfold.fold import State, reduce, reduce_across
from streamfold.schema import ResponseStatus, decode_event
from streamfold.sim.scenario import GatewayBehaviour, Scenario

# How an event's name and data become a frame for chaos. It is passed in, so that this package needs no `sse`.
MakeFrame: TypeAlias = Callable[[bytes, bytes], Any]

# The fields of a behaviour that change the transcript.
CHANGES_EVENTS = ("response_id", "numbering", "indexes", "first_number", "has_keepalive", "background", "ending")
STEPS = {"plain": 1, "holes": 3, "zeros": 0, "skips": 1}  # from one sequence number to the next
NUMBER = re.compile(rb'"sequence_number":\d+,?')
ID = re.compile(rb'"response":{"id":("[^"]*")')
INDEXES = {
    "output": re.compile(rb'"(?:content|summary)_index":\d+,?'),
    "none": re.compile(rb'"(?:output|content|summary)_index":\d+,?'),
}
TYPE = re.compile(rb'"type":"([^"]+)"')
ERROR = b'{"code":"server_error","message":"An error on purpose."}'
KEEPALIVE = b'{"type":"keepalive","sequence_number":0}'
NESTED = b'{"type":"error","sequence_number":0,"error":{"type":"server_error","code":"server_error","message":"On purpose."}}'
FLAT = b'{"type":"error","sequence_number":0,"code":"server_error","message":"On purpose.","param":null}'


@frozen
class ModelEvent:
    """One event of the gateway.

    Attributes:
        adds: Whether it adds text, or an item, to the output.
        fields: Its type and number, for the timeline.
        frame: What chaos disturbs.
        wire: The undisturbed bytes.
    """

    data: bytes
    number: int | None
    adds: bool
    fields: dict[str, Any]
    frame: Any
    wire: bytes


@frozen
class Transcript:
    """A response that nobody cancels, from its first event to its last.

    Attributes:
        running, ended: The Response as JSON, while it runs and at its end.
        status: The status at its end.
        skips_at: The place before which a number belongs to no event; None if there is no such place.
    """

    events: tuple[ModelEvent, ...]
    running: bytes
    ended: bytes
    status: str
    make_frame: MakeFrame
    skips_at: int | None = None

    def event(self, data: bytes) -> ModelEvent:
        """One more event of the same gateway."""
        return _event(data, self.make_frame)

    def number_at(self, place: int) -> int | None:
        """The number that an event at this place has."""
        first = self.events[0].number
        if place == 0 or first is None:
            return first
        skipped = self.skips_at is not None and place >= self.skips_at
        return first + ((self.events[1].number or 0) - first) * place + skipped


class TranscriptCache:
    """The transcripts of a set of streams.

    Args:
        streams: The data of the events of each stream, the shortest stream first, as `make_stream` makes them.
        make_frame: How an event's name and data become a frame.
    """

    def __init__(self, streams: Sequence[Sequence[bytes]], make_frame: MakeFrame) -> None:
        self._streams = streams
        self._make_frame = make_frame
        self._cached = lru_cache(maxsize=400)(self._transcript)

    def lengths(self) -> list[int]:
        """How many events each stream has."""
        return [len(stream) for stream in self._streams]

    def get(self, scenario: Scenario) -> Transcript:
        """The transcript of the scenario's response."""
        relevant = {name: getattr(scenario.behaviour, name) for name in CHANGES_EVENTS}
        return self._cached(scenario.stream, GatewayBehaviour(**relevant))

    def _transcript(self, stream: int, behaviour: GatewayBehaviour) -> Transcript:
        has_keepalive, first, numbering = behaviour.has_keepalive, behaviour.first_number, behaviour.numbering
        data = [KEEPALIVE] * has_keepalive + list(self._streams[stream])
        if behaviour.background:
            data = [each.replace(b'"background":false', b'"background":true') for each in data]
        data = [_without_indexes(each, behaviour.indexes) for each in _with_id(data, behaviour.response_id)]
        running = _response_of(data[int(has_keepalive)])
        status, data = _with_end(data, behaviour.ending)
        ended = _response_of(data[-1])
        if behaviour.ending in {"error_flat", "silent", "never"}:
            data.pop()
        step = STEPS.get(numbering)
        skips_at = len(data) // 2 if numbering == "skips" else len(data)
        numbers = [None if step is None else first + step * place + (place >= skips_at) for place in range(len(data))]
        events = [
            _event(with_number(each, number), self._make_frame) for each, number in zip(data, numbers, strict=True)
        ]
        skipped = skips_at if numbering == "skips" else None
        return Transcript(tuple(events), running, ended, status, self._make_frame, skipped)


def _with_id(data: list[bytes], response_id: str) -> list[bytes]:
    if not response_id:
        return data
    own = next(found[1] for each in data if (found := ID.search(each)))
    return [each.replace(own, encode(response_id)) for each in data]


def _without_indexes(data: bytes, indexes: str) -> bytes:
    """The event without its indexes, as some servers send it."""
    pattern = INDEXES.get(indexes)
    return data if pattern is None else pattern.sub(b"", data).replace(b",}", b"}")


def fold_across(data: Iterable[bytes], state: State) -> State:
    """The state after these events, where a missing number is a hole of the server's own."""
    for each in data:
        event = decode_event(each)
        try:
            state = reduce(state, event)
        except SequenceGap:
            state = reduce_across(state, event)
    return state


def with_number(data: bytes, number: int | None) -> bytes:
    """The event with another sequence number, or without one."""
    return NUMBER.sub(b"" if number is None else b'"sequence_number":%d,' % number, data, count=1).replace(b",}", b"}")


def response_event(kind: str, number: int | None, response: bytes) -> bytes:
    """An event that holds a Response."""
    return with_number(b'{"type":"%s","sequence_number":0,"response":%s}' % (kind.encode(), response), number)


def _with_end(data: list[bytes], ending: str) -> tuple[str, list[bytes]]:
    """The status at the end, and the events with the end that shows it."""
    match ending:
        case "incomplete" | "failed":
            return ending, [*data[:-1], _ended(data[-1], ending)]
        case "error_nested" | "error_flat":
            error = NESTED if ending == "error_nested" else FLAT
            # The failed Response has no output: the events before it are all there is.
            failed = _ended(data[0 if data[0] is not KEEPALIVE else 1], "failed", was="in_progress")
            return "failed", [*data[: len(data) // 2], error, failed]
        case _:
            return ResponseStatus.COMPLETED, data


def _ended(event: bytes, status: str, *, was: str = "completed") -> bytes:
    response = event.partition(b'"response":')[2]
    response = response.replace(b'"status":"%s"' % was.encode(), b'"status":"%s"' % status.encode(), 1)
    if status == "failed":
        response = response.replace(b'"error":null', b'"error":' + ERROR, 1)
    return b'{"type":"response.%s","sequence_number":0,"response":%s' % (status.encode(), response)


def _response_of(event: bytes) -> bytes:
    return event.partition(b'"response":')[2][:-1]


def _event(data: bytes, make_frame: MakeFrame) -> ModelEvent:
    named = TYPE.search(data)
    name = named[1] if named else b""
    found = NUMBER.search(data)
    number = int(found[0].partition(b":")[2].rstrip(b",")) if found else None
    frame = make_frame(name, data)
    acts = FaultInjector().frame(frame)
    wire = b"".join(act.data for act in acts if isinstance(act, Send))
    fields = {"type": name.decode(), "sequence_number": number}
    return ModelEvent(data, number, name.endswith((b".delta", b"output_item.added")), fields, frame, wire)
