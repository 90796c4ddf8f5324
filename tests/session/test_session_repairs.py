"""Session: what repairs a stream that broke off, in which order, and when it is given up."""

from typing import Any

import pytest

from streamfold.session import (
    Answer,
    Backoff,
    Connect,
    Finish,
    OutcomeStatus,
    Proof,
    Repair,
    Retrieve,
    Wait,
)
from tests.session.made import (
    BUSY,
    HELD,
    HTML,
    OLD,
    REPLAY,
    RESUME,
    RETRIEVE,
    answer,
    body,
    calls,
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

# Rung one: resume


@pytest.mark.parametrize("how", ["end", "failure"])
def test_a_stream_that_breaks_off_is_resumed_after_the_cursor(how: str) -> None:
    one = reading(*HELD)
    if how == "end":
        one.receive_eof(now=1.0)
        reason = "the stream ended before its terminal event"
    else:
        drop(one)
        reason = "the connection was reset"
    assert one.repairs == (Repair(RESUME, reason, after=2, at=1.0),)
    assert one.actions() == [Wait(0.0), Connect(2)]
    one.receive_time(now=1.0)
    assert calls(one) == [Connect(2)]


def test_each_action_is_given_once_but_the_wait_is_told_again() -> None:
    one = reading(*HELD, jitter=0.5)
    drop(one)
    assert one.actions() == one.actions() == [Wait(0.25), Connect(2)]
    one.receive_time(now=1.25)
    assert calls(one) == [Connect(2)]
    assert calls(one) == []


def test_a_wait_is_counted_from_the_last_fact() -> None:
    one = reading(*HELD, jitter=0.5)
    drop(one, now=1.0)
    one.receive_time(now=1.125)
    assert one.actions()[0] == Wait(0.125)


def test_an_end_from_beyond_a_hole_counts_when_nothing_else_can_be_learned() -> None:
    one = reading(*HELD, delta(3, "b"), ended(5, text="held b c"), patience=patience(max_attempts=1))
    one.receive_eof(now=1.0)
    assert one.outcome is None
    refuse_all(one, refused(404), now=1.0)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.state.output_text) == ("completed", Proof.TERMINAL_EVENT, "held b c")
    assert (outcome.is_compacted, outcome.compacted_after) == (True, 3)


def test_a_resumed_stream_repeats_nothing() -> None:
    one = reading(*HELD)
    drop(one)
    reopen(one, delta(1), delta(2), delta(3, " on"), ended(4, text="held on"))
    assert numbers(one.events()) == [3, 4]
    assert (over(one).state.output_text, over(one).is_compacted, kinds(one)) == ("held on", False, [RESUME])


def test_half_a_frame_of_the_old_connection_is_forgotten() -> None:
    one = reading(*HELD)
    one.receive_chunk(delta(3, " on")[:40], now=0.5)
    drop(one)
    reopen(one, delta(3, " on"))
    assert one.state.output_text == "held on"


def test_the_waits_grow_while_nothing_new_comes() -> None:
    one, now, waits = reading(*HELD, jitter=0.5), 1.0, []
    drop(one, now=now)
    for _ in range(3):
        waits.append(one.actions()[0])
        now = reopen(one, now=now)
        drop(one, now=now)
    assert waits == [Wait(pytest.approx(seconds)) for seconds in (0.25, 0.5, 1.0)]


def test_something_new_resets_the_attempts() -> None:
    one, now = reading(*HELD, jitter=0.5), 1.0
    for number in range(3, 20):
        drop(one, now=now)
        assert one.actions()[0] == Wait(pytest.approx(0.25))
        now = reopen(one, delta(number), now=now)
    assert kinds(one) == [RESUME] * 17


def test_two_drops_in_a_row_without_anything_new_are_two_repairs() -> None:
    one = reading(*HELD)
    drop(one)
    now = reopen(one)
    drop(one, now=now)
    reopen(one, delta(3, " on"), ended(4, text="held on"), now=now)
    assert (kinds(one), over(one).state.output_text) == ([RESUME, RESUME], "held on")


def test_a_second_word_of_the_same_drop_is_no_second_repair() -> None:
    one = reading(*HELD)
    drop(one, now=1.0)
    drop(one, now=1.1)
    one.receive_eof(now=1.2)
    assert kinds(one) == [RESUME]


# Rung two: replay


def test_a_resume_that_brings_nothing_so_often_is_followed_by_a_replay() -> None:
    one, now = reading(*HELD, patience=patience(max_attempts=2)), 1.0
    drop(one, now=now)
    for _ in range(2):
        now = reopen(one, now=now)
        drop(one, now=now)
    assert kinds(one) == [RESUME, RESUME, REPLAY]
    assert next_call(one, now=now)[0] == Connect(None)


def test_a_replay_drops_what_is_known() -> None:
    one = reading(*HELD)
    drop(one)
    call, now = next_call(one, now=1.0)
    one.receive_answer(Connect(2), refused(400, "bad cursor", param="starting_after"), now=now)
    reopen(one, *HELD, delta(3, " on"), ended(4, text="held on"), now=now)
    assert (call, kinds(one)) == (Connect(2), [RESUME, REPLAY])
    assert (numbers(one.events()), over(one).state.output_text) == ([3, 4], "held on")


def test_a_stream_that_only_ends_is_asked_twice_and_not_five_times() -> None:
    one, now, asked = reading(*HELD), 1.0, []
    one.receive_eof(now=now)
    while True:
        call, now = next_call(one, now=now)
        asked.append(call)
        if call == Retrieve():
            break
        one.receive_connected(now=now)
        one.receive_eof(now=now)
    assert asked == [Connect(2), Connect(2), Connect(None), Connect(None), Retrieve()]


# Rung three: retrieve


def test_the_get_of_a_response_that_is_over_proves_it() -> None:
    one = reading(*HELD)
    drop(one)
    call, now = next_call(one, now=1.0)
    one.receive_answer(Connect(2), OLD, now=now)
    call, now = next_call(one, now=now)
    one.receive_answer(Retrieve(), answer(200, body("incomplete", "held")), now=now)
    outcome = over(one)
    assert call == Retrieve()
    assert (outcome.status, outcome.proof, outcome.state.output_text) == ("incomplete", Proof.RETRIEVED, "held")
    assert (kinds(one), outcome.is_compacted) == ([RESUME, RETRIEVE], False)


def test_a_response_that_still_runs_is_asked_for_again() -> None:
    one, now, asked = reading(*HELD), 1.0, []
    drop(one)
    _, now = next_call(one, now=now)
    one.receive_answer(Connect(2), OLD, now=now)
    for _ in range(3):
        call, now = next_call(one, now=now)
        asked.append((call, now))
        one.receive_answer(Retrieve(), answer(200, body()), now=now)
    assert asked == [(Retrieve(), 1.0), (Retrieve(), 3.0), (Retrieve(), 5.0)]


def test_a_response_that_runs_is_not_stalled_however_long_it_does() -> None:
    one, now = reading(*HELD), 1.0
    drop(one)
    _, now = next_call(one, now=now)
    one.receive_answer(Connect(2), OLD, now=now)
    while now < 3600:
        _, now = next_call(one, now=now)
        one.receive_answer(Retrieve(), answer(200, body()), now=now)
    assert one.outcome is None


def test_while_it_runs_a_stream_that_was_only_exhausted_gets_another_try() -> None:
    one, now = reading(*HELD, patience=patience(max_attempts=1)), 1.0
    drop(one)
    for call in (Connect(2), Connect(None)):
        asked, now = next_call(one, now=now)
        assert asked == call
        one.receive_answer(call, HTML, now=now)
    assert next_call(one, now=now)[0] == Retrieve()
    one.receive_answer(Retrieve(), answer(200, body()), now=now)
    reopen(one, delta(3, " on"), ended(4, text="held on"), now=now)
    assert (kinds(one), over(one).proof) == ([RESUME, REPLAY, RETRIEVE, RESUME], Proof.TERMINAL_EVENT)
    assert one.repairs[-1].reason == "the Response is in_progress"


def test_gets_that_fail_in_a_row_are_given_up_with_growing_waits() -> None:
    one = session(jitter=0.5)
    one.actions()
    one.receive_answer(Connect(None), refused(404), now=0.0)
    made, now = refuse_all(one, HTML, now=0.0)
    assert made == [Retrieve()] * 5
    assert now == pytest.approx(0.25 + 0.5 + 1.0 + 2.0 + 4.0)
    assert over(one).status is OutcomeStatus.LOST


def test_gets_that_fail_now_and_then_are_not_given_up() -> None:
    one, now = session(), 0.0
    one.actions()
    one.receive_answer(Connect(None), refused(404), now=now)
    for _ in range(20):
        call, now = next_call(one, now=now)
        assert call == Retrieve()
        one.receive_failure(Retrieve(), "timeout", now=now)
        call, now = next_call(one, now=now)
        assert call == Retrieve()
        one.receive_answer(Retrieve(), answer(200, body()), now=now)
    assert one.outcome is None


def test_a_gateway_that_answers_with_the_response_itself_is_polled() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body()), now=0.0)
    assert kinds(one) == [RETRIEVE]
    assert next_call(one, now=0.0) == (Retrieve(), 2.0)
    one.receive_answer(Retrieve(), answer(200, body("completed", "all")), now=2.0)
    assert (over(one).status, over(one).proof) == ("completed", Proof.RETRIEVED)


# Rung four: lost


def test_when_nothing_is_left_it_is_lost_with_all_that_is_held() -> None:
    one = reading(*HELD)
    drop(one)
    made, _ = refuse_all(one, HTML, now=1.0)
    outcome = over(one)
    assert made == [*[Connect(2)] * 5, *[Connect(None)] * 5, *[Retrieve()] * 5]
    assert (outcome.status, outcome.proof, outcome.state.output_text) == (OutcomeStatus.LOST, None, "held")
    assert outcome.reason.startswith("not a Response: ")
    assert [repair.reason for repair in outcome.repairs][:2] == [
        "the connection was reset",
        "expected an event stream, got an HTML page with status 200",
    ]


# Refusals are recognised, and never asked for again


@pytest.mark.parametrize(
    ("said", "made"),
    [
        pytest.param(refused(401), [Connect(2)], id="unauthorized: nothing else is tried"),
        pytest.param(refused(403), [Connect(2)], id="forbidden: nothing else is tried"),
        pytest.param(refused(404), [Connect(2), Retrieve()], id="unknown id: a GET, once"),
        pytest.param(OLD, [Connect(2), Retrieve()], id="window expired: a GET, once"),
        pytest.param(
            refused(400, "not created with background=true"), [Connect(2), Retrieve()], id="not in the background"
        ),
        pytest.param(
            refused(400, "bad", param="starting_after"), [Connect(2), Connect(None), Retrieve()], id="the cursor"
        ),
        pytest.param(refused(400, "no"), [Connect(2), Connect(None), Retrieve()], id="for no known reason"),
    ],
)
def test_a_refusal_for_good_is_met_once(said: Answer, made: list[Any]) -> None:
    one = reading(*HELD)
    drop(one)
    assert refuse_all(one, said, now=1.0)[0] == made
    assert over(one).status is OutcomeStatus.LOST


def test_a_page_of_html_is_not_the_gateways_word() -> None:
    one = reading(*HELD)
    drop(one)
    _, now = next_call(one, now=1.0)
    one.receive_answer(Connect(2), HTML, now=now)
    assert kinds(one) == [RESUME, RESUME]
    reopen(one, delta(3, " on"), now=now)
    assert one.state.output_text == "held on"


def test_without_an_id_a_broken_stream_is_lost() -> None:
    one = session(None, is_connected=True)
    one.receive_failure(Connect(), "reset", now=1.0)
    assert (over(one).status, over(one).reason) == ("lost", "reset; the stream never said the response's id")


# What the gateway asks for


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:00 GMT"}, 60.0),
        ({"retry_after": "100000"}, 120.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00"}, 0.0),
    ],
)
def test_retry_after_is_obeyed(headers: dict[str, str], seconds: float) -> None:
    one = reading(*HELD)
    drop(one)
    _, now = next_call(one, now=1.0)
    one.receive_answer(Connect(2), answer(429, {"error": "Rate limit exceeded"}, **headers), now=now)
    assert next_call(one, now=now) == (Connect(2), now + seconds)


def test_retry_after_is_obeyed_by_a_get() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), refused(404), now=0.0)
    next_call(one, now=0.0)
    one.receive_answer(Retrieve(), answer(503, None, retry_after="7"), now=0.0)
    assert next_call(one, now=0.0) == (Retrieve(), 7.0)


def test_the_streams_own_retry_is_obeyed() -> None:
    one = reading(b"retry: 3000\n\n", *HELD)
    drop(one)
    assert next_call(one, now=1.0) == (Connect(2), 4.0)


def test_the_streams_own_retry_holds_on_later_connections() -> None:
    one = reading(b"retry: 3000\n\n", *HELD)
    drop(one)
    now = reopen(one, delta(3))
    drop(one, now=now)
    assert next_call(one, now=now) == (Connect(3), now + 3.0)


def test_a_comment_is_life_and_nothing_else() -> None:
    one = reading(*HELD)
    one.receive_chunk(b": keep-alive\n\n", now=5.0)
    assert (one.events(), one.actions(), one.state.cursor) == ([], [], 2)


def test_the_waits_are_those_of_the_patience() -> None:
    one = reading(*HELD, jitter=0.5, patience=patience(backoff=Backoff(first_seconds=4.0)))
    drop(one)
    assert one.actions()[0] == Wait(2.0)


# Deadlines


def test_after_the_total_time_it_is_lost() -> None:
    one = session(patience=patience(total_seconds=9.0), now=1.0)
    one.actions()
    one.receive_connected(now=1.5)
    one.receive_chunk(b"".join(HELD), now=2.0)
    assert one.actions() == [Wait(8.0)]
    one.receive_time(now=9.9)
    assert one.outcome is None
    one.receive_time(now=10.0)
    assert (over(one).status, over(one).reason) == ("lost", "it did not end within 9 s")
    assert (over(one).state.output_text, one.actions()) == ("held", [Finish()])


def test_without_a_total_time_an_open_stream_waits_for_nothing() -> None:
    assert reading(*HELD).actions() == []


def test_when_nothing_new_came_for_so_long_while_repairing_it_is_lost() -> None:
    one, now = reading(*HELD, jitter=0.5, patience=patience(stalled_seconds=20.0)), 1.0
    drop(one)
    made, now = refuse_all(one, BUSY, now=now)
    assert {*made} == {Connect(2), Retrieve()}
    assert made.count(Retrieve()) == 1
    assert over(one).reason == "nothing new came for 20 s: the Response was refused with 503: no"
    assert (over(one).state.output_text, now) == ("held", 21.0)


def test_something_new_ends_the_stall() -> None:
    one = reading(*HELD, patience=patience(stalled_seconds=20.0))
    drop(one)
    now = reopen(one, delta(3))
    one.receive_time(now=now + 1000.0)
    assert (one.outcome, one.actions()) == (None, [])


def test_a_connection_that_is_open_but_brings_nothing_stalls() -> None:
    one = reading(*HELD, patience=patience(stalled_seconds=20.0))
    drop(one)
    reopen(one)
    assert one.actions() == [Wait(20.0)]
    one.receive_time(now=21.0)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), refused(404, "not here"), now=21.0)
    assert over(one).reason == "nothing new came for 20 s: the Response was refused with 404: not here"
