"""Bytes to events in one pass: the fast way over frames and their decoding.

In      chunks of a Responses stream, cut anywhere
Out     events, in order; what each came from is in `payloads`
Units   bytes
Errors  FrameTooLarge from a block beyond the limit; UsageError after close
Source  docs/explanation/reader.md has the measurements

`FrameDecoder` is the truth for every stream. Three shapes of stream go past it, faster:
one whole frame in a chunk (a server that writes and flushes each event) is cut out by three searches; many frames in
a chunk (a fast server, a file, a log) are split where the next one begins as the last one did, or else cut out by one
regular expression, and decoded by one loop in C; and frames that end in CR LF become such frames first. A frame is of
that shape when it is one `data:` line, with or without an `event:` line before it. Whatever is not (comments, ids,
data in several lines, a lone CR, a BOM) goes to the FrameDecoder, from the last blank line to the next, and the fast
ways go on behind it.
"""

import re
from collections.abc import Callable

from streamfold.errors import FrameTooLarge
from streamfold.schema import UNDECODABLE, Event, decode_event, decode_known_event, is_end_marker
from streamfold.sse import FrameDecoder

__all__ = ["EventReader"]

LF, CR = 10, 13
NOT_NEXT = -1
BYTE_ORDER_MARK_START = b"\xef"
BLANK_LINES = (b"\n\n", b"\r\n\r\n")

# Frames of the common shape, one behind the other, each giving its data. The last branch takes whatever is left at the
# first byte that is in no such frame, and gives empty data, which is no event: so nothing is ever skipped unseen.
_FRAMES = re.compile(rb"(?:event: .*+\n)?+data: (.*+)\n\n|[\s\S]+")
find_frames: Callable[[bytes], list[bytes]] = _FRAMES.findall

# The beginning of a frame is kept and joined to the next chunk, while it is no longer than this and eight chunks: so
# each byte is joined few times. A longer one goes to the FrameDecoder, whose time is linear however the bytes come.
HELD_BYTES = 4096


class EventReader:
    """Feed it chunks, get the events that they complete. Cutting the bytes elsewhere gives the same events.

    max_frame_bytes: the most that one SSE block may hold.
    tolerant: whether a last block without its blank line counts when the stream is closed.
    payloads: the data of each event of the last `feed` or `close`, in the same order: the bytes as they were sent.
    Raises: UsageError for a limit below one byte.
    """

    def __init__(self, *, max_frame_bytes: int = 64 * 1024 * 1024, tolerant: bool = False) -> None:
        self._decoder = FrameDecoder(max_frame_bytes=max_frame_bytes, tolerant=tolerant)
        self._max_frame_bytes = max_frame_bytes
        self._held = b""  # the beginning of a frame, while the decoder holds nothing
        self._has_begun = False
        self._is_between_frames = False  # the decoder's own, read once after it was fed
        self._usual_head = b""  # what stood before the data of the last frame that the regular expression took
        self._around = NOT_NEXT  # how much such a frame has beside its data, while a frame is next
        self.payloads: list[bytes] = []

    @property
    def reconnection_milliseconds(self) -> int | None:
        """What the last valid `retry:` line asks for, or None."""
        return self._decoder.reconnection_milliseconds

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Event]:
        """The events that this chunk completes, in order; often none. `[DONE]` is none.

        Raises: FrameTooLarge when a block is beyond the limit; where events came before it in the same chunk, those
        are returned, and the next call raises. UsageError after `close`.
        """
        if type(chunk) is bytes:
            data = chunk.removeprefix(self._usual_head).removesuffix(b"\n\n")
            size = len(chunk)  # tells whether both were there to be removed
            is_usual = size == self._around + len(data) and size <= self._max_frame_bytes
            if is_usual and LF not in data and CR not in data:
                try:
                    event = decode_known_event(data)
                except UNDECODABLE:
                    return self._decode([data])
                self.payloads = [data]
                return [event]
        return self._read(chunk)

    def close(self) -> list[Event]:
        """What an unfinished last block holds, if tolerant; else nothing. A second call gives nothing.

        Raises: FrameTooLarge if the last `feed` met a block beyond the limit.
        """
        frames = self._decoder.feed(self._held) if self._held else []
        self._held, self._around = b"", NOT_NEXT
        self._is_between_frames = False
        frames += self._decoder.close()
        return self._decode([frame.data for frame in frames])

    def _read(self, chunk: bytes | bytearray | memoryview) -> list[Event]:
        """The general way: whole frames are cut out of the text, and the beginning of one behind them is kept."""
        text = self._held + chunk
        self._held, self._around = b"", NOT_NEXT
        data: list[bytes] = []
        if not self._is_between_frames:
            text = self._catch_up(text, data)
        if CR in text and self._is_between_frames:
            text = self._with_line_feeds(text, data)
        end = text.rfind(b"\n\n") + 2 if LF in chunk else 0  # without a line end the chunk can complete nothing
        if end > 1 and self._is_between_frames:
            text = self._cut_frames(text, end, data)
        is_short = len(text) <= HELD_BYTES + 8 * len(chunk) and len(text) <= self._max_frame_bytes
        if self._is_between_frames and is_short:
            self._held = text
            self._around = NOT_NEXT if text or not self._usual_head else len(self._usual_head) + 2
        elif text:
            self._decode_frames(text, data)
        return self._decode(data)

    def _catch_up(self, text: bytes, data: list[bytes]) -> bytes:
        """Let the decoder finish the frame it holds. Returns: the text behind that frame."""
        has_begun, self._has_begun = self._has_begun, self._has_begun or bool(text)
        if text and not has_begun and not text.startswith(BYTE_ORDER_MARK_START):
            # A blank line means nothing, but it is no mark: now the decoder knows that the stream has begun.
            self._decode_frames(b"\n", data)
            return text
        found = [text.find(blank) + len(blank) for blank in BLANK_LINES if blank in text] if LF in text else []
        end = min(found, default=len(text))
        self._decode_frames(text[:end], data)
        return text[end:]

    def _cut_frames(self, text: bytes, end: int, data: list[bytes]) -> bytes:
        """Take the data of whole frames; where one is of another shape, by the decoder.

        Returns: the text from `end` on, where the frames end.
        """
        head = self._usual_head
        if head and text.startswith(head) and end <= self._max_frame_bytes:
            # Between two frames that begin alike stands the same: splitting there is faster than the expression.
            pieces = text[len(head) : end - 2].split(b"\n\n" + head)
            if LF not in b"".join(pieces):
                data += pieces
                return text[end:]
            found = _found_in(pieces, head)
        else:
            found = find_frames(text[:end]) if end <= self._max_frame_bytes else [b""]
        if all(found):
            data += found
            begin = text.rfind(b"\n\n", 0, end - 2) + 2 if len(found) > 1 else 0
            self._usual_head = text[begin : end - len(found[-1]) - 2]
        else:
            self._decode_frames(text[:end], data)
        return text[end:]

    def _with_line_feeds(self, text: bytes, data: list[bytes]) -> bytes:
        """The text with each CR LF made an LF, for a data line holds neither; nothing of it, where a CR stands alone.

        A lone CR ends a line too, and one at the very end may be half of a CR LF: that is left to the decoder.
        """
        joined = text.replace(b"\r\n", b"\n")
        if CR in joined:
            self._decode_frames(text, data)
            return b""
        return joined

    def _decode_frames(self, text: bytes, data: list[bytes]) -> None:
        try:
            data += [frame.data for frame in self._decoder.feed(text)]
        except FrameTooLarge:
            if not data:
                raise  # else what came before it is returned first: the decoder raises again at the next call
        finally:
            self._is_between_frames = self._decoder.is_between_frames

    def _decode(self, data: list[bytes]) -> list[Event]:
        """The events of these data, which become the `payloads`."""
        try:
            events: list[Event] = list(map(decode_known_event, data))
        except UNDECODABLE:
            data = [one for one in data if not is_end_marker(one)]
            events = [decode_event(one) for one in data]
        self.payloads = data
        return events


def _found_in(pieces: list[bytes], head: bytes) -> list[bytes]:
    """The data of each frame, where some pieces hold more than one; among them empty data, as `find_frames` gives it."""
    found: list[bytes] = []
    for piece in pieces:
        if LF in piece:
            found += find_frames(head + piece + b"\n\n")
        else:
            found.append(piece)
    return found
