"""Session: a cancel, from the wish to its proof. Every order of its facts is in test_cancel_orders.py."""

from typing import Any

import pytest

from streamfold.session import (
    Answer,
    Cancel,
    CancelResult,
    Connect,
    Finish,
    OutcomeStatus,
    Proof,
    Retrieve,
    Wait,
)
from tests.session.made import (
    BUSY,
    HELD,
    HTML,
    RESUME,
    added,
    answer,
    body,
    calls,
    cancelled,
    check,
    created,
    delta,
    drop,
    ended,
    kinds,
    next_call,
    numbers,
    over,
    patience,
    reading,
    refuse_all,
    refused,
    reopen,
    session,
)


def test_a_cancel_is_sent_once_and_the_stream_is_read_on() -> None:
    one = cancelled(*HELD)
    one.receive_cancel(now=1.1)
    assert (calls(one), one.is_reading, one.cancel_result) == ([], True, None)
    one.receive_chunk(delta(3, " on"), now=1.2)
    assert one.state.output_text == "held on"


def test_a_cancel_before_the_id_is_known_is_sent_when_it_is() -> None:
    one = session(None, is_connected=True)
    one.receive_cancel(now=0.0)
    assert one.actions() == []
    one.receive_time(now=1000.0)
    one.receive_chunk(created(0), now=1000.0)
    assert (calls(one), one.cancel_result) == ([Cancel()], None)


def test_a_cancel_that_could_never_be_sent_does_not_hold_up_the_end() -> None:
    one = session(None, is_connected=True)
    one.receive_cancel(now=0.0)
    one.receive_chunk(b'data: {"type":"response.completed","response":{"status":"completed"}}\n\n', now=1.0)
    assert one.actions() == [Finish()]
    assert over(one).status is OutcomeStatus.COMPLETED


def test_a_cancel_whose_stream_ends_is_checked_by_a_get_some_seconds_later() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    assert one.outcome is None
    one.receive_eof(now=1.2)
    assert (one.outcome, one.repairs, calls(one)) == (None, (), [])
    assert check(one, "cancelled", now=1.2) == pytest.approx(4.1)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        "cancelled",
        Proof.RETRIEVED,
        CancelResult.CANCEL_WON,
    )
    assert (outcome.state.output_text, outcome.state.status) == ("held", "cancelled")
    assert [anomaly.kind for anomaly in outcome.anomalies] == ["output_kept"]


def test_after_the_grace_the_answer_is_checked_without_the_stream() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=2.0)
    assert one.actions() == [Wait(5.0)]
    assert check(one, "cancelled", now=2.0) == 7.0
    assert (over(one).proof, over(one).cancel) == (Proof.RETRIEVED, CancelResult.CANCEL_WON)


def test_a_cancel_that_the_gateway_takes_back_was_lost_to_the_completion() -> None:
    """LiteLLM's polling: the answer and a GET say cancelled, and seconds later it is completed."""
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body("in_progress", "one")), now=0.0)
    one.receive_cancel(now=1.0)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), answer(200, body("cancelled", "one")), now=1.1)
    now = check(one, "cancelled", "one two", now=1.1)
    assert one.outcome is None
    now = check(one, "cancelled", "one two three", now=now)
    assert one.outcome is None
    check(one, "completed", "one two three four", now=now)
    outcome = over(one)
    assert (outcome.status, outcome.cancel, outcome.state.output_text) == (
        "completed",
        CancelResult.COMPLETION_WON,
        "one two three four",
    )
    assert [str(each) for each in outcome.conflicts] == ["the GET said cancelled, but a later GET said completed"]


def test_a_cancel_that_the_store_does_not_confirm_is_unconfirmed_and_the_stream_is_repaired() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_eof(now=1.2)
    now = check(one, "in_progress", now=1.2)
    assert kinds(one) == [RESUME]
    now = reopen(one, delta(3, " on"), now=now)
    one.receive_time(now=31.0)
    assert (one.cancel_result, one.outcome) == (CancelResult.UNCONFIRMED, None)
    one.receive_chunk(ended(4, text="held on"), now=32.0)
    assert (over(one).status, over(one).cancel, len(over(one).conflicts)) == (
        "completed",
        CancelResult.COMPLETION_WON,
        1,
    )


def test_a_failed_get_does_not_have_a_stream_repaired_whose_end_is_being_checked() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_eof(now=1.2)
    made, now = refuse_all(one, BUSY, now=1.2)
    assert set(made) == {Retrieve()}
    assert (over(one).proof, over(one).cancel, one.repairs, now) == (
        Proof.CANCEL_ANSWER,
        CancelResult.CANCEL_WON,
        (),
        31.0,
    )


def test_a_connection_that_is_due_is_not_made_once_the_end_is_only_to_be_checked() -> None:
    one = cancelled(*HELD)
    one.receive_eof(now=1.1)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    assert check(one, "cancelled", now=1.1) == pytest.approx(4.1)
    assert over(one).cancel is CancelResult.CANCEL_WON


def test_a_get_of_a_response_that_another_client_cancelled_is_checked_too() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body("in_progress", "one")), now=0.0)
    now = check(one, "cancelled", "one", now=0.0)
    assert one.outcome is None
    now = check(one, "cancelled", "one two", now=now)
    check(one, "completed", "one two three", now=now)
    assert (over(one).status, over(one).cancel, len(over(one).conflicts)) == ("completed", None, 1)


def test_a_stream_that_is_answered_late_does_not_deny_a_refusal() -> None:
    one = session()
    one.actions()
    one.receive_cancel(now=0.0)
    one.actions()
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a completed response."), now=0.4)
    one.receive_answer(Connect(None), answer(200, body("in_progress")), now=45.0)
    one.receive_answer(Retrieve(), answer(200, body("completed", "all")), now=45.1)
    assert (over(one).status, over(one).cancel) == ("completed", CancelResult.ALREADY_TERMINAL)


def test_a_final_response_that_another_process_found_needs_no_check() -> None:
    one = reading(*HELD)
    one.receive_final(answer(200, body("in_progress", "held on")).body, now=1.0)
    assert one.outcome is None
    one.receive_final(answer(200, body("cancelled", "held on")).body, now=1.0)
    assert (over(one).status, over(one).proof, one.state.output_text) == ("cancelled", Proof.RETRIEVED, "held on")


def test_the_grace_is_no_longer_than_the_deadline() -> None:
    one = cancelled(*HELD, patience=patience(cancel_seconds=4.0))
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=2.0)
    assert one.actions() == [Wait(3.0)]


def test_a_cancel_whose_caller_reads_no_further_is_settled_by_its_answer() -> None:
    one = reading(created())
    one.receive_cancel(now=1)
    one.receive_stopped_reading(now=1)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=2)
    assert (over(one).status, over(one).cancel) == (OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON)


def test_a_hole_in_a_steady_stream_is_told_to_the_shell() -> None:
    one = reading(created(), added(1), delta(2))
    one.receive_chunk(delta(3), now=1)
    assert one.is_steady
    one.receive_chunk(delta(5), now=1)
    assert (one.is_steady, one.needs_driver) == (False, True)
    assert one.actions() == [Wait(one.patience.gap_seconds)]


def test_a_caller_who_reads_no_further_is_given_no_connection() -> None:
    one = reading(created())
    drop(one)
    one.receive_stopped_reading(now=1)
    assert not any(isinstance(each, Connect) for each in one.actions())


def test_completed_after_a_cancel_that_was_confirmed_is_a_conflict_that_a_get_decides() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(ended(3, text="held"), now=1.2)
    assert one.outcome is None
    check(one, "completed", "held", now=1.2)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        "completed",
        Proof.RETRIEVED,
        CancelResult.COMPLETION_WON,
    )
    assert list(map(str, outcome.conflicts)) == [
        "the answer to the cancel said cancelled, but the stream said completed"
    ]


@pytest.mark.parametrize("said", [refused(401), refused(404)], ids=["unauthorized", "unknown"])
def test_a_get_that_is_refused_for_good_is_not_made_again(said: Answer) -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(ended(3, text="held"), now=1.2)
    call, now = next_call(one, now=1.2)
    assert call == Retrieve()
    one.receive_answer(Retrieve(), said, now=now)
    outcome = over(one)
    assert (outcome.status, outcome.proof, len(outcome.conflicts)) == ("completed", Proof.TERMINAL_EVENT, 1)


def test_a_get_that_is_busy_is_made_again_until_the_deadline() -> None:
    one, now = cancelled(*HELD), 1.2
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(ended(3, text="held"), now=now)
    made, now = refuse_all(one, BUSY, now=now)
    assert set(made) == {Retrieve()}
    assert (over(one).proof, now) == (Proof.TERMINAL_EVENT, 31.0)


def test_an_answer_that_says_it_still_runs_is_followed_by_gets() -> None:
    one, now = cancelled(*HELD), 1.1
    one.receive_answer(Cancel(), answer(200, body()), now=now)
    for _ in range(3):
        call, now = next_call(one, now=now)
        assert call == Retrieve()
        one.receive_answer(Retrieve(), answer(200, body()), now=now)
    now = check(one, "cancelled", now=now)
    check(one, "cancelled", now=now)
    assert (over(one).proof, over(one).cancel, one.repairs) == (Proof.RETRIEVED, CancelResult.CANCEL_WON, ())


def test_a_cancel_without_a_proof_is_unconfirmed_and_the_response_is_followed_on() -> None:
    one = cancelled(*HELD)
    one.receive_time(now=31.0)
    assert (one.cancel_result, one.outcome, one.is_reading) == (CancelResult.UNCONFIRMED, None, True)
    one.receive_chunk(ended(3, text="held"), now=32.0)
    assert (over(one).status, over(one).cancel) == ("completed", CancelResult.COMPLETION_WON)


def test_an_unconfirmed_cancel_may_still_have_won() -> None:
    one = cancelled(*HELD)
    one.receive_time(now=31.0)
    one.receive_chunk(ended(3, "cancelled"), now=32.0)
    assert over(one).cancel is CancelResult.CANCEL_WON


def test_an_answer_after_the_deadline_is_still_listened_to() -> None:
    one = cancelled(*HELD)
    one.receive_time(now=31.0)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=32.0)
    assert (over(one).proof, over(one).cancel) == (Proof.CANCEL_ANSWER, CancelResult.CANCEL_WON)


@pytest.mark.parametrize("said", [answer(200, body()), BUSY], ids=["open", "busy"])
def test_an_unconfirmed_cancel_makes_no_more_gets_beside_the_stream(said: Answer) -> None:
    one, now, asked_at = cancelled(*HELD), 1.1, 0.0
    one.receive_answer(Cancel(), answer(200, body()), now=now)
    while (actions := one.actions()) and now < 100.0:
        if isinstance(actions[0], Wait):
            now += actions[0].seconds
            one.receive_time(now=now)
        else:
            assert actions[0] == Retrieve()
            asked_at = now
            one.receive_answer(Retrieve(), said, now=now)
    assert (one.is_reading, one.cancel_result) == (True, CancelResult.UNCONFIRMED)
    assert 29.0 <= asked_at <= 33.0


def test_a_cancel_that_says_nothing_is_sent_again_so_often() -> None:
    one, now = cancelled(*HELD, jitter=0.5), 1.0
    waits = []
    for _ in range(4):
        one.receive_answer(Cancel(), refused(404), now=now)
        call, later = next_call(one, now=now)
        assert call == Cancel()
        waits.append(later - now)
        now = later
    assert waits == [pytest.approx(seconds) for seconds in (0.25, 0.5, 1.0, 2.0)]
    one.receive_answer(Cancel(), refused(404), now=now)
    assert calls(one) == [Retrieve()]


def test_a_cancel_is_sent_again_when_the_gateway_asks_for_it() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(429, None, retry_after="3"), now=1.0)
    assert next_call(one, now=1.0) == (Cancel(), 4.0)


def test_a_cancel_that_is_not_allowed_is_not_sent_again() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), refused(401), now=1.1)
    assert (one.cancel_result, calls(one), one.is_reading) == (CancelResult.NOT_ALLOWED, [], True)
    one.receive_chunk(ended(3, "cancelled"), now=1.2)
    assert (over(one).status, over(one).proof) == ("cancelled", Proof.TERMINAL_EVENT)
    assert over(one).cancel is CancelResult.NOT_ALLOWED  # by somebody else


def test_a_cancel_that_is_not_allowed_may_have_been_taken_when_it_was_sent_before() -> None:
    one = cancelled(*HELD)
    one.receive_failure(Cancel(), "reset", now=1.1)
    one.receive_time(now=60.0)
    one.receive_answer(Cancel(), refused(401), now=60.0)
    one.receive_chunk(ended(3, "cancelled"), now=60.1)
    assert over(one).cancel is CancelResult.CANCEL_WON


def test_a_refused_cancel_of_a_response_that_is_over_is_proven_by_a_get() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a completed response."), now=1.1)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), answer(200, body("completed", "held")), now=1.2)
    assert (over(one).status, over(one).cancel) == ("completed", CancelResult.ALREADY_TERMINAL)


def test_fastresponses_ends_a_cancelled_stream_without_a_terminal_event() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(b"data: [DONE]\n\n", now=1.2)
    one.receive_eof(now=1.2)
    check(one, "cancelled", now=1.2)
    assert over(one).cancel is CancelResult.CANCEL_WON


def test_litellm_over_azure_ends_a_cancelled_stream_with_a_failed_event_that_holds_failed() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(ended(3, "failed"), now=1.2)
    assert one.outcome is None
    check(one, "cancelled", now=1.2)
    outcome = over(one)
    assert (outcome.status, outcome.cancel, outcome.state.status) == ("cancelled", CancelResult.CANCEL_WON, "cancelled")
    assert [str(each) for each in outcome.conflicts] == [
        "the answer to the cancel said cancelled, but the stream said failed",
        "the stream said failed, but the GET said cancelled",
    ]


def test_a_drop_while_a_cancel_is_on_its_way_is_resumed() -> None:
    one = cancelled(*HELD)
    drop(one, now=1.1)
    now = reopen(one, ended(3, "cancelled"), now=1.1)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=now)
    outcome = over(one)
    assert (outcome.proof, outcome.cancel, kinds(one)) == (Proof.TERMINAL_EVENT, CancelResult.CANCEL_WON, [RESUME])


def test_what_was_lost_while_a_cancel_is_on_its_way_is_found_again_by_a_get_that_is_answered() -> None:
    one = session(patience=patience(max_attempts=1))
    one.receive_answer(Connect(None), answer(200, body("in_progress")), now=0.0)
    one.receive_cancel(now=1.0)
    one.receive_answer(Retrieve(), HTML, now=2.0)
    one.receive_failure(Cancel(), "the connection was lost", now=3.0)
    one.receive_answer(Retrieve(), answer(200, body("in_progress")), now=3.1)
    one.receive_time(now=100.0)
    assert (one.cancel_result, one.outcome) == (CancelResult.UNCONFIRMED, None)
    one.receive_answer(Retrieve(), answer(200, body("completed", "a")), now=101.0)
    assert (over(one).status, over(one).proof) == ("completed", Proof.RETRIEVED)


def test_an_end_before_the_stream_was_resumed_is_not_the_end_that_a_cancel_waits_for() -> None:
    one = cancelled(*HELD)
    one.receive_eof(now=1.1)
    now = reopen(one, delta(3, " on"), now=1.1)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=now)
    assert (one.outcome, one.is_reading) == (None, True)


def test_what_comes_behind_the_terminal_event_while_the_answer_is_awaited_counts_for_nothing() -> None:
    one = cancelled(*HELD)
    one.receive_chunk(ended(3, text="held"), now=1.1)
    one.receive_chunk(ended(4, "failed"), now=1.2)
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a completed response."), now=1.3)
    assert (numbers(one.events()), over(one).status, over(one).anomalies) == ([3], "completed", ())


@pytest.mark.parametrize("how", ["end", "failure", "time"])
def test_no_stream_is_mended_once_its_terminal_event_is_there(how: str) -> None:
    one = cancelled(*HELD)
    one.receive_chunk(ended(4, text="held on"), now=1.1)
    one.receive_chunk(delta(3, " on"), now=1.2)
    {"end": one.receive_eof, "time": one.receive_time}.get(how, lambda **at: drop(one, **at))(now=2.0)
    assert (one.repairs, one.outcome, calls(one)) == ((), None, [])
    one.receive_time(now=7.0)
    assert (over(one).status, over(one).cancel) == ("completed", CancelResult.COMPLETION_WON)


def test_a_proof_in_hand_is_not_lost_with_the_ladder() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    drop(one, now=1.2)
    _, now = next_call(one, now=1.2)
    one.receive_answer(Connect(2), refused(401), now=now)
    assert (over(one).status, over(one).proof) == ("cancelled", Proof.CANCEL_ANSWER)


def test_when_all_else_is_refused_the_answer_to_the_cancel_is_still_waited_for() -> None:
    one = cancelled(*HELD)
    drop(one, now=1.1)
    _, now = next_call(one, now=1.1)
    one.receive_answer(Connect(2), refused(401), now=now)
    assert one.outcome is None
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=2.0)
    one.receive_time(now=7.0)
    assert (over(one).status, over(one).cancel) == ("cancelled", CancelResult.CANCEL_WON)


def test_when_all_else_is_refused_and_the_cancel_is_never_answered_it_is_lost_and_unconfirmed() -> None:
    one = cancelled(*HELD)
    drop(one, now=1.1)
    _, now = next_call(one, now=1.1)
    one.receive_answer(Connect(2), refused(401), now=now)
    one.receive_time(now=31.0)
    assert (over(one).status, over(one).cancel) == ("lost", CancelResult.UNCONFIRMED)
    assert over(one).reason == "the stream was refused with 401: no"


def test_the_total_time_ends_a_cancel_too() -> None:
    one = cancelled(*HELD, patience=patience(total_seconds=9.0))
    one.receive_time(now=9.0)
    assert (over(one).status, over(one).cancel) == ("lost", CancelResult.UNCONFIRMED)


def test_to_leave_while_a_cancel_is_on_its_way_leaves_it_unconfirmed() -> None:
    one = cancelled(*HELD)
    one.receive_leave(now=2.0)
    assert (over(one).status, over(one).cancel) == ("abandoned", CancelResult.UNCONFIRMED)


def test_a_stall_that_ended_is_no_reason_for_an_unconfirmed_cancel_to_end_the_stream() -> None:
    one = reading(*HELD, patience=patience(stalled_seconds=2.0))
    drop(one)
    next_call(one, now=1.0)
    one.receive_cancel(now=2.0)
    one.receive_time(now=3.0)
    assert one.outcome is None
    one.receive_connected(now=3.5)
    one.receive_chunk(delta(3, " on"), now=3.5)
    one.receive_time(now=40.0)
    assert (one.outcome, one.is_reading, one.cancel_result) == (None, True, CancelResult.UNCONFIRMED)


@pytest.mark.parametrize(
    ("end", "result"),
    [
        pytest.param(lambda one: one.receive_chunk(ended(3), now=1.0), CancelResult.ALREADY_TERMINAL, id="completed"),
        pytest.param(lambda one: one.receive_leave(now=1.0), CancelResult.UNCONFIRMED, id="left"),
    ],
)
def test_a_cancel_after_the_end_is_not_sent(end: Any, result: CancelResult) -> None:
    one = reading(*HELD)
    end(one)
    one.actions()
    one.receive_cancel(now=2.0)
    assert (one.actions(), one.cancel_result) == ([], result)


@pytest.mark.parametrize(
    ("tell", "status", "proof", "result"),
    [
        pytest.param(
            lambda one: one.receive_chunk(ended(3), now=1.0),
            "completed",
            Proof.TERMINAL_EVENT,
            CancelResult.COMPLETION_WON,
            id="the terminal event",
        ),
        pytest.param(
            lambda one: one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.0),
            "cancelled",
            Proof.CANCEL_ANSWER,
            CancelResult.CANCEL_WON,
            id="the answer",
        ),
        pytest.param(lambda one: None, "abandoned", None, CancelResult.UNCONFIRMED, id="nothing"),
    ],
)
def test_who_leaves_a_cancel_is_told_what_is_known_of_it(tell: Any, status: str, proof: Any, result: Any) -> None:
    one = cancelled(*HELD)
    tell(one)
    assert one.outcome is None
    one.receive_leave(now=1.5)
    assert (over(one).status, over(one).proof, over(one).cancel) == (status, proof, result)


def test_an_answer_to_a_cancel_that_nobody_asked_for_counts_for_nothing() -> None:
    one = reading(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.0)
    one.receive_failure(Cancel(), "reset", now=1.0)
    assert (one.outcome, one.actions()) == (None, [])


def test_a_get_that_tells_of_the_foreground_has_a_refusal_believed() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), refused(404), now=0.0)
    one.receive_cancel(now=0.0)
    assert next_call(one, now=0.0)[0] == Cancel()
    one.receive_time(now=0.0)
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a synchronous response."), now=0.0)
    assert (one.outcome, calls(one)) == (None, [Retrieve()])
    one.receive_answer(Retrieve(), answer(200, body(background=False)), now=0.1)
    check(one, "in_progress", now=0.1)
    assert (over(one).status, over(one).cancel) == ("abandoned", CancelResult.LEFT)


def test_a_late_answer_to_a_connection_that_was_given_up_counts_for_nothing() -> None:
    one = reading(*HELD)
    drop(one)
    one.receive_answer(Connect(2), refused(401), now=1.1)
    assert (one.outcome, kinds(one)) == (None, [RESUME])


def test_a_stream_whose_id_is_not_known_is_read_on_though_events_are_missing() -> None:
    one = session(None, is_connected=True)
    one.receive_chunk(delta(3) + delta(4), now=0.0)
    assert one.actions() == []
    one.receive_chunk(ended(5, text="all"), now=9.0)
    one.receive_eof(now=9.0)
    assert (over(one).status, over(one).proof, over(one).is_compacted) == ("completed", Proof.TERMINAL_EVENT, True)
