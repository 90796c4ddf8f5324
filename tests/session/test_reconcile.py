"""reconcile: the table of docs/explanation/cancel.md row by row, and laws over every evidence that there can be.

Evidence is a handful of small sets. hypothesis chooses among all combinations; `make test-all` looks at each of those in
which an end is one of three.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfold.session.outcome import CancelResult, Conflict, OutcomeStatus, Proof
from streamfold.session.reconcile import (
    AskGateway,
    CancelAnswer,
    Conclude,
    Evidence,
    FollowOn,
    KeepWaiting,
    Leave,
    Verdict,
    reconcile,
)

COMPLETED, INCOMPLETE, FAILED, CANCELLED, EXPIRED, ABANDONED, LOST = OutcomeStatus
BY_EVENT, BY_GET, BY_ANSWER = Proof
WON, COMPLETION, TERMINAL, UNCONFIRMED, NOT_ALLOWED, LEFT = CancelResult
SAID_CANCELLED: dict[str, Any] = {"answer": CancelAnswer.CANCELLED, "answered": CANCELLED}
SAID_COMPLETED: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": COMPLETED}
SAID_FAILED: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": FAILED}
SAID_INCOMPLETE: dict[str, Any] = {"answer": CancelAnswer.ENDED, "answered": INCOMPLETE}
SAID_OPEN: dict[str, Any] = {"answer": CancelAnswer.OPEN}
REFUSED_OVER: dict[str, Any] = {"answer": CancelAnswer.REFUSED_AS_TERMINAL}
REFUSED: dict[str, Any] = {"answer": CancelAnswer.REFUSED}
FORBIDDEN: dict[str, Any] = {"answer": CancelAnswer.NOT_ALLOWED}
SAID_NOTHING: dict[str, Any] = {"answer": CancelAnswer.NONE, "was_repeated": True}
FOREGROUND: dict[str, Any] = {"is_foreground": True}
GONE: dict[str, Any] = {"is_foreground": True, "has_left": True, "has_ended": True}
CHECK = AskGateway(is_check=True)


def conflict(first: tuple[str, OutcomeStatus], second: tuple[str, OutcomeStatus]) -> Conflict:
    return Conflict(*(f"{where} said {status}" for where, status in (first, second)))


ANSWER, STREAM, GET, LATER_GET = "the answer to the cancel", "the stream", "the GET", "a later GET"
ANSWER_AND_STREAM = conflict((ANSWER, CANCELLED), (STREAM, COMPLETED))


# The table. Each row: what the cancel was answered, what else is known, and what that comes to.


def row(name: str, answer: dict[str, Any], known: dict[str, Any], verdict: Verdict) -> Any:
    return pytest.param(answer, known, verdict, id=name)


ROWS = [
    # 200, cancelled: the stream proves it, or a GET some seconds later
    row("200 cancelled, the stream goes on", SAID_CANCELLED, {}, KeepWaiting()),
    row("200 cancelled, cancelled", SAID_CANCELLED, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON)),
    row("200 cancelled, it ends: checked", SAID_CANCELLED, {"has_ended": True}, CHECK),
    row("200 cancelled, silence: checked", SAID_CANCELLED, {"is_past_grace": True}, CHECK),
    row(
        "200 cancelled, it ends, GET at once cancelled: still checked",
        SAID_CANCELLED,
        {"has_ended": True, "retrieved": CANCELLED},
        CHECK,
    ),
    row(
        "200 cancelled, it ends, GET later cancelled",
        SAID_CANCELLED,
        {"has_ended": True, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row(
        "200 cancelled, and no GET is answered in time",
        SAID_CANCELLED,
        {"has_ended": True, "is_past_deadline": True},
        Conclude(CANCELLED, BY_ANSWER, WON),
    ),
    row(
        "200 cancelled, GET still running: asked again",
        SAID_CANCELLED,
        {"has_ended": True, "ran_on": True},
        AskGateway(),
    ),
    row(
        "200 cancelled, GET still running to the deadline",
        SAID_CANCELLED,
        {"has_ended": True, "ran_on": True, "is_past_deadline": True},
        FollowOn(UNCONFIRMED),
    ),
    row(
        "LiteLLM polling: 200 cancelled, GET cancelled with more text: asked again",
        SAID_CANCELLED,
        {"has_ended": True, "retrieved": CANCELLED, "grows": True},
        AskGateway(),
    ),
    row(
        "the same to the deadline",
        SAID_CANCELLED,
        {"has_ended": True, "retrieved": CANCELLED, "grows": True, "is_past_deadline": True},
        FollowOn(UNCONFIRMED),
    ),
    row(
        "LiteLLM polling: 200 cancelled, GET cancelled, later GET completed",
        SAID_CANCELLED,
        {"has_ended": True, "retrieved": CANCELLED, "checked": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION, (conflict((GET, CANCELLED), (LATER_GET, COMPLETED)),)),
    ),
    row(
        "LiteLLM polling: 200 cancelled, later GET completed",
        SAID_CANCELLED,
        {"has_ended": True, "checked": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION, (conflict((ANSWER, CANCELLED), (GET, COMPLETED)),)),
    ),
    # 200, cancelled: the stream says otherwise
    row("200 cancelled, completed: a later GET decides", SAID_CANCELLED, {"event": COMPLETED}, CHECK),
    row("200 cancelled, failed: a later GET decides", SAID_CANCELLED, {"event": FAILED}, CHECK),
    row(
        "200 cancelled, completed, GET completed",
        SAID_CANCELLED,
        {"event": COMPLETED, "checked": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION, (ANSWER_AND_STREAM,)),
    ),
    row(
        "LiteLLM: a late cancel turns completed into cancelled, for ever",
        SAID_CANCELLED,
        {"event": COMPLETED, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON, (ANSWER_AND_STREAM, conflict((STREAM, COMPLETED), (GET, CANCELLED)))),
    ),
    row(
        "the same, when a GET said completed before the cancel arrived",
        SAID_CANCELLED,
        {"retrieved": COMPLETED},
        CHECK,
    ),
    row(
        "and a later GET says cancelled",
        SAID_CANCELLED,
        {"retrieved": COMPLETED, "checked": CANCELLED},
        Conclude(
            CANCELLED,
            BY_GET,
            WON,
            (conflict((ANSWER, CANCELLED), (GET, COMPLETED)), conflict((GET, COMPLETED), (LATER_GET, CANCELLED))),
        ),
    ),
    row(
        "LiteLLM over azure: a failed event that holds failed, GET cancelled",
        SAID_CANCELLED,
        {"event": FAILED, "checked": CANCELLED},
        Conclude(
            CANCELLED,
            BY_GET,
            WON,
            (conflict((ANSWER, CANCELLED), (STREAM, FAILED)), conflict((STREAM, FAILED), (GET, CANCELLED))),
        ),
    ),
    row(
        "200 cancelled, completed, no GET in time: the stream counts",
        SAID_CANCELLED,
        {"event": COMPLETED, "is_past_deadline": True},
        Conclude(COMPLETED, BY_EVENT, COMPLETION, (ANSWER_AND_STREAM,)),
    ),
    row(
        "200 cancelled, completed, a GET that may be older says cancelled, and no time for another: the stream counts",
        SAID_CANCELLED,
        {"event": COMPLETED, "retrieved": CANCELLED, "is_past_deadline": True},
        Conclude(
            COMPLETED,
            BY_EVENT,
            COMPLETION,
            (ANSWER_AND_STREAM, conflict((STREAM, COMPLETED), (GET, CANCELLED))),
        ),
    ),
    # 200, over already: whatever the stream does
    row("200 completed, the stream goes on", SAID_COMPLETED, {}, KeepWaiting()),
    row("200 completed, completed", SAID_COMPLETED, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, TERMINAL)),
    row("200 completed, it ends", SAID_COMPLETED, {"has_ended": True}, Conclude(COMPLETED, BY_ANSWER, TERMINAL)),
    row("200 failed, it ends", SAID_FAILED, {"has_ended": True}, Conclude(FAILED, BY_ANSWER, TERMINAL)),
    row(
        "200 incomplete, and no more",
        SAID_INCOMPLETE,
        {"is_past_grace": True},
        Conclude(INCOMPLETE, BY_ANSWER, TERMINAL),
    ),
    row("200 completed, cancelled: a later GET decides", SAID_COMPLETED, {"event": CANCELLED}, CHECK),
    row(
        "200 completed, cancelled, GET cancelled",
        SAID_COMPLETED,
        {"event": CANCELLED, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, TERMINAL, (conflict((ANSWER, COMPLETED), (STREAM, CANCELLED)),)),
    ),
    # 200, still open
    row("200 in progress: GET", SAID_OPEN, {}, AskGateway()),
    row("200 in progress, it ends: GET", SAID_OPEN, {"has_ended": True}, AskGateway()),
    row("200 in progress, cancelled", SAID_OPEN, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON)),
    row("200 in progress, completed", SAID_OPEN, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, COMPLETION)),
    row("200 in progress, one GET cancelled: checked", SAID_OPEN, {"retrieved": CANCELLED}, CHECK),
    row(
        "200 in progress, two GETs cancelled",
        SAID_OPEN,
        {"retrieved": CANCELLED, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row(
        "200 in progress, one GET cancelled, and no time for another",
        SAID_OPEN,
        {"retrieved": CANCELLED, "is_past_deadline": True},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row("200 in progress, GET failed", SAID_OPEN, {"retrieved": FAILED}, Conclude(FAILED, BY_GET, COMPLETION)),
    row("200 in progress, deadline", SAID_OPEN, {"is_past_deadline": True}, FollowOn(UNCONFIRMED)),
    # refused as terminal: a GET proves it
    row("refused as terminal: GET", REFUSED_OVER, {}, AskGateway()),
    row("refused, GET completed", REFUSED_OVER, {"retrieved": COMPLETED}, Conclude(COMPLETED, BY_GET, TERMINAL)),
    row("refused, failed", REFUSED_OVER, {"event": FAILED}, Conclude(FAILED, BY_EVENT, TERMINAL)),
    row(
        "refused as terminal, yet a GET shows it running afterwards",
        REFUSED_OVER,
        {"ran_on": True, "event": COMPLETED},
        Conclude(COMPLETED, BY_EVENT, COMPLETION),
    ),
    row("refused, one GET cancelled: checked", REFUSED_OVER, {"retrieved": CANCELLED}, CHECK),
    row(
        "refused, somebody else's cancel",
        REFUSED_OVER,
        {"retrieved": CANCELLED, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, TERMINAL),
    ),
    row(
        "refused, since an earlier cancel of ours was taken",
        REFUSED_OVER | {"was_repeated": True},
        {"retrieved": CANCELLED, "checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row("refused as terminal, no GET in time", REFUSED_OVER, {"is_past_deadline": True}, FollowOn(UNCONFIRMED)),
    # refused for another reason: nothing says that it had ended before
    row("405, 501, other words: GET", REFUSED, {}, AskGateway()),
    row("405, 501, completed", REFUSED, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, COMPLETION)),
    row("405, 501, GET completed", REFUSED, {"retrieved": COMPLETED}, Conclude(COMPLETED, BY_GET, COMPLETION)),
    row("405, 501, cancelled", REFUSED, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON)),
    row("405, 501, deadline", REFUSED, {"is_past_deadline": True}, FollowOn(UNCONFIRMED)),
    # no answer that says anything
    row("no answer yet", {}, {}, KeepWaiting()),
    row("no answer yet, completed", {}, {"event": COMPLETED}, KeepWaiting()),
    row("no answer yet, it ends", {}, {"has_ended": True}, KeepWaiting()),
    row(
        "no answer in time, completed",
        {},
        {"event": COMPLETED, "is_past_grace": True},
        Conclude(COMPLETED, BY_EVENT, COMPLETION),
    ),
    row("no answer yet, GET completed", {}, {"retrieved": COMPLETED}, KeepWaiting()),
    row(
        "no answer in time, GET completed",
        {},
        {"retrieved": COMPLETED, "is_past_grace": True},
        Conclude(COMPLETED, BY_GET, COMPLETION),
    ),
    row("no answer in time, one GET cancelled: checked", {}, {"retrieved": CANCELLED, "is_past_grace": True}, CHECK),
    row(
        "no answer, two GETs cancelled",
        {},
        {"retrieved": CANCELLED, "checked": CANCELLED, "is_past_grace": True},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row("no answer in time", {}, {"is_past_deadline": True}, FollowOn(UNCONFIRMED)),
    row("404, 5xx, lost: GET", SAID_NOTHING, {}, AskGateway()),
    row("lost, cancelled", SAID_NOTHING, {"event": CANCELLED}, Conclude(CANCELLED, BY_EVENT, WON)),
    row("lost, completed", SAID_NOTHING, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, COMPLETION)),
    row("lost, one GET cancelled: checked", SAID_NOTHING, {"retrieved": CANCELLED}, CHECK),
    row("lost, two GETs cancelled", SAID_NOTHING, {"checked": CANCELLED}, Conclude(CANCELLED, BY_GET, WON)),
    row("lost, and no GET in time", SAID_NOTHING, {"is_past_deadline": True}, FollowOn(UNCONFIRMED)),
    # not allowed: it is followed on, and whatever becomes of it is not our doing
    row("not allowed: told at once", FORBIDDEN, {}, FollowOn(NOT_ALLOWED)),
    row("not allowed, deadline", FORBIDDEN, {"is_past_deadline": True}, FollowOn(NOT_ALLOWED)),
    row("403, completed", FORBIDDEN, {"event": COMPLETED}, Conclude(COMPLETED, BY_EVENT, NOT_ALLOWED)),
    row("403, somebody else's cancel", FORBIDDEN, {"checked": CANCELLED}, Conclude(CANCELLED, BY_GET, NOT_ALLOWED)),
    row("403, but an earlier one may have been taken", FORBIDDEN | {"was_repeated": True}, {}, AskGateway()),
    row(
        "403, since an earlier cancel of ours was taken",
        FORBIDDEN | {"was_repeated": True},
        {"event": CANCELLED},
        Conclude(CANCELLED, BY_EVENT, WON),
    ),
    # a foreground response: confirmed within the grace, or left
    row("foreground, no answer yet", {}, FOREGROUND, KeepWaiting()),
    row("foreground, no answer within the grace: left", {}, FOREGROUND | {"is_past_grace": True}, Leave()),
    row("foreground, no answer, it ends", {}, FOREGROUND | {"has_ended": True}, KeepWaiting()),
    row("foreground, 400, 409 synchronous, 405, 501: left", REFUSED, FOREGROUND, Leave()),
    row("foreground, 404, 5xx, lost: left", {"answer": CancelAnswer.NONE}, FOREGROUND, Leave()),
    row("foreground, 401, 403: left", FORBIDDEN, FOREGROUND, Leave()),
    row("foreground, 200 in progress", SAID_OPEN, FOREGROUND, KeepWaiting()),
    row("foreground, 200 in progress, grace: left", SAID_OPEN, FOREGROUND | {"is_past_grace": True}, Leave()),
    row("foreground, 200 in progress, it ends: left", SAID_OPEN, FOREGROUND | {"has_ended": True}, Leave()),
    row("foreground, refused as terminal: its event comes", REFUSED_OVER, FOREGROUND, KeepWaiting()),
    row("foreground, refused as terminal, grace", REFUSED_OVER, FOREGROUND | {"is_past_grace": True}, Leave()),
    row(
        "foreground, refused as terminal, completed",
        REFUSED_OVER,
        FOREGROUND | {"event": COMPLETED},
        Conclude(COMPLETED, BY_EVENT, TERMINAL),
    ),
    row(
        "foreground, refused, completed",
        REFUSED,
        FOREGROUND | {"event": COMPLETED},
        Conclude(COMPLETED, BY_EVENT, COMPLETION),
    ),
    row(
        "foreground, fastresponses: 200 completed, completed",
        SAID_COMPLETED,
        FOREGROUND | {"event": COMPLETED},
        Conclude(COMPLETED, BY_EVENT, TERMINAL),
    ),
    row(
        "foreground, 200 cancelled, cancelled",
        SAID_CANCELLED,
        FOREGROUND | {"event": CANCELLED},
        Conclude(CANCELLED, BY_EVENT, WON),
    ),
    row("foreground, 200 cancelled, the stream goes on", SAID_CANCELLED, FOREGROUND, KeepWaiting()),
    row("foreground, 200 cancelled, grace: left", SAID_CANCELLED, FOREGROUND | {"is_past_grace": True}, Leave()),
    row("foreground, 200 cancelled, it ends: left", SAID_CANCELLED, FOREGROUND | {"has_ended": True}, Leave()),
    row("foreground, left: a GET", REFUSED, GONE, AskGateway()),
    row("foreground, left by the caller, no answer yet", {}, GONE, KeepWaiting()),
    row("foreground, left after the grace: a GET", {}, GONE | {"is_past_grace": True}, AskGateway()),
    row("foreground, left, still running", REFUSED, GONE | {"ran_on": True}, Conclude(ABANDONED, None, LEFT)),
    row("foreground, left, no GET", REFUSED, GONE | {"is_past_deadline": True}, Conclude(ABANDONED, None, LEFT)),
    row(
        "foreground, left, azure: the GET says cancelled",
        {"answer": CancelAnswer.NONE},
        GONE | {"checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row(
        "foreground, left, GET completed",
        REFUSED,
        GONE | {"checked": COMPLETED},
        Conclude(COMPLETED, BY_GET, COMPLETION),
    ),
    row(
        "foreground, left, 403, GET cancelled",
        FORBIDDEN,
        GONE | {"checked": CANCELLED},
        Conclude(CANCELLED, BY_GET, WON),
    ),
    row("foreground, left, 200 cancelled: checked", SAID_CANCELLED, GONE, CHECK),
    row(
        "foreground, left, 200 cancelled, and no GET",
        SAID_CANCELLED,
        GONE | {"is_past_deadline": True},
        Conclude(CANCELLED, BY_ANSWER, WON),
    ),
    row(
        "foreground, left, 200 cancelled, GET still running",
        SAID_CANCELLED,
        GONE | {"ran_on": True},
        Conclude(
            ABANDONED,
            None,
            LEFT,
            (Conflict("the answer to the cancel said cancelled", "a later GET said that it still ran"),),
        ),
    ),
]


@pytest.mark.parametrize(("answer", "known", "verdict"), ROWS)
def test_the_table(answer: dict[str, Any], known: dict[str, Any], verdict: Verdict) -> None:
    assert reconcile(Evidence(**answer, **known)) == verdict


def test_the_table_has_a_row_for_every_answer_in_the_background_and_in_the_foreground() -> None:
    for in_foreground in (False, True):
        rows = [row for row in ROWS if ("is_foreground" in row.values[1]) is in_foreground]
        assert {row.values[0].get("answer") for row in rows} == {None, *CancelAnswer}


def test_a_failed_event_that_holds_cancelled_is_a_cancelled_one() -> None:
    """The status in the Response counts, not the event's name; so nothing more is known here."""
    assert reconcile(Evidence(**SAID_CANCELLED, event=OutcomeStatus("cancelled"))) == Conclude(CANCELLED, BY_EVENT, WON)


# Laws. Each takes any evidence there can be, and the verdict on it.

COMBINATIONS = 8 * 4**4 * 2**8  # answers, ends, flags
FLAGS = {each.name: (False, True) for each in fields(Evidence) if each.type is bool}
ENDS = ("answered", "event", "retrieved", "checked")
PROOFS = {BY_EVENT: ("event",), BY_GET: ("checked", "retrieved"), BY_ANSWER: ("answered",)}


def evidence_of(ends: tuple[OutcomeStatus | None, ...]) -> dict[str, tuple[Any, ...]]:
    """The values that each field of an evidence can have, where an end is one of these."""
    return {"answer": (None, *CancelAnswer), **dict.fromkeys(ENDS, ends), **FLAGS}


def reported(evidence: Evidence) -> set[OutcomeStatus]:
    holds = evidence.answer in {CancelAnswer.CANCELLED, CancelAnswer.ENDED}
    ends = (evidence.answered if holds else None, evidence.event, evidence.retrieved, evidence.checked)
    return {end for end in ends if end is not None}


def a_conclusion_has_its_proof_in_the_evidence(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.proof is not None:
        proofs = [getattr(evidence, name) for name in PROOFS[verdict.proof]]
        assert verdict.status is next(each for each in proofs if each is not None)


def only_a_foreground_response_that_was_left_is_concluded_without_a_proof(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.proof is None:
        assert evidence.is_foreground
        assert evidence.has_left
        assert (verdict.status, verdict.result) == (ABANDONED, LEFT)
        assert evidence.grows or reported(evidence) <= {evidence.answered}


def only_a_foreground_response_is_left_and_once(evidence: Evidence, verdict: Verdict) -> None:
    if verdict == Leave():
        assert evidence.is_foreground
        assert not evidence.has_left
        assert evidence.event is None


def when_time_is_up_nothing_is_waited_for(evidence: Evidence, verdict: Verdict) -> None:
    late = reconcile(evolve(evidence, is_past_deadline=True))
    assert isinstance(late, Conclude | FollowOn | Leave)
    assert isinstance(reconcile(evolve(evidence, is_past_deadline=True, has_left=True)), Conclude | FollowOn)


def time_takes_no_conclusion_back(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude):
        assert reconcile(evolve(evidence, is_past_grace=True)) == verdict
        assert reconcile(evolve(evidence, is_past_grace=True, is_past_deadline=True)) == verdict


def unconfirmed_is_only_what_had_time_enough(evidence: Evidence, verdict: Verdict) -> None:
    if verdict == FollowOn(UNCONFIRMED):
        assert evidence.is_past_deadline
        assert evidence.event is evidence.checked is None
        assert evidence.grows or evidence.ran_on or not reported(evidence)


def a_conflict_is_told_whenever_two_ends_differ(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.proof is not None:
        assert bool(verdict.conflicts) is (len(reported(evidence)) > 1)


def a_later_get_is_believed_before_all_else_and_a_get_unless_the_event_contradicts(
    evidence: Evidence, verdict: Verdict
) -> None:
    got = evidence.checked or (evidence.retrieved if evidence.event in {None, evidence.retrieved} else None)
    if got is not None and isinstance(verdict, Conclude) and verdict.proof is not None:
        assert (verdict.status, verdict.proof) == (got, BY_GET)


def a_cancel_that_won_ended_in_cancelled(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.result in {WON, COMPLETION}:
        assert (verdict.status is CANCELLED) is (verdict.result is WON)


def cancelled_needs_the_event_or_a_later_get_while_there_is_time(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.status is CANCELLED and not evidence.is_past_deadline:
        assert evidence.checked is CANCELLED or evidence.event is CANCELLED


def what_is_contradicted_needs_a_later_get_while_there_is_time(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.proof is not None and not evidence.is_past_deadline:
        assert evidence.checked is not None or len(reported(evidence)) == 1


def already_terminal_needs_an_answer_that_says_so_and_was_not_denied(evidence: Evidence, verdict: Verdict) -> None:
    if isinstance(verdict, Conclude) and verdict.result is TERMINAL:
        was_refused = evidence.answer is CancelAnswer.REFUSED_AS_TERMINAL and not evidence.ran_on
        assert was_refused or evidence.answer is CancelAnswer.ENDED


LAWS: list[Callable[[Evidence, Verdict], None]] = [
    a_conclusion_has_its_proof_in_the_evidence,
    only_a_foreground_response_that_was_left_is_concluded_without_a_proof,
    only_a_foreground_response_is_left_and_once,
    when_time_is_up_nothing_is_waited_for,
    time_takes_no_conclusion_back,
    unconfirmed_is_only_what_had_time_enough,
    a_conflict_is_told_whenever_two_ends_differ,
    a_later_get_is_believed_before_all_else_and_a_get_unless_the_event_contradicts,
    a_cancel_that_won_ended_in_cancelled,
    cancelled_needs_the_event_or_a_later_get_while_there_is_time,
    what_is_contradicted_needs_a_later_get_while_there_is_time,
    already_terminal_needs_an_answer_that_says_so_and_was_not_denied,
]
ANY_EVIDENCE = st.builds(
    Evidence, **{name: st.sampled_from(values) for name, values in evidence_of((None, *OutcomeStatus)).items()}
)


@pytest.mark.parametrize("law", LAWS, ids=[law.__name__ for law in LAWS])
@settings(max_examples=150)
@given(ANY_EVIDENCE)
def test_whatever_the_evidence(law: Callable[[Evidence, Verdict], None], evidence: Evidence) -> None:
    verdict = reconcile(evidence)
    assert reconcile(evolve(evidence)) == verdict
    law(evidence, verdict)


@pytest.mark.thorough
def test_every_evidence_keeps_every_law() -> None:
    values = evidence_of((None, COMPLETED, FAILED, CANCELLED))
    kinds, count = set[type[Verdict]](), 0
    for each in product(*values.values()):
        evidence = Evidence(**dict(zip(values, each, strict=True)))
        verdict = reconcile(evidence)
        kinds.add(type(verdict))
        count += 1
        for law in LAWS:
            law(evidence, verdict)
    assert count == COMBINATIONS
    assert kinds == {Conclude, AskGateway, Leave, KeepWaiting, FollowOn}


def test_every_field_of_the_evidence_is_generated() -> None:
    assert set(evidence_of(())) == {each.name for each in fields(Evidence)}
