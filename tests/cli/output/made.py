"""Steps made of frames, as a view is given them."""

from streamfold.cli.output.step import Step
from streamfold.fold import State, reduce
from streamfold.reader import EventReader
from streamfold.session import Repair, RepairKind

REPAIR = Repair(RepairKind.RESUME, "the line\nwas cut \x1b[2J", 7, 0.5)


def steps(frames: list[bytes]) -> list[Step]:
    """The events of these frames, each with the states around it."""
    reader = EventReader()
    state = State()
    made: list[Step] = []
    for frame in frames:
        for event in reader.feed(frame):
            before, state = state, reduce(state, event)
            made.append(Step(event, reader.payloads[0], before, state))
    return made
