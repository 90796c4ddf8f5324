"""The door of the room that follows one response: facts in, events and actions out.

In      what happened on the network, with its time
Out     events with their states, actions, and one Outcome
Units   seconds; sequence numbers
Source  docs/reference/session.md
"""

from streamfold.session.action import Action, Call, Cancel, Connect, Finish, Retrieve, Wait
from streamfold.session.answer import Answer, ErrorWords, is_event_stream, seconds_asked
from streamfold.session.backoff import Backoff
from streamfold.session.batch import BatchOutcome, BatchSession
from streamfold.session.intake import Applied
from streamfold.session.outcome import (
    CancelResult,
    Conflict,
    Outcome,
    OutcomeStatus,
    Proof,
    Repair,
    RepairKind,
)
from streamfold.session.patience import Patience
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
    "Conflict",
    "Connect",
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
    "Wait",
    "is_event_stream",
    "seconds_asked",
]
