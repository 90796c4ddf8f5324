"""A stream up to one of its numbers, as the beginning of another stream.

In      a log and a key, a number, and the log and key of the new one
Out     the new stream, with how many records it holds
Units   sequence numbers; records
Errors  UnknownStream, NumberNotReached; InvalidArgument, LogConflict, LeaseHeld for a stream that is there already
Source  docs/reference/history.md
"""

from anyio import CancelScope

from streamfold.errors import InvalidArgument, LogConflict
from streamfold.history.pages import Pages, existing, require_number
from streamfold.history.replay import nearest_checkpoint
from streamfold.log import EventLog, StreamKey

__all__ = ["LEASE_SECONDS", "fork"]

LEASE_SECONDS = 30.0


async def fork(
    log: EventLog, key: StreamKey, *, at: int, to: StreamKey, to_log: EventLog | None = None, owner: str = "fork"
) -> int:
    """Copy the records up to this number to another stream, of the same log or of `to_log`, with a checkpoint.

    The new stream is open, so that it may go on otherwise; at the end of a finished one it is finished too. Notes are
    not copied. What was begun and broken off is gone on with.
    Returns: how many records the new stream holds.
    Raises: UnknownStream; NumberNotReached; InvalidArgument for a stream of that name that goes on further;
    LogConflict where one holds other records; LeaseHeld where somebody writes it; LogUnusable.
    """
    target = to_log or log
    info = await existing(log, key)
    require_number(info, at)
    there = await target.info(to)
    if (target is log and to == key) or (there is not None and there.next_number > at + 1):
        raise InvalidArgument("to", f"{to.response_id} is there already; give another id, or drop it first")
    if there is not None and there.first_number != info.first_number:
        raise LogConflict(info.first_number)
    is_end = info.is_finished and at == info.next_number - 1
    saved = await nearest_checkpoint(log, info, None if is_end else at)
    lease = await target.acquire(to, owner=owner, seconds=LEASE_SECONDS, first_number=info.first_number)
    try:
        async for page in Pages(log, info, to=at):
            await target.append(lease, page)
            lease = await target.renew(lease, seconds=LEASE_SECONDS)
        if saved is not None:
            await target.save_checkpoint(lease, saved)
        if is_end:
            await target.append(lease, [], status=info.status)
    finally:
        with CancelScope(shield=True):
            await target.release(lease)
    return at + 1 - info.first_number
