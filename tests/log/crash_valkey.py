"""Kill the Valkey server of a log at random moments while writers append: `make crash-valkey KILLS=200`.

The server acknowledges what is on its disk (appendfsync always). It is killed and started again on the same files; the
writers are not told, and continue by themselves. Then every record is compared with what was appended.
"""

from pathlib import Path
from random import Random

import anyio
from anyio import to_thread

from streamfold.log import EventLog, open_log
from tests.log.crash import MOST_RECORDS, STREAMS, Tally, key_of, record
from tests.log.valkeys import Valkey, running

PROOF = 3  # records that each writer must still append after the restart


async def write(log: EventLog, name: str, stream: int, acknowledged: dict[int, int], restarted: anyio.Event) -> None:
    """Append until the server was killed and is there again."""
    lease = await log.acquire(key_of(name, stream), owner="writer", seconds=3600)
    left = PROOF
    for number in range(MOST_RECORDS):
        left -= restarted.is_set()
        if left < 0:
            await log.append(lease, [], status="completed")
            return
        await log.append(lease, [record(stream, number)])
        acknowledged[stream] = number + 1


async def kill_once(log: EventLog, server: Valkey, name: str, random: Random) -> dict[int, int]:
    """How many records of each stream were acknowledged, before the kill and after."""
    acknowledged = dict.fromkeys(range(STREAMS), 0)
    restarted = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for stream in range(STREAMS):
            tasks.start_soon(write, log, name, stream, acknowledged, restarted)
        await anyio.sleep(random.choice((0.005, 0.03, 0.1)) * random.random())
        server.kill()
        server.start()
        await to_thread.run_sync(server.wait)
        restarted.set()
    return acknowledged


async def look(log: EventLog, name: str, acknowledged: dict[int, int], tally: Tally) -> None:
    """Compare what is there with what was appended."""
    tally.kills += 1
    for stream, count in acknowledged.items():
        key = key_of(name, stream)
        found = await log.read(key, limit=MOST_RECORDS)
        info = await log.info(key)
        tally.acknowledged += count
        tally.there += len(found)
        tally.lost += max(0, count - len(found))
        tally.damaged += sum(each != record(stream, number) for number, each in enumerate(found))
        assert info is not None
        assert info.status == "completed"
        assert count >= PROOF
        await log.drop(key)


async def run_async(folder: Path, kills: int, seed: int, tally: Tally) -> None:
    random = Random(seed)
    with running(folder / "valkey", appendonly="yes", appendfsync="always") as server:
        async with open_log(server.url) as log:
            for number in range(kills):
                name = f"kill_{seed}_{number}"
                await look(log, name, await kill_once(log, server, name, random), tally)


def run(folder: Path, *, kills: int, seed: int, tally: Tally) -> Tally:
    anyio.run(run_async, folder, kills, seed, tally)
    return tally
