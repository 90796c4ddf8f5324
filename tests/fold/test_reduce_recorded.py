"""reduce_recorded: every event of a log is applied, and the state has the server's numbers again."""

import pytest
from hypothesis import given

from streamfold.errors import SequenceGap
from streamfold.fold.reduce import fold, reduce, reduce_recorded
from streamfold.fold.snapshot import snapshot_json
from streamfold.fold.state import SequencePolicy, State
from streamfold.schema import Event, decode_event
from tests.fold.made import created, delta, keepalive, tolerated
from tests.fold.streams import Story, stories

CUT_SHORT = decode_event(b'{"type":"resp')


def placed(*events: tuple[int, Event]) -> State:
    state = State()
    for number, each in events:
        state = reduce_recorded(state, each, number)
    return state


@given(stories())
def test_a_stream_with_good_numbers_folds_as_ever(story: Story) -> None:
    assert placed(*enumerate(story.events)) == fold(story.events)


def test_numbers_that_were_left_out_are_a_hole_that_was_believed() -> None:
    events = [created(0), delta(1, "a"), delta(5, "b"), delta(6, "c")]
    state = placed((0, events[0]), (1, events[1]), (5, events[2]), (6, events[3]))
    assert snapshot_json(state) == snapshot_json(fold(events, State.under(SequencePolicy.RENUMBER)))
    assert tolerated(state) == [("item_created", 1, 1), ("part_created", 1, 1), ("hole", 1, 5)]


def test_after_a_hole_that_was_believed_the_next_one_is_a_gap_again() -> None:
    state = placed((0, created(0)), (5, delta(5, "b")))
    with pytest.raises(SequenceGap):
        reduce(state, delta(7, "c"))


def test_a_second_hole_is_noted_too() -> None:
    state = placed((0, created(0)), (3, keepalive(3)), (9, keepalive(9)))
    assert tolerated(state) == [("hole", 2, 3)]


def test_events_that_are_numbered_otherwise_count_by_arrival() -> None:
    events = [created(0), delta(0, "a"), delta(0, "b"), delta(3, "c")]
    state = placed(*enumerate(events))
    assert (state.cursor, state.output_text, state.is_numbered) == (3, "abc", False)
    assert snapshot_json(state) == snapshot_json(fold(events, State.under(SequencePolicy.ARRIVAL)))


def test_a_first_event_whose_record_has_another_number_was_counted_by_arrival() -> None:
    state = placed((0, created(7)), (1, delta(9, "a")))
    assert (state.cursor, state.output_text, state.is_numbered) == (1, "a", False)


def test_text_that_grew_before_the_numbers_went_wrong_is_kept() -> None:
    state = placed((0, created(0)), (1, delta(1, "a")), (2, delta(2, "b")), (3, delta(3, "c")), (4, delta(1, "d")))
    assert (state.cursor, state.output_text) == (4, "abcd")


def test_events_without_numbers_are_counted() -> None:
    state = placed((5, created(None)), (6, delta(None, "a")), (7, delta(None, "b")))
    assert (state.cursor, state.output_text, state.is_numbered) == (2, "ab", False)


@pytest.mark.parametrize("extra", [keepalive(None), delta(None, "-")], ids=["keepalive", "delta"])
def test_an_event_without_a_number_moves_the_records_and_not_the_cursor(extra: Event) -> None:
    events = [created(0), extra, delta(1, "a"), extra, extra, delta(2, "b"), delta(3, "c")]
    state = placed(*enumerate(events))
    assert (state.cursor, state.is_numbered) == (3, True)
    assert state.output_text.replace("-", "") == "abc"
    assert state == fold(events)


@pytest.mark.parametrize("first", [[], [created(0)], [created(None)]], ids=["first", "numbered", "unnumbered"])
def test_what_cannot_be_read_is_noted_and_the_next_event_is_applied(first: list[Event]) -> None:
    at = len(first)
    state = placed(*enumerate([*first, CUT_SHORT]))
    assert ("malformed", 1) in [(kind, count) for kind, count, _ in tolerated(state)]
    assert reduce_recorded(state, keepalive(at + 1), at + 1).cursor == at + 1


def test_no_state_changes() -> None:
    state = reduce(State(), created(0))
    before = snapshot_json(state), state.focus.document.policy
    reduce_recorded(state, delta(7), 5)
    assert (snapshot_json(state), state.focus.document.policy) == before
