"""The contract, continued: tails, cancels, checkpoints, notes, lists, the end of a stream, and the limits."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from math import inf, nan

import anyio

from streamfold.check import failure_of, must_be
from streamfold.errors import (
    InvalidArgument,
    LeaseHeld,
    LogGap,
    LogUnusable,
    StreamfoldError,
    UnknownStream,
    WriterFenced,
)
from streamfold.log.contract.writing import (
    CHECKS,
    KEY,
    LEASE_SECONDS,
    OTHER,
    Site,
    Sleep,
    begin,
    must_refuse,
    numbers,
    some,
)
from streamfold.log.limits import NUMBER_END, STORED_END
from streamfold.log.log import EventLog
from streamfold.log.record import MAX_DATA_BYTES, MAX_NAME_BYTES, Lease, Note, Record, SavedCheckpoint, StreamKey
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


# Limits: what no log can hold is refused alone, and no wait for a lease is longer than the lease

FAR = 2**70  # beyond what any store can count
NAMES = {"half of a surrogate pair": "\ud83d", "a NUL character": "a\0b", "too long": "x" * (MAX_NAME_BYTES + 1)}
TIMES = (nan, inf, -inf, 1e300)


def _refused(log: EventLog, lease: Lease) -> Mapping[str, Callable[[], Awaitable[object]]]:
    """Calls that no engine can carry out, each with its name."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {}

    def acquire(name: str, *, owner: str = "one", seconds: float = 1.0, first_number: int = 0) -> None:
        calls[name] = lambda: log.acquire(OTHER, owner=owner, seconds=seconds, first_number=first_number)

    def append(name: str, *records: Record, status: str | None = None) -> None:
        calls[name] = lambda: log.append(lease, records, status=status)

    def at_time(seconds: float) -> None:
        acquire(f"a lease of {seconds} s", seconds=seconds)
        calls[f"a renewal for {seconds} s"] = lambda: log.renew(lease, seconds=seconds)
        calls[f"keeping a stream until {seconds}"] = lambda: log.retain(KEY, until=seconds)

    for number in (-1, STORED_END, FAR):
        acquire(f"a stream that starts at {number}", first_number=number)
    for number in (-1, NUMBER_END, STORED_END - 1, STORED_END, FAR):
        append(f"a record with number {number}", Record(number, "delta", b""))
    for what, name in NAMES.items():
        acquire(f"an owner: {what}", owner=name)
        append(f"the name of a record: {what}", Record(0, name, b""))
        append(f"a status: {what}", status=name)
    append("a record that is too large", Record(0, "delta", bytes(MAX_DATA_BYTES + 1)))
    for seconds in TIMES:
        at_time(seconds)
    acquire("a lease that is over before it begins", seconds=-1.0)
    return calls


@CHECKS.enter("what no log can hold is refused, and only that")
async def limits(site: Site) -> None:
    lease = await begin(site)
    calls = _refused(site.log, lease)
    others = [StreamKey("others", f"resp_{number}") for number in range(len(calls))]
    raised: dict[str, type] = {}
    before = await site.log.info(KEY)

    async def write(key: StreamKey) -> None:
        # Next to the calls that are refused: they may share a transaction or a pipeline.
        leased = await begin(site, key=key)
        for number in range(5):
            await site.log.append(leased, some(number, 1))

    async def fail(name: str, call: Callable[[], Awaitable[object]]) -> None:
        raised[name] = type(await failure_of(call(), Exception))

    async with anyio.create_task_group() as tasks:
        tasks.cancel_scope.deadline = anyio.current_time() + SOON_SECONDS
        for key, (name, call) in zip(others, calls.items(), strict=True):
            tasks.start_soon(write, key)
            tasks.start_soon(fail, name, call)
    for name, error in raised.items():
        must_be(error, InvalidArgument, f"what is raised for {name}")
    for key in others:
        must_be(await numbers(site.log, key), list(range(5)), f"the records of {key.response_id}")
    must_be(await site.log.info(KEY), before, "the stream itself")
    must_be(await site.log.info(OTHER), None, "the stream that nobody could create")


@CHECKS.enter("a name, a note or a checkpoint that no log can hold cannot be made")
async def values(site: Site) -> None:
    makers: dict[str, Callable[[], object]] = {
        "the text of a note": lambda: Note("kind", "\udfff", None, 0.0),
        "a checkpoint before the first record": lambda: SavedCheckpoint(-1, b""),
        "a checkpoint that is too large": lambda: SavedCheckpoint(0, bytes(MAX_DATA_BYTES + 1)),
    }
    for what, text in NAMES.items():
        makers[f"a tenant: {what}"] = partial(StreamKey, text, "resp_1")
        makers[f"an id: {what}"] = partial(StreamKey, "tenant", text)
        makers[f"the kind of a note: {what}"] = partial(Note, text, "", None, 0.0)
    for seconds in TIMES:
        makers[f"a note at {seconds}"] = partial(Note, "kind", "", None, seconds)
    for name, make in makers.items():
        try:
            made = make()
        except InvalidArgument:
            continue
        raise AssertionError(f"expected that {name} is refused, got {made!r:.80}")
    lease = await begin(site, [Record(0, "€" * 1_000, b"")], key=StreamKey("é" * 2_000, "😀/" * 800))
    must_be(len(await site.log.read(lease.key)), 1, "how many records a stream with long names has")


@CHECKS.enter("a question with any number is answered")
async def questions(site: Site) -> None:
    lease = await begin(site, some(0, 3))
    await site.log.save_checkpoint(lease, SavedCheckpoint(1, b"one"))
    log = site.log
    must_be(await log.read(KEY, limit=FAR, max_bytes=FAR), some(0, 3), "a page of any size")
    must_be(await log.read(KEY, after=-FAR), some(0, 3), "what follows a number far below")
    must_be(await log.read(KEY, after=FAR), [], "what follows a number far above")
    must_be(await log.read(KEY, limit=0), [], "a page of nothing")
    must_be(await log.checkpoint(KEY, at=FAR), SavedCheckpoint(1, b"one"), "the checkpoint up to a number far above")
    must_be(await log.checkpoint(KEY, at=-FAR), None, "the checkpoint up to a number far below")
    must_be(len(await log.list(KEY.tenant, limit=FAR)), 1, "how many streams there are")
    must_be(len(await log.tenants(limit=FAR)), 1, "how many tenants there are")
    must_be(await log.expire(limit=FAR), 0, "how many streams are due")


@CHECKS.enter("a lease is waited for no longer than it lasts, even if the clock is set back")
async def clock_set_back(site: Site) -> None:
    lease = await begin(site, some(0, 1))
    await site.log.renew(lease, seconds=0.2)
    with suppress(ValueError):  # from anyio: the clock of the machine cannot be set back here
        await site.sleep(-3600.0)
    held = await failure_of(site.log.acquire(KEY, owner="two", seconds=LEASE_SECONDS), StreamfoldError)
    if isinstance(held, LeaseHeld):
        must_be(held.seconds <= 0.21, True, f"whether {held.seconds:g} s is at most the length of the lease")
        await site.sleep(held.seconds + 0.1)
        await site.log.acquire(KEY, owner="two", seconds=LEASE_SECONDS)


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
