"""Events to states, and states to snapshots and checkpoints."""

from streamfold.fold.anomaly import Anomaly, AnomalyKind
from streamfold.fold.checkpoint import checkpoint, restore
from streamfold.fold.dropped import rejoin, was_dropped
from streamfold.fold.growth import TextGrowth
from streamfold.fold.reduce import fold, is_counted, reduce, reduce_across, reduce_recorded, replay, states
from streamfold.fold.snapshot import snapshot, snapshot_json, with_response
from streamfold.fold.state import SequencePolicy, State, StreamError

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "SequencePolicy",
    "State",
    "StreamError",
    "TextGrowth",
    "checkpoint",
    "fold",
    "is_counted",
    "reduce",
    "reduce_across",
    "reduce_recorded",
    "rejoin",
    "replay",
    "restore",
    "snapshot",
    "snapshot_json",
    "states",
    "was_dropped",
    "with_response",
]
