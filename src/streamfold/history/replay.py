"""Records folded into states: the state of a stream at any number, and the checkpoints that keep a replay short.

A record without a name and without data stands for a number that the server never used. It is not an event.

A state of a log is the one that the client had: its cursor is the server's own number. A record's number is the log's.
The two are the same unless an event came without a number, or the server left out more than MAX_HOLE of them.
"""

from collections.abc import Sequence

from streamfold.errors import LogUnusable, MalformedCheckpoint, NumberNotReached
from streamfold.fold import SequencePolicy, State, fold, reduce_recorded, restore
from streamfold.log import EventLog, Record, SavedCheckpoint, StreamInfo, StreamKey, limits, pages
from streamfold.schema import UNDECODABLE, Event, decode_event, decode_known_event

CHECKPOINT_EVERY = 3 * 512 * 1024
"""The least work between two checkpoints, in bytes: about 3,500 events of a text."""

MAX_HOLE = 1_000
"""How many numbers in a row a server may leave out for each to become an empty record."""

RECORD_BYTES = 200  # what a record costs a replay apart from its data, as a number of bytes
WORK_PER_BYTE = 3  # how much work justifies one byte of a checkpoint


# Records as events


def first_number(own: int | None) -> int:
    """The number of a stream's first record, whose event has this number: the same, if a log can count from there."""
    return own if own is not None and 0 <= own < limits.NUMBER_END else 0


def left_out(next_number: int, own: int | None) -> range:
    """The numbers from a stream's next record up to an event's own number. Each gets an empty record.

    There are none if too many are missing, or if records have more numbers than events. The record of such an event
    simply has the next number, and the event keeps its own.
    """
    end = next_number if own is None or own >= limits.NUMBER_END or own > next_number + MAX_HOLE else own
    return range(next_number, end)


def filler(number: int) -> Record:
    """The record of a number that the server never used."""
    return Record(number, "", b"")


def is_filler(record: Record) -> bool:
    """Whether the record stands for a number that the server never used."""
    return not record.data and not record.name


def fold_records(state: State, records: Sequence[Record]) -> State:
    """Fold consecutive records.

    Args:
        state: The state before them.
        records: The records. One that is not an event becomes an unknown event, and the state's anomalies say so.

    Returns:
        The state after them. Its cursor is the server's number of the last event.
    """
    events = _plain_events(state, records) if records else []
    if events:
        return fold(events, state)
    for record in records:
        if not is_filler(record):
            state = reduce_recorded(state, decode_event(record.data, record.name), record.sequence_number)
    return state


def _plain_events(state: State, records: Sequence[Record]) -> list[Event]:
    """The events, if each has a known type and the next number: then a plain fold gives the same, faster."""
    expected = records[0].sequence_number if state.cursor is None else state.cursor + 1
    if not (state.is_numbered or state.cursor is None):
        return []
    try:
        events = [decode_known_event(record.data) for record in records]
    except UNDECODABLE:
        return []
    is_plain = all(event.sequence_number == number for number, event in enumerate(events, expected))
    return events if is_plain else []


# States


async def replay(log: EventLog, key: StreamKey, *, at: int | None = None) -> State:
    """The state of a recorded response, now or after any event.

    It starts at the nearest checkpoint, so the cost does not grow with the stream.

    Args:
        log: The log.
        key: The stream.
        at: Return the state after the record with this number. None returns everything in the log, which can be more
            than the events contain, because the client may have fetched the final Response.

    Returns:
        The state as the client had it, with the server's number as its cursor; an empty `State()` if the stream has no
        events.

    Raises:
        UnknownStream: The log has no such stream.
        NumberNotReached: No event has the number.
        LogUnusable: A record is missing or damaged.
    """
    info = await log.require(key)
    state, last = await fold_up_to(log, info, at)
    if at is not None and last != at:
        raise NumberNotReached(at, await _next_event(log, info, at, last))
    return state


async def fold_up_to(
    log: EventLog, info: StreamInfo, at: int | None = None, *, policy: SequencePolicy = SequencePolicy.STRICT
) -> tuple[State, int | None]:
    """The state after all events up to a record's number, whether that record is an event or not.

    Args:
        log: The log.
        info: The head of the stream.
        at: The number of the last record; None for everything that the log has.
        policy: How far the gateway's numbers are trusted by a client that continues from this state.

    Returns:
        The state, and the number of the last record that is an event; None if there is none.
    """
    state, last = await _nearest_state(log, info, at) or (State.under(policy), None)
    async for page in pages(log, info, after=last, to=at):
        state = fold_records(state, page)
        last = next((each.sequence_number for each in reversed(page) if not is_filler(each)), last)
    return state, last


async def nearest_checkpoint(log: EventLog, info: StreamInfo, at: int | None) -> SavedCheckpoint | None:
    """The newest checkpoint that holds no more than the events up to `at`; without `at`, the newest of all."""
    if at is not None and at == info.next_number - 1:  # the one at the last number may hold more than the events
        at -= 1
    return await log.checkpoint(info.key, at=at)


async def _nearest_state(log: EventLog, info: StreamInfo, at: int | None) -> tuple[State, int] | None:
    try:
        saved = await nearest_checkpoint(log, info, at)
        while saved is not None:
            try:
                return restore(saved.data), saved.cursor
            except MalformedCheckpoint:  # written by another version: an earlier one, or the records, will do
                saved = await log.checkpoint(info.key, at=saved.cursor - 1)
    except LogUnusable:
        if at is None:  # the final Response may be stored nowhere else
            raise
    return None  # there is no checkpoint, or it is damaged, which `verify` reports: the records have everything


async def _next_event(log: EventLog, info: StreamInfo, after: int, last: int | None) -> int | None:
    """The number of the first event that follows, or of the last event if none does."""
    async for page in pages(log, info, after=after):
        for record in page:
            if not is_filler(record):
                return record.sequence_number
    return last


# Checkpoints. A checkpoint holds the whole text so far, so saving one every N records would cost the square of the text.
# Instead the distance to the next one grows with the size of the last one: all checkpoints of a stream together take
# at most a third of its records (decision 0016 has the measurements).


class CheckpointPolicy:
    """Decides when to save a checkpoint. Count each record that is written, and report what was saved.

    Args:
        saved_bytes: The size of the stream's newest checkpoint; 0 if it has none.
    """

    def __init__(self, *, saved_bytes: int = 0) -> None:
        self._work = 0
        self._saved_bytes = saved_bytes

    @property
    def is_due(self) -> bool:
        """Whether to save a checkpoint now."""
        return self._work >= max(CHECKPOINT_EVERY, WORK_PER_BYTE * self._saved_bytes)

    def count(self, record: Record) -> None:
        self._work += len(record.data) + RECORD_BYTES

    def saved(self, data: bytes) -> None:
        self._work, self._saved_bytes = 0, len(data)
