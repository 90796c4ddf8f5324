"""Follow one response, or one batch, to its end: facts go in, events and actions come out, and one Outcome."""

from streamfold.session.answer import Answer, ErrorWords, is_event_stream, retry_after_seconds
from streamfold.session.batch import BatchOutcome, BatchSession
from streamfold.session.drive import Action, Call, Cancel, Close, Connect, Finish, Retrieve, Step, Wait, drive
from streamfold.session.outcome import (
    CancelResult,
    Conflict,
    Duplicates,
    Outcome,
    OutcomeStatus,
    Proof,
    Repair,
    RepairKind,
)
from streamfold.session.patience import Backoff, Patience
from streamfold.session.policy import has_unseen_text
from streamfold.session.reassembler import Applied
from streamfold.session.session import Session

__all__ = [
    "Action",
    "Answer",
    "Applied",
    "Backoff",
    "BatchOutcome",
    "BatchSession",
    "Call",
    "Cancel",
    "CancelResult",
    "Close",
    "Conflict",
    "Connect",
    "Duplicates",
    "ErrorWords",
    "Finish",
    "Outcome",
    "OutcomeStatus",
    "Patience",
    "Proof",
    "Repair",
    "RepairKind",
    "Retrieve",
    "Session",
    "Step",
    "Wait",
    "drive",
    "has_unseen_text",
    "is_event_stream",
    "retry_after_seconds",
]
