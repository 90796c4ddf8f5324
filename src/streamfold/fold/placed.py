"""Apply an event at a number that is known from elsewhere, as that of its record in a log.

In      a State, an Event, and the number that the event has there
Out     the State at that number
Units   sequence numbers
Errors  none
Source  docs/reference/history.md

What a log holds was judged when it was written: a hole in it is one that was believed, and an event with another
number than its place was numbered by arrival. So the policy that a state needs is told by the numbers themselves.
"""

from msgspec.structs import replace

from streamfold.fold.reduce import reduce
from streamfold.fold.sequence import SequencePolicy
from streamfold.fold.state import Focus, State
from streamfold.schema import Event

__all__ = ["reduce_as", "with_cursor"]


def with_cursor(state: State, number: int) -> State:
    """The state with this number for its cursor. Where that was another one, it is the log's, and no longer the server's.

    So nobody asks the server for what comes behind a number that it never gave.
    """
    if state.cursor == number:
        return state
    document = state.focus.document
    if document.is_numbered:
        document = replace(document, policy=SequencePolicy.ARRIVAL, is_numbered=False)
    return State(number, Focus(document), state.previous, state.fragment)


def reduce_as(state: State, event: Event, number: int) -> State:
    """Apply one event as the one with this number, whatever number it has itself.

    Pure, and never raises. Numbers that were left out before it are noted as a hole.
    Returns: the state whose cursor is the number; the very same object where it is there already.
    """
    if state.cursor is not None and number <= state.cursor:
        return state
    return with_cursor(reduce(_trusting(state, event.sequence_number, number), event), number)


def _trusting(state: State, own: int | None, number: int) -> State:
    """The state, told to read the event's own number so that it is neither a duplicate nor ahead."""
    document = state.focus.document
    if own is None or document.policy is SequencePolicy.ARRIVAL:
        return state
    if own != number:
        document = replace(document, policy=SequencePolicy.ARRIVAL, is_numbered=False)
    elif document.policy is SequencePolicy.STRICT and state.cursor is not None and number != state.cursor + 1:
        document = replace(document, policy=SequencePolicy.RENUMBER)
    else:
        return state
    return State(state.cursor, Focus(document), state.previous, state.fragment)
