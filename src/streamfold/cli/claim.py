"""What the demo claims about the states it kept, each claim tried on them and not only said.

In      the frames of a whole stream, and the State after each
Out     Claims, in the order in which they are told
Units   sequence numbers
Errors  none: a claim that fails says so
Source  docs/explanation/laws.md
"""

from attrs import frozen

from streamfold.errors import SequenceGap
from streamfold.fold import State, reduce, replay, snapshot, snapshot_json
from streamfold.reader import EventReader
from streamfold.schema import Event

__all__ = ["Claim", "examine"]


@frozen
class Claim:
    """A sentence, and whether it is true of this stream."""

    sentence: str
    holds: bool


def examine(frames: list[bytes], states: list[State]) -> list[Claim]:
    """Try each claim. frames: whole ones, numbered by one. states: one after each, so at least two."""
    reader = EventReader()
    events = [event for frame in frames for event in reader.feed(frame)]
    end = states[-1]
    middle = len(states) // 2
    items = len(snapshot(end).output)
    noted = sum(anomaly.count for anomaly in end.anomalies)
    return [
        Claim(f"{len(events):,} events, {items} items, status {end.status}, anomalies: {noted or 'none'}", not noted),
        Claim(f"a State kept after every event: {len(states):,} of them", len(states) == len(events)),
        _replayed(events, states[middle]),
        Claim(f"event {states[middle].cursor} once more: the very same State", reduce(end, events[middle]) is end),
        _gap_refused(states[middle - 1], events[middle + 1]),
    ]


def _replayed(events: list[Event], then: State) -> Claim:
    at = then.cursor or 0
    again = replay(events, at=at)
    return Claim(f"replay to {at}: equal to the State kept then", snapshot_json(again) == snapshot_json(then))


def _gap_refused(state: State, ahead: Event) -> Claim:
    """An event from beyond a hole of one must be refused."""
    try:
        reduce(state, ahead)
    except SequenceGap as gap:
        return Claim(f"a gap refused: {gap}", gap.expected == (state.cursor or 0) + 1)
    return Claim(f"a gap refused: event {ahead.sequence_number} was applied to the state at {state.cursor}", False)
