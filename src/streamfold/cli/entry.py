"""Start a command and turn whatever it raises into one line and an exit code.

The libraries of the `cli` extra are imported inside, so that a missing one is reported and not a traceback.
"""

import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from streamfold.cli.terminal import BROKEN_PIPE, ERROR, INTERRUPTED, TERMINATED, cannot_write, flush_stdout, guard, say

# What a missing library is for, and the extra that installs it.
EXTRAS = {
    "cyclopts": ("the command line", "cli"),
    "rich": ("the command line", "cli"),
    "uvicorn": ("a server", "relay"),
    "httptools": ("a server", "relay"),
    "textual": ("inspect", "tui"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` defaults to those of the process."""
    guard()
    came: list[int] = []
    try:
        with _terminated_like_ctrl_c(came):
            exit_code = _run(sys.argv[1:] if arguments is None else arguments)
            flush_stdout()
    except KeyboardInterrupt:
        say("stopped")
        exit_code = INTERRUPTED
    except BrokenPipeError as error:
        cannot_write(error)
        return BROKEN_PIPE
    except OSError as error:  # commands report files they cannot read themselves: this is a write
        say(cannot_write(error))
        return ERROR
    return TERMINATED if came and exit_code == INTERRUPTED else exit_code


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


@contextmanager
def _terminated_like_ctrl_c(came: list[int]) -> Generator[None]:
    """Make SIGTERM do what Ctrl-C does, and note that it came. Outside of the main thread signals are not handled."""

    def interrupt(number: int, _: object) -> None:
        """In the background too, where a shell lets processes ignore Ctrl-C."""
        came.append(number)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
