"""What a command writes: results on stdout, one-line messages on stderr, and no control character on a terminal.

Every write to stdout is flushed, so text appears as it arrives, and a reader that has gone away is noticed at the
write and not at exit.
"""

import shlex
import shutil
import sys
from datetime import UTC, datetime
from typing import BinaryIO

from msgspec.json import encode

from streamfold.errors import StreamfoldError

ERROR = 1
USAGE = 2
INTERRUPTED = 128 + 2  # what a shell reports for SIGINT
BROKEN_PIPE = 128 + 13  # and for SIGPIPE

# ECMA-48 C0 controls and DEL become their picture ("␛"); C1 controls have no pictures. Newline and tab stay.
FIRST_PICTURE, PICTURE_OF_DEL, REPLACEMENT = 0x2400, 0x2421, 0xFFFD
PICTURES = {
    **{code: FIRST_PICTURE + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: PICTURE_OF_DEL,
    **dict.fromkeys(range(0x80, 0xA0), REPLACEMENT),
}
CUT = "…"


class Failure(StreamfoldError):
    """Ends a command: `reason` is printed on stderr, and the process exits with `exit_code`."""

    def __init__(self, reason: str, exit_code: int = ERROR) -> None:
        super().__init__(reason, exit_code)
        self.reason: str = reason
        self.exit_code: int = exit_code

    def __str__(self) -> str:
        return self.reason


def without_controls(text: str) -> str:
    """Return the text with every control character made visible, except newline and tab."""
    return text if text.isprintable() else text.translate(PICTURES)


def one_line(text: str) -> str:
    """Return the text on one line, without controls."""
    return without_controls(" ".join(text.split()))


def cut(text: str, columns: int) -> str:
    """Return the text shortened to this many columns of a terminal. Wide characters take two."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= columns else set_cell_size(text, max(0, columns - 1)) + CUT


def timestamp(seconds: float) -> str:
    """Return a time in UTC, because a log may be read on another machine."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


def say(sentence: str) -> None:
    """Print one line on stderr, whatever the sentence contains."""
    print(f"streamfold: {one_line(sentence)}", file=sys.stderr, flush=True)


def say_command(*words: str) -> None:
    """Print a command on its own line on stderr, quoted for a shell and ready to be copied."""
    print(f"  {one_line(shlex.join(('streamfold', *words)))}", file=sys.stderr, flush=True)


class Output:
    """Stdout. In a pipe, bytes go out unchanged; on a terminal, text loses its control characters."""

    def __init__(self) -> None:
        self.is_terminal: bool = False
        self._encoding = "utf-8"
        self._file: BinaryIO | None = None
        if sys.stdout is not None:  # None if the process was started with stdout closed
            self.is_terminal = sys.stdout.isatty()
            self._encoding = sys.stdout.encoding if self.is_terminal else "utf-8"
            self._file = sys.stdout.buffer

    def write(self, text: str) -> None:
        text = without_controls(text) if self.is_terminal else text
        self.write_bytes(text.encode(self._encoding, "replace"))

    def write_line(self, line: str) -> None:
        """Write text and a line end; on a terminal, cut to its width."""
        columns = shutil.get_terminal_size().columns
        self.write(f"{cut(without_controls(line), columns) if self.is_terminal else line}\n")

    def write_bytes(self, data: bytes) -> None:
        """Write bytes unchanged. Raises BrokenPipeError if the reader has gone away."""
        if self._file is None:
            return
        rest = memoryview(data)
        while rest:  # with `python -u`, a write may take only part
            rest = rest[self._file.write(rest) :]
        self._file.flush()

    def write_json(self, document: object) -> None:
        """Write the document as JSON on one line."""
        self.write_bytes(encode(document) + b"\n")


def print_result(document: object, words: str, *, json: bool) -> None:
    """Print the document as JSON if it was asked for, else the words and a line end."""
    if json:
        Output().write_json(document)
    else:
        Output().write(f"{words}\n")
