"""One Response's events in time: which have happened by now, and when the next is due.

In      a Script, when it began, and how fast it runs
Out     entries, numbered and encoded, in order; the Response as it stands; when the next entry is due
Units   Unix seconds; tokens; sequence numbers from 0
Errors  none

Nothing runs here: what has happened is worked out when somebody looks, up to the time that is passed in. So an
answer costs nothing while nobody reads it, there is no task to leak, and a test moves the clock as it likes.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

import anyio
import msgspec

from streamfold.chaos import ErrorFlat, ErrorNested, Fault, Keepalive
from streamfold.emulator.cancel import Ending
from streamfold.emulator.model import Script, Step
from streamfold.emulator.request import Fields
from streamfold.emulator.wire import event_data, shape_response
from streamfold.fold import SequencePolicy, State, reduce, snapshot_json
from streamfold.schema import Dialect, decode_event, is_terminal_status

__all__ = ["Entry", "Pace", "Timeline"]

NEVER = math.inf


class Pace(NamedTuple):
    """When a Script's steps come.

    began: when the Response was made. queue_seconds: how long until its first step may come.
    tokens_per_second: None for as fast as can be. hold_after_events: how many events come before it stands still.
    """

    began: float
    queue_seconds: float = 0.0
    tokens_per_second: float | None = None
    hold_after_events: int | None = None


class Entry:
    """One event that has happened. number: None in recordings that have none."""

    __slots__ = ("_data", "fields", "number", "recorded")

    def __init__(self, fields: Fields, number: int | None, recorded: bytes | None) -> None:
        self.fields: Fields = fields
        self.number: int | None = number
        self.recorded: bytes | None = recorded
        self._data: dict[tuple[str, bool], bytes] = {}

    @property
    def type(self) -> str:
        """The wire's name of the event."""
        return str(self.fields.get("type", ""))

    @property
    def is_terminal(self) -> bool:
        """Whether it holds a Response that is over."""
        response: Fields = self.fields.get("response") or {}
        return is_terminal_status(response.get("status"))

    def data(self, dialect: Dialect, *, obfuscation: bool) -> bytes:
        """The event's JSON, made once for each way of sending it; a recorded one as it was recorded."""
        if self.recorded is not None:
            return self.recorded
        found = self._data.get((dialect.name, obfuscation))
        if found is None:
            number = self.number or 0
            found = event_data(self.fields, sequence_number=number, dialect=dialect, obfuscation=obfuscation)
            self._data[dialect.name, obfuscation] = found
        return found


class Timeline:
    """The events of one Response. `changed` is set, and replaced, when a cancel changes what is to come."""

    def __init__(
        self,
        script: Script,
        pace: Pace,
        dialect: Dialect,
        *,
        is_queued: bool = False,
        has_deltas: bool = True,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.entries: list[Entry] = []
        self.changed: anyio.Event = anyio.Event()
        self.hang_ups: int = 0
        self._script = script
        self._pace = pace
        self._dialect = dialect
        self._has_deltas = has_deltas
        self._steps: Iterator[Step] = self._all_steps(is_queued=is_queued)
        self._state = State.under(SequencePolicy.ARRIVAL if script.is_recorded else SequencePolicy.STRICT)
        self._folded = 0
        self._shown: Fields | None = None  # the Response that a cancel put in the place of the folded one
        self._is_shown_to_the_end = False
        self._due = pace.began
        for fault in faults:
            if isinstance(fault, Keepalive):
                self._steps = chain([Step(0.0, {"type": "keepalive"})], self._steps)
            elif isinstance(fault, ErrorNested | ErrorFlat):
                self._steps = self._failing(self._steps, fault)
        self._next: Step | None = None
        self._step()

    @property
    def next_due(self) -> float:
        """When the next entry comes; never, if there is none."""
        held = self._pace.hold_after_events
        if self._next is None or (held is not None and len(self.entries) >= held):
            return NEVER
        return self._due

    @property
    def is_over(self) -> bool:
        """Whether no entry is to come, however late."""
        return self._next is None

    def reach(self, index: int, now: float) -> Entry | None:
        """The entry at this place, if it has happened by now."""
        while len(self.entries) <= index and (step := self._due_by(now)):
            self._happen(step)
        return self.entries[index] if index < len(self.entries) else None

    def advance(self, now: float) -> None:
        """Let everything happen that is due by now."""
        while step := self._due_by(now):
            self._happen(step)

    def place_after(self, number: int | None) -> int:
        """The index of the first entry that a reader with this cursor has not seen. It may be yet to come."""
        if number is None:
            return 0
        if not self._script.is_recorded:
            return max(0, number + 1)
        seen = (at for at, entry in enumerate(self.entries) if entry.number is not None and entry.number <= number)
        return max(seen, default=-1) + 1

    def response(self, now: float) -> Fields:
        """The Response as it stands: what the events up to now say, or what a cancel made of it."""
        self.advance(now)
        if self._shown is not None and (self._is_shown_to_the_end or not self.is_over):
            return self._shown
        for entry in self.entries[self._folded :]:
            self._state = reduce(self._state, decode_event(entry.data(self._dialect, obfuscation=False)))
        self._folded = len(self.entries)
        folded: Fields = msgspec.json.decode(snapshot_json(self._state))
        return shape_response(folded if self._state.status else {**self._script.begun, **folded}, self._dialect)

    def status(self, now: float) -> str:
        """The status of the Response as it stands."""
        return str(self.response(now).get("status"))

    def cancel(self, ending: Ending, now: float) -> Fields:
        """End the Response in one of the ways that servers do. Returns: the Response, cancelled."""
        ended: Fields = {"status": "cancelled", "output": [], "completed_at": int(now), "usage": None}
        shown = shape_response(self.response(now) | ended, self._dialect)
        self._shown, self._is_shown_to_the_end = shown, ending is not Ending.GOES_ON
        if ending in (Ending.CANCELLED_EVENT, Ending.FAILED_EVENT, Ending.SILENT):
            self._end_with(_last_steps(ending, shown), now)
        elif ending is Ending.HANG_UP:
            self.hang_ups += 1
        self._pace = self._pace._replace(hold_after_events=None)
        self.changed.set()
        self.changed = anyio.Event()
        return shown

    def _end_with(self, steps: Iterable[Step], now: float) -> None:
        self._steps = iter(steps)
        self._due = now
        self._step()

    def _due_by(self, now: float) -> Step | None:
        return self._next if self.next_due <= now else None

    def _happen(self, step: Step) -> None:
        if self._has_deltas or not step.fields["type"].endswith(".delta"):
            number = step.fields.get("sequence_number") if self._script.is_recorded else len(self.entries)
            self.entries.append(Entry(step.fields, number, step.data))
        self._step()

    def _step(self) -> None:
        self._next = next(self._steps, None)
        if self._next is not None and self._pace.tokens_per_second:
            self._due += self._next.wait_tokens / self._pace.tokens_per_second

    def _all_steps(self, *, is_queued: bool) -> Iterator[Step]:
        if self._script.is_recorded:
            yield from self._script.steps
            return
        begun = self._script.begun
        if is_queued:
            yield Step(0.0, {"type": "response.created", "response": begun | {"status": "queued"}})
            yield Step(0.0, {"type": "response.queued", "response": begun | {"status": "queued"}})
            self._due += self._pace.queue_seconds
        else:
            yield Step(0.0, {"type": "response.created", "response": begun})
        yield Step(0.0, {"type": "response.in_progress", "response": begun})
        yield from self._script.steps
        ended = self._script.ended
        if ended.get("status") == "completed":
            ended = ended | {"completed_at": int(self._due)}
        yield Step(0.0, {"type": f"response.{ended['status']}", "response": ended})

    def _failing(self, steps: Iterator[Step], fault: ErrorNested | ErrorFlat) -> Iterator[Step]:
        """The steps up to the fault, then an `error` event in its form on the wire, then `response.failed`."""
        yield from islice(steps, fault.after_events)
        told = {"code": "server_error", "message": "An error on purpose."}
        error = {"error": {"type": "server_error", **told, "param": None}}
        fields: Fields = {"type": "error", "sequence_number": len(self.entries)}
        fields |= error if isinstance(fault, ErrorNested) else {**told, "param": None}
        yield Step(0.0, fields, data=msgspec.json.encode(fields))
        failed = {"status": "failed", "error": told}
        yield Step(0.0, {"type": "response.failed", "response": self._script.begun | failed})


def _last_steps(ending: Ending, shown: Fields) -> list[Step]:
    match ending:
        case Ending.CANCELLED_EVENT:
            return [Step(0.0, {"type": "response.cancelled", "response": shown})]
        case Ending.FAILED_EVENT:
            return [Step(0.0, {"type": "response.failed", "response": shown})]
        case _:
            return []
