"""The bytes of a file or of stdin in chunks, unpacked if they are gzip; and a description of bytes that hold no events.

Never more than a chunk is in memory. A gzip file may have several members (RFC 1952); everything that unpacks before
it breaks is given first.
"""

import os
import re
import stat
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from itertools import chain
from typing import Any, cast

from msgspec import DecodeError
from msgspec.json import decode

from streamfold.cli.options import DEFAULT_MAX_BYTES, STDIN
from streamfold.cli.terminal import Failure
from streamfold.errors import FrameTooLarge

CHUNK_BYTES = 64 * 1024
MIN_BAR_BYTES = 8 * 1024 * 1024  # a smaller file is read in a tenth of a second
HEAD_BYTES = 1024 * 1024  # kept to describe a file without events; a JSON body is read whole up to here
REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "a directory, not a file",
    PermissionError: "no permission to read it",
}


def os_reason(error: OSError) -> str:
    """Say why a file cannot be read."""
    return REASONS.get(type(error), error.strerror or str(error))


class ByteSource:
    """Something that is read once, from start to end.

    Attributes:
        size: Bytes in all; None if unknown.
        position: Bytes read so far, as they are in the file, packed or not.
        head: The first bytes that a task was given, for `describe`.
    """

    def __init__(self, read: Callable[[int], bytes], *, size: int | None = None, descriptor: int | None = None) -> None:
        self._read = read
        self._descriptor = descriptor
        self.size = size
        self.position: int = 0
        self.head: bytes = b""

    def chunks(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[bytes]:
        """Yield the chunks, unpacked. Raises a Failure if a gzip file unpacks to more than `max_bytes`."""
        chunks = self._chunks()
        first = b""
        for chunk in chunks:
            first += chunk
            if len(first) >= len(GZIP_MAGIC):
                break
        rest = chain((first,) if first else (), chunks)
        yield from unpacked(rest, max_bytes=max_bytes) if first.startswith(GZIP_MAGIC) else rest

    def chunks_with_bar(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[bytes]:
        """Yield the same chunks, with a progress bar on stderr if the file is large and stderr is a terminal."""
        chunks = self.chunks(max_bytes=max_bytes)
        return chunks if self.size is None or self.size < MIN_BAR_BYTES else self._with_bar(chunks)

    def _with_bar(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

        from streamfold.cli.output.console import progress_bar

        bar = progress_bar(BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
        if bar is None:
            yield from chunks
            return
        with bar:
            task = bar.add_task("", total=self.size)
            for chunk in chunks:
                bar.update(task, completed=self.position)
                yield chunk

    async def chunks_for_task(self, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the same chunks to a task.

        Reading a pipe blocks the event loop, and a signal does not end the read. So this waits until bytes are there.
        """
        from anyio import wait_readable

        chunks = self.chunks_with_bar(max_bytes=max_bytes)
        while True:
            if self._descriptor is not None:
                await wait_readable(self._descriptor)
            chunk = next(chunks, None)
            if chunk is None:
                return
            if len(self.head) < HEAD_BYTES:
                self.head += chunk[: HEAD_BYTES - len(self.head)]
            yield chunk

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                chunk = self._read(CHUNK_BYTES)
            except OSError as error:
                raise Failure(os_reason(error)) from error
            if not chunk:
                return
            self.position += len(chunk)
            yield chunk


@contextmanager
def open_source(path: str) -> Generator[ByteSource, None, None]:
    """Open the file at this path, or stdin for `-`, and close it at the end."""
    if path == STDIN:
        if sys.stdin is None:
            raise Failure("it is closed")
        read = cast(BufferedReader, sys.stdin.buffer).read1  # read1: what a slow producer wrote, at once
        yield ByteSource(read, descriptor=_waitable_stdin())
        return
    with _open(path) as file:
        about = os.fstat(file.fileno())
        yield ByteSource(file.read, size=about.st_size if stat.S_ISREG(about.st_mode) else None)


def _open(path: str) -> FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise Failure(os_reason(error)) from error


def _waitable_stdin() -> int | None:
    """The descriptor of stdin if an event loop can wait for it: a pipe, a socket or a terminal, but not a file."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
        can_wait = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
        return descriptor if can_wait else None
    except (OSError, ValueError):  # not a descriptor of the system
        return None


# Gzip

GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 16 + zlib.MAX_WBITS
MAX_OUTPUT = 64 * 1024


def unpacked(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """Yield what was packed, at most MAX_OUTPUT bytes at a time."""
    given = 0
    for data in _unpacked(chunks):
        given += len(data)
        if given > max_bytes:
            raise Failure(
                f"the gzip file unpacks to more than {max_bytes:,} bytes; if that is right, raise --max-bytes"
            )
        yield data


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(GZIP_FORMAT)
    for chunk in chunks:
        while chunk:
            if unpacker.eof:
                chunk = chunk.lstrip(b"\0")  # padding after a member, as on tapes
                if not chunk:
                    break
                unpacker = zlib.decompressobj(GZIP_FORMAT)
            spare = unpacker.copy()
            try:
                data = unpacker.decompress(chunk, MAX_OUTPUT)
            except zlib.error as error:
                yield from _before_the_error(spare, chunk)
                raise Failure("the gzip file is corrupt") from error
            yield data
            chunk = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise Failure("the gzip file is truncated")


def _before_the_error(unpacker: Any, chunk: bytes) -> Iterator[bytes]:
    """What still unpacks: zlib returns nothing from a call that fails, so this makes one call per byte."""
    for place in range(len(chunk)):
        try:
            data = unpacker.decompress(chunk[place : place + 1])
        except zlib.error:
            return
        yield data


# Files without events

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_WORDS = 200  # characters of a server's own words
HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
FIELD = re.compile(rb"^(?::|(?:data|event|id|retry):)", re.MULTILINE)
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def describe(head: bytes) -> str:
    """Say what bytes that held no event are, such as "an HTML page (502 Bad Gateway), not an event stream"."""
    text = head.removeprefix(BYTE_ORDER_MARK).strip()
    if not text:
        return "empty: there is nothing to fold"
    if HTML.match(text):
        title = TITLE.search(text)
        return f"an HTML page{_in_brackets(title and title[1].decode(errors='replace'))}, not an event stream"
    if text[:1] in b"{[":
        return _describe_json(text)
    if BINARY.search(text) or not _is_utf8(text):
        return "binary data, not an event stream"
    if FIELD.search(text):
        return "an event stream without events"
    return "text, not an event stream"


def too_large(error: FrameTooLarge) -> str:
    """Say that a frame exceeds the limit."""
    return f"one frame is larger than {error.limit_bytes:,} bytes; if that is right, raise --max-frame-bytes"


def _describe_json(text: bytes) -> str:
    try:
        body = decode(text, type=dict[str, Any])
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return "JSON but not one object, not an event stream"
    if body.get("object") == "response":
        return f"a whole Response as JSON{_in_brackets(body.get('status'))}, not an event stream"
    words = body.get("error") or body.get("detail") or body.get("message")
    if not words:
        return "a JSON body, not an event stream"
    return f"a JSON error body{_in_brackets(_words(words))}, not an event stream"


def _words(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    fields = cast(dict[str, object], error)
    said = (fields.get("code") or fields.get("type"), fields.get("message"))
    return ": ".join(str(each) for each in said if each)


def _in_brackets(words: object) -> str:
    short = " ".join(str(words or "").split())[:MAX_WORDS]
    return f" ({short})" if short else ""


def _is_utf8(text: bytes) -> bool:
    try:
        text[:-4].decode()  # the last character may be cut
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
