"""Ending: the final Response, whether its events were all seen, and the words of a bad end."""

import json
from typing import Any

import pytest

from streamfold.session import Cancel, CancelResult, Connect, Finish, OutcomeStatus, Proof, Retrieve, Wait
from tests.session.made import (
    HELD,
    OLD,
    Heard,
    added,
    answer,
    body,
    calls,
    cancelled,
    created,
    delta,
    drop,
    ended,
    frame,
    next_call,
    over,
    patience,
    reading,
    refuse_all,
    refused,
    reopen,
    session,
)

# Text that was never seen


def test_a_terminal_response_with_more_text_than_its_events_is_compacted_after_the_last_of_them() -> None:
    outcome = over(reading(created(0), added(1), delta(2, "Hel"), ended(3, text="Hello")))
    assert (outcome.is_compacted, outcome.compacted_after, outcome.state.output_text) == (True, 2, "Hello")


def test_a_terminal_response_with_the_text_of_its_events_is_whole() -> None:
    outcome = over(reading(created(0), added(1), delta(2, "Hello"), ended(3, text="Hello")))
    assert (outcome.is_compacted, outcome.compacted_after) == (False, None)


def test_text_before_the_number_asked_for_is_no_compaction() -> None:
    one = session(starting_after=2)
    reopen(one, delta(3, "lo"), ended(4, text="Hello"), now=0.0)
    assert over(one).is_compacted is False


def retrieved(one: Heard, text: str) -> Heard:
    """A session whose stream is refused, and whose GET shows the end with this text."""
    drop(one)
    call, now = next_call(one, now=1.0)
    one.receive_answer(call, OLD, now=now)  # type: ignore[arg-type]
    call, now = next_call(one, now=now)
    assert call == Retrieve()
    one.receive_answer(call, answer(200, body("completed", text)), now=now)
    return one


def test_a_response_from_outside_the_stream_is_the_final_one_and_compacted_if_it_says_more() -> None:
    outcome = over(retrieved(reading(*HELD), "held and more"))
    assert (outcome.proof, outcome.state.output_text) == (Proof.RETRIEVED, "held and more")
    assert (outcome.is_compacted, outcome.compacted_after) == (True, 2)
    assert over(retrieved(reading(*HELD), "held")).is_compacted is False


def test_a_response_from_outside_is_not_the_final_one_unless_the_end_is_proven() -> None:
    one = reading(*HELD, ended(9, text="held and more"))
    one.receive_leave(now=1.0, reason="gone")
    assert (over(one).status, over(one).state.output_text, over(one).reason) == ("abandoned", "held", "gone")


def test_an_end_from_after_a_gap_is_accepted_when_nothing_else_can_be_learned() -> None:
    one = reading(*HELD, ended(9, "failed", "held and more"))
    drop(one)
    refuse_all(one, refused(404), now=1.0)
    assert (over(one).status, over(one).proof, over(one).compacted_after) == ("failed", Proof.TERMINAL_EVENT, 2)


# An `error` after the end

FAILED = ended(3, "failed", "held")


def error(message: str, number: int | None = 4) -> bytes:
    return frame("error", number, error={"message": message})


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param([FAILED + error("filtered")], id="in the same chunk"),
        pytest.param([FAILED, error("filtered")], id="in the next chunk"),
        pytest.param([FAILED, error("filtered", None)], id="without a number"),
        pytest.param([FAILED, error("no"), delta(5), error("filtered", 6)], id="the last one counts"),
        pytest.param([FAILED, b'{"error":{"message":"filtered"}}'], id="in a block that is not finished"),
        pytest.param([FAILED, error("no", 3), error("filtered", 99)], id="a number that means nothing"),
    ],
)
def test_an_error_after_a_failure_says_why(rest: list[bytes]) -> None:
    one = reading(*HELD, *rest)
    assert one.outcome is None
    one.receive_eof(now=0.1)
    assert (over(one).status, over(one).proof, over(one).reason) == ("failed", Proof.TERMINAL_EVENT, "filtered")
    assert one.actions() == [Finish()]


def test_an_error_after_a_failure_is_waited_for_only_a_moment() -> None:
    one = reading(*HELD)
    one.receive_chunk(FAILED, now=1.0)
    assert one.actions() == [Wait(0.5)]
    one.receive_time(now=1.5)
    assert (over(one).status, over(one).reason) == ("failed", "")


def test_nothing_is_waited_for_after_any_other_end() -> None:
    for status in ("completed", "incomplete", "cancelled"):
        assert over(reading(*HELD, ended(3, status, "held"))).status == status


def test_whatever_happens_after_a_failure_it_has_failed() -> None:
    ways = {
        "broken": lambda one: one.receive_failure(Connect(), "reset", now=0.1),
        "left": lambda one: one.receive_leave(now=0.1),
        "not read": lambda one: one.receive_stopped_reading(now=0.1),
        "out of time": lambda one: one.receive_time(now=0.3),
    }
    for way, happen in ways.items():
        one = session(patience=patience(total_seconds=0.2))
        one.receive_connected(now=0.0)
        one.receive_chunk(b"".join(HELD) + FAILED, now=0.0)
        happen(one)
        assert (over(one).status, over(one).cancel) == ("failed", None), way


def test_a_cancel_after_a_failure_comes_too_late() -> None:
    one = reading(*HELD, FAILED)
    one.receive_cancel(now=0.1)
    assert (over(one).status, over(one).cancel) == ("failed", CancelResult.ALREADY_TERMINAL)
    assert calls(one) == [Finish()]


# The words of a bad end


@pytest.mark.parametrize("is_broken", [True, False])
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b'{"error":{"message":"engine died"}}', id="no frame at all"),
        pytest.param(b'data: {"error":{"message":"engine died"}}', id="no blank line"),
        pytest.param(b'event: error\ndata: {"type":"error","message":"engine died"}\n', id="one line end"),
    ],
)
def test_an_error_in_a_block_that_is_not_finished_says_why(end: bytes, is_broken: bool) -> None:
    one = reading(*HELD, end)
    if is_broken:
        drop(one)
    else:
        one.receive_eof(now=1.0)
    refuse_all(one, refused(404, "no"), now=1.0)
    assert over(one).reason == "engine died; the Response was refused with 404: no"
    assert over(one).state.output_text == "held"


def test_the_streams_own_words_come_before_the_reason_of_a_loss() -> None:
    one = reading(*HELD, error("Too many tokens a minute", 3))
    one.receive_eof(now=1.0)
    refuse_all(one, refused(404, "no such response"), now=1.0)
    assert over(one).status is OutcomeStatus.LOST
    assert over(one).reason == ("Too many tokens a minute; the Response was refused with 404: no such response")


def test_an_error_without_a_response_says_why_even_without_an_id() -> None:
    one = session(None, is_connected=True)
    one.receive_chunk(error("engine died", None), now=0.0)
    one.receive_eof(now=0.0)
    assert over(one).reason == (
        "engine died; the stream ended before its terminal event; the stream never said the response's id"
    )


def test_the_words_of_the_response_are_the_reason_too() -> None:
    one = reading(*HELD)
    one.receive_chunk(frame("response.failed", 3, response=body("failed", error={"message": "It broke."})), now=0.0)
    one.receive_eof(now=0.0)
    assert over(one).reason == "It broke."
    details = {"reason": "max_output_tokens"}
    one.receive_chunk(b"", now=0.0)
    limited = reading(*HELD, frame("response.incomplete", 3, response=body("incomplete", incomplete_details=details)))
    assert over(limited).reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("status", "fields", "reason", "code"),
    [
        ("failed", {"error": {"code": "server_error", "message": "It broke."}}, "It broke.", "server_error"),
        ("failed", {"error": {"code": 7}}, "", "7"),
        ("failed", {"error": {"message": "It broke."}}, "It broke.", None),
        ("failed", {}, "", None),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens", None),
        ("cancelled", {}, "", None),
    ],
)
def test_an_outcome_has_what_the_response_said(
    status: str, fields: dict[str, Any], reason: str, code: str | None
) -> None:
    one = reading(*HELD, frame(f"response.{status}", 3, response=body(status, **fields)))
    one.receive_eof(now=0.0)
    assert (over(one).status, over(one).reason, over(one).code) == (status, reason, code)


def test_the_code_of_an_error_event_comes_first() -> None:
    failed = frame("response.failed", 4, response=body("failed", error={"code": "late", "message": "It broke."}))
    one = reading(*HELD, frame("error", 3, code="early", message="Stop."), failed)
    one.receive_eof(now=0.0)
    assert (over(one).reason, over(one).code) == ("Stop.", "early")


def test_a_completed_response_has_no_reason_whatever_the_stream_said() -> None:
    outcome = over(reading(*HELD, error("hm", 3), ended(4, text="held")))
    assert (outcome.status, outcome.reason, outcome.code) == ("completed", "", None)
    assert outcome.state.error is not None


def test_what_must_not_be_shown_is_taken_out_of_every_reason() -> None:
    one = session(hide=lambda text: text.replace("secret", "[hidden]"))
    one.receive_connected(now=0.0)
    one.receive_chunk(b"".join(HELD) + error("the secret failed", 3), now=0.0)
    drop(one)
    refuse_all(one, refused(404, "no secret"), now=1.0)
    reasons = [over(one).reason, *(each.reason for each in one.repairs)]
    assert "secret" not in "".join(reasons)
    assert over(one).reason == "the [hidden] failed; the Response was refused with 404: no [hidden]"


def test_neither_a_code_nor_an_id_shows_it_nor_words_that_are_cut_inside_it() -> None:
    one = session(None, hide=lambda text: text.replace("secret", "[hidden]"))
    one.receive_connected(now=0.0)
    one.receive_chunk(created(0, id="resp_secret"), now=0.0)
    one.receive_chunk(frame("error", 1, code="no secret", message="x" * 294 + "secret" * 2), now=0.0)
    one.receive_chunk(frame("response.failed", 2, response=body("failed", id="resp_secret")), now=0.0)
    one.receive_eof(now=0.0)
    outcome = over(one)
    assert (outcome.code, outcome.response_id, one.response_id) == ("no [hidden]", "resp_[hidden]", "resp_secret")
    assert "sec" not in outcome.reason


# Verdicts on a cancel


def test_a_loss_waits_for_the_answer_to_a_cancel() -> None:
    one = cancelled(*HELD)
    drop(one, now=1.1)
    _, now = next_call(one, now=1.1)
    one.receive_answer(Connect(2), refused(401, "no"), now=now)
    assert one.outcome is None
    one.receive_time(now=40.0)
    assert (over(one).status, over(one).cancel) == ("lost", CancelResult.UNCONFIRMED)


def test_a_stall_ends_it_and_its_cancel_is_not_sent_again() -> None:
    one, now = cancelled(*HELD, jitter=0.5, patience=patience(stalled_seconds=5.0)), 1.1
    drop(one, now=now)
    one.receive_failure(Cancel(), "the connection was refused", now=now)
    while one.outcome is None:
        for each in one.actions():
            if isinstance(each, Wait):
                now += each.seconds
                one.receive_time(now=now)
            elif isinstance(each, Connect | Retrieve | Cancel):
                one.receive_failure(each, "the connection was refused", now=now)
    assert (over(one).status, over(one).cancel) == ("lost", CancelResult.UNCONFIRMED)
    assert over(one).reason.startswith("nothing new came for 5 s: ")
    assert now <= 1.1 + 5.0 + 8.0


def test_dropped_events_are_in_the_outcome() -> None:
    duplicates = over(reading(*HELD, HELD[2], HELD[2], ended(3, text="held"))).duplicates
    assert (duplicates.count, duplicates.differed) == (2, False)


# Ends from elsewhere, and with a cancel


def final(status: str, text: str) -> bytes:
    return json.dumps(body(status, text)).encode()


def test_the_final_response_of_another_process_ends_it() -> None:
    one = reading(*HELD)
    one.receive_final(final("in_progress", "held"), now=1.0)
    assert one.outcome is None
    one.receive_final(final("completed", "held on"), now=1.0)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.state.output_text) == ("completed", Proof.RETRIEVED, "held on")
    one.receive_final(final("failed", "x"), now=2.0)
    assert one.outcome is outcome


def test_a_terminal_event_is_a_witness_of_a_cancel() -> None:
    one = cancelled(*HELD)
    one.receive_chunk(ended(3, text="held"), now=1.1)
    assert one.outcome is None
    one.receive_answer(Cancel(), answer(200, body("completed", "held")), now=1.2)
    assert (over(one).status, over(one).proof) == ("completed", Proof.TERMINAL_EVENT)


def test_a_foreground_response_whose_cancel_is_refused_is_left() -> None:
    one = cancelled(created(0, background=False), added(1), delta(2, "held"))
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a synchronous response."), now=1.1)
    assert one.is_reading is False
    call, now = next_call(one, now=1.1)
    assert call == Retrieve()
    one.receive_answer(Retrieve(), answer(200, body("in_progress", "held", background=False)), now=now)
    one.receive_time(now=now + 60.0)
    assert (over(one).status, over(one).cancel) == ("abandoned", CancelResult.LEFT)
    assert "may continue" in over(one).reason


def test_a_get_after_the_terminal_event_is_compared_with_nothing() -> None:
    one = cancelled(*HELD)
    one.receive_chunk(ended(3, text="held"), now=1.1)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.2)
    while one.outcome is None:
        call, now = next_call(one, now=1.2)
        if call != Retrieve():
            break
        one.receive_answer(Retrieve(), answer(200, body("completed", "held and more")), now=now)
    assert over(one).is_compacted is False


def test_a_loss_whose_cancel_was_proven_is_none() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.0)
    drop(one, now=1.1)
    while one.outcome is None:
        call, now = next_call(one, now=1.1)
        said = refused(401, "no")
        if isinstance(call, Finish):
            break
        one.receive_answer(call, said, now=now)  # type: ignore[arg-type]
    assert (over(one).status, over(one).proof) == ("cancelled", Proof.CANCEL_ANSWER)
