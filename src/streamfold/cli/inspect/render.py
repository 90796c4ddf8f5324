"""What is shown of one scene: its Response, its text, what changed, the event itself.

In      the states before and after, or the record
Out     lines no wider than the room for them
Units   columns of a terminal
Errors  none
Source  docs/reference/cli.md
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import UNSET, Raw, Struct
from msgspec.json import format as format_json
from rich.cells import cell_len, chop_cells

from streamfold.fold import State, snapshot_json
from streamfold.history import Change, diff
from streamfold.schema import UNDECODABLE

__all__ = ["Facet", "Line", "Scene", "Style", "sheet"]

INDENT = 2


class Facet(StrEnum):
    """Which side of a scene is shown."""

    RESPONSE = "response"
    TEXT = "text"
    DIFF = "diff"
    EVENT = "event"


class Style(StrEnum):
    """How a line is meant."""

    PLAIN = "plain"
    JSON = "json"
    STRING = "string"
    HEAD = "head"
    NEW = "new"
    OLD = "old"
    FAINT = "faint"


class Line(Struct, frozen=True, gc=False):
    """One line on the screen. new_from: the character from which on it came with this event; None where nothing did."""

    text: str
    style: Style = Style.PLAIN
    new_from: int | None = None


class Scene(Struct, frozen=True):
    """One row of the stream. before, after: None where they cannot be known. data: the event's own bytes, if it is one.

    words: what else is to say of it.
    """

    before: State | None = None
    after: State | None = None
    data: bytes | None = None
    words: tuple[str, ...] = ()


def sheet(scene: Scene, facet: Facet, *, width: int) -> list[Line]:
    """The lines of one facet. Pure; with a long text it takes milliseconds, so it is not for the thread of the screen."""
    if facet is Facet.EVENT:
        event = _json_lines(scene.data, Style.JSON) if scene.data else []
        return _wrapped([*_words(scene), *event], width)
    if scene.after is None:
        return _wrapped(_words(scene) or [Line("nothing is known here", Style.FAINT)], width)
    if facet is Facet.RESPONSE:
        return _wrapped(_json_lines(snapshot_json(scene.after), Style.JSON), width)
    if facet is Facet.TEXT:
        return _text_lines(scene.before or State(), scene.after, width)
    changes = diff(scene.before or State(), scene.after)
    return _wrapped(_change_lines(changes) if changes else [Line("nothing in the Response", Style.FAINT)], width)


def _words(scene: Scene) -> list[Line]:
    return [Line(each, Style.FAINT) for each in scene.words]


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
    return [_grown_line(piece, begin - start) for piece, start in pieces(text, width)]


def _grown_line(piece: str, begin: int) -> Line:
    return Line(piece, new_from=max(0, begin) if begin < len(piece) else None)


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
            style = Style.STRING  # only a string is so long


def pieces(text: str, width: int) -> Iterator[tuple[str, int]]:
    """The text in pieces no wider than this, each with its place in it; cut at blanks where there are some."""
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
        behind = at + len(piece)
        if behind == len(line):
            yield piece, start + at
            return
        blank = piece.rfind(" ")
        if blank >= width // 2 and line[behind] != " ":
            piece = piece[: blank + 1]
        yield piece, start + at
        at += len(piece)
