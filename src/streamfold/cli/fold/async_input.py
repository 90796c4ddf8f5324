"""The chunks of a file or of stdin for a task: while nothing comes, Ctrl-C is heard.

In      a path, or `-` for stdin
Out     chunks, unpacked where they are gzip
Units   bytes
Errors  Failure for what cannot be opened, read or unpacked
Source  docs/reference/cli.md

A read of a pipe lets no task run, and takes a signal for no reason to end: so a task waits until there is something.
"""

import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from anyio import wait_readable

from streamfold.cli.fold.progress import with_progress
from streamfold.cli.fold.sniff import HEAD_BYTES
from streamfold.cli.fold.source import STDIN, Source, open_source

__all__ = ["Arrival", "open_arrival"]


class Arrival:
    """Iterate it for the chunks. head: the first bytes, to say what it is where it is no stream."""

    def __init__(self, source: Source, *, max_bytes: int, descriptor: int | None) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._descriptor = descriptor
        self._chunks: Iterator[bytes] | None = None
        self.head: bytes = b""

    def __aiter__(self) -> "Arrival":
        return self

    async def __anext__(self) -> bytes:
        if self._descriptor is not None:
            await wait_readable(self._descriptor)
        if self._chunks is None:
            self._chunks = with_progress(self._source, self._source.chunks(max_bytes=self._max_bytes))
        chunk = next(self._chunks, None)
        if chunk is None:
            raise StopAsyncIteration
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        return chunk


@contextmanager
def open_arrival(path: str, *, max_bytes: int) -> Generator[Arrival]:
    """The chunks of what is at this path, closed at the end. max_bytes: the most that a gzip file may unpack to.

    Raises: Failure if it cannot be opened.
    """
    with open_source(path) as source:
        yield Arrival(source, max_bytes=max_bytes, descriptor=_waited_for() if path == STDIN else None)


def _waited_for() -> int | None:
    """The descriptor of stdin, where an event loop can wait for it: for a pipe, a socket or a terminal, not for a file."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
        can_wait = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
        return descriptor if can_wait else None
    except (OSError, ValueError):  # it is none of the system's
        return None
