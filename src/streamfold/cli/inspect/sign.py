"""How a mark looks, in a row and on the scrubber.

In      a kind of mark
Out     one character, and its style
Units   one column of the terminal
Source  docs/reference/cli.md
"""

from collections.abc import Mapping

from streamfold.cli.inspect.timeline import MarkKind

__all__ = ["CHECKPOINT", "SIGNS"]

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
