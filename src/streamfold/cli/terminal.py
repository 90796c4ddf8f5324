"""What a command writes: results on stdout, one-line messages on stderr, and no control sequence on a terminal.

Nothing else in the command line writes to a stream. What rich and textual draw passes through `visible` too
(`output/console.py`, `inspect/program.py`).

Every write to stdout is flushed, so text appears as it arrives, and a reader that has gone away is noticed at the
write and not at exit.
"""

import io
import os
import re
import shlex
import shutil
import sys
from codecs import getincrementaldecoder, lookup
from collections.abc import Iterable
from datetime import UTC, datetime
from json import dumps
from typing import BinaryIO, TextIO, cast

from msgspec import json

from streamfold.errors import StreamfoldError

ERROR = 1
USAGE = 2
INTERRUPTED = 128 + 2  # what a shell reports for SIGINT
BROKEN_PIPE = 128 + 13  # for SIGPIPE
TERMINATED = 128 + 15  # and for SIGTERM

# What moves, reorders or ends what a terminal shows. ECMA-48's C0 controls and DEL become their picture ("␛"), as do
# the line and paragraph separators; C1 controls, bidirectional embeddings, overrides and isolates, and half surrogates
# have none. Newline and tab stay, and so does what is only invisible: joiners, marks and spaces that scripts need.
PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys((0x2028, 0x2029), 0x2424),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x2070)], 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
}
PICTURES_IN_A_ROW = PICTURES | {ord("\t"): 0x2409, ord("\n"): 0x240A}
STEERING = re.compile(f"[{''.join(map(chr, PICTURES))}]")
STEERING_OR_NOT_ASCII = re.compile(r"[^\n\t -~]")
CUT = "…"


class Failure(StreamfoldError):
    """Ends a command: `reason` is printed on stderr, and the process exits with `exit_code`."""

    def __init__(self, reason: str, exit_code: int = ERROR) -> None:
        super().__init__(reason, exit_code)
        self.reason: str = reason
        self.exit_code: int = exit_code

    def __str__(self) -> str:
        return self.reason


# Text


def visible(text: str) -> str:
    """Return the text with everything that could steer a terminal replaced, except newline and tab."""
    return text if text.isprintable() else text.translate(PICTURES)


def in_a_row(text: str) -> str:
    """Return the same with newlines and tabs replaced too, for what must not leave its line or column."""
    return text if text.isprintable() else text.translate(PICTURES_IN_A_ROW)


def one_line(text: str) -> str:
    """Return the text on one line: visible, with a space in place of each line end and what surrounds it."""
    return in_a_row(" ".join(stripped for line in text.splitlines() if (stripped := line.strip())))


def cut(text: str, columns: int) -> str:
    """Return the text shortened to this many columns of a terminal. Wide characters take two."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= columns else set_cell_size(text, max(0, columns - 1)) + CUT


def visible_json(data: bytes, *, in_ascii: bool = False) -> str:
    r"""Return JSON that says the same with `\u` escapes in place of what could steer a terminal."""
    text = data.decode("utf-8", "replace").replace("\r", " ")  # in valid JSON, only white space between tokens
    return (STEERING_OR_NOT_ASCII if in_ascii else STEERING).sub(lambda found: dumps(found[0])[1:-1], text)


def quoted(word: str) -> str:
    """Quote a word for a shell. What is not visible becomes an escape in $'...', which bash, zsh and ksh understand."""
    if in_a_row(word) == word:
        return shlex.quote(word)
    escaped = (
        character if in_a_row(character) == character else "".join(f"\\x{byte:02x}" for byte in _bytes(character))
        for character in word.replace("\\", "\\\\").replace("'", "\\'")
    )
    return f"$'{''.join(escaped)}'"


def _bytes(character: str) -> bytes:
    """The bytes of a character, or the byte of an argument that is not UTF-8."""
    return character.encode("utf-8", "surrogateescape")


def timestamp(seconds: float) -> str:
    """Return a time in UTC, because a log may be read on another machine."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


# stderr


def say(sentence: str) -> None:
    """Print one line on stderr, whatever the sentence contains."""
    _print_error(f"streamfold: {one_line(sentence)}")


def say_command(*command: str, id: str, options: Iterable[str] = ()) -> None:
    """Print a command on its own line on stderr, quoted for a shell and ready to be copied."""
    words = [*command, *options, "--", id] if id.startswith("-") else [*command, id, *options]
    _print_error(f"  {' '.join(map(quoted, ('streamfold', *words)))}")


def _print_error(line: str) -> None:
    """If stderr is closed or full, only the exit code is left to report anything."""
    if sys.stderr is None:
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        return


class _Stderr:
    """stderr on a terminal for everything that is not printed here: tracebacks, warnings, log lines of libraries."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, text: str) -> int:
        self.file.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def guard() -> None:
    """From here on, whatever is printed on stderr is visible, and no character is too much for stdout's encoding."""
    stdout: TextIO | None = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="replace")
    if is_terminal(sys.stderr) and not isinstance(sys.stderr, _Stderr):
        sys.stderr = cast("TextIO", _Stderr(sys.stderr))


def unguarded_stderr() -> TextIO | None:
    """Return stderr for what draws on it, with sequences of its own."""
    return sys.stderr.file if isinstance(sys.stderr, _Stderr) else sys.stderr


def is_terminal(*streams: TextIO | None) -> bool:
    """Whether all of these streams are open, and terminals."""
    return all(stream is not None and stream.isatty() for stream in streams)


def can_ask() -> bool:
    """Whether keys can be read and a screen be drawn: textual draws on stderr or, on some systems, stdout."""
    return is_terminal(sys.stdin, sys.stdout, sys.stderr)


def is_one_place() -> bool:
    """Whether stdout and stderr are the same terminal, pipe or file."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # one of them is closed, or is not a file of the system
        return False


# stdout


class Output:
    """A stream for results, stdout by default: as they are in a pipe, visible on a terminal."""

    def __init__(self, file: TextIO | None = None) -> None:
        file = file or sys.stdout
        self.is_terminal: bool = False
        self._encoding = "utf-8"
        self._file: BinaryIO | None = None
        if file is not None:  # None if the process was started with stdout closed
            self.is_terminal = file.isatty()
            self._encoding = file.encoding if self.is_terminal else "utf-8"
            self._file = file.buffer
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def write(self, text: str) -> None:
        """Write text as it is; on a terminal, visible."""
        text = visible(text) if self.is_terminal else text
        self._write(text.encode(self._encoding, "replace"))

    def write_line(self, line: str, *, is_cut: bool = False) -> None:
        """Write one visible line, also in a pipe. With `is_cut`, it ends where the terminal ends."""
        line = in_a_row(line)
        if is_cut and self.is_terminal:
            line = cut(line, shutil.get_terminal_size().columns)
        self.write(f"{line}\n")

    def write_bytes(self, data: bytes) -> None:
        """Write bytes unchanged; on a terminal, as visible text."""
        if self.is_terminal:
            self.write(self._decoder.decode(data))
        else:
            self._write(data)

    def write_json(self, document: object, *, is_indented: bool = False) -> None:
        """Write the document as JSON, on one line or, on a terminal, indented. Raw JSON may be anything."""
        self.write(f"{self.json_of(document, is_indented=is_indented)}\n")

    def json_of(self, document: object, *, is_indented: bool = False) -> str:
        """Return the document as this stream can show it."""
        data = json.encode(document)
        if is_indented and self.is_terminal:
            data = json.format(data, indent=2)
        return visible_json(data, in_ascii=lookup(self._encoding).name != "utf-8")

    def _write(self, data: bytes) -> None:
        """Raises BrokenPipeError if the reader has gone away."""
        if self._file is None:
            return
        rest = memoryview(data)
        while rest:  # with `python -u`, a write may take only part
            rest = rest[self._file.write(rest) :]
        self._file.flush()


def print_result(document: object, words: str, *, json: bool) -> None:
    """Print the document as JSON if it was asked for, else the words and a line end."""
    if json:
        Output().write_json(document)
    else:
        Output().write(f"{words}\n")


def flush_stdout() -> None:
    """Write what is still buffered, so that a failure is noticed before the exit."""
    if sys.stdout is not None:
        sys.stdout.flush()


def cannot_write(error: OSError) -> str:
    """Discard what is still buffered for stdout, and say why. Python would try to write it again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return f"cannot write: {error.strerror or error}"
