"""Apply events to a state. The only place where a State changes.

In      a State and an Event, or many
Out     the next State; the very same one for a duplicate
Units   sequence numbers, step 1
Errors  SequenceGap, and nothing else
Source  the laws of docs/explanation/laws.md; decision 0004 for the fast way

The fast way serves the event that adds to the text the last one added to: nine of ten in a stream of text. Whatever
is not such an event goes to `apply`, which serves them all. `reduce` is one step; `states` takes many, and its loop
has the fast way of output text inside, for a call and a look at the focus for each event would double its time.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from streamfold.errors import SequenceGap
from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.sequence import SequencePolicy, Verdict, judge
from streamfold.fold.state import Document, Focus, State, grown
from streamfold.fold.steps import GROWS, STEPS, keep, note_malformed, take_terminal
from streamfold.schema import Event, OutputTextDelta, UnknownEvent, is_end_marker

__all__ = ["START", "reduce", "states"]

START = State()

# Fragments are joined into the text at every number that is a multiple of this: a power of two, so that the test is
# one `and`. Joining costs the more the smaller it is, and reading a text walks at most so many fragments.
FRAGMENTS_PER_BLOCK = 128
WITHIN_BLOCK = FRAGMENTS_PER_BLOCK - 1

# The steps that are still taken once a terminal event was applied: the others would change what was final.
AFTER_TERMINAL = (take_terminal, keep, note_malformed)


def reduce(state: State, event: Event) -> State:
    """Apply one event to a state.

    Pure: no clock, no I/O, no chance; `state` itself is never modified.
    Returns: the new state; for a duplicate, the very same object.
    Raises: SequenceGap if the event is ahead of the state, which stays as it was.
    """
    # The fast way, all inline, for this is where the time of a stream goes: the event is of the type in focus, is
    # numbered next, and points to the text in focus. A focus is only where a cursor is, so that is a number here.
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
            return after if number & WITHIN_BLOCK else State(number, _with(focus, grown(after)))
    return apply(state, event)


def states(events: Iterable[Event], state: State = START) -> Iterator[State]:
    """A state after each event: the same object again after a duplicate. Keeping them all is cheap.

    Raises: SequenceGap at the first event that is ahead, after the states before it.
    """
    focus, cursor, within = state.focus, state.cursor or 0, WITHIN_BLOCK
    grows: Any = focus.grows  # this and the following: what the focus says of the events that add to its text
    output_index, index_of, index = focus.output_index, focus.index_of, focus.index
    is_text = grows is OutputTextDelta
    event: Any
    for event in events:
        # The difference of two numbers is a small integer, which is there already: a sum would be made for each event.
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


def _with(focus: Focus, document: Document) -> Focus:
    """The same focus on a later document: the same events add to the same text."""
    return Focus(document, focus.grows, focus.output_index, focus.index_of, focus.index)


def apply(state: State, event: Event) -> State:
    """The general way, for every event: judge its number, join the fragments, take the step of its type."""
    known = state.focus.document
    expected = None if state.cursor is None or not known.is_numbered else state.cursor + 1
    number = event.sequence_number
    if number is not None and number == expected:
        at, document = number, grown(state)
    else:
        verdict = judge(number, expected=expected, policy=known.policy)
        if verdict is Verdict.DUPLICATE:
            return state
        if verdict is Verdict.AHEAD and number is not None and expected is not None:
            raise SequenceGap(expected, number)
        if number is None and isinstance(event, UnknownEvent) and (event.error or is_end_marker(event.data)):
            return _with_unreadable(state) if event.error else state
        at = _next_cursor(state, number)
        document = _numbered(grown(state), event, at, is_first=expected is None)
    step = STEPS[type(event)]
    if document.is_closed and step not in AFTER_TERMINAL:
        return State(at, Focus(document.note(AnomalyKind.AFTER_TERMINAL, at)))
    return State(at, _focused(step(document, event, at), event, state.focus))


def _with_unreadable(state: State) -> State:
    """The state, told of an event that could not be read. It does not count: torn on its way, it is a gap that shows."""
    document = grown(state).note(AnomalyKind.MALFORMED, at=state.cursor or 0)
    return State(state.cursor, Focus(document))


def _next_cursor(state: State, number: int | None) -> int:
    """The event's number; without one, its place by order of arrival, which never moves past a number that was read."""
    if number is not None and state.focus.document.policy is not SequencePolicy.ARRIVAL:
        return number
    if state.cursor is None:
        return 0
    return state.cursor if state.focus.document.is_numbered else state.cursor + 1


def _numbered(document: Document, event: Event, at: int, *, is_first: bool) -> Document:
    """The document with what a number that is not simply the next says about the stream, or the lack of one."""
    if document.policy is SequencePolicy.ARRIVAL:
        return document
    if event.sequence_number is None:
        return document.note(AnomalyKind.UNNUMBERED, at)
    return replace(document, is_numbered=True) if is_first else document.note(AnomalyKind.HOLE, at)


def _focused(document: Document, event: Event, before: Focus) -> Focus:
    """The document, and which events add to its text, if one grows: those like this one, or those like before."""
    if not document.path or not document.is_numbered or document.is_closed:
        return Focus(document)
    place = GROWS.get(type(event))
    if place is None:
        return _with(before, document)
    growing: Any = event
    if not place.list_path:
        return Focus(document, type(event), growing.output_index)
    return Focus(document, type(event), growing.output_index, place.index_of, place.index_of(event))
