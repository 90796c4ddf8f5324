"""`streamfold fold FILE`: fold a recorded stream into its Response, its events, its text, or its state at a number."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number
from msgspec import DecodeError
from msgspec.json import decode

from streamfold.cli.fold.source import HEAD_BYTES, describe, open_source, too_large
from streamfold.cli.log.place import NO_LOG, RecordFlags, recorded_in, visit_log
from streamfold.cli.options import (
    DEFAULT_MAX_BYTES,
    STDIN,
    MaxBytes,
    MaxFrameBytes,
    Policy,
    RecordedFile,
    sequence_number,
)
from streamfold.cli.output.step import Step, error_words
from streamfold.cli.output.view import DocumentView, End, EventsView, ResponseView, TextView, View
from streamfold.cli.terminal import INTERRUPTED, USAGE, Failure, Output, say
from streamfold.errors import FrameTooLarge, SequenceGap
from streamfold.fold import AnomalyKind, SequencePolicy, State, reduce, snapshot, was_dropped
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

if TYPE_CHECKING:
    from streamfold.log import EventLog

READABLE_EVENTS_PER_SECOND = 50.0
MAX_LAG_SECONDS = 0.25  # how late an event may be for the next ones to catch up; after a slow producer they do not
CHUNKS_AHEAD = 64  # that may wait for the log
PUT_SECONDS = 0.1
TERMINAL_EVENTS = frozenset({ResponseCompleted, ResponseFailed, ResponseIncomplete, ResponseCancelled})
BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n")

SHOWN = Group("What to print (by default the Response as JSON)", sort_key=1)


def fold(
    file: RecordedFile,
    /,
    *,
    json: Annotated[
        bool,
        Parameter(help="One JSON document: cursor, status, text, Response.", group=SHOWN, show_default=False),
    ] = False,
    events: Annotated[
        bool, Parameter(help="One line per event: number, type, change.", group=SHOWN, show_default=False)
    ] = False,
    watch: Annotated[bool, Parameter(help="The text as it grows.", group=SHOWN, show_default=False)] = False,
    at: Annotated[int | None, sequence_number("Stop at this sequence number.")] = None,
    speed: Annotated[
        float | None,
        Parameter(
            help="Events per second for --watch [default: 50; stdin: as they arrive]",
            validator=Number(gt=0),
        ),
    ] = None,
    policy: Policy = SequencePolicy.STRICT,
    max_bytes: MaxBytes = DEFAULT_MAX_BYTES,
    max_frame_bytes: MaxFrameBytes = MAX_FRAME_BYTES,
    into: RecordFlags = NO_LOG,
) -> int:
    """Fold a recorded stream into its Response."""
    speed = _checked_speed(file, json=json, events=events, watch=watch, speed=speed)
    output = Output()
    view = _view(output, json=json, events=events, watch=watch)
    reading = Reading(policy=policy, at=at, max_frame_bytes=max_frame_bytes)
    has_bar = not (output.is_terminal and (events or watch))  # the bar would run through the lines
    copy = Copy(into, policy=policy, max_frame_bytes=max_frame_bytes) if recorded_in(into) else None
    failure = _show(file, reading, view, max_bytes=max_bytes, speed=speed, has_bar=has_bar, copy=copy)
    view.finish(End(reading.state, events=reading.events))
    name = "stdin" if file == STDIN else file
    failure = _finish_copy(copy, name, failure)
    if failure is not None:
        say(f"{name}: {failure.reason}")
        return failure.exit_code
    error = reading.state.error
    if error is not None and error.message not in {None, getattr(snapshot(reading.state).error, "message", None)}:
        say(f"{name}: the server reported: {error_words(error)}")
    if watch and output.is_terminal:
        say(f"{name}: {reading.state.status or 'no status'}, {reading.place}")
    return 0


def _checked_speed(file: str, *, json: bool, events: bool, watch: bool, speed: float | None) -> float | None:
    if json + events + watch > 1:
        raise Failure("--json, --events and --watch exclude each other; see streamfold fold --help", USAGE)
    if speed is not None and not watch:
        raise Failure("--speed needs --watch; see streamfold fold --help", USAGE)
    return READABLE_EVENTS_PER_SECOND if speed is None and watch and file != STDIN else speed


def _view(output: Output, *, json: bool, events: bool, watch: bool) -> View:
    if json:
        return DocumentView(output)
    if events:
        return EventsView(output)
    return TextView(output) if watch else ResponseView(output)


def _show(
    file: str,
    reading: "Reading",
    view: View,
    *,
    max_bytes: int,
    speed: float | None,
    has_bar: bool,
    copy: "Copy | None",
) -> Failure | None:
    """Fold the file and show each step. Returns what broke it, or None; never raises for what the file holds."""
    try:
        with open_source(file) as source:
            chunks = source.chunks_with_bar(max_bytes=max_bytes) if has_bar else source.chunks(max_bytes=max_bytes)
            if copy is not None:
                chunks = copy.through(chunks)
            for step in paced(reading.steps(chunks), speed):
                view.show(step)
            if copy is not None:  # the log gets the whole file, even after --at
                deque(chunks, maxlen=0)
    except Failure as failure:
        return failure
    except KeyboardInterrupt:
        return Failure(f"stopped {reading.place}", INTERRUPTED)
    return None


def paced(
    steps: Iterable[Step],
    events_per_second: float | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Step]:
    """Yield the steps evenly, at most so many per second; None yields them as they come."""
    due: float | None = None
    for step in steps:
        if events_per_second is not None:
            now = clock()
            due = now if due is None else max(due, now - MAX_LAG_SECONDS)
            if due > now:
                sleep(due - now)
            due += 1 / events_per_second
        yield step


class Reading:
    """Folds chunks as steps are asked for.

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
        """Yield a step per event, up to the number that was asked for. After a Failure, `state` is the last good one."""
        try:
            for chunk in chunks:
                if not self.events and len(self._head) < HEAD_BYTES:
                    self._head += chunk[: HEAD_BYTES - len(self._head)]
                self._tail = (self._tail + chunk[-4:])[-4:]
                yield from self._fold(self._reader.feed(chunk))
                if self._is_reached:
                    return
            final = self._last_events()
            if self._head.lstrip()[:1] != b"{":  # a JSON body may report an error
                yield from self._fold(final)
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
    def _is_body(self) -> bool:
        """Whether this is a body of another kind, not a stream."""
        return not self.events or self._head.lstrip()[:1] == b"{"

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
            if type(event) in TERMINAL_EVENTS and not was_dropped(before, after):
                self._has_ended = True
            yield Step(event, data, before, after)
            if self._is_reached:
                return

    def _last_events(self) -> list[Event]:
        """What the last block holds even though no blank line ended it."""
        events = self._reader.close()
        if any(map(_is_torn, events)):
            raise Failure(f"truncated: it ends inside a frame, {self.place}")
        return events

    def _check_end(self) -> None:
        if self._is_reached:
            return
        if self._is_body:
            raise Failure(describe(self._head))
        if self._at is not None:
            raise Failure(f"no state at {self._at}: the last event is {self.state.cursor}")
        if sum(each.count for each in self.state.anomalies if each.kind is AnomalyKind.MALFORMED) == self.events:
            raise Failure(f"not a Responses stream: none of its {self.events:,} events has a known type")
        if not self._has_ended:
            error = error_words(self.state.error)
            reported = f"; the server reported: {error}" if error else ""
            where = "it ends" if self._tail.endswith(BLANK_LINES) else "it ends inside a frame,"
            raise Failure(f"truncated: {where} {self.place}, without a terminal event{reported}")

    def _events_around(self, beyond: int) -> str:
        if self.state.cursor is None:
            return f"the first event is {beyond}"
        return f"event {self.state.cursor} is followed by event {beyond}"


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


class Copy:
    """Records a stream of bytes in a thread of its own while its chunks pass through."""

    def __init__(self, flags: RecordFlags, *, policy: SequencePolicy, max_frame_bytes: int) -> None:
        self._flags = flags
        self._policy = policy
        self._max_frame_bytes = max_frame_bytes
        self._chunks: Queue[bytes | None] = Queue(CHUNKS_AHEAD)
        self._result: str | BaseException = Failure("recording ended early")
        self._thread = Thread(target=self._copy, name="streamfold copy", daemon=True)
        self._thread.start()

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the same chunks."""
        for chunk in chunks:
            self._put(chunk)
            yield chunk

    def finish(self) -> str:
        """Wait until everything is recorded, and return the id of the stream in the log."""
        self._put(None)
        self._thread.join()
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def _put(self, chunk: bytes | None) -> None:
        while self._thread.is_alive():  # if it failed, `finish` reports it, and the stream continues without it
            try:
                self._chunks.put(chunk, timeout=PUT_SECONDS)
                return
            except Full:
                continue

    def _copy(self) -> None:
        from streamfold.history import import_stream

        async def store(log: "EventLog") -> str:
            imported = await import_stream(
                log,
                self._flags.tenant,
                iter(self._chunks.get, None),
                policy=self._policy,
                max_frame_bytes=self._max_frame_bytes,
            )
            return imported.response_id

        try:
            self._result = visit_log(self._flags, store, may_write=True)
        except BaseException as error:  # raised by `finish`
            self._result = error


def _finish_copy(copy: Copy | None, name: str, failure: Failure | None) -> Failure | None:
    """Report what was recorded, or why it was not. Returns the first failure of the two."""
    if copy is not None:
        try:
            say(f"{name}: recorded as {copy.finish()}")
        except Failure as unrecorded:
            if failure is None:
                return Failure(f"not recorded: {unrecorded.reason}", unrecorded.exit_code)
            say(f"{name}: not recorded: {unrecorded.reason}")
    return failure
