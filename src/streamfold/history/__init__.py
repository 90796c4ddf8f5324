"""Time travel: what a log holds as records, seen as events and states at any number."""

from streamfold.history.change import Change, diff
from streamfold.history.fork import fork
from streamfold.history.replay import (
    CHECKPOINT_EVERY,
    CheckpointPolicy,
    filler,
    fold_records,
    is_filler,
    replay,
)
from streamfold.history.step import Step, Steps, live, states
from streamfold.history.transfer import MAX_HOLE, Exported, export, import_stream
from streamfold.history.verify import StreamReport, StreamReports, verify

__all__ = [
    "CHECKPOINT_EVERY",
    "MAX_HOLE",
    "Change",
    "CheckpointPolicy",
    "Exported",
    "Step",
    "Steps",
    "StreamReport",
    "StreamReports",
    "diff",
    "export",
    "filler",
    "fold_records",
    "fork",
    "import_stream",
    "is_filler",
    "live",
    "replay",
    "states",
    "verify",
]
