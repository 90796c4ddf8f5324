"""A held stream: the window of its newest events, how they are encoded, its readers and its end."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.client import FollowedResponse
from streamfold.errors import UsageError
from streamfold.history import filler
from streamfold.log import Record, StreamKey
from streamfold.relay.held import WRITE_BYTES, EventRun, Held, StreamEnd, sent
from streamfold.sse import FrameDecoder

DATA = st.binary(max_size=40).filter(lambda data: b"\n" not in data and b"\r" not in data)


@given(first=st.integers(0, 5), data=st.lists(st.lists(DATA, max_size=4), max_size=20), max_bytes=st.integers(1, 200))
def test_a_window_has_the_newest_events_without_a_hole(first: int, data: list[list[bytes]], max_bytes: int) -> None:
    window, number = EventRun(first, max_bytes=max_bytes), first
    for group in data:
        window.add([Record(number + place, "x", each) for place, each in enumerate(group)])
        number += len(group)
        assert window.next == number
        assert first <= window.first <= number
        found = [each for start in range(window.first, number) for each in window.after(start)[:1]]
        assert [each.record.sequence_number for each in found] == list(range(window.first, number))
        kept = sum(len(each.record.data) for each in found)
        assert kept <= max_bytes or len(found) <= 1 or window.first == number - 1
        assert (window.newest is None) == (number == first)


@given(sizes=st.lists(st.integers(0, 2 * WRITE_BYTES), min_size=1, max_size=8), start=st.integers(0, 7))
def test_what_is_written_at_once_is_bounded_and_never_nothing(sizes: list[int], start: int) -> None:
    records = [Record(number, "x", b"x" * size) for number, size in enumerate(sizes)]
    run = EventRun(0)
    run.add(records)
    start = min(start, len(records) - 1)
    taken = run.after(start)
    assert [each.record for each in taken] == records[start : start + len(taken)]
    assert len(taken) == 1 or sum(len(each.encoded) for each in taken) <= WRITE_BYTES


@given(
    sizes=st.lists(st.integers(0, WRITE_BYTES), min_size=1, max_size=8), asked=st.lists(st.integers(0, 7), max_size=9)
)
def test_the_bytes_of_a_write_are_those_of_its_events(sizes: list[int], asked: list[int]) -> None:
    run = EventRun(0, max_bytes=3 * WRITE_BYTES)
    for number, size in enumerate(sizes):
        run.add([Record(number, "x", b"x" * size)])
        for place in asked:
            if run.first <= place < run.next:
                ready = run.ready_after(place)
                events = [each.encoded for each in run.after(place)][: ready.place - place]
                assert list(ready.frames) == [b"".join(events)]
                assert place < ready.place <= run.next


@given(number=st.integers(0, 2**53 - 1), name=st.sampled_from(["response.created", "", "é"]), data=st.binary())
def test_an_event_arrives_as_it_came_with_its_number(number: int, name: str, data: bytes) -> None:
    record = Record(number, name, data.replace(b"\r", b"\n"))
    if not record.name and not record.data:
        assert sent(record).encoded == b""
        return
    frames = FrameDecoder().feed(sent(record).encoded)
    assert [(frame.event, frame.data, frame.id) for frame in frames] == [
        (name.encode(), record.data, str(number).encode())
    ]


def test_a_number_that_the_server_never_used_is_not_sent() -> None:
    assert sent(filler(3)).encoded == b""


def event(number: int) -> Any:
    return sent(Record(number, "response.completed", b"{}"))


@pytest.mark.parametrize(
    ("end", "place", "numbers"),
    [
        (StreamEnd(newest=event(4)), 5, []),  # the reader has everything
        (StreamEnd(newest=event(4)), 9, [4]),  # it is ahead of the log, and lacks the end
        (StreamEnd(made=[event(5), event(6)]), 5, [5, 6]),
        (StreamEnd(made=[event(5), event(6)]), 6, [6]),  # it has one of the events that were made
        (StreamEnd(made=[event(5), event(6)]), 7, []),
        (StreamEnd(), 9, []),
    ],
)
def test_an_end_gives_a_reader_what_it_lacks(end: StreamEnd, place: int, numbers: list[int]) -> None:
    assert [each.record.sequence_number for each in end.after(place, 5)] == numbers


def held(*, is_foreground: bool = True) -> Held:
    return Held(cast(FollowedResponse, None), tenant="", is_foreground=is_foreground)


def test_only_a_foreground_response_without_a_reader_is_unread_and_only_after_its_time() -> None:
    one = held()
    assert not one.is_unread(0.0, 0.0), "its id is not known yet"
    one.begin(StreamKey("", "resp_1"), next_number=0, max_bytes=1)
    assert not one.is_unread(10.0, 1.0)
    assert not one.is_unread(10.5, 1.0)
    assert one.is_unread(11.0, 1.0)
    assert not one.is_unread(99.0, None)
    one.readers = 1
    assert not one.is_unread(99.0, 1.0), "it has a reader"
    one.readers = 0
    assert not one.is_unread(100.0, 1.0), "its time begins again"
    assert one.is_unread(101.0, 1.0)
    one.finish(StreamEnd())
    assert not one.is_unread(199.0, 1.0), "it has ended"
    other = held(is_foreground=False)
    other.begin(StreamKey("", "resp_2"), next_number=0, max_bytes=1)
    assert not any(other.is_unread(now, 0.0) for now in (10.0, 99.0))


def test_what_is_not_known_yet_says_so() -> None:
    one = held()
    assert one.name == "a response"
    for ask in (lambda: one.id, lambda: one.window):
        with pytest.raises(UsageError, match="not known yet"):
            ask()
