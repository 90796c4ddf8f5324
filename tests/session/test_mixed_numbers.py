"""A stream in which only some events have numbers, damaged and cut at will: no event is applied twice, no number is lost."""

from hypothesis import given
from hypothesis import strategies as st

from tests.session.made import TORN, added, created, delta
from tests.session.test_reassembler import reassembler

Stream = list[tuple[bytes, int | None]]
FIRST = 2  # the first two events have numbers and are never damaged


def stream(has_number: list[bool]) -> Stream:
    """Each event with its number: what the server has, from its beginning. Each delta says its place."""
    made: Stream = [(created(0), 0), (added(1), 1)]
    last = 1
    for place, has in enumerate(has_number, FIRST):
        last += has
        number = last if has else None
        made.append((delta(number, f"<{place}>"), number))
    return made


@given(
    st.lists(st.booleans(), min_size=2, max_size=9),
    st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(FIRST, 10), max_size=2)), max_size=3),
)
def test_whatever_is_damaged_and_wherever_it_breaks_no_event_is_applied_twice(
    has_number: list[bool], connections: list[tuple[int, set[int]]]
) -> None:
    events, one, was_damaged = stream(has_number), reassembler(), False
    for turn, (end, damaged) in enumerate([*connections, (len(events), set[int]())]):
        begin = 0
        if turn:
            after = one.after if one.can_resume else None
            begin = 0 if after is None else [number for _, number in events].index(after) + 1
            one.begin(is_replay=after is None)
        for place in range(begin, min(end, len(events))):
            was_damaged = was_damaged or place in damaged
            one.feed(TORN if place in damaged else events[place][0])
    times = {place: one.state.output_text.count(f"<{place}>") for place in range(FIRST, len(events))}
    assert max(times.values()) <= 1
    assert all(times[place] == 1 for place in times if events[place][1] is not None or not was_damaged)


def test_an_event_that_was_damaged_and_had_no_number_is_not_applied_twice() -> None:
    events = stream([False, True, False, False])
    one = reassembler()
    for data in (*(each for each, _ in events[:4]), TORN, events[5][0]):
        one.feed(data)
    one.begin(is_replay=True)
    for data, _ in events:
        one.feed(data)
    assert one.state.output_text == "<2><3><5>"
