"""Session: the cancel of a foreground response, which is confirmed soon, or whose connection is closed."""

import pytest

from streamfold.session import Answer, Cancel, CancelResult, Connect, Finish, Proof, Retrieve, Session, Wait
from tests.session.made import (
    BUSY,
    HTML,
    added,
    answer,
    body,
    calls,
    cancelled,
    check,
    created,
    delta,
    ended,
    next_call,
    over,
    reading,
    refused,
    session,
)

IN_FOREGROUND = (created(0, background=False), added(1), delta(2, "held"))
# What the cancel of a foreground response is answered with: OpenAI, Azure, ogx, fastresponses, aimock, and none of them.
HOPELESS = {
    "400": refused(400, "Cannot cancel a synchronous response."),
    "404": refused(404),
    "409": answer(409, {"detail": "only background responses can be cancelled"}),
    "400 in other words": refused(400, "Only background responses can be cancelled."),
    "405": refused(405, "Method Not Allowed"),
    "501": refused(501),
    "403": refused(403),
    "503": BUSY,
    "lost": None,
}


def refuse_cancel(one: Session, said: Answer | None, *, now: float) -> None:
    if said is None:
        one.receive_failure(Cancel(), "the connection was reset", now=now)
    else:
        one.receive_answer(Cancel(), said, now=now)


@pytest.mark.parametrize("said", HOPELESS.values(), ids=HOPELESS)
@pytest.mark.parametrize(
    ("got", "status", "result"),
    [
        ("cancelled", "cancelled", CancelResult.CANCEL_WON),
        ("completed", "completed", CancelResult.COMPLETION_WON),
        ("in_progress", "abandoned", CancelResult.LEFT),
    ],
)
def test_a_foreground_response_whose_cancel_is_refused_is_left_at_once_and_one_get_asks(
    said: Answer | None, got: str, status: str, result: CancelResult
) -> None:
    one = cancelled(*IN_FOREGROUND)
    refuse_cancel(one, said, now=1.1)
    assert (one.wants_stream, one.outcome, calls(one)) == (False, None, [])
    assert check(one, got, now=1.1) == pytest.approx(4.1)
    outcome = over(one)
    assert (outcome.status, outcome.cancel, outcome.state.output_text) == (status, result, "held")
    assert (outcome.proof is None, "billed" in outcome.reason) == (status == "abandoned",) * 2
    assert (one.repairs, one.actions()) == ((), [Finish()])


@pytest.mark.parametrize(
    "said", [refused(404), refused(401), BUSY, HTML, None], ids=["404", "401", "503", "html", "lost"]
)
def test_a_foreground_response_that_was_left_and_cannot_be_asked_for_is_only_left(said: Answer | None) -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_answer(Cancel(), refused(404), now=1.1)
    call, now = next_call(one, now=1.1)
    assert call == Retrieve()
    if said is None:
        one.receive_failure(Retrieve(), "the connection was reset", now=now)
    else:
        one.receive_answer(Retrieve(), said, now=now)
    assert (over(one).status, over(one).cancel, one.repairs) == ("abandoned", CancelResult.LEFT, ())


def test_the_get_after_leaving_is_not_waited_for_without_end() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_answer(Cancel(), refused(404), now=1.0)
    assert next_call(one, now=1.0) == (Retrieve(), 4.0)
    assert next_call(one, now=4.0) == (Finish(), 9.0)
    assert over(one).cancel is CancelResult.LEFT


def test_a_foreground_response_whose_cancel_is_not_answered_is_left_after_the_grace() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_time(now=5.9)
    assert one.is_reading
    one.receive_time(now=6.0)
    assert not one.wants_stream
    check(one, "in_progress", now=6.0)
    assert over(one).cancel is CancelResult.LEFT


def test_what_was_asked_for_says_that_it_runs_in_the_foreground_if_its_response_does_not() -> None:
    one = session(None, is_connected=True, is_background=False)
    one.receive_chunk(created(0, background=None), now=0.0)
    one.receive_cancel(now=1.0)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), refused(404), now=1.1)
    assert not one.wants_stream


def test_a_foreground_response_that_the_gateway_cancels_is_cancelled() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_answer(Cancel(), answer(200, body("cancelled", background=False)), now=1.1)
    one.receive_chunk(ended(3, "cancelled"), now=1.2)
    assert (over(one).proof, over(one).cancel) == (Proof.TERMINAL_EVENT, CancelResult.CANCEL_WON)


def test_a_foreground_response_that_completes_meanwhile_was_not_already_terminal() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_chunk(ended(3, text="held"), now=1.1)
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a synchronous response."), now=1.2)
    assert (over(one).status, over(one).cancel) == ("completed", CancelResult.COMPLETION_WON)


@pytest.mark.parametrize(
    "said",
    [refused(400, "Cannot cancel a completed response."), answer(200, body("completed", "held"))],
    ids=["400", "fastresponses: 200"],
)
def test_a_foreground_response_that_had_ended_is_read_to_its_end(said: Answer) -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_answer(Cancel(), said, now=1.1)
    assert one.is_reading
    one.receive_chunk(ended(3, text="held"), now=1.2)
    assert (over(one).proof, over(one).cancel) == (Proof.TERMINAL_EVENT, CancelResult.ALREADY_TERMINAL)


def test_a_foreground_response_without_an_id_is_left_after_the_grace() -> None:
    one = session(None, is_connected=True, is_background=False)
    one.receive_cancel(now=0.0)
    assert one.actions() == [Wait(5.0)]
    one.receive_time(now=5.0)
    assert (over(one).status, over(one).cancel, one.actions()) == ("abandoned", CancelResult.LEFT, [Finish()])


def test_a_caller_who_reads_a_foreground_response_no_further_has_left_it() -> None:
    one = reading(*IN_FOREGROUND)
    one.receive_cancel(now=1.0)
    one.receive_stopped_reading(now=1.0)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), refused(404), now=1.1)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), answer(200, body("cancelled")), now=1.2)
    assert (over(one).status, over(one).cancel) == ("cancelled", CancelResult.CANCEL_WON)


def test_a_foreground_stream_that_ends_after_its_cancel_is_not_opened_again() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_answer(Cancel(), answer(200, body(background=False)), now=1.1)
    one.receive_eof(now=1.2)
    assert (one.repairs, calls(one)) == ((), [])
    check(one, "cancelled", now=1.2)
    assert over(one).cancel is CancelResult.CANCEL_WON


def test_a_connection_that_is_answered_after_a_foreground_response_was_left_is_not_read() -> None:
    one = session(is_background=False)
    one.actions()
    one.receive_cancel(now=0.0)
    one.receive_answer(Cancel(), refused(404), now=0.1)
    one.receive_connected(now=0.2)
    assert (one.is_reading, one.wants_stream) == (False, False)


def test_to_leave_while_a_foreground_cancel_is_on_its_way_is_to_leave_it() -> None:
    one = cancelled(*IN_FOREGROUND)
    one.receive_leave(now=2.0)
    assert (over(one).status, over(one).cancel) == ("abandoned", CancelResult.LEFT)


def test_a_foreground_response_that_is_polled_is_not_opened_again_after_its_cancel() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body(background=False)), now=0.0)
    one.receive_cancel(now=1.0)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), refused(404), now=1.1)
    assert next_call(one, now=1.1) == (Retrieve(), 4.1)
    one.receive_answer(Retrieve(), answer(200, body(background=False)), now=4.1)
    assert over(one).cancel is CancelResult.LEFT


def test_a_get_that_was_on_its_way_when_a_foreground_response_was_left_does_not_count() -> None:
    one = session(is_background=False)
    one.actions()
    one.receive_answer(Connect(None), answer(200, body(background=False)), now=0.0)
    _, now = next_call(one, now=0.0)
    one.receive_cancel(now=now)
    assert calls(one) == [Cancel()]
    one.receive_answer(Cancel(), refused(404), now=now)
    one.receive_answer(Retrieve(), answer(200, body(background=False)), now=now)
    assert (one.outcome, next_call(one, now=now)) == (None, (Retrieve(), now + 3.0))
