"""Decides what is true when the stream, the answer to a cancel and a GET disagree."""

from enum import StrEnum, auto
from itertools import pairwise
from typing import TypeAlias

from attrs import frozen

from streamfold.session.outcome import CancelResult, Conflict, OutcomeStatus, Proof

# `reconcile` is the table of docs/explanation/cancel.md as one pure function; tests/session/test_reconcile.py checks it
# row by row. It looks at all the evidence and never at the order in which it arrived, so the same facts in another order
# give the same verdict.


class CancelAnswer(StrEnum):
    """The answer to the cancel."""

    CANCELLED = auto()
    ENDED = auto()
    """200, with a Response that is completed, failed or incomplete."""
    OPEN = auto()
    """200, with a Response that is still running."""
    REFUSED_AS_TERMINAL = auto()
    REFUSED_AS_FOREGROUND = auto()
    NOT_ALLOWED = auto()
    """401 or 403: this key is not allowed to cancel it."""
    NONE = auto()
    """No answer that says anything, after all attempts: not found, server errors, silence."""


REFUSALS = frozenset({CancelAnswer.REFUSED_AS_TERMINAL, CancelAnswer.REFUSED_AS_FOREGROUND})


@frozen(kw_only=True)
class Evidence:
    """Everything known about one cancelled response.

    Attributes:
        answer: The answer to the cancel; None while it is on its way.
        answered: The status in that answer, if it holds a Response.
        event: The status of the terminal event.
        has_ended: Whether the stream ended by itself.
        retrieved: The terminal status that a GET returned.
        was_repeated: Whether the cancel was sent more than once, so that an earlier one may have taken effect.
        is_past_deadline: Whether the time to wait for the answer and the stream is over.
    """

    answer: CancelAnswer | None = None
    answered: OutcomeStatus | None = None
    event: OutcomeStatus | None = None
    has_ended: bool = False
    retrieved: OutcomeStatus | None = None
    was_repeated: bool = False
    is_past_deadline: bool = False


@frozen
class Conclude:
    """The response has ended like this."""

    status: OutcomeStatus
    proof: Proof | None
    result: CancelResult
    conflicts: tuple[Conflict, ...] = ()


@frozen
class AskGateway:
    """Only a GET can decide."""


@frozen
class KeepWaiting:
    """The answer, or the end of the stream, may still arrive."""


@frozen
class FollowOn:
    """Nothing is proven, so the response is followed as before. result: The result of the cancel so far."""

    result: CancelResult


Verdict: TypeAlias = Conclude | AskGateway | KeepWaiting | FollowOn


def reconcile(evidence: Evidence) -> Verdict:
    """Return the verdict on this evidence."""
    conflicts = tuple(_conflicts(evidence))
    if evidence.retrieved is not None:
        if evidence.answer is None and not evidence.is_past_deadline:
            return KeepWaiting()
        return Conclude(evidence.retrieved, Proof.RETRIEVED, _result(evidence.retrieved, evidence), conflicts)
    if evidence.answer is CancelAnswer.REFUSED_AS_FOREGROUND and evidence.event is None:
        return Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED)
    if evidence.event is not None:
        return _with_event(evidence, evidence.event, conflicts)
    return _without_event(evidence)


def _with_event(evidence: Evidence, event: OutcomeStatus, conflicts: tuple[Conflict, ...]) -> Verdict:
    if evidence.answer is None and not evidence.is_past_deadline:
        return KeepWaiting()
    if conflicts and not evidence.is_past_deadline:
        return AskGateway()
    # Without a GET, the event counts: it came through the stream that the response itself wrote.
    return Conclude(event, Proof.TERMINAL_EVENT, _result(event, evidence), conflicts)


def _without_event(evidence: Evidence) -> Verdict:
    if evidence.answered is not None and evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED}:
        if evidence.has_ended or evidence.is_past_deadline:
            return Conclude(evidence.answered, Proof.CANCEL_ANSWER, _result(evidence.answered, evidence))
        return KeepWaiting()
    if _was_not_allowed(evidence):
        return FollowOn(CancelResult.NOT_ALLOWED)
    if evidence.is_past_deadline:
        return FollowOn(CancelResult.UNCONFIRMED)
    return KeepWaiting() if evidence.answer is None else AskGateway()


def _result(status: OutcomeStatus, evidence: Evidence) -> CancelResult:
    """The result of the cancel, if this status is final."""
    if evidence.answer is CancelAnswer.ENDED:
        return CancelResult.ALREADY_TERMINAL
    if _was_not_allowed(evidence):
        return CancelResult.NOT_ALLOWED
    if status is OutcomeStatus.CANCELLED:
        # Refused, yet cancelled: by an earlier cancel of ours whose answer was lost, or by another client.
        by_others = evidence.answer in REFUSALS and not evidence.was_repeated
        return CancelResult.ALREADY_TERMINAL if by_others else CancelResult.CANCEL_WON
    if evidence.answer in REFUSALS:
        return CancelResult.ALREADY_TERMINAL
    return CancelResult.COMPLETION_WON


def _was_not_allowed(evidence: Evidence) -> bool:
    """Whether the key was refused on its only attempt, so no cancel of ours can have taken effect."""
    return evidence.answer is CancelAnswer.NOT_ALLOWED and not evidence.was_repeated


def _conflicts(evidence: Evidence) -> list[Conflict]:
    """The reported ends that differ, in the order: answer, event, GET."""
    answered = evidence.answered if evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED} else None
    reports = [("the answer to the cancel", answered), ("the stream", evidence.event), ("the GET", evidence.retrieved)]
    ends = [(where, status) for where, status in reports if status is not None]
    return [
        Conflict(f"{where} said {status}", f"{later} said {other}")
        for (where, status), (later, other) in pairwise(ends)
        if status is not other
    ]
