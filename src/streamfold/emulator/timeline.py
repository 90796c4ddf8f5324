"""One Response's events in time: which have happened, when the next is due, and what each kind of cancel does to them.

Nothing runs here: what has happened is computed on request, up to the time that is passed in. An answer
costs nothing while nobody reads it, there is no task to leak, and a test or a simulation moves the time as it likes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain, islice
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from attrs import define, field, frozen

from streamfold.chaos import ErrorFlat, ErrorNested, Fault, KeepaliveFirst
from streamfold.emulator.model import Script, ScriptStep
from streamfold.fold import SequencePolicy, State, reduce, snapshot_json
from streamfold.schema import DIALECTS, Dialect, decode_event, is_terminal_status
from streamfold.serving import Fields, Problem, event_data, shape_response


class Ending(StrEnum):
    """How the stream of a cancelled Response ends."""

    CANCELLED_EVENT = "cancelled_event"  # `response.cancelled`
    FAILED_EVENT = "failed_event"  # `response.failed` that holds status cancelled
    SILENT = "silent"  # no terminal event, then or later
    HANG_UP = "hang_up"  # open streams just end; one that is opened later continues to `response.completed`
    GOES_ON = "goes_on"  # open streams continue to `response.completed`, and then the Response says completed


STEPS_AT_ONCE = 500  # about 5 ms, with their fold
FORMS = {form: form for form in ((name, padded) for name in DIALECTS for padded in (True, False))}
LAST_EVENTS = {Ending.CANCELLED_EVENT: "response.cancelled", Ending.FAILED_EVENT: "response.failed"}


@frozen(kw_only=True)
class CancelRule:
    """How a server cancels. A successful cancel is always answered at once, with 200 and status cancelled.

    ending: what the stream does then. finished_status: the HTTP status for a Response that is completed, failed or
    incomplete; 200 returns it as it is. again_status: the HTTP status for one that is already cancelled.
    """

    ending: Ending
    finished_status: int = 400
    again_status: int = 200

    def refusal(self, status: str, *, is_background: bool) -> Problem | None:
        """Why a Response with this status cannot be cancelled; None if the answer is 200 and the Response."""
        if not is_background:
            return Problem(400, "Cannot cancel a synchronous response.", "response_id")
        refused = self.again_status if status == "cancelled" else self.finished_status
        if refused == 200 or not is_terminal_status(status):
            return None
        return Problem(refused, f"Cannot cancel a {status} response.", "response_id")


CANCEL_RULES: Mapping[str, CancelRule] = MappingProxyType(
    {
        "mka1": CancelRule(ending=Ending.CANCELLED_EVENT),
        "openai": CancelRule(ending=Ending.HANG_UP),
        "conflict409": CancelRule(ending=Ending.CANCELLED_EVENT, finished_status=409, again_status=409),
        "ends-silently": CancelRule(ending=Ending.SILENT),
        "failed-holding-cancelled": CancelRule(ending=Ending.FAILED_EVENT),
        "completes-anyway": CancelRule(ending=Ending.GOES_ON),
        "finished200": CancelRule(ending=Ending.CANCELLED_EVENT, finished_status=200),
    }
)
"""The rules by name, each as servers were seen to do it. `mka1` is the default on `/api/v1/llm`, `openai` on `/v1`."""


def stream_refusal(
    dialect: Dialect,
    *,
    is_background: bool,
    is_streamed: bool,
    age_seconds: float,
    window_seconds: float | None = None,
) -> Problem | None:
    """Why a Response cannot be streamed again, in the words of real servers; None if it can.

    Args:
        dialect: Whose conditions hold.
        is_background: Whether it was created with background=true.
        is_streamed: Whether it was created with stream=true.
        age_seconds: Since its creation.
        window_seconds: The age from which on it is too old; None for the dialect's.
    """
    for is_needed, is_given, name in (
        (dialect.resume_needs_background, is_background, "background"),
        (dialect.resume_needs_stream, is_streamed, "stream"),
    ):
        if is_needed and not is_given:
            said = f"This response cannot be streamed because it was not created with {name}=true."
            return Problem(400, said, "response_id")
    window = dialect.resume_window_seconds if window_seconds is None else window_seconds
    if window is None or age_seconds < window:
        return None
    age = f"{window / 60:g} minutes" if window else "0 minutes"
    return Problem(400, f"This response can no longer be streamed because it is more than {age} old.")


class Tempo(NamedTuple):
    """When a script's steps come.

    began: Unix seconds when the Response was created. queue_seconds: from then to its first step. tokens_per_second:
    None for no delay. hold_after_events: after this many events it pauses until it is cancelled; None for never.
    """

    began: float
    queue_seconds: float = 0.0
    tokens_per_second: float | None = None
    hold_after_events: int | None = None


@define(eq=False)
class TimelineEntry:
    """One event that has happened. at: when. number: its sequence number; None in a recording without numbers."""

    fields: Fields
    number: int | None
    recorded: bytes | None
    at: float
    # One form alone: nearly every reader asks for the same one, and a long answer has many entries.
    _form: tuple[str, bool] | None = field(default=None, init=False, repr=False)
    _data: bytes = field(default=b"", init=False, repr=False)

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.fields.get("type", ""))

    @property
    def is_terminal(self) -> bool:
        """Whether it holds a Response with a terminal status."""
        response: Fields = self.fields.get("response") or {}
        return is_terminal_status(response.get("status"))

    def data(self, dialect: Dialect, *, obfuscation: bool) -> bytes:
        """The event's JSON, encoded once for readers of the same dialect and padding; of a recording, the recorded bytes."""
        if self.recorded is not None:
            return self.recorded
        form = FORMS[dialect.name, obfuscation]
        if form is not self._form:
            number = self.number or 0
            self._data = event_data(self.fields, sequence_number=number, dialect=dialect, obfuscation=obfuscation)
            self._form = form
        return self._data


class Timeline:
    """The events of one Response.

    entries: what has happened. hang_ups: how often a cancel has ended the open streams; a stream that was opened before
    the last one is over.

    Args:
        script: What happens.
        tempo: When.
        dialect: Whose shape the Response has.
        is_queued: Whether it starts with status queued.
        has_deltas: Whether deltas are among the events.
        faults: KeepaliveFirst, ErrorNested and ErrorFlat become events; any other is ignored.
    """

    def __init__(
        self,
        script: Script,
        tempo: Tempo,
        dialect: Dialect,
        *,
        is_queued: bool = False,
        has_deltas: bool = True,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.entries: list[TimelineEntry] = []
        self.hang_ups: int = 0
        self._script = script
        self._tempo = tempo
        self._dialect = dialect
        self._has_deltas = has_deltas
        self._steps: Iterator[ScriptStep] = self._all_steps(is_queued=is_queued)
        self._state = State.under(SequencePolicy.ARRIVAL if script.is_recorded else SequencePolicy.STRICT)
        self._folded = 0
        self._shown: Fields | None = None  # the Response that a cancel shows instead of the folded one
        self._is_shown_to_the_end = False
        self._due = tempo.began
        for fault in faults:
            if isinstance(fault, KeepaliveFirst):
                self._steps = chain([ScriptStep(0.0, {"type": "keepalive"})], self._steps)
            elif isinstance(fault, ErrorNested | ErrorFlat):
                self._steps = self._failing(self._steps, fault)
        self._next: ScriptStep | None = None
        self._step()

    @property
    def next_due(self) -> float:
        """When the next entry comes; inf if none does."""
        held = self._tempo.hold_after_events
        if self._next is None or (held is not None and len(self.entries) >= held):
            return math.inf
        return self._due

    @property
    def is_over(self) -> bool:
        """Whether no entry will ever come."""
        return self._next is None

    def reach(self, index: int, now: float) -> TimelineEntry | None:
        """The entry at this index, if it has happened by now."""
        while len(self.entries) <= index and (step := self._due_by(now)):
            self._happen(step)
        return self.entries[index] if index < len(self.entries) else None

    def advance(self, now: float) -> None:
        """Let everything happen that is due by now."""
        while step := self._due_by(now):
            self._happen(step)

    def catch_up(self, now: float) -> bool:
        """Let some of what is due by now happen, and fold it. Returns: whether that was all of it.

        A server that calls this until it is true, and yields between, is never busy for long with one answer.
        """
        for _ in range(STEPS_AT_ONCE):
            if (step := self._due_by(now)) is None:
                break
            self._happen(step)
        self._fold(STEPS_AT_ONCE)
        return self._due_by(now) is None and self._folded == len(self.entries)

    def place_after(self, number: int | None) -> int:
        """The index of the first entry after a reader's cursor, None being before all. It may not have happened yet."""
        if number is None:
            return 0
        if not self._script.is_recorded:
            return max(0, number + 1)
        seen = (at for at, entry in enumerate(self.entries) if entry.number is not None and entry.number <= number)
        return max(seen, default=-1) + 1

    def response(self, now: float) -> Fields:
        """The Response as it stands: the fold of the events up to now, or what a cancel shows instead."""
        self.advance(now)
        if self._shown is not None and (self._is_shown_to_the_end or not self.is_over):
            return self._shown
        self._fold(len(self.entries))
        folded: Fields = msgspec.json.decode(snapshot_json(self._state))
        return shape_response(folded if self._state.status else {**self._script.begun, **folded}, self._dialect)

    def status(self, now: float) -> str:
        """The status of the Response as it stands."""
        return str(self.response(now).get("status"))

    def cancel(self, ending: Ending, now: float) -> Fields:
        """Cancel the Response in one of the ways that servers do, and return it. `next_due` changes."""
        ended: Fields = {"status": "cancelled", "output": [], "completed_at": int(now), "usage": None}
        shown = shape_response(self.response(now) | ended, self._dialect)
        self._shown, self._is_shown_to_the_end = shown, ending is not Ending.GOES_ON
        if ending in (Ending.CANCELLED_EVENT, Ending.FAILED_EVENT, Ending.SILENT):
            kind = LAST_EVENTS.get(ending)
            self._steps = iter([ScriptStep(0.0, {"type": kind, "response": shown})] if kind else [])
            self._due = now
            self._step()
        elif ending is Ending.HANG_UP:
            self.hang_ups += 1
        self._tempo = self._tempo._replace(hold_after_events=None)
        return shown

    def _fold(self, most: int) -> None:
        """Fold as many more entries at most."""
        for entry in self.entries[self._folded : self._folded + most]:
            self._state = reduce(self._state, decode_event(entry.data(self._dialect, obfuscation=False)))
            self._folded += 1

    def _due_by(self, now: float) -> ScriptStep | None:
        return self._next if self.next_due <= now else None

    def _happen(self, step: ScriptStep) -> None:
        if self._has_deltas or not step.fields["type"].endswith(".delta"):
            self.entries.append(TimelineEntry(step.fields, self._number_of(step), step.data, self._due))
        self._step()

    def _number_of(self, step: ScriptStep) -> int | None:
        if not self._script.is_recorded:
            return len(self.entries)
        if step.data is not None:
            return step.fields.get("sequence_number")
        # A cancel ends a recording with an event of its own, which gets the next number.
        last = self.entries[-1].number if self.entries else -1
        return None if last is None else last + 1

    def _step(self) -> None:
        self._next = next(self._steps, None)
        if self._next is not None and self._tempo.tokens_per_second:
            self._due += self._next.wait_tokens / self._tempo.tokens_per_second

    def _all_steps(self, *, is_queued: bool) -> Iterator[ScriptStep]:
        if self._script.is_recorded:
            yield from self._script.steps
            return
        begun = self._script.begun
        if is_queued:
            yield ScriptStep(0.0, {"type": "response.created", "response": begun | {"status": "queued"}})
            yield ScriptStep(0.0, {"type": "response.queued", "response": begun | {"status": "queued"}})
            self._due += self._tempo.queue_seconds
        else:
            yield ScriptStep(0.0, {"type": "response.created", "response": begun})
        yield ScriptStep(0.0, {"type": "response.in_progress", "response": begun})
        yield from self._script.steps
        ended = self._script.ended
        if ended.get("status") == "completed":
            ended = ended | {"completed_at": int(self._due)}
        yield ScriptStep(0.0, {"type": f"response.{ended['status']}", "response": ended})

    def _failing(self, steps: Iterator[ScriptStep], fault: ErrorNested | ErrorFlat) -> Iterator[ScriptStep]:
        """The steps up to the fault, then an `error` event in the fault's wire form, then `response.failed`."""
        yield from islice(steps, fault.after_events)
        facts = {"code": "server_error", "message": "An error on purpose."}
        error = {"error": {"type": "server_error", **facts, "param": None}}
        fields: Fields = {"type": "error", "sequence_number": len(self.entries)}
        fields |= error if isinstance(fault, ErrorNested) else {**facts, "param": None}
        yield ScriptStep(0.0, fields, data=msgspec.json.encode(fields))
        failed = {"status": "failed", "error": facts}
        yield ScriptStep(0.0, {"type": "response.failed", "response": self._script.begun | failed})
