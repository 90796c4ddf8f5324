"""The widgets of the program: the rows of the stream, the lines of one tab, and the line at the bottom.

Only lines in view are ever drawn, so a stream may have a million rows (docs/decisions/0017-textual-for-inspect.md).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as Look
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from streamfold.cli.inspect.pages import Pages
from streamfold.cli.inspect.render import Line, Style, Tab
from streamfold.cli.inspect.row import CHECKPOINT, SIGNS, pieces_of_row
from streamfold.cli.inspect.timeline import EventRow, MarkKind, Timeline
from streamfold.cli.terminal import in_a_row

VIRTUAL_SIZE: Reactive[Size] = vars(Widget)["virtual_size"]


class RowChosen(Message):
    """A row was chosen with the mouse."""

    def __init__(self, row: int) -> None:
        super().__init__()
        self.row: int = row


class LinesChanged(Message):
    """Other lines are in view, or the lines have another width."""


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """A scrolling column of lines, however many there are."""

    DEFAULT_CSS: ClassVar[str] = """
    LineView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    @property
    def room(self) -> int:
        return self.scrollable_content_region.width

    @property
    def top(self) -> int:
        return self.scroll_offset.y

    @property
    def height(self) -> int:
        return self.scrollable_content_region.height

    def hold(self, lines: int) -> None:
        """Set how many lines there are, without the new layout of the whole screen that setting `virtual_size` causes."""
        self.set_reactive(VIRTUAL_SIZE, Size(self.room, lines))
        self.vertical_scrollbar.window_virtual_size = lines
        self.scroll_y = self.validate_scroll_y(self.scroll_y)
        self.refresh()

    def scroll_at_once(self, line: int) -> None:
        """Scroll until this line is at the top, or the last line is in view."""
        self.scroll_to(y=line, animate=False, force=True)


class EventList(LineView):
    """The rows of the stream. `chosen` is the chosen one."""

    HELP: ClassVar[str | None] = " · ".join(
        f"`{sign}` {kind}" for kind, (sign, _) in [*SIGNS.items(), ("checkpoint", CHECKPOINT)]
    )

    DEFAULT_CSS: ClassVar[str] = """
    EventList > .event-list--chosen { background: $primary-muted; text-style: bold; }
    EventList:focus > .event-list--chosen { background: $primary; color: $text; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"event-list--chosen"}

    def __init__(self, timeline: Timeline, pages: Pages, *, id: str) -> None:
        super().__init__(id=id)
        self._timeline = timeline
        self._pages = pages
        self.chosen: int = 0

    def show(self, timeline: Timeline, chosen: int) -> None:
        """Show these rows, and scroll the chosen one into view."""
        was_chosen, self.chosen = self.chosen, chosen
        if timeline is not self._timeline:
            self._timeline = timeline
            self.hold(timeline.rows)
        self.keep_in_view()
        self.refresh_lines(was_chosen)
        self.refresh_lines(chosen)

    def keep_in_view(self) -> None:
        """Scroll no further than needed; a row more than a screen away goes to the middle."""
        top, height = self.top, self.height
        missing = min(0, self.chosen - top) or max(0, self.chosen - (top + height - 1))
        if missing and height:
            self.scroll_at_once(top + missing if abs(missing) <= height else self.chosen - height // 2)

    @property
    def numbers_in_view(self) -> list[int]:
        """The first and the last number on the screen."""
        rows = range(self.top, min(self.top + self.height, self._timeline.rows))
        places = (self._timeline.place(row) for row in rows)
        numbers = [place.number for place in places if isinstance(place, EventRow)]
        return [numbers[0], numbers[-1]] if numbers else []

    def render_line(self, y: int) -> Strip:
        width, base = self.room, self.visual_style.rich_style
        row = self.top + y
        if row >= self._timeline.rows:
            return Strip.blank(width, base)
        if row == self.chosen:
            base += self.get_component_rich_style("event-list--chosen")
        segments = [Segment(text, base + Look.parse(style)) for text, style in self._pieces(row, width)]
        return Strip(segments).crop_extend(0, width, base)

    def text_of(self, row: int) -> str:
        return "".join(text for text, _ in self._pieces(row, self.room))

    def _pieces(self, row: int, width: int) -> list[tuple[str, str]]:
        timeline = self._timeline
        place = timeline.place(row)
        entry = self._pages.entry(place.number) if isinstance(place, EventRow) else None
        digits = len(str(timeline.last_number or 0))
        return pieces_of_row(place, entry, mark=timeline.mark_of.get(row), digits=digits, width=width)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.post_message(LinesChanged())

    def on_resize(self) -> None:
        self.hold(self._timeline.rows)
        self.keep_in_view()
        self.post_message(LinesChanged())

    def on_click(self, event: events.Click) -> None:
        row = self.top + event.y
        if row < self._timeline.rows:
            self.post_message(RowChosen(row))


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
# A key, a string (its end may be on the next line, which is why rich.json does not do), a word, a number.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(?=:)|("(?:[^"\\]|\\.)*"?)|\b(true|false|null)\b|(-?\d[\d.eE+-]*)')
TOKENS = (Look(color="cyan"), Look(color="green"), Look(color="magenta"), Look(color="yellow"))


class Pane(LineView):
    """The lines of one tab."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "a line up", show=False),
        Binding("down", "scroll_down", "a line down", show=False),
        Binding("pageup", "page_up", "a screen up", show=False),
        Binding("pagedown", "page_down", "a screen down", show=False),
        Binding("home", "scroll_home", "the first line", show=False),
        Binding("end", "scroll_end", "the last line", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()
        self._tab = Tab.RESPONSE

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def show(self, lines: Sequence[Line], tab: Tab) -> None:
        """Show these lines. A Response keeps its scroll position; a text is shown at its end."""
        if tab is self._tab and lines == self.lines:
            return
        self.lines = lines
        self.hold(len(lines))
        if tab is Tab.TEXT:
            self.scroll_at_once(len(lines))
        elif tab is not Tab.RESPONSE or tab is not self._tab:
            self.scroll_at_once(0)
        self._tab = tab

    def render_line(self, y: int) -> Strip:
        at, base = self.top + y, self.visual_style.rich_style
        if at >= len(self.lines):
            return Strip.blank(self.room, base)
        segments = [Segment(in_a_row(text), base + look) for text, look in _pieces(self.lines[at])]
        return Strip(segments).crop_extend(0, self.room, base)

    def action_page_up(self) -> None:
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.scroll_page_down(animate=False)

    def on_resize(self) -> None:
        self.post_message(LinesChanged())


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


BEFORE, HANDLE, AFTER = ("━", "bold"), ("●", "bold"), ("─", "dim")
RANKS = {kind: rank for rank, kind in enumerate(MarkKind)}


class Scrubber(Widget):
    """Shows where the chosen row is, and moves it if clicked or dragged."""

    DEFAULT_CSS: ClassVar[str] = """
    Scrubber { height: 2; padding: 0 1; }
    """

    def __init__(self, timeline: Timeline, *, id: str) -> None:
        super().__init__(id=id)
        self._timeline = timeline
        self._chosen = 0
        self._is_held = False

    def show(self, timeline: Timeline, chosen: int) -> None:
        """Show this row's position."""
        self._timeline, self._chosen = timeline, chosen
        self.refresh()

    def column_of(self, row: int) -> int:
        return row * (self.size.width - 1) // max(1, self._timeline.rows - 1)

    def row_at(self, column: int) -> int:
        last, columns = self._timeline.rows - 1, max(1, self.size.width - 1)
        return max(0, min(last, -(-column * last // columns)))

    @property
    def marks(self) -> str:
        return "".join(sign for sign, _ in self._signs())

    def render_line(self, y: int) -> Strip:
        pieces = self._signs() if y == 0 else self._track()
        base = self.rich_style
        return Strip([Segment(text, base + Look.parse(style)) for text, style in pieces], self.size.width)

    def _signs(self) -> list[tuple[str, str]]:
        if not self._timeline.rows:
            return []
        signs = [(" ", "")] * self.size.width
        for cursor in self._timeline.checkpoints:
            signs[self.column_of(self._timeline.row_of(cursor))] = CHECKPOINT
        for mark in sorted(self._timeline.marks, key=lambda mark: -RANKS[mark.kind]):
            signs[self.column_of(mark.row)] = SIGNS[mark.kind]
        return signs

    def _track(self) -> list[tuple[str, str]]:
        at, width = self.column_of(self._chosen), self.size.width
        (before, one), (after, other) = BEFORE, AFTER
        return [(before * at, one), HANDLE, (after * (width - at - 1), other)]

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._is_held = True
        self.capture_mouse()
        self._move(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._is_held:
            self._move(event)

    def on_mouse_up(self) -> None:
        self._is_held = False
        self.release_mouse()

    def _move(self, event: events.MouseEvent) -> None:
        if self._timeline.rows:
            column = max(0, min(self.size.width - 1, event.x - self.styles.padding.left))
            self.post_message(RowChosen(self.row_at(column)))
