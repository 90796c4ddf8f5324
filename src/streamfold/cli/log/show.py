"""The commands that look into a log: `streamfold log ls|show|replay|diff` and `streamfold inspect`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Raw
from msgspec.json import encode

from streamfold.cli.log.place import OWN_LOG, LogFlags, log_address, recorded_in, visit_log
from streamfold.cli.options import Document, ResponseId, sequence_number
from streamfold.cli.output.step import Step, describe_change
from streamfold.cli.output.table import write_rows
from streamfold.cli.output.view import DocumentView, End, EventsView, ResponseView
from streamfold.cli.terminal import USAGE, Failure, Output, can_ask, say, timestamp
from streamfold.errors import NumberNotReached, UnknownStream
from streamfold.fold import AnomalyKind, State

if TYPE_CHECKING:
    from streamfold.history import Change
    from streamfold.log import EventLog, Note, StreamInfo, StreamKey

OPEN = "open"
COLUMNS = ("response", "status", "records", "numbers", "created", "kept until")


def stream_document(info: "StreamInfo") -> dict[str, object]:
    """Return the stream as a JSON document."""
    return {
        "response_id": info.key.response_id,
        "tenant": info.key.tenant,
        "status": info.status,
        "first_number": info.first_number,
        "next_number": info.next_number,
        "is_cancel_requested": info.is_cancel_requested,
        "owner": info.owner or None,
        "lease_expires_at": info.lease_expires_at if info.owner else None,
        "created_at": info.created_at,
        "expires_at": info.expires_at,
    }


# ls


def ls(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """List the streams of a log."""
    tenant = flags.tenant

    async def find(log: "EventLog") -> "tuple[list[StreamInfo], Sequence[str]]":
        found: list[StreamInfo] = []
        while page := await log.list(tenant, after=found[-1].key.response_id if found else None):
            found += page
        return found, [] if found else await log.tenants()

    found, tenants = visit_log(flags, find, may_write=False)
    output = Output()
    if json:
        output.write_json({"streams": [*map(stream_document, found)]})
    elif not found:
        others = ", ".join(f"--tenant {each}" if each else "no tenant" for each in tenants)
        own = "" if recorded_in(flags) else f": {log_address(flags)}; pass --log for another one"
        say(f"no streams of this tenant; the log has streams of: {others}" if others else f"the log is empty{own}")
    else:
        write_rows(output, COLUMNS, [*map(_cells, found)])
    return 0


def _cells(info: "StreamInfo") -> tuple[str, ...]:
    count = info.next_number - info.first_number
    return (
        info.key.response_id,
        info.status or OPEN,
        str(count),
        f"{info.first_number}..{info.next_number - 1}" if count else "-",
        timestamp(info.created_at),
        "-" if info.expires_at is None else timestamp(info.expires_at),
    )


# show


def show(id: ResponseId, /, *, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Show a stream: its status, its notes, and a line per event."""
    key = flags.key(id)
    output = Output()

    async def print_stream(log: "EventLog") -> None:
        info = await log.info(key)
        if info is None:
            raise UnknownStream(key.tenant, key.response_id)
        checkpoints, notes = await _checkpoints(log, key), await log.notes(key)
        if json:
            output.write_json(await _document(log, info, checkpoints, notes))
        else:
            for line in _head(info, checkpoints):
                output.write_line(line)
            await _print_events(log, info, notes, output)

    visit_log(flags, print_stream, may_write=False)
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
    kept = "kept forever" if info.expires_at is None else f"kept until {timestamp(info.expires_at)}"
    lines = [
        f"{info.key.response_id}: {info.status or OPEN}, {count:,} records{numbers}",
        f"created {timestamp(info.created_at)}, {kept}",
        f"checkpoints: {', '.join(map(str, checkpoints)) or 'none'}",
    ]
    if info.owner:
        lines.append(f"being written by {info.owner}, lease until {timestamp(info.lease_expires_at)}")
    if info.is_cancel_requested:
        lines.append("a cancel was requested")
    return lines


async def _print_events(log: "EventLog", info: "StreamInfo", notes: "Sequence[Note]", output: Output) -> None:
    from streamfold.history import states

    view = EventsView(output)
    waiting = list(notes)

    def print_notes(before: int | None) -> None:
        while waiting and (before is None or waiting[0].after is None or waiting[0].after < before):
            note = waiting.pop(0)
            output.write_line(f"      {note.kind}: {' '.join(note.text.split())}")

    async for each in states(log, info.key):
        print_notes(each.record.sequence_number)
        view.show(Step(each.event, each.record.data, each.before, each.after, each.record.sequence_number))
    print_notes(None)


async def _document(
    log: "EventLog", info: "StreamInfo", checkpoints: list[int], notes: "Sequence[Note]"
) -> dict[str, object]:
    from streamfold.history import states

    events = [
        {
            "sequence_number": each.record.sequence_number,
            "type": each.record.name,
            "bytes": len(each.record.data),
            "change": describe_change(Step(each.event, each.record.data, each.before, each.after)),
        }
        async for each in states(log, info.key)
    ]
    noted = [{"kind": note.kind, "text": note.text, "after": note.after, "at": note.at} for note in notes]
    return {"stream": stream_document(info), "checkpoints": checkpoints, "notes": noted, "events": events}


# replay


def replay(
    id: ResponseId,
    /,
    *,
    at: Annotated[int | None, sequence_number("The sequence number [default: the last one]")] = None,
    json: Document = False,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Show the Response as it was at a sequence number."""
    key = flags.key(id)

    async def find(log: "EventLog") -> End:
        from streamfold.history import replay as replayed

        state = await replayed(log, key, at=at)
        return End(state, events=await _events_up_to(log, key, state, at))

    end = visit_log(flags, find, may_write=False)
    output = Output()
    (DocumentView(output) if json else ResponseView(output)).finish(end)
    if not end.events:
        say(f"{id}: no events yet")
    return 0


async def _events_up_to(log: "EventLog", key: "StreamKey", state: State, at: int | None) -> int:
    """How many events the state was folded from: one per record, except for numbers that the server left out."""
    from streamfold.history import is_filler
    from streamfold.log import pages

    info = await log.require(key)
    if state.cursor is None:
        return 0
    if all(anomaly.kind is not AnomalyKind.HOLE for anomaly in state.anomalies):
        return (info.next_number if at is None else at + 1) - info.first_number
    return sum([not is_filler(each) async for page in pages(log, info, to=at) for each in page])


# diff


def diff(
    id: ResponseId,
    n: Annotated[int, sequence_number("The first sequence number.", name="N")],
    m: Annotated[int, sequence_number("The second sequence number; it may be lower than the first.", name="M")],
    /,
    *,
    json: Document = False,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Show what differs between the Response at two sequence numbers."""
    key = flags.key(id)

    async def find(log: "EventLog") -> "tuple[Change, ...]":
        from streamfold.history import diff as differences
        from streamfold.history import replay as replayed

        return differences(await replayed(log, key, at=n), await replayed(log, key, at=m))

    changes = visit_log(flags, find, may_write=False)
    output = Output()
    if json:
        output.write_json({"from": n, "to": m, "changes": changes})
        return 0
    for change in changes:
        output.write_line(f"{change.pointer}{_change(change)}", is_cut=True)
    if not changes:
        say(f"no difference between {n} and {m}")
    return 0


def _change(change: "Change") -> str:
    if change.added is not UNSET:
        return f" += {encode(change.added).decode()}"
    if change.after is UNSET:
        return " removed"
    new = _on_one_line(change.after)
    return f" = {new}" if change.before is UNSET else f": {_on_one_line(change.before)} → {new}"


def _on_one_line(value: Raw) -> str:
    """JSON has line ends between its tokens only."""
    return b" ".join(bytes(value).splitlines()).decode(errors="replace")


# inspect


def inspect(
    id: ResponseId,
    /,
    *,
    at: Annotated[int | None, sequence_number("Start at this sequence number [default: the end]")] = None,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Step through a recorded or live response, event by event."""
    from streamfold.cli.inspect.program import Inspector
    from streamfold.cli.inspect.scan import first_look

    if not can_ask():
        raise Failure(f"inspect needs a terminal; in a pipe, use streamfold log show {id}", USAGE)
    key = flags.key(id)

    async def show(log: "EventLog") -> int:
        timeline = await first_look(log, key)
        if at is not None and not timeline.first <= at < timeline.beyond:
            raise NumberNotReached(at, timeline.first if at < timeline.first else timeline.last_number)
        program = Inspector(log, key, timeline, at=at)
        await program.run_async()
        return program.return_code or 0

    return visit_log(flags, show, may_write=False)
