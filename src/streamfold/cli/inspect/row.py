"""One row of the list: its mark, the number, the event's type, and what it changed in few words."""

import re
from collections.abc import Mapping

from rich.cells import cell_len

from streamfold.cli.inspect.pages import NO_EVENT, Entry
from streamfold.cli.inspect.timeline import EndRow, EventRow, MarkKind, NoteRow, Place
from streamfold.cli.terminal import cut, one_line

SIGNS: Mapping[MarkKind, tuple[str, str]] = {
    MarkKind.RESUME: ("↻", "bold yellow"),
    MarkKind.REPLAY: ("↺", "bold yellow"),
    MarkKind.RETRIEVE: ("⇣", "bold yellow"),
    MarkKind.CANCEL: ("✗", "bold magenta"),
    MarkKind.OUTCOME: ("◆", "bold cyan"),
    MarkKind.NOTE: ("•", "bold"),
    MarkKind.GAP: ("∅", "bold blue"),
    MarkKind.DAMAGE: ("!", "bold red"),
    MarkKind.END: ("■", "bold green"),
}
CHECKPOINT = ("▾", "dim")

PREFIX = "response."
MAX_TYPE = 30  # columns: all types but a few, without their prefix
# The path of a change, up to the last name in it: it is left out if the line is too long.
PATH = re.compile(r"^output\[[\d?]+\](?:\.(?:content|summary)\[[\d?]+\](?=\.))?\.")
STATUS_STYLES = {"completed": "bold green", "cancelled": "bold yellow"}

Pieces = list[tuple[str, str]]


def pieces_of_row(place: Place, entry: Entry | None, *, mark: MarkKind | None, digits: int, width: int) -> Pieces:
    """Return the row's pieces, from the left. `entry` is None until it is loaded; `digits` are those of the last number."""
    sign = SIGNS[mark] if mark else (" ", "")
    match place:
        case EventRow(number):
            numbered = (f" {number:>{digits}} ", "dim")
            return [sign, numbered, *_change(entry, width - digits - 3)]
        case NoteRow(note):
            text = note.text if note.kind == "repair" else f"{note.kind}: {note.text}"  # a repair's names its kind
            return [sign, (" " * (digits + 2), ""), (cut(one_line(text), width - digits - 3), sign[1])]
        case EndRow(status):
            return [sign, (" " * (digits + 2), ""), (f"the end: {status}", STATUS_STYLES.get(status, "bold red"))]


def caption(place: Place, entry: Entry | None) -> Pieces:
    """Return the line above the right side."""
    match place:
        case EventRow(number):
            return [(f"{number} ", "bold"), (one_line(entry.record.name) if entry and entry.record else "", "")]
        case NoteRow(note):
            return [(f"{note.kind}: ", "bold"), (one_line(note.text), "")]
        case EndRow(status):
            return [("the end: ", "bold"), (status, "")]


def _change(entry: Entry | None, room: int) -> Pieces:
    if entry is None:
        return [("…", "dim")]
    if entry.record is None:
        return [(cut(one_line(entry.words), room), "red")]
    if entry.words == NO_EVENT:
        return [(cut(entry.words, room), "dim")]
    columns = min(MAX_TYPE, max(8, room * 2 // 5))
    kind = one_line(entry.record.name).removeprefix(PREFIX) or "(no type)"
    left = room - columns - 1
    words = one_line(entry.words)
    if cell_len(words) > left:
        words = PATH.sub("", words)
    return [(cut(kind, columns).ljust(columns), _style(kind)), (" ", ""), (cut(words, left), "")]


def _style(kind: str) -> str:
    if kind.endswith(".delta"):
        return "dim"
    if kind in {"error", "failed", "incomplete"}:
        return "bold red"
    return "cyan"
