"""Fold events to the last state, or to the one at a sequence number.

In      events in the order of their numbers, and a state to start from
Out     the last State, or the one at a number
Units   sequence numbers
Errors  SequenceGap from an event ahead of the state; NumberNotReached where the events end before the number
"""

from collections.abc import Iterable

from streamfold.errors import NumberNotReached
from streamfold.fold.reduce import START, states
from streamfold.fold.state import State
from streamfold.schema import Event

__all__ = ["fold", "replay"]


def fold(events: Iterable[Event], state: State = START) -> State:
    """Apply many events to a state.

    Raises: SequenceGap at the first event that is ahead.
    """
    for reached in states(events, state):
        state = reached
    return state


def replay(events: Iterable[Event], *, at: int, state: State = START) -> State:
    """The state at sequence number `at`. Events after it are not applied, and not even asked for.

    state: where to start, as a checkpoint before `at`; by default, from nothing.
    Raises: NumberNotReached if the events end before `at`, or begin after it; SequenceGap as fold does.
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
