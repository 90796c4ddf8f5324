"""Session: events that are missing, ahead of their turn, or without a number."""

from typing import Any

import pytest

from streamfold.fold import SequencePolicy
from streamfold.session import (
    Cancel,
    CancelResult,
    Connect,
    Proof,
    Repair,
    Retrieve,
    Wait,
)
from tests.session.made import (
    HELD,
    REPLAY,
    RESUME,
    TORN,
    Heard,
    added,
    answer,
    body,
    cancelled,
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
    patience,
    reading,
    refused,
    reopen,
    session,
)

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


def wait_for_gap(one: Heard, now: float) -> float:
    """Let the time for a missing event go by. Returns: the time then."""
    now += one.patience.gap_seconds
    one.receive_time(now=now)
    return now


def test_a_hole_that_a_resume_and_a_replay_both_show_is_the_servers_own() -> None:
    one = reading(*HELD, delta(4, "c"))
    now = wait_for_gap(one, 0.0)
    assert next_call(one, now=now)[0] == Connect(2)
    one.receive_connected(now=now)
    one.receive_chunk(delta(4, "c"), now=now)
    now = wait_for_gap(one, now)
    assert next_call(one, now=now)[0] == Connect(None)
    one.receive_connected(now=now)
    one.receive_chunk(b"".join(HELD) + delta(4, "c"), now=now)
    now = wait_for_gap(one, now)
    assert (one.is_reading, one.events()) == (True, [])
    one.receive_chunk(delta(5, "d"), now=now)
    assert (numbers(one.events()), one.state.output_text) == ([4, 5], "heldcd")
    assert [(each.kind, each.count, each.first) for each in one.state.anomalies] == [("hole", 1, 4)]
    one.receive_chunk(ended(6, text="heldcd"), now=now)
    assert (over(one).status, over(one).is_compacted, kinds(one)) == ("completed", False, [RESUME, REPLAY])


def test_what_was_held_after_a_hole_follows_with_whatever_comes_next() -> None:
    one, now = reading(*HELD, delta(4, "c")), 0.0
    for whole in (b"", b"".join(HELD)):
        now = reopen(one, whole + delta(4, "c"), now=wait_for_gap(one, now))
    wait_for_gap(one, now)
    one.receive_chunk(b": keep-alive\n\n", now=now + 9)
    assert one.state.output_text == "heldc"


def test_a_hole_in_streams_that_end_is_crossed_by_the_next_one() -> None:
    rest = delta(4, "c") + ended(5, text="held and c")
    one, now, asked = reading(*HELD), 0.0, []
    one.receive_chunk(rest, now=now)
    one.receive_eof(now=now)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        assert isinstance(call, Connect)
        asked.append(call)
        one.receive_connected(now=now)
        one.receive_chunk(rest if call.starting_after else b"".join(HELD) + rest, now=now)
        one.receive_eof(now=now)
    assert asked == [Connect(2), Connect(None), Connect(2)]
    assert numbers(one.events()) == [4, 5]
    assert [each.kind for each in over(one).anomalies] == ["hole"]
    assert (over(one).proof, over(one).is_compacted) == (Proof.TERMINAL_EVENT, True)  # "and " was in the hole


def test_a_hole_is_not_believed_while_a_replay_can_fill_it() -> None:
    one = reading(*HELD, delta(4, "c"))
    now = reopen(one, delta(4, "c"), now=wait_for_gap(one, 0.0))
    reopen(one, *HELD, delta(3, "b"), delta(4, "c"), now=wait_for_gap(one, now))
    assert (one.state.output_text, one.state.anomalies) == ("heldbc", ())


def test_an_event_that_every_stream_damages_is_no_hole() -> None:
    one, now = reading(*HELD, TORN, delta(4, "c")), 0.0
    asked: list[Any] = []
    while True:
        call, now = next_call(one, now=wait_for_gap(one, now))
        asked.append(call)
        if call == Retrieve():
            break
        one.receive_connected(now=now)
        one.receive_chunk(b"".join(HELD) + TORN + delta(4, "c"), now=now)
    assert asked == [Connect(2), Connect(2), Connect(None), Connect(None), Retrieve()]
    assert one.state.output_text == "held"


def test_a_second_hole_is_asked_for_anew() -> None:
    one, now = reading(*HELD, delta(4, "c")), 0.0
    for whole in (b"", b"".join(HELD)):
        now = reopen(one, whole + delta(4, "c"), now=wait_for_gap(one, now))
    now = wait_for_gap(one, now)
    one.receive_chunk(delta(6, "e"), now=now)
    assert one.state.output_text == "heldc"
    assert next_call(one, now=wait_for_gap(one, now))[0] == Connect(4)


def test_a_full_window_shows_a_hole_too() -> None:
    one, now = reading(*HELD, patience=patience(window_events=2)), 0.0
    burst = b"".join(delta(number, str(number)) for number in (4, 5, 6))
    one.receive_chunk(burst, now=now)
    for whole in (b"", b"".join(HELD)):
        now = reopen(one, whole + burst, now=now)
    one.receive_chunk(delta(7), now=now)
    assert one.state.output_text == "held45"
    reopen(one, delta(6, "6"), now=wait_for_gap(one, now))
    assert one.state.output_text == "held456"


def test_what_is_missing_after_a_number_that_was_asked_for_is_believed_too() -> None:
    one, now = session(starting_after=2), 0.0
    for _ in range(3):
        now = reopen(one, delta(4, "c"), now=now)
        now = wait_for_gap(one, now)
    one.receive_chunk(delta(5, "d"), now=now)
    assert numbers(one.events()) == [4, 5]


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
    reopen(one, ended(0, text="held and more"))
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
