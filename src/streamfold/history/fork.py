"""A copy of a stream up to one of its numbers, as the beginning of another stream."""

from anyio import CancelScope

from streamfold.errors import InvalidArgument, LogConflict
from streamfold.history.replay import nearest_checkpoint
from streamfold.log import EventLog, StreamInfo, StreamKey, pages

LEASE_SECONDS = 30.0


async def fork(
    log: EventLog, key: StreamKey, *, at: int, to: StreamKey, to_log: EventLog | None = None, owner: str = "fork"
) -> int:
    """Copy a stream's records up to a number, with a checkpoint, to another stream.

    The new stream is open, so that it can continue differently. If `at` is the last record of a finished stream, the
    new one is finished too. Notes are not copied. An interrupted fork is resumed by running it again.

    Args:
        log: The log to read.
        key: The stream to copy.
        at: The number of the last record to copy.
        to: The new stream.
        to_log: The log to write; None writes to `log`.
        owner: The name of the writer, for the lease.

    Returns:
        How many records the new stream holds.

    Raises:
        UnknownStream: The log has no stream `key`.
        NumberNotReached: The stream has no record `at`.
        InvalidArgument: A stream `to` exists and has records after `at`.
        LogConflict: A stream `to` exists and holds other records.
        LeaseHeld: Another process writes the stream `to`.
    """
    target = to_log or log
    info = await log.require(key)
    copied = pages(log, info, to=at)
    existing = info if target is log and to == key else await target.info(to)
    if existing is not None:
        _require_beginning(existing, info, at=at)
    is_end = info.is_finished and at == info.next_number - 1
    saved = await nearest_checkpoint(log, info, None if is_end else at)
    lease = await target.acquire(to, owner=owner, seconds=LEASE_SECONDS, first_number=info.first_number)
    try:
        async for page in copied:
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


def _require_beginning(existing: StreamInfo, source: StreamInfo, *, at: int) -> None:
    """Check that a stream of the new name can be the beginning of the fork, left by one that was interrupted."""
    if existing.key == source.key or existing.next_number > at + 1:
        to = existing.key.response_id
        raise InvalidArgument("to", f"{to} exists already; pass another id, or drop that stream first")
    if existing.first_number != source.first_number:
        raise LogConflict(source.first_number)
