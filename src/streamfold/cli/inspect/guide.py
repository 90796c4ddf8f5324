"""The page of keys.

In      nothing
Out     a screen over the other, gone with the next key
Source  docs/reference/cli.md
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from streamfold.cli.inspect.sign import CHECKPOINT, SIGNS

__all__ = ["KEYS", "Guide"]

KEYS = (
    ("↑ ↓", "one row back, one on"),
    ("PgUp PgDn", "a screen of rows"),
    ("Home End", "the first row, the last"),
    ("← →", "a hundredth of the stream"),
    ("n p", "the next mark, the one before"),
    ("/", "search in types, data and text; Enter again: the next"),
    ("r t d e", "Response, text, diff to the event before, event"),
    ("f", "follow a live stream, or stay"),
    ("Tab", "to the right side and back; arrows scroll it"),
    ("? q", "these keys, leave"),
)
COLUMNS = 12
SIGNS_IN_A_LINE = 4


class Guide(ModalScreen[None]):
    """See above."""

    DEFAULT_CSS: ClassVar[str] = """
    Guide { align: center middle; }
    Guide > VerticalScroll { width: auto; height: auto; max-width: 100%; max-height: 100%; border: round $primary; padding: 0 2; background: $surface; }
    Guide Static { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, "dismiss", show=False) for keys in ("escape,enter,space,question_mark,q", "ctrl+c")
    ]

    def compose(self) -> ComposeResult:
        """One box."""
        text = Text()
        for keys, words in KEYS:
            text.append(f"{keys:<{COLUMNS}}", "bold").append(f"{words}\n")
        signs = [(sign, style, str(kind)) for kind, (sign, style) in SIGNS.items()] + [(*CHECKPOINT, "checkpoint")]
        for at, (sign, style, kind) in enumerate(signs):
            text.append("\n" if at % SIGNS_IN_A_LINE == 0 else "").append(sign, style).append(f" {kind:<{COLUMNS}}")
        with VerticalScroll():
            yield Static(text)
