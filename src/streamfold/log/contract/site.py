"""What the checks share: an empty log, a way to let its clock pass, and a few records."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from attrs import frozen

from streamfold.check import failure_of
from streamfold.errors import StreamfoldError
from streamfold.log.log import EventLog
from streamfold.log.record import Lease, Record, StreamKey

__all__ = ["KEY", "LEASE_SECONDS", "MAX_SECONDS", "OTHER", "Site", "Sleep", "begin", "must_refuse", "numbers", "some"]

KEY = StreamKey("tenant", "resp_1")
OTHER = StreamKey("tenant", "resp_2")
LEASE_SECONDS = 30.0
MAX_SECONDS = 60.0  # for one check

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


@frozen
class Site:
    """What a check gets: an empty log, and `sleep`, which lets seconds of that log's clock pass."""

    log: EventLog
    sleep: Sleep


async def must_refuse(call: Awaitable[object], expected: StreamfoldError) -> None:
    """Fail unless the call raises an error of this type with these facts."""
    got = await failure_of(call, StreamfoldError)
    if got is None or type(got) is not type(expected) or got.args != expected.args:
        raise AssertionError(f"expected {expected!r}, got {got!r}")


def some(first: int, count: int, *, text: str = "") -> list[Record]:
    return [Record(number, "delta", f'{{"text":"{text}{number}"}}'.encode()) for number in range(first, first + count)]


async def begin(site: Site, records: Sequence[Record] = (), *, key: StreamKey = KEY, owner: str = "one") -> Lease:
    lease = await site.log.acquire(key, owner=owner, seconds=LEASE_SECONDS)
    await site.log.append(lease, records)
    return lease


async def numbers(log: EventLog, key: StreamKey = KEY) -> list[int]:
    return [each.sequence_number for each in await log.read(key)]
