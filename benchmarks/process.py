"""Run benchmarks in processes of their own, so that no variant pays for what another one imports or leaves in memory.

A process imports what its variant needs, because unpickling a function imports its module, and runs the variant once
before it is timed. After all processes have started, only one works at a time; the others wait for their turn. What a
process prints to stderr stays visible.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, TypeVar

from streamfold.bench.measure import Sampler, Timings, Variant, sample, take_turns

__all__ = ["ProcessEnded", "measure_apart", "run_apart", "serve"]

# Settings of glibc that other C libraries ignore. A process that does nothing else would return its memory to the
# system after each run and request it again for the next; that cost 8 % of the time of 10,000 deltas.
KEEPING_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "33554432"}
SERVING = "import sys; from benchmarks.process import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
# A memory figure must not count what this module imports, so this program imports nothing of ours.
RUNNING_ONCE = """
import pickle, sys
run = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(run()))
"""

Result = TypeVar("Result")


class ProcessEnded(RuntimeError):
    """A process ended without a result. Its traceback is on stderr."""


def run_apart(run: Callable[[], Result]) -> Result:
    """Call a function in a fresh process and return its result.

    Args:
        run: A function of a module, or a partial of one. It and its result are pickled.

    Raises:
        ProcessEnded: The function raised.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUNNING_ONCE]
    done = subprocess.run(command, input=pickle.dumps(run), stdout=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        raise ProcessEnded(f"{run!r} ended with status {done.returncode}")
    result: Result = pickle.loads(done.stdout)
    return result


def measure_apart(variants: Sequence[Variant], *, rounds: int, sample_seconds: float = 0.05) -> Timings:
    """Time the variants, interleaved, each in a process of its own.

    Args:
        variants: Each `run` is pickled: a function of a module, or a partial of one.
        rounds: How many samples of each variant to take.
        sample_seconds: How long one sample lasts at least.

    Raises:
        ProcessEnded: A variant raised.
    """
    with ExitStack() as running:
        samplers = {each.name: running.enter_context(_worker(each)) for each in variants}
        return take_turns(samplers, rounds=rounds, sample_seconds=sample_seconds)


@contextmanager
def _worker(variant: Variant) -> Generator[Sampler, None, None]:
    environment = {**os.environ, **KEEPING_MEMORY, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SERVING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(runs: int) -> float:
            try:
                requests.write(b"%d\n" % runs)
                requests.flush()
            except BrokenPipeError:
                raise ProcessEnded(variant.name) from None
            answer = answers.readline()
            if not answer:
                raise ProcessEnded(variant.name)
            return float(answer)

        requests.write(pickle.dumps(variant.run))
        yield ask


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Be the process of one variant: read a number of runs, answer with the seconds that one run took."""
    run = pickle.load(requests)
    run()
    gc.freeze()  # as `measure` does
    for line in requests:
        answers.write(b"%r\n" % sample(run, int(line)))
        answers.flush()
