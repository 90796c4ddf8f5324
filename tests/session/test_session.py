"""Session: each fact, action, timer, rung and limit, one behaviour a test. No network, no task, no sleep."""

from typing import Any

import pytest

from streamfold.fold import SequencePolicy, State, fold
from streamfold.schema import ResponseCreated
from streamfold.session import (
    Answer,
    Backoff,
    Cancel,
    CancelResult,
    Connect,
    Finish,
    Outcome,
    OutcomeStatus,
    Patience,
    Proof,
    Repair,
    RepairKind,
    Retrieve,
    Session,
    Wait,
)
from streamfold.session.reassembler import Reassembler
from tests.conftest import Recording, on_every_recording
from tests.fold import made as fold_made
from tests.session.made import (
    RESPONSE_ID,
    TORN,
    Heard,
    added,
    answer,
    body,
    calls,
    created,
    delta,
    ended,
    frame,
    keepalive,
    next_call,
    numbers,
    patience,
    reading,
    refuse_all,
    refused,
    session,
)

RESUME, REPLAY, RETRIEVE = RepairKind
HELD = (created(0), added(1), delta(2, "held"))
OLD = refused(400, "This response can no longer be streamed because it is more than 5 minutes old.")
HTML = Answer(200, {"content-type": "text/html"}, b"<html>hello</html>")
BUSY = refused(503)


def kinds(one: Session) -> list[RepairKind]:
    return [repair.kind for repair in one.repairs]


def over(one: Session) -> Outcome:
    assert one.outcome is not None
    return one.outcome


def drop(one: Session, *, now: float = 1.0) -> None:
    one.receive_failure(Connect(), "the connection was reset", now=now)


def reopen(one: Session, *chunks: bytes, now: float = 1.0) -> float:
    """Wait for the next connection, which brings these. Returns: the time then."""
    call, now = next_call(one, now=now)
    assert isinstance(call, Connect)
    one.receive_connected(now=now)
    for chunk in chunks:
        one.receive_chunk(chunk, now=now)
    return now


# The example of the style guide, word for word


def test_a_connection_that_dropped_after_event_41_is_resumed_after_it() -> None:
    one = reading(*HELD, *(delta(number) for number in range(3, 42)), jitter=0.8)
    one.receive_eof(now=12.0)
    assert one.events() == []
    assert one.actions() == [Wait(pytest.approx(0.4)), Connect(starting_after=41)]
    one.receive_time(now=12.5)
    one.receive_answer(Connect(41), answer(200, body("cancelled")), now=12.9)
    assert over(one).status is OutcomeStatus.CANCELLED


# Its beginning


def test_a_session_begins_by_connecting() -> None:
    one = session()
    assert (one.actions(), one.is_reading, one.outcome) == ([Connect(None)], False, None)
    assert one.state == State()


def test_a_stream_that_is_open_already_is_read() -> None:
    one = session(None, is_connected=True)
    assert (one.actions(), one.is_reading) == ([], True)
    one.receive_chunk(created(0), now=0.0)
    assert numbers(one.events()) == [0]


def test_a_session_may_go_on_from_a_state() -> None:
    state = fold([fold_made.created(0, status="in_progress"), fold_made.added(1), fold_made.delta(2, "held")])
    one = session(state=state)
    assert one.actions() == [Connect(2)]
    one.receive_connected(now=0.0)
    one.receive_chunk(delta(3, " on"), now=0.0)
    assert one.state.output_text == "held on"


def test_a_state_that_is_over_needs_no_connection() -> None:
    one = session(state=fold([fold_made.completed(0, status="completed")]))
    assert one.actions() == [Finish()]
    assert (over(one).status, over(one).proof) == (OutcomeStatus.COMPLETED, Proof.TERMINAL_EVENT)


def test_a_session_may_begin_after_a_number_without_a_state() -> None:
    one = session(starting_after=5)
    assert one.actions() == [Connect(5)]
    one.receive_connected(now=0.0)
    one.receive_chunk(delta(6) + delta(7), now=0.0)
    assert numbers(one.events()) == [6, 7]


def test_what_comes_at_or_before_the_number_asked_for_is_known() -> None:
    one = reading(starting_after=5)
    one.receive_chunk(created(0) + delta(5) + delta(6), now=0.0)
    assert numbers(one.events()) == [6]


def test_what_comes_too_far_behind_the_number_asked_for_is_a_gap() -> None:
    one = reading(starting_after=5)
    one.receive_chunk(delta(7), now=0.0)
    assert one.events() == []
    one.receive_chunk(delta(6), now=0.1)
    assert numbers(one.events()) == [6, 7]


def test_a_cursor_that_is_refused_is_followed_by_the_whole_stream_less_what_was_not_asked_for() -> None:
    one = session(starting_after=1)
    one.actions()
    one.receive_answer(Connect(1), refused(400, "bad", param="starting_after"), now=0.0)
    reopen(one, *HELD, now=0.0)
    assert (numbers(one.events()), kinds(one)) == ([2], [REPLAY])


def test_following_from_a_number_on_is_no_compaction() -> None:
    one = reading(starting_after=2)
    one.receive_chunk(delta(3, " on") + ended(4, text="held on"), now=0.0)
    assert (over(one).status, over(one).is_compacted, over(one).compacted_after) == ("completed", False, None)


# Events


def test_events_come_once_in_order_with_the_state_after_each() -> None:
    one = reading()
    one.receive_chunk(b"".join(HELD), now=0.0)
    applied = one.events()
    assert numbers(applied) == [0, 1, 2]
    assert [each.state.cursor for each in applied] == [0, 1, 2]
    assert applied[-1].state is one.state
    assert one.events() == []


def test_an_event_comes_with_the_bytes_that_were_sent() -> None:
    one = reading()
    one.receive_chunk(b'data: {"type": "response.created","sequence_number":0,"response":{ }}\n\n', now=0.0)
    [applied] = one.events()
    assert applied.data == b'{"type": "response.created","sequence_number":0,"response":{ }}'
    assert isinstance(applied.event, ResponseCreated)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_cutting_the_bytes_elsewhere_gives_the_same_outcome(size: int) -> None:
    data = b"".join(HELD) + ended(3, text="held") + ended(4, "failed")
    one = reading()
    for place in range(0, len(data), size):
        one.receive_chunk(data[place : place + size], now=0.0)
    assert numbers(one.events()) == [0, 1, 2, 3]
    assert over(one).status is OutcomeStatus.COMPLETED


@on_every_recording
def test_a_recorded_stream_is_followed_to_its_own_end(recording: Recording) -> None:
    known = Reassembler(State(), patience=Patience(), starting_after=None)
    expected = known.feed(recording.data)
    one = session(is_connected=True)
    for place in range(0, len(recording.data), 4096):
        one.receive_chunk(recording.data[place : place + 4096], now=0.0)
    assert one.events() == expected
    assert one.state == known.state
    assert (one.outcome is not None) is known.state.is_terminal
    if one.outcome is not None:
        assert (one.outcome.status, one.outcome.is_compacted) == (known.state.status, False)


def test_a_chunk_without_a_connection_is_not_read() -> None:
    one = session()
    one.receive_chunk(created(0), now=0.0)
    assert one.events() == []


# The terminal event


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_a_terminal_event_is_the_outcome(status: str) -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(3, status, "held"), now=1.0)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.reason) == (status, Proof.TERMINAL_EVENT, "")
    assert (outcome.repairs, outcome.conflicts, outcome.cancel) == ((), (), None)
    assert (outcome.is_compacted, outcome.anomalies) == (False, ())
    assert outcome.state is one.state
    assert (one.actions(), one.is_reading) == ([Finish()], False)


def test_the_status_is_that_of_the_response_and_not_the_name_of_the_event() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(3, "cancelled", name="failed"), now=1.0)
    assert over(one).status is OutcomeStatus.CANCELLED


def test_a_terminal_event_whose_response_is_open_is_no_end() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(3, "in_progress", name="completed"), now=1.0)
    assert one.outcome is None


def test_what_stands_behind_the_terminal_event_is_not_of_this_response() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(3, text="held") + ended(4, "failed") + delta(5), now=1.0)
    assert (numbers(one.events()), over(one).status, over(one).anomalies) == ([3], "completed", ())


def test_nothing_that_happens_after_the_end_changes_it() -> None:
    one = reading(*HELD, ended(3, text="held"))
    outcome = one.outcome
    one.receive_connected(now=2.0)
    one.receive_chunk(ended(4, "failed"), now=2.0)
    one.receive_eof(now=2.0)
    one.receive_failure(Connect(), "x", now=2.0)
    one.receive_answer(Retrieve(), answer(200, body("failed")), now=2.0)
    one.receive_notice(now=2.0)
    one.receive_time(now=9999.0)
    one.receive_leave(now=9999.0)
    assert one.outcome is outcome
    assert (one.actions(), one.events(), one.is_reading) == ([], [], False)


# Compaction: contiguous numbers prove nothing


def test_a_terminal_event_with_text_that_never_came_is_told_as_compacted() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(3, text="held and much more"), now=1.0)
    assert (over(one).is_compacted, over(one).compacted_after) == (True, 2)
    assert over(one).state.output_text == "held and much more"


def test_where_a_number_was_asked_for_a_get_is_compacted_behind_it() -> None:
    one = session(starting_after=2)
    one.actions()
    one.receive_answer(Connect(2), answer(200, body("completed", "held on")), now=0.0)
    assert (over(one).is_compacted, over(one).compacted_after) == (True, 2)


def test_a_finished_response_that_is_one_event_is_compacted_from_its_beginning() -> None:
    one = reading()
    one.receive_chunk(ended(57, text="all of it"), now=1.0)
    assert (over(one).status, over(one).is_compacted, over(one).compacted_after) == ("completed", True, None)


def test_a_compaction_in_the_chunk_of_other_events_is_seen() -> None:
    one = reading()
    one.receive_chunk(b"".join(HELD) + ended(3, text="held and more"), now=1.0)
    assert (over(one).is_compacted, over(one).compacted_after) == (True, 2)


def test_a_get_with_more_text_than_came_is_compacted() -> None:
    one = reading(*HELD)
    one.receive_answer(Connect(), answer(200, body("completed", "held and more")), now=1.0)
    assert (over(one).proof, over(one).is_compacted, over(one).compacted_after) == (Proof.RETRIEVED, True, 2)


@pytest.mark.parametrize("output", [b'[{"x":1e400}]', b'[{"x":' + b"9" * 5000 + b"}]"], ids=["float", "integer"])
def test_a_number_beyond_every_type_raises_nothing(output: bytes) -> None:
    one = reading(*HELD)
    said = b'{"status":"completed","output":%b}' % output
    one.receive_chunk(b'data: {"type":"response.completed","sequence_number":3,"response":%b}\n\n' % said, now=1.0)
    assert over(one).status is OutcomeStatus.COMPLETED


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
        one.receive_failure(call, "reset", now=now)
    assert next_call(one, now=now)[0] == Retrieve()
    one.receive_answer(Retrieve(), answer(200, body()), now=now)
    reopen(one, delta(3, " on"), ended(4, text="held on"), now=now)
    assert (kinds(one), over(one).proof) == ([RESUME, REPLAY, RETRIEVE, RESUME], Proof.TERMINAL_EVENT)
    assert one.repairs[-1].reason == "the Response is in_progress"


def test_gets_that_fail_in_a_row_are_given_up_with_growing_waits() -> None:
    one = session(jitter=0.5)
    one.actions()
    one.receive_answer(Connect(None), refused(404), now=0.0)
    made, now = refuse_all(one, BUSY, now=0.0)
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
    made, _ = refuse_all(one, BUSY, now=1.0)
    outcome = over(one)
    assert made == [*[Connect(2)] * 5, *[Connect(None)] * 5, *[Retrieve()] * 5]
    assert (outcome.status, outcome.proof, outcome.state.output_text) == (OutcomeStatus.LOST, None, "held")
    assert outcome.reason == "the Response was refused with 503: no"
    assert [repair.reason for repair in outcome.repairs][:2] == [
        "the connection was reset",
        "the stream was refused with 503: no",
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


# The id that the stream tells


def test_the_id_is_learned_from_the_stream() -> None:
    one = session(None, is_connected=True)
    assert one.response_id is None
    one.receive_chunk(created(0), now=0.0)
    assert one.response_id == RESPONSE_ID
    drop(one)
    assert one.actions() == [Wait(0.0), Connect(0)]


def test_the_id_is_learned_from_an_event_that_waits_for_another() -> None:
    one = session(None, is_connected=True)
    one.receive_chunk(TORN + frame("response.in_progress", 1, response=body()), now=0.0)
    assert one.response_id == RESPONSE_ID
    reopen_at, _ = next_call(one, now=0.0)
    assert reopen_at == Connect(None)


@pytest.mark.parametrize("odd", ["../x", "", "a b", 5, None])
def test_an_id_that_no_url_may_hold_is_none(odd: object) -> None:
    one = session(None, is_connected=True)
    one.receive_chunk(created(0, id=odd), now=0.0)
    assert one.response_id is None


def test_an_id_that_was_given_is_kept() -> None:
    one = reading(created(0, id="resp_2"))
    assert one.response_id == RESPONSE_ID


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
    one, now = reading(*HELD, patience=patience(stalled_seconds=20.0, max_attempts=1000)), 1.0
    drop(one)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if isinstance(call, Connect):
            now += 1.5
            one.receive_time(now=now)
            one.receive_answer(call, BUSY, now=now)
    assert (over(one).reason, over(one).state.output_text) == ("nothing new came for 20 s", "held")
    assert 21.0 <= now <= 22.5


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
    assert over(one).status is OutcomeStatus.LOST


# Gaps


def test_an_event_from_beyond_a_hole_waits_for_the_one_that_fills_it() -> None:
    one = reading(*HELD)
    one.receive_chunk(delta(4, "c"), now=1.0)
    assert (one.events(), one.actions()) == ([], [Wait(0.5)])
    one.receive_chunk(delta(3, "b"), now=1.25)
    assert (numbers(one.events()), one.state.output_text, one.actions()) == ([3, 4], "heldbc", [])


def test_a_hole_that_nothing_fills_in_time_is_resumed() -> None:
    one = reading(*HELD)
    one.receive_chunk(delta(4, "c"), now=1.0)
    one.receive_time(now=1.5)
    assert one.repairs == (Repair(RESUME, "an event is missing after 2", after=2, at=1.5),)
    assert one.is_reading is False
    reopen(one, delta(3, "b"), delta(4, "c"), now=1.5)
    assert one.state.output_text == "heldbc"


def test_a_new_hole_has_its_own_time() -> None:
    one = reading(*HELD)
    one.receive_chunk(delta(4), now=1.0)
    one.receive_chunk(delta(3) + delta(6), now=1.4)
    one.receive_time(now=1.8)
    assert one.repairs == ()
    one.receive_time(now=1.9)
    assert kinds(one) == [RESUME]


@pytest.mark.parametrize("limits", [{"window_events": 2}, {"window_bytes": 300}], ids=["events", "bytes"])
def test_a_full_window_is_resumed_at_once(limits: dict[str, Any]) -> None:
    one = reading(*HELD, patience=patience(**limits))
    for number in (4, 5):
        one.receive_chunk(delta(number), now=1.0)
    assert one.repairs == ()
    one.receive_chunk(delta(6), now=1.0)
    assert kinds(one) == [RESUME]


def test_a_hole_that_stays_is_asked_for_twice_on_each_rung() -> None:
    one, now, asked = reading(*HELD), 1.0, []
    one.receive_chunk(delta(4), now=now)
    while True:
        call, now = next_call(one, now=now)
        asked.append(call)
        if call == Retrieve():
            break
        one.receive_connected(now=now)
        one.receive_chunk(delta(4), now=now)
    assert asked == [Connect(2), Connect(2), Connect(None), Connect(None), Retrieve()]


def test_a_stream_that_begins_in_its_middle_is_asked_for_from_its_beginning() -> None:
    one = reading()
    one.receive_chunk(delta(7) + delta(8), now=0.0)
    assert one.events() == []
    assert next_call(one, now=0.0) == (Connect(None), 0.5)
    one.receive_connected(now=0.5)
    one.receive_chunk(b"".join(HELD), now=0.5)
    assert numbers(one.events()) == [0, 1, 2]


def test_a_stream_that_begins_in_its_middle_twice_is_believed() -> None:
    one = reading()
    one.receive_chunk(delta(7) + delta(8), now=0.0)
    _, now = next_call(one, now=0.0)
    one.receive_connected(now=now)
    one.receive_chunk(delta(7) + delta(8), now=now)
    assert numbers(one.events()) == [7, 8]


def begun_in_its_middle(first: bytes = delta(7)) -> tuple[Heard, float]:
    """A session of which one connection began with this event, and another was opened. Returns: it, and the time."""
    one = reading()
    one.receive_chunk(first, now=0.0)
    _, now = next_call(one, now=0.0)
    one.receive_connected(now=now)
    return one, now


def test_what_comes_late_on_the_second_connection_is_the_beginning_all_the_same() -> None:
    one, now = begun_in_its_middle(added(1))
    one.receive_chunk(added(1), now=now)
    assert one.events() == []
    one.receive_chunk(created(0) + delta(2), now=now)
    assert numbers(one.events()) == [0, 1, 2]


def test_a_second_beginning_in_the_middle_is_believed_when_nothing_else_came_in_time() -> None:
    one, now = begun_in_its_middle()
    one.receive_chunk(delta(7), now=now)
    one.receive_time(now=now + 1)
    assert (one.is_reading, one.events()) == (True, [])
    one.receive_chunk(delta(8), now=now + 2)
    assert numbers(one.events()) == [7, 8]
    one.receive_chunk(delta(10), now=now + 3)
    one.receive_time(now=now + 4)
    assert (one.is_reading, one.repairs[-1].after) == (False, 8)


def test_a_beginning_that_two_connections_broke_off_after_is_believed_by_the_third() -> None:
    one, now = begun_in_its_middle()
    one.receive_chunk(delta(7), now=now)
    one.receive_failure(Connect(), "reset", now=now)
    call, now = next_call(one, now=now)
    assert call == Connect(None)
    one.receive_connected(now=now)
    one.receive_chunk(delta(7), now=now)
    assert numbers(one.events()) == [7]


def test_an_event_torn_on_its_way_is_a_gap_that_a_resume_fills() -> None:
    one = reading(*HELD)
    one.receive_chunk(TORN + delta(4, "c"), now=1.0)
    assert one.events() == []
    _, now = next_call(one, now=1.0)
    one.receive_connected(now=now)
    one.receive_chunk(delta(3, "b") + delta(4, "c"), now=now)
    assert (one.state.output_text, one.state.anomalies) == ("heldbc", ())


def test_a_frame_beyond_the_limit_is_not_asked_for_again_and_again() -> None:
    one, now, asked = reading(*HELD, patience=patience(max_frame_bytes=500)), 1.0, []
    one.receive_chunk(delta(3, "x" * 1000), now=now)
    while True:
        call, now = next_call(one, now=now)
        asked.append(call)
        if call == Retrieve():
            break
        one.receive_connected(now=now)
        one.receive_chunk(delta(3, "x" * 1000), now=now)
    assert asked == [Connect(2), Connect(None), Retrieve()]
    assert one.repairs[0].reason.startswith("one frame is larger than 500 bytes")


# A terminal event ahead of a hole


def test_a_terminal_event_ahead_of_a_hole_waits_for_what_is_missing() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(4, text="held on"), now=1.0)
    assert one.outcome is None
    one.receive_chunk(delta(3, " on"), now=1.1)
    assert (over(one).status, over(one).is_compacted) == ("completed", False)


def test_a_terminal_event_ahead_of_a_hole_that_cannot_be_filled_is_the_last_word() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(40, text="held and more"), now=1.0)
    one.receive_eof(now=1.0)
    now = reopen(one, ended(40, text="held and more"))
    one.receive_eof(now=now)
    outcome = over(one)
    assert (outcome.status, outcome.proof, kinds(one)) == ("completed", Proof.TERMINAL_EVENT, [RESUME])
    assert (outcome.state.output_text, outcome.is_compacted, outcome.compacted_after) == ("held and more", True, 2)


def test_a_finished_response_replayed_as_one_event_of_any_number_is_the_last_word() -> None:
    one = reading(*HELD)
    drop(one)
    now = reopen(one, ended(0, text="held and more"))
    assert one.outcome is None
    one.receive_eof(now=now)
    outcome = over(one)
    assert (outcome.status, outcome.proof, kinds(one)) == ("completed", Proof.TERMINAL_EVENT, [RESUME])
    assert (outcome.state.output_text, outcome.compacted_after) == ("held and more", 2)


def test_an_end_out_of_turn_is_a_witness_of_a_cancel() -> None:
    one = cancelled(*HELD)
    drop(one, now=1.1)
    now = reopen(one, ended(0, "cancelled"), now=1.1)
    one.receive_eof(now=now)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=now)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        "cancelled",
        Proof.TERMINAL_EVENT,
        CancelResult.CANCEL_WON,
    )


def test_a_terminal_event_that_waits_is_not_lost_with_the_ladder() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(4, text="held on"), now=1.0)
    drop(one)
    _, now = next_call(one, now=1.0)
    one.receive_answer(Connect(2), refused(401), now=now)
    assert (over(one).status, over(one).proof, over(one).compacted_after) == ("completed", Proof.TERMINAL_EVENT, 2)


def test_a_terminal_event_that_waits_is_not_lost_with_a_cancel() -> None:
    one = reading(*HELD)
    one.receive_chunk(ended(4, text="held on"), now=1.0)
    one.receive_cancel(now=1.0)
    drop(one)
    call, now = next_call(one, now=1.0)
    while call != Connect(2):
        call, now = next_call(one, now=now)
    one.receive_answer(Connect(2), refused(401), now=now)
    one.receive_time(now=40.0)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        "completed",
        Proof.TERMINAL_EVENT,
        CancelResult.COMPLETION_WON,
    )
    assert (outcome.state.output_text, outcome.compacted_after) == ("held on", 2)


# Streams without numbers


UNNUMBERED = (created(None), added(None), delta(None, "a"))


def test_a_stream_without_numbers_is_replayed_and_what_is_known_is_counted() -> None:
    one = reading(*UNNUMBERED)
    drop(one)
    assert one.actions() == [Wait(0.0), Connect(None)]
    reopen(one, *UNNUMBERED, delta(None, "b"), ended(None, text="ab"))
    assert len(one.events()) == 2
    assert (over(one).state.output_text, over(one).is_compacted, kinds(one)) == ("ab", False, [REPLAY])


def test_a_replay_that_drops_before_it_is_past_what_is_known_begins_its_count_again() -> None:
    one = reading(*UNNUMBERED)
    drop(one)
    now = reopen(one, *UNNUMBERED[:2])
    drop(one, now=now)
    reopen(one, *UNNUMBERED, delta(None, "b"), now=now)
    assert (len(one.events()), one.state.output_text) == (1, "ab")


def test_a_keepalive_in_a_stream_without_numbers_is_not_counted() -> None:
    one = reading(UNNUMBERED[0], keepalive(None), *UNNUMBERED[1:])
    drop(one)
    reopen(one, *UNNUMBERED, delta(None, "b"))
    assert one.state.output_text == "ab"


def test_an_event_torn_in_a_stream_without_numbers_is_counted_and_told() -> None:
    one = reading(*UNNUMBERED[:2], TORN, delta(None, "b"))
    assert [anomaly.kind for anomaly in one.state.anomalies] == ["unnumbered", "malformed"]
    drop(one)
    reopen(one, *UNNUMBERED, delta(None, "b"), delta(None, "c"))
    assert one.state.output_text == "bc"


def test_a_state_of_a_stream_without_numbers_is_gone_on_from_by_counting() -> None:
    one = session(state=reading(*UNNUMBERED).state)
    assert one.actions() == [Connect(None)]
    one.receive_connected(now=0.0)
    one.receive_chunk(b"".join(UNNUMBERED) + delta(None, "b"), now=0.0)
    assert (len(one.events()), one.state.output_text) == (1, "ab")


def test_numbers_that_mean_nothing_are_counted_past_too() -> None:
    one = reading(created(0), added(0), delta(0, "a"), patience=patience(sequence_policy=SequencePolicy.ARRIVAL))
    drop(one)
    assert one.actions() == [Wait(0.0), Connect(None)]
    reopen(one, created(0), added(0), delta(0, "a"), delta(0, "b"))
    assert (len(one.events()), one.state.output_text) == (1, "ab")


def test_numbers_with_holes_are_resumed_after_the_cursor() -> None:
    one = reading(created(0), added(4), delta(9, "a"), patience=patience(sequence_policy=SequencePolicy.RENUMBER))
    drop(one)
    assert one.actions() == [Wait(0.0), Connect(9)]


def test_one_event_without_a_number_does_not_stop_resuming() -> None:
    one = reading(*HELD, frame("error", None, error={"message": "hm"}))
    drop(one)
    assert one.actions() == [Wait(0.0), Connect(2)]


# Word from elsewhere, and leaving


def test_a_notice_ends_the_wait_for_the_next_get() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body()), now=0.0)
    assert one.actions() == [Wait(2.0), Retrieve()]
    one.receive_notice(now=0.5)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), answer(200, body("completed", "all")), now=0.6)
    assert over(one).proof is Proof.RETRIEVED


def test_a_second_notice_makes_no_second_get() -> None:
    one = session()
    one.actions()
    one.receive_answer(Connect(None), answer(200, body()), now=0.0)
    one.receive_notice(now=0.5)
    one.receive_notice(now=0.5)
    assert calls(one) == [Retrieve()]


def test_a_notice_is_no_news_to_a_stream_that_is_read() -> None:
    one = reading(*HELD)
    one.receive_notice(now=1.0)
    assert one.actions() == []


def test_a_notice_without_an_id_asks_for_nothing() -> None:
    one = session(None)
    one.actions()
    one.receive_notice(now=1.0)
    assert one.actions() == []


@pytest.mark.parametrize("said", [answer(200, body()), BUSY, refused(404)], ids=["open", "busy", "unknown"])
def test_a_get_beside_a_connection_on_its_way_changes_nothing_for_it(said: Answer) -> None:
    one = session()
    one.actions()
    one.receive_notice(now=0.0)
    one.receive_answer(Retrieve(), said, now=0.1)
    assert (calls(one)[-1:], one.repairs) == ([Retrieve()], ())
    one.receive_connected(now=0.2)
    one.receive_chunk(b"".join(HELD), now=0.2)
    assert (one.is_reading, one.actions(), one.state.output_text) == (True, [], "held")


def test_to_leave_is_not_to_cancel() -> None:
    one = reading(*HELD)
    one.receive_leave(now=1.0)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (OutcomeStatus.ABANDONED, None, None)
    assert (outcome.reason, outcome.state.output_text) == ("the caller disconnected before its end", "held")
    assert one.actions() == [Finish()]


def test_whoever_leaves_may_say_why() -> None:
    one = session()
    one.receive_leave(now=1.0, reason="shutting down")
    assert over(one).reason == "shutting down"


# Cancel; every order of it is in test_cancel_orders.py


def cancelled(*chunks: bytes, **given: Any) -> Heard:
    """A session that read these, and has just sent a cancel, at the time 1."""
    one = reading(*chunks, **given)
    one.receive_cancel(now=1.0)
    assert calls(one) == [Cancel()]
    return one


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


def test_a_cancel_that_is_believed_ends_with_the_stream() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    assert one.outcome is None
    one.receive_eof(now=1.2)
    outcome = over(one)
    assert (outcome.status, outcome.proof, outcome.cancel) == (
        "cancelled",
        Proof.CANCEL_ANSWER,
        CancelResult.CANCEL_WON,
    )
    assert (outcome.state.output_text, outcome.state.status) == ("held", "cancelled")
    assert [anomaly.kind for anomaly in outcome.anomalies] == ["output_kept"]


def test_after_the_grace_the_answer_is_believed_without_the_stream() -> None:
    one = cancelled(*HELD)
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=2.0)
    assert one.actions() == [Wait(5.0)]
    one.receive_time(now=7.0)
    assert (over(one).proof, over(one).cancel) == (Proof.CANCEL_ANSWER, CancelResult.CANCEL_WON)


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
    assert (one.outcome, calls(one)) == (None, [Retrieve()])
    one.receive_answer(Retrieve(), answer(200, body("completed", "held")), now=1.3)
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
    calls(one)
    one.receive_answer(Retrieve(), said, now=1.3)
    outcome = over(one)
    assert (outcome.status, outcome.proof, len(outcome.conflicts)) == ("completed", Proof.TERMINAL_EVENT, 1)


def test_a_get_that_is_busy_is_made_again_until_the_grace_is_over() -> None:
    one, now = cancelled(*HELD), 1.2
    one.receive_answer(Cancel(), answer(200, body("cancelled")), now=1.1)
    one.receive_chunk(ended(3, text="held"), now=now)
    made, now = refuse_all(one, BUSY, now=now)
    assert made == [Retrieve(), Retrieve(), Retrieve()]
    assert (over(one).proof, now) == (Proof.TERMINAL_EVENT, pytest.approx(6.1))


def test_an_answer_that_says_it_still_runs_is_followed_by_gets() -> None:
    one, now = cancelled(*HELD), 1.1
    one.receive_answer(Cancel(), answer(200, body()), now=now)
    for _ in range(3):
        call, now = next_call(one, now=now)
        assert call == Retrieve()
        one.receive_answer(Retrieve(), answer(200, body()), now=now)
    _, now = next_call(one, now=now)
    one.receive_answer(Retrieve(), answer(200, body("cancelled")), now=now)
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
    one.receive_eof(now=33.0)
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


@pytest.mark.parametrize("said", [refused(404), BUSY, None], ids=["not found", "busy", "lost"])
def test_a_cancel_without_an_answer_is_sent_again_so_often(said: Answer | None) -> None:
    one, now = cancelled(*HELD, jitter=0.5), 1.0
    waits = []
    for _ in range(4):
        if said is None:
            one.receive_failure(Cancel(), "timeout", now=now)
        else:
            one.receive_answer(Cancel(), said, now=now)
        call, later = next_call(one, now=now)
        assert call == Cancel()
        waits.append(later - now)
        now = later
    assert waits == [pytest.approx(seconds) for seconds in (0.25, 0.5, 1.0, 2.0)]
    one.receive_failure(Cancel(), "timeout", now=now)
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


def test_a_foreground_response_can_only_be_left_and_that_is_said() -> None:
    one = reading(created(0, background=False), added(1), delta(2, "held"))
    one.receive_cancel(now=1.0)
    one.receive_answer(Cancel(), refused(400, "Cannot cancel a synchronous response."), now=1.1)
    outcome = over(one)
    assert (outcome.status, outcome.cancel, outcome.proof) == ("abandoned", CancelResult.REFUSED, None)
    assert "billed" in outcome.reason
    assert one.actions() == [Finish()]


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
    assert (over(one).status, over(one).cancel) == ("abandoned", CancelResult.REFUSED)


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
