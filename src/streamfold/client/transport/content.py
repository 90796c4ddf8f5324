"""Undo a reply's content encoding, in pieces of bounded size.

In      chunks of a body in gzip or deflate, cut anywhere
Out     what they decode to; each chunk gives all that it completes, so that a flushed event is not held back
Units   bytes
Errors  ProtocolViolation for bytes that are no such encoding
Source  RFC 9110, 8.4.1

We ask for `identity`; a proxy may compress all the same. A few bytes can stand for many thousand times as many, so
that one chunk is given out in pieces: what is held never grows with what the sender claims.
"""

import zlib
from collections.abc import Iterator

from streamfold.errors import ProtocolViolation

__all__ = ["ContentDecoder", "is_plain"]

PIECE_BYTES = 256 * 1024
GZIP, ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
FORMATS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
GZIP_START = b"\x1f"


def is_plain(encoding: str) -> bool:
    """Whether a content-encoding header means that the bytes are what they are."""
    return encoding.strip().lower() in ("", "identity")


class ContentDecoder:
    """Feed it the chunks of one body, get what they decode to.

    encoding: the content-encoding header, one of those in FORMATS.
    Raises: ProtocolViolation for an encoding that was not asked for and is not known.
    """

    def __init__(self, encoding: str) -> None:
        self._name = encoding.strip().lower()
        if self._name not in FORMATS:
            raise ProtocolViolation(f"content-encoding {encoding!r} was not asked for")
        self._inflate = zlib.decompressobj(FORMATS[self._name])
        self._has_begun = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces that a chunk completes, none longer than PIECE_BYTES.

        Raises: ProtocolViolation, after every piece before the fault.
        """
        rest, piece = chunk, b""
        while rest or len(piece) == PIECE_BYTES:  # a full piece may have left more behind, inside zlib
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
                raise ProtocolViolation(f"the body is no {self._name}: {error}") from error
            # `deflate` means zlib's format; some servers send it without zlib's head.
            self._inflate = zlib.decompressobj(RAW)
            self._has_begun = True
            return self._piece(data)
        self._has_begun = self._has_begun or bool(piece)
        return piece

    def _next_member(self) -> bytes:
        """A gzip body may be several, one behind the other. Padding behind the last is nothing."""
        rest = self._inflate.unused_data
        if not rest.startswith(GZIP_START) or self._name == "deflate":
            return b""
        self._inflate = zlib.decompressobj(GZIP)
        return rest
