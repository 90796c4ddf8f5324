"""`streamfold log show ID` and `streamfold log replay ID`: one stream of a log, and its state at any number.

In      a response's id; a sequence number
Out     the stream's facts and a line for each event; the Response, or the document of `fold --json`
Units   sequence numbers
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import Struct
from msgspec.json import encode

from streamfold.cli.failure import say
from streamfold.cli.fold.reading import Reading, Step
from streamfold.cli.log.listing import StreamDocument, stream_document
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.log.timestamp import moment
from streamfold.cli.number import whole_number
from streamfold.cli.output.change import describe_change
from streamfold.cli.output.view import DocumentView, EventsView, ResponseView
from streamfold.cli.terminal import Output
from streamfold.fold import AnomalyKind, State

if TYPE_CHECKING:
    from streamfold.log import EventLog, Note, StreamInfo, StreamKey

__all__ = ["At", "Identifier", "replay", "show"]

Identifier = Annotated[str, Parameter(help="The response's id.", name="ID")]
At = Annotated[int | None, Parameter(converter=whole_number, validator=Number(gte=0))]


class _NoteDocument(Struct, frozen=True):
    kind: str
    text: str
    after: int | None
    at: float


class _EventDocument(Struct, frozen=True):
    sequence_number: int
    type: str
    bytes: int
    change: str


class _ShowDocument(Struct, frozen=True):
    """What `show --json` tells, and the order of its fields."""

    stream: StreamDocument
    checkpoints: list[int]
    notes: list[_NoteDocument]
    events: list[_EventDocument]


def show(
    id: Identifier,
    /,
    *,
    json: Annotated[bool, Parameter(help="One JSON document.", show_default=False)] = False,
    flags: LogFlags | None = None,
) -> int:
    """Show a stream: how it stands, what happened to it, a line for each event."""
    flags = flags or LogFlags()
    key = flags.key(id)
    output = Output()

    async def tell(log: "EventLog") -> None:
        from streamfold.errors import UnknownStream

        info = await log.info(key)
        if info is None:
            raise UnknownStream(key.tenant, key.response_id)
        checkpoints, notes = await _checkpoints(log, key), await log.notes(key)
        if json:
            output.write_bytes(await _document(log, info, checkpoints, notes))
        else:
            for line in _head(info, checkpoints):
                output.write(f"{line}\n")
            await _tell_events(log, info, notes, output)

    visit_log(flags, tell, may_write=False)
    return 0


async def _checkpoints(log: "EventLog", key: "StreamKey") -> list[int]:
    found: list[int] = []
    saved = await log.checkpoint(key)
    while saved is not None:
        found.append(saved.cursor)
        saved = await log.checkpoint(key, at=saved.cursor - 1)
    return found[::-1]


def _head(info: "StreamInfo", checkpoints: Sequence[int]) -> list[str]:
    count = info.next_number - info.first_number
    numbers = f" ({info.first_number} to {info.next_number - 1})" if count else ""
    kept = "for ever" if info.expires_at is None else f"until {moment(info.expires_at)}"
    lines = [
        f"{info.key.response_id}: {info.status or 'open'}, {count:,} records{numbers}",
        f"made {moment(info.created_at)}, kept {kept}",
        f"checkpoints: {', '.join(map(str, checkpoints)) or 'none'}",
    ]
    if info.owner:
        lines.append(f"written by {info.owner}, whose lease ends {moment(info.lease_expires_at)}")
    if info.is_cancel_requested:
        lines.append("a cancel was asked for")
    return lines


async def _tell_events(log: "EventLog", info: "StreamInfo", notes: "Sequence[Note]", output: Output) -> None:
    from streamfold.history import states

    view = EventsView(output)
    waiting = list(notes)

    def tell_notes(before: int | None) -> None:
        while waiting and (before is None or waiting[0].after is None or waiting[0].after < before):
            note = waiting.pop(0)
            output.write(f"      {note.kind}: {' '.join(note.text.split())}\n")

    async for step in states(log, info.key):
        tell_notes(step.record.sequence_number)
        view.show(Step(step.event, step.before, step.after))
    tell_notes(None)


async def _document(log: "EventLog", info: "StreamInfo", checkpoints: list[int], notes: "Sequence[Note]") -> bytes:
    from streamfold.history import states

    events = [
        _EventDocument(
            sequence_number=step.record.sequence_number,
            type=step.record.name,
            bytes=len(step.record.data),
            change=describe_change(Step(step.event, step.before, step.after)),
        )
        async for step in states(log, info.key)
    ]
    told = [_NoteDocument(note.kind, note.text, note.after, note.at) for note in notes]
    return encode(_ShowDocument(stream_document(info), checkpoints, told, events)) + b"\n"


def replay(
    id: Identifier,
    /,
    *,
    at: Annotated[At, Parameter(help="The state at this sequence number; without it the newest.")] = None,
    json: Annotated[
        bool, Parameter(help="One JSON document: cursor, status, text, response.", show_default=False)
    ] = False,
    flags: LogFlags | None = None,
) -> int:
    """Show the Response as it stood at a sequence number."""
    flags = flags or LogFlags()
    key = flags.key(id)

    async def find(log: "EventLog") -> Reading:
        from streamfold.history import replay as replayed

        reading = Reading()
        reading.state = await replayed(log, key, at=at)
        reading.events = await _events_up_to(log, key, reading.state)
        return reading

    reading = visit_log(flags, find, may_write=False)
    output = Output()
    (DocumentView(output) if json else ResponseView(output)).finish(reading)
    if not reading.events:
        say(f"{id}: no events yet")
    return 0


async def _events_up_to(log: "EventLog", key: "StreamKey", state: State) -> int:
    """How many events the state is folded of: one for each number, but for those that the server left out."""
    from streamfold.history import states

    if state.cursor is None:
        return 0
    if any(anomaly.kind is AnomalyKind.HOLE for anomaly in state.anomalies):
        return len([step async for step in states(log, key, to=state.cursor)])
    info = await log.info(key)
    return 0 if info is None else state.cursor + 1 - info.first_number
