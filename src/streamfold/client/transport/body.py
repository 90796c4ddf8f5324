"""The body of a reply, as every transport delivers it: read once, content-decoded, and closable in the middle.

We ask for `identity`, but a proxy may compress anyway (RFC 9110, 8.4.1). A few compressed bytes can expand to a
thousand times as many, so one chunk is delivered in pieces of at most PIECE_BYTES: memory stays bounded, whatever
chain of encodings the sender used. An encoding that we cannot bound is refused.
"""

import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from types import AsyncGeneratorType
from typing import cast

from streamfold.errors import ProtocolViolation, UsageError

PIECE_BYTES = 256 * 1024
MAX_ENCODINGS = 4  # each holds a window of 32 KiB, and nobody has a reason for two
GZIP, ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
FORMATS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
PLAIN = frozenset({"", "identity", "none"})  # "none" is what people set so that a middleware leaves a stream alone
GZIP_START = b"\x1f"


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
        self._chunks = read() if is_plain(encoding) else _decoded(read(), ContentDecoder(encoding))
        return self._chunks

    @property
    def is_being_read(self) -> bool:
        """Whether a task waits for the next chunk at this moment: a running generator cannot be closed."""
        return self._chunks is not None and cast(AsyncGeneratorType[bytes, None], self._chunks).ag_running

    async def aclose(self) -> None:
        """Close the generator, unless another task is reading from it: then that read must be ended first."""
        self._read = None
        if self._chunks is not None and not self.is_being_read:
            await self._chunks.aclose()


async def _decoded(chunks: AsyncGenerator[bytes, None], decoder: "ContentDecoder") -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            for piece in decoder.decode(chunk):
                yield piece
    finally:
        await chunks.aclose()


def join_header(headers: dict[str, str], name: bytes, value: bytes) -> None:
    """Add a header as it came: the name in lower case, values of one name joined by commas."""
    key, text = name.decode("latin-1").lower(), value.decode("latin-1")
    headers[key] = f"{headers[key]}, {text}" if key in headers else text


def is_plain(encoding: str) -> bool:
    """Whether a content-encoding header means that the bytes are not encoded."""
    return not _names(encoding)


def _names(encoding: str) -> list[str]:
    return [name for each in encoding.split(",") if (name := each.strip().lower()) not in PLAIN]


# How decoding stays bounded. zlib is asked for at most PIECE_BYTES at a time, and keeps what it did not read in
# `unconsumed_tail`. Each stage of a chain is a generator over the pieces of the stage before it, so a stage makes its next
# piece only when the stage after it has used up the last one. Whatever the sender compressed, memory holds one piece for
# each stage. The reader takes each piece before the next exists, so a limit such as `max_body_bytes` strikes in time.


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
        if len(names) > MAX_ENCODINGS or not all(name in FORMATS for name in names):
            raise ProtocolViolation(f"the server sent content-encoding {encoding!r}, which was not requested")
        self._stages = [_Inflater(name) for name in reversed(names)]  # the header lists them as they were applied

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces that a chunk completes, none longer than PIECE_BYTES.

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
        self._inflate = zlib.decompressobj(FORMATS[name])
        self._has_begun = False

    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for rest in chunks:
            piece = b""
            while rest or len(piece) == PIECE_BYTES:  # after a full piece, zlib itself may hold more
                piece = self._piece(rest)
                if piece:
                    yield piece
                rest = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    rest = self._next_member()

    def _piece(self, data: bytes) -> bytes:
        try:
            piece = self._inflate.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            if self._name != "deflate" or self._has_begun:
                raise ProtocolViolation(f"the body is not valid {self._name}: {error}") from error
            # `deflate` means zlib's format, but some servers send it without zlib's header.
            self._inflate = zlib.decompressobj(RAW)
            self._has_begun = True
            return self._piece(data)
        self._has_begun = self._has_begun or bool(piece)
        return piece

    def _next_member(self) -> bytes:
        """A gzip body may hold several members, one after the other. Padding after the last one is ignored."""
        rest = self._inflate.unused_data
        if not rest.startswith(GZIP_START) or self._name == "deflate":
            return b""
        self._inflate = zlib.decompressobj(GZIP)
        return rest
