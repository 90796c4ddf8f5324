"""The truth about one run: which events of a response exist at each time, and what its status is.

Time only goes forward and what comes by itself is fixed from the start, so a cancel edits the list of events when it
arrives, even if it takes effect later. Except for the output that a cancelled Response keeps, nothing here uses the
fold that the simulation checks.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from math import inf

from streamfold.emulator import CANCEL_RULES, CancelRule, Ending, Script, ScriptStep, Tempo, Timeline, TimelineEntry
from streamfold.fold import SequencePolicy, State, snapshot_json, with_response
from streamfold.schema import OPENAI, ResponseStatus, is_terminal_status
from streamfold.sim.scenario import GatewayBehaviour
from streamfold.sim.transcript import ModelEvent, Transcript, fold_across, response_event

POLICIES = {"holes": SequencePolicy.RENUMBER, "zeros": SequencePolicy.ARRIVAL}
CANCELLED = str(ResponseStatus.CANCELLED)
# vLLM answers every cancel that comes too late in the same way, and the emulator has no such dialect.
RULES: Mapping[str, CancelRule] = {
    **CANCEL_RULES,
    "vllm": CancelRule(ending=Ending.CANCELLED_EVENT, again_status=400),
    "taken-back": CancelRule(ending=Ending.GOES_ON),
    "relabelled": CancelRule(ending=Ending.CANCELLED_EVENT, finished_status=200),
    "failed-holding-failed": CancelRule(ending=Ending.FAILED_EVENT),
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
        growth: How many events added text or an item to a Response that says cancelled and still grows.
        is_zombie: Whether it says `in_progress` for ever, because its client had gone.
        was_left: Whether it was cancelled because its client had gone.
        was_relabelled: Whether it had ended by itself when a cancel turned it into cancelled.
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
        self.was_relabelled: bool = False
        self.growth: dict[bytes, int] = {}
        self.was_left: bool = False
        self.is_zombie: bool = False
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
        body = self._failed if self._behaviour.cancel == "failed-holding-failed" else self.cancelled
        return self.transcript.event(response_event(entry.type, self.transcript.number_at(place), body))

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
        is_natural = self.ending is Ending.GOES_ON or self.was_relabelled
        return self.natural_end if is_natural else min(self.natural_end, self.cancelled_at)

    def status_at(self, now: float) -> str:
        """The status that a GET reports."""
        if now >= self.cancelled_at and (self.ending is not Ending.GOES_ON or now < self.natural_end):
            return CANCELLED
        return self.transcript.status if now >= self.natural_end else "in_progress"

    def response_at(self, now: float) -> bytes:
        """The Response that a GET returns."""
        status = self.status_at(now)
        if status == CANCELLED:
            if self._behaviour.cancel == "taken-back":
                self.feed.advance(now)
                self.cancelled = self._cancelled_response(len(self.feed.events))
                self.growth[self.cancelled] = sum(event.adds for event in self.events_in_cancelled)
            return self.cancelled
        return self.transcript.ended if is_terminal_status(status) else self.transcript.running

    def shown_end(self, status: str) -> tuple[bytes, tuple[ModelEvent, ...]]:
        """The Response that shows an end of this status, and the events whose text is in it."""
        if status == CANCELLED:
            return self.cancelled, self.events_in_cancelled
        if self.is_cancelled and self._behaviour.cancel == "failed-holding-failed":
            return self._failed, self.events_in_cancelled
        # A Response that failed by an error event has no output: its events are all there is.
        is_empty = self._behaviour.ending.startswith("error")
        return self.transcript.ended, () if is_empty else self.transcript.events

    @property
    def contradicts_itself(self) -> bool:
        """Whether the stream of the cancelled response shows another end than a GET does."""
        is_failed = self._behaviour.cancel == "failed-holding-failed" and not self.was_left
        return self.ending is Ending.HANG_UP or self.was_relabelled or is_failed

    @property
    def streamed_status(self) -> str:
        """The status that the stream of the cancelled response shows."""
        is_failed = self._behaviour.cancel == "failed-holding-failed" and not self.was_left
        return "failed" if is_failed else self.transcript.status

    @property
    def is_cancelled(self) -> bool:
        """Whether a cancel took effect, or will."""
        return self.cancelled_at < inf

    @property
    def _failed(self) -> bytes:
        return self.cancelled.replace(b'"status":"cancelled"', b'"status":"failed"', 1)

    def cancel(self, *, at: float) -> None:
        """Carry out a cancel that arrives then. A second one, or one that comes too late, changes nothing."""
        effect = at + self._behaviour.cancel_seconds
        self._cancel(effect)
        if self._behaviour.cancel == "relabelled" and self.natural_end <= effect and self.cancelled_at == inf:
            self.cancelled_at, self.was_relabelled = effect, True
            ended = f'"status":"{self.transcript.status}"'.encode()
            self.cancelled = self.transcript.ended.replace(ended, b'"status":"cancelled"', 1)
            _, self.events_in_cancelled = self.shown_end(self.transcript.status)

    def leave(self, *, at: float) -> None:
        """The client of a foreground response has gone."""
        if self.cancelled_at < inf or at >= self.natural_end:
            return
        if self._behaviour.when_left == "cancelled":
            self.ending, self.was_left = Ending.SILENT, True
            self._cancel(at)
        elif self._behaviour.when_left == "zombie":
            self.feed.stop(at)
            self.natural_end, self.is_zombie = inf, True

    def _cancel(self, effect: float) -> None:
        if self.cancelled_at < inf or effect >= self.natural_end:
            return
        self.cancelled_at = effect
        self.feed.advance(effect)
        self.cancelled = self._cancelled_response(len(self.feed.events))
        self.feed.cancel(self.ending, effect)

    def _cancelled_response(self, count: int) -> bytes:
        body = self.transcript.running.replace(b'"status":"in_progress"', b'"status":"cancelled"', 1)
        if not self._behaviour.keeps_output and self._behaviour.cancel != "taken-back":
            return body
        self.events_in_cancelled = self.transcript.events[:count]
        folded = fold_across((each.data for each in self.events_in_cancelled), State.under(self.policy))
        return snapshot_json(with_response(folded, body))


def _timeline(steps: Iterable[ScriptStep], began: float) -> Timeline:
    """The emulator's timeline, with waits in seconds."""
    script = Script(begun={}, steps=iter(steps), ending=dict, is_recorded=True)
    return Timeline(script, Tempo(began, tokens_per_second=1.0), OPENAI)
