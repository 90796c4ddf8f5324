"""The state of a stream at any of its numbers, or as it stands.

In      a log, a key, a number
Out     a State
Units   sequence numbers
Errors  UnknownStream; NumberNotReached where no event has the number; LogUnusable
Source  docs/reference/history.md

It begins with the nearest checkpoint, so it costs the records behind that one, and not the stream.
"""

from streamfold.errors import LogUnusable, MalformedCheckpoint, NumberNotReached
from streamfold.fold import State, restore, with_cursor
from streamfold.history.folding import fold_records, is_filler
from streamfold.history.pages import Pages, existing, require_number
from streamfold.log import EventLog, SavedCheckpoint, StreamInfo, StreamKey

__all__ = ["nearest_checkpoint", "replay", "state_up_to"]


async def replay(log: EventLog, key: StreamKey, *, at: int | None = None) -> State:
    """The state after the event with this number; without one, all that the log knows of the response.

    At the end that may be more than the events said, as where the final Response was fetched: with `at` the events
    alone count.
    Returns: State() for a stream without events.
    Raises: UnknownStream; NumberNotReached where no event has the number; LogUnusable where a record is damaged.
    """
    info = await existing(log, key)
    if at is not None:
        require_number(info, at)
    state = await state_up_to(log, info, at)
    if at is not None and state.cursor != at:
        raise NumberNotReached(at, await _next_event(log, info, at, state.cursor))
    return state


async def state_up_to(log: EventLog, info: StreamInfo, at: int | None) -> State:
    """The state after all events up to a number that the stream holds, be it an event's own or not."""
    state = await _nearest_state(log, info, at)
    async for page in Pages(log, info, after=state.cursor, to=at):
        state = fold_records(state, page)
    return state


async def nearest_checkpoint(log: EventLog, info: StreamInfo, at: int | None) -> SavedCheckpoint | None:
    """The newest one that holds no more than the events up to `at`; without `at` the newest of all."""
    if at is not None and at == info.next_number - 1:  # the one at the last number may hold more than the events
        at -= 1
    return await log.checkpoint(info.key, at=at)


async def _nearest_state(log: EventLog, info: StreamInfo, at: int | None) -> State:
    try:
        saved = await nearest_checkpoint(log, info, at)
        while saved is not None:
            try:
                return with_cursor(restore(saved.data), saved.cursor)
            except MalformedCheckpoint:  # of another version: the records have it all
                saved = await log.checkpoint(info.key, at=saved.cursor - 1)
    except LogUnusable:
        if at is None:  # the last word may stand nowhere else
            raise
    return State()  # a checkpoint is damaged, or there is none: the records have it all, and `verify` tells


async def _next_event(log: EventLog, info: StreamInfo, after: int, cursor: int | None) -> int | None:
    """The number of the first event behind this one; where there is none, that of the last."""
    async for page in Pages(log, info, after=after):
        for record in page:
            if not is_filler(record):
                return record.sequence_number
    return cursor
