"""What to write next: events as they are ready, a comment after too much silence, and then the end."""

from collections.abc import Awaitable
from math import inf

import pytest

from streamfold.serving import (
    HEARTBEAT,
    BodyReply,
    FixedEvents,
    ReadyEvents,
    StreamReply,
    StreamWriter,
    Turn,
    encode_frames,
    head_of,
)
from streamfold.sse import Frame

ONE, TWO = Frame(event=b"e", data=b"1"), Frame(event=b"e", data=b"2")


class Scripted:
    """A source that answers as it is told, and notes the places that it is asked for."""

    def __init__(self, *answers: ReadyEvents | float | None) -> None:
        self.answers = list(answers)
        self.places: list[int] = []

    def next_after(self, place: int, now: float) -> ReadyEvents | float | None:
        self.places.append(place)
        return self.answers.pop(0)

    def wait(self, seconds: float) -> Awaitable[None]:
        raise AssertionError("a writer never waits")


def writer(source: Scripted | FixedEvents, *, place: int = 0) -> StreamWriter:
    reply = StreamReply(events=source, content_type="text/event-stream", place=place)
    return StreamWriter(reply, heartbeat_seconds=2.0)


def test_it_asks_after_what_it_was_given_last() -> None:
    source = Scripted(ReadyEvents((ONE,), 8), ReadyEvents((TWO,), 9), None)
    stream = writer(source, place=7)
    assert [stream.next(0.0, last_write=0.0) for _ in range(3)] == [(ONE,), (TWO,), Turn.END]
    assert source.places == [7, 8, 9]


@pytest.mark.parametrize(
    ("ready", "silence", "turn"),
    [
        pytest.param(0.5, 0.0, 0.5, id="an event is due before a comment"),
        pytest.param(inf, 0.5, 1.5, id="a comment is due, and no event is known"),
        pytest.param(5.0, 1.9, pytest.approx(0.1), id="a comment is due before the event"),
        pytest.param(5.0, 2.0, Turn.BEAT, id="silent for long enough"),
        pytest.param(5.0, 9.0, Turn.BEAT, id="silent for too long, as after a stall"),
    ],
)
def test_silence_is_never_longer_than_the_heartbeat(ready: float, silence: float, turn: object) -> None:
    assert writer(Scripted(ready)).next(100.0 + silence, last_write=100.0) == turn


def test_frames_are_encoded_once_into_one_write() -> None:
    assert encode_frames([ONE, b"as it is", TWO]) == b"event: e\ndata: 1\n\nas it isevent: e\ndata: 2\n\n"
    assert HEARTBEAT == b":\n"


def test_a_single_frame_is_written_as_it_is() -> None:
    assert encode_frames([b"as it is"]) == b"as it is"
    assert encode_frames([ONE]) == b"event: e\ndata: 1\n\n"


def test_a_stream_has_headers_that_keep_proxies_from_holding_it_back() -> None:
    reply = StreamReply(events=FixedEvents(), content_type="text/event-stream", headers=(("x-own", "1"),))
    assert head_of(reply, ("x-request-id", "req_1")) == (
        200,
        (
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
            ("x-own", "1"),
            ("x-request-id", "req_1"),
        ),
    )


def test_a_body_has_its_length() -> None:
    reply = BodyReply(404, b"gone", (("x-own", "1"),), "text/plain")
    known = (("content-type", "text/plain"), ("content-length", "4"), ("x-own", "1"))
    assert head_of(reply) == (404, known)


def test_an_answer_without_a_body_says_nothing_of_one() -> None:
    assert head_of(BodyReply(204, b"", (("allow", "GET"),)), ("x-own", "1")) == (
        204,
        (("allow", "GET"), ("x-own", "1")),
    )
