"""ValkeyLog on six servers: the contract, failovers and slots that move. `make test-cluster` runs it."""

from collections.abc import Iterator, Mapping

import anyio
import pytest
from anyio import to_thread
from redis.crc import key_slot

from streamfold.errors import LogUnusable
from streamfold.log import Record, StreamKey, open_log, tail
from streamfold.log.contract import CHECKS, check
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import names_of
from tests.log.race import race
from tests.log.valkeys import PRIMARIES, Cluster, Valkey, clustered, until
from tests.log.writer import Tale, record, write

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.cluster,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

KEY = StreamKey("tenant", "resp_1")
WRITERS = 8


@pytest.fixture(scope="module")
def one_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clustered(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(one_cluster: Cluster) -> Cluster:
    one_cluster.flush()
    return one_cluster


def keys(count: int = WRITERS) -> list[StreamKey]:
    return [StreamKey("tenant", f"resp_{number}") for number in range(count)]


def having(cluster: Cluster, key: StreamKey) -> Valkey:
    """The primary that has a stream."""
    return next(node for node in cluster.nodes[:PRIMARIES] if node.ask("CLUSTER", "COUNTKEYSINSLOT", slot(key)))


def slot(key: StreamKey) -> str:
    return str(key_slot(names_of(key).head.encode()))


@pytest.mark.parametrize("name", CHECKS)
async def test_a_cluster_keeps_the_promise(name: str, cluster: Cluster) -> None:
    async with ValkeyLog(cluster.url) as log:
        await check(log, name)


async def test_the_cluster_is_looked_at_as_a_whole(cluster: Cluster) -> None:
    async with ValkeyLog(cluster.url) as log:
        told = await log.diagnose()
    assert told.settings["servers"].count("127.0.0.1") == PRIMARIES
    cluster.nodes[1].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(LogUnusable, match=f"127.0.0.1:{cluster.nodes[1].port} may evict"):
            async with ValkeyLog(cluster.url):
                pass
    finally:
        cluster.nodes[1].ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_streams_lie_on_all_shards_and_are_raced_for_alike(cluster: Cluster) -> None:
    async with ValkeyLog(cluster.url) as log:
        for key in keys(30):
            await log.acquire(key, owner="one", seconds=30)
    assert all(node.ask("DBSIZE") > 3 for node in cluster.nodes[:PRIMARIES])
    cluster.flush()
    won, fenced = await to_thread.run_sync(lambda: race(cluster.url, processes=4, numbers=200))
    assert sorted(number for numbers in won.values() for number in numbers) == list(range(200))
    assert fenced > 0


async def test_a_slot_that_moves_takes_its_streams_with_it(cluster: Cluster) -> None:
    async with open_log(cluster.url) as log, open_log(cluster.url) as other:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        await log.append(lease, [record(KEY, 0)])
        source = having(cluster, KEY)
        target = next(node for node in cluster.nodes[:PRIMARIES] if node is not source)
        source_id, target_id = (node.ask("CLUSTER", "MYID").decode() for node in (source, target))
        with anyio.fail_after(30):
            async with tail(other, KEY, safety_seconds=3600) as records:
                assert (await anext(records)).sequence_number == 0
                target.ask("CLUSTER", "SETSLOT", slot(KEY), "IMPORTING", source_id)
                source.ask("CLUSTER", "SETSLOT", slot(KEY), "MIGRATING", target_id)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(log.append, lease, [record(KEY, 1)])  # waits: its keys are on their way
                    await to_thread.run_sync(lambda: until(lambda: b"TRYAGAIN" in source.ask("INFO", "errorstats")))
                    found = source.ask("CLUSTER", "GETKEYSINSLOT", slot(KEY), "10")
                    names = [each.decode() for each in found]
                    source.ask("MIGRATE", target.host, str(target.port), "", "0", "5000", "KEYS", *names)
                    assert await log.read(KEY) == [record(KEY, 0)]  # by ASK
                    for node in (target, source, *cluster.nodes[:PRIMARIES]):
                        node.ask("CLUSTER", "SETSLOT", slot(KEY), "NODE", target_id)
                await log.append(lease, [record(KEY, 2)])  # by MOVED
                await log.append(lease, [record(KEY, 3)], status="completed")
                assert [each async for each in records] == [record(KEY, number) for number in (1, 2, 3)]


def all_have_grown(tales: Mapping[StreamKey, Tale], before: Mapping[StreamKey, int] | None = None) -> bool:
    """Whether each writer has had some records acknowledged, since the counts `before`."""
    return all(tale.acknowledged >= (before or {}).get(key, 0) + 20 for key, tale in tales.items())


@pytest.mark.parametrize("level", ["primary", "replica"])
async def test_writers_and_tails_go_on_by_themselves_after_a_failover(
    level: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A primary is killed while eight writers append to streams on all shards."""
    tales = {key: Tale() for key in keys()}
    counts: dict[StreamKey, int] = {}
    got: dict[StreamKey, list[Record]] = {}
    is_over = anyio.Event()
    with clustered(tmp_path_factory.mktemp("cluster")) as cluster:
        url = f"{cluster.url}&level={level}"
        async with open_log(url) as log, open_log(url) as other:

            async def follow(key: StreamKey) -> None:
                async with tail(other, key) as records:
                    got[key] = [each async for each in records]

            async def append(key: StreamKey) -> None:
                counts[key] = await write(
                    log, key, tales[key], goes_on=lambda: not is_over.is_set(), pause_seconds=0.002
                )

            with anyio.fail_after(90):
                async with anyio.create_task_group() as tasks:
                    for key in keys():
                        await log.acquire(key, owner="writer", seconds=3600)
                        tasks.start_soon(append, key)
                        tasks.start_soon(follow, key)
                    await to_thread.run_sync(lambda: until(lambda: all_have_grown(tales)))
                    cluster.nodes[0].kill()
                    heir = cluster.nodes[PRIMARIES]
                    await to_thread.run_sync(lambda: until(lambda: b"role:master" in heir.ask("INFO", "replication")))
                    cluster.nodes[0].start()  # as the heir's replica, without which level=replica acknowledges nothing
                    await to_thread.run_sync(lambda: until(lambda: b"state=online" in heir.ask("INFO", "replication")))
                    before = {key: tale.acknowledged for key, tale in tales.items()}
                    await to_thread.run_sync(lambda: until(lambda: all_have_grown(tales, before)))
                    is_over.set()
            for key in keys():
                there = await log.read(key, limit=100_000)
                assert there == [record(key, number) for number in range(counts[key])]
                assert got[key] == there
                assert tales[key].acknowledged == counts[key]
