"""What is shown of a chosen row: the Response, its text, what changed, the event itself."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import UNSET, Raw, Struct
from msgspec.json import format as format_json
from rich.cells import cell_len, chop_cells

from streamfold.cli.inspect.pages import NO_EVENT, Entry, Pages
from streamfold.cli.inspect.timeline import EndRow, EventRow, NoteRow, Timeline
from streamfold.cli.terminal import timestamp
from streamfold.errors import LogError
from streamfold.fold import State, snapshot_json
from streamfold.history import Change, diff, replay
from streamfold.log import EventLog, StreamKey
from streamfold.schema import UNDECODABLE

INDENT = 2
NO_RECORD = "no event has been recorded yet"


class Tab(StrEnum):
    """What the right side shows of a row."""

    RESPONSE = "response"
    TEXT = "text"
    DIFF = "diff"
    EVENT = "event"


class Style(StrEnum):
    """The meaning of a line."""

    PLAIN = "plain"
    JSON = "json"
    STRING = "string"
    HEAD = "head"
    NEW = "new"
    OLD = "old"
    FAINT = "faint"


class Line(Struct, frozen=True, gc=False):
    """One line on the screen. From the character `new_from` on, it came with this event."""

    text: str
    style: Style = Style.PLAIN
    new_from: int | None = None


class Selection(Struct, frozen=True):
    """One row of the stream: the states around it, None if they are unknown; an event's own bytes; other remarks."""

    before: State | None = None
    after: State | None = None
    data: bytes | None = None
    words: tuple[str, ...] = ()


async def selection_of(log: EventLog, key: StreamKey, *, timeline: Timeline, pages: Pages, row: int) -> Selection:
    """Return the selection of a row whose entry is loaded."""
    if not timeline.rows:
        return Selection(words=(NO_RECORD,))
    number = timeline.number_at(row)
    entry = None if number is None else pages.entry(number)
    match timeline.place(row):
        case EventRow():
            return _of_event(entry)
        case NoteRow(note):
            state = entry.after if entry else State()
            return Selection(state, state, words=(f"{note.kind}: {note.text} ({timestamp(note.at)})",))
        case EndRow(status):
            try:
                last = await replay(log, key)
            except LogError as error:
                return Selection(words=(f"the end: {status}", str(error)))
            return Selection(entry.after if entry else None, last, words=(f"the end: {status}",))


def _of_event(entry: Entry | None) -> Selection:
    if entry is None:
        return Selection()
    is_plain = entry.record is not None and entry.words != NO_EVENT and entry.after is not None
    data = entry.record.data if entry.record else None
    return Selection(entry.before, entry.after, data, words=() if is_plain else (entry.words,))


def render(selection: Selection, tab: Tab, *, width: int) -> list[Line]:
    """Return the lines of one tab. A long text takes milliseconds: call it in a thread other than the screen's."""
    if tab is Tab.EVENT:
        event = _json_lines(selection.data, Style.JSON) if selection.data else []
        return _wrapped([*_words(selection), *event], width)
    if selection.after is None:
        return _wrapped(_words(selection) or [Line("nothing is known about this row", Style.FAINT)], width)
    if tab is Tab.RESPONSE:
        return _wrapped(_json_lines(snapshot_json(selection.after), Style.JSON), width)
    if tab is Tab.TEXT:
        return _text_lines(selection.before or State(), selection.after, width)
    changes = diff(selection.before or State(), selection.after)
    return _wrapped(_change_lines(changes) if changes else [Line("nothing in the Response", Style.FAINT)], width)


def _words(selection: Selection) -> list[Line]:
    return [Line(each, Style.FAINT) for each in selection.words]


def _json_lines(data: bytes, style: Style, prefix: str = "") -> list[Line]:
    try:
        text = format_json(data, indent=INDENT).decode("utf-8", "replace")
    except UNDECODABLE:
        text = data.decode("utf-8", "replace")
    return [Line(f"{prefix}{each}", style) for each in text.split("\n")]


def _text_lines(before: State, after: State, width: int) -> list[Line]:
    old, text = before.output_text, after.output_text
    if not text:
        return [Line("no output text yet", Style.FAINT)]
    if old == text:
        return [Line(piece) for piece, _ in pieces(text, width)]
    begin = len(old) if text.startswith(old) else 0
    return [
        Line(piece, new_from=max(0, begin - start) if begin - start < len(piece) else None)
        for piece, start in pieces(text, width)
    ]


def _change_lines(changes: Iterable[Change]) -> list[Line]:
    lines: list[Line] = []
    for change in changes:
        lines.append(Line(change.pointer or "/", Style.HEAD))
        if change.added is not UNSET:
            lines += [Line(f"+= {change.added}", Style.NEW)]
        if isinstance(change.before, Raw):
            lines += _json_lines(bytes(change.before), Style.OLD, "- ")
        if isinstance(change.after, Raw):
            lines += _json_lines(bytes(change.after), Style.NEW, "+ ")
    return lines


def _wrapped(lines: Iterable[Line], width: int) -> list[Line]:
    return [each for line in lines for each in _wrapped_line(line, width)]


def _wrapped_line(line: Line, width: int) -> Iterator[Line]:
    style = line.style
    for piece, _ in pieces(line.text, width):
        yield Line(piece, style)
        if style is Style.JSON:
            style = Style.STRING  # only a string can be this long


def pieces(text: str, width: int) -> Iterator[tuple[str, int]]:
    """Yield the text in pieces no wider than this, each with its position; cut at spaces if possible."""
    width = max(2, width)  # a wide character takes two columns
    start = 0
    for line in text.split("\n"):
        yield from _pieces_of_line(line, start, width)
        start += len(line) + 1


def _pieces_of_line(line: str, start: int, width: int) -> Iterator[tuple[str, int]]:
    at = 0
    while True:
        piece = line[at : at + width]
        if not piece.isascii() and cell_len(piece) > width:
            piece = chop_cells(piece, width)[0]
        end = at + len(piece)
        if end == len(line):
            yield piece, start + at
            return
        blank = piece.rfind(" ")
        if blank >= width // 2 and line[end] != " ":
            piece = piece[: blank + 1]
        yield piece, start + at
        at += len(piece)
