"""How a command shows a stream: as its Response, as documents and lines of JSON, as lines of events, or as text."""

from collections.abc import Callable
from types import TracebackType

from msgspec import Raw, Struct, json

from streamfold.cli.output.outcome import answer_words, outcome_document, outcome_words, repair_words
from streamfold.cli.output.step import Step, describe_change
from streamfold.cli.terminal import Output, is_one_place, say
from streamfold.fold import State, TextGrowth, snapshot, snapshot_json
from streamfold.schema import UNDECODABLE, ErrorEvent, Event, OutputItemDone, UnknownEvent
from streamfold.session import Outcome, OutcomeStatus, Repair

Hide = Callable[[str], str]  # takes secrets out of a sentence

MAX_COLOURED = 256 * 1024  # characters: the highlighter takes a second per megabyte
QUIET = {OutcomeStatus.COMPLETED, OutcomeStatus.ABANDONED}


class End(Struct, frozen=True):
    """Where a stream ended. `outcome` and what follows it are known of a response that was followed."""

    state: State
    events: int = 0
    outcome: Outcome | None = None
    response_id: str | None = None
    begun: float = 0.0
    starts_midway: bool = False


class View:
    """Shows one stream. Enter it before the first step, and call `finish` after leaving it."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""

    def show(self, step: Step) -> None:
        """Show one event."""

    def repair(self, repair: Repair) -> None:
        """Show that the stream is being repaired."""

    def finish(self, end: End) -> None:
        """Show the end, however the stream ended."""


class ResponseView(View):
    """The Response as JSON: indented on a terminal, the bytes of `snapshot_json` and a line end in a pipe."""

    def finish(self, end: End) -> None:
        if not end.events:
            return
        text = self._output.json_of(Raw(snapshot_json(end.state)), is_indented=True)
        if self._output.is_terminal and len(text) <= MAX_COLOURED:
            from rich.highlighter import JSONHighlighter

            from streamfold.cli.output.console import Drawing

            Drawing().print(JSONHighlighter()(text), soft_wrap=True)
        else:
            self._output.write(f"{text}\n")


class DocumentView(View):
    """One JSON document that says everything, even of a stream without events."""

    def finish(self, end: End) -> None:
        state = end.state
        document = {
            "cursor": state.cursor,
            "status": state.status,
            "terminal": state.is_terminal,
            "events": end.events,
            "output_text": state.output_text,
            "anomalies": state.anomalies,
            "response": Raw(snapshot_json(state)),
        }
        self._output.write_json(document, is_indented=True)


class EventsView(View):
    """One line per event: its number, its type, what it changed. On a terminal, lines are cut to its width."""

    def show(self, step: Step) -> None:
        moved = step.after.cursor != step.before.cursor
        number = step.after.cursor if moved else step.event.sequence_number
        number = number if step.number is None else step.number
        kind = "".join(step.event.wire_type.split()) or "(no type)"
        line = f"{'-' if number is None else number:>4}  {kind:<28}  {describe_change(step)}"
        self._output.write_line(line, is_cut=True)


class JsonLines(View):
    """One line of JSON per event, and one for the outcome."""

    def __init__(self, output: Output, *, hide: Hide) -> None:
        super().__init__(output)
        self._hide = hide

    def show(self, step: Step) -> None:
        """The event's own JSON, where a line end is white space; what is not JSON becomes a text in an object."""
        document: object = Raw(b" ".join(step.data.splitlines()))
        if isinstance(step.event, ErrorEvent | UnknownEvent) and not _is_json(step.data):
            document = {"type": step.event.wire_type, "data": step.data.decode("utf-8", "replace")}
        self._output.write_json(document)

    def finish(self, end: End) -> None:
        outcome, response_id = end.outcome, end.response_id
        if outcome is not None:
            self._output.write_json(
                outcome_document(outcome, response_id=response_id, begun=end.begun, hide=self._hide)
            )
            if outcome.status not in QUIET:
                say(
                    self._hide(
                        f"{response_id or 'the response'}: {outcome_words(outcome, starts_midway=end.starts_midway)}"
                    )
                )


def _is_json(data: bytes) -> bool:
    try:
        json.decode(data)
    except UNDECODABLE:
        return False
    return True


class TextView(View):
    """The output text on stdout as it grows. If an event rewrites it, the whole text follows on a new line.

    `say` is called with each milestone, each repair and the outcome, in a sentence. With `starts_midway`, text from
    before the first event is left out.
    """

    def __init__(
        self,
        output: Output,
        *,
        hide: Hide = str,
        say: Callable[[str], None] | None = None,
        starts_midway: bool = False,
    ) -> None:
        super().__init__(output)
        self._hide = hide
        self._say = say
        self._growth = TextGrowth(starts_midway=starts_midway)
        self._is_line_open = False

    def show(self, step: Step) -> None:
        self._write(self._grow(step.after, step.event))
        is_new_status = step.before.status != step.after.status and not step.after.is_terminal
        if isinstance(step.event, OutputItemDone) or is_new_status:
            self.note(f"event {step.after.cursor}: {describe_change(step)}")

    def repair(self, repair: Repair) -> None:
        self.note(self._hide(repair_words(repair)))

    def note(self, words: str) -> None:
        """Messages start a line of their own where they go to the same place as the text."""
        if self._say is None:
            return
        if self._is_line_open and (self._say is not say or is_one_place()):
            self._write("\n")
        self._say(words)

    def finish(self, end: End) -> None:
        """Write the rest of the text; a line end too, if the response is over or a terminal shows it."""
        self._write(self._grow(end.state))
        is_over = end.outcome is not None and end.outcome.status is not OutcomeStatus.ABANDONED
        if self._is_line_open and (is_over or (end.outcome is None and self._output.is_terminal)):
            self._write("\n")
        if end.outcome is not None and is_over:
            for line in answer_words(snapshot(end.state)):
                self.note(self._hide(line))
            words = outcome_words(end.outcome, starts_midway=end.starts_midway)
            self.note(self._hide(f"{end.response_id or 'the response'}: {words}"))

    def _grow(self, state: State, event: Event | None = None) -> str:
        piece = self._growth.take(state, event)
        if not self._growth.has_changed:
            return piece
        return f"\n{self._growth.restart()}" if self._is_line_open else self._growth.restart()

    def _write(self, text: str) -> None:
        if text:
            self._output.write(text)
            self._is_line_open = not text.endswith("\n")
