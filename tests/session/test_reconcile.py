"""reconcile: the table of docs/explanation/cancel.md row by row, and laws over every evidence that there can be.

Evidence is a handful of small sets, so every combination is looked at, not a sample.
"""

from itertools import product
from typing import Any

import pytest
from attrs import evolve, fields

from streamfold.session.outcome import CancelResult, Conflict, OutcomeStatus, Proof
from streamfold.session.reconcile import (
    AskGateway,
    CancelAnswer,
    Conclude,
    Evidence,
    FollowOn,
    KeepWaiting,
    Verdict,
    reconcile,
)

COMPLETED, INCOMPLETE, FAILED, CANCELLED, EXPIRED, ABANDONED, LOST = OutcomeStatus
BY_EVENT, BY_GET, BY_ANSWER = Proof
WON, COMPLETION, TERMINAL, UNCONFIRMED, NOT_ALLOWED, REFUSED = CancelResult
SAID_CANCELLED: dict[str, Any] = {"answer": CancelAnswer.CANCELLED, "answered": CANCELLED}
SAID_COMPLETED: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": COMPLETED}
SAID_FAILED: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": FAILED}
SAID_INCOMPLETE: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": INCOMPLETE}
SAID_OPEN: dict[str, Any] = {"answer": CancelAnswer.OPEN}
REFUSED_OVER: dict[str, Any] = {"answer": CancelAnswer.REFUSED_AS_TERMINAL}
REFUSED_FOREGROUND: dict[str, Any] = {"answer": CancelAnswer.REFUSED_AS_FOREGROUND}
FORBIDDEN: dict[str, Any] = {"answer": CancelAnswer.NOT_ALLOWED}
SAID_NOTHING: dict[str, Any] = {"answer": CancelAnswer.NONE, "was_repeated": True}


def conflict(first: tuple[str, OutcomeStatus], second: tuple[str, OutcomeStatus]) -> Conflict:
    return Conflict(*(f"{where} said {status}" for where, status in (first, second)))


ANSWER, STREAM, GET = "the answer to the cancel", "the stream", "the GET"
ANSWER_AND_STREAM = conflict((ANSWER, CANCELLED), (STREAM, COMPLETED))


# The table. Each row: what the cancel was answered, what else is known, and what that comes to.

ROWS = [
    # 200, cancelled: the stream agrees, in one of three ways
    pytest.param(SAID_CANCELLED, {}, KeepWaiting(), id="200 cancelled, the stream goes on"),
    pytest.param(
        SAID_CANCELLED, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON), id="200 cancelled, cancelled"
    ),
    pytest.param(SAID_CANCELLED, {"has_ended": True}, Conclude(CANCELLED, BY_ANSWER, WON), id="200 cancelled, it ends"),
    pytest.param(
        SAID_CANCELLED, {"is_past_deadline": True}, Conclude(CANCELLED, BY_ANSWER, WON), id="200 cancelled, and no more"
    ),
    # 200, cancelled: the stream says otherwise
    pytest.param(SAID_CANCELLED, {"event": COMPLETED}, AskGateway(), id="200 cancelled, completed: GET decides"),
    pytest.param(SAID_CANCELLED, {"event": FAILED}, AskGateway(), id="200 cancelled, failed: GET decides"),
    pytest.param(
        SAID_CANCELLED,
        {"event": COMPLETED, "retrieved": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION, (ANSWER_AND_STREAM,)),
        id="200 cancelled, completed, GET completed: completion won",
    ),
    pytest.param(
        SAID_CANCELLED,
        {"event": COMPLETED, "retrieved": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON, (ANSWER_AND_STREAM, conflict((STREAM, COMPLETED), (GET, CANCELLED)))),
        id="200 cancelled, completed, GET cancelled: cancel won",
    ),
    pytest.param(
        SAID_CANCELLED,
        {"event": COMPLETED, "is_past_deadline": True},
        Conclude(COMPLETED, BY_EVENT, COMPLETION, (ANSWER_AND_STREAM,)),
        id="200 cancelled, completed, no GET in time: the stream counts",
    ),
    pytest.param(
        SAID_CANCELLED,
        {"retrieved": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION, (conflict((ANSWER, CANCELLED), (GET, COMPLETED)),)),
        id="200 cancelled, GET completed",
    ),
    # 200, over already: whatever the stream does
    pytest.param(SAID_COMPLETED, {}, KeepWaiting(), id="200 completed, the stream goes on"),
    pytest.param(
        SAID_COMPLETED, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, TERMINAL), id="200 completed, completed"
    ),
    pytest.param(
        SAID_COMPLETED, {"has_ended": True}, Conclude(COMPLETED, BY_ANSWER, TERMINAL), id="200 completed, it ends"
    ),
    pytest.param(SAID_FAILED, {"has_ended": True}, Conclude(FAILED, BY_ANSWER, TERMINAL), id="200 failed, it ends"),
    pytest.param(
        SAID_INCOMPLETE,
        {"is_past_deadline": True},
        Conclude(INCOMPLETE, BY_ANSWER, TERMINAL),
        id="200 incomplete, no more",
    ),
    pytest.param(SAID_COMPLETED, {"event": CANCELLED}, AskGateway(), id="200 completed, cancelled: GET decides"),
    pytest.param(
        SAID_COMPLETED,
        {"event": CANCELLED, "retrieved": CANCELLED},
        Conclude(CANCELLED, BY_GET, TERMINAL, (conflict((ANSWER, COMPLETED), (STREAM, CANCELLED)),)),
        id="200 completed, cancelled, GET cancelled",
    ),
    # 200, still open
    pytest.param(SAID_OPEN, {}, AskGateway(), id="200 in progress: GET"),
    pytest.param(SAID_OPEN, {"has_ended": True}, AskGateway(), id="200 in progress, it ends: GET"),
    pytest.param(SAID_OPEN, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON), id="200 in progress, cancelled"),
    pytest.param(
        SAID_OPEN, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, COMPLETION), id="200 in progress, completed"
    ),
    pytest.param(
        SAID_OPEN, {"retrieved": CANCELLED}, Conclude(CANCELLED, BY_GET, WON), id="200 in progress, GET cancelled"
    ),
    pytest.param(
        SAID_OPEN, {"retrieved": FAILED}, Conclude(FAILED, BY_GET, COMPLETION), id="200 in progress, GET failed"
    ),
    pytest.param(SAID_OPEN, {"is_past_deadline": True}, FollowOn(UNCONFIRMED), id="200 in progress, deadline"),
    # refused as terminal: a GET proves it
    pytest.param(REFUSED_OVER, {}, AskGateway(), id="refused as terminal: GET"),
    pytest.param(
        REFUSED_OVER, {"retrieved": COMPLETED}, Conclude(COMPLETED, BY_GET, TERMINAL), id="refused, GET completed"
    ),
    pytest.param(REFUSED_OVER, {"event": FAILED}, Conclude(FAILED, BY_EVENT, TERMINAL), id="refused, failed"),
    pytest.param(
        REFUSED_OVER,
        {"retrieved": CANCELLED},
        Conclude(CANCELLED, BY_GET, TERMINAL),
        id="refused, somebody else's cancel",
    ),
    pytest.param(
        REFUSED_OVER | {"was_repeated": True},
        {"retrieved": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
        id="refused, since an earlier cancel of ours was taken",
    ),
    pytest.param(
        REFUSED_OVER, {"is_past_deadline": True}, FollowOn(UNCONFIRMED), id="refused as terminal, no GET in time"
    ),
    # refused as foreground: left
    pytest.param(REFUSED_FOREGROUND, {}, Conclude(ABANDONED, None, REFUSED), id="refused as foreground: left"),
    pytest.param(
        REFUSED_FOREGROUND,
        {"event": COMPLETED},
        Conclude(COMPLETED, BY_EVENT, TERMINAL),
        id="refused as foreground, and over",
    ),
    pytest.param(
        REFUSED_FOREGROUND, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, TERMINAL), id="refused, and cancelled"
    ),
    # no answer that says anything
    pytest.param({}, {}, KeepWaiting(), id="no answer yet"),
    pytest.param({}, {"event": COMPLETED}, KeepWaiting(), id="no answer yet, completed"),
    pytest.param({}, {"has_ended": True}, KeepWaiting(), id="no answer yet, it ends"),
    pytest.param(
        {},
        {"event": COMPLETED, "is_past_deadline": True},
        Conclude(COMPLETED, BY_EVENT, COMPLETION),
        id="no answer in time, completed",
    ),
    pytest.param({}, {"retrieved": COMPLETED}, KeepWaiting(), id="no answer yet, GET completed"),
    pytest.param(
        {},
        {"retrieved": COMPLETED, "is_past_deadline": True},
        Conclude(COMPLETED, BY_GET, COMPLETION),
        id="no answer in time, GET completed",
    ),
    pytest.param(
        {},
        {"retrieved": CANCELLED, "is_past_deadline": True},
        Conclude(CANCELLED, BY_GET, WON),
        id="no answer, GET cancelled",
    ),
    pytest.param({}, {"is_past_deadline": True}, FollowOn(UNCONFIRMED), id="no answer in time"),
    pytest.param(SAID_NOTHING, {}, AskGateway(), id="404, 5xx, lost: GET"),
    pytest.param(SAID_NOTHING, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON), id="lost, cancelled"),
    pytest.param(SAID_NOTHING, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, COMPLETION), id="lost, completed"),
    pytest.param(SAID_NOTHING, {"retrieved": CANCELLED}, Conclude(CANCELLED, BY_GET, WON), id="lost, GET cancelled"),
    pytest.param(SAID_NOTHING, {"is_past_deadline": True}, FollowOn(UNCONFIRMED), id="lost, and no GET in time"),
    # not allowed: it is followed on, and whatever becomes of it is not our doing
    pytest.param(FORBIDDEN, {}, FollowOn(NOT_ALLOWED), id="not allowed: told at once"),
    pytest.param(FORBIDDEN, {"is_past_deadline": True}, FollowOn(NOT_ALLOWED), id="not allowed, deadline"),
    pytest.param(FORBIDDEN, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, NOT_ALLOWED), id="403, completed"),
    pytest.param(
        FORBIDDEN, {"retrieved": CANCELLED}, Conclude(CANCELLED, BY_GET, NOT_ALLOWED), id="403, somebody else's cancel"
    ),
    pytest.param(
        FORBIDDEN | {"was_repeated": True}, {}, AskGateway(), id="403, but an earlier one may have been taken"
    ),
    pytest.param(
        FORBIDDEN | {"was_repeated": True},
        {"event": CANCELLED},
        Conclude(CANCELLED, BY_EVENT, WON),
        id="403, since an earlier cancel of ours was taken",
    ),
]


@pytest.mark.parametrize(("answer", "known", "verdict"), ROWS)
def test_the_table(answer: dict[str, Any], known: dict[str, Any], verdict: Verdict) -> None:
    assert reconcile(Evidence(**answer, **known)) == verdict


def test_the_table_has_a_row_for_every_answer() -> None:
    assert {row.values[0].get("answer") for row in ROWS} == {None, *CancelAnswer}


def test_a_failed_event_that_holds_cancelled_is_a_cancelled_one() -> None:
    """The status in the Response counts, not the event's name; so nothing more is known here."""
    assert reconcile(Evidence(**SAID_CANCELLED, event=OutcomeStatus("cancelled"))) == Conclude(CANCELLED, BY_EVENT, WON)


# Every evidence that there can be

VALUES: dict[str, tuple[Any, ...]] = {
    "answer": (None, *CancelAnswer),
    "answered": (None, *OutcomeStatus),
    "event": (None, *OutcomeStatus),
    "has_ended": (False, True),
    "retrieved": (None, *OutcomeStatus),
    "was_repeated": (False, True),
    "is_past_deadline": (False, True),
}
EVERY = [Evidence(**dict(zip(VALUES, values, strict=True))) for values in product(*VALUES.values())]
VERDICTS = list(map(reconcile, EVERY))
PROOFS = {BY_EVENT: "event", BY_GET: "retrieved", BY_ANSWER: "answered"}


def test_every_evidence_is_looked_at() -> None:
    assert set(VALUES) == {each.name for each in fields(Evidence)}
    assert len(EVERY) == len(set(EVERY)) == 8 * 8 * 8 * 2 * 8 * 2 * 2 == 32_768


def test_every_evidence_has_a_verdict() -> None:
    assert {type(verdict) for verdict in VERDICTS} == {Conclude, AskGateway, KeepWaiting, FollowOn}


def test_the_same_evidence_gives_the_same_verdict() -> None:
    assert [reconcile(evolve(evidence)) for evidence in EVERY] == VERDICTS


def test_a_conclusion_has_its_proof_in_the_evidence() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        if isinstance(verdict, Conclude) and verdict.proof is not None:
            assert getattr(evidence, PROOFS[verdict.proof]) is verdict.status


def test_only_a_refused_foreground_response_is_concluded_without_a_proof() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        if isinstance(verdict, Conclude) and verdict.proof is None:
            assert evidence.answer is CancelAnswer.REFUSED_AS_FOREGROUND
            assert (verdict.status, verdict.result) == (ABANDONED, REFUSED)


def test_when_time_is_up_nothing_is_waited_for() -> None:
    kinds = {type(reconcile(evolve(evidence, is_past_deadline=True))) for evidence in EVERY}
    assert kinds == {Conclude, FollowOn}


def test_time_takes_no_conclusion_back() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        if isinstance(verdict, Conclude):
            assert reconcile(evolve(evidence, is_past_deadline=True)) == verdict


def test_unconfirmed_is_only_what_had_time_enough() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        if verdict == FollowOn(UNCONFIRMED):
            assert evidence.is_past_deadline
            assert evidence.event is None is evidence.retrieved


def test_a_conflict_is_told_whenever_two_ends_differ() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        holds = evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED}
        ends = {evidence.answered if holds else None, evidence.event, evidence.retrieved} - {None}
        if isinstance(verdict, Conclude) and verdict.proof is not None:
            assert bool(verdict.conflicts) is (len(ends) > 1)


def test_a_get_is_believed_before_all_else() -> None:
    for evidence, verdict in zip(EVERY, VERDICTS, strict=True):
        if evidence.retrieved is not None and isinstance(verdict, Conclude):
            assert (verdict.status, verdict.proof) == (evidence.retrieved, BY_GET)


def test_a_cancel_that_won_ended_in_cancelled() -> None:
    for verdict in VERDICTS:
        if isinstance(verdict, Conclude) and verdict.result in {WON, COMPLETION}:
            assert (verdict.status is CANCELLED) is (verdict.result is WON)
