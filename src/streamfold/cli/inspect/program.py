"""The terminal program: rows on the left, one of them on the right, the scrubber and a line of facts below.

Theory of operation. Three things run side by side: the scan, which reports what is in the stream and what is added;
the loader, which fetches what should be visible; and the screen. A key only says which row is wanted. The loader looks
at what is wanted now, so it never fetches what was wanted before, and what it finished too late is not shown.
"""

from collections.abc import Sequence
from typing import ClassVar

import anyio
import anyio.to_thread
from rich.segment import Segment
from rich.text import Text
from textual import on, widgets
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Horizontal, Vertical
from textual.filter import LineFilter
from textual.widgets import Footer, HelpPanel, Input, Static, Tabs
from textual.worker import Worker

from streamfold.cli.inspect.pages import Pages
from streamfold.cli.inspect.render import Selection, Tab, render, selection_of
from streamfold.cli.inspect.row import STATUS_STYLES, caption
from streamfold.cli.inspect.scan import find, scan
from streamfold.cli.inspect.timeline import EventRow, Timeline
from streamfold.cli.inspect.widgets import EventList, LinesChanged, Pane, RowChosen, Scrubber
from streamfold.cli.output.console import Drawing
from streamfold.cli.terminal import in_a_row, one_line
from streamfold.errors import LogError
from streamfold.fold import State, snapshot
from streamfold.log import EventLog, StreamKey

LEAPS = 100  # left and right move by this part of the stream
SEPARATOR = "  ·  "


class Visible(LineFilter):
    """textual shows every line to its filters last: whatever a widget draws, its text is visible."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(in_a_row(text), style, control) for text, style, control in segments]


VISIBLE = Visible()


class Inspector(App[None]):
    """The program. `row` is the chosen one; `timeline` is what is known of the stream so far."""

    CSS: ClassVar[str] = """
    #head, #status { height: 1; padding: 0 1; }
    #head { background: $panel; }
    #left { width: 1fr; max-width: 90; }
    #right { width: 1fr; padding: 0 0 0 1; }
    #caption { height: 1; }
    #words { display: none; height: 1; border: none; padding: 0 1; }
    #words.asked { display: block; }
    """
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "one row up", show=False),
        Binding("down,j", "move(1)", "one row down", show=False),
        Binding("pageup", "turn(-1)", "one screen up", show=False),
        Binding("pagedown", "turn(1)", "one screen down", show=False),
        Binding("home", "go(0)", "the first row", show=False),
        Binding("end", "go(-1)", "the last row", show=False),
        Binding("left", "leap(-1)", "back by a hundredth", show=False),
        Binding("right", "leap(1)", "forward by a hundredth", show=False),
        Binding("n", "mark(1)", "next mark"),
        Binding("p", "mark(-1)", "previous"),
        Binding("slash", "ask", "search"),
        Binding("f", "follow", "follow"),
        Binding("question_mark", "help", "keys"),
        Binding("q,ctrl+c", "quit", "quit"),
        Binding("r", "tab('response')", "the Response", show=False),
        Binding("t", "tab('text')", "its text", show=False),
        Binding("d", "tab('diff')", "what changed", show=False),
        Binding("e", "tab('event')", "the event itself", show=False),
        Binding("escape", "leave_search", "leave the search", show=False),
    ]

    def __init__(self, log: EventLog, key: StreamKey, timeline: Timeline, *, at: int | None = None) -> None:
        super().__init__()
        self.title = f"streamfold inspect {key.response_id}"
        # Where textual reports a failure of its own, with what it was showing.
        self.error_console: Drawing = Drawing(stderr=True)
        self._event_log = log
        self._key = key
        self._pages = Pages(log, key, first=timeline.first)
        self._list = EventList(timeline, self._pages, id="events")
        self._tabs = Tabs(*(widgets.Tab(f"[u]{each[0].upper()}[/u]{each[1:]}", id=each.value) for each in Tab))
        self._tabs.can_focus = False  # the keys r, t, d and e choose a tab
        self._caption = Static(id="caption")
        self._pane = Pane(id="pane")
        self._scrubber = Scrubber(timeline, id="scrubber")
        self._facts = Static(id="status")
        self._words = Input(placeholder="search in types, data and text; Escape: back", id="words")
        self._wanted = anyio.Event()
        self._moves = 0  # how often something else was wanted
        self._selection = Selection()
        self._searching: Worker[None] | None = None
        self._message = ""  # shown before the facts
        self.timeline: Timeline = timeline
        self.row: int = self._last_row if at is None else timeline.row_of(at)
        self.tab: Tab = Tab.RESPONSE
        self.is_following: bool = not timeline.is_finished

    @property
    def _last_row(self) -> int:
        return max(0, self.timeline.rows - 1)

    # The screen

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), VISIBLE]

    def compose(self) -> ComposeResult:
        yield Static(Text(in_a_row(self._key.response_id), "bold"), id="head")
        with Horizontal():
            with Vertical(id="left"):
                yield self._list
            with Vertical(id="right"):
                yield self._tabs
                yield self._caption
                yield self._pane
        yield self._scrubber
        yield self._facts
        yield self._words
        yield Footer()

    def on_mount(self) -> None:
        self._list.focus()
        self.run_worker(self._scan())
        self.run_worker(self._load_wanted())
        self._show_row()

    def _show_row(self) -> None:
        """Show at once what follows from the chosen row alone."""
        self._list.show(self.timeline, self.row)
        self._scrubber.show(self.timeline, self.row)
        self._show_facts()
        self._wanted.set()

    def _show_facts(self) -> None:
        timeline = self.timeline
        pieces = [("", "")]
        if timeline.rows:
            place = timeline.place(self.row)
            pieces = caption(place, self._pages.entry(place.number) if isinstance(place, EventRow) else None)
        self._caption.update(Text.assemble(*pieces, no_wrap=True, overflow="ellipsis"), layout=False)
        facts = status_line(
            timeline, self.row, self._selection.after, is_following=self.is_following, message=self._message
        )
        self._facts.update(facts, layout=False)

    # The scan

    async def _scan(self) -> None:
        try:
            async with scan(self._event_log, self._key, self.timeline) as timelines:
                async for timeline in timelines:
                    self._take(timeline)
        except LogError as error:
            self._say(str(error))

    def _take(self, timeline: Timeline) -> None:
        """Use what is known now. The chosen row stays the same; while following, the last row stays the last."""
        is_last = self.row == self._last_row
        place = self.timeline.place(self.row) if self.timeline.rows else None
        self.timeline = timeline
        stays = place is not None and not (self.is_following and is_last)
        self.row = timeline.row_like(place) if place is not None and stays else self._last_row
        self._show_row()

    # The loader

    async def _load_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            try:
                await self._fetch()
            except LogError as error:
                self._say(str(error))

    async def _fetch(self) -> None:
        """Fetch the chosen row, then the rows in view; stop as soon as something else is wanted."""
        timeline, row, moves = self.timeline, self.row, self._moves
        number = timeline.number_at(row) if timeline.rows else None
        if number is not None:
            await self._load(number)
        if self._moves == moves:
            await self._show_selection(timeline, row, moves)
        for each in self._list.numbers_in_view:
            if self._moves == moves:
                await self._load(each)

    async def _load(self, number: int) -> None:
        if self._pages.entry(number) is None:
            await self._pages.load(number, beyond=self.timeline.beyond)
            self._list.refresh()

    async def _show_selection(self, timeline: Timeline, row: int, moves: int) -> None:
        tab, pane = self.tab, self._pane
        selection = await selection_of(self._event_log, self._key, timeline=timeline, pages=self._pages, row=row)
        lines = await anyio.to_thread.run_sync(lambda: render(selection, tab, width=pane.room))
        if self._moves == moves:
            self._selection = selection
            pane.show(lines, tab)
            self._show_facts()

    def _say(self, words: str) -> None:
        self._message = words
        self._show_facts()

    # Keys

    def _go(self, row: int) -> None:
        row = max(0, min(self._last_row, row))
        self._moves += row != self.row
        self.row = row
        self._message = ""
        self._show_row()

    def action_move(self, rows: int) -> None:
        self._go(self.row + rows)

    def action_turn(self, pages: int) -> None:
        self._go(self.row + pages * max(1, self._list.height - 1))

    def action_leap(self, steps: int) -> None:
        self._go(self.row + steps * max(1, self.timeline.rows // LEAPS))

    def action_go(self, row: int) -> None:
        self._go(self._last_row if row < 0 else row)

    def action_mark(self, direction: int) -> None:
        row = self.timeline.next_mark(self.row) if direction > 0 else self.timeline.previous_mark(self.row)
        if row is None:
            self._say(f"no mark {'after' if direction > 0 else 'before'} this row")
        else:
            self._go(row)

    def action_tab(self, name: str) -> None:
        self.tab = Tab(name)
        self._moves += 1
        self._tabs.active = name
        self._wanted.set()

    def action_follow(self) -> None:
        if self.timeline.is_finished:
            self._say("the stream is finished")
            return
        self.is_following = not self.is_following
        self._go(self._last_row if self.is_following else self.row)

    def action_help(self) -> None:
        if self.screen.query(HelpPanel):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    # Search

    def action_ask(self) -> None:
        self._words.add_class("asked")
        self._words.focus()

    def action_leave_search(self) -> None:
        if self._searching is not None:
            self._searching.cancel()
        self._words.remove_class("asked")
        self._list.focus()
        self._say("")

    @on(Input.Submitted)
    def search(self, event: Input.Submitted) -> None:
        if event.value:
            self._say("searching ...")
            if self._searching is not None:
                self._searching.cancel()
            self._searching = self.run_worker(self._search(event.value))

    async def _search(self, words: str) -> None:
        after = self.timeline.number_at(self.row) if self.timeline.rows else None
        try:
            found = await find(self._event_log, self._key, self.timeline, words, after=after)
        except LogError as error:
            self._say(str(error))
            return
        if found is None:
            self._say(f"not found: {words}")
        else:
            self._go(self.timeline.row_of(found))

    # The mouse, and the size

    @on(RowChosen)
    def choose(self, event: RowChosen) -> None:
        self._go(event.row)

    @on(Tabs.TabActivated)
    def choose_tab(self, event: Tabs.TabActivated) -> None:
        if event.tab.id and event.tab.id != self.tab:
            self.action_tab(event.tab.id)

    @on(LinesChanged)
    def see_more(self) -> None:
        """Load what came into view."""
        self._wanted.set()


# The line of facts


def status_line(timeline: Timeline, row: int, state: State | None, *, is_following: bool, message: str) -> Text:
    """Return the message, the place in the stream, the status and usage there, and whether the stream is live."""
    parts: list[Text] = [Text(one_line(message), "bold red")] if message else []
    parts.append(Text(_where(timeline, row), "bold"))
    if state is not None and state.status:
        parts.append(Text(in_a_row(state.status), STATUS_STYLES.get(state.status, "yellow")))
    if state is not None and (used := _used(state)):
        parts.append(Text(used))
    if timeline.is_finished:
        parts.append(Text("finished", "dim"))
    else:
        parts.append(Text("live", "bold green") if is_following else Text("open, not followed (f)", "dim"))
    line = Text(SEPARATOR).join(parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _where(timeline: Timeline, row: int) -> str:
    last = timeline.last_number
    if last is None:
        return "no event yet"
    number = timeline.number_at(row)
    return f"before {timeline.first:,}" if number is None else f"at {number:,} of {last:,}"


def _used(state: State) -> str:
    """The tokens, which gateways report with the final Response."""
    if not state.is_terminal:
        return ""
    usage = snapshot(state).usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
