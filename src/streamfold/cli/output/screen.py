"""A followed response on a terminal: the text as it grows, the cursor, each repair with its reason, the outcome.

In      Applied events, repairs, the Outcome
Out     a picture drawn again and again in its place; at the end, instead of it, the whole text and how it ended
Units   rows and columns of the terminal; seconds
Source  docs/reference/cli.md

rich draws from a thread of its own, so that the time that passes is seen too; a State cannot change under it.
"""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from streamfold.cli.control import without_controls
from streamfold.cli.output.drawing import item_rows, text_panel
from streamfold.cli.output.lines import Hide, TextFlow
from streamfold.cli.output.outcome import outcome_words, repair_words
from streamfold.cli.terminal import Output
from streamfold.fold import State, snapshot
from streamfold.schema import OutputItemDone
from streamfold.session import Applied, Outcome, OutcomeStatus, Repair

__all__ = ["Screen", "line"]

DRAWINGS_PER_SECOND = 12
MIN_COLUMNS, MIN_ROWS = 40, 14
MAX_NOTES = 4
FOOT = "Ctrl-C leaves it running, and says how to go on"
ROWS_BESIDE_TEXT = 5  # head, frame, foot, the line of the cursor
MIN_TEXT_ROWS = 3
COLOURS = {OutcomeStatus.COMPLETED: "green", OutcomeStatus.CANCELLED: "yellow"}


class Screen:
    """One response on the terminal. max_notes: how many of the last repairs, and other notes, are seen."""

    def __init__(
        self,
        output: Output,
        *,
        hide: Hide = str,
        began_in_the_middle: bool = False,
        max_notes: int = MAX_NOTES,
        foot: str = FOOT,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._output = output
        self._hide = hide
        self._console = console or Console()
        self._clock = clock
        self._begun = clock()
        self._flow = TextFlow(began_in_the_middle=began_in_the_middle)
        self._state = State()
        self._closed: set[int] = set()
        self._last = "nothing yet"
        self.notes: list[Text] = []
        self._max_notes = max_notes
        self._foot = foot
        self._live = Live(
            console=self._console,
            get_renderable=self.draw,
            refresh_per_second=DRAWINGS_PER_SECOND,
            transient=True,
        )

    @staticmethod
    def fits() -> bool:
        """Whether this terminal can redraw, and has room for the picture."""
        console = Console()
        return not console.is_dumb_terminal and console.width >= MIN_COLUMNS and console.height >= MIN_ROWS

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, applied: Applied) -> None:
        """One event was applied: the next drawing has it."""
        self._flow.take(applied)
        self._last = "".join(applied.event.wire_type.split())
        if isinstance(applied.event, OutputItemDone):
            self._closed.add(applied.event.output_index)
        self._state = applied.state

    def repair(self, repair: Repair) -> None:
        """The stream is being mended."""
        self.note(self._told(repair))

    def note(self, words: Text) -> None:
        """A line below the text."""
        self.notes.append(words)

    def finish(self, outcome: Outcome, *, response_id: str | None, begun: float) -> None:
        """The whole text, each repair, and how it ended. The picture is gone by now."""
        self._flow.catch_up(outcome.state)
        response = snapshot(outcome.state)
        if any(item.type != "message" for item in response.output):
            self._console.print(item_rows(response, self._closed, self._console))
        text = self._flow.shown
        self._output.write(f"{text}\n" if text and not text.endswith("\n") else text)
        for repair in outcome.repairs:
            self._console.print(self._told(repair))
        if outcome.status is OutcomeStatus.ABANDONED:  # whoever left it says so
            return
        colour = COLOURS.get(outcome.status, "red")
        words = without_controls(self._hide(outcome_words(outcome)))
        self._console.print(Text.assemble((f"{response_id or ''} ", "bold"), (words, colour)))

    def draw(self) -> RenderableType:
        """The picture of this moment."""
        state = self._state
        response = snapshot(state)
        room = self._console.height - ROWS_BESIDE_TEXT - len(response.output)
        notes = self.notes[-max(1, min(self._max_notes, room - MIN_TEXT_ROWS)) :]
        rows = max(MIN_TEXT_ROWS, room - len(notes))
        items = item_rows(response, self._closed, self._console)
        panel = text_panel(state, self._console, rows=rows)
        return Group(self._head(response.id), items, panel, *notes, line((self._foot, "dim")))

    def _head(self, response_id: str | None) -> Text:
        status = self._state.status or "connecting"
        return line(
            (without_controls(response_id or "streamfold"), "bold"), "  ",
            (without_controls(status), "green" if self._state.is_terminal else "yellow"),
            f"  cursor {self._state.cursor}  {self._clock() - self._begun:.0f} s  ",
            (without_controls(self._last), "dim"),
        )  # fmt: skip

    def _told(self, repair: Repair) -> Text:
        words = without_controls(" ".join(self._hide(repair_words(repair)).split()))
        return line(("↻ ", "yellow"), words)


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of a picture, cut where the terminal ends. A part is a text, or a text and its style."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
