"""Records of a log as events, and folded into states.

In      records in the order of their numbers, and the state before them
Out     the state after them; its cursor is the number of the last event
Units   sequence numbers
Errors  none: what cannot be read as an event is one that says nothing, and is noted as malformed
Source  docs/reference/history.md

A record that holds nothing stands for a number that the server never used: it is no event, and has no state.
"""

from collections.abc import Sequence

from streamfold.fold import State, fold, reduce_as
from streamfold.log import Record
from streamfold.schema import UNDECODABLE, Event, decode_event, decode_known_event

__all__ = ["filler", "fold_records", "is_filler"]


def filler(number: int) -> Record:
    """The record of a number that the server never used."""
    return Record(number, "", b"")


def is_filler(record: Record) -> bool:
    """Whether this is the record of a number that the server never used."""
    return not record.data and not record.name


def fold_records(state: State, records: Sequence[Record]) -> State:
    """The state after these records, which follow one another."""
    events = _plain_events(state, records)
    if events:
        return fold(events, state)
    for record in records:
        if not is_filler(record):
            state = reduce_as(state, decode_event(record.data), record.sequence_number)
    return state


def _plain_events(state: State, records: Sequence[Record]) -> list[Event]:
    """The events, if each is of a known type and numbered as its record: then folding them needs no look at the log."""
    if not records or (state.cursor is not None and records[0].sequence_number != state.cursor + 1):
        return []
    try:
        events = [decode_known_event(record.data) for record in records]
    except UNDECODABLE:
        return []
    numbers = [event.sequence_number for event in events]
    is_plain = numbers == [record.sequence_number for record in records]
    return events if is_plain and (state.cursor is None or state.is_numbered) else []
