"""A writer that follows the rule: it keeps all its records until the end, and sends again from where the log asks."""

from collections.abc import Callable

import anyio
from attrs import define

from streamfold.errors import LogError, LogGap, LogUnusable, UnknownStream, WriterFenced
from streamfold.log import EventLog, Lease, Record, StreamKey

__all__ = ["Tale", "record", "write"]

STATUS = "completed"


@define
class Tale:
    """How it went. acknowledged: records. gaps: how often the log lacked some. forgotten: of those acknowledged.

    again: records that were sent again. unsure: appends that were not acknowledged, and done again.
    """

    acknowledged: int = 0
    gaps: int = 0
    forgotten: int = 0
    again: int = 0
    unsure: int = 0


def record(key: StreamKey, number: int) -> Record:
    return Record(number, "delta", f"{key.response_id} {number}".encode())


async def write(log: EventLog, key: StreamKey, tale: Tale, *, goes_on: Callable[[], bool], pause_seconds: float) -> int:
    """Append until told to stop, then end the stream. Returns: how many records it has."""
    lease = await log.acquire(key, owner="writer", seconds=3600)
    number = 0
    while goes_on():
        number = await append(log, lease, number + 1, tale)
        await anyio.sleep(pause_seconds)
    await append(log, lease, number, tale, status=STATUS)
    return number


async def append(log: EventLog, lease: Lease, count: int, tale: Tale, *, status: str | None = None) -> int:
    """See to it that the log has so many records, whatever it forgot."""
    first = max(0, count - 1)
    while True:
        try:
            await log.append(lease, [record(lease.key, number) for number in range(first, count)], status=status)
        except LogGap as gap:
            tale.gaps += 1
            tale.forgotten += max(0, tale.acknowledged - gap.next_number)
            tale.again += first - gap.next_number
            first = gap.next_number
        except LogUnusable:
            tale.unsure += 1
        except (UnknownStream, WriterFenced) as forgotten:
            lease = await forgotten_lease(log, lease, forgotten)
        else:
            tale.acknowledged = count
            return count


async def forgotten_lease(log: EventLog, lease: Lease, error: LogError) -> Lease:
    """The stream, or that it was taken, is forgotten: take it again. Another writer's epoch is higher than ours."""
    if isinstance(error, WriterFenced) and error.current > lease.epoch:
        raise error
    return await log.acquire(lease.key, owner=lease.owner, seconds=3600)
