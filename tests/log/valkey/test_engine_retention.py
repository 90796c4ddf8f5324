"""ValkeyLog: what it keeps under which keys, and for how long."""

import asyncio

import anyio
import pytest

from streamfold.errors import InvalidArgument, LogConflict, LogError, LogUnusable, StreamfoldError
from streamfold.log import (
    Record,
    SavedCheckpoint,
    StreamKey,
)
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import names_of
from tests.log.valkey.test_engine import DAY, KEY, begin, some
from tests.log.valkeys import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def keys_of(valkey: Valkey) -> set[str]:
    return {each.decode() for each in valkey.ask("KEYS", "*")}


async def test_tenants_and_ids_may_hold_anything(valkey: Valkey) -> None:
    keys = [
        StreamKey(tenant, response_id)
        for tenant in ("", "a", "a/b", "{", "}", "{}", "a}:m{b", "%2F", "/", "ä\x01\n")
        for response_id in ("", "b", "b/c", "{x}", "}", "*", "%7B")
    ]
    assert len({names_of(key).keys for key in keys}) == len(keys)
    async with ValkeyLog(valkey.url) as log:
        for key in keys:
            lease = await log.acquire(key, owner="one", seconds=30)
            await log.append(lease, [Record(0, "", f"{key}".encode())])
        for key in keys:
            assert (await log.read(key))[0].data == f"{key}".encode()
        listed = [(await log.list(tenant))[0:] for tenant in await log.tenants()]
        assert sorted((each.key.tenant, each.key.response_id) for page in listed for each in page) == sorted(
            (key.tenant, key.response_id) for key in keys
        )


async def test_a_dropped_stream_leaves_no_key(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log, 3)
        await log.save_checkpoint(lease, SavedCheckpoint(1, b"state"))
        await log.drop(KEY)
        assert await log.tenants() == []
        assert await keys_of(valkey) == {"sf:expiring"}
        assert await log.expire() == 0


async def test_every_key_of_a_stream_has_the_same_time_to_live(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url, open_seconds=10 * DAY, kept_seconds=DAY) as log:
        lease = await begin(log)

        async def days() -> list[int]:
            left = [valkey.ask("PTTL", each) for each in names_of(KEY).keys]
            return [round(each / 1000 / DAY) for each in left if each != -2]

        assert await days() == [11]
        await log.append(lease, some(0, 1))
        await log.save_checkpoint(lease, SavedCheckpoint(0, b"state"))
        assert await days() == [11, 11, 11]
        await log.append(lease, some(1, 1), status="completed")
        assert await days() == [2, 2, 2]
        await log.retain(KEY, until=None)
        assert {valkey.ask("PTTL", each) for each in names_of(KEY).keys} == {-1, -2}
        info = await log.info(KEY)
        assert info is not None
        assert info.expires_at is None


async def test_a_finished_stream_is_dropped_in_its_time_though_nobody_retained_it(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url, kept_seconds=0.02) as log:
        lease = await begin(log, 2)
        assert await log.expire() == 0
        await log.append(lease, [], status="completed")
        await until_dropped(log)


async def until_dropped(log: ValkeyLog) -> None:
    """Ask until its time has come, by the server's clock."""
    with anyio.fail_after(5):
        while not await log.expire():
            assert await log.info(KEY) is not None
    assert await log.info(KEY) is None


async def test_an_open_stream_stays_for_some_time_after_its_writers_lease_and_then_goes(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url, open_seconds=0.02) as log:
        lease = await log.acquire(KEY, owner="one", seconds=0.02)
        for number, seconds in enumerate((90, 30, 60, 0.02)):
            lease = await log.renew(lease, seconds=seconds)
            await log.append(lease, some(number, 1))
            info = await log.info(KEY)
            assert info is not None
            assert info.expires_at == pytest.approx(lease.expires_at + 0.02, abs=0.001)
        await until_dropped(log)


async def test_what_the_server_itself_has_dropped_is_listed_no_longer(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        for number in range(5):
            await log.acquire(StreamKey("tenant", f"resp_{number}"), owner="one", seconds=30)
        for number in (0, 1, 3):
            valkey.ask("DEL", *names_of(StreamKey("tenant", f"resp_{number}")).keys)
        assert [each.key.response_id for each in await log.list("tenant", limit=2)] == ["resp_2", "resp_4"]
        assert valkey.ask("ZCARD", "sf:{tenant}:streams") == 2


async def test_damage_is_found_and_never_read(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        await begin(log, 9)
        records = names_of(KEY).records
        valkey.ask("XDEL", records, "4-1")
        [hole] = await log.damages()
        assert (hole.key, hole.reason) == (KEY, "record 4 is missing; restore the log from a copy")
        valkey.ask("DEL", records)
        valkey.ask("XADD", records, "0-1", "d", '1 5\ndelta{"n":1}')
        with pytest.raises(LogUnusable, match="record 0 is damaged"):
            await log.read(KEY)
        assert [each.reason for each in await log.damages()] == ["record 0 is damaged; restore it from a copy"]


async def test_records_whose_padding_differs_are_added_from_where_they_are_new(valkey: Valkey) -> None:
    def padded(number: int, padding: str) -> Record:
        return Record(number, "delta", f'{{"n":{number},"obfuscation":"{padding}"}}'.encode())

    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log)
        await log.append(lease, [padded(number, "a") for number in range(3)])
        assert await log.append(lease, [padded(number, "bb") for number in range(1, 5)]) == 5
        assert await log.read(KEY) == [padded(n, "a") for n in range(3)] + [padded(n, "bb") for n in (3, 4)]
        with pytest.raises(LogConflict):
            await log.append(lease, [Record(2, "delta", b'{"n":7}'), padded(3, "c")])


@pytest.mark.parametrize("number", [2**53, 2**64])
async def test_a_number_that_the_script_cannot_count_is_refused(valkey: Valkey, number: int) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await log.acquire(KEY, owner="one", seconds=30, first_number=2**53 - 2)
        assert await log.append(lease, [Record(2**53 - 2, "", b"")]) == 2**53 - 1
        with pytest.raises(InvalidArgument, match="must have numbers from 0 to"):
            await log.append(lease, [Record(number, "", b"")])
        assert (await log.read(KEY))[0].sequence_number == 2**53 - 2


async def test_calls_of_many_tasks_share_pipelines(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        leases = [await log.acquire(StreamKey("tenant", f"resp_{n}"), owner="one", seconds=30) for n in range(50)]
        before = valkey.ask("INFO", "stats")
        await asyncio.gather(*(log.append(lease, some(0, 1)) for lease in leases))
        reads = [
            int(each.partition(b":")[2])
            for text in (before, valkey.ask("INFO", "stats"))
            for each in text.splitlines()
            if each.startswith(b"total_reads_processed:")
        ]
        assert reads[1] - reads[0] < 25


async def test_a_refusal_is_an_error_of_ours(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        valkey.ask("SET", names_of(KEY).head, "something else")
        with pytest.raises(LogError, match="it refused a command: WRONGTYPE") as refused:
            await log.info(KEY)
        assert isinstance(refused.value, StreamfoldError)
