"""A recorded response under everything at once: a gateway that drops, a log that fails and forgets, processes that die.

Each run is a seed: a few in the tests, as many as you like with `python -m tests.client.test_record_random`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import anyio
import pytest

from streamfold import fold
from streamfold.client import Gateway, Request, record
from streamfold.errors import Disconnected, LogError, LogUnusable
from streamfold.history import replay
from streamfold.log import Lease, MemoryLog, Record, StreamKey
from streamfold.schema import decode_event
from streamfold.session import Backoff, OutcomeStatus, Patience
from tests.client.stub import Part, Stub, Told, query_of, stream
from tests.session.made import RESPONSE_ID, added, created, delta, ended

pytestmark = pytest.mark.anyio

KEY = StreamKey("", RESPONSE_ID)
PATIENCE = Patience(backoff=Backoff(first_seconds=0.0), gap_seconds=0.0, poll_seconds=0.0, max_attempts=50)


class Unlucky(MemoryLog):
    """Fails now and then, and forgets; is_dead: whether the process that writes to it is no more."""

    may_forget = True

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.is_dead = False
        self.failures = 0
        self.forgotten = 0

    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        await self._suffer()
        stream = self._stream(lease.key)
        if self.random.random() < 0.05 and not stream.info.is_finished:
            count = min(self.random.randrange(4), len(stream.records))
            del stream.records[len(stream.records) - count :]
            next_number = stream.info.next_number - count
            stream.change(next_number=next_number)
            stream.checkpoints = {at: data for at, data in stream.checkpoints.items() if at < next_number}
            self.forgotten += count
        next_number = await super().append(lease, records, status=status)
        await self._suffer()  # the answer is lost, though it was written
        return next_number

    async def _suffer(self) -> None:
        for _ in range(self.random.choice((0, 0, 0, 1, 3))):
            await anyio.lowlevel.checkpoint()
        if self.is_dead or self.random.random() < 0.05:
            self.failures += 1
            raise LogUnusable("the log", "it is out of luck")


class Run:
    """One response, from its POST to its end."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        count = self.random.randrange(1, 40)
        words = [f"word {number} " for number in range(count)]
        middle = [delta(number, word) for number, word in enumerate(words, 2)]
        self.chunks = [created(0), added(1), *middle, ended(count + 2, text="".join(words))]
        self.data = [each.removeprefix(b"data: ").rstrip() for each in self.chunks]
        self.truth = fold([decode_event(each) for each in self.data])
        self.log = Unlucky(self.random)
        self.max_behind = self.random.choice((0, 0, 3))
        self.processes = 0

    def answer(self, request: Request) -> Told:
        """What is left of the stream, most often cut short, in chunks of a few events."""
        after = query_of(request).get("starting_after")
        left = self.chunks[0 if after is None else int(after) + 1 :]
        is_cut = self.random.random() < 0.6
        parts: list[Part] = []
        given = left[: self.random.randrange(len(left) + 1)] if is_cut and request.method == "GET" else left
        while given:
            size = self.random.randrange(1, 6)
            parts.append(b"".join(given[:size]))
            given = given[size:]
        return stream(*parts, *([Disconnected("cut")] if is_cut else []))

    async def to_the_end(self) -> None:
        gateway = Gateway("http://stub", api_key="any", http=Stub(self.answer), patience=PATIENCE)
        is_over = False
        while not is_over:
            self.processes += 1
            assert self.processes < 500, "it never ends"
            self.log.is_dead = False
            is_over = await self.live(gateway)
        info = await self.log.info(KEY)
        assert info is not None
        assert info.status == "completed"
        assert [each.data for each in await self.log.read(KEY)] == self.data
        assert await replay(self.log, KEY) == self.truth

    async def live(self, gateway: Gateway) -> bool:
        """One process, until it dies or the outcome is there. Returns: whether it is."""
        is_new = await self.log.info(KEY) is None
        made = gateway.stream(model="toy", input="hi") if is_new else gateway.follow(RESPONSE_ID)
        response = record(made, self.log, owner="one", max_behind=self.max_behind)
        left = self.random.randrange(1, 30)
        with suppress(LogError):
            async with response:
                expected = 0 if is_new else (response.cursor if response.cursor is not None else -1) + 1
                while left:
                    left -= 1
                    with anyio.CancelScope() as scope:
                        async with anyio.create_task_group() as tasks:
                            if self.random.random() < 0.2:
                                tasks.start_soon(self.cancel, scope, self.random.randrange(8))
                            with suppress(LogError):  # it was told; the next read tries again
                                event = await anext(response, None)
                                if event is None:
                                    outcome = await response.outcome()
                                    assert (outcome.status, outcome.state) == (OutcomeStatus.COMPLETED, self.truth)
                                    left = 0
                                else:
                                    assert event.sequence_number == expected
                                    expected += 1
                            tasks.cancel_scope.cancel()
                self.log.is_dead = self.random.random() < 0.5  # killed: it tidies nothing up
        info = await self.log.info(KEY)
        return info is not None and info.is_finished

    async def cancel(self, scope: anyio.CancelScope, turns: int) -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        scope.cancel()


@pytest.mark.parametrize("count", [50, pytest.param(300, marks=pytest.mark.thorough)])
async def test_whatever_fails_the_log_ends_with_every_event_once(
    count: int, record_property: Callable[[str, object], None]
) -> None:
    runs = [Run(seed) for seed in range(count)]
    for run in runs:
        await run.to_the_end()
    record_property("tally", tally(runs))
    assert sum(run.log.forgotten for run in runs) > count / 10


def tally(runs: Sequence[Run]) -> str:
    return (
        f"recording: {len(runs):,} runs, {sum(run.processes for run in runs):,} processes,"
        f" {sum(run.log.failures for run in runs):,} failures of the log, {sum(run.log.forgotten for run in runs):,}"
        " records forgotten by it; 0 lost, 0 twice, 0 wrong"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    done: list[Run] = []
    for seed in range(asked.seed, asked.seed + asked.runs):
        run = Run(seed)
        try:
            anyio.run(run.to_the_end)
        except BaseException:
            print(f"seed {seed}", file=sys.stderr)
            raise
        done.append(run)
    print(tally(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
