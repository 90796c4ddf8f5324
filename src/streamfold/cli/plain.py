"""The demo without a terminal: a line where an item opens or closes, or the status changes.

In      frames
Out     lines on stdout; the State after each event, added to a list
Units   sequence numbers
"""

from streamfold.cli.fold.pace import Pace
from streamfold.cli.fold.reading import Step
from streamfold.cli.output.change import describe_change
from streamfold.cli.terminal import Output
from streamfold.fold import State, reduce
from streamfold.reader import EventReader
from streamfold.schema import Event
from streamfold.schema import event as wire

__all__ = ["show_plainly"]

TOLD = (wire.ResponseEvent, wire.ItemEvent)


def show_plainly(frames: list[bytes], states: list[State], *, output: Output, pace: Pace) -> None:
    """Fold the frames, and tell the events that are milestones."""
    reader = EventReader()
    state = State()
    for frame in frames:
        pace.wait()
        for event in reader.feed(frame):
            before, state = state, reduce(state, event)
            states.append(state)
            if isinstance(event, TOLD):
                output.write(_line(event, before, state))


def _line(event: Event, before: State, after: State) -> str:
    told = describe_change(Step(event, before, after))
    return f"{after.cursor:>6}  {told:<44}  {len(after.output_text):>7,} characters of text\n"
