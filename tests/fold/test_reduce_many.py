"""fold, states and replay: many events, a state after each, and the state at a number."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import NumberNotReached, SequenceGap
from streamfold.fold.reduce import fold, reduce, replay, states
from streamfold.fold.state import SequencePolicy, State
from streamfold.schema import Event
from tests.fold.made import added, completed, created, delta, keepalive

NUMBERED: list[Event] = [
    created(3, status="in_progress"),
    added(4),
    delta(5, "a"),
    delta(6, "b"),
    keepalive(7),
    delta(8, "c"),
    completed(9, status="completed"),
]


# fold


def test_folding_is_reducing_one_after_the_other() -> None:
    state = State()
    for each in NUMBERED:
        state = reduce(state, each)
    assert fold(NUMBERED) == state
    assert (state.cursor, state.status, state.output_text) == (9, "completed", "abc")


def test_folding_nothing_gives_the_very_same_state() -> None:
    state = fold(NUMBERED[:4])
    assert fold([], state) is state
    assert fold([]) == State()


def test_folding_may_start_from_a_state() -> None:
    assert fold(NUMBERED[4:], fold(NUMBERED[:4])) == fold(NUMBERED)


def test_folding_stops_at_a_gap() -> None:
    with pytest.raises(SequenceGap) as raised:
        fold([NUMBERED[0], NUMBERED[2]])
    assert (raised.value.expected, raised.value.got) == (4, 5)


@given(st.integers(0, len(NUMBERED)))
def test_a_stream_may_be_folded_in_two_parts(cut: int) -> None:
    assert fold(NUMBERED[cut:], fold(NUMBERED[:cut])) == fold(NUMBERED)


# states


def test_there_is_a_state_after_each_event() -> None:
    assert [state.cursor for state in states(NUMBERED)] == [3, 4, 5, 6, 7, 8, 9]
    assert [state.output_text for state in states(NUMBERED)] == ["", "", "a", "ab", "ab", "abc", "abc"]


def test_kept_states_still_read_the_same_when_all_are_there() -> None:
    kept = list(states(NUMBERED))
    assert kept == [fold(NUMBERED[:length]) for length in range(1, len(NUMBERED) + 1)]


def test_a_duplicate_gives_the_same_state_once_more() -> None:
    once, twice = states([NUMBERED[0], NUMBERED[0]])
    assert twice is once


def test_states_are_made_when_asked_for() -> None:
    def events() -> Iterator[Event]:
        yield NUMBERED[0]
        pytest.fail("nobody asked for a second event")

    assert next(states(events())).cursor == 3


def test_the_states_before_a_gap_are_given() -> None:
    cursors: list[int | None] = []
    with pytest.raises(SequenceGap):
        for state in states([NUMBERED[0], NUMBERED[1], NUMBERED[3]]):
            cursors.append(state.cursor)
    assert cursors == [3, 4]


def test_states_may_start_from_a_state() -> None:
    assert list(states(NUMBERED[4:], fold(NUMBERED[:4]))) == list(states(NUMBERED))[4:]


# replay


@pytest.mark.parametrize("at", range(3, 10))
def test_a_replay_stops_at_the_number(at: int) -> None:
    assert replay(NUMBERED, at=at) == fold(NUMBERED[: at - 2])


def test_a_replay_asks_for_no_event_behind_the_number() -> None:
    def events() -> Iterator[Event]:
        yield from NUMBERED[:3]
        pytest.fail("nobody asked for event 6")

    assert replay(events(), at=5).cursor == 5


@pytest.mark.parametrize("start", range(1, 5))
def test_a_replay_may_start_from_a_checkpoint_before_the_number(start: int) -> None:
    assert replay(NUMBERED[start:], at=8, state=fold(NUMBERED[:start])) == replay(NUMBERED, at=8)


def test_a_replay_drops_what_the_checkpoint_knows() -> None:
    assert replay(NUMBERED, at=8, state=fold(NUMBERED[:4])) == replay(NUMBERED, at=8)
    assert replay(NUMBERED, at=6, state=fold(NUMBERED[:4])) == replay(NUMBERED, at=6)


def test_a_state_that_stands_at_the_number_needs_no_event() -> None:
    state = fold(NUMBERED[:4])
    assert replay([], at=6, state=state) is state


@pytest.mark.parametrize(
    ("events", "at", "cursor"),
    [
        pytest.param([], 3, None, id="no events"),
        pytest.param(NUMBERED, 10, 9, id="they end before it"),
        pytest.param(NUMBERED, 2, 3, id="they begin behind it"),
        pytest.param(NUMBERED, -1, 3, id="a number below zero"),
        pytest.param(NUMBERED[:3], 6, 5, id="cut short"),
    ],
)
def test_a_number_that_the_events_do_not_hold_is_refused(events: list[Event], at: int, cursor: int | None) -> None:
    with pytest.raises(NumberNotReached) as raised:
        replay(events, at=at)
    assert (raised.value.at, raised.value.cursor) == (at, cursor)


def test_a_number_before_the_checkpoint_is_refused() -> None:
    with pytest.raises(NumberNotReached, match=r"^no state at 4: the events skip it and continue at 6$"):
        replay(NUMBERED, at=4, state=fold(NUMBERED[:4]))


def test_a_checkpoint_at_the_number_is_the_state_there() -> None:
    state = fold(NUMBERED[:4])
    assert state.cursor is not None
    assert replay(NUMBERED[4:], at=state.cursor, state=state) is state


def test_a_gap_on_the_way_is_not_passed_over() -> None:
    with pytest.raises(SequenceGap):
        replay([NUMBERED[0], NUMBERED[3]], at=6)


def test_a_stream_without_numbers_is_replayed_by_order_of_arrival() -> None:
    events = [added(None), delta(None, "a"), delta(None, "b")]
    assert replay(events, at=1).output_text == "a"


def test_a_hole_that_the_policy_allows_may_hold_the_number() -> None:
    start = State.under(SequencePolicy.RENUMBER)
    with pytest.raises(NumberNotReached, match=r"^no state at 4: the events skip it and continue at 5$"):
        replay([NUMBERED[0], NUMBERED[2]], at=4, state=start)
