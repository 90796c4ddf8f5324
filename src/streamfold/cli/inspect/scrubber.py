"""The line at the bottom: the position of the chosen row in the stream, below marks and checkpoints."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from streamfold.cli.inspect.row import CHECKPOINT, SIGNS
from streamfold.cli.inspect.timeline import MarkKind, Timeline

BEFORE, HANDLE, AFTER = ("━", "bold"), ("●", "bold"), ("─", "dim")
# If several marks share a column, the first of these is shown.
WEIGHTS = {
    kind: weight
    for weight, kind in enumerate(
        (
            MarkKind.DAMAGE,
            MarkKind.RESUME,
            MarkKind.REPLAY,
            MarkKind.RETRIEVE,
            MarkKind.CANCEL,
            MarkKind.GAP,
            MarkKind.OUTCOME,
            MarkKind.END,
            MarkKind.NOTE,
        )
    )
}


class Scrubber(Widget):
    """Shows where the chosen row is, and moves it if clicked or dragged."""

    DEFAULT_CSS: ClassVar[str] = """
    Scrubber { height: 2; padding: 0 1; }
    """

    class Moved(Message):
        """The handle was moved to a row."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row: int = row

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
        """The line of marks."""
        return "".join(sign for sign, _ in self._signs())

    def render_line(self, y: int) -> Strip:
        pieces = self._signs() if y == 0 else self._track()
        base = self.rich_style
        return Strip([Segment(text, base + Style.parse(style)) for text, style in pieces], self.size.width)

    def _signs(self) -> list[tuple[str, str]]:
        if not self._timeline.rows:
            return []
        signs = [(" ", "")] * self.size.width
        for cursor in self._timeline.checkpoints:
            signs[self.column_of(self._timeline.row_of(cursor))] = CHECKPOINT
        for mark in sorted(self._timeline.marks, key=lambda mark: -WEIGHTS[mark.kind]):
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
            self.post_message(self.Moved(self.row_at(column)))
