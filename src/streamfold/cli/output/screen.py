"""A followed response on a terminal: the text as it grows, the cursor, each repair and its reason, the outcome.

rich redraws the picture from a thread of its own, so that passing time shows too. That is safe because a State never
changes.
"""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamfold.cli.output.console import Drawing
from streamfold.cli.output.outcome import answer_words, outcome_words, repair_words
from streamfold.cli.output.step import Step
from streamfold.cli.output.view import End, Hide, View
from streamfold.cli.terminal import Output, one_line, visible
from streamfold.fold import State, TextGrowth, snapshot
from streamfold.schema import Event, OutputItemDone, Response
from streamfold.session import OutcomeStatus, Repair

DRAWINGS_PER_SECOND = 12
MIN_COLUMNS, MIN_ROWS = 40, 14
MAX_NOTES = 4
FOOT = "Ctrl-C leaves it running and prints the command that resumes"
ROWS_BESIDE_TEXT = 5  # header, frame, foot, the line with the cursor
MIN_TEXT_ROWS = 3
EXCERPT = 400  # characters of an item's text that can be visible
BESIDE_EXCERPT = 34  # columns
COLOURS = {OutcomeStatus.COMPLETED: "green", OutcomeStatus.CANCELLED: "yellow"}


class Screen(View):
    """One response, drawn again and again in place; at the end, the whole text and the outcome instead.

    With `starts_midway`, text from before the first event is left out. The latest repairs are
    visible.
    """

    def __init__(
        self,
        output: Output,
        *,
        hide: Hide = str,
        starts_midway: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(output)
        self._hide = hide
        self._console = console or Drawing()
        self._clock = clock
        self._begun = clock()
        self._growth = TextGrowth(starts_midway=starts_midway)
        self._state = State()
        self._closed: set[int] = set()
        self._last = "nothing yet"
        self._notes: list[Text] = []
        self._live = Live(
            console=self._console,
            get_renderable=self.draw,
            refresh_per_second=DRAWINGS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @staticmethod
    def fits() -> bool:
        """Whether this terminal can redraw and has room for the picture."""
        console = Drawing()
        return not console.is_dumb_terminal and console.width >= MIN_COLUMNS and console.height >= MIN_ROWS

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, step: Step) -> None:
        self._grow(step.after, step.event)
        self._last = "".join(step.event.wire_type.split())
        if isinstance(step.event, OutputItemDone) and step.event.output_index is not None:
            self._closed.add(step.event.output_index)
        self._state = step.after

    def repair(self, repair: Repair) -> None:
        self._notes.append(_line(("↻ ", "yellow"), one_line(self._hide(repair_words(repair)))))

    def finish(self, end: End) -> None:
        """Print the whole text, the notes, and the outcome, in place of the picture."""
        self._grow(end.state)
        response = snapshot(end.state)
        if any(item.wire_type != "message" for item in response.output):
            self._console.print(_item_rows(response, self._closed, self._console))
        text = self._growth.given
        self._output.write(f"{text}\n" if text and not text.endswith("\n") else text)
        for note in self._notes:
            self._console.print(Text.assemble(note))
        outcome = end.outcome
        if outcome is None or outcome.status is OutcomeStatus.ABANDONED:
            return
        for line in answer_words(response):
            self._console.print(Text(one_line(self._hide(line))))
        words = one_line(self._hide(outcome_words(outcome, starts_midway=end.starts_midway)))
        self._console.print(
            Text.assemble(
                (f"{end.response_id or 'the response'}: ", "bold"), (words, COLOURS.get(outcome.status, "red"))
            )
        )

    def _grow(self, state: State, event: Event | None = None) -> None:
        self._growth.take(state, event)
        if self._growth.has_changed:
            self._growth.restart()

    def draw(self) -> RenderableType:
        """Return the picture as it is now."""
        state = self._state
        response = snapshot(state)
        room = self._console.height - ROWS_BESIDE_TEXT - len(response.output)
        notes = self._notes[-max(1, min(MAX_NOTES, room - MIN_TEXT_ROWS)) :]
        rows = max(MIN_TEXT_ROWS, room - len(notes))
        items = _item_rows(response, self._closed, self._console)
        panel = _text_panel(state, self._console, rows=rows)
        return Group(self._head(response.id), items, panel, *notes, _line((FOOT, "dim")))

    def _head(self, response_id: str | None) -> Text:
        status = self._state.status or "connecting"
        return _line(
            (visible(response_id or "streamfold"), "bold"), "  ",
            (visible(status), "green" if self._state.is_terminal else "yellow"),
            f"  event {'-' if self._state.cursor is None else self._state.cursor}  {self._clock() - self._begun:.0f} s  ",
            (visible(self._last), "dim"),
        )  # fmt: skip


def _line(*parts: str | tuple[str, str]) -> Text:
    """One line, cut where the terminal ends. A part is a text, or a text and its style."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _item_rows(response: Response, closed: AbstractSet[int], console: Console) -> Table:
    """One row per item: whether it is closed, its type, the end of what it holds."""
    items = Table.grid(padding=(0, 1))
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True, overflow="crop", ratio=1)
    for index, item in enumerate(response.output):
        mark = Text("● closed", "green") if index in closed else Text("○ open  ", "yellow")
        items.add_row(mark, Text(visible(item.wire_type), "bold"), Text(_excerpt(item, console), "dim"))
    return items


def _excerpt(item: object, console: Console) -> str:
    """The end of a summary, of what a call is given, or of a refusal; a message's text is in the panel."""
    parts = [getattr(part, "text", "") for part in getattr(item, "summary", None) or ()]
    parts += [getattr(part, "refusal", "") for part in getattr(item, "content", None) or ()]
    parts += [str(getattr(item, name, None) or "") for name in ("arguments", "input", "code")]
    words = one_line(" ".join(filter(None, parts))[-EXCERPT:])
    return words[-max(0, console.width - BESIDE_EXCERPT) :]


def _text_panel(state: State, console: Console, *, rows: int) -> Panel:
    """The last rows of the output text."""
    inside = console.width - 4
    tail = visible(state.output_text[-rows * inside :])
    lines = Text(tail).wrap(console, inside)[-rows:]
    return Panel(Text("\n").join(lines), title="output_text", title_align="left", height=rows + 2)
