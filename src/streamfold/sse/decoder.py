"""From chunks cut anywhere to whole frames, by the rules of the WHATWG standard (HTML, 9.2.5 and 9.2.6)."""

from streamfold.errors import FrameTooLarge, UsageError
from streamfold.sse.frame import MAX_RETRY_DIGITS, Frame

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""The default limit for one frame, everywhere in streamfold: 64 MiB."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Theory of operation. Bytes go through three steps: `_unify` drops the byte order mark and makes every line end an LF;
# `_end_blocks` cuts the text at blank lines and holds what follows the last one; `_read` parses whole blocks.
#
# Two facts must survive a cut between chunks. A CR ends a line at once, so an LF that begins the next chunk belongs to
# it (`_is_after_cr`). An LF at the end of a chunk may or may not be followed by a second one that ends the block
# (`_line_end`); it is not counted as part of the block, so the limit is reached at the same byte however the stream is
# cut. Only new bytes are searched and the held block grows in place, so the work is linear in the bytes.


class FrameDecoder:
    """Feed it chunks, get the frames that they complete. A frame is returned as soon as its blank line has arrived.

    The decoder never holds more than one unfinished block. If a block exceeds the limit, `feed` first returns the
    frames that came before it in the same chunk; the next call, and every later one, raises FrameTooLarge.

    Args:
        max_frame_bytes: The limit for one block, including its comments and unknown fields, at least 1.
        tolerant: Let `close` end an unfinished last block as a blank line would. The standard drops it.

    Attributes:
        strays: The blocks of the last `feed` or `close` that have no data and begin with `{`. They are not part of
            the stream: a server that fails may write bare JSON into it.

    Raises:
        UsageError: The limit is below one byte.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES, tolerant: bool = False) -> None:
        if max_frame_bytes < 1:
            raise UsageError(f"max_frame_bytes is {max_frame_bytes}; it must be at least 1")
        self._max_frame_bytes = max_frame_bytes
        self._is_tolerant = tolerant
        self._is_closed = False
        self._is_failed = False
        self._opening: bytes | None = b""  # what may still become the byte order mark; None once that is known
        self._is_after_cr = False
        self._held: bytearray = bytearray()  # the unfinished block, without the end of its last line
        self._line_end = b""  # that end: an LF waits here until the next byte shows whether a blank line follows
        self._last_event_id = b""
        self._reconnection_milliseconds: int | None = None
        self.strays: list[bytes] = []

    @property
    def last_event_id(self) -> bytes:
        """The id to send when reconnecting, as of the last blank line."""
        return self._last_event_id

    @property
    def reconnection_milliseconds(self) -> int | None:
        """The value of the last valid `retry:` line, or None. It counts as soon as its line has ended.

        Each access reads the unfinished block again, so use it when you reconnect, not for every chunk.
        """
        ended = self._held if self._line_end else self._held.rpartition(b"\n")[0]
        retry = read_block(bytes(ended))[3]
        return self._reconnection_milliseconds if retry is None else retry

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte begins a new block, so that a caller may parse from here by itself.

        False while part of a block is held, while a CR may be followed by its LF, before the first byte (a byte order
        mark would have to be dropped), after a failure, and after `close`.
        """
        is_over = self._is_failed or self._is_closed
        return not self._held and not self._is_after_cr and self._opening is None and not is_over

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Frame]:
        """Return the frames that this chunk completes, in order; often none.

        Raises:
            FrameTooLarge: A block exceeds the limit.
            UsageError: The decoder is closed.
        """
        if self._is_closed:
            raise UsageError("feed after close; create a new FrameDecoder for the next stream")
        self._raise_if_failed()
        frames = self._read(self._end_blocks(self._unify(bytes(chunk))))
        if self._is_failed or len(self._held) > self._max_frame_bytes:
            self._is_failed = True
            self._held.clear()
        if not frames:
            self._raise_if_failed()
        return frames

    def close(self) -> list[Frame]:
        """Return the frame in an unfinished last block if tolerant; otherwise, and at a second call, nothing.

        Raises:
            FrameTooLarge: The decoder has failed before.
        """
        self._raise_if_failed()
        self._is_closed = True
        return self._read(self._end_blocks(b"\n\n") if self._is_tolerant else [])

    def _raise_if_failed(self) -> None:
        if self._is_failed:
            raise FrameTooLarge(self._max_frame_bytes)

    def _unify(self, chunk: bytes) -> bytes:
        """The chunk without the byte order mark, and with LF for every line end."""
        if self._opening is not None:
            chunk = self._drop_mark(self._opening + chunk)
        if self._is_after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._is_after_cr = False
        if b"\r" in chunk:
            self._is_after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _drop_mark(self, opening: bytes) -> bytes:
        if len(opening) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(opening):
            self._opening = opening
            return b""
        self._opening = None
        return opening.removeprefix(BYTE_ORDER_MARK)

    def _end_blocks(self, text: bytes) -> list[bytes]:
        """The blocks that a blank line in `text` ends; what follows the last one is held."""
        text = self._line_end + text if self._held else text.lstrip(b"\n")
        blocks = text.split(b"\n\n") if b"\n" in text else [text]
        self._held += blocks[0]
        if len(blocks) > 1:
            blocks[0] = bytes(self._held)
            self._held = bytearray(blocks[-1].lstrip(b"\n"))
        blocks.pop()
        self._line_end = b"\n" if self._held.endswith(b"\n") else b""
        if self._line_end:
            self._held.pop()
        return blocks

    def _read(self, blocks: list[bytes]) -> list[Frame]:
        """The frames of whole blocks, up to the first that is too large."""
        frames: list[Frame] = []
        self.strays = []
        for block in blocks:
            block = block.lstrip(b"\n")  # three line ends are two blank lines, and the second ends nothing
            if len(block) > self._max_frame_bytes:
                self._is_failed = True
                break
            event, data, own_id, retry = read_block(block)
            if own_id is not None:
                self._last_event_id = own_id
            if retry is not None:
                self._reconnection_milliseconds = retry
            if data:
                frames.append(Frame(event, b"\n".join(data), self._last_event_id, retry))
            elif block.startswith(b"{"):
                self.strays.append(block)
        return frames


def read_block(block: bytes) -> tuple[bytes, list[bytes], bytes | None, int | None]:
    """The fields of a block with LF line ends: event, the data lines, id and retry; None for what is missing.

    Invalid lines are ignored. A comment is a field without a name.
    """
    event, own_id, retry = b"", None, None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
        elif name == b"id" and b"\0" not in value:
            own_id = value
        elif name == b"retry" and value.isdigit():
            retry = read_milliseconds(value, instead=retry)
    return event, data, own_id, retry


def read_milliseconds(digits: bytes, *, instead: int | None) -> int | None:
    """The number in these digits; `instead` if there are more than MAX_RETRY_DIGITS."""
    digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= MAX_RETRY_DIGITS else instead
