"""Processes that race for one stream of a log: no number is won twice, and a fenced process writes nothing.

Each process takes the stream over as often as it can and appends the next number under its own name. The process whose
append the log acknowledges has won that number.
"""

import subprocess
import sys
from pathlib import Path

from streamfold.log import StreamKey

KEY = StreamKey("tenant", "resp_1")
ROOT = Path(__file__).resolve().parents[2]
RACER = """
import anyio, sys
from streamfold.errors import LogError
from streamfold.log import Record, open_log
from tests.log.race import KEY

async def main(url, name, numbers):
    async with open_log(url) as log:
        print("ready", flush=True)
        sys.stdin.readline()  # until all are
        fenced = 0
        while True:
            lease = await log.acquire(KEY, owner=name, seconds=0)
            number = lease.next_number
            if number >= numbers:
                break
            try:
                for number in range(number, min(number + 3, numbers)):
                    await log.append(lease, [Record(number, name, name.encode())])
                    print(number, flush=True)
            except LogError:
                fenced += 1
        print("fenced", fenced, flush=True)

anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


def race(url: str, *, processes: int, numbers: int) -> tuple[dict[str, list[int]], int]:
    """The numbers that each process won, and how often one was fenced."""
    racing = {
        f"racer {place}": subprocess.Popen(
            [sys.executable, "-c", RACER, url, f"racer {place}", str(numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for place in range(processes)
    }
    for process in racing.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won: dict[str, list[int]] = {}
    fenced = 0
    for name, process in racing.items():
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, name
        lines = said.splitlines()
        won[name] = [int(line) for line in lines if line.isdigit()]
        fenced += int(lines[-1].split()[1])
    return won, fenced
