"""The policies: the window of held events, what a replay repeats, and text that was never seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold import State, fold, states
from streamfold.reader import EventReader
from streamfold.schema import Keepalive, decode_event
from streamfold.session.policy import APPLIED, DAMAGED, Repeated, Window, adopted, has_unseen_text, is_torn, usable_head
from tests.conftest import Recording, on_every_recording
from tests.fold.made import added, completed, delta, event
from tests.fold.recorded import CUT_BY_HAND


def numbered(number: int) -> Keepalive:
    return Keepalive(sequence_number=number)


def window(*numbers: int, max_events: int = 10, max_bytes: int = 100, data: bytes = b"x") -> Window:
    held = Window(max_events=max_events, max_bytes=max_bytes)
    for number in numbers:
        assert held.add(number, numbered(number), data)
    return held


def test_a_new_window_holds_nothing() -> None:
    assert (len(window()), window().last(), window().take(0)) == (0, None, None)


def test_an_event_comes_back_once_with_its_data() -> None:
    held = window(7, data=b"seven")
    assert held.take(7) == (numbered(7), b"seven")
    assert (held.take(7), len(held)) == (None, 0)


def test_only_the_number_that_is_asked_for_is_taken() -> None:
    held = window(7, 9)
    assert held.take(8) is None
    assert len(held) == 2


def test_the_first_event_of_a_number_stays() -> None:
    held = window(7, data=b"first")
    assert held.add(7, numbered(7), b"second") is True
    assert held.take(7) == (numbered(7), b"first")


def test_a_full_window_takes_no_event_more() -> None:
    held = window(3, 4, max_events=2)
    assert held.add(5, numbered(5), b"x") is False
    assert len(held) == 2


def test_a_full_window_still_knows_what_it_holds() -> None:
    held = window(3, 4, max_events=2)
    assert held.add(4, numbered(4), b"x") is True


def test_the_bytes_are_bounded_up_to_the_last() -> None:
    held = window(3, max_bytes=10, data=b"12345")
    assert held.add(4, numbered(4), b"123456") is False
    assert held.add(4, numbered(4), b"12345") is True


def test_what_is_taken_makes_room() -> None:
    held = window(3, max_events=1, max_bytes=5, data=b"12345")
    held.take(3)
    assert held.add(4, numbered(4), b"12345") is True


def test_what_was_applied_another_way_is_forgotten() -> None:
    held = window(3, 4, 5, 9, max_bytes=4)
    held.drop_to(5)
    assert [held.take(number) is not None for number in (3, 4, 5, 9)] == [False, False, False, True]


def test_what_is_forgotten_makes_room() -> None:
    held = window(3, max_bytes=1)
    held.drop_to(3)
    assert held.add(4, numbered(4), b"x") is True


def test_a_window_that_was_cleared_is_as_a_new_one() -> None:
    held = window(3, 4, max_events=2, max_bytes=2)
    held.clear()
    assert (len(held), held.last()) == (0, None)
    assert [held.add(number, numbered(number), b"x") for number in (3, 4)] == [True, True]


def test_the_last_is_that_of_the_highest_number() -> None:
    assert window(9, 12, 10).last() == numbered(12)


@given(st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=9))), st.integers(1, 8), st.integers(1, 40))
def test_no_order_of_events_fills_a_window_beyond_its_bounds(
    arrivals: list[tuple[int, bytes]], max_events: int, max_bytes: int
) -> None:
    held = Window(max_events=max_events, max_bytes=max_bytes)
    expected: dict[int, bytes] = {}
    for number, data in arrivals:
        if held.add(number, numbered(number), data):
            expected.setdefault(number, data)
    assert len(held) == len(expected) <= max_events
    assert sum(map(len, expected.values())) <= max_bytes
    assert {number: (held.take(number) or (None, None))[1] for number in sorted(expected)} == expected
    assert len(held) == 0


SEEN = fold([added(0), delta(1, "Hel"), delta(2, "lo")])


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}]}


def over(*output: object) -> State:
    return fold([completed(3, status="completed", output=list(output))], SEEN)


@pytest.mark.parametrize(
    ("output", "lacks"),
    [
        pytest.param([message("Hello")], False, id="the same"),
        pytest.param([message("Help!")], False, id="as much, in other words"),
        pytest.param([message("Hell")], False, id="less"),
        pytest.param([message("Hello world")], True, id="more text"),
        pytest.param([message("Hello"), message("")], True, id="another item"),
        pytest.param([], False, id="no output, so that the folded one stays"),
        pytest.param([message("Hello") | {"role": "assistant", "phase": "final"}], False, id="more fields"),
    ],
)
def test_more_text_or_more_items_were_never_seen(output: list[Any], lacks: bool) -> None:
    assert has_unseen_text(SEEN, over(*output)) is lacks


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "arguments": "{}"},
        {"type": "code_interpreter_call", "code": "1"},
        {"type": "apply_patch_call", "operation": {"diff": "+1"}},
        {"type": "custom_tool_call", "input": "a"},
        {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "output_audio", "transcript": "hi"},
    ],
    ids=lambda item: item["type"],
)
def test_whatever_deltas_fill_counts_as_text(item: dict[str, Any]) -> None:
    empty = fold([completed(0, output=[{"type": item["type"]}])])
    assert has_unseen_text(empty, fold([completed(0, output=[item])])) is True


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "id": "msg_2", "status": "completed"},
        {"type": "mcp_list_tools", "tools": [{"name": "a"}]},
        {"type": "message", "content": [{"type": "output_text", "text": None, "logprobs": []}]},
        {"type": "reasoning", "encrypted_content": "abc"},
        {"type": "deeper than any delta goes", "a": [{"b": {"c": {"d": {"text": "hi"}}}}]},
    ],
)
def test_what_no_delta_fills_is_no_text(item: dict[str, Any]) -> None:
    empty = fold([completed(0, output=[{"type": item["type"]}])])
    assert has_unseen_text(empty, fold([completed(0, output=[item])])) is False


@pytest.mark.parametrize("before", [State(), fold([event("keepalive", 0)])], ids=["nothing", "a sign of life"])
def test_a_state_that_saw_no_output_lacks_any(before: State) -> None:
    assert has_unseen_text(before, over(message("a"))) is True
    assert has_unseen_text(before, State()) is False


@pytest.mark.parametrize(
    "output", [b'{"a":1}', b'[{"x":1e400}]', b'[{"x":' + b"9" * 5000 + b"}]", b'[{"x":"\\ud800"}]', b'[{"x":"\xff"}]']
)
def test_no_output_raises(output: bytes) -> None:
    data = b'data: {"type":"response.completed","sequence_number":0,"response":{"output":%b}}\n\n' % output
    after = fold(EventReader().feed(data))
    assert has_unseen_text(after, after) is False


@on_every_recording
def test_a_whole_recording_lacks_nothing(recording: Recording) -> None:
    if recording.name in CUT_BY_HAND:
        return
    before = State()
    for state in states(EventReader().feed(recording.data)):
        if state.is_terminal:
            assert has_unseen_text(before, state) is False
            break
        before = state


# What an event says by itself


def test_the_window_knows_its_lowest_number() -> None:
    assert (window().first(), window(7, 5, 6).first()) == (None, 5)


def test_an_event_is_torn_if_not_even_its_number_can_be_read() -> None:
    known = [b"{torn", b'{"type":"keepalive","sequence_number":1}', b'{"type":"new"}']
    assert [is_torn(decode_event(data)) for data in known] == [True, False, False]


def ending(kind: str, **response: object) -> Any:
    return event(f"response.{kind}", 9, response=response)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        pytest.param(ending("completed", status="completed"), "completed", id="its own"),
        pytest.param(ending("failed", status="cancelled"), "cancelled", id="its own, not the name"),
        pytest.param(ending("incomplete"), "incomplete", id="none: the name"),
        pytest.param(ending("failed", status=None), "failed", id="null: the name"),
        pytest.param(ending("in_progress"), None, id="none, and no end"),
        pytest.param(ending("completed", status="in_progress"), "in_progress", id="one that is no end"),
    ],
)
def test_a_response_is_adopted_with_the_status_of_its_event_if_it_has_none(end: Any, status: str | None) -> None:
    assert adopted(State(), end).status == status


@pytest.mark.parametrize(
    ("response", "identifier"),
    [
        (b'{"id":"resp_1","background":true}', "resp_1"),
        (b'{"id":""}', None),
        (b'{"id":".."}', None),
        (b'{"id":"a\xef\xbf\xbd"}', None),
        (b"{}", None),
        (b"[]", None),
    ],
)
def test_only_an_id_that_a_call_can_name_is_usable(response: bytes, identifier: str | None) -> None:
    head = usable_head(response)
    assert (head.id if head else None) == identifier


# What a replay repeats: `u` is an event without a number


def repeated(*notes: tuple[int, int], at: int, given: int | None = None) -> Repeated:
    """On a replay of a mixed stream whose cursor is `at`. notes: The cursor, and what came."""
    one = Repeated(given)
    for cursor, what in notes:
        one.note(cursor, what)
    one.begin(state_at(at), is_counted_past=True)
    return one


def state_at(cursor: int) -> State:
    return fold(
        [event("response.created", 0, response={"id": "resp_1"}), *(delta(each) for each in range(1, cursor + 1))]
    )


def new(one: Repeated, *numbers: int | None, cursor: int) -> list[bool]:
    return [one.is_new(delta(number), cursor) for number in numbers]


U = None


@pytest.mark.parametrize(
    ("notes", "replay", "expected"),
    [
        pytest.param([], [0, U, 1, U, 2, U], [1, 0, 1, 0, 1, 1], id="all before the cursor's event, none after it"),
        pytest.param([(2, APPLIED)], [1, 2, U, U], [1, 1, 0, 1], id="as many after it as were applied"),
        pytest.param([(1, APPLIED)], [1, U, 2, U], [1, 0, 1, 1], id="the cursor has moved since"),
        pytest.param([(2, DAMAGED), (2, APPLIED)], [2, U, U, U], [1, 0, 0, 1], id="a damaged one had no number"),
        pytest.param([(2, DAMAGED), (2, APPLIED)], [2, 3, U, U], [1, 1, 0, 1], id="it had one, and is whole now"),
        pytest.param([(2, APPLIED), (2, DAMAGED)], [2, U, U], [1, 0, 1], id="it was the last, and is whole now"),
        pytest.param([(2, 4), (2, APPLIED)], [2, 3, 4, U, U], [1, 1, 1, 0, 1], id="one was held"),
        pytest.param([(2, APPLIED)], [3, U, U], [1, 0, 1], id="the cursor's event is missing"),
        pytest.param([(1, 3), (1, APPLIED)], [2, 3, U, U], [1, 1, 0, 1], id="the gap was filled"),
        pytest.param([(0, 2), (0, APPLIED)], [2, U, U], [1, 0, 1], id="what was held is the cursor's event now"),
    ],
)
def test_of_a_mixed_stream_the_cursor_says_what_is_repeated(
    notes: list[tuple[int, int]], replay: list[int | None], expected: list[int]
) -> None:
    assert new(repeated(*notes, at=2), *replay, cursor=2) == [bool(each) for each in expected]


def test_what_comes_by_the_clock_takes_no_place() -> None:
    one = repeated((2, APPLIED), at=2)
    assert [one.is_new(numbered(2), 2), one.is_new(Keepalive(), 2), one.is_skipping] == [True, False, True]
    assert new(one, U, U, cursor=2) == [False, True]
    assert not one.is_skipping


def test_after_a_number_that_was_missing_what_was_applied_is_still_known() -> None:
    one = repeated((2, DAMAGED), (2, APPLIED), at=2)
    assert new(one, 2, 3, cursor=2) == [True, True]
    one.begin(state_at(3), is_counted_past=True)
    assert new(one, 3, U, U, cursor=3) == [True, False, True]


def test_of_a_state_that_was_given_as_many_are_skipped_as_it_counted() -> None:
    one = Repeated(2)
    one.note(2, APPLIED)
    one.begin(state_at(2), is_counted_past=True)
    assert [one.is_new(delta(None), None) for _ in range(4)] == [False, False, False, True]
    one.begin(state_at(2), is_counted_past=False)
    assert not one.is_skipping


def test_what_was_damaged_before_the_first_event_is_skipped_too() -> None:
    one = Repeated(None)
    one.note(None, DAMAGED)
    one.begin(fold([delta(None)]), is_counted_past=True)
    assert [one.is_new(delta(None), None) for _ in range(3)] == [False, False, True]


def test_only_what_has_no_number_among_numbers_and_counts_is_noted() -> None:
    one = Repeated(None)
    for each in (delta(None), delta(2), Keepalive()):
        one.note_applied(each, state_at(2))
    one.note_applied(delta(None), fold([delta(None)]))
    one.begin(state_at(2), is_counted_past=True)
    assert new(one, 2, U, U, cursor=2) == [True, False, True]
