"""Decides what is true when the stream, the answer to a cancel and the GETs disagree."""

from collections.abc import Iterator
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
    REFUSED = auto()
    """Refused for another reason: it runs in the foreground, or this gateway cannot cancel."""
    NOT_ALLOWED = auto()
    """401 or 403: this key is not allowed to cancel it."""
    NONE = auto()
    """No answer that says anything, after all attempts: not found, server errors, silence."""


# Answers after which the connection of a foreground response is closed at once, because no confirmation can follow.
HOPELESS = frozenset({CancelAnswer.REFUSED, CancelAnswer.NOT_ALLOWED, CancelAnswer.NONE})


@frozen(kw_only=True)
class Evidence:
    """Everything known about one cancelled response.

    Attributes:
        answer: The answer to the cancel; None while it is on its way.
        answered: The status in that answer, if it holds a Response.
        event: The status of the terminal event.
        has_ended: Whether the stream ended by itself.
        retrieved: The terminal status that a GET returned.
        checked: The terminal status that a later GET returned: one that was asked some seconds after the last report, or
            that contradicts an earlier GET. It decides.
        grows: Whether `retrieved` is cancelled, with more output than the report before it: then it still runs.
        ran_on: Whether a GET that was asked after the answer said that the response still ran.
        is_foreground: Whether it is known to run in the foreground.
        has_left: Whether its connection was closed because of the cancel.
        was_repeated: Whether the cancel was sent more than once, so that an earlier one may have taken effect.
        is_past_grace: Whether the time to wait for the answer and the stream is over.
        is_past_deadline: Whether the time to look for proof is over.
    """

    answer: CancelAnswer | None = None
    answered: OutcomeStatus | None = None
    event: OutcomeStatus | None = None
    has_ended: bool = False
    retrieved: OutcomeStatus | None = None
    checked: OutcomeStatus | None = None
    grows: bool = False
    ran_on: bool = False
    is_foreground: bool = False
    has_left: bool = False
    was_repeated: bool = False
    is_past_grace: bool = False
    is_past_deadline: bool = False

    @property
    def waits(self) -> bool:
        """Whether the answer and the stream are still waited for."""
        return not (self.is_past_grace or self.is_past_deadline)

    @property
    def reports(self) -> tuple[tuple[str, OutcomeStatus], ...]:
        """Each reported end with its source, in the order: answer, event, GET, later GET."""
        holds_end = self.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED}
        ends = (
            ("the answer to the cancel", self.answered if holds_end else None),
            ("the stream", self.event),
            ("the GET", self.retrieved),
            ("a later GET" if self.retrieved else "the GET", self.checked),
        )
        return tuple((where, status) for where, status in ends if status is not None)


@frozen
class Conclude:
    """The response has ended like this."""

    status: OutcomeStatus
    proof: Proof | None
    result: CancelResult
    conflicts: tuple[Conflict, ...] = ()


@frozen
class AskGateway:
    """Only a GET can decide. is_check: Whether it must check a reported end, some seconds later, and nothing else is done."""

    is_check: bool = False


@frozen
class Leave:
    """The cancel of a foreground response was not confirmed: close its connection, which is all that is left."""


@frozen
class KeepWaiting:
    """The answer, or the end of the stream, may still arrive."""


@frozen
class FollowOn:
    """Nothing is proven, so the response is followed as before. result: The result of the cancel so far."""

    result: CancelResult


Verdict: TypeAlias = Conclude | AskGateway | Leave | KeepWaiting | FollowOn


def reconcile(evidence: Evidence) -> Verdict:
    """Return the verdict on this evidence."""
    if not evidence.reports:
        return _foreground_without_end(evidence) if evidence.is_foreground else _without_end(evidence)
    if evidence.answer is None and evidence.waits:
        return KeepWaiting()
    if evidence.checked is not None or _is_proven(evidence):
        return _conclude(evidence)
    return _unproven(evidence)


def _without_end(evidence: Evidence) -> Verdict:
    if _was_not_allowed(evidence):
        return FollowOn(CancelResult.NOT_ALLOWED)
    if evidence.is_past_deadline:
        return FollowOn(CancelResult.UNCONFIRMED)
    return KeepWaiting() if evidence.answer is None else AskGateway()


def _foreground_without_end(evidence: Evidence) -> Verdict:
    if evidence.has_left:
        if evidence.ran_on or evidence.is_past_deadline:
            return _left()
        return KeepWaiting() if evidence.answer is None and evidence.waits else AskGateway()
    can_be_confirmed = evidence.answer not in HOPELESS and not (evidence.answer and evidence.has_ended)
    return KeepWaiting() if evidence.waits and can_be_confirmed else Leave()


def _is_proven(evidence: Evidence) -> bool:
    """Whether all agree, and not only one answer or one GET says `cancelled`, which a server may take back."""
    statuses = {status for _, status in evidence.reports}
    if len(statuses) > 1:
        return False
    if evidence.event is None and OutcomeStatus.CANCELLED in statuses:
        return False
    return not _is_answer_alone(evidence) or evidence.has_ended or not evidence.waits


def _unproven(evidence: Evidence) -> Verdict:
    if evidence.event is None:
        if _is_answer_alone(evidence) and not evidence.has_ended and evidence.waits:
            return KeepWaiting()  # the stream may agree with the answer
        if evidence.is_foreground and not evidence.has_left:
            return Leave()
        if _is_denied(evidence):
            return _denied(evidence)
    return _conclude(evidence) if evidence.is_past_deadline else AskGateway(is_check=True)


def _is_denied(evidence: Evidence) -> bool:
    return evidence.grows or (evidence.ran_on and evidence.retrieved is None)


def _denied(evidence: Evidence) -> Verdict:
    """The answer or a GET says cancelled, and a later GET shows that it runs."""
    if evidence.is_foreground and evidence.has_left:
        return _left(Conflict(f"{evidence.reports[0][0]} said cancelled", "a later GET said that it still ran"))
    return FollowOn(CancelResult.UNCONFIRMED) if evidence.is_past_deadline else AskGateway()


def _left(*conflicts: Conflict) -> Conclude:
    return Conclude(OutcomeStatus.ABANDONED, None, CancelResult.LEFT, conflicts)


def _conclude(evidence: Evidence) -> Conclude:
    """Conclude by the best proof: a later GET, a GET, the event, the answer.

    A GET shows what every client will see from now on. The event came through the stream that the response itself wrote:
    a GET that contradicts it and may have been asked before it counts for less.
    """
    is_older = evidence.event not in {None, evidence.retrieved}
    proofs = (
        (evidence.checked, Proof.RETRIEVED),
        (None if is_older else evidence.retrieved, Proof.RETRIEVED),
        (evidence.event, Proof.TERMINAL_EVENT),
        (evidence.answered, Proof.CANCEL_ANSWER),
    )
    status, proof = next((status, proof) for status, proof in proofs if status is not None)
    return Conclude(status, proof, _result(status, evidence), tuple(_conflicts(evidence)))


def _is_answer_alone(evidence: Evidence) -> bool:
    return evidence.event is None and evidence.retrieved is None and evidence.checked is None


def _result(status: OutcomeStatus, evidence: Evidence) -> CancelResult:
    """The result of the cancel, if this status is final."""
    if evidence.answer is CancelAnswer.ENDED:
        return CancelResult.ALREADY_TERMINAL
    if _was_not_allowed(evidence):
        return CancelResult.NOT_ALLOWED
    # A refusal as terminal is not believed of a response that was seen running afterwards.
    was_over = evidence.answer is CancelAnswer.REFUSED_AS_TERMINAL and not evidence.ran_on
    if status is OutcomeStatus.CANCELLED:
        # Refused, yet cancelled: by an earlier cancel of ours whose answer was lost, or by another client.
        by_others = was_over and not evidence.was_repeated
        return CancelResult.ALREADY_TERMINAL if by_others else CancelResult.CANCEL_WON
    return CancelResult.ALREADY_TERMINAL if was_over else CancelResult.COMPLETION_WON


def _was_not_allowed(evidence: Evidence) -> bool:
    """Whether the key was refused on its only attempt, so no cancel of ours can have taken effect."""
    was_sent_once = evidence.answer is CancelAnswer.NOT_ALLOWED and not evidence.was_repeated
    return was_sent_once and not evidence.is_foreground  # which was left, and may have ended because of that


def _conflicts(evidence: Evidence) -> Iterator[Conflict]:
    """The reported ends that differ."""
    for (where, status), (later, other) in pairwise(evidence.reports):
        if status is not other:
            yield Conflict(f"{where} said {status}", f"{later} said {other}")
