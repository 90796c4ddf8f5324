"""The names of the facets in one line, the one that is shown among them.

In      the facet that is shown
Out     a line of the terminal; the facet whose name was clicked
Units   columns
Source  docs/reference/cli.md
"""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from streamfold.cli.inspect.render import Facet

__all__ = ["Facets"]

GAP = 2


class Facets(Static):
    """See above."""

    DEFAULT_CSS: ClassVar[str] = """
    Facets { height: 1; }
    """

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, facet: Facet) -> None:
            super().__init__()
            self.facet: Facet = facet

    def show(self, facet: Facet) -> None:
        """Mark this one."""
        self.update(Text(" " * GAP).join(_name(each, is_shown=each is facet) for each in Facet), layout=False)

    def on_click(self, event: events.Click) -> None:
        """Choose the facet whose name is there."""
        begin = 0
        for facet in Facet:
            if begin <= event.x < begin + len(facet):
                self.post_message(self.Chosen(facet))
            begin += len(facet) + GAP


def _name(facet: Facet, *, is_shown: bool) -> Text:
    """Its first letter is its key."""
    name = Text(facet.capitalize(), "bold reverse" if is_shown else "dim")
    name.stylize("underline", 0, 1)
    return name
