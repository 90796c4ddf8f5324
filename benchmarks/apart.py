"""One function, run in a fresh process: nothing was imported there before, and no memory was used.

In      a function of a module, or a partial of one, that takes nothing more
Out     what it returns
Errors  ProcessEnded when it raises; what it said stands on stderr
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

__all__ = ["ProcessEnded", "run_apart"]

PROGRAM = """
import pickle, sys
run = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(run()))
"""

Result = TypeVar("Result")


class ProcessEnded(RuntimeError):
    """The process ended without a result."""


def run_apart(run: Callable[[], Result]) -> Result:
    """The result of `run`, which both it and its result can be pickled for.

    Raises: ProcessEnded.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=pickle.dumps(run), stdout=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        raise ProcessEnded(f"{run!r} ended with status {done.returncode}")
    result: Result = pickle.loads(done.stdout)
    return result
