"""Reassembles one response's events across reconnects: chunks in, each event once and in order with its state out."""

from collections.abc import Iterable

from msgspec import Struct

from streamfold.errors import SequenceGap
from streamfold.fold import SequencePolicy, State, reduce, states, was_dropped, with_response
from streamfold.reader import EventReader
from streamfold.schema import Event, Keepalive, ResponseCreated, ResponseEvent, UnknownEvent, is_usable_id, read_head
from streamfold.session.patience import Patience
from streamfold.session.policy import Window, has_unseen_text

# Theory of operation. Connections may begin anywhere, overlap, and break inside an event. What arrives is sorted by its
# sequence number against the state's cursor:
#
#     number      what happens
#     cursor + 1  applied; then whatever the window holds next
#     <= cursor   a duplicate, dropped. If it is a terminal event, it is remembered: a server may send a synthetic one
#                 with any number
#     > cursor+1  from after a gap: held in the window, until the missing event arrives or a resume brings everything again
#     none        applied as it arrives; on a replay, as many events are skipped as were applied before
#
# An event that was damaged in transit (cut, or not JSON) is not applied: with numbers that is a gap like any other,
# which a resume fills. Nothing after the first terminal event belongs to this response.
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
        final: The state of a Response that came from outside the stream, once there is one.
        has_progressed: Whether this connection brought anything new.
        is_plain: Whether nothing is wrong: the next event should have the next number.
        is_over: Whether the terminal event was applied.
        is_full: Whether an event from after the gap did not fit into the window.
        response_id: The id in the first Response of the stream; None until then.
        is_background: Whether that Response runs in the background; None if it does not say.
        is_compacted: Whether the final Response holds text whose events were never seen.
        compacted_after: The last number before that text.
    """

    def __init__(self, state: State, *, patience: Patience, starting_after: int | None) -> None:
        self.state: State = state
        self.final: State = state
        self.has_progressed: bool = False
        self.is_plain: bool = False
        self.is_over: bool = state.is_terminal
        self.is_full: bool = False
        self.response_id: str | None = None
        self.is_background: bool | None = None
        self.is_compacted: bool = False
        self.compacted_after: int | None = None
        self._patience = patience
        self._floor = starting_after if state.cursor is None else None
        self._window = Window(max_events=patience.window_events, max_bytes=patience.window_bytes)
        self._reader = EventReader(max_frame_bytes=patience.max_frame_bytes)
        # Without the server's numbers, a replay is recognised by counting every event but the keepalives.
        self._count = 0 if self.is_numbered else state.counted
        self._to_skip = 0
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
        return self._floor if self.state.cursor is None else self.state.cursor

    @property
    def is_numbered(self) -> bool:
        """Whether the cursor is the server's own number; assumed before the first event."""
        if self._patience.sequence_policy is SequencePolicy.ARRIVAL:
            return False
        return self.state.is_numbered or self.state.cursor is None

    @property
    def can_resume(self) -> bool:
        """Whether the server gave a number to resume after."""
        return self.after is not None and self.is_numbered

    @property
    def has_gap(self) -> bool:
        """Whether events wait for a missing one."""
        return len(self._window) > 0

    @property
    def reconnection_seconds(self) -> float:
        """What the last `retry:` line of any connection asks for, or 0."""
        asked = self._reader.reconnection_milliseconds
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

    def adopted(self, event: ResponseEvent) -> State:
        """The state with this event's Response as its own."""
        return with_response(self.state, bytes(event.response))

    def adopt(self, state: State) -> None:
        """Take the Response of this state, which came from outside the stream or from after a gap, as the final one."""
        if not self.state.is_terminal:
            self._compare(self.state, state)
        self.final = state

    def note_end(self, before: State) -> None:
        """The terminal event was applied in order. before: The state before it."""
        if self._floor is None:  # else the text before it was never asked for
            self._compare(before, self.state)

    def final_state(self, *, is_proven: bool) -> State:
        """The state to end with. is_proven: Whether it is known how the response ended."""
        return self.final if is_proven and self.final.is_terminal else self.state

    def _compare(self, before: State, after: State) -> None:
        if has_unseen_text(before, after):
            self.is_compacted = True
            self.compacted_after = self._floor if before.cursor is None else before.cursor

    def begin(self, *, is_replay: bool) -> None:
        """Another connection is open. is_replay: Whether it was asked to begin with the first event."""
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
        reader = self._reader
        events = reader.feed(chunk)
        if not events or self.is_over:
            return []
        before = self.state
        if len(events) == 1 and self.is_plain and type(events[0]) is before.focus.grows:
            # Nine of ten chunks, where a server flushes each event: a delta, which cannot be an end.
            try:
                after = reduce(before, events[0])
            except SequenceGap:
                after = before
            if not was_dropped(before, after):
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
            self.has_progressed = True
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
                state = after  # the same, or with an anomaly
                self._note_late(event)
            elif type(event) is not UnknownEvent or not _is_torn(event):
                state = after
                applied.append(Applied(event, data, state))
        self.state = state
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
                del applied[place + 1 :]
                return

    def _take_each(self, rest: Iterable[tuple[Event, bytes]], applied: list[Applied]) -> None:
        """The path of every other stream: event by event, with the window."""
        for event, data in rest:
            if self._is_after_first(event) and self.believe():
                self._take_held(self._first, applied)
            self._take(event, data, applied)
            # What the window holds next follows at once; what it holds before that was applied another way.
            while len(self._window) and self.state.cursor is not None:
                self._window.drop_to(self.state.cursor)
                if not self._take_held(self.state.cursor + 1, applied):
                    break
        self.is_plain = self.state.cursor is not None and self.is_numbered and not len(self._window)

    def _take_held(self, number: int | None, applied: list[Applied]) -> bool:
        """Take the event with this number out of the window. Returns whether it was there."""
        held = None if number is None else self._window.take(number)
        if held is not None:
            self._take(*held, applied)
        return held is not None

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
            # With numbers it leaves a gap that a resume fills. Without them it is lost, and the state says so.
            self.state = self.state if self.is_numbered else after
        elif not was_dropped(self.state, after):
            self.state = after
            applied.append(Applied(event, data, after))
        else:
            self.state = after  # the same, or with an anomaly
            self._note_late(event)

    def _note_late(self, event: Event) -> None:
        """A duplicate says nothing new, unless it is an end."""
        if isinstance(event, ResponseEvent) and self._is_end(event):
            self._late_end = event

    def _is_new(self, event: Event) -> bool:
        """Whether a replay without numbers is past what was applied. Keepalives come by the clock, and are not counted."""
        if isinstance(event, Keepalive):
            return self._to_skip == 0
        if self._to_skip and not self._is_end(event):  # a finished response may be replayed as its end alone
            self._to_skip -= 1
            return False
        self._count += 1
        return True

    def _begins_with(self, event: Event) -> bool:
        """Whether an empty state may begin with this event; if not, it is a duplicate.

        Raises:
            SequenceGap: The stream should have begun with an earlier event.
        """
        number = event.sequence_number
        policy = self._patience.sequence_policy
        if number is None or policy is SequencePolicy.ARRIVAL:
            return True
        if self._floor is not None:
            if number > self._floor + 1 and policy is SequencePolicy.STRICT:
                raise SequenceGap(self._floor + 1, number)
            return number > self._floor
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
        return isinstance(event, ResponseEvent) and self.adopted(event).is_terminal

    def _introduce(self, event: Event) -> None:
        """Learn the id from the first Response in the stream."""
        if self.response_id is None and isinstance(event, ResponseEvent):
            head = read_head(event.response)
            # An id whose bytes were broken on their way is another id.
            if head and is_usable_id(head.id) and "\N{REPLACEMENT CHARACTER}" not in head.id:
                self.response_id, self.is_background = head.id, head.background


def _is_torn(event: Event) -> bool:
    """Whether the event could not be read at all, not even its number."""
    return type(event) is UnknownEvent and event.sequence_number is None and bool(event.error)
