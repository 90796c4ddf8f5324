"""One response as it really is: its whole transcript, and at each time which events exist and what its status is.

A transcript depends on few fields of a scenario and is cached for 100,000 runs. The truth about one run adds time and
cancels. Time only goes forward and what comes by itself is fixed from the start, so a cancel edits the list of events
when it arrives, even if it takes effect later. Except for the output that a cancelled Response keeps, nothing here
uses the fold that the simulation checks.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf
from typing import Any, TypeAlias

from attrs import frozen

from streamfold.chaos import FaultInjector, Send
from streamfold.emulator import CANCEL_RULES, CancelRule, Ending, Script, ScriptStep, Tempo, Timeline, TimelineEntry
from streamfold.fold import SequencePolicy, State, fold, snapshot_json, with_response
from streamfold.schema import OPENAI, ResponseStatus, decode_event, is_terminal_status
from streamfold.sim.scenario import GatewayBehaviour, Scenario

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
    fields = {"type": name.decode(), "sequence_number": number}
    return ModelEvent(data, number, name.endswith((b".delta", b"output_item.added")), fields, frame, wire)


# The truth about one run

POLICIES = {"holes": SequencePolicy.RENUMBER, "zeros": SequencePolicy.ARRIVAL}
CANCELLED = str(ResponseStatus.CANCELLED)
# vLLM answers every cancel that comes too late in the same way, and the emulator has no such dialect.
RULES: Mapping[str, CancelRule] = {
    **CANCEL_RULES,
    "vllm": CancelRule(ending=Ending.CANCELLED_EVENT, again_status=400),
}


class Feed:
    """The events of a timeline, each encoded once for all runs.

    Only what happened up to the time of the last `advance`, or of a cancel, is in it.

    Attributes:
        events: What happened.
        times: When each event happened.
        closed_at: When the stream ended; inf while it has not.
        hung_up_at: When a cancel ended the connections that were open then.
    """

    def __init__(self, timeline: Timeline, encode: Callable[[int, TimelineEntry], ModelEvent]) -> None:
        self.events: list[ModelEvent] = []
        self.times: list[float] = []
        self.closed_at: float = inf
        self.hung_up_at: float = inf
        self._timeline = timeline
        self._encode = encode
        self._has_stopped = False

    def stop(self, at: float) -> None:
        """Nothing happens any more, not even an end."""
        self.advance(at)
        self._has_stopped = True

    def advance(self, now: float) -> None:
        """Let everything happen that is due by now."""
        if self._has_stopped:
            return
        self._timeline.advance(now)
        for entry in self._timeline.entries[len(self.events) :]:
            self.events.append(self._encode(len(self.events), entry))
            self.times.append(entry.at)
        if self._timeline.is_over and self.closed_at == inf:
            self.closed_at = self.times[-1]

    def next_at(self, place: int) -> float:
        """When the event at this place exists, or the stream ends before it."""
        if place < len(self.times):
            return self.times[place]
        return inf if self._has_stopped else min(self.closed_at, self._timeline.next_due)

    def cancel(self, ending: Ending, at: float) -> None:
        """Cancel the response, now or at a time to come."""
        hang_ups = self._timeline.hang_ups
        self._timeline.cancel(ending, at)
        if self._timeline.is_over:
            self.closed_at = at
        if self._timeline.hang_ups > hang_ups:
            self.hung_up_at = at
        self.advance(at)


class Truth:
    """What the response of one run really is.

    Attributes:
        began: When it began: at the beginning of the run or earlier.
        natural_end: When it ends if nobody cancels it.
        ending: What a cancel does to the stream.
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
        self.ending: Ending = self.rule.ending
        self._behaviour = behaviour
        waits = self._waits()
        self.began: float = -max(head_start_seconds, sum(waits[:seen]))
        # Added up as the timeline does it, to the last bit: `sum` rounds otherwise.
        *_, last = accumulate(waits, initial=self.began)
        self.natural_end: float = inf if behaviour.ending == "never" else last
        self.cancelled_at: float = inf
        self.cancelled: bytes = b""
        self.events_in_cancelled: tuple[ModelEvent, ...] = ()
        steps = [
            ScriptStep(wait, event.fields, event.data) for wait, event in zip(waits, transcript.events, strict=True)
        ]
        if behaviour.ending == "never":
            steps.append(ScriptStep(inf, {}, b""))
        self.feed: Feed = Feed(_timeline(steps, self.began), self._encode)

    def _waits(self) -> list[float]:
        """The seconds from one event to the next."""
        count, behaviour = len(self.transcript.events), self._behaviour
        waits = [0.0] + [behaviour.pace_seconds] * (count - 1)
        waits[count // 2 + 1] += behaviour.pause_seconds
        return waits

    def _encode(self, place: int, entry: TimelineEntry) -> ModelEvent:
        if entry.recorded is not None:
            return self.transcript.events[place]
        return self.transcript.event(response_event(entry.type, self.transcript.number_at(place), self.cancelled))

    def feed_of(self, event: ModelEvent, at: float) -> Feed:
        """A stream of one event."""
        return Feed(_timeline([ScriptStep(0.0, event.fields, event.data)], at), lambda _, __: event)

    @property
    def policy(self) -> SequencePolicy:
        """How to read this gateway's numbers."""
        return POLICIES.get(self._behaviour.numbering, SequencePolicy.STRICT)

    @property
    def ends_at(self) -> float:
        """When the response is over."""
        return self.natural_end if self.ending is Ending.GOES_ON else min(self.natural_end, self.cancelled_at)

    def status_at(self, now: float) -> str:
        """The status that a GET reports."""
        if now >= self.cancelled_at and (self.ending is not Ending.GOES_ON or now < self.natural_end):
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
        self._cancel(at + self._behaviour.cancel_seconds)

    def leave(self, *, at: float) -> None:
        """The client of a foreground response has gone."""
        if self.cancelled_at < inf or at >= self.natural_end:
            return
        if self._behaviour.when_left == "cancelled":
            self.ending = Ending.SILENT
            self._cancel(at)
        elif self._behaviour.when_left == "zombie":
            self.feed.stop(at)
            self.natural_end = inf

    def _cancel(self, effect: float) -> None:
        if self.cancelled_at < inf or effect >= self.natural_end:
            return
        self.cancelled_at = effect
        self.feed.advance(effect)
        self.cancelled = self._cancelled_response(len(self.feed.events))
        self.feed.cancel(self.ending, effect)

    def _cancelled_response(self, count: int) -> bytes:
        body = self.transcript.running.replace(b'"status":"in_progress"', b'"status":"cancelled"', 1)
        if not self._behaviour.keeps_output:
            return body
        self.events_in_cancelled = self.transcript.events[:count]
        events = [decode_event(each.data) for each in self.events_in_cancelled]
        return snapshot_json(with_response(fold(events, State.under(self.policy)), body))


def _timeline(steps: Iterable[ScriptStep], began: float) -> Timeline:
    """The emulator's timeline, with waits in seconds."""
    script = Script(begun={}, steps=iter(steps), ending=dict, is_recorded=True)
    return Timeline(script, Tempo(began, tokens_per_second=1.0), OPENAI)
