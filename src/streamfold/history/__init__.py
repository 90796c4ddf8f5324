"""The door of time travel: what a log knows as records, seen as events and states, at any number.

In      a log, a key, a sequence number
Out     states, steps, changes between states; streams copied, exported, imported and verified
Units   sequence numbers; bytes
Errors  UnknownStream, NumberNotReached, LogError and its kinds
Source  docs/reference/history.md
"""

from streamfold.history.change import Change, diff
from streamfold.history.export import Exported, export
from streamfold.history.folding import filler, fold_records, is_filler
from streamfold.history.fork import fork
from streamfold.history.importing import import_stream
from streamfold.history.pace import CHECKPOINT_EVERY, CheckpointPolicy, is_due
from streamfold.history.replay import replay
from streamfold.history.step import Step, Steps, live, states
from streamfold.history.verdict import Verdict, Verdicts, verify

__all__ = [
    "CHECKPOINT_EVERY",
    "Change",
    "CheckpointPolicy",
    "Exported",
    "Step",
    "Steps",
    "Verdict",
    "Verdicts",
    "diff",
    "export",
    "filler",
    "fold_records",
    "fork",
    "import_stream",
    "is_due",
    "is_filler",
    "live",
    "replay",
    "states",
    "verify",
]
