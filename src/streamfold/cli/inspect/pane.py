"""The right side: the lines of one facet of one scene.

In      Lines, as wide as `room`
Out     lines of the terminal
Units   rows and columns
Source  docs/reference/cli.md
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as Look
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from streamfold.cli.inspect.line_view import LineView
from streamfold.cli.inspect.render import Facet, Line, Style
from streamfold.cli.terminal import without_controls

__all__ = ["Pane"]

LOOKS: Mapping[Style, Look] = {
    Style.PLAIN: Look(),
    Style.JSON: Look(),
    Style.STRING: Look(color="green"),
    Style.HEAD: Look(color="cyan", bold=True),
    Style.NEW: Look(color="green"),
    Style.OLD: Look(color="red"),
    Style.FAINT: Look(dim=True),
}
ADDED = Look(color="green", bold=True)
# A key, a string (which may go on in the next line), a word, a number.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(?=:)|("(?:[^"\\]|\\.)*"?)|\b(true|false|null)\b|(-?\d[\d.eE+-]*)')
TOKENS = (Look(color="cyan"), Look(color="green"), Look(color="magenta"), Look(color="yellow"))


class Pane(LineView):
    """See above. lines: what it holds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
    ]

    class Resized(Message):
        """There is another room for the lines."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()
        self._facet = Facet.RESPONSE

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(line.text for line in self.lines)

    def show(self, lines: Sequence[Line], facet: Facet) -> None:
        """Show these. The Response stays where it was scrolled to, a text is shown at its end; the same stays as it is."""
        if facet is self._facet and lines == self.lines:
            return
        self.lines = lines
        self.hold(len(lines))
        if facet is Facet.TEXT:
            self.scroll_at_once(len(lines))
        elif facet is not Facet.RESPONSE or facet is not self._facet:
            self.scroll_at_once(0)
        self._facet = facet

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        at, base = self.top + y, self.visual_style.rich_style
        if at >= len(self.lines):
            return Strip.blank(self.room, base)
        segments = [Segment(without_controls(text), base + look) for text, look in _pieces(self.lines[at])]
        return Strip(segments).crop_extend(0, self.room, base)

    def action_page_up(self) -> None:
        """A screen back, at once."""
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        """A screen on, at once."""
        self.scroll_page_down(animate=False)

    def on_resize(self) -> None:
        """The lines must be made anew."""
        self.post_message(self.Resized())


def _pieces(line: Line) -> Iterator[tuple[str, Look]]:
    if line.style is Style.JSON:
        yield from _json_pieces(line.text)
    elif line.new_from is not None:
        yield line.text[: line.new_from], Look()
        yield line.text[line.new_from :], ADDED
    else:
        yield line.text, LOOKS[line.style]


def _json_pieces(text: str) -> Iterator[tuple[str, Look]]:
    at = 0
    for found in TOKEN.finditer(text):
        yield text[at : found.start()], Look()
        yield found[0], TOKENS[(found.lastindex or 1) - 1]
        at = found.end()
    yield text[at:], Look()
