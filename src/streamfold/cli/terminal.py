"""Stdout: bytes as they are in a pipe, text without controls on a terminal.

In      text, or bytes
Out     what is written at once, or BrokenPipeError where nobody reads
Units   columns of the terminal

A write is flushed, so that text shows when it comes, and a reader that went away is met here and not at the exit.
"""

import shutil
import sys
from typing import BinaryIO

from streamfold.cli.control import without_controls

__all__ = ["Output"]


class Output:
    """Where a command's results go. is_terminal: whether somebody looks at it."""

    def __init__(self) -> None:
        self.is_terminal: bool = False
        self._encoding = "utf-8"
        self._file: BinaryIO | None = None
        if sys.stdout is not None:  # it is None where the process was started with its stdout closed
            self.is_terminal = sys.stdout.isatty()
            self._encoding = sys.stdout.encoding if self.is_terminal else "utf-8"
            self._file = sys.stdout.buffer

    @property
    def columns(self) -> int:
        """How wide the terminal is."""
        return shutil.get_terminal_size().columns

    def write(self, text: str) -> None:
        """Text, as it is in a pipe; on a terminal what would steer it is made visible."""
        text = without_controls(text) if self.is_terminal else text
        self.write_bytes(text.encode(self._encoding, "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Bytes, as they are. Raises: BrokenPipeError, or another OSError, where they cannot be written."""
        if self._file is None:
            return
        rest = memoryview(data)
        while rest:  # where Python's buffers are off (python -u), a write may take a part only
            rest = rest[self._file.write(rest) :]
        self._file.flush()
