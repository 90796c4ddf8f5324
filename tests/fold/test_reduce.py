"""reduce: numbers are judged, duplicates change nothing, gaps raise, and the fast way equals the slow one."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import InvalidArgument, SequenceGap
from streamfold.fold.dropped import was_dropped
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK, fold, reduce, states
from streamfold.fold.state import SequencePolicy, State
from streamfold.fold.steps import GROWS
from streamfold.schema import EVENT_TYPES, Event, FunctionCallArgumentsDelta, UnknownEvent, decode_event
from tests.fold.made import added, completed, created, delta, event, keepalive, seen, tolerated

RENUMBER, ARRIVAL = State.under(SequencePolicy.RENUMBER), State.under(SequencePolicy.ARRIVAL)
END_MARKER = decode_event(b"[DONE]")
TORN = decode_event(b'{"type":"response.output_te')
STREAM: list[Event] = [created(0, status="queued"), added(1), delta(2, "a"), delta(3, "b"), keepalive(4), delta(5, "c")]

AROUND_A_BLOCK = [FRAGMENTS_PER_BLOCK + offset for offset in (-2, -1, 0, 1, 2)]
GROWING = [name for name, kind in EVENT_TYPES.items() if kind in GROWS]
INDEXES = ("content_index", "summary_index", "command_index")
EACH_GROWING = pytest.mark.parametrize("name", GROWING)


def growing(name: str, number: int | None, text: str, *, item: int = 0, part: int = 0) -> Event:
    """An event that adds to a text; the types that have one text an item do not read `part`."""
    return event(name, number, output_index=item, delta=text, **dict.fromkeys(INDEXES, part))


def texts(value: Any) -> list[str]:
    """All strings in a snapshot's output that are no type, id or role, in order."""
    if isinstance(value, dict):
        return [text for key, child in value.items() if key not in ("type", "id", "role") for text in texts(child)]
    return [text for child in value for text in texts(child)] if isinstance(value, list) else [value]


class Foreign:
    """Looks like an event, and is none of ours."""

    type = "keepalive"
    sequence_number = 6


# Duplicates


@pytest.mark.parametrize("length", range(1, len(STREAM) + 1))
def test_a_duplicate_gives_the_very_same_state(length: int) -> None:
    state = fold(STREAM[:length])
    for known in STREAM[:length]:
        assert reduce(state, known) is state


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(delta(3, "b, sent again in other words", part=1), id="a text that was joined"),
        pytest.param(delta(-5, "other"), id="a number below the first"),
        pytest.param(created(0, status="in_progress"), id="another Response without an id"),
        pytest.param(added(1, {"type": "message", "id": "another"}), id="an item with another id"),
    ],
)
def test_a_duplicate_is_known_by_its_number_and_type(known: Event) -> None:
    state = fold(STREAM)
    assert reduce(state, known) is state


@EACH_GROWING
def test_a_duplicate_of_a_growing_text_gives_the_very_same_state(name: str) -> None:
    state = fold([growing(name, number, "x") for number in range(3)])
    assert reduce(state, growing(name, 2, "x")) is state


# Gaps


@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param(delta(7, "x"), id="a text that grows"),
        pytest.param(delta(7, "x", part=1), id="another text"),
        pytest.param(growing("response.refusal.delta", 7, "x"), id="another type"),
        pytest.param(keepalive(7), id="a keepalive"),
        pytest.param(completed(7), id="a terminal"),
        pytest.param(UnknownEvent("new", 7, b"{}"), id="an unknown type"),
        pytest.param(UnknownEvent("keepalive", 7, b"{}", "broken"), id="one that did not decode"),
        pytest.param(UnknownEvent("[DONE]", 7, b"[DONE]"), id="an end marker with a number, made by hand"),
    ],
)
def test_an_event_ahead_is_a_gap(ahead: Event) -> None:
    state = fold(STREAM)
    with pytest.raises(SequenceGap) as raised:
        reduce(state, ahead)
    assert (raised.value.expected, raised.value.got) == (6, 7)


def test_a_gap_leaves_the_state_as_it_was() -> None:
    state = fold(STREAM)
    with pytest.raises(SequenceGap):
        reduce(state, delta(9, "x"))
    assert state == fold(STREAM)
    assert reduce(state, delta(6, "d")).output_text == "abcd"


@pytest.mark.parametrize("first", [-3, 0, 1, 41, 10**30])
@EACH_GROWING
def test_the_first_number_may_be_any(name: str, first: int) -> None:
    state = fold([growing(name, first + place, "x") for place in range(4)])
    assert (state.cursor, texts(seen(state)["output"])) == (first + 3, ["xxxx"])
    with pytest.raises(SequenceGap):
        reduce(state, growing(name, first + 5, "x"))


# How far each policy trusts the numbers


def verdict(number: int | None, *, expected: int | None, policy: SequencePolicy = SequencePolicy.STRICT) -> str:
    """What an event with this number is to a state that expects that one."""
    state = State.under(policy)
    state = state if expected is None else reduce(state, keepalive(expected - 1))
    try:
        return "duplicate" if reduce(state, keepalive(number)) is state else "next"
    except SequenceGap:
        return "ahead"


@pytest.mark.parametrize(
    ("policy", "number", "expected", "wanted"),
    [
        pytest.param("strict", 7, 7, "next", id="the next one"),
        pytest.param("strict", 6, 7, "duplicate", id="the one before"),
        pytest.param("strict", -1, 7, "duplicate", id="below zero"),
        pytest.param("strict", 8, 7, "ahead", id="one was left out"),
        pytest.param("strict", 7, None, "next", id="the first may be any"),
        pytest.param("strict", None, 7, "next", id="no number"),
        pytest.param("strict", None, None, "next", id="no number in a stream without numbers"),
        pytest.param("renumber", 7, 7, "next", id="renumbered: the next one"),
        pytest.param("renumber", 6, 7, "duplicate", id="renumbered: the one before"),
        pytest.param("renumber", 90, 7, "next", id="renumbered: skipped numbers do not count"),
        pytest.param("arrival", 7, 7, "next", id="by arrival: the next one"),
        pytest.param("arrival", 6, 7, "next", id="by arrival: a duplicate cannot be recognized"),
        pytest.param("arrival", 90, 7, "next", id="by arrival: nor a skipped number"),
    ],
)
def test_a_number_is_judged_by_the_policy(policy: str, number: int | None, expected: int | None, wanted: str) -> None:
    assert verdict(number, expected=expected, policy=SequencePolicy(policy)) == wanted


@given(st.integers(), st.integers())
def test_exactly_one_number_extends_a_strict_state(number: int, expected: int) -> None:
    order = {-1: "duplicate", 0: "next", 1: "ahead"}
    assert verdict(number, expected=expected) == order[(number > expected) - (number < expected)]


@given(st.integers(), st.integers(), st.sampled_from(["renumber", "arrival"]))
def test_only_the_strict_policy_knows_gaps(number: int, expected: int, policy: str) -> None:
    assert verdict(number, expected=expected, policy=SequencePolicy(policy)) != "ahead"


# What is not an event


@pytest.mark.parametrize("apply_one", [reduce, lambda state, foreign: fold([foreign], state)], ids=["reduce", "fold"])
@pytest.mark.parametrize("state", [State(), fold(STREAM)], ids=["a new state", "a text that grows"])
@pytest.mark.parametrize(
    "foreign", [None, {"type": "keepalive"}, b"{}", 7, Foreign()], ids=lambda value: type(value).__name__
)
def test_what_is_not_an_event_is_refused_with_a_sentence(foreign: Any, state: State, apply_one: Any) -> None:
    with pytest.raises(InvalidArgument) as raised:
        apply_one(state, foreign)
    kind = type(foreign).__name__
    assert str(raised.value) == f"event: must be an event from an EventReader or decode_event, got {kind}"


# Without numbers


def test_a_stream_without_numbers_is_folded_by_order_of_arrival() -> None:
    state = fold([created(None), added(None), delta(None, "a"), delta(None, "b")])
    assert (state.cursor, state.output_text) == (3, "ab")
    assert tolerated(state) == [("unnumbered", 4, 0)]


def test_a_stream_without_numbers_cannot_tell_a_duplicate() -> None:
    assert fold([added(None), delta(None, "a"), delta(None, "a")]).output_text == "aa"


@pytest.mark.parametrize("stray", [delta(None, "x"), keepalive(None), UnknownEvent("new", None, b"{}")])
def test_an_event_without_number_leaves_the_cursor_of_a_numbered_stream(stray: Event) -> None:
    state = fold([*STREAM, stray, stray])
    assert state.cursor == 5
    assert tolerated(state) == [("unnumbered", 2, 5)]
    assert reduce(state, delta(6, "d")).cursor == 6


def test_an_event_without_number_is_applied_all_the_same() -> None:
    state = fold([*STREAM, delta(None, "x"), delta(6, "d"), delta(7, "e")])
    assert state.output_text == "abcxde"


@pytest.mark.parametrize("number", [0, 2, 3, 50])
def test_the_first_number_after_events_without_one_may_be_any(number: int) -> None:
    state = fold([added(None), delta(None, "a"), delta(number, "b"), delta(number + 1, "c")])
    assert (state.cursor, state.output_text) == (number + 1, "abc")
    assert tolerated(state) == [("unnumbered", 2, 0)]
    with pytest.raises(SequenceGap):
        reduce(state, delta(number + 3, "e"))


# What could not be read


def test_torn_bytes_leave_the_cursor_so_that_the_next_number_is_a_gap() -> None:
    state = fold([*STREAM, TORN])
    assert (state.cursor, tolerated(state)) == (5, [("malformed", 1, 5)])
    with pytest.raises(SequenceGap) as raised:
        reduce(state, delta(7, "d"))
    assert (raised.value.expected, raised.value.got) == (6, 7)


def test_after_torn_bytes_the_event_may_come_again_whole() -> None:
    assert fold([*STREAM, TORN, delta(6, "d")]).output_text == "abcd"


def test_torn_bytes_first_are_no_word_about_numbers() -> None:
    state = fold([TORN, *STREAM])
    assert state == fold([TORN, *STREAM[:3], *STREAM])
    assert tolerated(state) == [("malformed", 1, 0)]


def test_torn_bytes_do_not_count_in_a_stream_without_numbers_either() -> None:
    state = fold([added(None), TORN, delta(None, "a")])
    assert (state.cursor, tolerated(state)) == (1, [("unnumbered", 2, 0), ("malformed", 1, 0)])


def test_torn_bytes_at_the_start_leave_a_state_that_has_seen_no_number() -> None:
    state = fold([TORN])
    assert (state.cursor, tolerated(state)) == (None, [("malformed", 1, 0)])


@pytest.mark.parametrize("data", [b" [DONE]", b"[DONE] "])
def test_the_end_marker_with_spaces_gives_the_very_same_state(data: bytes) -> None:
    state = fold([delta(None)])
    assert reduce(state, decode_event(data)) is state


def test_half_a_pair_in_an_item_id_is_no_fault() -> None:
    made = FunctionCallArgumentsDelta(sequence_number=0, item_id="\ud800", output_index=0, delta="x")
    assert seen(fold([made]))["output"][0]["id"] == "\ufffd"


def test_an_event_whose_number_was_read_takes_it_though_the_rest_did_not_decode() -> None:
    state = fold([*STREAM, event("response.output_text.delta", 6), delta(7, "d")])
    assert (state.cursor, state.output_text) == (7, "abcd")
    assert tolerated(state) == [("malformed", 1, 6)]


# What changes nothing


@pytest.mark.parametrize(
    "events",
    [[], STREAM[:1], STREAM, [added(None)], [completed(0)]],
    ids=["new", "begun", "growing", "unnumbered", "ended"],
)
def test_the_end_marker_gives_the_very_same_state(events: list[Event]) -> None:
    for start in (State(), RENUMBER, ARRIVAL):
        state = fold(events, start)
        assert reduce(state, END_MARKER) is state


@pytest.mark.parametrize("silent", [keepalive(6), UnknownEvent("new", 6, b'{"a":1}'), UnknownEvent("[DONE]", 6, b"{}")])
def test_what_says_nothing_moves_the_cursor_and_nothing_else(silent: Event) -> None:
    before = fold(STREAM)
    after = reduce(before, silent)
    assert (before.cursor, after.cursor) == (5, 6)
    assert (after.status, after.output_text, after.anomalies) == (before.status, before.output_text, before.anomalies)
    assert seen(after) == seen(before)


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        pytest.param(delta(1, "x"), [("after_terminal", 1, 1)], id="a text"),
        pytest.param(event("error", 1, code="c"), [("after_terminal", 1, 1)], id="an error"),
        pytest.param(completed(1), [("terminal_repeated", 1, 1)], id="a terminal"),
        pytest.param(keepalive(1), [], id="a keepalive"),
        pytest.param(UnknownEvent("new", 1, b"{}"), [], id="an unknown type"),
        pytest.param(
            UnknownEvent("keepalive", 1, b"{}", "broken"), [("malformed", 1, 1)], id="one that did not decode"
        ),
    ],
)
def test_after_the_terminal_event_the_cursor_still_moves(late: Event, expected: list[tuple[str, int, int]]) -> None:
    state = fold([completed(0, status="completed"), late])
    assert (state.cursor, tolerated(state)) == (1, expected)


def test_a_text_does_not_grow_after_the_terminal_event() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "whole"}]}]
    state = fold([*STREAM, completed(6, output=output), delta(7), delta(8)])
    assert (state.cursor, state.output_text) == (8, "whole")
    assert tolerated(state) == [("after_terminal", 2, 7)]


# Policies


def test_a_stream_read_by_renumbering_may_leave_numbers_out() -> None:
    state = fold([added(2), delta(3, "a"), delta(4, "b"), delta(9, "c"), delta(11, "d"), delta(12, "e")], RENUMBER)
    assert (state.cursor, state.output_text) == (12, "abcde")
    assert tolerated(state) == [("hole", 2, 9)]


def test_a_stream_read_by_renumbering_knows_its_duplicates() -> None:
    state = fold([added(2), delta(9, "a")], RENUMBER)
    for known in (added(2), delta(9, "a")):
        assert reduce(state, known) is state
    assert all(was_dropped(state, reduce(state, delta(number, "x"))) for number in range(10))


def test_a_stream_read_by_renumbering_may_have_no_numbers() -> None:
    state = fold([added(None), delta(None, "a")], RENUMBER)
    assert (state.cursor, tolerated(state)) == (1, [("unnumbered", 2, 0)])


@pytest.mark.parametrize("numbers", [[7, 7, 7, 7], [4, 3, 2, 1], [None] * 4, [0, 1, 2, 3], [0, None, 9, -1]])
def test_a_stream_read_by_arrival_looks_at_no_number(numbers: list[int | None]) -> None:
    first, *others = numbers
    state = fold([added(first), *(delta(number, "a") for number in others)], ARRIVAL)
    assert (state.cursor, state.output_text, tolerated(state)) == (3, "aaa", [])


@pytest.mark.parametrize("start", [State(), RENUMBER, ARRIVAL], ids=list(SequencePolicy))
def test_a_clean_stream_reads_alike_under_every_policy(start: State) -> None:
    state = fold(STREAM, start)
    assert (state.cursor, seen(state), tolerated(state)) == (5, seen(fold(STREAM)), [])


# The fast way


@EACH_GROWING
@pytest.mark.parametrize("first", [0, 1, FRAGMENTS_PER_BLOCK - 1, -FRAGMENTS_PER_BLOCK - 2])
def test_a_text_grows_alike_before_at_and_behind_the_end_of_a_block(name: str, first: int) -> None:
    events = [growing(name, first + place, f"{place},") for place in range(2 * FRAGMENTS_PER_BLOCK + 2)]
    for place, state in enumerate(states(events)):
        assert texts(seen(state)["output"]) == ["".join(f"{each}," for each in range(place + 1))]


@EACH_GROWING
def test_a_text_that_moves_on_leaves_the_one_before(name: str) -> None:
    places = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (0, 0), (0, 0)]
    events = [
        growing(name, number, f"{item}{part} ", item=item, part=part) for number, (item, part) in enumerate(places)
    ]
    expected = sorted(
        "".join(f"{item}{part} " for item, part in places if (item, part) == place) for place in set(places)
    )
    has_parts = any(index in EVENT_TYPES[name].__struct_fields__ for index in INDEXES)
    whole = ["00 00 01 01 00 00 ", "10 10 "]
    assert texts(seen(fold(events))["output"]) == (expected if has_parts else whole)


@pytest.mark.parametrize("number", [None, 2])
def test_another_type_at_the_same_place_adds_to_the_same_text(number: int | None) -> None:
    names = ["response.reasoning.delta", "response.reasoning.delta", "response.reasoning_text.delta"]
    events = [growing(name, number if number is None else number + place, "x") for place, name in enumerate(names)]
    assert texts(seen(fold(events))["output"]) == ["xxx"]


def test_logprobs_in_the_middle_of_a_text_are_not_passed_over() -> None:
    one = event("response.output_text.delta", 2, output_index=0, content_index=0, delta="b", logprobs=[{"l": 1}])
    (item,) = seen(fold([delta(0, "a"), delta(1, "a"), one, delta(3, "c"), delta(4, "c")]))["output"]
    assert item["content"] == [{"type": "output_text", "text": "aabcc", "logprobs": [{"l": 1}]}]


@pytest.mark.parametrize("length", [2, 3, *AROUND_A_BLOCK])
@pytest.mark.parametrize(
    ("interruption", "expected"),
    [
        pytest.param(keepalive, "", id="a keepalive"),
        pytest.param(
            lambda number: event("response.output_text.done", number, output_index=0, content_index=0, text="D"),
            "D",
            id="done",
        ),
        pytest.param(lambda number: added(number, {"type": "message"}), None, id="the item again"),
        pytest.param(lambda number: created(number, id="b"), "", id="a snapshot"),
    ],
)
def test_an_interruption_is_seen_wherever_it_comes(length: int, interruption: Any, expected: str | None) -> None:
    text = "x" * length
    events = [*(delta(number) for number in range(length)), interruption(length), delta(length + 1, "end")]
    before = {"": text, None: ""}.get(expected, expected)
    assert fold(events).output_text == f"{before}end"


def test_a_refused_text_never_comes_into_focus() -> None:
    state = fold([delta(0, item=-1), delta(1, item=-1), delta(2, item=10_000), delta(3, part=-1)])
    assert (state.cursor, seen(state), tolerated(state)) == (3, {"output": []}, [("index_refused", 4, 0)])


# Branching


def test_two_futures_of_one_state_do_not_see_each_other() -> None:
    state = fold(STREAM)
    one = fold([delta(6, "x"), delta(7, "y")], state)
    other = fold([delta(6, "1"), delta(7, "2", part=1)], state)
    assert (state.output_text, one.output_text, other.output_text) == ("abc", "abcxy", "abc12")


@pytest.mark.parametrize("length", [1, 2, *AROUND_A_BLOCK])
def test_two_futures_part_anywhere_in_a_block(length: int) -> None:
    state = fold([delta(number, "a") for number in range(length)])
    futures = [fold([delta(length + place, word) for place in range(FRAGMENTS_PER_BLOCK)], state) for word in "bc"]
    assert [future.output_text for future in futures] == ["a" * length + word * FRAGMENTS_PER_BLOCK for word in "bc"]
    assert state.output_text == "a" * length


def test_kept_states_still_read_the_same_later() -> None:
    events: Sequence[Event] = [delta(number, f"{number} ", part=number // 90 % 2) for number in range(300)]
    kept = list(states(events))
    shown = [(state.cursor, seen(state)) for state in kept]
    fold([delta(300, "later"), completed(301, output=[])], kept[-1])
    assert [(state.cursor, seen(state)) for state in kept] == shown


# Laws

PLACES = st.tuples(
    st.sampled_from(["response.output_text.delta", "response.refusal.delta"]), st.integers(0, 1), st.integers(0, 1)
)
RUNS = st.lists(st.tuples(PLACES, st.sampled_from([1, 2, 3, *AROUND_A_BLOCK]), st.text(max_size=2)), max_size=6)
FIRST_NUMBERS = st.sampled_from([0, 1, *AROUND_A_BLOCK])


def deltas_of(runs: list[Any], first: int) -> list[Event]:
    """Deltas to several texts, each run adding some to one of them. Types take items of their own."""
    flat = [
        (name, 2 * (name == "response.refusal.delta") + item, part, text)
        for (name, item, part), count, text in runs
        for _ in range(count)
    ]
    return [growing(name, first + n, text, item=item, part=part) for n, (name, item, part, text) in enumerate(flat)]


@given(RUNS, FIRST_NUMBERS)
def test_folding_deltas_to_several_texts_equals_appending_in_plain_python(runs: list[Any], first: int) -> None:
    plain: dict[tuple[int, int], str] = {}
    for (name, item, part), count, text in runs:
        place = (2 * (name == "response.refusal.delta") + item, part)
        plain[place] = plain.get(place, "") + text * count
    state = fold(deltas_of(runs, first))
    assert texts(seen(state).get("output", [])) == [plain[place] for place in sorted(plain)]


@given(RUNS, FIRST_NUMBERS)
def test_the_fast_way_equals_the_slow_way(runs: list[Any], first: int) -> None:
    """Numbers that are not looked at never bring a text into focus."""
    events = deltas_of(runs, first)
    assert seen(fold(events)) == seen(fold(events, ARRIVAL))


def one_by_one(events: list[Event], state: State) -> list[State]:
    found = []
    for each in events:
        state = reduce(state, each)
        found.append(state)
    return found


@given(RUNS, FIRST_NUMBERS, st.sampled_from([State(), RENUMBER, ARRIVAL]))
def test_states_are_those_of_reducing_one_after_the_other(runs: list[Any], first: int, start: State) -> None:
    events = deltas_of(runs, first)
    reached = one_by_one(events, start)
    assert list(states(events, start)) == reached
    assert [seen(state) for state in states(events, start)] == [seen(state) for state in reached]


def test_a_long_run_of_deltas_is_joined_block_by_block_in_states_too() -> None:
    begun = fold(STREAM[:3])
    events: list[Event] = [delta(number, f"{number} ") for number in range(3, 3 * FRAGMENTS_PER_BLOCK)]
    reached = one_by_one(events, begun)
    assert [state.output_text for state in states(events, begun)] == [state.output_text for state in reached]
    assert [state.previous is None for state in states(events, begun)] == [state.previous is None for state in reached]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(keepalive(5), id="another type"),
        pytest.param(delta(4, "b"), id="a duplicate"),
        pytest.param(delta(3, "a"), id="an older one"),
        pytest.param(growing("response.output_text.delta", 5, "c", item=1), id="another item"),
        pytest.param(growing("response.output_text.delta", 5, "c", part=1), id="another part"),
        pytest.param(growing("response.refusal.delta", 5, "c"), id="another text"),
        pytest.param(
            event("response.output_text.delta", 5, output_index=0, content_index=0, delta="c", logprobs=[{}]),
            id="with logprobs",
        ),
    ],
)
def test_in_a_run_of_deltas_whatever_is_not_the_next_of_them_is_taken_as_it_is(other: Event) -> None:
    begun = fold(STREAM[:3])
    events = [delta(3, "a"), delta(4, "b"), other]
    reached = one_by_one(events, begun)
    found = list(states(events, begun))
    assert [seen(state) for state in found] == [seen(state) for state in reached]
    assert (found[2] is found[1]) == (reached[2] is reached[1]) == (other.sequence_number != 5)


def test_states_raise_at_a_gap_in_a_run_after_the_states_before_it() -> None:
    begun = fold(STREAM[:3])
    found = []
    with pytest.raises(SequenceGap) as raised:
        for state in states([delta(3, "a"), delta(4, "b"), delta(6, "c")], begun):
            found.append(state.cursor)
    assert (found, raised.value.expected, raised.value.got) == ([3, 4], 5, 6)


@given(RUNS, st.data())
def test_a_duplicate_changes_nothing(runs: list[Any], data: st.DataObject) -> None:
    events = deltas_of(runs, 0)
    state = fold(events)
    if events:
        assert reduce(state, data.draw(st.sampled_from(events))) is state


@given(RUNS, FIRST_NUMBERS, st.data())
def test_folding_a_prefix_then_the_rest_equals_folding_the_whole(
    runs: list[Any], first: int, data: st.DataObject
) -> None:
    events = deltas_of(runs, first)
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


@st.composite
def any_events(draw: st.DrawFn) -> Event:
    """An event of any type with values that may fit nothing."""
    name = draw(st.sampled_from([*EVENT_TYPES, "new"]))
    values: dict[str, Any] = {
        "item": {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
        "part": {"type": "output_text", "text": 5},
        "response": {"status": "in_progress", "output": [{"content": "a"}, None]},
        "delta": {"stdout": "a"} if "shell_call_output" in name else "a",
        "output": [{}, 5],
        "logprobs": [1],
        "annotation": {},
        **dict.fromkeys(["text", "refusal", "arguments", "code", "input", "diff", "command"], "a"),
    }
    indexes = {
        index: draw(st.integers(-1, 2) | st.just(10_000)) for index in ("output_index", "annotation_index", *INDEXES)
    }
    number = draw(st.none() | st.integers(0, 5))
    return event(name, number, **values, **indexes)


@given(st.lists(any_events(), max_size=12), st.sampled_from([State(), RENUMBER, ARRIVAL]))
def test_no_event_makes_reduce_raise_anything_but_a_gap(events: list[Event], state: State) -> None:
    for each in events:
        try:
            state = reduce(state, each)
        except SequenceGap:
            assert each.sequence_number != state.cursor
        assert isinstance(seen(state), dict)
