"""Pieces of a picture of a Response: its items, and the end of its text in a frame.

In      a State, and a console
Out     renderables of rich
Units   columns and rows of the terminal
"""

from collections.abc import Set as AbstractSet

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamfold.cli.control import without_controls
from streamfold.fold import State
from streamfold.schema import Response

__all__ = ["item_rows", "text_panel"]

EXCERPT = 400  # characters of an item's text that can be seen
BESIDE_EXCERPT = 34  # columns


def item_rows(response: Response, closed: AbstractSet[int], console: Console) -> Table:
    """A row for each item: whether it is closed, its type, the end of what it holds."""
    items = Table.grid(padding=(0, 1))
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True, overflow="crop", ratio=1)
    for index, item in enumerate(response.output):
        mark = Text("● closed", "green") if index in closed else Text("○ open  ", "yellow")
        items.add_row(mark, Text(item.wire_type, "bold"), Text(_excerpt(item, console), "dim"))
    return items


def _excerpt(item: object, console: Console) -> str:
    """The end of an item's own text; the message's stands in the panel."""
    summary = " ".join(getattr(part, "text", "") for part in getattr(item, "summary", None) or ())
    words = without_controls(f"{summary}{getattr(item, 'arguments', None) or ''}"[-EXCERPT:])
    room = max(0, console.width - BESIDE_EXCERPT)
    return " ".join(words.split())[-room:]


def text_panel(state: State, console: Console, *, rows: int) -> Panel:
    """The last rows of the output text."""
    inside = console.width - 4
    tail = without_controls(state.output_text[-rows * inside :])
    lines = Text(tail).wrap(console, inside)[-rows:]
    return Panel(Text("\n").join(lines), title="output_text", title_align="left", height=rows + 2)
