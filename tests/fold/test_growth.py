"""TextGrowth: the pieces of the output text, which joined are the output text."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold import Event, SequencePolicy, State, fold, states
from streamfold.fold import TextGrowth
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK
from tests.conftest import Recording, on_every_recording
from tests.fold.made import MESSAGE, PART, added, completed, created, delta, event, keepalive
from tests.fold.recorded import events_of, start
from tests.fold.streams import Story, any_events, stories


def message(*texts: str) -> dict[str, object]:
    return {**MESSAGE, "content": [{**PART, "text": text} for text in texts]}


def pieces(events: list[Event], state: State | None = None, growth: TextGrowth | None = None) -> list[str]:
    growth = growth or TextGrowth()
    return [growth.take(after, each) for each, after in zip(events, states(events, state or State()), strict=True)]


# The law: joined, the pieces are the output text, unless the growth says that the text has changed.


def holds(growth: TextGrowth, taken: str, state: State) -> bool:
    is_whole = taken == growth.given == state.output_text
    return not state.output_text.startswith(taken) if growth.has_changed else is_whole


@given(stories())
def test_the_pieces_joined_are_the_output_text_after_every_event(story: Story) -> None:
    growth, taken = TextGrowth(), ""
    for state in states(story.events):
        taken += growth.take(state)
        assert holds(growth, taken, state)


@given(stories(), st.data())
def test_states_may_be_skipped(story: Story, data: st.DataObject) -> None:
    growth, taken = TextGrowth(), ""
    for state in states(story.events):
        if data.draw(st.booleans()):
            taken += growth.take(state)
            assert holds(growth, taken, state)


@given(any_events())
def test_the_law_holds_for_events_that_no_server_would_send(events: list[Event]) -> None:
    growth, taken = TextGrowth(), ""
    for state in states(events, State.under(SequencePolicy.ARRIVAL)):
        taken += growth.take(state)
        assert holds(growth, taken, state)


@given(st.lists(st.text(max_size=3), max_size=300), st.booleans())
def test_a_long_text_comes_whole(texts: list[str], is_numbered: bool) -> None:
    opened = [created(0 if is_numbered else None), added(1 if is_numbered else None)]
    deltas = [delta(place + 2 if is_numbered else None, text) for place, text in enumerate(texts)]
    assert "".join(pieces([*opened, *deltas])) == "".join(texts)


@on_every_recording
def test_every_recording_comes_whole(recording: Recording) -> None:
    growth, taken, state = TextGrowth(), "", State()
    for state in states(events_of(recording), start(recording)):
        taken += growth.take(state)
    assert not growth.has_changed
    assert taken == growth.given == state.output_text


# What a piece is


def test_a_delta_is_a_piece() -> None:
    assert pieces([added(0), delta(1, "Hel"), delta(2, "lo")]) == ["", "Hel", "lo"]


def test_a_delta_beyond_a_block_of_fragments_is_a_piece() -> None:
    events = [added(0), *(delta(number, "x") for number in range(1, FRAGMENTS_PER_BLOCK + 3))]
    assert pieces(events) == ["", *["x"] * (FRAGMENTS_PER_BLOCK + 2)]


def test_text_that_only_a_later_event_holds_comes_with_that_event() -> None:
    done = event("response.output_item.done", 3, output_index=0, item=message("Hello", " there"))
    assert pieces([added(0), delta(1, "He"), delta(2, "l"), done]) == ["", "He", "l", "lo there"]


def test_reasoning_and_arguments_are_no_piece() -> None:
    reasoning = [
        event("response.reasoning_text.delta", number, output_index=0, content_index=0, delta="hm") for number in (0, 1)
    ]
    call = [event("response.function_call_arguments.delta", number, output_index=1, delta="{}") for number in (2, 3)]
    assert pieces([*reasoning, *call, keepalive(4)]) == [""] * 5


def test_a_duplicate_adds_nothing() -> None:
    assert pieces([added(0), delta(1, "a"), delta(1, "a"), delta(2, "b")]) == ["", "a", "", "b"]


def test_a_delta_after_the_end_adds_nothing() -> None:
    events = [added(0), delta(1, "a"), completed(2, status="completed"), delta(3, "b"), delta(4, "c")]
    assert pieces(events) == ["", "a", "", "", ""]


def test_the_text_of_the_first_state_comes_whole() -> None:
    before = fold([added(0), delta(1, "Hel")])
    assert pieces([delta(2, "lo"), delta(3, "!")], before) == ["Hello", "!"]


# Servers that count `content_index` up with every event


def done(number: int, text: str, part: int) -> Event:
    return event("response.output_text.done", number, output_index=0, content_index=part, text=text)


def part_done(number: int, text: str, part: int) -> Event:
    content = {**PART, "text": text}
    return event("response.content_part.done", number, output_index=0, content_index=part, part=content)


def item_done(number: int, *texts: str) -> Event:
    return event("response.output_item.done", number, output_index=0, item=message(*texts))


CLIMBING = [added(0, message()), delta(1, "It"), delta(2, " rains", part=1), delta(3, ".", part=2)]
EACH = ["", "It", " rains", "."]


@pytest.mark.parametrize(
    ("rest", "more"),
    [
        pytest.param([done(4, "It rains.", 3)], "", id="the text again, in a part of its own"),
        pytest.param([done(4, "It rains.", 3), part_done(5, "It rains.", 4)], "", id="and the part again"),
        pytest.param([done(4, "It rains.", 0)], "", id="the text again, in the first part"),
        pytest.param([done(4, "It rains.", 2)], "", id="the text again, in the last part"),
        pytest.param([done(4, "It rains.", 3), item_done(5, "It rains.")], "", id="then the item"),
        pytest.param([done(4, "It rains.", 3), delta(5, " So", part=4)], " So", id="then more text"),
        pytest.param(
            [done(4, "It rains.", 3), item_done(5, "It rains.", "It rains.")], "It rains.", id="the item says it twice"
        ),
        pytest.param([done(4, "Other", 3)], "Other", id="another text"),
        pytest.param([done(4, "It", 0), done(5, " rains", 1)], "", id="the text of each part again"),
    ],
)
def test_what_done_events_say_again_is_no_piece(rest: list[Event], more: str) -> None:
    growth = TextGrowth()
    taken = pieces([*CLIMBING, *rest], growth=growth)
    assert (taken[:4], "".join(taken[4:]), growth.has_changed) == (EACH, more, False)


def test_at_the_end_the_pieces_are_the_output_text_even_if_it_says_everything_twice() -> None:
    growth = TextGrowth()
    events = [*CLIMBING, done(4, "It rains.", 3)]
    taken = "".join(pieces(events, growth=growth)) + growth.take(fold(events), None)
    assert taken == fold(events).output_text == "It rains.It rains."


def test_two_parts_with_the_same_text_are_two_pieces() -> None:
    events = [added(0, message("")), delta(1, "Yes"), done(2, "Yes", 0)]
    again = event("response.content_part.added", 3, output_index=0, content_index=1, part=PART)
    assert "".join(pieces([*events, again, delta(4, "Yes", part=1), done(5, "Yes", 1)])) == "YesYes"


@given(stories())
def test_the_pieces_of_good_streams_are_the_same_with_their_events(story: Story) -> None:
    reached = list(states(story.events))
    with_events, without = TextGrowth(), TextGrowth()
    assert [with_events.take(*each) for each in zip(reached, story.events, strict=True)] == [
        without.take(each) for each in reached
    ]


# A text that changes


def test_a_text_that_is_replaced_has_changed_and_brings_no_piece() -> None:
    growth = TextGrowth()
    item = event("response.output_item.done", 2, output_index=0, item=message("Bye"))
    assert pieces([added(0), delta(1, "Hello"), item, delta(3, "!")], growth=growth) == ["", "Hello", "", ""]
    assert growth.has_changed


def test_a_restart_gives_the_text_as_it_now_is() -> None:
    growth = TextGrowth()
    item = event("response.output_item.done", 2, output_index=0, item=message("Bye"))
    pieces([added(0), delta(1, "Hello"), item], growth=growth)
    assert (growth.restart(), growth.has_changed, growth.given) == ("Bye", False, "Bye")


def test_after_a_restart_the_text_grows_on() -> None:
    growth = TextGrowth()
    events = [added(0, message("Bye")), delta(1, "!"), delta(2, "!")]
    reached = list(states(events))
    growth.take(fold([added(0), delta(1, "Hello")]))
    assert growth.take(reached[0]) == ""
    growth.restart()
    assert [growth.take(state) for state in reached[1:]] == ["!", "!"]


def test_text_that_turns_out_to_begin_as_before_comes_again() -> None:
    growth = TextGrowth()
    gone = event("response.output_item.done", 2, output_index=0, item=message(""))
    back = event("response.output_item.done", 3, output_index=0, item=message("Hello"))
    assert pieces([added(0), delta(1, "Hel"), gone, back], growth=growth) == ["", "Hel", "", "lo"]
    assert not growth.has_changed


@pytest.mark.parametrize("texts", [("x", "y"), ("b", "y"), ("", "y")])
def test_a_delta_in_front_of_other_text_is_no_piece(texts: tuple[str, str]) -> None:
    """Not even where it reads as if it stood at the end: "a", then a "b" in front of the "b" behind it."""
    growth = TextGrowth()
    events = [added(0), added(1, index=1), delta(2, "a"), delta(3, "b", item=1)]
    taken = "".join(pieces([*events, *(delta(number, text) for number, text in enumerate(texts, 4))], growth=growth))
    assert growth.has_changed
    assert taken in ("ab", "abb")


def test_an_empty_part_behind_the_growing_one_is_no_obstacle() -> None:
    growth = TextGrowth()
    events = [added(0), added(1, index=1), delta(2, "a"), delta(3, "", item=1), delta(4, "b"), delta(5, "c")]
    assert "".join(pieces(events, growth=growth)) == "abc"
    assert not growth.has_changed


# A stream that is read from its middle


def test_from_the_middle_on_the_whole_text_adds_nothing_where_it_ends_with_what_came() -> None:
    growth = TextGrowth(starts_midway=True)
    done = event("response.output_text.done", 7, output_index=0, content_index=0, text="Hello")
    assert pieces([delta(5, "l"), delta(6, "lo"), done], growth=growth) == ["l", "lo", ""]
    assert not growth.has_changed


def test_from_the_middle_on_later_text_still_comes() -> None:
    growth = TextGrowth(starts_midway=True)
    done = event("response.output_text.done", 6, output_index=0, content_index=0, text="Hello")
    end = completed(9, status="completed", output=[message("Hello"), message("you!")])
    events = [delta(5, "lo"), done, delta(7, "you", item=1), delta(8, "!", item=1), end]
    assert pieces(events, growth=growth) == ["lo", "", "you", "!", ""]


def test_from_the_middle_on_another_text_has_changed() -> None:
    growth = TextGrowth(starts_midway=True)
    done = event("response.output_text.done", 6, output_index=0, content_index=0, text="Bye")
    assert pieces([delta(5, "lo"), done], growth=growth) == ["lo", ""]
    assert growth.has_changed


PLACE = {"output_index": 0, "content_index": 0}
ALL_DONE = [
    event("response.output_text.done", 5, text="Hello", **PLACE),
    event("response.content_part.done", 6, part={**PART, "text": "Hello"}, **PLACE),
    event("response.output_item.done", 7, output_index=0, item=message("Hello")),
    completed(8, status="completed", output=[message("Hello")]),
]
TO_THE_END = [
    added(1),
    event("response.content_part.added", 2, part=PART, **PLACE),
    delta(3, "Hel"),
    delta(4, "lo"),
    *ALL_DONE,
]


@pytest.mark.parametrize(
    ("first", "expected"), [(1, "Hello"), (2, "Hello"), (3, "Hello"), (4, "lo"), (5, ""), (6, ""), (7, "")]
)
def test_from_any_event_on_exactly_the_text_after_it_comes(first: int, expected: str) -> None:
    growth = TextGrowth(starts_midway=True)
    assert "".join(pieces(TO_THE_END[first - 1 :], growth=growth)) == expected
    assert not growth.has_changed


@pytest.mark.parametrize("begun", [TO_THE_END[:2], TO_THE_END[1:2]], ids=["the item", "the part"])
def test_from_the_middle_on_text_that_no_delta_brings_comes_if_it_was_begun_since(begun: list[Event]) -> None:
    events = [msgspec.structs.replace(each, sequence_number=at) for at, each in enumerate([*begun, *ALL_DONE])]
    assert "".join(pieces(events, growth=TextGrowth(starts_midway=True))) == "Hello"


def test_from_the_middle_on_a_text_that_repeats_itself_comes_once() -> None:
    done = event("response.output_text.done", 7, text="ha ha ha", **PLACE)
    assert pieces([delta(5, "ha "), delta(6, "ha"), done], growth=TextGrowth(starts_midway=True)) == ["ha ", "ha", ""]


def test_from_the_middle_of_a_call_on_the_message_before_it_does_not_come() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    events = [
        event("response.function_call_arguments.delta", 5, output_index=1, delta="{}"),
        event("response.output_item.done", 6, output_index=1, item=call),
        completed(7, status="completed", output=[message("Hello"), call]),
    ]
    growth = TextGrowth(starts_midway=True)
    assert pieces(events, growth=growth) == ["", "", ""]
    assert not growth.has_changed


def test_where_only_the_end_comes_nobody_can_say_which_text_is_new() -> None:
    growth = TextGrowth(starts_midway=True)
    assert pieces([completed(5, status="completed", output=[message("Hello")])], growth=growth) == [""]
    assert growth.has_changed
    assert growth.restart() == "Hello"


def test_from_the_middle_on_a_text_that_ends_empty_has_changed() -> None:
    growth = TextGrowth(starts_midway=True)
    done = event("response.output_text.done", 6, text="", **PLACE)
    assert pieces([delta(5, "lo"), done], growth=growth) == ["lo", ""]
    assert growth.has_changed


@given(any_events())
def test_from_the_middle_on_events_that_no_server_would_send_raise_nothing(events: list[Event]) -> None:
    growth, taken = TextGrowth(starts_midway=True), ""
    for each, state in zip(events, states(events, State.under(SequencePolicy.ARRIVAL)), strict=True):
        taken += growth.take(state, each)
        assert growth.has_changed or state.output_text.endswith(taken) or taken in growth.given
