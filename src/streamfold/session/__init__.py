"""Follow one response, or one batch, to its end: facts go in, events and actions come out, and one Outcome."""

from streamfold.session.answer import Answer, ErrorWords, is_event_stream, retry_after_seconds
from streamfold.session.batch import BatchOutcome, BatchSession
from streamfold.session.drive import Action, Call, Cancel, Close, Connect, Finish, Retrieve, Step, Wait, drive
from streamfold.session.outcome import (
    CancelResult,
    Conflict,
    Outcome,
    OutcomeStatus,
    Proof,
    Repair,
    RepairKind,
)
from streamfold.session.patience import Backoff, Patience
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
    "is_event_stream",
    "retry_after_seconds",
]

# Theory of operation. A session's state is where the response's bytes come from just now:
#
#     state        is_reading  connecting  timer     entered when
#     connecting       no         yes                it begins; a resume or replay is due
#     reading          yes        no                 the stream answered, or was open from the start
#     waiting          no         no       CONNECT   the stream broke; the next attempt has its time
#     polling          no         no       POLL      streams are refused or exhausted: GETs until a terminal status
#     over             no         no                 the outcome is known; no fact changes anything
#
#     connecting --receive_connected--> reading --receive_eof, receive_failure, a gap--> waiting --time--> connecting
#     any --only RETRIEVE is left--> polling --"it still runs", and a stream is worth another try--> waiting
#     any --a terminal event, a GET of what is over, a verdict on a cancel, nothing left to try--> over
#
# A cancel runs beside it (`CancelTracker`) and never stops the stream: both bring evidence, and a verdict may end the
# session in any state. Until a cancel is proven, GETs are made beside an open stream too.
#
# Every failure goes one way: `_fail_stream` or `_fail_retrieve` counts it, `_repair` asks `Repairs` for the next step, and
# `_lose` ends the session when no step is left, unless the answer to a cancel may still tell the end.
#
# Feed it facts with `receive_*`, carry out the steps of `drive`, and stop when `outcome` is there. docs/reference/session.md
# lists every fact, action and limit.
