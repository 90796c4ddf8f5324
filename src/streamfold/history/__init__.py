"""Time travel: what a log holds as records, seen as events and states at any number."""

from streamfold.history.change import Change, diff
from streamfold.history.fork import fork
from streamfold.history.replay import (
    CHECKPOINT_EVERY,
    MAX_HOLE,
    CheckpointPolicy,
    filler,
    first_number,
    fold_records,
    fold_up_to,
    is_filler,
    left_out,
    replay,
)
from streamfold.history.step import Step, Steps, live, states
from streamfold.history.transfer import Exported, Imported, export, import_stream
from streamfold.history.verify import StreamReport, StreamReports, verify

__all__ = [
    "CHECKPOINT_EVERY",
    "MAX_HOLE",
    "Change",
    "CheckpointPolicy",
    "Exported",
    "Imported",
    "Step",
    "Steps",
    "StreamReport",
    "StreamReports",
    "diff",
    "export",
    "filler",
    "first_number",
    "fold_records",
    "fold_up_to",
    "fork",
    "import_stream",
    "is_filler",
    "left_out",
    "live",
    "replay",
    "states",
    "verify",
]
