"""Reassembles one response's events across reconnects: chunks in, each event once and in order with its state out."""

from collections.abc import Iterable
from contextlib import suppress

from msgspec import Raw, Struct
from msgspec.structs import replace

from streamfold.errors import FrameTooLarge, SequenceGap
from streamfold.fold import SequencePolicy, State, is_counted, reduce, reduce_across, rejoin, states, was_dropped
from streamfold.reader import EventReader
from streamfold.schema import ErrorEvent, Event, Keepalive, ResponseCreated, ResponseEvent, UnknownEvent
from streamfold.session.patience import Patience
from streamfold.session.policy import DAMAGED, Repeated, Window, adopted, is_torn, usable_head

# Theory of operation. Connections may begin anywhere, overlap, and break inside an event. What arrives is sorted by its
# sequence number against the state's cursor:
#
#     number      what happens
#     cursor + 1  applied; then whatever the window holds next
#     <= cursor   a duplicate, dropped. If it is a terminal event, it is remembered: a server may send a synthetic one
#                 with any number
#     > cursor+1  from after a gap: held in the window, until the missing event arrives, a resume brings everything again,
#                 or every way to ask shows the same hole, which is then the server's own
#     none        applied as it arrives; on a replay, what was applied before is skipped (`Repeated`)
#
# An event that was damaged in transit (cut, or not JSON) is not applied: with numbers that is a gap like any other,
# which a resume fills. Without numbers it takes its place, so that later replays skip the right events. Nothing after the
# first terminal event belongs to this response.
#
# There are three paths, by how much can go wrong. Most chunks bring one delta that continues a text: `feed` applies it
# at once. A stream without trouble (`is_plain`) is folded in one go, and checked afterwards: if the numbers rose by
# one, no event was a duplicate and none is missing. Every other chunk goes through `_take_each`, event by event.


class Applied(Struct, frozen=True, gc=False):
    """One event that was applied: the event, the bytes it came from, and the state after it."""

    event: Event
    data: bytes
    state: State


class Reassembler:
    """Reassembles one response's events across reconnects.

    Attributes:
        state: The state after the last event that was applied.
        has_progressed: Whether this connection brought anything new; a keepalive is nothing.
        is_plain: Whether nothing is wrong: the next event should have the next number.
        is_over: Whether the terminal event was applied.
        is_full: Whether an event from after the gap did not fit into the window.
        response_id: The id in the first Response of the stream; None until then.
        is_background: Whether that Response runs in the background; None if it does not say.
        floor: The number that it follows from, if there is no state before it.
        duplicates: How many events were dropped because they were known.
        reader: Reads this connection. Its `payloads` are the data of the last chunk's events, applied or not.
    """

    def __init__(self, state: State, *, patience: Patience, starting_after: int | None) -> None:
        self.state: State = state
        self.has_progressed: bool = False
        self.is_plain: bool = False
        self.is_over: bool = state.is_terminal
        self.is_full: bool = False
        self.response_id: str | None = None
        self.is_background: bool | None = None
        self.floor: int | None = starting_after if state.cursor is None else None
        self.duplicates: int = 0
        self._patience = patience
        self._window = Window(max_events=patience.window_events, max_bytes=patience.window_bytes)
        self.reader: EventReader = EventReader(max_frame_bytes=patience.max_frame_bytes)
        self._repeated = Repeated(state.cursor)
        self._was_torn = False  # whether this connection brought a damaged event
        self._crossed: int | None = None  # the first number after a hole that is believed
        self._steps_by_one = patience.sequence_policy is SequencePolicy.STRICT
        self._late_end: ResponseEvent | None = None
        self._earlier_end: ResponseEvent | None = None
        self._reconnection_seconds = 0.0
        # The first number of this connection, if a stream does not begin so; that of the one before; and what is believed.
        self._first: int | None = None
        self._first_before: int | None = None
        self._believed: int | None = None

    @property
    def after(self) -> int | None:
        """The number to resume after; None if none is known."""
        return self.floor if self.state.cursor is None else self.state.cursor

    @property
    def is_numbered(self) -> bool:
        """Whether the cursor is the server's own number; assumed before the first event."""
        if self._patience.sequence_policy is SequencePolicy.ARRIVAL:
            return False
        return self.state.is_numbered or self.state.cursor is None

    @property
    def can_resume(self) -> bool:
        """Whether the server gave a number to resume after, and whether that says what was applied."""
        return self.after is not None and self.is_numbered and not self.state.is_mixed

    @property
    def has_gap(self) -> bool:
        """Whether events wait for a missing one."""
        return len(self._window) > 0

    @property
    def hole(self) -> tuple[int, int] | None:
        """The numbers before and after what this connection left out.

        None if nothing is known to be: an event may have been damaged, and an end may be all that the server still has.
        """
        first, after = self._window.first(), self.after
        is_end_alone = len(self._window) == 1 and self._is_end(self._window.last())
        return None if first is None or after is None or self._was_torn or is_end_alone else (after, first)

    def cross(self) -> None:
        """Believe that the server has no event in the hole: what is held follows with the next bytes that come."""
        self._crossed = self._window.first()

    @property
    def reconnection_seconds(self) -> float:
        """What the last `retry:` line of any connection asks for, or 0."""
        asked = self.reader.reconnection_milliseconds
        return self._reconnection_seconds if asked is None else asked / 1000

    @property
    def end_out_of_turn(self) -> ResponseEvent | None:
        """A terminal event whose number is not the next one: from after a gap, or a duplicate."""
        ahead = self._window.last()
        return ahead if isinstance(ahead, ResponseEvent) and self._is_end(ahead) else self._late_end

    @property
    def any_end(self) -> ResponseEvent | None:
        """The same, or one of an earlier connection."""
        return self.end_out_of_turn or self._earlier_end

    def begin(self, *, is_replay: bool) -> None:
        """Another connection is open. is_replay: Whether it was asked to begin with the first event."""
        self.has_progressed = self.is_full = False
        self._earlier_end = self.any_end
        self._window.clear()  # this connection brings them again
        self._late_end = None
        self.believe()
        self._first_before, self._first = self._first, None
        self._was_torn = False
        self.state = rejoin(self.state)
        self._reconnection_seconds = self.reconnection_seconds
        self.reader = EventReader(max_frame_bytes=self._patience.max_frame_bytes)
        is_counted_past = is_replay and self.state.cursor is not None and not self.can_resume
        self._repeated.begin(self.state, is_counted_past=is_counted_past)
        self.is_plain = self._is_sure

    @property
    def _is_sure(self) -> bool:
        """Whether numbers alone say what is new."""
        cursor = self.state.cursor
        is_counted_on = cursor is not None and self.is_numbered and (self._crossed or 0) <= cursor
        return is_counted_on and not self._repeated.is_skipping and not self.state.is_foreign

    def believe(self) -> bool:
        """Accept that the stream begins with this connection's first event, if the previous one began with it too."""
        if self.state.cursor is not None or self._first is None:
            return False
        if self._first == self._first_before:
            self._believed = self._first
        return self._believed == self._first

    def feed(self, chunk: bytes) -> list[Applied]:
        """Return what this chunk brings that is new.

        Raises:
            FrameTooLarge: One SSE block is larger than the limit.
        """
        reader = self.reader
        events = reader.feed(chunk)
        if (not events and self._crossed is None) or self.is_over:
            self._look_after_end(events if self.is_over else ())
            return []
        before = self.state
        if len(events) == 1 and self.is_plain and type(events[0]) is before.focus.grows:
            # Nine of ten chunks, where a server flushes each event: a delta, which cannot be an end.
            try:
                after = reduce(before, events[0])
            except SequenceGap:
                after = before
            if after.cursor != before.cursor:  # else it was dropped
                self.state = after
                self.has_progressed = True
                return [Applied(events[0], reader.payloads[0], after)]
        return self._take_chunk(events, reader.payloads, before)

    def _take_chunk(self, events: list[Event], payloads: list[bytes], before: State) -> list[Applied]:
        applied: list[Applied] = []
        if self.is_plain:
            applied = self._take_plain(events, payloads)
        else:
            self._take_each(zip(events, payloads, strict=True), applied)
        if applied:
            self.has_progressed = self.has_progressed or any(self._is_news(each.event) for each in applied)
            # The head of the document changes with every Response, so without a change none of these events ended it.
            if self.state.focus.document.head is not before.focus.document.head:
                self._look_at_responses(applied)
        return applied

    def _take_plain(self, events: list[Event], payloads: list[bytes]) -> list[Applied]:
        """The path of a stream without trouble."""
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
            if was_dropped(state, after):
                self.state = state = after  # the same, or with an anomaly
                self._drop(event)
            elif event.sequence_number is None:
                self.state = state
                self._take_each([(event, data), *rest], applied)
                return applied
            else:
                state = after
                applied.append(Applied(event, data, state))
        self.state = state
        self.is_plain = self._is_sure
        return applied

    def _step_by_step(self, events: list[Event]) -> list[State]:
        """The states after these events, if each of them has the next number; else an empty list."""
        before = self.state
        try:
            reached = list(states(events, before))
        except SequenceGap:
            return []
        # `states` raises for a gap and repeats a state for a duplicate. A cursor that moved by their number saw neither.
        return reached if self._steps_by_one and reached[-1].cursor == (before.cursor or 0) + len(events) else []

    def _look_at_responses(self, applied: list[Applied]) -> None:
        if self.response_id is None:
            for each in applied:
                self._introduce(each.event)
        for place, each in enumerate(applied):
            if each.state.is_terminal:
                self.is_over = True
                self.state = each.state
                self._look_after_end([after.event for after in applied[place + 1 :]])
                del applied[place + 1 :]
                return

    def _look_after_end(self, events: Iterable[Event]) -> None:
        """An `error` after the end says why: nothing else there belongs to this response."""
        for event in events:
            if isinstance(event, ErrorEvent):
                is_next = self.state.cursor is not None and event.sequence_number == self.state.cursor + 1
                self.state = reduce(self.state, event if is_next else replace(event, sequence_number=None))

    def close(self) -> None:
        """The connection has ended. Its last block may be an error that is not finished."""
        with suppress(FrameTooLarge):  # which was reported when it came
            self._look_after_end(self.reader.close())

    def _take_each(self, rest: Iterable[tuple[Event, bytes]], applied: list[Applied]) -> None:
        """The path of every other stream: event by event, with the window."""
        if self._take_held(self._crossed, applied):
            self._take_following(applied)
        for event, data in rest:
            if self._is_after_first(event) and self.believe():
                self._take_held(self._first, applied)
            self._take(event, data, applied)
            self._take_following(applied)
        self.is_plain = self._is_sure and not len(self._window)

    def _take_following(self, applied: list[Applied]) -> None:
        """What the window holds next follows at once; what it holds before that was applied another way."""
        while len(self._window) and self.state.cursor is not None:
            self._window.drop_to(self.state.cursor)
            if not self._take_held(self.state.cursor + 1, applied):
                break

    def _take_held(self, number: int | None, applied: list[Applied]) -> bool:
        """Take the event with this number out of the window. Returns whether it was there."""
        held = None if number is None else self._window.take(number)
        if held is not None:
            self._take(*held, applied)
        return held is not None

    def _take(self, event: Event, data: bytes, applied: list[Applied]) -> None:
        try:
            if not self._is_new(event) or (self.state.cursor is None and not self._begins_with(event)):
                self._drop(event)
                return
            after = reduce(self.state, event)
        except SequenceGap as gap:
            if gap.got != self._crossed:
                self._hold(gap.got, event, data)
                return
            self._crossed = None
            after = reduce_across(self.state, event)
        if is_torn(event) and self.is_numbered:  # it leaves a gap that a resume fills
            self._was_torn = True
            self._repeated.note(self.state.cursor, DAMAGED)
        elif not was_dropped(self.state, after) and not self._is_known_error(event, after):
            self._repeated.note_applied(event, self.state)
            self.state = after
            applied.append(Applied(event, data, after))
        else:
            self.state = after  # the same, or with an anomaly
            self._drop(event)

    def _hold(self, number: int, event: Event, data: bytes) -> None:
        """Keep an event from after a gap in the window."""
        self._introduce(event)
        held = len(self._window)
        if not self._window.add(number, event, data):
            self.is_full = True
            self._note_late(event)
        elif held == len(self._window):
            self.duplicates += 1
        else:
            self._repeated.note(self.state.cursor, number)

    def _drop(self, event: Event) -> None:
        """A duplicate says nothing new, unless it is an end. Keepalives, which come by the clock, do not count."""
        if not self.state.is_foreign:
            self.duplicates += type(event) is not Keepalive
            self._note_late(event)

    def _note_late(self, event: Event) -> None:
        """Remember an end that does not come in its turn."""
        if isinstance(event, ResponseEvent) and self._is_end(event):
            self._late_end = event

    def _is_new(self, event: Event) -> bool:
        """Whether it was not applied before, as far as a replay without numbers can tell."""
        is_past = not self._repeated.is_skipping or self._is_end(event)  # the end alone may be all that is replayed
        return is_past or self._repeated.is_new(event, self.state.cursor if self.is_numbered else None)

    def _is_known_error(self, event: Event, after: State) -> bool:
        """Whether this is an error without a number that came before: every replay brings it again."""
        has_number = event.sequence_number is not None and self.is_numbered
        return isinstance(event, ErrorEvent) and not has_number and after.error == self.state.error is not None

    def _is_news(self, event: Event) -> bool:
        """Whether it is progress. A server that sends one keepalive, or an error, to each connection brings nothing."""
        has_number = event.sequence_number is not None and self.is_numbered
        return is_counted(event) or (has_number and type(event) is not Keepalive)

    def _begins_with(self, event: Event) -> bool:
        """Whether an empty state may begin with this event; if not, it is a duplicate.

        Raises:
            SequenceGap: The stream should have begun with an earlier event.
        """
        number = event.sequence_number
        policy = self._patience.sequence_policy
        if number is None or policy is SequencePolicy.ARRIVAL:
            return True
        if self.floor is not None:
            if number > self.floor + 1 and policy is SequencePolicy.STRICT:
                raise SequenceGap(self.floor + 1, number)
            return number > self.floor
        if policy is SequencePolicy.STRICT and not self._is_beginning(event, number):
            self._first = number if self._first is None else min(number, self._first)
            raise SequenceGap(0, number)
        return True

    def _is_after_first(self, event: Event) -> bool:
        """Whether this event follows the first one of the connection, and nothing before that one has arrived."""
        number = event.sequence_number
        return self.state.cursor is None and number is not None and self._first is not None and number > self._first

    def _is_beginning(self, event: Event, number: int) -> bool:
        """Whether a stream may begin with this event: with `response.created`, or with keepalives before it."""
        if number <= 0 or number == self._believed or isinstance(event, ResponseCreated | Keepalive | UnknownEvent):
            return True
        return not len(self._window) and self._is_end(event)  # all that is left of a finished response

    def _is_end(self, event: Event | None) -> bool:
        return isinstance(event, ResponseEvent) and adopted(self.state, event).is_terminal

    def _introduce(self, event: Event) -> None:
        """Learn the id from the first Response in the stream."""
        if self.response_id is None and isinstance(event, ResponseEvent):
            self.introduce(event.response)

    def introduce(self, response: bytes | Raw) -> None:
        """Learn the id from a Response, if it has one that a call can name."""
        if (head := usable_head(response)) is not None:
            self.response_id = head.id
            self.is_background = self.is_background if head.background is None else head.background
