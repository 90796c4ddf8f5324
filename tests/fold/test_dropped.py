"""reduce: what is applied whatever its number, and what is dropped: duplicates, and events of another response."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import SequenceGap
from streamfold.fold.checkpoint import checkpoint, restore
from streamfold.fold.dropped import MAX_RUNS, rejoin, remembered, was_dropped
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK, MAX_NUMBER, fold, reduce, states
from streamfold.fold.state import SequencePolicy, State, StreamError
from streamfold.schema import Event, UnknownEvent, decode_event
from tests.fold.made import MESSAGE, added, completed, created, delta, event, keepalive, seen, tolerated
from tests.fold.streams import Story, stories

STREAM: list[Event] = [created(0, id="a"), added(1), delta(2, "a"), delta(3, "b"), keepalive(4), delta(5, "c")]
ENDS = ["response.completed", "response.failed", "response.incomplete", "response.cancelled"]
WRONG_NUMBERS = ["3.5", "6", 6.0, True, [6], {}, None, -1, 0, 5, MAX_NUMBER + 1, 10**30]


def end(name: str, number: object, **fields: object) -> Event:
    return event(name, number, response={"id": "a", "status": name.rpartition(".")[2], **fields})  # type: ignore[arg-type]


# A terminal event ends the response whatever its number


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("number", WRONG_NUMBERS, ids=repr)
def test_a_terminal_event_ends_the_response_whatever_its_number(name: str, number: object) -> None:
    state = reduce(fold(STREAM), end(name, number))
    assert (state.is_terminal, state.status, state.cursor) == (True, name.rpartition(".")[2], 5)
    assert tolerated(state)[0] == ("unnumbered", 1, 5)


@pytest.mark.parametrize("policy", [SequencePolicy.STRICT, SequencePolicy.RENUMBER])
@pytest.mark.parametrize("number", [0, 5])
def test_the_same_end_again_is_a_duplicate(number: int, policy: SequencePolicy) -> None:
    last = end("response.completed", number)
    state = fold([*STREAM, last], State.under(policy))
    assert reduce(state, last) is state


def test_an_end_that_is_ahead_is_a_gap_like_any_other_event() -> None:
    with pytest.raises(SequenceGap):
        reduce(fold(STREAM), end("response.completed", 7))
    with pytest.raises(SequenceGap):
        reduce(fold(STREAM), end("response.completed", MAX_NUMBER))


@pytest.mark.parametrize("number", [0, 5, -1, "x", None, MAX_NUMBER + 1])
def test_the_first_error_counts_whatever_its_number(number: Any) -> None:
    state = reduce(fold(STREAM), event("error", number, message="slow down"))
    assert (state.error, state.cursor) == (StreamError(message="slow down"), 5)
    assert tolerated(state) == [("unnumbered", 1, 5)]


def test_a_second_error_with_a_known_number_is_a_duplicate() -> None:
    state = fold([*STREAM, event("error", 6, message="slow down")])
    assert reduce(state, event("error", 6, message="slow down")) is state
    assert reduce(state, event("error", 2, message="slow down")).error == StreamError(message="slow down")


@pytest.mark.parametrize("number", ["7", 7.5, True, [7]])
@pytest.mark.parametrize("name", ["response.output_text.delta", "keepalive", "response.not_known_yet"])
def test_a_number_that_is_no_number_counts_as_none_on_every_event(name: str, number: Any) -> None:
    made = event(name, number, output_index=0, content_index=0, delta="!")
    state = reduce(fold(STREAM), made)
    assert (state.cursor, tolerated(state)) == (5, [("unnumbered", 1, 5)])
    assert state.output_text == ("abc!" if "delta" in name else "abc")


# A known number that certainly says something else


def known(kind: str, number: int) -> Event:
    fields = {"output_index": 0, "content_index": 0, "item": MESSAGE, "part": {"type": "output_text"}, "text": "t"}
    return event(kind, number, delta="other", **fields)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(known("response.output_text.delta", 0), id="a text for the first event"),
        pytest.param(known("response.output_text.done", 2), id="done for a text"),
        pytest.param(known("response.output_item.added", 3), id="an item for a text"),
        pytest.param(known("response.output_text.delta", 4), id="a text for a keepalive"),
        pytest.param(delta(5, "other"), id="the last text in other words"),
        pytest.param(UnknownEvent("new", 3, b"{}"), id="an unknown type"),
        pytest.param(UnknownEvent("response.refusal.delta", 3, b"{}", "broken"), id="one that did not decode"),
    ],
)
def test_a_known_number_that_says_something_else_is_dropped_and_told(other: Event) -> None:
    before = fold(STREAM)
    after = reduce(before, other)
    assert (after.cursor, seen(after), after.status) == (5, seen(before), before.status)
    assert tolerated(after) == [("duplicate_differs", 1, 5)]
    assert was_dropped(before, after)
    assert reduce(after, delta(6, "d")).output_text == "abcd"


@pytest.mark.parametrize("length", [2, 5, FRAGMENTS_PER_BLOCK, FRAGMENTS_PER_BLOCK + 3])
def test_the_text_of_fragments_that_are_not_joined_yet_is_compared(length: int) -> None:
    events = [delta(number, f"{number},") for number in range(length)]
    state = fold(events)
    last = length - 1
    assert all(reduce(state, each) is state for each in events)
    assert tolerated(reduce(state, delta(last, "other")))[-1] == ("duplicate_differs", 1, last)
    if state.previous is not None:
        assert tolerated(reduce(state, delta(last, f"{last},", part=1)))[-1] == ("duplicate_differs", 1, last)


def test_after_an_event_without_a_number_the_last_text_is_not_compared() -> None:
    state = fold([*STREAM, delta(None, "x")])
    assert reduce(state, STREAM[-1]) is state


def test_a_type_that_was_forgotten_is_taken_for_the_same() -> None:
    many = [event(("keepalive", "response.new")[number % 2], number) for number in range(3 * MAX_RUNS)]
    state = fold(many)
    assert reduce(state, delta(3, "x")) is state
    assert reduce(state, delta(2 * MAX_RUNS, "x")) is not state
    assert len([*remembered(state.focus.run)]) == MAX_RUNS


@pytest.mark.parametrize("place", range(1, len(STREAM) + 1))
def test_a_restored_state_knows_the_types_too(place: int) -> None:
    state = restore(checkpoint(fold(STREAM[:place])))
    assert all(reduce(state, each) is state for each in STREAM[:place])
    assert tolerated(reduce(state, known("response.refusal.delta", 0))) == [("duplicate_differs", 1, place - 1)]


@given(stories(), st.data())
def test_every_event_with_the_number_of_one_of_another_type_is_told(story: Story, data: st.DataObject) -> None:
    """The mirror of law 2: a duplicate gives the very same state, and an event of another type never does."""
    events = story.events
    place = data.draw(st.integers(1, len(events) - 1))
    state = fold(events[:place])
    number = data.draw(st.integers(0, place - 1))
    other = data.draw(st.sampled_from([UnknownEvent("new", number, b"{}"), delta(number), keepalive(number)]))
    expected = events[number].type != other.type
    kinds = [kind for kind, _, _ in tolerated(reduce(state, other))]
    assert "duplicate_differs" in kinds if expected else kinds == [] or other.type.endswith(".delta")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(keepalive(6), False, id="the next event"),
        pytest.param(keepalive(None), False, id="one without a number"),
        pytest.param(keepalive(4), True, id="a duplicate"),
        pytest.param(keepalive(3), True, id="one that differs"),
        pytest.param(created(0, id="b"), True, id="another response"),
        pytest.param(event("response.output_text.delta", 6, output_index=-1, delta="x"), False, id="a refused one"),
    ],
)
def test_what_was_dropped_is_told_by_the_states_around_it(after: Event, expected: bool) -> None:
    state = fold(STREAM)
    assert was_dropped(state, reduce(state, after)) is expected


# Another response in the same stream


def others(number: int | None) -> list[Event]:
    def at(place: int) -> int | None:
        return None if number is None else number + place

    item = {**MESSAGE, "id": "msg_2"}
    output = [{**item, "content": [{"type": "output_text", "text": "xyz"}]}]
    return [
        created(at(0), id="b"),
        added(at(1), item),
        delta(at(2), "x"),
        delta(at(3), "y"),
        keepalive(at(4)),
        delta(at(5), "z"),
        completed(at(6), id="b", output=output),
    ]


@pytest.mark.parametrize("number", [0, 6, None])
@pytest.mark.parametrize("length", range(1, len(STREAM) + 1))
def test_nothing_of_another_response_is_applied(length: int, number: int | None) -> None:
    before = fold(STREAM[:length])
    if number is not None and number > length:
        number = length
    state = fold([*others(number), decode_event(b"[DONE]")], before)
    assert (state.cursor, seen(state), state.status, state.is_foreign) == (
        length - 1,
        seen(before),
        "in_progress",
        True,
    )
    assert tolerated(state) == [("other_response", len(others(number)), length - 1)]


@pytest.mark.parametrize("number", [0, 7, None])
def test_nor_is_it_after_the_end_of_the_first(number: int | None) -> None:
    before = fold([*STREAM, completed(6, id="a")])
    state = fold(others(number), before)
    assert (seen(state), state.status, state.is_foreign) == (seen(before), "completed", True)
    assert {kind: count for kind, count, _ in tolerated(state)}["other_response"] == 7


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("number", [6, 0, None])
@pytest.mark.parametrize("output", [[], [MESSAGE]])
def test_a_terminal_event_of_another_response_ends_nothing(name: str, number: int | None, output: list[Any]) -> None:
    state = reduce(fold(STREAM), end(name, number, id="b", output=output))
    assert (state.is_terminal, state.output_text, state.is_foreign) == (False, "abc", True)
    assert tolerated(state)[-1] == ("other_response", 1, 5)


def test_a_second_end_of_another_response_is_not_the_last_word() -> None:
    state = fold([*STREAM, completed(6, id="a"), completed(7, id="b", output=[])])
    assert (seen(state)["id"], tolerated(state)[-1]) == ("a", ("other_response", 1, 6))


def test_the_stream_may_come_back_to_the_first_response() -> None:
    state = fold([*STREAM, *others(0), end("response.in_progress", 6, status="in_progress"), delta(7, "d")])
    assert (state.output_text, state.is_foreign) == ("abcd", False)


def test_another_connection_brings_the_first_response_again() -> None:
    away = fold([*STREAM, *others(0)])
    back = rejoin(away)
    assert (back.is_foreign, back.cursor, tolerated(back)) == (False, 5, tolerated(away))
    assert reduce(back, delta(6, "d")).output_text == "abcd"
    assert rejoin(back) is back


def test_a_checkpoint_remembers_that_the_stream_is_elsewhere() -> None:
    state = restore(checkpoint(fold([*STREAM, created(0, id="b")])))
    assert state.is_foreign
    assert reduce(state, delta(6, "x")).output_text == "abc"


# Servers whose ids drift


def test_where_every_response_has_another_id_none_is_another_response() -> None:
    events = [created(0, id="1"), end("response.in_progress", 1, id="2", status="in_progress"), added(2), delta(3, "a")]
    state = fold([*events, completed(4, id="3", output=[])])
    assert (state.status, state.output_text) == ("completed", "a")
    assert [kind for kind, _, _ in tolerated(state)] == ["output_kept"]
    assert fold([*restored(events), completed(4, id="3")]).status == "completed"


def restored(events: list[Event]) -> list[Event]:
    """The same events, after whose last a state went through a checkpoint."""
    assert restore(checkpoint(fold(events))) == fold(events)
    return events


def test_an_end_that_holds_what_was_folded_is_this_one_whatever_its_id() -> None:
    output = [{**MESSAGE, "content": [{"type": "output_text", "text": "abc"}]}]
    state = fold([*STREAM, completed(6, id="another", output=output)])
    assert (state.status, state.is_foreign, tolerated(state)) == ("completed", False, [])


@pytest.mark.parametrize("ids", [(None, "b"), ("a", None), (5, "b"), ("a", 5)])
def test_without_two_ids_nothing_is_said(ids: tuple[Any, Any]) -> None:
    state = fold([created(0, id=ids[0]), created(1, id=ids[1]), completed(2, id=ids[1])])
    assert (state.status, tolerated(state)) == ("completed", [])


def test_the_first_response_may_be_any() -> None:
    for state in states([completed(41, id="x")]):
        assert (state.status, state.is_foreign) == ("completed", False)
