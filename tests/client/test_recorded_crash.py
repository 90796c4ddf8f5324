"""A process that records is killed at any moment, and another continues from its log: real sockets, a real file."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from streamfold.client import Gateway, record
from streamfold.emulator import Options, emulate
from streamfold.log import SqliteLog, StreamKey
from streamfold.schema import OPENAI, decode_event
from streamfold.session import OutcomeStatus

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "count to 400"
READER = """
import anyio, sys
from streamfold.client import Gateway, record
from streamfold.log import SqliteLog
from streamfold.schema import OPENAI

async def main(url, path, max_behind):
    async with SqliteLog(path) as log, Gateway(url, api_key="any", dialect=OPENAI) as gateway:
        made = gateway.stream(model="toy-1", input=sys.argv[4], background=True)
        async with record(made, log, owner="one", max_behind=int(max_behind)) as response:
            async for event in response:
                print(response.id, event.sequence_number, flush=True)

anyio.run(main, *sys.argv[1:4])
"""


@contextmanager
def reading(url: str, path: Path, max_behind: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", READER, url, str(path), str(max_behind), PROMPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def read_and_die(url: str, path: Path, *, after: int, max_behind: int) -> tuple[str, int]:
    """The response's id, and the last number that the process was given before it was killed."""
    with reading(url, path, max_behind) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += [line for line in process.stdout.readlines() if line.endswith("\n")]
    response_id, number = lines[-1].split()
    return response_id, int(number)


@pytest.mark.parametrize(
    ("max_behind", "anyio_backend", "kills"),
    [
        (0, "asyncio", 1),
        (20, "trio", 1),
        *(
            pytest.param(max_behind, loop, 6, marks=pytest.mark.thorough)
            for max_behind in (0, 20)
            for loop in ("asyncio", "trio")
        ),
    ],
)
async def test_a_killed_process_loses_nothing_that_it_was_given(tmp_path: Path, max_behind: int, kills: int) -> None:
    random = Random(max_behind)
    async with emulate(Options(tokens_per_second=None)) as url, SqliteLog(tmp_path / "log.db") as log:
        async with Gateway(url, api_key="any", dialect=OPENAI) as gateway:
            for _ in range(kills):
                after = random.randrange(1, 300)
                response_id, seen = read_and_die(url, tmp_path / "log.db", after=after, max_behind=max_behind)
                key = StreamKey("", response_id)
                held = await log.info(key)
                assert held is not None
                assert held.next_number >= seen + 1 - max_behind
                followed = record(gateway.follow(response_id), log, owner="one")
                async with followed as response:
                    outcome = await response.outcome()
                assert outcome.status is OutcomeStatus.COMPLETED
                async with gateway.follow(response_id) as whole:
                    given = [event async for event in whole]
                assert [decode_event(each.data) for each in await log.read(key, limit=10_000)] == given
                assert outcome.state.output_text == whole.state.output_text
