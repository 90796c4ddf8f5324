"""The contract of an engine: what is appended, by whom, and what is refused."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import anyio
from attrs import frozen

from streamfold.check import Suite, failure_of, must_be
from streamfold.errors import (
    InvalidArgument,
    LeaseHeld,
    LogClosed,
    LogConflict,
    LogGap,
    StreamfoldError,
    UnknownStream,
    WriterFenced,
)
from streamfold.log.log import EventLog
from streamfold.log.record import Lease, Record, SavedCheckpoint, StreamKey

KEY = StreamKey("tenant", "resp_1")
OTHER = StreamKey("tenant", "resp_2")
LEASE_SECONDS = 30.0

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


CHECKS: Suite[Site] = Suite(max_seconds=60.0)  # for one check; reading.py enters more
RACED = 20  # numbers

# Appending and reading


@CHECKS.enter("a stream does not exist before it is acquired")
async def no_stream(site: Site) -> None:
    log = site.log
    must_be(await log.info(KEY), None, "its head")
    must_be(list(await log.read(KEY)), [], "its records")
    must_be(await log.checkpoint(KEY), None, "its checkpoint")
    must_be(await log.drop(KEY), False, "whether it could be dropped")
    unknown = UnknownStream(KEY.tenant, KEY.response_id)
    never = Lease(KEY, "one", 1, 0, 0.0)
    for call in (
        lambda: log.append(never, some(0, 1)),
        lambda: log.renew(never, seconds=1),
        lambda: log.request_cancel(KEY),
        lambda: log.retain(KEY, until=None),
        lambda: log.save_checkpoint(never, SavedCheckpoint(0, b"")),
    ):
        await must_refuse(call(), unknown)


@CHECKS.enter("records are read back as they were appended, from any number on")
async def round_trip(site: Site) -> None:
    # No name and no data, bytes that are not UTF-8, line ends, and more than fits into a page of the store.
    strange = [Record(0, "", b""), Record(1, "a b", b"\x00\xff\r\n"), Record(2, "€", b"x" * 1_000_000)]
    records = [*strange, *some(3, 4)]
    lease = await begin(site, records[:2])
    must_be(await site.log.append(lease, records[2:]), 7, "the number needed next")
    must_be(list(await site.log.read(KEY)), records, "all records")
    for after in range(-1, 8):
        must_be(list(await site.log.read(KEY, after=after)), records[after + 1 :], f"those after {after}")
    must_be(list(await site.log.read(KEY, after=1, limit=3)), records[2:5], "three after 1")


@CHECKS.enter("a page stops before max_bytes, but has at least one record")
async def pages_in_bytes(site: Site) -> None:
    records = [Record(number, "delta", b"x" * 1_000) for number in range(100)]
    await begin(site, [*records, Record(100, "delta", b"x" * 5_000)])
    for max_bytes, count in ((1, 1), (1_000, 1), (2_999, 2), (50_000, 50), (10**9, 60)):
        page = await site.log.read(KEY, after=9, limit=60, max_bytes=max_bytes)
        must_be(list(page), records[10 : 10 + count], f"a page of at most {max_bytes} bytes")
    must_be(len(await site.log.read(KEY, after=97, max_bytes=3_000)), 2, "the records before a large one")
    must_be(len(await site.log.read(KEY, after=99, max_bytes=3_000)), 1, "the large record alone")


@CHECKS.enter("appending a record again does not store it twice")
async def duplicates(site: Site) -> None:
    lease = await begin(site, some(0, 5))
    for first, count in ((0, 5), (4, 1), (0, 1), (3, 4), (0, 7)):
        await site.log.append(lease, some(first, count))
    must_be(await numbers(site.log), list(range(7)), "the numbers")


@CHECKS.enter("the same event with different padding is the same record")
async def padding(site: Site) -> None:
    lease = await begin(site, [Record(0, "delta", b'{"delta":"a","obfuscation":"xyz","n":1.0}')])
    await site.log.append(lease, [Record(0, "delta", b'{"delta":"a","obfuscation":"q","n":1.0}')])
    await site.log.append(lease, [Record(0, "delta", b'{"n":1.0,"delta":"a"}')])
    must_be((await site.log.read(KEY))[0].data, b'{"delta":"a","obfuscation":"xyz","n":1.0}', "the stored record")


@CHECKS.enter("a record that conflicts with a stored one is refused, with all that came with it")
async def conflicts(site: Site) -> None:
    lease = await begin(site, some(0, 3))
    await must_refuse(site.log.append(lease, [*some(1, 1), *some(2, 2, text="other")]), LogConflict(2))
    await must_refuse(site.log.append(lease, [Record(0, "delta", b"no JSON")]), LogConflict(0))
    must_be(list(await site.log.read(KEY)), some(0, 3), "the records")


@CHECKS.enter("a gap is refused, and the error names the record that is needed")
async def gaps(site: Site) -> None:
    lease = await begin(site)
    await must_refuse(site.log.append(lease, some(1, 2)), LogGap(0, 1))
    await site.log.append(lease, some(0, 3))
    await must_refuse(site.log.append(lease, some(5, 1)), LogGap(3, 5))
    torn = [*some(3, 1), *some(5, 1)]
    await must_refuse(
        site.log.append(lease, torn), InvalidArgument("records", "must have consecutive numbers, got 3, then 5")
    )
    must_be(await numbers(site.log), [0, 1, 2], "the numbers")


@CHECKS.enter("a stream may start at any number")
async def beginnings(site: Site) -> None:
    wrong = site.log.acquire(KEY, owner="one", seconds=LEASE_SECONDS, first_number=-1)
    await must_refuse(wrong, InvalidArgument("first_number", "must be 0 or more, got -1"))
    must_be(await site.log.info(KEY), None, "its head")
    lease = await site.log.acquire(KEY, owner="one", seconds=LEASE_SECONDS, first_number=40)
    must_be(lease.next_number, 40, "the number needed first")
    await must_refuse(site.log.append(lease, some(41, 1)), LogGap(40, 41))
    await site.log.append(lease, some(40, 3))
    must_be(await numbers(site.log), [40, 41, 42], "the numbers")
    must_be([each.sequence_number for each in await site.log.read(KEY, after=41)], [42], "those after 41")
    again = await site.log.acquire(KEY, owner="one", seconds=LEASE_SECONDS, first_number=7)
    must_be(again.next_number, 43, "the number needed next, for a writer that continues")


@CHECKS.enter("no record follows the end")
async def ends(site: Site) -> None:
    lease = await begin(site, some(0, 2))
    await site.log.append(lease, some(2, 1), status="completed")
    await must_refuse(site.log.append(lease, some(3, 1)), LogClosed(3, 3))
    await site.log.append(lease, some(1, 2), status="failed")
    info = await site.log.info(KEY)
    must_be(
        info and (info.status, info.is_finished, info.next_number), ("completed", True, 3), "the state of the stream"
    )


@CHECKS.enter("a stream may be finished without another record")
async def bare_ends(site: Site) -> None:
    lease = await begin(site, some(0, 2))
    await site.log.append(lease, [], status="cancelled")
    info = await site.log.info(KEY)
    must_be(info and (info.status, info.next_number), ("cancelled", 2), "the state of the stream")


@CHECKS.enter("streams and tenants do not see each other")
async def tenants(site: Site) -> None:
    keys = [KEY, OTHER, StreamKey("another", KEY.response_id)]
    for count, key in enumerate(keys, 1):
        await begin(site, some(0, count, text=key.tenant), key=key)
    for count, key in enumerate(keys, 1):
        must_be(list(await site.log.read(key)), some(0, count, text=key.tenant), f"the records of {key}")
    await site.log.drop(KEY)
    must_be([await numbers(site.log, key) for key in keys], [[], [0, 1], [0, 1, 2]], "the records that are left")


# Writers


@CHECKS.enter("a stream has one writer until its lease expires")
async def leases(site: Site) -> None:
    first = await begin(site, some(0, 1))
    held = await failure_of(site.log.acquire(KEY, owner="two", seconds=LEASE_SECONDS), StreamfoldError)
    if not isinstance(held, LeaseHeld) or held.owner != "one" or not 0 < held.seconds <= LEASE_SECONDS:
        raise AssertionError(f"expected that `one` holds the lease, got {held!r}")
    await site.log.renew(first, seconds=0.05)
    await site.sleep(0.1)
    second = await site.log.acquire(KEY, owner="two", seconds=LEASE_SECONDS)
    must_be((second.next_number, second.epoch > first.epoch), (1, True), "the new lease")
    await site.log.append(second, some(1, 1))
    fenced = WriterFenced(first.epoch, second.epoch)
    await must_refuse(site.log.append(first, some(2, 1)), fenced)
    await must_refuse(site.log.append(first, []), fenced)
    await must_refuse(site.log.renew(first, seconds=1), fenced)
    await must_refuse(site.log.save_checkpoint(first, SavedCheckpoint(0, b"")), fenced)
    await site.log.release(first)
    await site.log.append(second, some(2, 1))
    must_be(await numbers(site.log), [0, 1, 2], "the numbers")


@CHECKS.enter("acquiring again fences the earlier lease of the same owner")
async def again(site: Site) -> None:
    first = await begin(site)
    second = await site.log.acquire(KEY, owner="one", seconds=LEASE_SECONDS)
    await must_refuse(site.log.append(first, some(0, 1)), WriterFenced(first.epoch, second.epoch))


@CHECKS.enter("a released stream can be acquired at once")
async def released(site: Site) -> None:
    first = await begin(site)
    await site.log.release(first)
    second = await site.log.acquire(KEY, owner="two", seconds=LEASE_SECONDS)
    must_be(second.epoch > first.epoch, True, "whether the epoch rose")


@CHECKS.enter("the epoch rises across a drop of the stream")
async def epochs(site: Site) -> None:
    first = await begin(site)
    await site.log.drop(KEY)
    await site.sleep(0.01)
    second = await begin(site, some(0, 1), owner="two")
    await must_refuse(site.log.append(first, some(1, 1)), WriterFenced(first.epoch, second.epoch))


@CHECKS.enter("an append is refused for the first of four reasons")
async def order_of_refusals(site: Site) -> None:
    old = await begin(site, some(0, 2))
    lease = await site.log.acquire(KEY, owner="one", seconds=LEASE_SECONDS)
    await site.log.append(lease, [], status="completed")
    await must_refuse(site.log.append(old, some(9, 1)), WriterFenced(old.epoch, lease.epoch))
    await must_refuse(site.log.append(lease, some(9, 1)), LogGap(2, 9))
    await must_refuse(site.log.append(lease, some(1, 2, text="other")), LogConflict(1))
    await must_refuse(site.log.append(lease, some(1, 2)), LogClosed(2, 2))


@CHECKS.enter("of several writers that race for a number, one wins")
async def races(site: Site) -> None:
    won: list[str] = []

    async def write(owner: str) -> None:
        number = 0
        while number < RACED:
            with suppress(LeaseHeld, WriterFenced):  # another one was faster
                lease = await site.log.acquire(KEY, owner=owner, seconds=0.0)
                number = lease.next_number
                if number < RACED:
                    await site.log.append(lease, [Record(number, "delta", owner.encode())])
                    won.append(f"{number} {owner}")

    # Leases of no length: every writer may take over from every other one at any moment, also between two lines of `write`.
    async with anyio.create_task_group() as tasks:
        for writer in range(8):
            tasks.start_soon(write, f"writer {writer}")
    must_be(await numbers(site.log), list(range(RACED)), "the numbers")
    there = [f"{each.sequence_number} {each.data.decode()}" for each in await site.log.read(KEY)]
    must_be(sorted(won), sorted(there), "who won which number")
