"""What ends a command before its end: one line on stderr and an exit code.

In      a reason, with what to do next
Out     Failure; the line `streamfold: REASON` on stderr
Units   exit codes: 1 an error, 2 usage, 130 Ctrl-C, 141 nobody reads stdout
Source  docs/reference/cli.md
"""

import sys

from streamfold.cli.control import without_controls
from streamfold.errors import StreamfoldError

__all__ = ["BROKEN_PIPE", "ERROR", "INTERRUPTED", "USAGE", "Failure", "say", "say_command"]

ERROR = 1
USAGE = 2
INTERRUPTED = 128 + 2  # as a shell tells a SIGINT
BROKEN_PIPE = 128 + 13  # as a shell tells a SIGPIPE


class Failure(StreamfoldError):
    """A command cannot go on. reason: the sentence for the user. exit_code: what the process ends with."""

    def __init__(self, reason: str, exit_code: int = ERROR) -> None:
        super().__init__(reason, exit_code)
        self.reason: str = reason
        self.exit_code: int = exit_code

    def __str__(self) -> str:
        return self.reason


def say(sentence: str) -> None:
    """One line on stderr, whatever is in the sentence: line ends become spaces, controls become visible."""
    line = without_controls(" ".join(sentence.split()))
    print(f"streamfold: {line}", file=sys.stderr, flush=True)


def say_command(command: str) -> None:
    """A command on a line of its own on stderr, with nothing before it but blanks, to be copied."""
    print(f"  {without_controls(' '.join(command.split()))}", file=sys.stderr, flush=True)
