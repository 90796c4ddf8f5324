"""Start a command and turn whatever it raises into one line and an exit code.

The libraries of the `cli` extra are imported inside, so that a missing one is reported and not a traceback.
"""

import os
import sys
from collections.abc import Sequence

from streamfold.cli.terminal import BROKEN_PIPE, ERROR, INTERRUPTED, say

# What a missing library is for, and the extra that installs it.
EXTRAS = {
    "cyclopts": ("the command line", "cli"),
    "rich": ("the command line", "cli"),
    "uvicorn": ("the emulator", "emulator"),
    "httptools": ("the emulator", "emulator"),
    "textual": ("inspect", "tui"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` defaults to those of the process."""
    try:
        exit_code = _run(sys.argv[1:] if arguments is None else arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return BROKEN_PIPE
    except OSError as error:  # commands report files they cannot read themselves: this is a write
        _abandon_stdout()
        say(f"cannot write: {error.strerror or error}")
        return ERROR
    return exit_code


def _run(arguments: Sequence[str]) -> int:
    try:
        from streamfold.cli.app import run

        return run(arguments)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        what, extra = EXTRAS[library]
        say(f"{what} needs an extra; install it with: python -m pip install 'streamfold[{extra}]'")
        return ERROR


def _abandon_stdout() -> None:
    """Discard what is still buffered; otherwise Python tries again at exit and complains."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
