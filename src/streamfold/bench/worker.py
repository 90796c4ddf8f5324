"""Variants timed in processes of their own: none pays for what another imports, or for the memory it leaves in pieces.

In      variants whose `run` can be pickled: a function of a module, or a partial of one
Out     Timings, taken in turns as `measure` takes them
Units   CPU seconds of the process that runs the variant
Errors  WorkerEnded when a process ends by itself, as when its variant raises; what it said stands on stderr
Source  docs/reference/benchmarks.md

A process imports what its variant needs, for unpickling names the module, and runs it once before it is timed. Once
all have begun, one process works at a time: the others wait to be asked.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from streamfold.bench.measure import Sampler, Timings, Variant, sample, take_turns

__all__ = ["WorkerEnded", "measure_apart", "serve"]

# What glibc is told, and other C libraries pass over: a process that does nothing else would give memory back to the
# system at the end of each run, and take it anew at the next. Measured: 8 % of the time of 10,000 deltas.
KEEPING_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "33554432"}
PROGRAM = "import sys; from streamfold.bench.worker import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"


class WorkerEnded(RuntimeError):
    """The process of a variant ended before it was told to."""


def measure_apart(variants: Sequence[Variant], *, rounds: int, sample_seconds: float = 0.05) -> Timings:
    """Time the variants, interleaved, each in a process of its own.

    Returns: `rounds` samples of each variant.
    Raises: WorkerEnded if a variant raises.
    """
    with ExitStack() as running:
        samplers = {each.name: running.enter_context(_worker(each)) for each in variants}
        return take_turns(samplers, rounds=rounds, sample_seconds=sample_seconds)


@contextmanager
def _worker(variant: Variant) -> Generator[Sampler, None, None]:
    environment = {**os.environ, **KEEPING_MEMORY, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def ask(runs: int) -> float:
            try:
                asked.write(b"%d\n" % runs)
                asked.flush()
            except BrokenPipeError:
                raise WorkerEnded(variant.name) from None
            answer = answers.readline()
            if not answer:
                raise WorkerEnded(variant.name)
            return float(answer)

        asked.write(pickle.dumps(variant.run))
        yield ask


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """What a process does: for each number of runs that it is asked for, it answers with the seconds that one took."""
    run = pickle.load(asked)
    run()
    gc.freeze()  # as `measure` does
    for line in asked:
        answers.write(b"%r\n" % sample(run, int(line)))
        answers.flush()
