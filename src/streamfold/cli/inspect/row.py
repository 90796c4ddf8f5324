"""One row of the list: a mark, a number, the event's type, and what it changed in few words.

In      what stands in the row, and how wide it may be
Out     pieces of text with their styles
Units   columns of the terminal
Source  docs/reference/cli.md
"""

import re

from rich.cells import cell_len, set_cell_size

from streamfold.cli.inspect.pages import NO_EVENT, Entry
from streamfold.cli.inspect.sign import SIGNS
from streamfold.cli.inspect.timeline import At, Between, End, MarkKind, Place
from streamfold.cli.terminal import without_controls
from streamfold.log import Note

__all__ = ["STATUS_STYLES", "caption", "pieces_of_row"]

CUT = "…"
PREFIX = "response."
MOST_TYPE = 30  # columns: the longest type but few, without its prefix
# The path at the beginning of what changed, up to the last name in it: where there is no room, what it adds counts.
PATH = re.compile(r"^output\[\d+\](?:\.(?:content|summary)\[\d+\](?=\.))?\.")
STATUS_STYLES = {"completed": "bold green", "cancelled": "bold yellow"}

Pieces = list[tuple[str, str]]


def pieces_of_row(place: Place, entry: Entry | None, *, mark: MarkKind | None, digits: int, width: int) -> Pieces:
    """The row's pieces, from the left. entry: None where it is not at hand yet. digits: of the last number."""
    sign = SIGNS[mark] if mark else (" ", "")
    match place:
        case At(number):
            numbered = (f" {number:>{digits}} ", "dim")
            return [sign, numbered, *_told(entry, width - digits - 3)]
        case Between(note):
            return [sign, (" " * (digits + 2), ""), (_cut(_of_note(note), width - digits - 3), sign[1])]
        case End(status):
            return [sign, (" " * (digits + 2), ""), (f"the end: {status}", STATUS_STYLES.get(status, "bold red"))]


def caption(place: Place, entry: Entry | None) -> Pieces:
    """The same in one line above the right side."""
    match place:
        case At(number):
            return [(f"{number} ", "bold"), (_plain(entry.record.name) if entry and entry.record else "", "")]
        case Between(note):
            return [(f"{note.kind}: ", "bold"), (_plain(note.text), "")]
        case End(status):
            return [("the end: ", "bold"), (status, "")]


def _of_note(note: Note) -> str:
    """A repair says by itself that it is one."""
    return _plain(note.text if note.kind == "repair" else f"{note.kind}: {note.text}")


def _told(entry: Entry | None, room: int) -> Pieces:
    if entry is None:
        return [("…", "dim")]
    if entry.record is None:
        return [(_cut(_plain(entry.words), room), "red")]
    if entry.words == NO_EVENT:
        return [(_cut(entry.words, room), "dim")]
    columns = min(MOST_TYPE, max(8, room * 2 // 5))
    kind = _plain(entry.record.name).removeprefix(PREFIX) or "(no type)"
    left = room - columns - 1
    words = _plain(entry.words)
    if cell_len(words) > left:
        words = PATH.sub("", words)
    return [(_cut(kind, columns).ljust(columns), _style(kind)), (" ", ""), (_cut(words, left), "")]


def _style(kind: str) -> str:
    if kind.endswith(".delta"):
        return "dim"
    if kind in {"error", "failed", "incomplete"}:
        return "bold red"
    return "cyan"


def _plain(text: str) -> str:
    """Text from a stream in one line that steers no terminal."""
    return without_controls(" ".join(text.split()))


def _cut(text: str, columns: int) -> str:
    return text if cell_len(text) <= columns else set_cell_size(text, max(0, columns - 1)) + CUT
