"""The contract, continued: tails, cancels, checkpoints, notes, lists, and the end of a stream."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

from streamfold.check import failure_of, must_be
from streamfold.errors import LogGap, LogUnusable, StreamfoldError, UnknownStream, WriterFenced
from streamfold.log.contract.writing import (
    CHECKS,
    KEY,
    OTHER,
    Site,
    Sleep,
    begin,
    must_refuse,
    numbers,
    some,
)
from streamfold.log.log import EventLog
from streamfold.log.record import Note, Record, SavedCheckpoint, StreamKey
from streamfold.log.tail import tail, wait_for_cancel

SOON_SECONDS = 10.0  # longer than any check should take

# Tails and cancels


@CHECKS.enter("a tail yields every record once and ends with the stream")
async def tails(site: Site) -> None:
    lease = await begin(site, some(0, 600))
    got: dict[int, list[Record]] = {}

    async def follow(after: int) -> None:
        async with tail(site.log, KEY, after=after) as records:
            got[after] = [record async for record in records]

    with anyio.fail_after(SOON_SECONDS):
        async with anyio.create_task_group() as tasks:
            for after in (-1, 299, 599, 650):
                tasks.start_soon(follow, after)
            for number in range(600, 700):
                await site.log.append(lease, some(number, 1))
            await site.log.append(lease, some(700, 1), status="completed")
    for after, records in got.items():
        must_be(records, some(after + 1, 700 - after), f"what came after {after}")


@CHECKS.enter("a tail of a dropped stream raises UnknownStream")
async def dropped_tails(site: Site) -> None:
    await begin(site, some(0, 1))
    with anyio.fail_after(SOON_SECONDS):
        async with tail(site.log, KEY) as records:
            must_be(await anext(records), some(0, 1)[0], "the first record")
            await site.log.drop(KEY)
            await must_refuse(anext(records), UnknownStream(KEY.tenant, KEY.response_id))


@CHECKS.enter("a cancel request wakes those who wait for it")
async def cancels(site: Site) -> None:
    lease = await begin(site)
    heard: list[bool] = []

    async def wait() -> None:
        heard.append(await wait_for_cancel(site.log, KEY))

    with anyio.fail_after(SOON_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await site.log.request_cancel(KEY)
        await wait()
        info = await site.log.info(KEY)
        must_be((heard, info and info.is_cancel_requested), ([True, True], True), "the results of waiting")
        await site.log.append(lease, [], status="cancelled")
        await begin(site, key=OTHER)
        await site.log.append(await begin(site, key=OTHER), [], status="completed")
        must_be(await wait_for_cancel(site.log, OTHER), False, "whether a finished stream reports a cancel request")


# Checkpoints, notes, lists and the end


@CHECKS.enter("the newest checkpoint up to a number is found")
async def checkpoints(site: Site) -> None:
    lease = await begin(site, some(0, 10))
    for cursor, data in ((2, b"two"), (7, b"seven"), (5, b"five"), (7, b"seven again")):
        await site.log.save_checkpoint(lease, SavedCheckpoint(cursor, data))
    expected = {None: (7, b"seven again"), 9: (7, b"seven again"), 6: (5, b"five"), 5: (5, b"five"), 2: (2, b"two")}
    for at, (cursor, data) in expected.items():
        must_be(await site.log.checkpoint(KEY, at=at), SavedCheckpoint(cursor, data), f"the checkpoint at {at}")
    must_be(await site.log.checkpoint(KEY, at=1), None, "the checkpoint at 1")
    await must_refuse(site.log.save_checkpoint(lease, SavedCheckpoint(10, b"")), LogGap(10, 10))
    await site.log.drop(KEY)
    must_be(await site.log.checkpoint(KEY), None, "the checkpoint of a stream that was dropped")


@CHECKS.enter("notes keep their order and are dropped with their stream")
async def notes(site: Site) -> None:
    old = await begin(site, some(0, 3))
    lease = await begin(site)
    told = [Note("repair", "the connection was lost", 1, 10.5), Note("cancel", "€", None, 10.25), Note("", "", 2, 0.0)]
    for note in told:
        await site.log.note(lease, note)
    must_be(list(await site.log.notes(KEY)), told, "the notes")
    must_be(list(await site.log.notes(OTHER)), [], "the notes of a stream that does not exist")
    await must_refuse(site.log.note(old, told[0]), WriterFenced(old.epoch, lease.epoch))
    await site.log.drop(KEY)
    await must_refuse(site.log.note(lease, told[0]), UnknownStream(KEY.tenant, KEY.response_id))
    await begin(site)
    must_be(list(await site.log.notes(KEY)), [], "the notes of a stream that was dropped")


@CHECKS.enter("tenants are listed page by page, each once")
async def who(site: Site) -> None:
    for number in range(8):
        await begin(site, key=StreamKey(f"tenant {number % 5}", f"resp_{number}"))
    must_be(list(await site.log.tenants(limit=3)), ["tenant 0", "tenant 1", "tenant 2"], "the first three")
    must_be(list(await site.log.tenants(after="tenant 2")), ["tenant 3", "tenant 4"], "those after the third")
    await site.log.drop(StreamKey("tenant 4", "resp_4"))
    must_be(list(await site.log.tenants(after="tenant 3")), [], "those after one whose last stream was dropped")


@CHECKS.enter("an intact log reports no damage, and its settings")
async def diagnosis(site: Site) -> None:
    await begin(site, some(0, 3))
    must_be(list(await site.log.damages()), [], "the damages")
    told = await site.log.diagnose()
    must_be((told.durability, bool(told.engine)), (site.log.durability, True), "the state of the stream")


@CHECKS.enter("a tenant's streams are listed page by page")
async def pages(site: Site) -> None:
    for number in range(7):
        await begin(site, key=StreamKey("tenant", f"resp_{number}"))
    await begin(site, key=StreamKey("another", "resp_5"))
    found: list[str] = []
    after: str | None = None
    while page := await site.log.list("tenant", after=after, limit=3):
        found += [each.key.response_id for each in page]
        after = found[-1]
    must_be(found, [f"resp_{number}" for number in range(7)], "the ids")


@CHECKS.enter("expire drops what is due and nothing else")
async def retention(site: Site) -> None:
    info = None
    for key in (KEY, OTHER):
        await begin(site, some(0, 2), key=key)
        info = await site.log.info(key)
    now = info.created_at if info else 0.0
    await site.log.retain(KEY, until=now + 0.05)
    await site.log.retain(OTHER, until=now + 3600)
    must_be(await site.log.expire(), 0, "how many were dropped before their time")
    await site.sleep(0.1)
    must_be(await site.log.expire(), 1, "how many were dropped")
    must_be([await numbers(site.log, key) for key in (KEY, OTHER)], [[], [0, 1]], "the records that are left")
    await site.log.retain(OTHER, until=None)
    await site.sleep(0.1)
    must_be(await site.log.expire(), 0, "how many were dropped that never expire")


@CHECKS.enter("a closed log raises LogUnusable")
async def closed(site: Site) -> None:
    lease = await begin(site)
    await site.log.aclose()
    await site.log.aclose()

    async def watch() -> None:
        async with site.log.watch(KEY):
            pass

    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "append": lambda: site.log.append(lease, some(0, 1)),
        "read": lambda: site.log.read(KEY),
        "info": lambda: site.log.info(KEY),
        "watch": watch,
        "list": lambda: site.log.list("tenant"),
        "acquire": lambda: site.log.acquire(KEY, owner="two", seconds=1),
    }
    for name, call in calls.items():
        must_be(type(await failure_of(call(), StreamfoldError)), LogUnusable, f"what {name} raises")


async def check(log: EventLog, name: str, *, sleep: Sleep = anyio.sleep) -> None:
    """Run one of CHECKS.

    Args:
        log: An empty log.
        name: The name of the check.
        sleep: Lets seconds of the log's clock pass.

    Raises:
        AssertionError: The engine breaks the promise; the message says how.
    """
    await CHECKS.run(name, Site(log, sleep))
