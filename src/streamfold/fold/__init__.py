"""The door of the room between events and states.

In      events
Out     states, snapshots and checkpoints
Units   sequence numbers
Source  docs/explanation/state.md
"""

from streamfold.fold.adopt import with_response
from streamfold.fold.anomaly import Anomaly, AnomalyKind
from streamfold.fold.checkpoint import checkpoint, restore
from streamfold.fold.growth import TextGrowth
from streamfold.fold.placed import reduce_as, with_cursor
from streamfold.fold.reduce import reduce, states
from streamfold.fold.replay import fold, replay
from streamfold.fold.sequence import SequencePolicy
from streamfold.fold.snapshot import snapshot, snapshot_json
from streamfold.fold.state import State, StreamError

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "SequencePolicy",
    "State",
    "StreamError",
    "TextGrowth",
    "checkpoint",
    "fold",
    "reduce",
    "reduce_as",
    "replay",
    "restore",
    "snapshot",
    "snapshot_json",
    "states",
    "with_cursor",
    "with_response",
]
