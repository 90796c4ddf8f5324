"""Records folded into states: the state of a stream at any number, and the checkpoints that keep a replay short.

A record without a name and without data stands for a number that the server never used. It is not an event.
"""

from collections.abc import Sequence

from streamfold.errors import LogUnusable, MalformedCheckpoint, NumberNotReached
from streamfold.fold import State, fold, reduce_as, restore, with_cursor
from streamfold.log import EventLog, Record, SavedCheckpoint, StreamInfo, StreamKey, pages
from streamfold.schema import UNDECODABLE, Event, decode_event, decode_known_event

CHECKPOINT_EVERY = 3 * 512 * 1024
"""The least work between two checkpoints, in bytes: about 3,500 events of a text."""

RECORD_BYTES = 200  # what a record costs a replay apart from its data, as a number of bytes
WORK_PER_BYTE = 3  # how much work justifies one byte of a checkpoint


# Records as events


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
        The state after them. Its cursor is the number of the last event.
    """
    events = _plain_events(state, records) if records else []
    if events:
        return fold(events, state)
    for record in records:
        if not is_filler(record):
            state = reduce_as(state, decode_event(record.data), record.sequence_number)
    return state


def _plain_events(state: State, records: Sequence[Record]) -> list[Event]:
    """The events, if each has a known type and the number of its record: then a plain fold gives the same, faster."""
    is_next = state.cursor is None or (state.is_numbered and records[0].sequence_number == state.cursor + 1)
    if not is_next:
        return []
    try:
        events = [decode_known_event(record.data) for record in records]
    except UNDECODABLE:
        return []
    is_plain = all(event.sequence_number == each.sequence_number for event, each in zip(events, records, strict=True))
    return events if is_plain else []


# States


async def replay(log: EventLog, key: StreamKey, *, at: int | None = None) -> State:
    """The state of a recorded response, now or after any event.

    It starts at the nearest checkpoint, so the cost does not grow with the stream.

    Args:
        log: The log.
        key: The stream.
        at: Return the state after the event with this number. None returns everything in the log, which can be more
            than the events contain, because the client may have fetched the final Response.

    Returns:
        The state; an empty `State()` if the stream has no events.

    Raises:
        UnknownStream: The log has no such stream.
        NumberNotReached: No event has the number.
        LogUnusable: A record is missing or damaged.
    """
    info = await log.require(key)
    state = await state_up_to(log, info, at)
    if at is not None and state.cursor != at:
        raise NumberNotReached(at, await _next_event(log, info, at, state.cursor))
    return state


async def state_up_to(log: EventLog, info: StreamInfo, at: int | None) -> State:
    """The state after all events up to a record's number, whether that record is an event or not."""
    state = await _nearest_state(log, info, at)
    async for page in pages(log, info, after=state.cursor, to=at):
        state = fold_records(state, page)
    return state


async def nearest_checkpoint(log: EventLog, info: StreamInfo, at: int | None) -> SavedCheckpoint | None:
    """The newest checkpoint that holds no more than the events up to `at`; without `at`, the newest of all."""
    if at is not None and at == info.next_number - 1:  # the one at the last number may hold more than the events
        at -= 1
    return await log.checkpoint(info.key, at=at)


async def _nearest_state(log: EventLog, info: StreamInfo, at: int | None) -> State:
    try:
        saved = await nearest_checkpoint(log, info, at)
        while saved is not None:
            try:
                return with_cursor(restore(saved.data), saved.cursor)
            except MalformedCheckpoint:  # written by another version: an earlier one, or the records, will do
                saved = await log.checkpoint(info.key, at=saved.cursor - 1)
    except LogUnusable:
        if at is None:  # the final Response may be stored nowhere else
            raise
    return State()  # there is no checkpoint, or it is damaged, which `verify` reports: the records have everything


async def _next_event(log: EventLog, info: StreamInfo, after: int, cursor: int | None) -> int | None:
    """The number of the first event that follows, or of the last event if none does."""
    async for page in pages(log, info, after=after):
        for record in page:
            if not is_filler(record):
                return record.sequence_number
    return cursor


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
