"""lacks_text: whether a terminal Response holds what the fold never saw."""

from typing import Any

import pytest

from streamfold.fold import State, fold, states
from streamfold.reader import EventReader
from streamfold.session.compaction import lacks_text
from tests.conftest import Recording, on_every_recording
from tests.fold.made import added, completed, delta, event
from tests.fold.recorded import CUT_BY_HAND

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
    assert lacks_text(SEEN, over(*output)) is lacks


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
    assert lacks_text(empty, fold([completed(0, output=[item])])) is True


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
    assert lacks_text(empty, fold([completed(0, output=[item])])) is False


@pytest.mark.parametrize("before", [State(), fold([event("keepalive", 0)])], ids=["nothing", "a sign of life"])
def test_a_state_that_saw_no_output_lacks_any(before: State) -> None:
    assert lacks_text(before, over(message("a"))) is True
    assert lacks_text(before, State()) is False


@pytest.mark.parametrize(
    "output", [b'{"a":1}', b'[{"x":1e400}]', b'[{"x":' + b"9" * 5000 + b"}]", b'[{"x":"\\ud800"}]', b'[{"x":"\xff"}]']
)
def test_no_output_raises(output: bytes) -> None:
    data = b'data: {"type":"response.completed","sequence_number":0,"response":{"output":%b}}\n\n' % output
    after = fold(EventReader().feed(data))
    assert lacks_text(after, after) is False


@on_every_recording
def test_a_whole_recording_lacks_nothing(recording: Recording) -> None:
    if recording.name in CUT_BY_HAND:
        return
    before = State()
    for state in states(EventReader().feed(recording.data)):
        if state.is_terminal:
            assert lacks_text(before, state) is False
            break
        before = state
