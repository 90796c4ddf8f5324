"""From chunks cut anywhere to whole frames, by the rules of the WHATWG standard.

In      chunks of bytes
Out     the frames whose blank line has come; FrameTooLarge for a block beyond the limit; UsageError after the end
Units   bytes; a block is counted from its first byte to the end of its last line, the line ends between as one each
Source  WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6; the laws in tests/sse/test_conformance.py
"""

from streamfold.errors import FrameTooLarge, UsageError
from streamfold.sse.frame import MAX_RETRY_DIGITS, Frame

__all__ = ["FrameDecoder"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FrameDecoder:
    """Feed it chunks, get the frames that they complete; a frame is given as soon as its blank line is known.

    It never holds more than one unfinished block, of at most `max_frame_bytes`; comments and unknown fields count.
    The first byte beyond raises FrameTooLarge, at the same byte however the stream is cut. Where frames came before
    it in the same chunk, `feed` returns those, and the next call raises. The failed decoder raises at every call.

    tolerant: `close` ends an unfinished block as a blank line would; the standard drops it.
    Raises: UsageError for a limit below one byte.
    """

    def __init__(self, *, max_frame_bytes: int = 64 * 1024 * 1024, tolerant: bool = False) -> None:
        if max_frame_bytes < 1:
            raise UsageError(f"max_frame_bytes is {max_frame_bytes}; give at least 1")
        self._max_frame_bytes = max_frame_bytes
        self._is_tolerant = tolerant
        self._is_closed = False
        self._is_failed = False
        self._opening: bytes | None = b""  # what may yet become the stream's mark; None once that is known
        self._is_after_cr = False
        self._held: bytearray = bytearray()  # the unfinished block, without the end of its last line
        self._line_end = b""  # that end: an LF waits here, for the next byte says whether a blank line follows
        self._last_event_id = b""
        self._reconnection_milliseconds: int | None = None

    @property
    def last_event_id(self) -> bytes:
        """The id that a reconnection sends, as of the last blank line."""
        return self._last_event_id

    @property
    def reconnection_milliseconds(self) -> int | None:
        """What the last valid retry line asks for, or None. It counts once its line has ended, before its block has.

        The unfinished block is read again at each call: ask when reconnecting, not at every chunk.
        """
        ended = self._held if self._line_end else self._held.rpartition(b"\n")[0]
        retry = read_block(bytes(ended))[3]
        return self._reconnection_milliseconds if retry is None else retry

    @property
    def is_between_frames(self) -> bool:
        """Whether a caller may parse from here by itself.

        True when nothing of an unfinished block is held, no CR waits for its LF, and the stream has begun: before
        its first byte it is False, since a byte order mark would have to be dropped. False after a failure or the end.
        """
        is_over = self._is_failed or self._is_closed
        return not self._held and not self._is_after_cr and self._opening is None and not is_over

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Frame]:
        """The frames that this chunk completes, in order; often none.

        Raises: FrameTooLarge when a block is beyond the limit; UsageError after `close`.
        """
        if self._is_closed:
            raise UsageError("feed after close; make a new FrameDecoder for the next stream")
        self._raise_if_failed()
        frames = self._read(self._end_blocks(self._unify(bytes(chunk))))
        if self._is_failed or len(self._held) > self._max_frame_bytes:
            self._is_failed = True
            self._held.clear()
        if not frames:
            self._raise_if_failed()
        return frames

    def close(self) -> list[Frame]:
        """What an unfinished last block holds, if tolerant; else nothing. A second call gives nothing.

        Raises: FrameTooLarge if the decoder has failed.
        """
        self._raise_if_failed()
        self._is_closed = True
        return self._read(self._end_blocks(b"\n\n")) if self._is_tolerant else []

    def _raise_if_failed(self) -> None:
        if self._is_failed:
            raise FrameTooLarge(self._max_frame_bytes)

    def _unify(self, chunk: bytes) -> bytes:
        """The chunk without the stream's mark, each line end an LF. A CR is one at once; an LF after it is dropped."""
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
        """The blocks that a blank line in `text` ends; what follows the last of them is held.

        Only new bytes are searched, and a bytearray grows in place: each byte is looked at a fixed number of times.
        """
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
        for block in blocks:
            block = block.lstrip(b"\n")  # three line ends are two blank lines: the second ends nothing
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
        return frames


def read_block(block: bytes) -> tuple[bytes, list[bytes], bytes | None, int | None]:
    """The fields of a block whose line ends are LF: event, the data lines, id and retry; None where not given.

    Never raises: a line that says nothing valid is ignored. A comment is a field without a name.
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
    """The number of the digits; `instead` where it has more than MAX_RETRY_DIGITS."""
    digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= MAX_RETRY_DIGITS else instead
