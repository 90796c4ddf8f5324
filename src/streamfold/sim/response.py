"""One response as it really is: its whole transcript, and at each time which events exist and what its status is.

A transcript depends on few fields of a scenario and is cached for 100,000 runs. The truth about one run adds time and
cancels. Time only goes forward and what comes by itself is fixed from the start, so a cancel edits the list of events
when it arrives, even if it takes effect later. Except for the output that a cancelled Response keeps, nothing here
uses the fold that the simulation checks.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, TypeAlias

from attrs import define, frozen

from streamfold.chaos import FaultInjector, Send
from streamfold.emulator import CANCEL_RULES, CancelRule, Ending
from streamfold.fold import SequencePolicy, State, fold, snapshot_json, with_response
from streamfold.schema import ResponseStatus, decode_event, is_terminal_status
from streamfold.sim.scenario import GatewayBehaviour, Scenario

__all__ = ["CANCELLED", "Feed", "ModelEvent", "Transcript", "TranscriptCache", "Truth", "response_event", "with_number"]

# How an event's name and data become a frame for chaos. It is passed in, so that this package needs no `sse`.
MakeFrame: TypeAlias = Callable[[bytes, bytes], Any]

# The fields of a behaviour that change the transcript.
CHANGES_EVENTS = ("numbering", "first_number", "has_keepalive", "background", "ending")
STEPS = {"plain": 1, "holes": 3, "zeros": 0}  # from one sequence number to the next
NUMBER = re.compile(rb'"sequence_number":\d+,?')
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
        frame: What chaos disturbs.
        wire: The undisturbed bytes.
    """

    data: bytes
    number: int | None
    adds: bool
    frame: Any
    wire: bytes


@frozen
class Transcript:
    """A response that nobody cancels, from its first event to its last.

    Attributes:
        running, ended: The Response as JSON, while it runs and at its end.
        status: The status at its end.
    """

    events: tuple[ModelEvent, ...]
    running: bytes
    ended: bytes
    status: str
    make_frame: MakeFrame

    def event(self, data: bytes) -> ModelEvent:
        """One more event of the same gateway."""
        return _event(data, self.make_frame)

    def number_at(self, place: int) -> int | None:
        """The number that an event at this place has."""
        first = self.events[0].number
        if place == 0 or first is None:
            return first
        return first + ((self.events[1].number or 0) - first) * place


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
        running = _response_of(data[int(has_keepalive)])
        status, data = _with_end(data, behaviour.ending)
        ended = _response_of(data[-1])
        if behaviour.ending in {"error_flat", "silent", "never"}:
            data.pop()
        step = STEPS.get(numbering)
        numbers = [None if step is None else first + step * place for place in range(len(data))]
        events = [
            _event(with_number(each, number), self._make_frame) for each, number in zip(data, numbers, strict=True)
        ]
        return Transcript(tuple(events), running, ended, status, self._make_frame)


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
    return ModelEvent(data, number, name.endswith((b".delta", b"output_item.added")), frame, wire)


# The truth about one run

POLICIES = {"holes": SequencePolicy.RENUMBER, "zeros": SequencePolicy.ARRIVAL}
CANCELLED = str(ResponseStatus.CANCELLED)
# vLLM answers every cancel that comes too late in the same way, and the emulator has no such dialect.
RULES: Mapping[str, CancelRule] = {
    **CANCEL_RULES,
    "vllm": CancelRule(ending=Ending.CANCELLED_EVENT, again_status=400),
}
LAST_EVENT = {Ending.CANCELLED_EVENT: "response.cancelled", Ending.FAILED_EVENT: "response.failed"}


@define
class Feed:
    """Events, each of which exists from its own time on.

    Attributes:
        closed_at: When the stream ends; inf for never.
        hung_up_at: When the connections that are open then end.
    """

    events: list[ModelEvent]
    times: list[float]
    closed_at: float
    hung_up_at: float = inf


class Truth:
    """What the response of one run really is.

    Attributes:
        began: When it began: at the beginning of the run or earlier.
        natural_end: When it ends if nobody cancels it.
        cancelled_at: When a cancel of ours took effect; inf if none did.
        cancelled: The Response after that.
        events_in_cancelled: The events whose text is in `cancelled`.
    """

    def __init__(
        self, transcript: Transcript, behaviour: GatewayBehaviour, *, head_start_seconds: float, seen: int
    ) -> None:
        """Begin early enough for `seen` events to exist when the run begins."""
        self.transcript: Transcript = transcript
        self.rule: CancelRule = RULES[behaviour.cancel]
        self._behaviour = behaviour
        count, pause = len(transcript.events), behaviour.pause_seconds
        times = [behaviour.pace_seconds * place + pause * (2 * place > count) for place in range(count)]
        self.began: float = -max(head_start_seconds, times[seen - 1] if seen else 0.0)
        times = [self.began + time for time in times]
        self.natural_end: float = inf if behaviour.ending == "never" else times[-1]
        self.cancelled_at: float = inf
        self.feed: Feed = Feed(list(transcript.events), times, self.natural_end)
        self.cancelled: bytes = b""
        self.events_in_cancelled: tuple[ModelEvent, ...] = ()

    @property
    def policy(self) -> SequencePolicy:
        """How to read this gateway's numbers."""
        return POLICIES.get(self._behaviour.numbering, SequencePolicy.STRICT)

    @property
    def ends_at(self) -> float:
        """When the response is over."""
        return self.natural_end if self.rule.ending is Ending.GOES_ON else min(self.natural_end, self.cancelled_at)

    def status_at(self, now: float) -> str:
        """The status that a GET reports."""
        if now >= self.cancelled_at and (self.rule.ending is not Ending.GOES_ON or now < self.natural_end):
            return CANCELLED
        return self.transcript.status if now >= self.natural_end else "in_progress"

    def response_at(self, now: float) -> bytes:
        """The Response that a GET returns."""
        status = self.status_at(now)
        if status == CANCELLED:
            return self.cancelled
        return self.transcript.ended if is_terminal_status(status) else self.transcript.running

    def cancel(self, *, at: float) -> None:
        """Carry out a cancel that arrives then. A second one, or one that comes too late, changes nothing."""
        effect = at + self._behaviour.cancel_seconds
        if self.cancelled_at < inf or effect >= self.natural_end:
            return
        self.cancelled_at = effect
        count = sum(time <= effect for time in self.feed.times)
        self.cancelled = self._cancelled_response(count)
        if self.rule.ending is Ending.HANG_UP:
            self.feed.hung_up_at = effect
        elif self.rule.ending is not Ending.GOES_ON:
            self._end_after(count, effect)

    def _end_after(self, count: int, effect: float) -> None:
        feed = self.feed
        del feed.events[count:], feed.times[count:]
        feed.closed_at = effect
        if (kind := LAST_EVENT.get(self.rule.ending)) is not None:
            number = self.transcript.number_at(count)
            feed.events.append(self.transcript.event(response_event(kind, number, self.cancelled)))
            feed.times.append(effect)

    def _cancelled_response(self, count: int) -> bytes:
        body = self.transcript.running.replace(b'"status":"in_progress"', b'"status":"cancelled"', 1)
        if not self._behaviour.keeps_output:
            return body
        self.events_in_cancelled = self.transcript.events[:count]
        events = [decode_event(each.data) for each in self.events_in_cancelled]
        return snapshot_json(with_response(fold(events, State.under(self.policy)), body))
