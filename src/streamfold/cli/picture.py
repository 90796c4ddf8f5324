"""The demo on a terminal: items open and close, the text grows, the cursor runs.

In      frames, and a Pace
Out     a picture drawn again and again in its place; the State after each event, added to a list
Units   events; frames of the picture a second; columns and rows of the terminal
"""

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamfold.cli.fold.pace import Pace
from streamfold.cli.output.drawing import item_rows, text_panel
from streamfold.cli.rate import Rate
from streamfold.fold import State, reduce, snapshot
from streamfold.reader import EventReader
from streamfold.schema import Event
from streamfold.schema import event as wire

__all__ = ["Picture"]

DRAWINGS_PER_SECOND = 20
MIN_COLUMNS, MIN_ROWS = 40, 14
ROWS_BESIDE_TEXT = 7  # head, bar, figure, the frame of the text


class Picture:
    """One show. total: how many events will come."""

    def __init__(self, rate: Rate, *, total: int, console: Console | None = None) -> None:
        self._console = console or Console()
        self._rate = rate
        self._total = total
        self._state = State()
        self._closed: set[int] = set()
        self._last = ""

    @staticmethod
    def fits() -> bool:
        """Whether this terminal can redraw, and has room for the picture."""
        console = Console()
        return not console.is_dumb_terminal and console.width >= MIN_COLUMNS and console.height >= MIN_ROWS

    def show(
        self,
        frames: list[bytes],
        states: list[State],
        *,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fold the frames at this pace. The last drawing stays."""
        reader = EventReader()
        drawn = clock()
        with Live(self.draw(), console=self._console, auto_refresh=False) as live:
            for frame in frames:
                pace.wait()
                for event in reader.feed(frame):
                    self._state = reduce(self._state, event)
                    states.append(self._state)
                    self._note(event)
                if clock() - drawn >= 1 / DRAWINGS_PER_SECOND:
                    drawn = clock()
                    live.update(self.draw(), refresh=True)
            live.update(self.draw(), refresh=True)

    def draw(self) -> RenderableType:
        """The picture of this moment."""
        response = snapshot(self._state)
        items = item_rows(response, self._closed, self._console)
        rows = max(3, self._console.height - ROWS_BESIDE_TEXT - len(response.output))
        panel = text_panel(self._state, self._console, rows=rows)
        return Group(self._head(response.id), items, panel, self._bar(), self._figure())

    def _note(self, event: Event) -> None:
        self._last = event.wire_type
        if isinstance(event, wire.OutputItemDone):
            self._closed.add(event.output_index)

    def _head(self, response_id: str | None) -> Text:
        status = self._state.status or "nothing yet"
        colour = "green" if self._state.is_terminal else "yellow"
        return Text.assemble(
            ("streamfold demo  ", "bold"), (status, colour), f"  cursor {self._state.cursor}  ", (self._last, "dim"),
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip

    def _bar(self) -> Table:
        folded = 0 if self._state.cursor is None else self._state.cursor + 1
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_row(ProgressBar(total=self._total, completed=folded), f"{folded:,}/{self._total:,}")
        return row

    def _figure(self) -> Text:
        return Text(
            f"folds {self._rate.events_per_second:,.0f} events/s (reading and folding only; shown slowly)", "dim"
        )
