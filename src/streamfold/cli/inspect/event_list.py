"""The left side: every row of the stream, of which only those on the screen are ever drawn.

In      a Timeline, the entries that are at hand, the chosen row
Out     lines of the terminal; which row was clicked, and that other rows came into view
Units   rows; columns
Source  docs/reference/cli.md
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from streamfold.cli.inspect.line_view import LineView
from streamfold.cli.inspect.pages import Pages
from streamfold.cli.inspect.row import pieces_of_row
from streamfold.cli.inspect.timeline import At, Timeline

__all__ = ["EventList"]


class EventList(LineView):
    """See above. chosen: the row that is chosen."""

    DEFAULT_CSS: ClassVar[str] = """
    EventList > .event-list--chosen { background: $primary-muted; text-style: bold; }
    EventList:focus > .event-list--chosen { background: $primary; color: $text; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"event-list--chosen"}

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row: int = row

    class Scrolled(Message):
        """Other rows are in view."""

    def __init__(self, timeline: Timeline, pages: Pages, *, id: str) -> None:
        super().__init__(id=id)
        self._timeline = timeline
        self._pages = pages
        self.chosen: int = 0

    def show(self, timeline: Timeline, chosen: int) -> None:
        """Show these rows, the chosen one among those in view."""
        was_chosen, self.chosen = self.chosen, chosen
        if timeline is not self._timeline:
            self._timeline = timeline
            self.hold(timeline.rows)
        self.keep_in_view()
        self.refresh_lines(was_chosen)
        self.refresh_lines(chosen)

    def keep_in_view(self) -> None:
        """Scroll as little as it takes; where that is more than a screen, put the row in the middle."""
        top, height = self.top, self.height
        missing = min(0, self.chosen - top) or max(0, self.chosen - (top + height - 1))
        if missing and height:
            self.scroll_at_once(top + missing if abs(missing) <= height else self.chosen - height // 2)

    @property
    def numbers_in_view(self) -> list[int]:
        """The first number and the last that are on the screen."""
        rows = range(self.top, min(self.top + self.height, self._timeline.rows))
        places = (self._timeline.place(row) for row in rows)
        numbers = [place.number for place in places if isinstance(place, At)]
        return [numbers[0], numbers[-1]] if numbers else []

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width, base = self.room, self.visual_style.rich_style
        row = self.top + y
        if row >= self._timeline.rows:
            return Strip.blank(width, base)
        if row == self.chosen:
            base += self.get_component_rich_style("event-list--chosen")
        segments = [Segment(text, base + Style.parse(style)) for text, style in self._pieces(row, width)]
        return Strip(segments).crop_extend(0, width, base)

    def text_of(self, row: int) -> str:
        """What the row says."""
        return "".join(text for text, _ in self._pieces(row, self.room))

    def _pieces(self, row: int, width: int) -> list[tuple[str, str]]:
        timeline = self._timeline
        place = timeline.place(row)
        entry = self._pages.entry(place.number) if isinstance(place, At) else None
        digits = len(str(timeline.last_number or 0))
        return pieces_of_row(place, entry, mark=timeline.mark_of.get(row), digits=digits, width=width)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are in view."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Scrolled())

    def on_resize(self) -> None:
        """The chosen row stays in view."""
        self.hold(self._timeline.rows)
        self.keep_in_view()
        self.post_message(self.Scrolled())

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse."""
        row = self.top + event.y
        if row < self._timeline.rows:
            self.post_message(self.Chosen(row))
