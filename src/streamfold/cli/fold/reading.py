"""A stream that is being folded: step by step, up to its end, to a number, or to what breaks it.

In      chunks of bytes
Out     a Step for each event; `state` and `events` say how far it came, whatever ended it
Units   sequence numbers; counts of events
Errors  Failure, one sentence each, for a stream that is none, has a gap, ends too early or never reaches the number
"""

from collections.abc import Iterable, Iterator

from msgspec import DecodeError, Struct
from msgspec.json import decode

from streamfold.cli.failure import Failure
from streamfold.cli.fold.sniff import HEAD_BYTES, describe
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

__all__ = ["DEFAULT_MAX_FRAME_BYTES", "Reading", "Step"]

DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024
TERMINAL_EVENTS = frozenset({ResponseCompleted, ResponseFailed, ResponseIncomplete, ResponseCancelled})
BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n")


class Step(Struct, frozen=True, gc=False):
    """One event, and the state before and after it: the very same for a duplicate."""

    event: Event
    before: State
    after: State


class Reading:
    """Folds chunks as they are asked for.

    state: as far as it came. events: how many were read up to there, duplicates counted.
    """

    def __init__(
        self,
        *,
        policy: SequencePolicy = SequencePolicy.STRICT,
        at: int | None = None,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    ) -> None:
        self.state: State = State.under(policy)
        self.events: int = 0
        self._at = at
        self._has_ended = False  # a terminal event came
        self._head = b""  # of a stream without an event yet
        self._tail = b""
        self._reader = EventReader(max_frame_bytes=max_frame_bytes, tolerant=True)

    def steps(self, chunks: Iterable[bytes]) -> Iterator[Step]:
        """A step for each event; after the event with the number that was asked for, no more.

        Raises: Failure where the stream breaks, ends too early, or the number is not reached; `state` is then the
        last good one.
        """
        try:
            for chunk in chunks:
                self._remember(chunk)
                yield from self._fold(self._reader.feed(chunk))
                if self._is_reached:
                    return
            yield from self._fold(self._last_events())
        except SequenceGap as gap:
            raise Failure(self._gap(gap)) from gap
        except FrameTooLarge as error:
            raise Failure(self._too_large(error)) from error
        self._check_end()

    @property
    def place(self) -> str:
        """Where it stands, as "after event 17"."""
        return "before the first event" if self.state.cursor is None else f"after event {self.state.cursor}"

    @property
    def _is_reached(self) -> bool:
        return self._at is not None and self.state.cursor == self._at

    def _fold(self, events: Iterable[Event]) -> Iterator[Step]:
        for event in events:
            if isinstance(event, UnknownEvent) and is_end_marker(event.data):
                continue
            before = self.state
            after = reduce(before, event)
            if self._at is not None and after.cursor is not None and after.cursor > self._at:
                raise Failure(f"no state at {self._at}: {self._range_around(after.cursor)}")
            self.state = after
            self.events += 1
            if type(event) in TERMINAL_EVENTS:
                self._has_ended = True
            yield Step(event, before, after)
            if self._is_reached:
                return

    def _remember(self, chunk: bytes) -> None:
        if not self.events and len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + chunk[-4:])[-4:]

    def _last_events(self) -> list[Event]:
        """What the last block holds although no blank line ended it.

        Raises: Failure if it is torn.
        """
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
            raise Failure(f"no state at {self._at}: the events end at {self.state.cursor}")
        if self._unreadable() == self.events:
            raise Failure(f"no Responses stream: none of its {self.events:,} events is of a known type")
        if not self._has_ended:
            where = "it ends" if self._tail.endswith(BLANK_LINES) else "it ends inside a frame,"
            raise Failure(f"truncated: {where} {self.place}, without a terminal event{self._server_error()}")

    def _unreadable(self) -> int:
        return sum(each.count for each in self.state.anomalies if each.kind is AnomalyKind.MALFORMED)

    def _server_error(self) -> str:
        error = self.state.error
        words = ": ".join(each for each in (error.code, error.message) if each) if error else ""
        return f"; the server said: {words}" if words else ""

    def _range_around(self, beyond: int) -> str:
        """The numbers on both sides of the one that was asked for."""
        if self.state.cursor is None:
            return f"the events begin at {beyond}"
        return f"the events go on from {self.state.cursor} to {beyond}"

    def _gap(self, gap: SequenceGap) -> str:
        last = gap.expected - 1
        return (
            f"a gap: expected event {gap.expected}, got {gap.got}; this is the state at {last}: "
            f"resume after {last} to fill it, or pass over it with --policy renumber"
        )

    def _too_large(self, error: FrameTooLarge) -> str:
        if not self.events and self._head.lstrip()[:1] in (b"{", b"[", b"<"):
            return describe(self._head)
        return f"one frame is larger than {error.limit_bytes:,} bytes; if that is right, raise --max-frame-bytes"


def _is_torn(event: Event) -> bool:
    """Whether not even the JSON of the event is whole."""
    if not isinstance(event, UnknownEvent) or not event.error:
        return False
    try:
        decode(well_formed(event.data))
    except DecodeError:
        return True
    except RecursionError:  # whole, and nested too deep to be read
        return False
    return False
