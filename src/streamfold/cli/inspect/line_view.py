"""A column of lines of which only those in view are drawn, however many there are.

In      how many lines there are
Out     which of them are in view
Units   rows and columns
Source  docs/decisions/0017-textual-for-inspect.md
"""

from typing import ClassVar

from textual.geometry import Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.widget import Widget

__all__ = ["LineView"]

VIRTUAL_SIZE: Reactive[Size] = vars(Widget)["virtual_size"]


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """See above."""

    DEFAULT_CSS: ClassVar[str] = """
    LineView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    @property
    def room(self) -> int:
        """How wide a line may be."""
        return self.scrollable_content_region.width

    @property
    def top(self) -> int:
        """The first line in view."""
        return self.scroll_offset.y

    @property
    def height(self) -> int:
        """How many lines are in view."""
        return self.scrollable_content_region.height

    def hold(self, lines: int) -> None:
        """There are so many lines now. Set as textual has it, it would lay out the whole screen again each time."""
        self.set_reactive(VIRTUAL_SIZE, Size(self.room, lines))
        self.vertical_scrollbar.window_virtual_size = lines
        self.scroll_y = self.validate_scroll_y(self.scroll_y)
        self.refresh()

    def scroll_at_once(self, line: int) -> None:
        """Have this line at the top, as far as there are lines below it."""
        self.scroll_to(y=line, animate=False, force=True)
