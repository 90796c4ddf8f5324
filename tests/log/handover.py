"""Tails that catch up and continue live, in random orders of all other steps: `python -m tests.log.handover --runs 100000`.

It prints how many holes, repeats and hangs there were; the exit status is 1 if there was one, with its Story. A Story is
small enough to read: what is appended between which pauses, and where each tail begins.
"""

import argparse
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Self, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from attrs import frozen

from streamfold.log import EventLog, MemoryLog, Record, StreamInfo, StreamKey, Watch, tail

KEY = StreamKey("tenant", "resp_1")
SOON_SECONDS = 10

Written = TypeVar("Written", bound=EventLog)
Pause = Callable[[], Awaitable[None]]


@frozen
class Story:
    """runs: how many records each append brings; 0 for a writer that begins anew. afters: where each tail begins.

    pauses: how often others go first at each step, in turn. is_ended_with_last: the end comes with the last records.
    loses_wakes: no tail is told of anything.
    """

    runs: tuple[int, ...]
    afters: tuple[int, ...]
    pauses: tuple[int, ...]
    is_ended_with_last: bool
    loses_wakes: bool


class Slow(EventLog):
    """A log that lets others go first at each of its steps, as often as a Story says. Mixed into an engine."""

    pauses: tuple[int, ...] = (0,)
    loses_wakes = False
    _steps = 0

    def told(self, story: Story) -> Self:
        self.pauses, self.loses_wakes = story.pauses, story.loses_wakes
        return self

    async def pause(self) -> None:
        self._steps += 1
        for _ in range(self.pauses[self._steps % len(self.pauses)]):
            await checkpoint()

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = 500, max_bytes: int | None = None
    ) -> list[Record]:
        await self.pause()
        found = await super().read(key, after=after, limit=limit, max_bytes=max_bytes)
        await self.pause()
        return found

    async def info(self, key: StreamKey) -> StreamInfo | None:
        await self.pause()
        found = await super().info(key)
        await self.pause()
        return found

    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        return self._losing(super().watch(key, growth=growth))

    @asynccontextmanager
    async def _losing(self, watching: AbstractAsyncContextManager[Watch]) -> AsyncGenerator[Watch, None]:
        async with watching as watch:
            yield Impatient(watch) if self.loses_wakes else watch


class SlowMemory(Slow, MemoryLog):
    """In memory."""


class Impatient(Watch):
    """Nobody tells it anything: it looks again by itself."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def wait(self, *, seconds: float) -> None:
        await checkpoint()


async def write(
    log: Written, story: Story, *, key: StreamKey, pause: Pause, reopen: Callable[[Written], Awaitable[Written]]
) -> tuple[int, Written]:
    """Append what the story says. Returns: how many records there are, and the log, for it may be opened anew."""
    number = 0
    lease = await log.acquire(key, owner="one", seconds=30)
    for place, run in enumerate(story.runs):
        await pause()
        if run == 0:  # the writer begins anew, and sends the last one again
            log = await reopen(log)
            lease = await log.acquire(key, owner="one", seconds=30)
            number = max(0, number - 1)
            run = 1
        records = [Record(each, "delta", b"%d" % each) for each in range(number, number + run)]
        is_last = place == len(story.runs) - 1
        number = await log.append(lease, records, status="completed" if is_last and story.is_ended_with_last else None)
    await pause()
    await log.append(lease, [], status="completed")
    return number, log


async def the_same(log: Written) -> Written:
    """A log in memory ends with its process; a writer that begins anew has the same one."""
    return log


async def complaint(story: Story, log: Slow, others: Slow | None = None) -> str:
    """What went wrong in this story; empty if nothing did. others: the log as another process has it, for its tails."""
    read = (others or log).told(story)
    log.told(story)
    await log.acquire(KEY, owner="one", seconds=30)
    got: list[tuple[int, list[int]]] = []
    count = 0

    async def follow(after: int) -> None:
        await read.pause()
        async with tail(read, KEY, after=after, safety_seconds=3600) as records:
            got.append((after, [each.sequence_number async for each in records]))

    with anyio.move_on_after(SOON_SECONDS) as scope:
        async with anyio.create_task_group() as tasks:
            for after in story.afters:
                tasks.start_soon(follow, after)
            count, _ = await write(log, story, key=KEY, pause=log.pause, reopen=the_same)
    if scope.cancelled_caught:
        return "a tail waits for ever"
    return difference(story, count, got)


def difference(story: Story, count: int, got: list[tuple[int, list[int]]]) -> str:
    """What the tails of a story of so many records got, where it is not what they should have; else nothing."""
    expected = sorted((after, list(range(after + 1, count))) for after in story.afters)
    return "" if sorted(got) == expected else f"expected {expected}, got {sorted(got)}"


def draw(random: Random) -> Story:
    return Story(
        runs=tuple(random.randrange(5) for _ in range(random.randrange(7))),
        afters=tuple(random.randrange(-1, 7) for _ in range(random.randint(1, 3))),
        pauses=tuple(random.randrange(4) for _ in range(random.randint(1, 7))),
        is_ended_with_last=random.random() < 0.5,
        loses_wakes=random.random() < 0.2,
    )


async def run(runs: int, seed: int) -> list[str]:
    """The complaints of so many stories, each with its story."""
    random = Random(seed)
    found: list[str] = []
    for _ in range(runs):
        story = draw(random)
        if said := await complaint(story, SlowMemory()):
            found.append(f"{said}: {story}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("memory", "sqlite", "valkey"), default="memory")
    asked = parser.parse_args()
    if asked.engine == "sqlite":
        from tests.log.handover_sqlite import run_sqlite

        found = anyio.run(run_sqlite, asked.runs, asked.seed)
    elif asked.engine == "valkey":
        from tests.log.handover_valkey import run_alone

        found = run_alone(asked.runs, asked.seed)
    else:
        found = anyio.run(run, asked.runs, asked.seed)
    print("\n".join(found[:10]))
    print(
        f"{asked.engine}: {asked.runs:,} interleavings of appends, tails, ends and restarts: {len(found)} with a hole, a repeat or a hang"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
