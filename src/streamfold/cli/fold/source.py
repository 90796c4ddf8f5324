"""The bytes of a file or of stdin, in chunks, unpacked where they are gzip.

In      a path, or `-` for stdin
Out     chunks of at most CHUNK_BYTES; never the whole file
Units   bytes; `position` and `size` count them as they stand in the file, packed or not
Errors  Failure for what cannot be opened, read or unpacked, after all that could be
Source  RFC 1952 for the two bytes that every gzip member begins with
"""

import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from typing import cast

from streamfold.cli.failure import Failure
from streamfold.cli.fold.gzip import GZIP_MAGIC, unpacked

__all__ = ["CHUNK_BYTES", "DEFAULT_MAX_BYTES", "STDIN", "Source", "open_source"]

CHUNK_BYTES = 64 * 1024
DEFAULT_MAX_BYTES = 4 * 1024**3
STDIN = "-"

REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "a directory, not a file",
    PermissionError: "no permission to read it",
}


class Source:
    """Something that is read from its beginning to its end, once.

    size: bytes in all, or None where that is not known. position: bytes read so far.
    """

    def __init__(self, read: Callable[[int], bytes], *, size: int | None = None) -> None:
        self._read = read
        self.size = size
        self.position: int = 0

    def chunks(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[bytes]:
        """The chunks, unpacked. max_bytes: the most that a gzip file may unpack to.

        Raises: Failure where reading or unpacking fails; what came before was given.
        """
        chunks = self._chunks()
        first = b""
        for chunk in chunks:
            first += chunk
            if len(first) >= len(GZIP_MAGIC):
                break
        rest = _chain(first, chunks)
        return unpacked(rest, max_bytes=max_bytes) if first.startswith(GZIP_MAGIC) else rest

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                chunk = self._read(CHUNK_BYTES)
            except OSError as error:
                raise Failure(_reason(error)) from error
            if not chunk:
                return
            self.position += len(chunk)
            yield chunk


@contextmanager
def open_source(path: str) -> Generator[Source, None, None]:
    """The Source at this path, closed at the end.

    Raises: Failure if it cannot be opened.
    """
    if path == STDIN:
        if sys.stdin is None:
            raise Failure("it is closed")
        yield Source(cast(BufferedReader, sys.stdin.buffer).read1)  # read1: what a slow producer wrote, at once
        return
    with _open(path) as file:
        about = os.fstat(file.fileno())
        yield Source(file.read, size=about.st_size if stat.S_ISREG(about.st_mode) else None)


def _open(path: str) -> FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise Failure(_reason(error)) from error


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _reason(error: OSError) -> str:
    return REASONS.get(type(error), error.strerror or str(error))
