"""Cancelling: what was sent, what came back, and which Response the verdict leans on."""

import pytest

from streamfold.session.answer import Answer
from streamfold.session.cancelling import Cancelling
from streamfold.session.outcome import CancelResult, OutcomeStatus, Proof
from streamfold.session.reconcile import AskGateway, Conclude, FollowOn, KeepWaiting
from tests.session.made import answer, body, refused

CANCELLED, COMPLETED = OutcomeStatus.CANCELLED, OutcomeStatus.COMPLETED


def answered(said: Answer, *, attempts: int = 1) -> Cancelling:
    cancelling = Cancelling()
    cancelling.attempts = attempts
    assert cancelling.receive_answer(said, is_background=True)
    return cancelling


def test_a_new_cancel_waits_and_has_told_nothing() -> None:
    cancelling = Cancelling()
    assert (cancelling.verdict, cancelling.attempts, cancelling.body) == (KeepWaiting(), 0, b"")
    assert cancelling.told_end is False


def test_an_answer_that_says_nothing_is_worth_another_attempt() -> None:
    cancelling = Cancelling()
    assert cancelling.receive_answer(refused(503), is_background=True) is False
    assert cancelling.verdict == KeepWaiting()


def test_a_cancelled_response_in_the_answer_proves_it_once_the_stream_ends() -> None:
    said = answer(200, body("cancelled"))
    cancelling = answered(said)
    assert (cancelling.body, cancelling.told_end, cancelling.verdict) == (said.body, True, KeepWaiting())
    cancelling.receive_end()
    assert cancelling.verdict == Conclude(CANCELLED, Proof.CANCEL_ANSWER, CancelResult.CANCEL_WON)


def test_a_response_that_still_runs_is_no_proof() -> None:
    cancelling = answered(answer(200, body("in_progress")))
    assert (cancelling.body, cancelling.told_end, cancelling.verdict) == (b"", False, AskGateway())


@pytest.mark.parametrize(
    ("is_background", "verdict"),
    [
        pytest.param(True, AskGateway(), id="in the background: refused as terminal"),
        pytest.param(False, Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED), id="in the foreground"),
    ],
)
def test_what_synchronous_means_depends_on_the_response(is_background: bool, verdict: object) -> None:
    cancelling = Cancelling()
    assert cancelling.receive_answer(refused(400, "Cannot cancel a synchronous response"), is_background=is_background)
    assert cancelling.verdict == verdict


def test_the_terminal_event_tells_an_end() -> None:
    cancelling = Cancelling()
    cancelling.receive_event(COMPLETED)
    assert (cancelling.told_end, cancelling.verdict) == (True, KeepWaiting())


def test_no_answer_at_all_leaves_the_event_to_count() -> None:
    cancelling = Cancelling()
    cancelling.receive_event(COMPLETED)
    cancelling.give_up_answer()
    assert cancelling.verdict == Conclude(COMPLETED, Proof.TERMINAL_EVENT, CancelResult.COMPLETION_WON)


def test_the_get_is_what_the_verdict_leans_on_though_an_answer_comes_later() -> None:
    cancelling = Cancelling()
    cancelling.attempts = 1
    cancelling.receive_retrieved(COMPLETED, b"the GET")
    assert cancelling.receive_answer(answer(200, body("completed")), is_background=True)
    assert cancelling.body == b"the GET"
    assert cancelling.verdict == Conclude(COMPLETED, Proof.RETRIEVED, CancelResult.ALREADY_TERMINAL)


def test_the_get_is_what_the_verdict_leans_on_though_an_answer_came_before() -> None:
    cancelling = answered(answer(200, body("completed")))
    cancelling.receive_retrieved(COMPLETED, b"the GET")
    assert cancelling.body == b"the GET"


@pytest.mark.parametrize(
    ("attempts", "result"), [(1, CancelResult.ALREADY_TERMINAL), (2, CancelResult.CANCEL_WON)], ids=["once", "twice"]
)
def test_a_repeated_cancel_may_have_been_taken_the_first_time(attempts: int, result: CancelResult) -> None:
    cancelling = answered(refused(400, "Cannot cancel a cancelled response"), attempts=attempts)
    cancelling.receive_retrieved(CANCELLED, b"")
    assert cancelling.verdict == Conclude(CANCELLED, Proof.RETRIEVED, result)


def test_without_a_proof_in_time_it_is_unconfirmed() -> None:
    cancelling = answered(answer(200, body("in_progress")))
    cancelling.receive_time_up()
    assert cancelling.verdict == FollowOn(CancelResult.UNCONFIRMED)


def test_a_stream_that_is_open_again_has_not_ended() -> None:
    cancelling = answered(answer(200, body("cancelled")))
    cancelling.receive_end()
    cancelling.receive_end(has_ended=False)
    assert cancelling.verdict == KeepWaiting()


def test_it_is_answered_when_it_is_or_when_no_answer_is_waited_for() -> None:
    assert [Cancelling().is_answered, answered(refused(401)).is_answered] == [False, True]
    late = Cancelling()
    late.receive_time_up()
    assert late.is_answered is True


@pytest.mark.parametrize(
    ("is_background", "verdict"),
    [
        pytest.param(False, Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED), id="the foreground"),
        pytest.param(True, AskGateway(), id="the background"),
        pytest.param(None, AskGateway(), id="it does not say"),
    ],
)
def test_a_refusal_is_read_anew_when_a_get_tells_where_it_runs(is_background: bool | None, verdict: object) -> None:
    cancelling = Cancelling()
    cancelling.receive_answer(refused(400, "Cannot cancel a synchronous response"), is_background=None)
    assert cancelling.verdict == AskGateway()
    cancelling.receive_background(is_background)
    assert cancelling.verdict == verdict


def test_where_it_runs_says_nothing_of_an_answer_that_is_no_refusal() -> None:
    cancelling, none = answered(answer(200, body("in_progress"))), Cancelling()
    cancelling.receive_background(False)
    none.receive_background(False)
    assert (cancelling.verdict, none.verdict) == (AskGateway(), KeepWaiting())


def test_a_get_tells_an_end() -> None:
    cancelling = Cancelling()
    cancelling.receive_retrieved(COMPLETED, b"")
    assert cancelling.told_end is True
