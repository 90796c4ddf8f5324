"""Where the command starts, and where ends what no command answers for itself.

In      arguments; by default those of the process
Out     the exit code, as docs/reference/cli.md lists them
Errors  none: each becomes one line on stderr

The libraries of the extra are imported inside, for without them there is still a line to say.
"""

import os
import sys
from collections.abc import Sequence

from streamfold.cli.failure import BROKEN_PIPE, ERROR, INTERRUPTED, say

__all__ = ["main"]

# What a library that is missing is for, and the extra that brings it.
EXTRAS = {
    "cyclopts": ("the command line", "cli"),
    "rich": ("the command line", "cli"),
    "uvicorn": ("the emulator", "emulator"),
    "httptools": ("the emulator", "emulator"),
    "textual": ("inspect", "tui"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit code."""
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
    except OSError as error:  # a file that cannot be read has its own line: this one is from writing
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
        say(f"{what} is an extra; install it with: python -m pip install 'streamfold[{extra}]'")
        return ERROR


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere, or Python would try again at its exit and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
