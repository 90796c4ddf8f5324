"""The terminal program: rows on the left, one scene on the right, the scrubber and a line of facts below.

In      a log, a key, keys and the mouse
Out     the screen
Units   rows of the Timeline; sequence numbers where a user reads them
Errors  none: what the log meets is told in the line of facts
Source  docs/reference/cli.md, docs/decisions/0017-textual-for-inspect.md

Three things run beside each other: the survey, which tells of what is in the stream and what is added; the desk, which
fetches what is to be seen; and the screen. Whoever moves only says what is wanted. The desk looks for what is wanted
now, so what was wanted before it came to it is never fetched, and what is done too late is not shown.
"""

from typing import ClassVar

import anyio
import anyio.to_thread
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Input, Static
from textual.worker import Worker

from streamfold.cli.inspect.event_list import EventList
from streamfold.cli.inspect.facets import Facets
from streamfold.cli.inspect.guide import Guide
from streamfold.cli.inspect.pages import Pages
from streamfold.cli.inspect.pane import Pane
from streamfold.cli.inspect.render import Facet, Scene, sheet
from streamfold.cli.inspect.row import caption
from streamfold.cli.inspect.scan import survey
from streamfold.cli.inspect.scrubber import Scrubber
from streamfold.cli.inspect.search import find
from streamfold.cli.inspect.selection import scene_of
from streamfold.cli.inspect.status import status_line
from streamfold.cli.inspect.timeline import At, Timeline
from streamfold.cli.terminal import without_controls
from streamfold.errors import LogError
from streamfold.log import EventLog, StreamKey

__all__ = ["Inspector"]

LEAP = 100  # the arrows to the side move by this part of the stream


class Inspector(App[None]):
    """The program. row: the one that is chosen. timeline: of what is known by now."""

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
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "turn(-1)", show=False),
        Binding("pagedown", "turn(1)", show=False),
        Binding("home", "go(0)", show=False),
        Binding("end", "go(-1)", show=False),
        Binding("left", "leap(-1)", show=False),
        Binding("right", "leap(1)", show=False),
        Binding("n", "mark(1)", "next mark"),
        Binding("p", "mark(-1)", "previous"),
        Binding("slash", "ask", "search"),
        Binding("f", "follow", "follow"),
        Binding("question_mark", "guide", "keys"),
        Binding("q,ctrl+c", "quit", "quit"),
        Binding("r", "facet('response')", show=False),
        Binding("t", "facet('text')", show=False),
        Binding("d", "facet('diff')", show=False),
        Binding("e", "facet('event')", show=False),
        Binding("escape", "leave_search", show=False),
    ]

    def __init__(self, log: EventLog, key: StreamKey, timeline: Timeline, *, at: int | None = None) -> None:
        super().__init__()
        self.title = f"streamfold inspect {key.response_id}"
        self._event_log = log
        self._key = key
        self._pages = Pages(log, key, first=timeline.first)
        self._list = EventList(timeline, self._pages, id="events")
        self._facets = Facets(id="facets")
        self._caption = Static(id="caption")
        self._pane = Pane(id="pane")
        self._scrubber = Scrubber(timeline, id="scrubber")
        self._facts = Static(id="status")
        self._words = Input(placeholder="search in types, data and text; Escape: back", id="words")
        self._wanted = anyio.Event()
        self._moves = 0  # how often something else was wanted
        self._scene = Scene()
        self._searching: Worker[None] | None = None
        self._told = ""  # what the line of facts says beside the facts
        self.timeline: Timeline = timeline
        self.row: int = self._last_row if at is None else timeline.row_of(at)
        self.facet: Facet = Facet.RESPONSE
        self.is_following: bool = not timeline.is_finished

    @property
    def _last_row(self) -> int:
        return max(0, self.timeline.rows - 1)

    # The screen

    def compose(self) -> ComposeResult:
        """Its parts."""
        yield Static(Text(without_controls(self._key.response_id), "bold"), id="head")
        with Horizontal():
            with Vertical(id="left"):
                yield self._list
            with Vertical(id="right"):
                yield self._facets
                yield self._caption
                yield self._pane
        yield self._scrubber
        yield self._facts
        yield self._words
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        self._list.focus()
        self._facets.show(self.facet)
        self.run_worker(self._survey())
        self.run_worker(self._serve())
        self._show_row()

    def _show_row(self) -> None:
        """All that follows at once from the chosen row."""
        self._list.show(self.timeline, self.row)
        self._scrubber.show(self.timeline, self.row)
        self._show_facts()
        self._wanted.set()

    def _show_facts(self) -> None:
        timeline = self.timeline
        pieces = [("", "")]
        if timeline.rows:
            place = timeline.place(self.row)
            pieces = caption(place, self._pages.entry(place.number) if isinstance(place, At) else None)
        self._caption.update(Text.assemble(*pieces, no_wrap=True, overflow="ellipsis"), layout=False)
        facts = status_line(timeline, self.row, self._scene.after, is_following=self.is_following, told=self._told)
        self._facts.update(facts, layout=False)

    # The survey

    async def _survey(self) -> None:
        try:
            async with survey(self._event_log, self._key, self.timeline) as timelines:
                async for timeline in timelines:
                    self._take(timeline)
        except LogError as error:
            self._tell(str(error))

    def _take(self, timeline: Timeline) -> None:
        """What is known now. The chosen row stays what it is; at the end it stays the end, where that is followed."""
        is_last = self.row == self._last_row
        place = self.timeline.place(self.row) if self.timeline.rows else None
        self.timeline = timeline
        stays = place is not None and not (self.is_following and is_last)
        self.row = timeline.row_like(place) if place is not None and stays else self._last_row
        self._show_row()

    # The desk

    async def _serve(self) -> None:
        """Fetch what is wanted, as long as the program runs."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            try:
                await self._fetch()
            except LogError as error:
                self._tell(str(error))

    async def _fetch(self) -> None:
        """First the scene, then the rows in view; but no more once something else is wanted."""
        timeline, row, moves = self.timeline, self.row, self._moves
        number = timeline.number_at(row) if timeline.rows else None
        if number is not None:
            await self._load(number)
        if self._moves == moves:
            await self._show_scene(timeline, row, moves)
        for each in self._list.numbers_in_view:
            if self._moves == moves:
                await self._load(each)

    async def _load(self, number: int) -> None:
        """Have the number at hand."""
        if self._pages.entry(number) is None:
            await self._pages.load(number, beyond=self.timeline.beyond)
            self._list.refresh()

    async def _show_scene(self, timeline: Timeline, row: int, moves: int) -> None:
        facet, pane = self.facet, self._pane
        scene = await scene_of(self._event_log, self._key, timeline=timeline, pages=self._pages, row=row)
        lines = await anyio.to_thread.run_sync(lambda: sheet(scene, facet, width=pane.room))
        if self._moves == moves:
            self._scene = scene
            pane.show(lines, facet)
            self._show_facts()

    def _tell(self, words: str) -> None:
        self._told = words
        self._show_facts()

    # Keys

    def _go(self, row: int) -> None:
        row = max(0, min(self._last_row, row))
        self._moves += row != self.row
        self.row = row
        self._told = ""
        self._show_row()

    def action_move(self, rows: int) -> None:
        """So many rows on."""
        self._go(self.row + rows)

    def action_turn(self, pages: int) -> None:
        """So many screens on."""
        self._go(self.row + pages * max(1, self._list.height - 1))

    def action_leap(self, steps: int) -> None:
        """So many hundredths of the stream on."""
        self._go(self.row + steps * max(1, self.timeline.rows // LEAP))

    def action_go(self, row: int) -> None:
        """To a row; -1 is the last."""
        self._go(self._last_row if row < 0 else row)

    def action_mark(self, direction: int) -> None:
        """To the next mark, or the one before."""
        row = self.timeline.next_mark(self.row) if direction > 0 else self.timeline.previous_mark(self.row)
        if row is None:
            self._tell(f"no mark {'behind' if direction > 0 else 'before'} this row")
        else:
            self._go(row)

    def action_facet(self, name: str) -> None:
        """Another side of the scene."""
        self.facet = Facet(name)
        self._moves += 1
        self._facets.show(self.facet)
        self._wanted.set()

    def action_follow(self) -> None:
        """Follow the stream, from its end on; or stay."""
        if self.timeline.is_finished:
            self._tell("the stream is finished: nothing more comes")
            return
        self.is_following = not self.is_following
        self._go(self._last_row if self.is_following else self.row)

    def action_guide(self) -> None:
        """The page of keys."""
        self.push_screen(Guide())

    # Search

    def action_ask(self) -> None:
        """Ask for words."""
        words = self._words
        words.add_class("asked")
        words.focus()

    def action_leave_search(self) -> None:
        """Back to the rows; a search that runs is given up."""
        if self._searching is not None:
            self._searching.cancel()
        self._words.remove_class("asked")
        self._list.focus()
        self._tell("")

    @on(Input.Submitted)
    def search(self, event: Input.Submitted) -> None:
        """Go to the next event that has the words."""
        if event.value:
            self._tell("searching ...")
            if self._searching is not None:
                self._searching.cancel()
            self._searching = self.run_worker(self._search(event.value))

    async def _search(self, words: str) -> None:
        after = self.timeline.number_at(self.row) if self.timeline.rows else None
        try:
            found = await find(self._event_log, self._key, self.timeline, words, after=after)
        except LogError as error:
            self._tell(str(error))
            return
        if found is None:
            self._tell(f"no event has: {words}")
        else:
            self._go(self.timeline.row_of(found))

    # The mouse, and the size

    @on(EventList.Chosen)
    def choose(self, event: EventList.Chosen) -> None:
        """A row was clicked."""
        self._go(event.row)

    @on(Scrubber.Moved)
    def scrub(self, event: Scrubber.Moved) -> None:
        """The scrubber was clicked or dragged."""
        self._go(event.row)

    @on(Facets.Chosen)
    def choose_facet(self, event: Facets.Chosen) -> None:
        """A facet was clicked."""
        self.action_facet(event.facet)

    @on(EventList.Scrolled)
    @on(Pane.Resized)
    def see_more(self) -> None:
        """Something else is in view."""
        self._wanted.set()
