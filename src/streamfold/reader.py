"""Bytes to events in one pass: FrameDecoder and decode_event together, faster for the streams that servers send."""

import re
from collections.abc import Callable

from streamfold.errors import FrameTooLarge
from streamfold.schema import UNDECODABLE, ErrorEvent, Event, decode_event, decode_known_event, is_end_marker
from streamfold.sse import MAX_FRAME_BYTES, Frame, FrameDecoder

# Theory of operation. `FrameDecoder` is right for every stream. The reader takes three faster paths around it, but only
# while the decoder holds nothing and the beginning of the stream is known. A frame has the common shape if it is one
# `data:` line, with or without an `event:` line before it.
#
# 1. One whole frame in a chunk (a server that flushes each event): `feed` cuts it out with three searches. Does the
#    chunk begin as the last frame did, up to `data: `? Does it end with a blank line? Is there no line end in between?
# 2. Many frames in a chunk (a fast server, a file, a log): `_cut_frames` splits the text at a blank line followed by
#    the usual beginning. A piece that still holds a line end contains a frame of another type; the regular expression
#    takes it apart. One loop in C then decodes all data.
# 3. Lines that end in CR LF become LF first (`_with_line_feeds`), then as above.
#
# Anything else (comments, ids, several data lines, a lone CR, a byte order mark) goes to the decoder, from the last
# blank line to the next, and the fast paths continue after it. A wrong guess therefore costs time, never an event:
# docs/explanation/reader.md shows why, and law 1 tests it at every cut.
#
# The name in an `event:` line counts only if the data does not decode and the name is `error`: the data is then what the
# server reports, often as plain text. So names are looked up only where decoding fails. A server that fails may also
# write bare JSON, without `data:`. If that reports an error, it is an event.
LF, CR = 10, 13
NOT_NEXT = -1
BYTE_ORDER_MARK_START = b"\xef"
BLANK_LINES = (b"\n\n", b"\r\n\r\n")

# Frames of the common shape, one after the other; each match is its data. At the first byte that is in no such frame,
# the last branch takes everything that is left and matches empty data, which no event has. So nothing is skipped
# unnoticed: if every match has data, every byte was understood.
_FRAMES = re.compile(rb"(?:event: .*+\n)?+data: (.*+)\n\n|[\s\S]+")
find_frames: Callable[[bytes], list[bytes]] = _FRAMES.findall

ERROR = "error"
_find_error_data: Callable[[bytes], list[bytes]] = re.compile(rb"event: error\ndata: (.*+)\n\n").findall

# The beginning of a frame is kept and joined to the next chunk while it is no longer than this plus eight chunks, so
# each byte is copied few times. A longer one goes to the FrameDecoder, whose time is linear however the bytes arrive.
HELD_BYTES = 4096


class EventReader:
    """Feed it chunks, get the events that they complete. The events do not depend on where the bytes are cut.

    Args:
        max_frame_bytes: The limit for one SSE block, at least 1.
        tolerant: Let `close` return the event of a last block without its blank line, whatever it is.

    Attributes:
        payloads: The data of each event that the last `feed` or `close` returned, in the same order and as it was
            sent.

    Raises:
        UsageError: The limit is below one byte.

    Example:
        reader = EventReader()
        for chunk in chunks:
            for event in reader.feed(chunk):
                state = reduce(state, event)
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES, tolerant: bool = False) -> None:
        self._decoder = FrameDecoder(max_frame_bytes=max_frame_bytes, tolerant=True)
        self._max_frame_bytes = max_frame_bytes
        self._is_tolerant = tolerant
        self._held = b""  # the beginning of a frame, while the decoder holds nothing
        self._has_begun = False
        self._is_between_frames = False  # the decoder's, read once after each time it is fed
        self._usual_head = b""  # what precedes the data in the last frame that the regular expression matched
        self._around = NOT_NEXT  # the length of such a frame without its data, while a frame is next
        self._errors: set[bytes] = set()  # the data of frames with the name `error` that the decoder gave
        self.payloads: list[bytes] = []

    @property
    def reconnection_milliseconds(self) -> int | None:
        """The value of the last valid `retry:` line, or None."""
        return self._decoder.reconnection_milliseconds

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Event]:
        """Return the events that this chunk completes, in order; often none. `[DONE]` is not an event.

        Raises:
            FrameTooLarge: A block exceeds the limit. Events that came before it in the same chunk are returned first,
                and the next call raises.
            UsageError: The reader is closed.
        """
        if type(chunk) is bytes:
            data = chunk.removeprefix(self._usual_head).removesuffix(b"\n\n")
            size = len(chunk)  # shows whether both were there to remove
            is_usual = size == self._around + len(data) and size <= self._max_frame_bytes
            if is_usual and LF not in data and CR not in data:
                try:
                    event = decode_known_event(data)
                except UNDECODABLE:
                    return self._decode([data], chunk)
                self.payloads = [data]
                return [event]
        return self._read(chunk)

    def close(self) -> list[Event]:
        """Return the event in an unfinished last block if tolerant, or if it reports an error.

        A second call returns nothing.

        Raises:
            FrameTooLarge: The last `feed` met a block beyond the limit.
        """
        data: list[bytes] = []
        if self._held:
            self._decode_frames(self._held, data)
        self._held, self._around = b"", NOT_NEXT
        self._is_between_frames = False
        events, payloads = self._decode(data, b""), self.payloads
        unfinished: list[bytes] = []
        self._take_frames(self._decoder.close(), unfinished)
        for event, payload in zip(self._decode(unfinished, b""), self.payloads, strict=True):
            if self._is_tolerant or isinstance(event, ErrorEvent):
                events.append(event)
                payloads.append(payload)
        self.payloads = payloads
        return events

    def _read(self, chunk: bytes | bytearray | memoryview) -> list[Event]:
        """The general path: cut whole frames out of the text, and keep the beginning of the next one."""
        text = all_text = self._held + chunk
        self._held, self._around = b"", NOT_NEXT
        data: list[bytes] = []
        if not self._is_between_frames:
            text = self._catch_up(text, data)
        if CR in text and self._is_between_frames:
            text = all_text = self._with_line_feeds(text, data)
        end = text.rfind(b"\n\n") + 2 if LF in chunk else 0  # without a line end the chunk completes nothing
        if end > 1 and self._is_between_frames:
            text = self._cut_frames(text, end, data)
        is_short = len(text) <= HELD_BYTES + 8 * len(chunk) and len(text) <= self._max_frame_bytes
        if self._is_between_frames and is_short:
            self._held = text
            self._around = NOT_NEXT if text or not self._usual_head else len(self._usual_head) + 2
        elif text:
            self._decode_frames(text, data)
        return self._decode(data, all_text)

    def _catch_up(self, text: bytes, data: list[bytes]) -> bytes:
        """Let the decoder finish the frame that it holds. Returns the text after that frame."""
        has_begun, self._has_begun = self._has_begun, self._has_begun or bool(text)
        if text and not has_begun and not text.startswith(BYTE_ORDER_MARK_START):
            # A blank line has no effect, but it is not a byte order mark: now the decoder knows the stream has begun.
            self._decode_frames(b"\n", data)
            return text
        found = [text.find(blank) + len(blank) for blank in BLANK_LINES if blank in text] if LF in text else []
        end = min(found, default=len(text))
        self._decode_frames(text[:end], data)
        return text[end:]

    def _cut_frames(self, text: bytes, end: int, data: list[bytes]) -> bytes:
        """Take the data of the whole frames before `end`, with the decoder if one is of another shape.

        Returns the text from `end` on.
        """
        head = self._usual_head
        if head and text.startswith(head) and end <= self._max_frame_bytes:
            # The same bytes separate two frames that begin alike: splitting there is faster than the expression.
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
        """The text with LF for each CR LF; empty if a CR is left, which the decoder has then taken care of.

        A data line holds neither CR nor LF, so this changes no data. A lone CR ends a line too, and one at the very
        end may be half of a CR LF: only the decoder can decide that.
        """
        joined = text.replace(b"\r\n", b"\n")
        if CR in joined:
            self._decode_frames(text, data)
            return b""
        return joined

    def _decode_frames(self, text: bytes, data: list[bytes]) -> None:
        try:
            self._take_frames(self._decoder.feed(text), data)
        except FrameTooLarge:
            if not data:
                raise  # otherwise return what came before it first: the decoder raises again at the next call
        finally:
            self._is_between_frames = self._decoder.is_between_frames

    def _take_frames(self, frames: list[Frame], data: list[bytes]) -> None:
        data += [frame.data for frame in frames]
        self._errors |= {frame.data for frame in frames if frame.event == b"error"}
        data += [stray for stray in self._decoder.strays if isinstance(decode_event(stray), ErrorEvent)]

    def _decode(self, data: list[bytes], text: bytes) -> list[Event]:
        """The events in these data, which become the `payloads`. text: Where they were cut out."""
        try:
            events: list[Event] = list(map(decode_known_event, data))
        except UNDECODABLE:
            data = [one for one in data if not is_end_marker(one)]
            errors = self._errors.union(_find_error_data(text))
            events = [decode_event(one, ERROR if one in errors else "") for one in data]
        if self._errors:
            self._errors = set()
        self.payloads = data
        return events


def _found_in(pieces: list[bytes], head: bytes) -> list[bytes]:
    """The data of each frame in pieces that may hold more than one; includes empty data, as `find_frames` does."""
    found: list[bytes] = []
    for piece in pieces:
        if LF in piece:
            found += find_frames(head + piece + b"\n\n")
        else:
            found.append(piece)
    return found
