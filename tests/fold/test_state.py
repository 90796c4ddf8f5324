"""State: what is read of it, when two are equal, and that it cannot be changed."""

from typing import Any

import pytest
from msgspec import Raw

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK, fold, reduce, states
from streamfold.fold.state import Document, SequencePolicy, State, StreamError, grown, settled, without_text, written
from streamfold.fold.text import Text
from streamfold.fold.tree import find
from streamfold.schema import ErrorEvent, Event, OutputItemAdded
from tests.fold.made import MESSAGE, added, completed, created, delta, keepalive

STREAM: list[Event] = [
    created(0),
    added(1),
    *(delta(number, f"{number} ") for number in range(2, 3 * FRAGMENTS_PER_BLOCK)),
]


def output_text(output: Any) -> str:
    return fold([completed(0, output=output)]).output_text


# A state that has seen nothing


def test_a_new_state_has_seen_nothing() -> None:
    state = State()
    assert (state.cursor, state.status, state.is_terminal, state.output_text) == (None, None, False, "")
    assert (state.anomalies, state.error) == ((), None)


@pytest.mark.parametrize("policy", SequencePolicy)
def test_a_state_may_be_told_how_to_read_the_numbers(policy: SequencePolicy) -> None:
    state = State.under(policy)
    assert settled(state) == Document(policy=policy)
    assert (state == State()) is (policy is SequencePolicy.STRICT)


# Its properties


@pytest.mark.parametrize(
    ("status", "is_terminal"),
    [
        ("queued", False),
        ("in_progress", False),
        ("cancelling", False),
        ("completed", True),
        ("incomplete", True),
        ("failed", True),
        ("cancelled", True),
    ],
)
def test_the_status_is_the_word_of_the_last_response(status: str, is_terminal: bool) -> None:
    for event in (created(0, status=status), completed(0, status=status)):
        state = fold([event])
        assert (state.status, state.is_terminal) == (status, is_terminal)


@pytest.mark.parametrize(
    ("events", "is_numbered"),
    [
        pytest.param([], False, id="nothing seen"),
        pytest.param([created(7)], True, id="a number of its own"),
        pytest.param([created(None), keepalive(None)], False, id="none"),
        pytest.param([created(0), keepalive(None)], True, id="one event without"),
    ],
)
def test_a_state_knows_whether_its_cursor_is_the_servers(events: list[Event], is_numbered: bool) -> None:
    assert fold(events).is_numbered is is_numbered


def test_what_was_tolerated_and_what_the_stream_said_are_told() -> None:
    state = fold([keepalive(None), ErrorEvent(sequence_number=None, code="overloaded")])
    assert [anomaly.kind for anomaly in state.anomalies] == [AnomalyKind.UNNUMBERED]
    assert state.error == StreamError(code="overloaded")


@pytest.mark.parametrize(("number", "expected"), [(0, True), (None, False)])
def test_whether_the_server_numbers_its_events_is_known(number: int | None, expected: bool) -> None:
    assert fold([keepalive(number)]).is_numbered is expected


def test_a_state_shows_itself_in_one_line() -> None:
    state = fold([created(6, status="in_progress"), added(7)])
    assert repr(state) == "<State cursor=7 status=in_progress items=1>"
    assert repr(State()) == "<State cursor=None status=None items=0>"


# output_text


def text_part(text: object) -> dict[str, object]:
    return {"type": "output_text", "text": text}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param([MESSAGE | {"content": [text_part("a"), text_part("b")]}], "ab", id="two parts"),
        pytest.param([MESSAGE | {"content": [text_part("a")]}] * 2, "aa", id="two messages"),
        pytest.param([MESSAGE | {"content": [{"type": "refusal", "refusal": "no"}]}], "", id="a refusal"),
        pytest.param([MESSAGE | {"content": [{"type": "input_text", "text": "a"}]}], "", id="text of another type"),
        pytest.param([{"type": "reasoning", "content": [text_part("a")]}], "", id="no message"),
        pytest.param([MESSAGE | {"content": [text_part(None), text_part("b")]}], "b", id="text null"),
        pytest.param([MESSAGE | {"content": [text_part(5), text_part("b")]}], "b", id="text that is none"),
        pytest.param([MESSAGE | {"content": [{"type": "output_text"}]}], "", id="a part without text"),
        pytest.param([MESSAGE | {"content": "words"}], "", id="content that is no array"),
        pytest.param([MESSAGE | {"content": None}], "", id="content null"),
        pytest.param([{"type": "message"}], "", id="no content"),
        pytest.param([{"type": 5}, {}, None, "message", [text_part("a")]], "", id="items that are none"),
        pytest.param([MESSAGE | {"content": [None, "a", ["b"], text_part("c")]}], "c", id="parts that are none"),
    ],
)
def test_the_output_text_is_that_of_all_text_parts_of_all_messages(output: list[Any], expected: str) -> None:
    assert output_text(output) == expected


def test_the_output_text_follows_the_indexes_and_not_the_arrival() -> None:
    events = [
        delta(0, "d", item=3),
        delta(1, "b", item=1, part=1),
        delta(2, "a", item=1),
        delta(3, "c", item=1, part=4),
    ]
    assert fold(events).output_text == "abcd"


# Text that grows


@pytest.mark.parametrize(
    "length", [3, 4, *range(FRAGMENTS_PER_BLOCK - 1, FRAGMENTS_PER_BLOCK + 4), 3 * FRAGMENTS_PER_BLOCK]
)
def test_a_growing_text_reads_whole_at_every_length(length: int) -> None:
    state = fold(STREAM[:length])
    expected = "".join(f"{number} " for number in range(2, length))
    assert state.output_text == str(grown(state).text) == expected


def test_no_chain_of_states_is_longer_than_a_block() -> None:
    for state in states(STREAM):
        length = 0
        while state.previous is not None:
            state = state.previous
            length += 1
        assert length < FRAGMENTS_PER_BLOCK


def test_a_fragment_costs_no_copy_of_the_document() -> None:
    before = fold(STREAM[:10])
    after = reduce(before, STREAM[10])
    assert after.focus is before.focus
    assert after.previous is before


def test_a_state_without_a_growing_text_has_none() -> None:
    document = grown(fold([created(0), added(1)]))
    assert (document.path, document.text) == ((), Text())
    assert written(document) is document


def test_a_growing_text_is_written_into_the_output_only_when_it_is_asked_for() -> None:
    document = grown(fold(STREAM[:9]))
    assert document.path == (0, "content", 0, "text")
    ended = written(document)
    assert (ended.path, ended.text) == ((), Text())
    assert str(find(ended.output, document.path)) == str(document.text) != str(find(document.output, document.path))


def test_a_text_that_is_forgotten_leaves_the_output_as_it_was() -> None:
    document = grown(fold(STREAM[:9]))
    forgotten = without_text(document)
    assert (forgotten.path, forgotten.text, forgotten.output) == ((), Text(), document.output)


def test_settling_a_state_leaves_it_as_it_was() -> None:
    state = fold(STREAM[:20])
    before = (state.focus, state.previous, state.fragment)
    assert settled(state) == settled(state)
    assert (state.focus, state.previous, state.fragment) == before


# Equality


def test_states_are_equal_however_they_came_about() -> None:
    by_fragments = fold([added(0), delta(1, "Hel"), delta(2, "lo"), keepalive(3)])
    at_once = fold([added(0), delta(1, "Hello"), keepalive(2), keepalive(3)])
    assert by_fragments == at_once
    assert len({by_fragments, at_once}) == 1


def test_a_growing_text_and_a_settled_one_are_equal() -> None:
    growing = fold([added(0), delta(1, "a"), delta(2, "b")])
    settled_text = fold([added(0), delta(1, "ab"), delta(2, "")])
    assert (growing == settled_text, hash(growing)) == (True, hash(settled_text))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(fold([delta(0, "a"), delta(1, "c")]), id="another text"),
        pytest.param(fold([delta(0, "ab")]), id="another cursor"),
        pytest.param(fold([delta(0, "a"), delta(1, "b", part=1)]), id="another place"),
        pytest.param(fold([added(0), delta(1, "ab")]), id="other anomalies"),
        pytest.param(State(), id="nothing seen"),
        pytest.param(None, id="no state"),
    ],
)
def test_states_that_differ_are_not_equal(other: object) -> None:
    assert (fold([delta(0, "a"), delta(1, "b")]) == other) is False


@pytest.mark.parametrize("field", ["cursor", "focus", "status", "output_text", "new"])
def test_a_state_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(State(), field, None)


def test_a_document_notes_an_anomaly_beside_the_others() -> None:
    document = Document().note(AnomalyKind.HOLE, 5).note(AnomalyKind.MISFIT, 6)
    assert [(anomaly.kind, anomaly.first) for anomaly in document.anomalies] == [("hole", 5), ("misfit", 6)]
    assert Document() == Document(anomalies=())


def test_an_item_is_kept_as_the_bytes_that_came() -> None:
    item = Raw(b'{"type" : "new", "size": 1E400}')
    state = fold([OutputItemAdded(sequence_number=0, output_index=0, item=item)])
    assert settled(state).output[0] is item


def test_equal_states_are_not_unequal() -> None:
    one, other = State(), State.under(SequencePolicy.STRICT)
    assert one == other
    assert (one != other) is False


@pytest.mark.parametrize("policy", SequencePolicy)
def test_a_policy_is_known_by_its_word(policy: SequencePolicy) -> None:
    assert SequencePolicy(str(policy)) is policy


def test_a_state_knows_what_its_stream_is() -> None:
    state = fold([created(0, id="a"), keepalive(1), delta(2)])
    assert (state.is_foreign, state.is_mixed, state.counted) == (False, False, 2)
    assert fold([created(0, id="b")], state).is_foreign
