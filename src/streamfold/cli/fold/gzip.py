"""Gzip, unpacked as it is read: one member or several, never more at a time than a chunk.

In      chunks of gzip, cut anywhere
Out     chunks of what was packed
Units   bytes; MAX_OUTPUT bounds one chunk, `max_bytes` all of them
Errors  Failure for a file that is cut off, corrupt or unpacks to too much; all that is whole before it is given
Source  RFC 1952
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from streamfold.cli.failure import Failure

__all__ = ["GZIP_MAGIC", "unpacked"]

GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 16 + zlib.MAX_WBITS
MAX_OUTPUT = 64 * 1024


class Unpacker(Protocol):
    """What zlib.decompressobj gives; its type has no public name."""

    def decompress(self, data: bytes, /) -> bytes:
        """What the bytes unpack to."""
        ...


def unpacked(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """What was packed. max_bytes: the most that may come out.

    Raises: Failure as the header says.
    """
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
                chunk = chunk.lstrip(b"\0")  # padding after a member, as tapes have it
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
        raise Failure("the gzip file is cut off")


def _before_the_error(unpacker: Unpacker, chunk: bytes) -> Iterator[bytes]:
    """What still unpacks: zlib gives nothing of a call that fails, so here each byte is a call."""
    for place in range(len(chunk)):
        try:
            data = unpacker.decompress(chunk[place : place + 1])
        except zlib.error:
            return
        yield data
