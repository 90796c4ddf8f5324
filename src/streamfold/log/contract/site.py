"""What the contract's checks share: a log, its clock, and how they say what was broken.

In      an EventLog
Out     helpers; AssertionError
Units   seconds
Errors  AssertionError
Source  docs/reference/log.md
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from attrs import frozen

from streamfold.errors import StreamfoldError
from streamfold.log.log import EventLog
from streamfold.log.record import Lease, Record, StreamKey

__all__ = [
    "KEY",
    "LEASE_SECONDS",
    "OTHER",
    "Check",
    "Site",
    "Sleep",
    "begin",
    "enter",
    "must_be",
    "must_refuse",
    "numbers",
    "refusal",
    "some",
]

KEY = StreamKey("tenant", "resp_1")
OTHER = StreamKey("tenant", "resp_2")
LEASE_SECONDS = 30.0

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


@frozen
class Site:
    """What a check is given."""

    log: EventLog
    sleep: Sleep


Check: TypeAlias = Callable[[Site], Awaitable[None]]


def enter(checks: dict[str, Check], name: str) -> Callable[[Check], Check]:
    """Put a check into a table, under what it says."""

    def enter_check(run: Check) -> Check:
        checks[name] = run
        return run

    return enter_check


def must_be(got: object, expected: object, what: str) -> None:
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


async def refusal(call: Awaitable[object]) -> StreamfoldError | None:
    try:
        await call
    except StreamfoldError as error:
        return error
    return None


async def must_refuse(call: Awaitable[object], expected: StreamfoldError) -> None:
    """The call must raise an error of this kind with these facts."""
    got = await refusal(call)
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
