"""A recorded stream being folded, step by step, to its end, to a given number, or to where it breaks."""

from collections.abc import Iterable, Iterator

from msgspec import DecodeError
from msgspec.json import decode

from streamfold.cli.fold.source import HEAD_BYTES, describe
from streamfold.cli.output.step import Step
from streamfold.cli.terminal import Failure
from streamfold.errors import FrameTooLarge, SequenceGap
from streamfold.fold import AnomalyKind, SequencePolicy, State, reduce
from streamfold.reader import EventReader
from streamfold.schema import (
    Event,
    ResponseCancelled,
    ResponseCompleted,
    ResponseFailed,
    ResponseIncomplete,
    UnknownEvent,
    is_end_marker,
    well_formed,
)
from streamfold.sse import MAX_FRAME_BYTES

TERMINAL_EVENTS = frozenset({ResponseCompleted, ResponseFailed, ResponseIncomplete, ResponseCancelled})
BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n")


class Reading:
    """Folds chunks as steps are asked for.

    Args:
        policy: How far to trust the server's sequence numbers.
        at: The sequence number to stop at; None for the whole stream.
        max_frame_bytes: The largest frame to accept.

    Attributes:
        state: The state so far, however the stream ended.
        events: How many events were read so far, duplicates included.
    """

    def __init__(
        self,
        *,
        policy: SequencePolicy = SequencePolicy.STRICT,
        at: int | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.state: State = State.under(policy)
        self.events: int = 0
        self._at = at
        self._has_ended = False  # a terminal event came
        self._head = b""  # of a stream that has had no event yet
        self._tail = b""
        self._reader = EventReader(max_frame_bytes=max_frame_bytes, tolerant=True)

    def steps(self, chunks: Iterable[bytes]) -> Iterator[Step]:
        """Yield a step per event, up to the number that was asked for.

        Raises:
            Failure: The stream breaks, ends too early, or never reaches the number. `state` is the last good one.
        """
        try:
            for chunk in chunks:
                self._remember(chunk)
                yield from self._fold(self._reader.feed(chunk))
                if self._is_reached:
                    return
            yield from self._fold(self._last_events())
        except SequenceGap as gap:
            last = gap.expected - 1
            raise Failure(
                f"a gap: expected event {gap.expected}, got {gap.got}; this is the state after event {last}: "
                f"resume after {last} to fill the gap, or skip it with --policy renumber"
            ) from gap
        except FrameTooLarge as error:
            is_no_stream = not self.events and self._head.lstrip()[:1] in (b"{", b"[", b"<")
            raise Failure(describe(self._head) if is_no_stream else too_large(error)) from error
        self._check_end()

    @property
    def place(self) -> str:
        """Where it is, such as "after event 17"."""
        return "before the first event" if self.state.cursor is None else f"after event {self.state.cursor}"

    @property
    def _is_reached(self) -> bool:
        return self._at is not None and self.state.cursor == self._at

    def _fold(self, events: Iterable[Event]) -> Iterator[Step]:
        for event, data in zip(events, self._reader.payloads, strict=True):
            if isinstance(event, UnknownEvent) and is_end_marker(event.data):
                continue
            before = self.state
            after = reduce(before, event)
            if self._at is not None and after.cursor is not None and after.cursor > self._at:
                raise Failure(f"no state at {self._at}: {self._events_around(after.cursor)}")
            self.state = after
            self.events += 1
            if type(event) in TERMINAL_EVENTS:
                self._has_ended = True
            yield Step(event, data, before, after)
            if self._is_reached:
                return

    def _remember(self, chunk: bytes) -> None:
        if not self.events and len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + chunk[-4:])[-4:]

    def _last_events(self) -> list[Event]:
        """What the last block holds even though no blank line ended it."""
        events = self._reader.close()
        if any(map(_is_torn, events)):
            raise Failure(f"truncated: it ends inside a frame, {self.place}")
        return events

    def _check_end(self) -> None:
        if self._is_reached:
            return
        if not self.events:
            raise Failure(describe(self._head))
        if self._at is not None:
            raise Failure(f"no state at {self._at}: the last event is {self.state.cursor}")
        if self._malformed() == self.events:
            raise Failure(f"not a Responses stream: none of its {self.events:,} events has a known type")
        if not self._has_ended:
            where = "it ends" if self._tail.endswith(BLANK_LINES) else "it ends inside a frame,"
            raise Failure(f"truncated: {where} {self.place}, without a terminal event{self._server_error()}")

    def _malformed(self) -> int:
        return sum(each.count for each in self.state.anomalies if each.kind is AnomalyKind.MALFORMED)

    def _server_error(self) -> str:
        error = self.state.error
        words = ": ".join(each for each in (error.code, error.message) if each) if error else ""
        return f"; the server reported: {words}" if words else ""

    def _events_around(self, beyond: int) -> str:
        if self.state.cursor is None:
            return f"the first event is {beyond}"
        return f"event {self.state.cursor} is followed by event {beyond}"


def too_large(error: FrameTooLarge) -> str:
    """Say that a frame exceeds the limit."""
    return f"one frame is larger than {error.limit_bytes:,} bytes; if that is right, raise --max-frame-bytes"


def _is_torn(event: Event) -> bool:
    """Whether not even the JSON of the event is complete."""
    if not isinstance(event, UnknownEvent) or not event.error:
        return False
    try:
        decode(well_formed(event.data))
    except DecodeError:
        return True
    except RecursionError:  # complete, but nested too deeply to be read
        return False
    return False
