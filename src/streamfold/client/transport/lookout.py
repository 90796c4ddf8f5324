"""Watches a steady stream by its numbers alone, because folding it costs more than all the rest, and is seldom needed."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.json import Decoder

from streamfold.errors import FrameTooLarge
from streamfold.fold import SequencePolicy
from streamfold.reader import EventReader
from streamfold.schema import UNDECODABLE, ErrorEvent, Event, ResponseEvent, UnknownEvent, read_head
from streamfold.session import Session

LF, CR = b"\n", b"\r"
BLANK_LINE = b"\n\n"
TELLING = (ResponseEvent, ErrorEvent, UnknownEvent)  # events that say more than the next piece of an item
STREAMED_ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})  # an event is named after each
KEPT_BYTES = 2 * 1024 * 1024  # of a stream that is only watched; folding so much takes some 30 ms
NOT_NEXT = -1


class WatchedSession(Session):
    """A session that also says what its last chunk held."""

    @property
    def payloads(self) -> list[bytes]:
        """The data of each event of the last chunk, applied or not."""
        return self._reassembler.reader.payloads

    @property
    def streamed_id(self) -> str | None:
        """The id in the stream itself, which on some gateways is not the id that a GET asked for."""
        return self._reassembler.response_id

    @property
    def can_be_watched(self) -> bool:
        """Whether the numbers of the next events say all: the stream is steady, and counts by one."""
        is_strict = self.patience.sequence_policy is SequencePolicy.STRICT
        return self.is_steady and is_strict and self._reassembler.can_resume and self.state.cursor is not None


class Peek(Struct):
    """The fields of an event that say whether it is the next one."""

    type: str
    sequence_number: int


decode_peek: Callable[[bytes], Peek] = Decoder(Peek).decode


class Framing:
    """Cuts chunks at their last blank line, and keeps what follows it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []  # the beginning of a frame
        self._seam = b""  # the last bytes of it

    def take_whole(self, chunk: bytes) -> bytes:
        """The text up to the last blank line of this chunk, with what was kept before it."""
        if not self.pieces and chunk.endswith(BLANK_LINE):
            return chunk
        seam = self._seam + chunk
        end = max(seam.rfind(b"\n\n") + 2, seam.rfind(b"\n\r\n") + 3)  # a failed search gives 1 or 2
        if end <= 2:
            self.pieces.append(chunk)
            self._seam = seam[-2:]
            return b""
        rest = seam[end:]
        text = b"".join((*self.pieces, chunk))
        self.pieces, self._seam = [rest] if rest else [], rest[-2:]
        return text[: len(text) - len(rest)]

    def take_rest(self) -> bytes:
        """What was kept, and is kept no longer."""
        rest = b"".join(self.pieces)
        self.pieces, self._seam = [], b""
        return rest


class Lookout:
    """Watches a steady stream by its numbers, and keeps its chunks for the session.

    Args:
        session: The session.
        frames: What cuts the chunks. What it has kept of a frame, the session has seen.

    Attributes:
        kept: The bytes that the session has not seen, in chunks.
        is_over: Whether the chunk that was refused brought the terminal event.
    """

    def __init__(self, session: WatchedSession, frames: Framing) -> None:
        self.kept: list[bytes] = []
        self.is_over: bool = False
        self._frames = frames
        self._response_id = session.streamed_id
        self._next = (session.state.cursor or 0) + 1
        self._left = KEPT_BYTES
        self._usual: type[Event] | None = None  # the type of the last event
        self._usual_name = ""
        self._head = b""  # what precedes the data of an event
        self._around = NOT_NEXT  # the length of a frame without its data, while a frame is next
        self._reader = EventReader(max_frame_bytes=session.patience.max_frame_bytes)
        self._reader.feed(b"".join(frames.pieces))

    def take(self, chunk: bytes) -> bytes | None:
        """Take a chunk. Returns what passes; None if it refuses the chunk, and with it the stream."""
        data = chunk.removeprefix(self._head).removesuffix(BLANK_LINE)
        if len(chunk) == len(data) + self._around and LF not in data and self._left > 0:
            # Nine of ten chunks, where a server flushes each event: one more event like the last one.
            try:
                peek = decode_peek(data)
            except UNDECODABLE:
                return None
            if peek.sequence_number == self._next and peek.type == self._usual_name:
                self._next += 1
                self._left -= len(chunk)
                self.kept.append(chunk)
                return chunk
        return self._take(chunk)

    def _take(self, chunk: bytes) -> bytes | None:
        try:
            events = self._reader.feed(chunk)
        except FrameTooLarge:
            return None
        for event in events:
            if event.sequence_number != self._next:
                return None
            if type(event) is not self._usual:
                if isinstance(event, TELLING):
                    self.is_over = self._ends(event)
                    return None
                self._usual = type(event)
            self._next += 1
        self._left -= len(chunk)
        if self._left < 0 or CR in chunk:
            return None
        self.kept.append(chunk)
        if len(events) == 1 and not self._frames.pieces:
            self._learn(chunk, events[0])
        text = self._frames.take_whole(chunk)
        self._around = len(self._head) + 2 if self._head and not self._frames.pieces else NOT_NEXT
        return text

    def _learn(self, chunk: bytes, event: Event) -> None:
        """See how the server frames an event, if this chunk is one frame."""
        head, data, rest = chunk.partition(self._reader.payloads[0])
        self._head = head if data and rest == BLANK_LINE else b""
        self._usual_name = event.wire_type

    def _ends(self, event: Event) -> bool:
        """Whether this is the terminal event of the response, beyond doubt."""
        if not isinstance(event, ResponseEvent):
            return False
        head, name = read_head(event.response), event.wire_type.removeprefix("response.")
        return head is not None and name in STREAMED_ENDS and head.status == name and head.id == self._response_id
