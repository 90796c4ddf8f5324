"""The stories of handover.py on a real Valkey, where tails learn of records by message.

The writer and the tails have their own connections, as two processes would. In some stories the server closes the
connections of all subscribers at a random moment, so that messages sent then are lost.
"""

from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import anyio
from anyio import to_thread

from streamfold.log.valkey import ValkeyLog
from tests.log.handover import Slow, complaint, draw
from tests.log.valkeys import Valkey, running

DEAF = 0.1  # of the stories


class SlowValkey(Slow, ValkeyLog):
    """On Valkey."""


async def deafen(server: Valkey, seconds: float) -> None:
    await anyio.sleep(seconds)
    await to_thread.run_sync(partial(server.ask, "CLIENT", "KILL", "TYPE", "pubsub"))


async def run(server: Valkey, *, stories: int, seed: int) -> list[str]:
    random = Random(seed)
    found: list[str] = []
    for _ in range(stories):
        story = draw(random)
        await to_thread.run_sync(partial(server.ask, "FLUSHALL"))
        async with SlowValkey(server.url) as log, SlowValkey(server.url) as others, anyio.create_task_group() as tasks:
            if random.random() < DEAF:
                tasks.start_soon(deafen, server, 0.01 * random.random())
            if said := await complaint(story, log, others):
                found.append(f"{said}: {story}")
    return found


def run_alone(stories: int, seed: int) -> list[str]:
    """With a server of its own."""
    with TemporaryDirectory() as folder, running(Path(folder) / "valkey") as server:
        return anyio.run(partial(run, server, stories=stories, seed=seed))
