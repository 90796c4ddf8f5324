"""Where the demo tells its story: a live picture on a terminal, plain lines in a pipe.

In      lines, faults, Applied events, repairs
Out     stdout
Source  docs/reference/cli.md
"""

from streamfold.cli.output.lines import Entered, FollowView
from streamfold.cli.output.outcome import repair_words
from streamfold.cli.output.screen import Screen, line
from streamfold.cli.terminal import Output
from streamfold.session import Applied, Outcome, Repair

__all__ = ["LiveStage", "PlainStage"]

MAX_NOTES = 8


class PlainStage(Entered):
    """Lines alone; it is its own view."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def line(self, words: str) -> None:
        """A line."""
        self._output.write(f"{words}\n")

    def view(self) -> FollowView:
        """Itself."""
        return self

    def fault(self, number: int, fault: str) -> None:
        """A connection and its fault."""
        self.line(f"  connection {number}: {fault}")

    def show(self, applied: Applied) -> None:
        """Nothing: the events are too many for lines."""

    def repair(self, repair: Repair) -> None:
        """A repair."""
        self.line(f"    {repair_words(repair)}")

    def finish(self, outcome: Outcome, *, response_id: str | None, begun: float) -> None:
        """Nothing: the story says it."""


class LiveStage:
    """A picture while an answer streams; when it is gone, its faults and repairs as lines."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._screen: Screen | None = None

    def line(self, words: str) -> None:
        """A line, behind what the picture had noted."""
        if self._screen is not None:
            for note in self._screen.notes:
                self._output.write(f"  {note}\n")
            self._screen = None
        self._output.write(f"{words}\n")

    def view(self) -> FollowView:
        """A picture of its own."""
        self._screen = Screen(self._output, max_notes=MAX_NOTES, foot="Each fault and each repair, as they come")
        return self._screen

    def fault(self, number: int, fault: str) -> None:
        """A connection and its fault."""
        if self._screen is not None:
            self._screen.note(line(("✗ ", "red"), (f"connection {number}: {fault}", "dim")))
