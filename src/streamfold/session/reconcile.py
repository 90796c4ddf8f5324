"""What is true when the stream, the answer to a cancel and a GET say different things.

In      Evidence: all that is known so far, whatever the order in which it came
Out     a Verdict: conclude, ask the gateway, or wait; never raises
Source  the table in docs/explanation/cancel.md, which tests/session/test_reconcile.py goes through row by row

The order of the facts does not count: the same evidence gives the same verdict.
"""

from enum import StrEnum, auto
from itertools import pairwise
from typing import TypeAlias

from attrs import frozen

from streamfold.session.outcome import CancelResult, Conflict, OutcomeStatus, Proof

__all__ = ["AskGateway", "CancelAnswer", "Conclude", "Evidence", "FollowOn", "KeepWaiting", "Verdict", "reconcile"]


class CancelAnswer(StrEnum):
    """What the cancel was answered with."""

    CANCELLED = auto()
    ENDED = auto()
    """200, with a Response that is completed, failed or incomplete."""
    OPEN = auto()
    """200, with a Response that still runs."""
    REFUSED_AS_TERMINAL = auto()
    REFUSED_AS_FOREGROUND = auto()
    NOT_ALLOWED = auto()
    """401 or 403: who asked may not cancel it."""
    NONE = auto()
    """No answer that says anything, however often it was asked: not found, server errors, silence."""


REFUSALS = frozenset({CancelAnswer.REFUSED_AS_TERMINAL, CancelAnswer.REFUSED_AS_FOREGROUND})


@frozen(kw_only=True)
class Evidence:
    """All that bears on one cancelled response.

    answer: None while it is on its way. answered: the status in it, where it holds a Response. event: the status of
    the terminal event. has_ended: the stream ended by itself. retrieved: the terminal status that a GET gave.
    was_repeated: the cancel was sent more than once, so that an earlier one may have been taken.
    is_time_up: neither the answer nor the stream is waited for any longer.
    """

    answer: CancelAnswer | None = None
    answered: OutcomeStatus | None = None
    event: OutcomeStatus | None = None
    has_ended: bool = False
    retrieved: OutcomeStatus | None = None
    was_repeated: bool = False
    is_time_up: bool = False


@frozen
class Conclude:
    """This is what became of it."""

    status: OutcomeStatus
    proof: Proof | None
    result: CancelResult
    conflicts: tuple[Conflict, ...] = ()


@frozen
class AskGateway:
    """Only a GET can tell."""


@frozen
class KeepWaiting:
    """The answer, or the end of the stream, is still to come."""


@frozen
class FollowOn:
    """Nothing is proven, and it is followed as before. result: what is to be said of the cancel by now."""

    result: CancelResult


Verdict: TypeAlias = Conclude | AskGateway | KeepWaiting | FollowOn


def reconcile(evidence: Evidence) -> Verdict:
    """What to make of the evidence."""
    conflicts = tuple(_conflicts(evidence))
    if evidence.retrieved is not None:
        if evidence.answer is None and not evidence.is_time_up:
            return KeepWaiting()
        return Conclude(evidence.retrieved, Proof.RETRIEVED, _result(evidence.retrieved, evidence), conflicts)
    if evidence.answer is CancelAnswer.REFUSED_AS_FOREGROUND and evidence.event is None:
        return Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED)
    if evidence.event is not None:
        return _with_event(evidence, evidence.event, conflicts)
    return _without_event(evidence)


def _with_event(evidence: Evidence, event: OutcomeStatus, conflicts: tuple[Conflict, ...]) -> Verdict:
    if evidence.answer is None and not evidence.is_time_up:
        return KeepWaiting()
    if conflicts and not evidence.is_time_up:
        return AskGateway()
    # Where a GET could not be had either, the event counts: it came through the stream that the Response made.
    return Conclude(event, Proof.TERMINAL_EVENT, _result(event, evidence), conflicts)


def _without_event(evidence: Evidence) -> Verdict:
    if evidence.answered is not None and evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED}:
        if evidence.has_ended or evidence.is_time_up:
            return Conclude(evidence.answered, Proof.CANCEL_ANSWER, _result(evidence.answered, evidence))
        return KeepWaiting()
    if _was_not_allowed(evidence):
        return FollowOn(CancelResult.NOT_ALLOWED)
    if evidence.is_time_up:
        return FollowOn(CancelResult.UNCONFIRMED)
    return KeepWaiting() if evidence.answer is None else AskGateway()


def _result(status: OutcomeStatus, evidence: Evidence) -> CancelResult:
    """What the cancel came to, when this status is final."""
    if evidence.answer is CancelAnswer.ENDED:
        return CancelResult.ALREADY_TERMINAL
    if _was_not_allowed(evidence):
        return CancelResult.NOT_ALLOWED
    if status is OutcomeStatus.CANCELLED:
        # Refused, and cancelled: by a cancel of ours whose answer was lost, or by somebody else.
        by_others = evidence.answer in REFUSALS and not evidence.was_repeated
        return CancelResult.ALREADY_TERMINAL if by_others else CancelResult.CANCEL_WON
    if evidence.answer in REFUSALS:
        return CancelResult.ALREADY_TERMINAL
    return CancelResult.COMPLETION_WON


def _was_not_allowed(evidence: Evidence) -> bool:
    """Whether no cancel of ours can have been taken, for whoever we are may not."""
    return evidence.answer is CancelAnswer.NOT_ALLOWED and not evidence.was_repeated


def _conflicts(evidence: Evidence) -> list[Conflict]:
    """Whatever ends were told that differ, in the order: answer, event, GET."""
    answered = evidence.answered if evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED} else None
    told = [("the answer to the cancel", answered), ("the stream", evidence.event), ("the GET", evidence.retrieved)]
    ends = [(where, status) for where, status in told if status is not None]
    return [
        Conflict(f"{where} said {status}", f"{later} said {other}")
        for (where, status), (later, other) in pairwise(ends)
        if status is not other
    ]
