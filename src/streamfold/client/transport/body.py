"""The body of a reply, as every transport delivers it: read once, content-decoded, and closable in the middle.

We ask for `identity`, but a proxy may compress anyway (RFC 9110, 8.4.1). A few compressed bytes can expand to a
thousand times as many, so one chunk is delivered in pieces of at most PIECE_BYTES, and other tasks run between two
pieces: memory and the event loop stay free, whatever chain of encodings the sender used. An encoding that we cannot
bound is refused.
"""

import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from types import AsyncGeneratorType
from typing import cast

import anyio

from streamfold.client.transport.timing import ABORTED
from streamfold.errors import Disconnected, ProtocolViolation, UsageError

PIECE_BYTES = 256 * 1024
MAX_ENCODINGS = 4  # each holds a window of 32 KiB, and nobody has a reason for two
MAX_TRAILING_BYTES = 64 * 1024  # after the end of the compressed data, where padding is allowed
GZIP, ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
DECODED = frozenset({"gzip", "x-gzip", "deflate"})
# The other content codings that IANA knows. Any other name, such as `none` or `aws-chunked`, does not stand for a coding:
# people set it so that a middleware leaves a stream alone, or by mistake, and the bytes are as they are.
REFUSED = frozenset({"aes128gcm", "br", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "zstd"})
GZIP_START = b"\x1f"
SHOWN_CHARACTERS = 100


class ReplyBody:
    """One body: `chunks()` once, `aclose()` in the middle or at the end.

    The generator that `read` makes is the one the reader iterates: nothing stands between them unless the body is
    compressed, so a transport pays nothing per chunk for what it shares.

    Args:
        read: Makes the generator of the body's bytes as they came; called when the body is first asked for.
    """

    def __init__(self, read: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        self._read: Callable[[], AsyncGenerator[bytes, None]] | None = read
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._is_ended = False

    def chunks(self, encoding: str = "") -> AsyncGenerator[bytes, None]:
        """The body, decoded as its content-encoding header says.

        Raises:
            UsageError: It was called before.
            ProtocolViolation: We did not ask for this encoding and cannot decode it.
        """
        if self._read is None:
            raise UsageError("chunks() was called before; a reply is read once")
        # Dropped here: it is the reply's own method, and a circle would keep both until the next garbage collection.
        read, self._read = self._read, None
        self._chunks = read() if is_plain(encoding) else self._decoded(read(), ContentDecoder(encoding))
        return self._chunks

    async def _decoded(
        self, chunks: AsyncGenerator[bytes, None], decoder: "ContentDecoder"
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in chunks:
                for place, piece in enumerate(decoder.decode(chunk)):
                    if place:  # a chunk may hold hours of work, and the next piece needs no wait for the network
                        await anyio.lowlevel.checkpoint()
                        if self._is_ended:
                            raise Disconnected(ABORTED)
                    if piece:
                        yield piece
        finally:
            await chunks.aclose()

    @property
    def is_being_read(self) -> bool:
        """Whether a task waits for the next chunk at this moment: a running generator cannot be closed."""
        return self._chunks is not None and cast(AsyncGeneratorType[bytes, None], self._chunks).ag_running

    def end(self) -> None:
        """End a read that is decoding. One that waits for the network is the transport's to end."""
        self._is_ended = True

    async def aclose(self) -> None:
        """Close the generator, unless another task is reading from it: then that read must be ended first."""
        self._read = None
        self.end()
        if self._chunks is not None and not self.is_being_read:
            await self._chunks.aclose()


def join_header(headers: dict[str, str], name: bytes, value: bytes) -> None:
    """Add a header as it came: the name in lower case, values of one name joined by commas."""
    key, text = name.decode("latin-1").lower(), value.decode("latin-1")
    headers[key] = f"{headers[key]}, {text}" if key in headers else text


def is_plain(encoding: str) -> bool:
    """Whether a content-encoding header means that the bytes are not encoded."""
    return not _names(encoding)


def _names(encoding: str) -> list[str]:
    """The codings in a header, in the order in which they were applied."""
    return [name for each in encoding.split(",") if (name := each.strip().lower()) in DECODED | REFUSED]


# How decoding stays bounded. zlib is asked for at most PIECE_BYTES at a time, and keeps what it did not read in
# `unconsumed_tail`. Each stage of a chain is a generator over the pieces of the stage before it, so a stage makes its next
# piece only when the stage after it has used up the last one. Whatever the sender compressed, memory holds one piece for
# each stage. The reader takes each piece before the next exists, so a limit such as `max_body_bytes` strikes in time.
#
# A step that gives nothing (an empty member of gzip, a stored block of no bytes) is an empty piece, passed through all
# stages: a chain could otherwise work on a few kilobytes for hours before it gives anything, and nobody else would run.
#
# A body that ends inside its compressed data is accepted: servers that flush each event often never finish the data,
# and all that was flushed is whole. Whether the content is, the content shows: a terminal event, or the end of the JSON.


class ContentDecoder:
    """Feed it the chunks of one body, get what they decode to.

    Each chunk gives all that it completes, so that a flushed event is not held back.

    Args:
        encoding: The content-encoding header: gzip, deflate, or a chain of them.

    Raises:
        ProtocolViolation: The header names another encoding, or too many.
    """

    def __init__(self, encoding: str) -> None:
        names = _names(encoding)
        if len(names) > MAX_ENCODINGS or not DECODED.issuperset(names):
            shown = encoding[:SHOWN_CHARACTERS]
            raise ProtocolViolation(f"the server sent content-encoding {shown!r}, which was not requested")
        self._stages = [_Inflater(name) for name in reversed(names)]  # the header lists them as they were applied

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces that a chunk completes, none longer than PIECE_BYTES. An empty one stands for a step without result.

        Raises:
            ProtocolViolation: The bytes are not in this encoding; raised after every piece before the fault.
        """
        pieces: Iterator[bytes] = iter((chunk,))
        for stage in self._stages:  # lazily: a piece goes through all stages before the next one is made
            pieces = stage.decode(pieces)
        return pieces


class _Inflater:
    """Undoes one encoding."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_gzip = name != "deflate"
        self._inflate = zlib.decompressobj(GZIP) if self._is_gzip else None  # deflate's format shows in two bytes
        self._held = b""
        self._trailing = 0

    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for rest in chunks:
            piece, rest = self._step(rest)
            yield piece
            while rest or len(piece) == PIECE_BYTES:  # after a full piece, zlib itself may hold more
                piece, rest = self._step(rest)
                yield piece

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        """One piece, and the bytes that are left."""
        if self._inflate is None:
            self._held += data
            if len(self._held) < 2:
                return b"", b""
            data, self._inflate = self._held, zlib.decompressobj(ZLIB if _is_zlib(self._held) else RAW)
        elif self._inflate.eof and not self._begins_member(data):
            return b"", b""
        try:
            piece = self._inflate.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise ProtocolViolation(f"the body is not valid {self._name}: {error}") from error
        return piece, self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _begins_member(self, data: bytes) -> bool:
        """Whether another member of a gzip body begins. What else follows the last one, such as padding, is ignored."""
        if self._is_gzip and data.startswith(GZIP_START):
            self._inflate, self._trailing = zlib.decompressobj(GZIP), 0
            return True
        self._trailing += len(data)
        if self._trailing > MAX_TRAILING_BYTES:
            raise ProtocolViolation(f"more than {MAX_TRAILING_BYTES:,} bytes follow the {self._name} data")
        return False


def _is_zlib(start: bytes) -> bool:
    """Whether deflate's data begins with zlib's header (RFC 1950), which it should; some servers leave it out."""
    return start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
