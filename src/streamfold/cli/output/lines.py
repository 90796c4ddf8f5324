"""A followed response as lines: events as JSON, or the text with its milestones beside it.

In      Applied events, repairs, the Outcome
Out     JsonLines: stdout has each event's own JSON on a line, and the outcome on the last
        PlainLines: stdout has the text and nothing else, as it grows; stderr has a line for each milestone
Units   sequence numbers; seconds
Source  docs/reference/cli.md
"""

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TextIO

from streamfold.cli.failure import say
from streamfold.cli.fold.reading import Step
from streamfold.cli.output.change import describe_change
from streamfold.cli.output.outcome import outcome_document, outcome_words, repair_words
from streamfold.cli.terminal import Output
from streamfold.fold import State
from streamfold.schema import event as wire
from streamfold.session import Applied, Outcome, OutcomeStatus, Repair

__all__ = ["FollowView", "JsonLines", "PlainLines", "TextFlow"]

WHOLE = (wire.OutputTextDone, wire.ContentPartEvent, wire.ItemEvent, wire.ResponseEvent)
QUIET = {OutcomeStatus.COMPLETED, OutcomeStatus.ABANDONED}
Hide = Callable[[str], str]


class FollowView(Protocol):
    """What a way to show a followed response promises. It is entered before the first event and left after the last."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, applied: Applied) -> None:
        """One event was applied."""
        ...

    def repair(self, repair: Repair) -> None:
        """The stream is being mended."""
        ...

    def finish(self, outcome: Outcome, *, response_id: str | None, begun: float) -> None:
        """It is over, or was left. begun: the session's time when it began."""
        ...


class Entered:
    """A view that has nothing to open."""

    def __enter__(self) -> object:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class JsonLines(Entered):
    """A line for each event, and one for the outcome."""

    def __init__(self, output: Output, *, hide: Hide) -> None:
        self._output = output
        self._hide = hide

    def show(self, applied: Applied) -> None:
        """The event's own bytes. A line end inside them is white space of the JSON, and becomes a blank."""
        self._write(b" ".join(applied.data.splitlines()) + b"\n")

    def repair(self, repair: Repair) -> None:
        """Nothing: the outcome lists them."""

    def finish(self, outcome: Outcome, *, response_id: str | None, begun: float) -> None:
        """The outcome."""
        self._write(outcome_document(outcome, response_id=response_id, begun=begun, hide=self._hide))
        if outcome.status not in QUIET:
            say(self._hide(f"{response_id or 'the response'}: {outcome_words(outcome)}"))

    def _write(self, line: bytes) -> None:
        if self._output.is_terminal:
            self._output.write(line.decode(errors="replace"))
        else:
            self._output.write_bytes(line)


class PlainLines(Entered):
    """The text on stdout, and beside it what happens."""

    def __init__(self, output: Output, *, hide: Hide, began_in_the_middle: bool = False) -> None:
        self._output = output
        self._hide = hide
        self._flow = TextFlow(began_in_the_middle=began_in_the_middle)
        self._state = State()
        self._is_line_open = False

    def show(self, applied: Applied) -> None:
        """The text that the event brought; the event itself where it is a milestone."""
        before, self._state = self._state, applied.state
        self._write(self._flow.take(applied))
        if isinstance(applied.event, wire.OutputItemDone) or (
            before.status != applied.state.status and not applied.state.is_terminal
        ):
            told = describe_change(Step(applied.event, before, applied.state))
            self._say(f"event {applied.state.cursor}: {told}")

    def repair(self, repair: Repair) -> None:
        """What is done, and why."""
        self._say(self._hide(repair_words(repair)))

    def finish(self, outcome: Outcome, *, response_id: str | None, begun: float) -> None:
        """The rest of the text, with a line end behind it if the response is over; then how it ended."""
        self._write(self._flow.catch_up(outcome.state))
        if outcome.status is OutcomeStatus.ABANDONED:  # whoever left it says so
            return
        if self._is_line_open:
            self._write("\n")
        self._say(self._hide(f"{response_id or 'the response'}: {outcome_words(outcome)}"))

    def _write(self, text: str) -> None:
        if text:
            self._output.write(text)
            self._is_line_open = not text.endswith("\n")

    def _say(self, sentence: str) -> None:
        """Beside the text; on a line of its own where both go to the same place."""
        if self._is_line_open and goes_to_one_place(sys.stdout, sys.stderr):
            self._write("\n")
        say(sentence)


def goes_to_one_place(one: TextIO | None, other: TextIO | None) -> bool:
    """Whether two files are the same terminal, pipe or file."""
    try:
        return one is not None and other is not None and os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):
        return False


class TextFlow:
    """The pieces of the output text to be written, so that together they are the text.

    Where a later event rewrites what was written, the whole text comes again on a new line. began_in_the_middle:
    whether text before the first event is not ours to write; where only the last Response has the rest, it comes whole.
    """

    def __init__(self, *, began_in_the_middle: bool = False) -> None:
        self._began_in_the_middle = began_in_the_middle
        self._pieces: list[str] = []
        self._growing: tuple[int, int] | None = None  # the part that grew last

    @property
    def shown(self) -> str:
        """All that was written, since it was last written anew."""
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def take(self, applied: Applied) -> str:
        """What is to be written after this event."""
        match applied.event:
            case wire.OutputTextDelta() as event if self._began_in_the_middle or self._growing == (
                event.output_index,
                event.content_index,
            ):
                self._pieces.append(event.delta)
                return event.delta
            case wire.OutputTextDelta() as event:
                self._growing = (event.output_index, event.content_index)
                return self.catch_up(applied.state)
            case event if isinstance(event, WHOLE):
                self._growing = None
                return self.catch_up(applied.state)
            case _:
                return ""

    def catch_up(self, state: State) -> str:
        """What the state's text has beyond what was written."""
        text, shown = state.output_text, self.shown
        if self._began_in_the_middle:
            if not text or not state.is_terminal or (shown and text.endswith(shown)):
                return ""
        elif text.startswith(shown):
            piece = text[len(shown) :]
            self._pieces.append(piece)
            return piece
        self._pieces = [text]
        return f"\n{text}"
