"""BatchSession: GETs until a batch is over, and a cancel that may take minutes."""

from typing import Any

import pytest

from streamfold.errors import UsageError
from streamfold.session import (
    Answer,
    BatchOutcome,
    BatchSession,
    Cancel,
    CancelResult,
    Connect,
    Finish,
    OutcomeStatus,
    Patience,
    Proof,
    Retrieve,
    Wait,
)
from tests.session.made import answer, calls, refused

BUSY = refused(503)


def batch(status: str | None, **fields: Any) -> Answer:
    return answer(200, {"id": "batch_1", "object": "batch", "status": status} | fields)


def session(*, jitter: float = 0.5, **limits: Any) -> BatchSession:
    """A session whose first GET is on its way."""
    one = BatchSession(random=lambda: jitter, now=0.0, patience=Patience(**limits))
    assert calls(one) == [Retrieve()]
    return one


def got(*answers: Answer, **limits: Any) -> BatchSession:
    """A session whose GETs were answered with these, one every two seconds."""
    one, now = session(**limits), 0.0
    for place, said in enumerate(answers):
        if place:
            now = wait(one, now)
            assert calls(one) == [Retrieve()]
        one.receive_answer(Retrieve(), said, now=now)
    return one


def wait(one: BatchSession, now: float) -> float:
    action = one.actions()[0]
    assert isinstance(action, Wait), action
    one.receive_time(now=now + action.seconds)
    return now + action.seconds


def over(one: BatchSession) -> BatchOutcome:
    assert one.outcome is not None
    return one.outcome


# To its end


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling", "thinking"])
def test_an_open_batch_is_asked_for_again(status: str) -> None:
    one = got(batch(status))
    assert (one.outcome, one.actions()) == (None, [Wait(2.0), Retrieve()])
    assert one.batch is not None
    assert one.batch.status == status


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
def test_a_batch_that_is_over_is_the_outcome(status: str) -> None:
    one = got(batch("in_progress"), batch(status, output_file_id="file_1"))
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (OutcomeStatus(status), Proof.RETRIEVED, None)
    assert outcome.batch is not None
    assert (outcome.batch.status, outcome.batch.output_file_id) == (status, "file_1")
    assert (outcome.conflicts, outcome.reason, one.actions()) == ((), "", [Finish()])


def test_the_times_do_not_tell_the_status() -> None:
    one = got(batch("cancelling", completed_at=7, finalizing_at=6, output_file_id="file_1"))
    assert one.outcome is None


def test_nothing_that_happens_after_the_end_changes_it() -> None:
    one = got(batch("completed"))
    outcome = one.outcome
    one.receive_answer(Retrieve(), batch("failed"), now=1.0)
    one.receive_failure(Retrieve(), "reset", now=1.0)
    one.receive_notice(now=1.0)
    one.receive_time(now=1000.0)
    assert (one.outcome, calls(one)) == (outcome, [Finish()])
    assert calls(one) == []


# What fails


def test_a_get_that_fails_is_made_again_with_growing_waits() -> None:
    one, now, waits = session(), 0.0, []
    for _ in range(4):
        one.receive_failure(Retrieve(), "timeout", now=now)
        later = wait(one, now)
        assert calls(one) == [Retrieve()]
        waits.append(later - now)
        now = later
    assert waits == [pytest.approx(seconds) for seconds in (0.25, 0.5, 1.0, 2.0)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(answer(404, b"<html>", content_type="text/html"), "the batch was refused with 404", id="a page"),
        pytest.param(answer(200, b"<html>"), "not a Batch: ", id="a page of HTML"),
    ],
)
def test_gets_that_fail_so_often_in_a_row_are_given_up(said: Answer, reason: str) -> None:
    one = got(*[said] * 2, max_attempts=3)
    assert one.outcome is None
    now = wait(one, 0.0)
    one.receive_answer(Retrieve(), said, now=now)
    assert (over(one).status, over(one).proof, over(one).batch) == (OutcomeStatus.LOST, None, None)
    assert over(one).reason.startswith(reason)


def test_gets_that_fail_now_and_then_are_not_given_up() -> None:
    one = got(*[BUSY, batch("in_progress")] * 20, max_attempts=2)
    assert (one.outcome, one.actions()) == (None, [Wait(2.0), Retrieve()])


def test_a_body_without_a_status_is_no_batch_that_runs() -> None:
    one = got(*[answer(200, {"id": "batch_1"})] * 3, max_attempts=3)
    assert over(one).status is OutcomeStatus.LOST


def test_retry_after_is_obeyed() -> None:
    one = got(answer(503, None, retry_after="7"))
    assert one.actions() == [Wait(7.0), Retrieve()]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_for_good_is_met_once(status: int) -> None:
    one = got(batch("in_progress"), refused(status, "not this one"))
    outcome = over(one)
    assert (outcome.status, outcome.reason) == (
        OutcomeStatus.LOST,
        f"the batch was refused with {status}: not this one",
    )
    assert outcome.batch is not None  # what was seen of it is held


def test_a_refusal_without_words_shows_nothing_of_its_body() -> None:
    assert over(got(answer(404, b"gone"))).reason == "the batch was refused with 404: no reason given"


@pytest.mark.parametrize("said", [BUSY, None], ids=["busy", "refused"])
def test_a_batch_outlasts_an_outage(said: Answer | None) -> None:
    one, now = got(batch("in_progress"), max_attempts=2), 0.0
    while now < 300.0:
        now = wait(one, now)
        assert calls(one) == [Retrieve()]
        if said is None:
            one.receive_failure(Retrieve(), "the connection was refused", now=now)
        else:
            one.receive_answer(Retrieve(), said, now=now)
        assert one.outcome is None
    now = wait(one, now)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), batch("completed"), now=now)
    assert over(one).status is OutcomeStatus.COMPLETED


def test_an_outage_that_does_not_end_stalls_a_batch() -> None:
    one, now = got(batch("in_progress"), stalled_seconds=20.0), 0.0
    while one.outcome is None:
        now = wait(one, now)
        if calls(one) == [Retrieve()]:
            one.receive_failure(Retrieve(), "the connection was refused", now=now)
    assert (over(one).status, over(one).reason) == ("lost", "nothing new came for 20 s: the connection was refused")
    assert now == pytest.approx(22.0)


def test_after_the_total_time_it_is_lost() -> None:
    one = got(batch("in_progress"), total_seconds=1.0)
    one.receive_time(now=1.0)
    assert (over(one).status, over(one).reason) == (OutcomeStatus.LOST, "it did not end within 1 s")


def test_a_notice_ends_the_wait_for_the_next_get() -> None:
    one = got(batch("in_progress"))
    one.receive_notice(now=0.5)
    one.receive_notice(now=0.6)
    assert one.actions() == [Retrieve()]


def test_a_batch_has_no_stream_that_could_fail_or_be_refused() -> None:
    one = session()
    with pytest.raises(UsageError, match="a batch has no stream"):
        one.receive_answer(Connect(), batch("completed"), now=0.0)
    with pytest.raises(UsageError, match="a batch has no stream"):
        one.receive_failure(Connect(), "reset", now=0.0)


# Cancel


def cancelled(*answers: Answer, **limits: Any) -> BatchSession:
    one = got(*answers or [batch("in_progress")], **limits)
    one.receive_cancel(now=0.0)
    assert calls(one) == [Cancel()]
    return one


def test_a_cancel_is_sent_once() -> None:
    one = cancelled()
    one.receive_cancel(now=0.1)
    assert (calls(one), one.cancel_result) == ([], None)


def test_a_batch_that_is_cancelling_is_asked_for_until_it_is_cancelled() -> None:
    one, now = cancelled(), 0.0
    one.receive_answer(Cancel(), batch("cancelling"), now=now)
    for _ in range(60):
        now = wait(one, now)
        assert calls(one) == [Retrieve()]
        one.receive_answer(Retrieve(), batch("cancelling"), now=now)
    now = wait(one, now)
    one.receive_answer(Retrieve(), batch("cancelled"), now=now)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        OutcomeStatus.CANCELLED,
        Proof.RETRIEVED,
        CancelResult.CANCEL_WON,
    )
    assert outcome.batch is not None
    assert outcome.batch.status == "cancelled"


@pytest.mark.parametrize(
    ("status", "result"),
    [
        pytest.param("completed", CancelResult.ALREADY_TERMINAL, id="completed"),
        pytest.param("expired", CancelResult.ALREADY_TERMINAL, id="expired"),
    ],
)
def test_an_answer_that_holds_the_end_is_the_end(status: str, result: CancelResult) -> None:
    one = cancelled()
    one.receive_answer(Cancel(), batch(status), now=0.1)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (OutcomeStatus(status), Proof.CANCEL_ANSWER, result)
    assert outcome.batch is not None
    assert outcome.batch.status == status


def test_an_answer_that_says_cancelled_at_once_is_checked_by_one_get() -> None:
    one = cancelled()
    one.receive_answer(Cancel(), batch("cancelled"), now=0.1)
    assert one.outcome is None
    now = wait(one, 0.1)
    one.receive_answer(Retrieve(), batch("cancelled"), now=now)
    assert (over(one).status, over(one).proof, over(one).cancel) == (
        OutcomeStatus.CANCELLED,
        Proof.RETRIEVED,
        CancelResult.CANCEL_WON,
    )


def test_a_batch_that_completes_while_it_is_cancelling_completed() -> None:
    one = cancelled()
    one.receive_answer(Cancel(), batch("cancelling"), now=0.0)
    now = wait(one, 0.0)
    one.receive_answer(Retrieve(), batch("completed"), now=now)
    assert (over(one).status, over(one).cancel) == (OutcomeStatus.COMPLETED, CancelResult.COMPLETION_WON)


def test_a_refused_cancel_is_proven_by_a_get() -> None:
    one = cancelled()
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a batch with status 'completed'"), now=0.0)
    now = wait(one, 0.0)
    one.receive_answer(Retrieve(), batch("completed"), now=now)
    assert (over(one).status, over(one).cancel) == (OutcomeStatus.COMPLETED, CancelResult.ALREADY_TERMINAL)


def test_a_cancel_without_an_answer_is_sent_again() -> None:
    one = cancelled()
    one.receive_failure(Cancel(), "timeout", now=0.0)
    assert one.actions() == [Wait(0.25), Cancel()]


def test_a_cancel_may_take_minutes_and_is_then_unconfirmed_so_far() -> None:
    one, now = cancelled(), 0.0
    one.receive_answer(Cancel(), batch("cancelling"), now=now)
    while one.cancel_result is None:
        now = wait(one, now)
        if Retrieve() in calls(one):
            one.receive_answer(Retrieve(), batch("cancelling"), now=now)
    assert (one.cancel_result, now, one.outcome) == (CancelResult.UNCONFIRMED, 900.0, None)
    one.receive_notice(now=now)
    calls(one)
    one.receive_answer(Retrieve(), batch("cancelled"), now=now)
    assert over(one).cancel is CancelResult.CANCEL_WON


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        pytest.param([batch("completed")], CancelResult.ALREADY_TERMINAL, id="completed"),
        pytest.param([refused(404)], CancelResult.UNCONFIRMED, id="lost"),
    ],
)
def test_a_cancel_after_the_end_is_not_sent(answers: list[Answer], result: CancelResult) -> None:
    one = got(*answers)
    one.actions()
    one.receive_cancel(now=1.0)
    assert (one.actions(), one.cancel_result) == ([], result)


def test_a_batch_that_is_lost_while_a_cancel_is_on_its_way_waits_for_its_answer() -> None:
    one = session()
    one.receive_cancel(now=0.0)
    one.receive_answer(Retrieve(), refused(404), now=0.1)
    assert one.outcome is None
    one.receive_answer(Cancel(), batch("cancelled"), now=0.2)
    assert (over(one).status, over(one).proof) == (OutcomeStatus.CANCELLED, Proof.CANCEL_ANSWER)


def test_a_batch_that_was_lost_while_a_cancel_is_on_its_way_is_found_again_by_a_get_that_is_answered() -> None:
    one = session(max_attempts=1)
    one.receive_cancel(now=0.0)
    one.receive_answer(Retrieve(), answer(200, b"<html>"), now=0.1)
    one.receive_failure(Cancel(), "the connection was lost", now=0.2)
    one.receive_answer(Retrieve(), batch("in_progress"), now=0.3)
    one.receive_time(now=1000.0)
    assert (one.cancel_result, one.outcome) == (CancelResult.UNCONFIRMED, None)
    one.receive_answer(Retrieve(), batch("completed"), now=1001.0)
    assert (over(one).status, over(one).proof) == (OutcomeStatus.COMPLETED, Proof.RETRIEVED)


def test_a_cancel_is_sent_again_when_its_time_has_come() -> None:
    one = cancelled()
    one.receive_failure(Cancel(), "timeout", now=0.0)
    one.receive_time(now=0.25)
    assert calls(one) == [Cancel()]


def test_a_cancel_that_only_a_get_can_prove_makes_no_second_one_beside_it() -> None:
    one = session()
    one.receive_cancel(now=0.0)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), batch("cancelling"), now=0.1)
    assert calls(one) == []
    one.receive_answer(Retrieve(), batch("cancelling"), now=0.2)
    assert one.actions() == [Wait(2.0), Retrieve()]


def test_a_batch_that_is_lost_without_an_answer_to_its_cancel_is_lost_when_the_time_is_up() -> None:
    one = session()
    one.receive_cancel(now=0.0)
    one.receive_answer(Retrieve(), refused(404), now=0.1)
    one.receive_time(now=900.0)
    assert (over(one).status, over(one).cancel) == (OutcomeStatus.LOST, CancelResult.UNCONFIRMED)


def test_the_total_time_is_not_longer_for_a_cancel() -> None:
    one = cancelled(total_seconds=9.0)
    one.receive_time(now=9.0)
    assert (over(one).status, over(one).reason) == (OutcomeStatus.LOST, "it did not end within 9 s")
    assert over(one).cancel is CancelResult.UNCONFIRMED
