"""How a command shows a stream: as its Response, as documents and lines of JSON, as lines of events, or as text."""

import os
import re
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from msgspec import Raw, Struct, json

from streamfold.cli.output.outcome import outcome_document, outcome_words, repair_words
from streamfold.cli.output.step import Step, describe_change
from streamfold.cli.terminal import Output, say
from streamfold.fold import State, TextGrowth, snapshot_json
from streamfold.schema import Event, OutputItemDone
from streamfold.session import Outcome, OutcomeStatus, Repair

Hide = Callable[[str], str]  # takes secrets out of a sentence

MAX_COLOURED = 256 * 1024  # characters: the highlighter takes a second per megabyte
CONTROLS_JSON_LEAVES = re.compile("[\x7f-\x9f]")
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

    def note(self, words: str) -> None:
        """Show a line beside the stream."""

    def finish(self, end: End) -> None:
        """Show the end, however the stream ended."""


class ResponseView(View):
    """The Response as JSON: indented on a terminal, the bytes of `snapshot_json` and a line end in a pipe."""

    def finish(self, end: End) -> None:
        if end.events:
            _write_json(self._output, snapshot_json(end.state), has_colours=True)


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
        _write_json(self._output, json.encode(document))


def _write_json(output: Output, data: bytes, *, has_colours: bool = False) -> None:
    """JSON escapes C0 controls by itself; the others are escaped here."""
    if not output.is_terminal:
        output.write_bytes(data + b"\n")
        return
    text = CONTROLS_JSON_LEAVES.sub(lambda control: f"\\u{ord(control[0]):04x}", json.format(data, indent=2).decode())
    if has_colours and len(text) <= MAX_COLOURED:
        from rich.console import Console
        from rich.highlighter import JSONHighlighter

        Console().print(JSONHighlighter()(text), soft_wrap=True)
    else:
        output.write(f"{text}\n")


class EventsView(View):
    """One line per event: its number, its type, what it changed. On a terminal, lines are cut to its width."""

    def show(self, step: Step) -> None:
        moved = step.after.cursor != step.before.cursor
        number = step.after.cursor if moved else step.event.sequence_number
        kind = "".join(step.event.wire_type.split()) or "(no type)"
        self._output.write_line(f"{'-' if number is None else number:>4}  {kind:<28}  {describe_change(step)}")


class JsonLines(View):
    """One line of JSON per event, and one for the outcome."""

    def __init__(self, output: Output, *, hide: Hide) -> None:
        super().__init__(output)
        self._hide = hide

    def show(self, step: Step) -> None:
        """The event's own bytes. A line end in them can only be white space of the JSON, and becomes a space."""
        self._write(b" ".join(step.data.splitlines()) + b"\n")

    def finish(self, end: End) -> None:
        outcome, response_id = end.outcome, end.response_id
        if outcome is not None:
            self._write(outcome_document(outcome, response_id=response_id, begun=end.begun, hide=self._hide))
            if outcome.status not in QUIET:
                say(
                    self._hide(
                        f"{response_id or 'the response'}: {outcome_words(outcome, starts_midway=end.starts_midway)}"
                    )
                )

    def _write(self, line: bytes) -> None:
        if self._output.is_terminal:
            self._output.write(line.decode(errors="replace"))
        else:
            self._output.write_bytes(line)


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
        if self._is_line_open and (self._say is not say or _is_same_file(sys.stdout, sys.stderr)):
            self._write("\n")
        self._say(words)

    def finish(self, end: End) -> None:
        """Write the rest of the text; a line end too, if the response is over or a terminal shows it."""
        self._write(self._grow(end.state))
        is_over = end.outcome is not None and end.outcome.status is not OutcomeStatus.ABANDONED
        if self._is_line_open and (is_over or (end.outcome is None and self._output.is_terminal)):
            self._write("\n")
        if end.outcome is not None and is_over:
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


def _is_same_file(one: TextIO | None, other: TextIO | None) -> bool:
    """Whether both are the same terminal, pipe or file."""
    try:
        return one is not None and other is not None and os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):
        return False
