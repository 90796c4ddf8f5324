"""The bytes of one response, over as many connections as it takes, to events that were applied.

In      chunks of the connection that is open; each connection may begin anywhere
Out     Applied: each event once, in order, with the state after it
Units   sequence numbers; events
Errors  FrameTooLarge
Source  docs/explanation/repair.md

Known events are dropped, events from beyond a hole are held in the window, and an event that was torn on its way is
none: it is a gap that shows. Where a stream has no numbers, a replay is recognised by counting.
"""

import re
from collections.abc import Iterable

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.errors import SequenceGap
from streamfold.fold import SequencePolicy, State, adopt, reduce, states
from streamfold.reader import EventReader
from streamfold.schema import UNDECODABLE, Event, Keepalive, ResponseCreated, ResponseEvent, UnknownEvent
from streamfold.session.cancel import read_background
from streamfold.session.patience import Patience
from streamfold.session.window import Window

__all__ = ["Applied", "Intake"]


class Applied(Struct, frozen=True, gc=False):
    """One event that was applied: the event, the data it came from, and the state after it."""

    event: Event
    data: bytes
    state: State


class _Known(Struct):
    """What is read of the first Response."""

    id: Raw = Raw(b"null")


_decode_known = Decoder(_Known).decode
_decode_text = Decoder(str).decode
ID = re.compile(r"[A-Za-z0-9_-]+")  # what may stand in a URL


class Intake:
    """Where the events of one response arrive.

    state: after the last event that was applied. has_progressed: whether this connection brought anything new.
    is_plain: whether nothing is wrong: the next event should be the next number. is_over: whether the terminal event
    was applied. is_full: whether an event from beyond the hole found no room. response_id, is_background: what the first Response
    in the stream says; None until then.
    """

    def __init__(self, state: State, *, patience: Patience, starting_after: int | None) -> None:
        self.state: State = state
        self.has_progressed: bool = False
        self.is_plain: bool = False
        self.is_over: bool = state.is_terminal
        self.is_full: bool = False
        self.response_id: str | None = None
        self.is_background: bool | None = None
        self._patience = patience
        self._floor = starting_after if state.cursor is None else None
        self._window = Window(max_events=patience.window_events, max_bytes=patience.window_bytes)
        self._reader = EventReader(max_frame_bytes=patience.max_frame_bytes)
        # Where the numbers are not the server's, a replay is told by counting: all events but signs of life.
        self._count = 0 if state.cursor is None or self.is_numbered else state.cursor + 1
        self._to_skip = 0
        self._steps_by_one = patience.sequence_policy is SequencePolicy.STRICT
        self._late_end: ResponseEvent | None = None
        self._earlier_end: ResponseEvent | None = None
        self._reconnection_seconds = 0.0
        # The first number of this connection, where that is no beginning; that of the one before; and what is believed.
        self._first: int | None = None
        self._first_before: int | None = None
        self._believed: int | None = None

    @property
    def after(self) -> int | None:
        """The number to resume after; None where none is known."""
        return self._floor if self.state.cursor is None else self.state.cursor

    @property
    def is_numbered(self) -> bool:
        """Whether the cursor is the server's own; a stream of which nothing came yet is taken for one that is."""
        if self._patience.sequence_policy is SequencePolicy.ARRIVAL:
            return False
        return self.state.is_numbered or self.state.cursor is None

    @property
    def can_resume(self) -> bool:
        """Whether there is a number of the server's own to resume after."""
        return self.after is not None and self.is_numbered

    @property
    def floor(self) -> int | None:
        """The number from which it was to be followed on, without a state before it."""
        return self._floor

    @property
    def has_gap(self) -> bool:
        """Whether events wait for one that is missing."""
        return len(self._window) > 0

    @property
    def reconnection_seconds(self) -> float:
        """What the last `retry:` line asks for, of whichever connection; 0 if there was none."""
        asked = self._reader.reconnection_milliseconds
        return self._reconnection_seconds if asked is None else asked / 1000

    @property
    def end_out_of_turn(self) -> ResponseEvent | None:
        """A terminal event whose number is not the next: beyond a hole, or one that is known, as of a synthetic event."""
        ahead = self._window.last()
        return ahead if isinstance(ahead, ResponseEvent) and self._is_end(ahead) else self._late_end

    @property
    def any_end(self) -> ResponseEvent | None:
        """The same, or that of an earlier connection."""
        return self.end_out_of_turn or self._earlier_end

    def adopted(self, event: ResponseEvent) -> State:
        """The state with this event's Response for its own."""
        return adopt(self.state, bytes(event.response))

    def begin(self, *, is_replay: bool) -> None:
        """Another connection is open. is_replay: whether it was asked to begin with the first event."""
        self.has_progressed = self.is_full = False
        self._earlier_end = self.any_end
        self._window.clear()  # this connection brings them again
        self._late_end = None
        self.believe()
        self._first_before, self._first = self._first, None
        self.is_plain = self.state.cursor is not None and self.is_numbered
        self._reconnection_seconds = self.reconnection_seconds
        self._reader = EventReader(max_frame_bytes=self._patience.max_frame_bytes)
        self._to_skip = self._count if is_replay and not self.is_numbered else 0

    def believe(self) -> bool:
        """Take the first event of this connection for the first of the stream, if the connection before began so too."""
        if self.state.cursor is not None or self._first is None:
            return False
        if self._first == self._first_before:
            self._believed = self._first
        return self._believed == self._first

    def feed(self, chunk: bytes) -> list[Applied]:
        """What this chunk brings that is new. What stands behind the first terminal event is not of this response.

        Raises: FrameTooLarge.
        """
        reader = self._reader
        events = reader.feed(chunk)
        if not events or self.is_over:
            return []
        before = self.state
        if len(events) == 1 and self.is_plain and type(events[0]) is before.focus.grows:
            # Nine of ten where a server writes and flushes each event: it ends nothing, and is known for what it is.
            try:
                after = reduce(before, events[0])
            except SequenceGap:
                after = before
            if after is not before:
                self.state = after
                self.has_progressed = True
                return [Applied(events[0], reader.payloads[0], after)]
        applied: list[Applied] = []
        if self.is_plain:
            applied = self._take_plain(events, reader.payloads)
        else:
            self._take_each(zip(events, reader.payloads, strict=True), applied)
        if applied:
            self.has_progressed = True
            # Where the Response is the same, none came that could have ended it.
            if self.state.focus.document.head is not before.focus.document.head:
                self._look_at_responses(applied)
        return applied

    def _take_plain(self, events: list[Event], payloads: list[bytes]) -> list[Applied]:
        """The way of a stream with nothing wrong: one reduce for each event, and nothing else."""
        state = self.state
        reached = self._step_by_step(events)
        if reached:
            self.state = reached[-1]
            return list(map(Applied, events, payloads, reached))
        applied: list[Applied] = []
        rest = zip(events, payloads, strict=True)
        for event, data in rest:
            try:
                after = reduce(state, event)
            except SequenceGap:
                self.state = state
                self._take_each([(event, data), *rest], applied)
                return applied
            if after is state:
                self._note_late(event)
            elif type(event) is not UnknownEvent or not _is_torn(event):
                state = after
                applied.append(Applied(event, data, state))
        self.state = state
        return applied

    def _step_by_step(self, events: list[Event]) -> list[State]:
        """The states after these events, if each of them has the next number; else none."""
        before = self.state
        try:
            reached = list(states(events, before))
        except SequenceGap:
            return []
        # Numbers that are the server's rise by one or not at all: who came so far took no step twice, and left none out.
        return reached if self._steps_by_one and reached[-1].cursor == (before.cursor or 0) + len(events) else []

    def _look_at_responses(self, applied: list[Applied]) -> None:
        if self.response_id is None:
            for each in applied:
                self._introduce(each.event)
        for place, each in enumerate(applied):
            if each.state.is_terminal:
                self.is_over = True
                self.state = each.state
                del applied[place + 1 :]
                return

    def _take_each(self, rest: Iterable[tuple[Event, bytes]], applied: list[Applied]) -> None:
        """The way of every other stream: each event is asked whether its turn has come."""
        for event, data in rest:
            if self._first is not None and self._is_behind_first(event) and self.believe():
                held = self._window.take(self._first)
                if held is not None:
                    self._take(*held, applied)
            self._take(event, data, applied)
            while len(self._window) and self.state.cursor is not None:
                self._window.drop_to(self.state.cursor)
                held = self._window.take(self.state.cursor + 1)
                if held is None:
                    break
                self._take(*held, applied)
        self.is_plain = self.state.cursor is not None and self.is_numbered and not len(self._window)

    def _take(self, event: Event, data: bytes, applied: list[Applied]) -> None:
        try:
            if not self._is_new(event) or (self.state.cursor is None and not self._begins_with(event)):
                self._note_late(event)
                return
            after = reduce(self.state, event)
        except SequenceGap as gap:
            self._introduce(event)
            if not self._window.add(gap.got, event, data):
                self.is_full = True
                self._note_late(event)
            return
        if _is_torn(event):
            # With numbers it is a gap that a resume fills. Without them it is lost, and the state says so.
            self.state = self.state if self.is_numbered else after
        elif after is not self.state:
            self.state = after
            applied.append(Applied(event, data, after))
        else:
            self._note_late(event)

    def _note_late(self, event: Event) -> None:
        """A known number tells nothing new, unless it is that of an end, which was not known."""
        if isinstance(event, ResponseEvent) and self._is_end(event):
            self._late_end = event

    def _is_new(self, event: Event) -> bool:
        """Whether a replay without numbers is past what is known. Signs of life come by the clock, and do not count."""
        if isinstance(event, Keepalive):
            return self._to_skip == 0
        if self._to_skip and not self._is_end(event):  # an end may be all that a finished response is replayed as
            self._to_skip -= 1
            return False
        self._count += 1
        return True

    def _begins_with(self, event: Event) -> bool:
        """Whether a state that saw nothing may begin with this event; if not, it is a known one.

        Raises: SequenceGap where the stream should have begun with an earlier one.
        """
        number = event.sequence_number
        policy = self._patience.sequence_policy
        if number is None or policy is SequencePolicy.ARRIVAL:
            return True
        if self._floor is not None:
            if number > self._floor + 1 and policy is SequencePolicy.STRICT:
                raise SequenceGap(self._floor + 1, number)
            return number > self._floor
        if policy is not SequencePolicy.STRICT:
            return True
        # A stream begins with `response.created`, or with signs of life before it.
        if number > 0 and not self._is_beginning(event) and number != self._believed:
            self._first = number if self._first is None else min(number, self._first)
            raise SequenceGap(0, number)
        return True

    def _is_behind_first(self, event: Event) -> bool:
        """Whether nothing came yet of what stands before the first event, though this one stands behind it."""
        number = event.sequence_number
        return self.state.cursor is None and number is not None and self._first is not None and number > self._first

    def _is_beginning(self, event: Event) -> bool:
        if isinstance(event, ResponseCreated | Keepalive | UnknownEvent):
            return True
        return not len(self._window) and self._is_end(event)  # all that is left of a response that is over

    def _is_end(self, event: Event | None) -> bool:
        return isinstance(event, ResponseEvent) and self.adopted(event).is_terminal

    def _introduce(self, event: Event) -> None:
        """Learn who the response is from a Response of its own."""
        if self.response_id is None and isinstance(event, ResponseEvent):
            known = _decode_known(event.response)
            try:
                identifier = _decode_text(known.id)
            except UNDECODABLE:
                return
            if ID.fullmatch(identifier):
                self.response_id = identifier
                self.is_background = read_background(event.response)


def _is_torn(event: Event) -> bool:
    """Whether the event could not be read at all: its number is not known, and so it does not count."""
    return type(event) is UnknownEvent and event.sequence_number is None and bool(event.error)
