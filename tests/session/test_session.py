"""Session: how one response begins, how its events come, and how it ends."""

import pytest

from streamfold.fold import State, fold
from streamfold.schema import ResponseCreated
from streamfold.session import (
    Answer,
    Connect,
    Finish,
    OutcomeStatus,
    Patience,
    Proof,
    Retrieve,
    Wait,
)
from streamfold.session.reassembler import Reassembler
from tests.conftest import Recording, on_every_recording
from tests.fold import made as fold_made
from tests.session.made import (
    BUSY,
    HELD,
    REPLAY,
    RESPONSE_ID,
    TORN,
    answer,
    body,
    calls,
    created,
    delta,
    drop,
    ended,
    frame,
    keepalive,
    kinds,
    next_call,
    numbers,
    over,
    reading,
    refused,
    reopen,
    session,
)

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
    one.receive_time(now=1.0)  # behind a failure an `error` may follow
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
    one.receive_eof(now=1.0)
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


@pytest.mark.parametrize("odd", ["..", ".", "", "a\nb", 5, None])
def test_an_id_that_no_url_may_hold_is_none(odd: object) -> None:
    one = session(None, is_connected=True)
    one.receive_chunk(created(0, id=odd), now=0.0)
    assert one.response_id is None


def test_an_id_that_was_given_is_kept() -> None:
    one = reading(created(0, id="resp_2"))
    assert one.response_id == RESPONSE_ID


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


# Ends that come late, or not at all


def test_a_cancel_between_a_failure_and_its_error_comes_too_late() -> None:
    one = reading(*HELD, ended(3, "failed", "held"))
    one.receive_cancel(now=0.1)
    assert (over(one).status, over(one).cancel) == ("failed", "already_terminal")


def test_a_keepalive_is_given_but_is_no_progress() -> None:
    one = reading(*HELD)
    one.receive_failure(Connect(), "reset", now=0.0)
    reopen(one, keepalive(3), now=0.0)
    assert numbers(one.events()) == [3]
    assert [type(each).__name__ for each in one.actions()] == ["Wait"]  # the time of the stall runs on


def test_a_foreground_response_that_stays_in_progress_is_given_up() -> None:
    one, now = reading(created(0, background=False), jitter=0.5), 0.0
    one.receive_failure(Connect(), "reset", now=now)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if isinstance(call, Connect):
            one.receive_failure(call, "the connection was refused", now=now)
        elif call == Retrieve():
            one.receive_answer(Retrieve(), answer(200, body("in_progress", background=False)), now=now)
    assert over(one).reason.startswith("nothing new came for 600 s: the Response stays in_progress")


def test_gets_that_stay_the_same_are_given_up_without_another_one() -> None:
    one, now = session(), 0.0
    one.actions()
    one.receive_answer(Connect(), answer(200, body("in_progress", background=False)), now=now)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if call == Retrieve():
            one.receive_answer(Retrieve(), answer(200, body("in_progress", background=False)), now=now)
    assert over(one).reason.startswith("nothing new came for 600 s: ")
