"""Reassembler: the bytes of many connections become the events of one response, each applied once and in order."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import FrameTooLarge
from streamfold.fold import AnomalyKind, SequencePolicy, State, checkpoint, fold, restore
from streamfold.session.patience import Patience
from streamfold.session.policy import adopted
from streamfold.session.reassembler import Applied, Reassembler
from tests.fold import made as fold_made
from tests.session.made import TORN, added, body, created, delta, ended, frame, keepalive, numbers

STRICT, RENUMBER, ARRIVAL = SequencePolicy.STRICT, SequencePolicy.RENUMBER, SequencePolicy.ARRIVAL
STREAM = (created(0), added(1), delta(2, "a"), delta(3, "b"), delta(4, "c"), ended(5, text="abc"))
UNNUMBERED = (created(None), added(None), delta(None, "a"), delta(None, "b"), delta(None, "c"), ended(None, text="abc"))


def reassembler(state: State | None = None, *, starting_after: int | None = None, **limits: Any) -> Reassembler:
    patience = Patience(**limits)
    begun = Reassembler(
        state or State.under(patience.sequence_policy), patience=patience, starting_after=starting_after
    )
    begun.begin(is_replay=starting_after is None)
    return begun


def fed(*chunks: bytes, **given: Any) -> Reassembler:
    begun = reassembler(**given)
    for chunk in chunks:
        begun.feed(chunk)
    return begun


def took(one: Reassembler, *chunks: bytes) -> list[int | None]:
    return numbers([each for chunk in chunks for each in one.feed(chunk)])


# One connection, nothing wrong


@pytest.mark.parametrize("stream", [STREAM, UNNUMBERED], ids=["numbered", "without numbers"])
@pytest.mark.parametrize("is_joined", [True, False], ids=["at once", "one by one"])
def test_every_event_is_applied_once_with_the_state_after_it(stream: tuple[bytes, ...], is_joined: bool) -> None:
    one, applied = reassembler(), list[Applied]()
    for chunk in [b"".join(stream)] if is_joined else stream:
        applied += one.feed(chunk)
    assert [each.state.cursor for each in applied] == [0, 1, 2, 3, 4, 5]
    assert applied[-1].state is one.state
    assert (one.state.output_text, one.state.status, one.is_over) == ("abc", "completed", True)


def test_the_data_of_each_event_is_what_was_sent() -> None:
    applied = reassembler().feed(b"".join(STREAM))
    assert [b"data: %b\n\n" % each.data for each in applied] == list(STREAM)


def test_a_chunk_without_a_whole_event_brings_nothing() -> None:
    one = reassembler()
    assert (one.feed(STREAM[0][:9]), one.has_progressed) == ([], False)
    assert (took(one, STREAM[0][9:]), one.has_progressed) == ([0], True)


def test_a_frame_beyond_the_limit_raises() -> None:
    one = reassembler(max_frame_bytes=100)
    with pytest.raises(FrameTooLarge):
        one.feed(b"data: " + b"x" * 101)


# Duplicates, and the end


def test_a_duplicate_is_no_progress() -> None:
    one = fed(*STREAM[:3])
    one.begin(is_replay=True)
    assert (took(one, *STREAM[:3]), one.has_progressed) == ([], False)
    assert (took(one, STREAM[3]), one.has_progressed) == ([3], True)


@pytest.mark.parametrize("is_joined", [True, False], ids=["in its chunk", "in later chunks"])
@pytest.mark.parametrize("stream", [STREAM, UNNUMBERED], ids=["numbered", "without numbers"])
def test_nothing_behind_the_terminal_event_is_taken(stream: tuple[bytes, ...], is_joined: bool) -> None:
    one = fed(*stream[:5])
    number = None if stream is UNNUMBERED else 6
    rest = [stream[5], ended(number, "failed"), delta(number and 7)]
    taken = [each for chunk in ([b"".join(rest)] if is_joined else rest) for each in one.feed(chunk)]
    assert len(taken) == 1
    assert (one.state.status, one.state.cursor, one.state.anomalies[1:]) == ("completed", 5, ())


def test_a_state_that_is_over_takes_nothing() -> None:
    one = reassembler(fold([fold_made.completed(0, status="completed")]))
    assert (one.is_over, took(one, delta(1))) == (True, [])


# Gaps and the window


def test_events_from_beyond_a_hole_are_applied_when_it_fills() -> None:
    one = fed(*STREAM[:2])
    assert (took(one, STREAM[4], STREAM[3]), one.has_gap, one.has_progressed) == ([], True, True)
    assert (took(one, STREAM[2]), one.has_gap) == ([2, 3, 4], False)


def test_a_hole_inside_a_chunk_is_filled_inside_it() -> None:
    one = fed(STREAM[0])
    assert took(one, STREAM[2] + STREAM[1] + STREAM[3]) == [1, 2, 3]


def test_an_event_that_comes_twice_from_beyond_a_hole_is_applied_once() -> None:
    one = fed(*STREAM[:2])
    assert took(one, STREAM[3], STREAM[3], STREAM[2], STREAM[3]) == [2, 3]


def test_a_window_that_is_full_says_so() -> None:
    one = fed(*STREAM[:2], window_events=1)
    one.feed(STREAM[3])
    assert one.is_full is False
    one.feed(STREAM[4])
    assert one.is_full is True


def test_another_connection_begins_with_an_empty_window() -> None:
    one = fed(*STREAM[:2], STREAM[4])
    one.begin(is_replay=False)
    assert (one.has_gap, one.is_full, one.end_out_of_turn) == (False, False, None)
    assert took(one, STREAM[2], STREAM[3]) == [2, 3]


@given(st.permutations(range(1, 6)))
def test_no_order_of_arrival_behind_the_first_event_changes_what_is_applied(order: list[int]) -> None:
    one = reassembler()
    applied = [each for place in (0, *order) for each in one.feed(STREAM[place])]
    one.begin(is_replay=True)
    applied += [each for chunk in STREAM for each in one.feed(chunk)]
    assert numbers(applied) == [0, 1, 2, 3, 4, 5]
    assert one.state == fold([each.event for each in applied])


def test_a_terminal_event_beyond_the_hole_is_known_before_its_turn() -> None:
    one = fed(*STREAM[:2])
    one.feed(STREAM[4])
    assert one.end_out_of_turn is None
    one.feed(STREAM[5])
    event = one.end_out_of_turn
    assert event is not None
    assert (event.sequence_number, adopted(one.state, event).status, one.state.status) == (
        5,
        "completed",
        "in_progress",
    )


def test_a_terminal_event_with_a_number_that_is_known_is_an_end_all_the_same() -> None:
    one = fed(*STREAM[:3])
    one.begin(is_replay=False)
    assert (len(one.feed(ended(0, text="abc"))), one.has_progressed, one.has_gap) == (1, True, False)
    assert (one.is_over, one.state.output_text, one.end_out_of_turn) == (True, "abc", None)


def test_a_known_number_with_other_words_is_dropped_and_told() -> None:
    one = fed(*STREAM[:3])
    assert took(one, delta(0)) == []
    assert (one.state.cursor, [each.kind for each in one.state.anomalies]) == (2, [AnomalyKind.DUPLICATE_DIFFERS])


def test_a_known_number_of_a_response_that_is_open_is_no_end() -> None:
    one = fed(*STREAM[:3])
    assert (took(one, created(0), delta(1)), one.end_out_of_turn) == ([], None)


def test_without_numbers_a_terminal_event_is_never_passed_over() -> None:
    one = fed(*UNNUMBERED[:4])
    one.begin(is_replay=True)
    assert len(one.feed(UNNUMBERED[5])) == 1
    assert (one.is_over, one.state.output_text) == (True, "abc")


def test_a_terminal_event_whose_response_is_open_is_none() -> None:
    one = fed(*STREAM[:2], ended(5, "in_progress", name="completed"))
    assert (one.has_gap, one.end_out_of_turn) == (True, None)


# Torn events


def test_a_torn_event_is_a_gap_that_shows() -> None:
    one = fed(*STREAM[:2])
    assert (took(one, TORN, STREAM[3]), one.has_gap) == ([], True)
    assert took(one, STREAM[2]) == [2, 3]
    assert one.state.anomalies == ()


def test_a_torn_event_among_whole_ones_is_passed_over() -> None:
    one = fed(*STREAM[:2])
    assert (took(one, STREAM[2] + TORN + STREAM[3]), one.state.anomalies) == ([2, 3], ())


def test_without_numbers_a_torn_event_is_lost_and_the_state_says_so() -> None:
    one = fed(*UNNUMBERED[:2], TORN, UNNUMBERED[3])
    assert one.state.output_text == "b"
    assert [anomaly.kind for anomaly in one.state.anomalies] == ["unnumbered", "malformed"]


# How a stream begins


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(created(0), id="created"),
        pytest.param(created(7), id="created, with another number"),
        pytest.param(keepalive(3), id="a sign of life"),
        pytest.param(frame("response.new", 3), id="an unknown event"),
        pytest.param(delta(0), id="number 0"),
        pytest.param(ended(57), id="the terminal event alone"),
        pytest.param(delta(None), id="no number"),
    ],
)
def test_a_stream_may_begin_with(first: bytes) -> None:
    assert len(reassembler().feed(first)) == 1


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(delta(7), id="a delta"),
        pytest.param(frame("response.in_progress", 1, response=body()), id="a Response that is open"),
    ],
)
def test_a_stream_that_begins_in_its_middle_is_a_gap(first: bytes) -> None:
    one = reassembler()
    assert (one.feed(first), one.has_gap) == ([], True)


def test_a_terminal_event_behind_others_that_wait_is_no_beginning() -> None:
    one = reassembler()
    assert took(one, b"".join(STREAM[2:])) == []
    one.begin(is_replay=True)
    assert took(one, *STREAM) == [0, 1, 2, 3, 4, 5]


def test_a_stream_that_begins_in_its_middle_twice_is_believed() -> None:
    one = fed(delta(7), delta(8))
    one.begin(is_replay=True)
    assert took(one, delta(7), delta(8)) == [7, 8]


def test_a_beginning_that_the_window_could_not_hold_is_believed_when_it_comes_again() -> None:
    one = reassembler(window_bytes=1)
    for _ in range(2):
        one.begin(is_replay=True)
        assert (took(one, delta(7), delta(8)), one.is_full) == ([], True)
    one.begin(is_replay=True)
    assert took(one, delta(7), delta(8)) == [7, 8]


def test_it_is_its_first_event_that_is_believed() -> None:
    one = fed(delta(7), delta(8))
    one.begin(is_replay=True)
    assert took(one, delta(8)) == []


def test_an_earlier_beginning_is_better() -> None:
    one = fed(delta(7))
    one.begin(is_replay=True)
    assert took(one, delta(5)) == []
    one.begin(is_replay=True)
    assert took(one, delta(5), delta(6)) == [5, 6]


# From a number on, without a state


@pytest.mark.parametrize("policy", [STRICT, RENUMBER])
def test_what_is_at_or_before_the_number_asked_for_is_known(policy: SequencePolicy) -> None:
    one = reassembler(starting_after=2, sequence_policy=policy)
    assert (one.after, one.can_resume) == (2, True)
    assert took(one, *STREAM[:4]) == [3]
    assert one.after == 3


def test_what_is_too_far_behind_it_is_a_gap() -> None:
    one = reassembler(starting_after=2)
    assert (took(one, STREAM[4]), one.has_gap) == ([], True)
    assert took(one, STREAM[3]) == [3, 4]


def test_where_numbers_have_holes_it_is_none() -> None:
    assert took(reassembler(starting_after=2, sequence_policy=RENUMBER), STREAM[4]) == [4]


def test_a_state_knows_better_than_a_number() -> None:
    state = fold([fold_made.created(0), fold_made.keepalive(1)])
    one = reassembler(state, starting_after=7)
    assert one.after == 1


# Where it can be resumed


def test_a_stream_of_which_nothing_came_is_begun_again() -> None:
    assert (reassembler().after, reassembler().can_resume) == (None, False)


@pytest.mark.parametrize(
    ("stream", "policy", "can_resume"),
    [
        pytest.param(STREAM, STRICT, True, id="numbers"),
        pytest.param(STREAM, RENUMBER, True, id="numbers with holes"),
        pytest.param(STREAM, ARRIVAL, False, id="numbers that mean nothing"),
        pytest.param(UNNUMBERED, STRICT, False, id="no numbers"),
        pytest.param((*STREAM[:2], frame("error", None, error={})), STRICT, True, id="one event without a number"),
    ],
)
def test_a_stream_is_resumed_after_a_number_of_the_servers_own(
    stream: tuple[bytes, ...], policy: SequencePolicy, can_resume: bool
) -> None:
    assert fed(*stream[:3], sequence_policy=policy).can_resume is can_resume


# Replays without numbers are told by counting


@pytest.mark.parametrize("policy", [STRICT, ARRIVAL])
@pytest.mark.parametrize("cut", range(6))
def test_a_replay_without_numbers_brings_what_is_new(cut: int, policy: SequencePolicy) -> None:
    one = fed(*UNNUMBERED[:cut], sequence_policy=policy)
    one.begin(is_replay=True)
    assert len(one.feed(b"".join(UNNUMBERED))) == 6 - cut
    assert one.state.output_text == "abc"


def test_a_stream_that_goes_on_without_numbers_skips_nothing() -> None:
    one = fed(*UNNUMBERED[:3])
    one.begin(is_replay=False)
    assert len(one.feed(UNNUMBERED[3])) == 1


@pytest.mark.parametrize("times", [0, 1, 3])
def test_signs_of_life_are_not_counted(times: int) -> None:
    one = fed(UNNUMBERED[0], keepalive(None), *UNNUMBERED[1:3])
    one.begin(is_replay=True)
    one.feed(keepalive(None) * times + b"".join(UNNUMBERED[:4]) + keepalive(None))
    assert one.state.output_text == "ab"


def test_a_state_without_numbers_counts_what_it_has() -> None:
    one = reassembler(fed(*UNNUMBERED[:4]).state)
    assert (one.can_resume, len(one.feed(b"".join(UNNUMBERED)))) == (False, 2)


# What the stream says of itself


@pytest.mark.parametrize(("said", "is_background"), [(True, True), (False, False), (None, None), ("yes", None)])
def test_the_first_response_says_who_it_is(said: object, is_background: bool | None) -> None:
    one = fed(keepalive(0), created(1, background=said))
    assert (one.response_id, one.is_background) == ("resp_1", is_background)


def test_a_later_response_is_not_asked() -> None:
    one = fed(created(0), frame("response.in_progress", 1, response=body(id="resp_2", background=False)))
    assert (one.response_id, one.is_background) == ("resp_1", True)


@pytest.mark.parametrize("odd", [None, 5, "", ".", "..", "resp_1\n"])
def test_an_id_that_no_url_may_hold_is_passed_over(odd: object) -> None:
    one = fed(created(0, id=odd), frame("response.in_progress", 1, response=body(id="resp-7")))
    assert one.response_id == "resp-7"


def test_an_id_of_broken_characters_is_none() -> None:
    assert (
        fed(b'data: {"type":"response.created","sequence_number":0,"response":{"id":"\xff"}}\n\n').response_id is None
    )


def test_an_event_that_waits_says_who_it_is_too() -> None:
    one = fed(TORN, frame("response.in_progress", 1, response=body()))
    assert (one.response_id, one.state) == ("resp_1", State())


# retry:


def test_the_retry_line_is_in_milliseconds_and_outlives_its_connection() -> None:
    one = reassembler()
    assert one.reconnection_seconds == 0.0
    one.feed(b"retry: 1500\n\n")
    assert one.reconnection_seconds == 1.5
    one.begin(is_replay=True)
    assert one.reconnection_seconds == 1.5
    one.feed(b"retry: 200\n\n")
    assert one.reconnection_seconds == 0.2


# Any number of connections, each with its faults


@given(st.integers(0, 2**32))
def test_connections_that_drop_repeat_and_reorder_lose_nothing_and_apply_nothing_twice(seed: int) -> None:
    random = Random(seed)
    texts = [random.choice("abc") for _ in range(20)]
    stream = [created(0), added(1), *(delta(2 + place, text) for place, text in enumerate(texts))]
    stream.append(ended(len(stream), text="".join(texts)))
    one, applied = reassembler(window_events=4), list[Applied]()
    while not one.is_over:
        resume = one.can_resume and random.random() < 0.7
        first = (one.after or 0) + 1 if resume else 0
        one.begin(is_replay=not resume)
        sent = stream[first : first + random.randrange(1, 9)] if random.random() < 0.8 else stream[first:]
        if random.random() < 0.5 and len(sent) > 1:
            place = random.randrange(1, len(sent))  # what begins a stream is not told by its number alone
            sent[place : place + 2] = reversed(sent[place : place + 2])
        for chunk in sent:
            applied += one.feed(chunk * random.choice([1, 1, 2]))
    assert [each.state.cursor for each in applied] == list(range(len(stream)))
    assert all(before.state is not after.state for before, after in pairwise(applied))
    assert (one.state.output_text, one.state.anomalies) == ("".join(texts), ())


# What counts as news, and what was dropped


@pytest.mark.parametrize(
    ("event", "is_news"),
    [
        pytest.param(delta(3), True, id="text"),
        pytest.param(keepalive(3), False, id="a keepalive"),
        pytest.param(keepalive(None), False, id="a keepalive without a number"),
        pytest.param(frame("error", None, error={"message": "hm"}), False, id="an error without a number"),
        pytest.param(frame("error", 3, error={"message": "hm"}), True, id="an error"),
        pytest.param(frame("ping", None), False, id="a type that is not known, without a number"),
        pytest.param(frame("response.new", 3), True, id="a type that is not known"),
    ],
)
def test_a_connection_that_only_keeps_itself_open_brings_nothing(event: bytes, is_news: bool) -> None:
    one = fed(*STREAM[:3])
    one.begin(is_replay=False)
    assert len(one.feed(event)) == 1
    assert one.has_progressed is is_news


def test_an_error_without_a_number_is_given_once_however_often_it_comes() -> None:
    one = fed(*UNNUMBERED[:3])
    told, other = (frame("error", None, error={"message": text}) for text in ("hm", "oh"))
    assert [len(one.feed(each)) for each in (told, told, other, other)] == [1, 0, 1, 0]


def test_dropped_events_are_counted() -> None:
    one = fed(*STREAM[:4])
    one.feed(STREAM[2] + keepalive(1) + STREAM[3])
    assert one.duplicates == 2
    one.begin(is_replay=True)
    one.feed(b"".join(STREAM[:5]))
    assert one.duplicates == 6
    one.feed(delta(9) + delta(9))
    assert one.duplicates == 7


def test_events_that_a_replay_skips_are_counted() -> None:
    one = fed(*UNNUMBERED[:4])
    one.begin(is_replay=True)
    one.feed(keepalive(None) + b"".join(UNNUMBERED))
    assert (one.duplicates, one.state.output_text) == (4, "abc")


# Replays without numbers, or with some


def replayed(state: State, *chunks: bytes) -> str:
    """The text of a state after a replay of the whole stream."""
    one = reassembler(state)
    for chunk in chunks:
        one.feed(chunk)
    return one.state.output_text


@pytest.mark.parametrize("cut", range(len(UNNUMBERED)))
def test_a_restored_state_skips_what_was_applied_and_no_keepalive(cut: int) -> None:
    alive = [keepalive(None), TORN] if cut == 99 else [keepalive(None)]
    before = [each for event in UNNUMBERED[:cut] for each in (*alive, event)] + alive
    state = restore(checkpoint(fed(*before).state))
    assert state.counted == cut
    assert replayed(state, *UNNUMBERED) == replayed(state, keepalive(None), *UNNUMBERED) == "abc"


def test_a_restored_state_skips_an_event_that_was_damaged() -> None:
    one = reassembler()
    applied = [each for chunk in (*UNNUMBERED[:3], TORN, UNNUMBERED[4]) for each in one.feed(chunk)]
    assert (len(applied), one.state.output_text) == (5, "ac")  # the damaged one too, so that a log keeps its place
    assert replayed(restore(checkpoint(one.state)), *UNNUMBERED[:5], delta(None, "d")) == "acd"


def test_an_event_that_was_damaged_before_the_first_one_is_skipped_too() -> None:
    one = fed(TORN, *UNNUMBERED[1:4])
    one.begin(is_replay=True)
    assert (took(one, *UNNUMBERED), one.state.output_text) == ([None, None], "abc")


MIXED = (created(0), added(None), delta(1, "a"), delta(None, "b"), delta(2, "c"), ended(3, text="abc"))


@pytest.mark.parametrize("cut", range(1, len(MIXED)))
def test_where_only_some_events_have_numbers_all_is_replayed_and_what_was_applied_is_skipped(cut: int) -> None:
    one = fed(*MIXED[:cut])
    assert one.can_resume is (cut == 1)
    one.begin(is_replay=True)
    for chunk in MIXED:
        one.feed(chunk)
    assert (one.state.output_text, one.duplicates) == ("abc", cut)
    assert [each.kind for each in one.state.anomalies] == ["unnumbered"]


# The id


@pytest.mark.parametrize("identifier", ["resp_1", "a b", "../x", "réponse/1", "chatcmpl:7.2"])
def test_any_printable_id_is_learned(identifier: str) -> None:
    one = fed(frame("response.created", 0, response=body(id=identifier)))
    assert one.response_id == identifier


# Holes, and the end of a connection


def test_what_a_connection_leaves_out_is_a_hole_until_it_is_crossed() -> None:
    one = fed(*STREAM[:3])
    assert one.hole is None
    one.feed(delta(5, "d"))
    assert (one.hole, one.has_gap) == ((2, 5), True)
    one.cross()
    assert (took(one, b": comment\n\n"), one.hole, one.state.output_text) == ([5], None, "ad")
    assert took(one, delta(6, "e"), delta(8, "g")) == [6]


def test_a_hole_that_is_crossed_on_the_next_connection_needs_no_wait() -> None:
    one = fed(*STREAM[:3], delta(5, "d"))
    one.cross()
    one.begin(is_replay=False)
    assert took(one, delta(5, "d") + delta(6, "e")) == [5, 6]


def test_an_end_alone_and_a_damaged_event_leave_no_hole() -> None:
    assert fed(*STREAM[:3], ended(9, text="abc")).hole is None
    assert fed(*STREAM[:3], TORN, delta(5)).hole is None
    assert fed(*STREAM[:3], TORN + delta(5)).hole is None
    assert fed(delta(5)).hole is None


def test_an_error_after_the_end_or_in_an_unfinished_block_is_kept() -> None:
    told = frame("error", 6, error={"message": "one"})
    one = fed(*STREAM, told)
    assert one.state.error is not None
    assert (one.state.error.message, one.state.cursor) == ("one", 6)
    one.feed(keepalive(7) + frame("error", 99, error={"message": "two"}))
    assert one.state.error.message == "two"
    cut = fed(*STREAM[:3], b'{"error":{"message":"three"}}')
    cut.close()
    assert cut.state.error is not None
    assert cut.state.error.message == "three"


def test_events_of_another_response_are_no_duplicates() -> None:
    other = frame("response.completed", 2, response=body("completed", "x", id="resp_2"))
    one = fed(*STREAM[:3], created(0, id="resp_2"), delta(1), other)
    assert (one.state.is_foreign, one.duplicates, one.any_end) == (True, 0, None)
    one.begin(is_replay=False)
    assert (one.state.is_foreign, took(one, delta(3, "b"))) == (False, [3])
