"""The text of a stream as it grows, as a reader of the live stream would have seen it.

In      Steps as they come, and a Pace
Out     the output text on stdout; where events rewrite what was shown, all of it again on a new line
Units   events a second
"""

from streamfold.cli.fold.pace import Pace
from streamfold.cli.fold.reading import Reading, Step
from streamfold.cli.terminal import Output
from streamfold.fold import State
from streamfold.schema import event as wire

__all__ = ["WatchView"]

MAY_CHANGE_TEXT = (wire.OutputTextDone, wire.ContentPartEvent, wire.ItemEvent, wire.ResponseEvent)


class WatchView:
    """The text as it grows, event by event, at a pace."""

    def __init__(self, output: Output, *, pace: Pace) -> None:
        self._output = output
        self._pace = pace
        self._shown: list[str] = []
        self._growing: tuple[int, int] | None = None  # the part that grew last
        self._is_line_open = False

    def show(self, step: Step) -> None:
        """Wait for the event's turn, then show the text that it brought."""
        self._pace.wait()
        if step.after is step.before:
            return
        match step.event:
            case wire.OutputTextDelta() as event if self._growing == (event.output_index, event.content_index):
                self._write(event.delta)
            case wire.OutputTextDelta() as event:
                self._catch_up(step.after)
                self._growing = (event.output_index, event.content_index)
            case event if isinstance(event, MAY_CHANGE_TEXT):
                self._catch_up(step.after)
                self._growing = None
            case _:
                pass

    def finish(self, reading: Reading) -> None:
        """End the line on a terminal. In a pipe there is the text and nothing else."""
        if self._output.is_terminal and self._is_line_open:
            self._output.write("\n")

    def _catch_up(self, state: State) -> None:
        """Show what the state's text has beyond what was shown; all of it, on a new line, where it reads otherwise."""
        text, shown = state.output_text, "".join(self._shown)
        self._shown = [shown]
        if not text.startswith(shown):
            self._write("\n")
            self._shown = [shown := ""]
        self._write(text[len(shown) :])

    def _write(self, text: str) -> None:
        if text:
            self._shown.append(text)
            self._is_line_open = not text.endswith("\n")
            self._output.write(text)
