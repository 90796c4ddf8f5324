"""Apply events to a state: one, many, up to a number, or as the one with a number from a log."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from msgspec.structs import replace

from streamfold.errors import InvalidArgument, NumberNotReached, SequenceGap
from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.dropped import (
    dropped,
    followed,
    is_of_other,
    rejoin,
    still_growing,
    with_document,
    without_change,
)
from streamfold.fold.place import lacks_index, located
from streamfold.fold.response import record_error, take_terminal
from streamfold.fold.state import Document, GrowingText, SequencePolicy, State, grown
from streamfold.fold.steps import STEPS, Step, keep, note_malformed
from streamfold.fold.target import ENDS_TEXT, GROWS
from streamfold.schema import (
    ErrorEvent,
    Event,
    Keepalive,
    OutputTextDelta,
    ResponseEvent,
    UnknownEvent,
    is_end_marker,
    read_head,
)

# Theory of operation. Nine of ten events in a stream of text are deltas that continue the text to which the last one
# added. `reduce` has a fast path for exactly these, written inline because most of the time of a stream is spent
# there: the event is of the type in focus, has the next number, and points to the text in focus. It then costs one new
# State with its own fragment and a reference to the State before it; nothing is copied and nothing is searched. Every
# other event takes the general path, `apply`: judge its number, join the fragments into the text, take the step of its
# type.
#
# `states` repeats the fast path for output text inside its loop. Calling `reduce` and reading the focus again for each
# event would double its time. Decision 0004 has the measurements.
#
# Fragments are joined at every number that is a multiple of FRAGMENTS_PER_BLOCK, so no chain of States is longer than a
# block, whatever the length of the text.

START = State()
NUMBER_END = 2**53  # the numbers of a log are below

# A power of two, so that the test is one `and`. Joining costs more the smaller it is, and reading a text walks at most
# this many fragments.
FRAGMENTS_PER_BLOCK = 128
WITHIN_BLOCK = FRAGMENTS_PER_BLOCK - 1

# They come by the clock, or another stream of the same response may not bring them again.
UNCOUNTED = (Keepalive, ErrorEvent)
MAY_BE_UNCOUNTED = frozenset({*UNCOUNTED, UnknownEvent})

# The steps that are still taken after a terminal event: all others would change what was final.
AFTER_TERMINAL = (take_terminal, keep, note_malformed)

# A JSON reader need not keep a higher number exactly, so an event cannot be in that place.
MAX_NUMBER = 2**53 - 1


def reduce(state: State, event: Event) -> State:
    """Apply one event to a state and return the next state.

    Pure and total: never modifies `state`, does no I/O.

    Args:
        state: The state before the event.
        event: The next event, of any type, unknown ones included.

    Returns:
        The new state, or the very same object if the event is a duplicate. An event with a known number that certainly
        says something else changes nothing but the anomalies.

    Raises:
        SequenceGap: The event is ahead of the state. Resume after `state.cursor`.
        InvalidArgument: `event` is not an event; decode bytes with an EventReader or `decode_event` first.
    """
    # A focus exists only if there is a cursor, so the cursor is a number here.
    focus = state.focus
    grows = focus.grows
    if type(event) is grows:
        delta: Any = event
        cursor: Any = state.cursor
        number: Any = event.sequence_number
        if number == cursor + 1 and delta.output_index == focus.output_index:
            if grows is OutputTextDelta:
                if delta.content_index != focus.index or delta.logprobs:
                    return apply(state, event)
            elif focus.index_of is not None and focus.index_of(delta) != focus.index:
                return apply(state, event)
            after = State(number, focus, state, delta.delta)
            return after if number & WITHIN_BLOCK else State(number, with_document(focus, grown(after)))
    return apply(state, event)


def states(events: Iterable[Event], state: State = START) -> Iterator[State]:
    """Yield a state after each event; the same object again after a duplicate. Keeping them all is cheap.

    Args:
        events: Events in the order of their numbers.
        state: Where to start, such as a checkpoint.

    Raises:
        SequenceGap: An event is ahead of the state, after the states before it were yielded.
        InvalidArgument: One of `events` is not an event.
    """
    focus, cursor, within = state.focus, state.cursor or 0, WITHIN_BLOCK
    grows: Any = focus.grows  # this and the next lines: what the focus says about the events that add to its text
    output_index, index_of, index = focus.output_index, focus.index_of, focus.index
    is_text = grows is OutputTextDelta
    event: Any
    for event in events:
        # The difference of two numbers is a small integer, which Python has ready: a sum would be a new object.
        if (
            type(event) is grows
            and (number := event.sequence_number or 0) - cursor == 1
            and number & within
            and event.output_index == output_index
            and (
                event.content_index == index and not event.logprobs
                if is_text
                else index_of is None or index_of(event) == index
            )
        ):
            cursor = number
            state = State(number, focus, state, event.delta)
        else:
            state = reduce(state, event)
            focus, cursor = state.focus, state.cursor or 0
            grows, output_index, index_of, index = focus.grows, focus.output_index, focus.index_of, focus.index
            is_text = grows is OutputTextDelta
        yield state


def fold(events: Iterable[Event], state: State = START) -> State:
    """Apply many events to a state and return the last state.

    Args:
        events: Events in the order of their numbers.
        state: Where to start, such as a checkpoint.

    Raises:
        SequenceGap: An event is ahead of the state. Use `states` to keep the states before it.
        InvalidArgument: One of `events` is not an event.
    """
    for reached in states(events, state):
        state = reached
    return state


def replay(events: Iterable[Event], *, at: int, state: State = START) -> State:
    """Return the state at a sequence number. Events after it are not even read.

    Args:
        events: Events in the order of their numbers.
        at: The sequence number.
        state: Where to start, such as a checkpoint taken before `at`.

    Raises:
        NumberNotReached: The events end before `at`, begin after it, or skip it.
        SequenceGap: An event is ahead of the state.
    """
    if state.cursor == at:
        return state
    for reached in states(events, state):
        state = reached
        if state.cursor is not None and state.cursor >= at:
            break
    if state.cursor != at:
        raise NumberNotReached(at, state.cursor)
    return state


def apply(state: State, event: Event) -> State:
    """The general path, for every event."""
    try:
        step = STEPS[type(event)]
    except KeyError:
        kind = type(event).__name__
        raise InvalidArgument("event", f"must be an event from an EventReader or decode_event, got {kind}") from None
    document, number, cursor = state.focus.document, event.sequence_number, state.cursor
    if document.is_foreign:
        return _after_another(state, event)
    if number is not None and cursor is not None and number == cursor + 1 and document.is_numbered:
        if state.previous is not None:
            document = _grown_for(state, event)
        if type(event) in MAY_BE_UNCOUNTED and not is_counted(event):
            document = _with_uncounted(document, 1)
    else:
        judged = _judged(state, event, step)
        if isinstance(judged, State):
            return judged
        number, document = judged
    if document.is_closed and step not in AFTER_TERMINAL:
        return _after_end(state, document, event, number)
    return _stepped(state, document, event, step, number)


def _grown_for(state: State, event: Event) -> Document:
    """The state's document with the fragments joined into its text, unless the event brings that text as a whole."""
    document, target = state.focus.document, state.focus.document.target
    if target is not None and ENDS_TEXT.get(type(event)) is target and target.path(event) == document.path:
        return document
    return grown(state)


def _stepped(state: State, document: Document, event: Event, step: Step, at: int) -> State:
    """The state after the step of this event, which takes this number."""
    after = step(document, event, at)
    # Every step refuses an event without an index that it needs, so an event that is in order is not searched for one.
    if after.anomalies is not document.anomalies and lacks_index(event):
        document = document.note(AnomalyKind.INDEX_ASSUMED, at)
        event = located(document, event)
        after = step(document, event, at)
    if after.is_foreign:
        return without_change(state, AnomalyKind.OTHER_RESPONSE, is_foreign=True)
    return State(at, _focused(after, event, state.focus, at))


def _expected(state: State) -> int | None:
    """The number of the next event, if there are numbers."""
    return None if state.cursor is None or not state.focus.document.is_numbered else state.cursor + 1


def _judged(state: State, event: Event, step: Step) -> tuple[int, Document] | State:
    """The number that an event takes, if it is not the expected one, and the document before its step.

    Returns the state if no step is to be taken. Raises SequenceGap if the policy is strict and the event is ahead.
    """
    number, document = event.sequence_number, state.focus.document
    if number is not None and state.cursor is None and document.policy is not SequencePolicy.ARRIVAL:
        skipped = number + 1 - is_counted(event)
        return number, replace(document, is_numbered=True, uncounted=document.uncounted + skipped)
    expected = _expected(state)
    if number is not None and expected is not None and document.policy is not SequencePolicy.ARRIVAL:
        if not expected <= number <= MAX_NUMBER and _counts_anyway(document, step):
            number = None
        elif number < expected:
            return dropped(state, event, number)
        elif document.policy is SequencePolicy.STRICT:
            raise SequenceGap(expected, number)
    if number is None and _takes_no_number(event):
        return state if is_end_marker(event.data) else _with_unreadable(state)
    at = _next_cursor(state, number)
    document = _numbered(state, event, number, at, is_first=expected is None)
    return at, _with_uncounted(document, at - (-1 if state.cursor is None else state.cursor) - is_counted(event))


def _takes_no_number(event: Event) -> TypeGuard[UnknownEvent]:
    """Whether this is `[DONE]`, or bytes that were torn on their way."""
    return isinstance(event, UnknownEvent) and (bool(event.error) or is_end_marker(event.data))


def _counts_anyway(document: Document, step: Step) -> bool:
    """Whether an event cannot be a duplicate, whatever its number: the first end, and the first error."""
    return (step is take_terminal and not document.is_closed) or (step is record_error and document.error is None)


def is_counted(event: Event) -> bool:
    """Whether `State.counted` counts this event."""
    return bool(event.error) if type(event) is UnknownEvent else type(event) not in UNCOUNTED


def _with_uncounted(document: Document, more: int) -> Document:
    """The document after a step of the cursor that was wider than the event that counts, or narrower."""
    return replace(document, uncounted=document.uncounted + more) if more else document


def _with_unreadable(state: State) -> State:
    """The state with an unreadable event noted. It takes no number: if it was torn on its way, the gap must show."""
    document = grown(state).note(AnomalyKind.MALFORMED, at=state.cursor or 0)
    if not document.is_numbered:
        document = _with_uncounted(document, -1)
    return State(state.cursor, GrowingText(document, run=state.focus.run))


def _next_cursor(state: State, number: int | None) -> int:
    """The event's number, or its place by order of arrival, which never moves past a number that was read."""
    if number is not None and state.focus.document.policy is not SequencePolicy.ARRIVAL:
        return number
    if state.cursor is None:
        return 0
    return state.cursor if state.focus.document.is_numbered else state.cursor + 1


def _numbered(state: State, event: Event, number: int | None, at: int, *, is_first: bool) -> Document:
    """The document before an event whose number is missing, or is not simply the next one."""
    document = grown(state)
    if document.policy is SequencePolicy.ARRIVAL:
        return document
    if (number is None) is document.is_numbered and state.counted > 0 and is_counted(event):
        document = replace(document, is_mixed=True)
    if number is None:
        return document.note(AnomalyKind.UNNUMBERED, at)
    return replace(document, is_numbered=True) if is_first else document.note(AnomalyKind.HOLE, at)


def reduce_across(state: State, event: Event) -> State:
    """Apply an event from after a hole that is the server's own. The hole is noted, and the next one is a gap again."""
    policy = state.focus.document.policy
    lenient = replace(grown(state), policy=SequencePolicy.RENUMBER)
    after = reduce(State(state.cursor, GrowingText(lenient, run=state.focus.run)), event)
    return State(after.cursor, replace(after.focus, document=replace(after.focus.document, policy=policy)))


def _focused(document: Document, event: Event, before: GrowingText, at: int) -> GrowingText:
    """The document, and which events add to its text, if one grows: those like this one, or those like before.

    The event's type is remembered if the server gave it this number.
    """
    run = before.run
    is_remembered = event.sequence_number == at and document.is_numbered
    if is_remembered and (run is None or run.type != event.type):
        run = followed(run, at, event.type)
    if not document.path or not document.is_numbered or document.is_closed:
        return GrowingText(document, None, None, None, None, run)
    target = GROWS.get(type(event))
    if target is None:
        return still_growing(before, document, run, at, is_remembered=is_remembered)
    growing: Any = event
    if not target.list_path:
        return GrowingText(document, type(event), growing.output_index, run=run)
    index_of = target.index_of
    return GrowingText(document, type(event), growing.output_index, index_of, index_of(event), run)


def _after_end(state: State, document: Document, event: Event, at: int) -> State:
    """The state after an event that came after the terminal one: only an error still says something."""
    if isinstance(event, ResponseEvent) and is_of_other(document, event):
        return without_change(state, AnomalyKind.OTHER_RESPONSE, is_foreign=True)
    if isinstance(event, ErrorEvent):
        document = record_error(document, event, at)
    return State(at, GrowingText(document.note(AnomalyKind.AFTER_TERMINAL, at), run=state.focus.run))


# A stream that moved on to another response may come back: only the first id says so. What it brings in between has
# numbers and indexes of its own, which say nothing about this response.


def _after_another(state: State, event: Event) -> State:
    """The state after an event that follows another response's first one."""
    if isinstance(event, UnknownEvent) and is_end_marker(event.data):
        return state
    if isinstance(event, ResponseEvent):
        head = read_head(event.response)
        if head is not None and head.id == state.focus.document.response_id:
            return apply(rejoin(state), event)
    return without_change(state, AnomalyKind.OTHER_RESPONSE, is_foreign=True)


# Events out of a log. Each of them was applied when it was written, so whatever its own number is, it is neither a duplicate
# nor ahead. The state is then the one that the client had, with the server's numbers; the record's number is the log's.


def reduce_recorded(state: State, event: Event, number: int) -> State:
    """Apply one event of a log, whatever its own number is. Skipped numbers are noted as a hole.

    Args:
        state: The state before the event.
        event: The event.
        number: The number of its record. An event has another one if an event before it had none, or if the stream was
            stored by order of arrival.

    Returns:
        The new state. Its cursor is the server's number, as it was for the client. Never a SequenceGap.
    """
    own, document = event.sequence_number, state.focus.document
    if own is None or document.policy is SequencePolicy.ARRIVAL or _counted_anyway(state, event):
        return reduce(state, event)
    if _is_misnumbered(state, own, number):
        counted = replace(document, policy=SequencePolicy.ARRIVAL, is_numbered=False)
        return reduce(State(state.cursor, GrowingText(counted), state.previous, state.fragment), event)
    if document.is_numbered and own != (state.cursor or 0) + 1:
        return reduce_across(state, event)
    return reduce(state, event)


def _counted_anyway(state: State, event: Event) -> bool:
    """Whether the client applied this event although its number was known, or is too high."""
    own, expected = event.sequence_number, _expected(state)
    if own is None or expected is None or expected <= own <= MAX_NUMBER:
        return False
    return _counts_anyway(state.focus.document, STEPS[type(event)])


def _is_misnumbered(state: State, own: int, number: int) -> bool:
    """Whether the event was stored by order of arrival, since its own number cannot be its place."""
    if state.cursor is not None:
        return state.focus.document.is_numbered and own <= state.cursor
    # A log starts with the number of its first event, unless it cannot count from there.
    return own != number and 0 <= own < NUMBER_END
