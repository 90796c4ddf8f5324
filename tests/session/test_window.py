"""Window: events from beyond a hole, each given back once, and never more held than allowed."""

from hypothesis import given
from hypothesis import strategies as st

from streamfold.schema import Keepalive
from streamfold.session.window import Window


def event(number: int) -> Keepalive:
    return Keepalive(sequence_number=number)


def window(*numbers: int, max_events: int = 10, max_bytes: int = 100, data: bytes = b"x") -> Window:
    held = Window(max_events=max_events, max_bytes=max_bytes)
    for number in numbers:
        assert held.add(number, event(number), data)
    return held


def test_a_new_window_holds_nothing() -> None:
    assert (len(window()), window().last(), window().take(0)) == (0, None, None)


def test_an_event_comes_back_once_with_its_data() -> None:
    held = window(7, data=b"seven")
    assert held.take(7) == (event(7), b"seven")
    assert (held.take(7), len(held)) == (None, 0)


def test_only_the_number_that_is_asked_for_is_taken() -> None:
    held = window(7, 9)
    assert held.take(8) is None
    assert len(held) == 2


def test_the_first_event_of_a_number_stays() -> None:
    held = window(7, data=b"first")
    assert held.add(7, event(7), b"second") is True
    assert held.take(7) == (event(7), b"first")


def test_a_full_window_takes_no_event_more() -> None:
    held = window(3, 4, max_events=2)
    assert held.add(5, event(5), b"x") is False
    assert len(held) == 2


def test_a_full_window_still_knows_what_it_holds() -> None:
    held = window(3, 4, max_events=2)
    assert held.add(4, event(4), b"x") is True


def test_the_bytes_are_bounded_up_to_the_last() -> None:
    held = window(3, max_bytes=10, data=b"12345")
    assert held.add(4, event(4), b"123456") is False
    assert held.add(4, event(4), b"12345") is True


def test_what_is_taken_makes_room() -> None:
    held = window(3, max_events=1, max_bytes=5, data=b"12345")
    held.take(3)
    assert held.add(4, event(4), b"12345") is True


def test_what_was_applied_another_way_is_forgotten() -> None:
    held = window(3, 4, 5, 9, max_bytes=4)
    held.drop_to(5)
    assert [held.take(number) is not None for number in (3, 4, 5, 9)] == [False, False, False, True]


def test_what_is_forgotten_makes_room() -> None:
    held = window(3, max_bytes=1)
    held.drop_to(3)
    assert held.add(4, event(4), b"x") is True


def test_a_window_that_was_cleared_is_as_a_new_one() -> None:
    held = window(3, 4, max_events=2, max_bytes=2)
    held.clear()
    assert (len(held), held.last()) == (0, None)
    assert [held.add(number, event(number), b"x") for number in (3, 4)] == [True, True]


def test_the_last_is_that_of_the_highest_number() -> None:
    assert window(9, 12, 10).last() == event(12)


@given(st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=9))), st.integers(1, 8), st.integers(1, 40))
def test_no_order_of_events_fills_a_window_beyond_its_bounds(
    arrivals: list[tuple[int, bytes]], max_events: int, max_bytes: int
) -> None:
    held = Window(max_events=max_events, max_bytes=max_bytes)
    expected: dict[int, bytes] = {}
    for number, data in arrivals:
        if held.add(number, event(number), data):
            expected.setdefault(number, data)
    assert len(held) == len(expected) <= max_events
    assert sum(map(len, expected.values())) <= max_bytes
    assert {number: (held.take(number) or (None, None))[1] for number in sorted(expected)} == expected
    assert len(held) == 0
