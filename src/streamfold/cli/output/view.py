"""What `fold` shows: the Response as JSON, one document that says everything, or a line for each event.

In      Steps as they come, and the Reading when it is over
Out     stdout
Source  docs/reference/cli.md
"""

from typing import Protocol

from msgspec import Raw, Struct
from msgspec.json import encode

from streamfold.cli.control import without_controls
from streamfold.cli.fold.reading import Reading, Step
from streamfold.cli.output.change import describe_change
from streamfold.cli.output.pretty import write_pretty
from streamfold.cli.terminal import Output
from streamfold.fold import Anomaly, snapshot_json

__all__ = ["DocumentView", "EventsView", "ResponseView", "View", "cut"]

CUT = "…"


class View(Protocol):
    """What a way to show a stream promises."""

    def show(self, step: Step) -> None:
        """One event was folded."""
        ...

    def finish(self, reading: Reading) -> None:
        """No more events come, whatever the cause."""
        ...


class ResponseView:
    """The Response as JSON: pretty on a terminal, the bytes of snapshot_json in a pipe."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, step: Step) -> None:
        """Nothing: the Response is given at the end."""

    def finish(self, reading: Reading) -> None:
        """The Response; nothing if no event was read."""
        if reading.events:
            data = snapshot_json(reading.state)
            if self._output.is_terminal:
                write_pretty(data, self._output, has_colours=True)
            else:
                self._output.write_bytes(data)


class Document(Struct, frozen=True):
    """The one document of `--json`, and the order of its fields."""

    cursor: int | None
    status: str | None
    terminal: bool
    events: int
    output_text: str
    anomalies: tuple[Anomaly, ...]
    response: Raw


class DocumentView:
    """One JSON document that says everything, whatever happened."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, step: Step) -> None:
        """Nothing: the document is given at the end."""

    def finish(self, reading: Reading) -> None:
        """The document; for a stream without events too."""
        state = reading.state
        document = Document(
            cursor=state.cursor,
            status=state.status,
            terminal=state.is_terminal,
            events=reading.events,
            output_text=state.output_text,
            anomalies=state.anomalies,
            response=Raw(snapshot_json(state)),
        )
        if self._output.is_terminal:
            write_pretty(encode(document), self._output, has_colours=False)  # a program may sit at a terminal too
        else:
            self._output.write_bytes(encode(document) + b"\n")


class EventsView:
    """A line for each event: its number, its type, what it changed."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, step: Step) -> None:
        """The event's line, cut to the width of a terminal."""
        number = _number(step)
        kind = "".join(step.event.wire_type.split()) or "(no type)"
        line = f"{'-' if number is None else number:>4}  {kind:<28}  {describe_change(step)}"
        if self._output.is_terminal:
            line = cut(line, self._output.columns)
        self._output.write(f"{line}\n")

    def finish(self, reading: Reading) -> None:
        """Nothing: the lines are all there is."""


def _number(step: Step) -> int | None:
    """The event's number, or its place by order of arrival; None where it has neither."""
    return step.after.cursor if step.after.cursor != step.before.cursor else step.event.sequence_number


def cut(line: str, columns: int) -> str:
    """The line as a terminal shows it, with what goes beyond the columns left out. Wide characters take two."""
    from rich.cells import cell_len, set_cell_size

    line = without_controls(line)
    return line if cell_len(line) <= columns else set_cell_size(line, columns - 1) + CUT
