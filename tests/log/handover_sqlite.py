"""The stories of handover.py with logs on one file: one for the tails, one for the writer, often in another process.

A writer that begins anew opens its log again, and every third tail leaves in the middle and continues with its own log.
Only a notification can wake a tail, except in stories that lose notifications.
"""

import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import anyio
from anyio.to_thread import run_sync
from msgspec.json import decode, encode

from streamfold.log import EventLog, SqliteLog, StreamKey, tail
from tests.log.handover import Story, difference, draw, write

ROOT = Path(__file__).resolve().parents[2]
SOON_SECONDS = 60
OTHER = """
import sys, anyio
from pathlib import Path
from tests.log.handover_sqlite import told_and_written

anyio.run(told_and_written, Path(sys.argv[1]))
"""

Write = Callable[[StreamKey, Story], Awaitable[int]]


async def written(path: Path, key: StreamKey, story: Story) -> int:
    """Append what the story says. Returns: how many records there are."""
    steps = 0

    async def pause() -> None:
        nonlocal steps
        steps += 1
        for _ in range(story.pauses[steps % len(story.pauses)]):
            await log.info(key)

    async def reopen(before: SqliteLog) -> SqliteLog:
        nonlocal log
        await before.aclose()
        log = SqliteLog(path)
        return log

    log = SqliteLog(path)
    try:
        count, _ = await write(log, story, key=key, pause=pause, reopen=reopen)
        return count
    finally:
        await log.aclose()


async def told_and_written(path: Path) -> None:
    """In another process: the story of each line that comes in."""
    while line := await run_sync(sys.stdin.readline):
        name, story = decode(line, type=tuple[str, Story])
        print(await written(path, StreamKey("tenant", name), story), flush=True)


@contextmanager
def another_process(path: Path) -> Iterator[Write]:
    """One that writes the stories that it is told."""
    command = [sys.executable, "-c", OTHER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        async def write_there(key: StreamKey, story: Story) -> int:
            stdin.write(encode((key.response_id, story)) + b"\n")
            stdin.flush()
            return int(await run_sync(stdout.readline, abandon_on_cancel=True))

        try:
            yield write_there
        finally:
            process.kill()


async def followed(path: Path, log: EventLog, key: StreamKey, story: Story, place: int) -> list[int]:
    """The numbers that a tail gave. Every third one leaves in the middle."""
    after, got = story.afters[place], list[int]()
    safety_seconds = 0.005 if story.loses_wakes else 3600
    async with tail(log, key, after=after, safety_seconds=safety_seconds) as records:
        async for record in records:
            got.append(record.sequence_number)
            if place % 3 == 2 and len(got) == 2:
                break
        else:
            return got
    async with SqliteLog(path) as another:
        async with tail(another, key, after=records.cursor, safety_seconds=safety_seconds) as records:
            return got + [record.sequence_number async for record in records]


async def complaint(path: Path, log: EventLog, key: StreamKey, story: Story, write_it: Write) -> str:
    """What went wrong in this story; empty if nothing did."""
    got: list[tuple[int, list[int]]] = []
    count = 0

    async def follow(place: int) -> None:
        got.append((story.afters[place], await followed(path, log, key, story, place)))

    await log.acquire(key, owner="one", seconds=0)
    with anyio.move_on_after(SOON_SECONDS) as scope:
        async with anyio.create_task_group() as tasks:
            for place in range(len(story.afters)):
                tasks.start_soon(follow, place)
            count = await write_it(key, story)
    return "a tail waits for ever" if scope.cancelled_caught else difference(story, count, got)


async def run_sqlite(runs: int, seed: int) -> list[str]:
    """The complaints of so many stories, every second one written by another process."""
    random = Random(seed)
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        async with SqliteLog(path) as log:
            with another_process(path) as write_there:

                async def write_here(key: StreamKey, story: Story) -> int:
                    return await written(path, key, story)

                for number in range(runs):
                    story = draw(random)
                    key = StreamKey("tenant", f"resp_{number}")
                    write_it = write_there if number % 2 else write_here
                    if said := await complaint(path, log, key, story, write_it):
                        found.append(f"{said}: {story}")
            found += [f"{each}" for each in await log.damages()]
    return found
