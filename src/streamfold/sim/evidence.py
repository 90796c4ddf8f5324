"""What could be known of a Run's end: which outcomes are right, given the truth and what reached the session.

In      a Run that ended
Out     the statuses and the results of a cancel that may be told; whether giving up was right
Units   virtual seconds
Errors  none
Source  the table in docs/explanation/cancel.md

A gateway that contradicts itself (`openai`: a GET says cancelled, a new stream goes on to the end; `completes-anyway`:
cancelled, until it is completed) has two truths: then what may be told depends on what was heard.
"""

from math import inf

from streamfold.session import Answer, CancelResult, OutcomeStatus, Proof
from streamfold.sim.shell import Fact, Run
from streamfold.sim.truth import CANCELLED, GOES_ON, HANGS_UP

__all__ = ["allowed_cancels", "allowed_statuses", "why_lost"]

UNAUTHORIZED = {401, 403}
BUSY = {408, 425, 429}
UNKNOWN = {404, 410}


def allowed_statuses(run: Run) -> set[str]:
    """What the outcome's status may be, if the response was not given up."""
    truth, dialect = run.truth, run.script.manner.cancel
    outcome = run.outcome
    allowed: set[str] = set()
    if run.left_at is not None or (run.cancelled_at is not None and not run.script.manner.background):
        allowed.add(OutcomeStatus.ABANDONED)
    if truth.cancelled_at == inf:
        return allowed | {truth.telling.status}
    if dialect == GOES_ON:
        # Whoever saw the terminal event must not say cancelled.
        saw_end = bool(run.applied) and run.applied[-1].state.is_terminal and run.applied[-1].state.status != CANCELLED
        return allowed | ({truth.telling.status} if saw_end else {truth.telling.status, CANCELLED})
    if dialect == HANGS_UP and outcome is not None and outcome.proof is Proof.TERMINAL_EVENT:
        # The stream told another end than the GET would: right only for whoever could not ask, or knew no reason to.
        heard = any(_says(fact, CANCELLED) for fact in run.facts if fact.call == "retrieve")
        return allowed | ({CANCELLED} if heard else {CANCELLED, truth.telling.status})
    return allowed | {CANCELLED, truth.telling.status} if run.at < truth.cancelled_at else allowed | {CANCELLED}


def allowed_cancels(run: Run) -> set[CancelResult | None]:
    """What the outcome may say of a cancel."""
    outcome = run.outcome
    if outcome is None or run.cancelled_at is None:
        return {None}
    told = [fact.got for fact in run.facts if fact.call == "cancel"]
    heard = [got for got in told if isinstance(got, Answer)]
    if outcome.status is OutcomeStatus.ABANDONED and run.left_at is None:
        return {CancelResult.REFUSED}
    if len(told) == 1 and heard and heard[0].status in UNAUTHORIZED:
        return {CancelResult.NOT_ALLOWED}
    if outcome.status in {OutcomeStatus.ABANDONED, OutcomeStatus.LOST}:
        return {None, CancelResult.UNCONFIRMED}
    if outcome.status is OutcomeStatus.CANCELLED:
        return {CancelResult.CANCEL_WON}
    refused = any(400 <= got.status < 500 and got.status not in BUSY | UNAUTHORIZED | UNKNOWN for got in heard)
    ended = any(
        got.status == 200 and any(_tells(got, each) for each in ("completed", "failed", "incomplete")) for got in heard
    )
    return {CancelResult.ALREADY_TERMINAL} if refused or ended else {CancelResult.COMPLETION_WON}


def why_lost(run: Run) -> str | None:
    """Why it need not have been given up; None where it could not be helped."""
    outcome, script = run.outcome, run.script
    if outcome is None:
        return None
    if run.was_told_end and script.manner.numbering == "plain" and script.max_frame_bytes == 1 << 26:
        return "its terminal event had come"
    if "never told" in outcome.reason:
        if outcome.reason.startswith("an event is missing"):
            return "its stream was still open"
        return "its id was told" if any(b'"response":' in each.data for each in run.applied) else None
    if outcome.reason.startswith("it did not end"):
        return None if script.total_seconds is not None and run.at >= script.total_seconds else "there was time"
    if outcome.reason.startswith("nothing new"):
        waited = run.at - run.progress_at
        return None if waited >= 600 else f"only {waited:g} s went by"
    if any(_status(fact) in UNAUTHORIZED for fact in run.facts):
        return None
    asked = [fact for fact in run.facts if fact.call == "retrieve"]
    if any(400 <= _status(fact) < 500 and _status(fact) not in BUSY for fact in asked):
        return None
    failed = asked[-script.max_attempts :]
    if len(failed) == script.max_attempts and not any(_is_response(fact) for fact in failed):
        return None
    return "a GET was not refused, nor tried often enough"


def _status(fact: Fact) -> int:
    return fact.got.status if isinstance(fact.got, Answer) else 0


def _is_response(fact: Fact) -> bool:
    return isinstance(fact.got, Answer) and fact.got.status == 200 and fact.got.body.endswith(b"}")


def _says(fact: Fact, status: str) -> bool:
    return isinstance(fact.got, Answer) and _tells(fact.got, status)


def _tells(got: Answer, status: str) -> bool:
    """Whether the answer is a Response of this status; its status stands before any item's."""
    return got.body.endswith(b"}") and got.body.partition(b'"status":"')[2].startswith(status.encode() + b'"')
