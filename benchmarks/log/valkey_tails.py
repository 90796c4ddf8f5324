"""A process that tails many streams of one Valkey server and reports how late their records arrive.

Arguments: the server's URL, `ours` or `xread`, and the number of streams. It prints one line when it listens, and a JSON
object with the median in milliseconds and the CPU seconds at its end.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from statistics import median
from time import monotonic_ns, process_time

from redis.asyncio import Redis

from streamfold.log import StreamKey, tail
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import names_of, record_of

Heard = Callable[[bytes], None]
Follow = Callable[[StreamKey, Heard, asyncio.Event], Awaitable[None]]


async def main(url: str, kind: str, streams: int) -> None:
    delays: list[float] = []

    def heard(data: bytes) -> None:
        delays.append((monotonic_ns() - int(data.partition(b" ")[0])) / 1e6)

    async with ValkeyLog(url) as log:

        async def ours(key: StreamKey, heard: Heard, ready: asyncio.Event) -> None:
            async with tail(log, key) as records:
                ready.set()
                async for record in records:
                    heard(record.data)

        async def xread(key: StreamKey, heard: Heard, ready: asyncio.Event) -> None:
            name, last = names_of(key).records, b"0"
            async with Redis.from_url(url.replace("valkey", "redis"), protocol=2) as client:
                await client.ping()
                ready.set()
                while True:
                    for _, entries in await client.xread({name: last}, block=2000) or ():
                        last = entries[-1][0]
                        for identity, fields in entries:
                            record = record_of(key, int(identity.partition(b"-")[0]), fields[b"d"])
                            heard(record.data)
                            if record.name == "end":
                                return

        follow: Follow = {"ours": ours, "xread": xread}[kind]
        begun = [asyncio.Event() for _ in range(streams)]
        tails = [
            asyncio.create_task(follow(StreamKey("tenant", f"resp_{number}"), heard, ready))
            for number, ready in enumerate(begun)
        ]
        await asyncio.gather(*(each.wait() for each in begun))
        print("ready", flush=True)
        cpu_seconds = process_time()
        await asyncio.gather(*tails)
    print(json.dumps({"milliseconds": median(delays), "cpu_seconds": process_time() - cpu_seconds}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
