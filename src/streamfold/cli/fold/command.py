"""`streamfold fold FILE`: a recorded stream folded into its Response, its events, its text, or its state at a number.

In      a file of server-sent events, plain or gzip; `-` for stdin
Out     stdout: the Response, the lines or the text, as far as the stream could be folded; stderr: one line if it broke
Units   bytes; events a second; sequence numbers
Errors  none: what breaks is said, and is exit code 1
Source  docs/reference/cli.md
"""

from collections import deque
from typing import Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from streamfold.cli.failure import INTERRUPTED, USAGE, Failure, say
from streamfold.cli.fold.pace import Pace
from streamfold.cli.fold.progress import with_progress
from streamfold.cli.fold.reading import DEFAULT_MAX_FRAME_BYTES, Reading
from streamfold.cli.fold.source import DEFAULT_MAX_BYTES, STDIN, open_source
from streamfold.cli.fold.watch import WatchView
from streamfold.cli.log.place import NO_LOG, LogFlags
from streamfold.cli.log.recording import Copy, recorded_in
from streamfold.cli.number import whole_number
from streamfold.cli.output.view import DocumentView, EventsView, ResponseView, View
from streamfold.cli.terminal import Output
from streamfold.fold import SequencePolicy

__all__ = ["fold"]

READABLE_EVENTS_PER_SECOND = 50.0

SHOWN = Group("What is shown (by default the Response as JSON)", sort_key=1)
LIMITS = Group("Limits", sort_key=2)
AT_LEAST_ONE = Number(gte=1)


def fold(
    file: Annotated[str, Parameter(help="A recorded stream, plain or gzip; - for stdin.")],
    /,
    *,
    json: Annotated[
        bool, Parameter(help="One JSON document: cursor, status, text, response.", group=SHOWN, show_default=False)
    ] = False,
    events: Annotated[
        bool, Parameter(help="A line for each event: number, type, change.", group=SHOWN, show_default=False)
    ] = False,
    watch: Annotated[bool, Parameter(help="The text as it grows.", group=SHOWN, show_default=False)] = False,
    at: Annotated[
        int | None,
        Parameter(help="Stop at this sequence number.", converter=whole_number, validator=Number(gte=0)),
    ] = None,
    speed: Annotated[
        float | None,
        Parameter(
            help="Events a second for --watch; by default 50, and from stdin as they come.", validator=Number(gt=0)
        ),
    ] = None,
    policy: Annotated[
        SequencePolicy, Parameter(help="How far the server's sequence numbers are trusted.")
    ] = SequencePolicy.STRICT,
    max_bytes: Annotated[
        int, Parameter(help="The most that a gzip file may unpack to.", group=LIMITS, validator=AT_LEAST_ONE)
    ] = DEFAULT_MAX_BYTES,
    max_frame_bytes: Annotated[
        int, Parameter(help="The most that one frame may hold.", group=LIMITS, validator=AT_LEAST_ONE)
    ] = DEFAULT_MAX_FRAME_BYTES,
    into: LogFlags = NO_LOG,
) -> int:
    """Fold a recorded stream into its Response."""
    if json + events + watch > 1:
        raise Failure("--json, --events and --watch exclude each other; see streamfold fold --help", USAGE)
    if speed is not None and not watch:
        raise Failure("--speed is for --watch; see streamfold fold --help", USAGE)
    if speed is None and file != STDIN:
        speed = READABLE_EVENTS_PER_SECOND
    output = Output()
    view = _view(output, json=json, events=events, watch=watch, speed=speed)
    reading = Reading(policy=policy, at=at, max_frame_bytes=max_frame_bytes)
    has_bar = not (output.is_terminal and (events or watch))  # else the bar would run through the lines
    copy = None
    if recorded_in(into):
        copy = Copy(into, policy=policy, max_frame_bytes=max_frame_bytes)
    failure = read(file, reading, view, max_bytes=max_bytes, has_bar=has_bar, copy=copy)
    view.finish(reading)
    name = "stdin" if file == STDIN else file
    if copy is not None:
        try:
            say(f"{name}: recorded as {copy.finish()}")
        except Failure as unrecorded:
            failure = failure or unrecorded
    if failure is not None:
        say(f"{name}: {failure.reason}")
        return failure.exit_code
    if watch and output.is_terminal:
        say(f"{name}: {reading.state.status or 'no status'}, {reading.place}")
    return 0


def _view(output: Output, *, json: bool, events: bool, watch: bool, speed: float | None) -> View:
    if json:
        return DocumentView(output)
    if events:
        return EventsView(output)
    if watch:
        return WatchView(output, pace=Pace(speed))
    return ResponseView(output)


def read(
    file: str, reading: Reading, view: View, *, max_bytes: int, has_bar: bool, copy: Copy | None
) -> Failure | None:
    """Fold the file, and show each step. Returns: what broke it, or None. Never raises for what the file holds.

    copy: takes the whole file, though the folding ends before.
    """
    try:
        with open_source(file) as source:
            chunks = source.chunks(max_bytes=max_bytes)
            chunks = chunks if copy is None else copy.through(chunks)
            for step in reading.steps(with_progress(source, chunks) if has_bar else chunks):
                view.show(step)
            if copy is not None:
                deque(chunks, maxlen=0)
    except Failure as failure:
        return failure
    except KeyboardInterrupt:
        return Failure(f"stopped {reading.place}", INTERRUPTED)
    return None
