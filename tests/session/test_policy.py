"""The policies: the repair policy, the window of held events, and text that was never seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold import State, fold, states
from streamfold.reader import EventReader
from streamfold.schema import Keepalive
from streamfold.session.outcome import RepairKind
from streamfold.session.policy import RepairPolicy, Window, has_unseen_text
from tests.conftest import Recording, on_every_recording
from tests.fold.made import added, completed, delta, event
from tests.fold.recorded import CUT_BY_HAND

RESUME, REPLAY, RETRIEVE = RepairKind


def step(policy: RepairPolicy, *, can_resume: bool = True) -> RepairKind | None:
    return policy.next(can_resume=can_resume)


def exhaust(policy: RepairPolicy, *kinds: RepairKind) -> None:
    for kind in kinds:
        while step(policy) is kind:
            policy.fail(kind)


def test_the_first_step_is_to_resume() -> None:
    assert step(RepairPolicy(5)) is RESUME


def test_without_a_number_to_resume_after_the_first_step_is_to_replay() -> None:
    assert step(RepairPolicy(5), can_resume=False) is REPLAY


def test_asking_for_the_next_step_takes_none() -> None:
    policy = RepairPolicy(1)
    assert [step(policy), step(policy)] == [RESUME, RESUME]


def test_a_step_is_tried_so_often_in_a_row_and_then_the_next_one_is() -> None:
    policy, tried = RepairPolicy(2), []
    while (kind := step(policy)) is not None:
        tried.append(kind)
        policy.fail(kind)
    assert tried == [RESUME, RESUME, REPLAY, REPLAY, RETRIEVE, RETRIEVE]


def test_the_attempts_count_those_of_the_present_step() -> None:
    policy = RepairPolicy(3)
    policy.fail(RESUME)
    policy.fail(RESUME)
    assert policy.attempts(RESUME) == 2
    policy.fail(RESUME)
    assert (policy.attempts(REPLAY), step(policy)) == (0, REPLAY)


def test_where_more_attempts_are_no_use_fewer_are_made() -> None:
    policy = RepairPolicy(5)
    policy.fail(RESUME, max_attempts=2)
    assert step(policy) is RESUME
    policy.fail(RESUME, max_attempts=2)
    assert step(policy) is REPLAY


def test_no_step_is_tried_more_often_than_allowed_whatever_may_be_of_use() -> None:
    policy = RepairPolicy(1)
    policy.fail(RESUME, max_attempts=2)
    assert step(policy) is REPLAY


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param([RESUME], REPLAY, id="a cursor"),
        pytest.param([RESUME, REPLAY], RETRIEVE, id="any stream"),
        pytest.param([REPLAY], RESUME, id="a replay"),
        pytest.param(list(RepairKind), None, id="everything"),
    ],
)
def test_a_refused_step_is_passed_over_for_good(refused: list[RepairKind], left: RepairKind | None) -> None:
    policy = RepairPolicy(5)
    policy.refuse(*refused)
    assert step(policy) is left
    policy.progress()
    policy.give_another_try()
    assert step(policy) is left


def test_only_what_was_refused_is_known_as_refused() -> None:
    policy = RepairPolicy(1)
    policy.refuse(REPLAY)
    policy.fail(RESUME)
    assert [policy.is_refused(kind) for kind in RepairKind] == [False, True, False]


def test_refusing_nothing_changes_nothing() -> None:
    policy = RepairPolicy(5)
    policy.fail(RESUME)
    policy.refuse()
    assert (step(policy), policy.attempts(RESUME)) == (RESUME, 1)


def test_progress_brings_back_every_exhausted_step_with_all_its_attempts() -> None:
    policy = RepairPolicy(2)
    exhaust(policy, RESUME, REPLAY)
    policy.fail(RETRIEVE)
    policy.progress()
    assert (step(policy), policy.attempts(RESUME)) == (RESUME, 0)
    policy.fail(RESUME)
    assert step(policy) is RESUME


def test_another_try_is_one_attempt_for_each_exhausted_step() -> None:
    policy, tried = RepairPolicy(3), []
    exhaust(policy, RESUME, REPLAY)
    policy.give_another_try()
    while (kind := step(policy)) in {RESUME, REPLAY}:
        assert kind is not None
        tried.append(kind)
        policy.fail(kind)
    assert tried == [RESUME, REPLAY]


def test_another_try_takes_nothing_from_a_step_that_was_not_exhausted() -> None:
    policy, tried = RepairPolicy(3), 0
    policy.give_another_try()
    while step(policy) is RESUME:
        policy.fail(RESUME)
        tried += 1
    assert tried == 3


def test_another_try_forgets_what_gets_failed_before() -> None:
    policy = RepairPolicy(3)
    policy.refuse(RESUME, REPLAY)
    policy.fail(RETRIEVE)
    policy.give_another_try()
    assert (policy.attempts(RETRIEVE), step(policy)) == (0, RETRIEVE)


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
