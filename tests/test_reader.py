"""EventReader: every shape of stream, each by the way that serves it, and the same events by any way."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamfold import Event, EventReader, FrameDecoder, FrameTooLarge, UsageError, decode_event
from streamfold.schema import ErrorEvent

KEEPALIVE = b'{"type":"keepalive","sequence_number":%d}'
FRAME = b"event: keepalive\ndata: " + KEEPALIVE + b"\n\n"


def frames(count: int) -> bytes:
    return b"".join(FRAME % number for number in range(count))


def numbers(events: list[Event]) -> list[int | None]:
    return [event.sequence_number for event in events]


def read(chunks: list[bytes], **options: bool) -> list[Event]:
    reader = EventReader(**options)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(frames(3), id="event and data"),
        pytest.param(frames(3).replace(b"event: keepalive\n", b""), id="no event lines"),
        pytest.param(frames(3).replace(b"\n", b"\r\n"), id="CR LF"),
        pytest.param(frames(3).replace(b"\n", b"\r"), id="CR"),
        pytest.param(b"\xef\xbb\xbf" + frames(3), id="byte order mark"),
        pytest.param(b": hello\n\n" + frames(2) + b": still there\n\n" + FRAME % 2, id="comments between"),
        pytest.param(b"id: 7\n" + frames(1) + b"retry: 100\n" + FRAME % 1 + FRAME % 2, id="ids and retries"),
        pytest.param(frames(2) + b'data: {"type":"keepalive",\ndata: "sequence_number":2}\n\n', id="data in two lines"),
        pytest.param(frames(3).replace(b"data: ", b"data:"), id="no space after the colon"),
        pytest.param(b"\n\n\n" + frames(3) + b"\n\n", id="more blank lines"),
        pytest.param(frames(2) + b"event: ping\n\ndata\n\n" + FRAME % 2, id="a frame without data"),
        pytest.param(frames(3) + b"data: [DONE]\n\n", id="end marker"),
        pytest.param(frames(2) + b"\r\n\r" + FRAME % 2, id="mixed line ends"),
    ],
)
def test_each_shape_of_stream_gives_its_events_however_it_is_cut(body: bytes) -> None:
    whole = read([body])
    if b"data\n\n" in body:  # empty data is no event, but it is data
        assert [event.wire_type for event in whole] == ["keepalive", "keepalive", "", "keepalive"]
    else:
        assert numbers(whole) == [0, 1, 2]
    assert read([body[place : place + 1] for place in range(len(body))]) == whole
    for place in range(len(body) + 1):
        assert read([body[:place], b"", body[place:]]) == whole


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_give_the_events_of_their_frames(noise: bytes, places: list[int]) -> None:
    body = frames(1) + noise + b"\n\n" + frames(1)
    decoder = FrameDecoder()
    expected = [decode_event(frame.data) for frame in decoder.feed(body) if frame.data != b"[DONE]"]
    cuts = sorted({0, len(body), *places})
    assert read([body[begin:end] for begin, end in pairwise(cuts)]) == expected


@given(
    st.lists(
        st.sampled_from(
            [
                b"event: x\n",
                b"data: ",
                b'{"type":"a"}',
                b"data: {}\n\n",
                b"\n",
                b"\r",
                b"\r\n",
                b"\n\n",
                b": c",
                b"id: 1",
            ]
        ),
        max_size=12,
    )
)
@example([b"data: ", b"\r", b"\r\n"])
def test_pieces_of_frames_in_any_order_give_the_events_of_their_frames(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()
    expected = [decode_event(frame.data) for piece in pieces for frame in decoder.feed(piece)]
    assert read(pieces) == expected
    assert read([b"".join(pieces)]) == expected


@given(
    st.lists(
        st.sampled_from([FRAME % 1, b"event: keepalive\ndata: ", b"data: {}\n\n", b"{}", b"\n", b"\r\n", b"id: 1\n"]),
        max_size=12,
    ),
    st.integers(1, 200),
)
def test_frames_that_begin_as_the_last_one_did_hide_no_others(pieces: list[bytes], size: int) -> None:
    body = b"".join(pieces)
    decoder = FrameDecoder()
    expected = [decode_event(frame.data) for frame in decoder.feed(frames(2) + body)]
    assert read([frames(2), body]) == expected
    assert read([frames(2), *(body[place : place + size] for place in range(0, len(body), size))]) == expected


def test_an_event_is_given_with_the_chunk_that_ends_it() -> None:
    reader = EventReader()
    for number in range(5):
        frame = FRAME % number
        assert reader.feed(frame[:-1]) == []
        assert numbers(reader.feed(frame[-1:])) == [number]


def test_one_whole_frame_a_chunk_gives_one_event_a_chunk() -> None:
    reader = EventReader()
    assert [numbers(reader.feed(FRAME % number)) for number in range(4)] == [[0], [1], [2], [3]]


def test_a_chunk_of_nothing_gives_nothing() -> None:
    reader = EventReader()
    assert [reader.feed(b""), reader.feed(FRAME % 0)[1:], reader.feed(b"")] == [[], [], []]
    assert reader.payloads == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_is_a_chunk(kind: type) -> None:
    reader = EventReader()
    events = [event for number in range(3) for event in reader.feed(kind(FRAME % number))]
    assert numbers(events) == [0, 1, 2]
    assert all(type(payload) is bytes for payload in reader.payloads)


def test_payloads_are_the_bytes_as_they_were_sent() -> None:
    reader = EventReader()
    data = b'{"sequence_number" : 1, "type":"keepalive" ,"new":1e400}'
    for number in range(2):
        assert len(reader.feed(b"event: keepalive\ndata: %b\n\n" % data)) == 1, number
        assert reader.payloads == [data]


def test_payloads_match_the_events_one_by_one() -> None:
    reader = EventReader()
    body = frames(2) + b"data: [DONE]\n\ndata: rubbish\n\n" + FRAME % 2
    events = reader.feed(body)
    assert [decode_event(payload) for payload in reader.payloads] == events
    assert [event.wire_type for event in events] == ["keepalive", "keepalive", "", "keepalive"]


def test_one_event_that_does_not_decode_leaves_the_others_typed() -> None:
    reader = EventReader()
    reader.feed(FRAME % 0)
    assert reader.feed(b"event: keepalive\ndata: {torn\n\n")[0].wire_type == ""
    assert numbers(reader.feed(FRAME % 1)) == [1]


def test_an_unfinished_last_block_counts_only_when_tolerant() -> None:
    body = frames(2) + (FRAME % 2).rstrip(b"\n")
    assert numbers(read([body])) == [0, 1]
    assert numbers(read([body], tolerant=True)) == [0, 1, 2]


def test_after_close_a_chunk_is_refused() -> None:
    for before in ([], [FRAME % 0], [FRAME % 0, FRAME % 1]):
        reader = EventReader()
        for chunk in before:
            reader.feed(chunk)
        reader.close()
        assert reader.close() == []
        for chunk in (b"", FRAME % 2, b"x"):
            with pytest.raises(UsageError, match="after close"):
                reader.feed(chunk)


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="max_frame_bytes is 0"):
        EventReader(max_frame_bytes=0)


@pytest.mark.parametrize("size", [1, 7, 64, 5_000, 1 << 20])
@pytest.mark.parametrize("limit", [80, 100, 4_000, 10_000])
def test_a_frame_beyond_the_limit_is_refused_after_the_events_before_it(limit: int, size: int) -> None:
    fits = b"data: " + KEEPALIVE % 1 + b" " * (limit - len(b"data: " + KEEPALIVE % 1))
    body = frames(2) + fits + b"\n\n" + fits + b" \n\n" + frames(1)
    reader, events = EventReader(max_frame_bytes=limit), []
    with pytest.raises(FrameTooLarge, match=f"{limit:,} bytes"):
        for place in range(0, len(body) + size, size):
            events += reader.feed(body[place : place + size])
    assert numbers(events) == [0, 1, 1]
    for call in (reader.close, lambda: reader.feed(FRAME % 9)):
        with pytest.raises(FrameTooLarge):
            call()


def test_events_before_an_endless_frame_in_the_same_chunk_are_given_first() -> None:
    reader = EventReader(max_frame_bytes=100)
    assert numbers(reader.feed(frames(2) + b"data: " + b"x" * 200)) == [0, 1]
    with pytest.raises(FrameTooLarge):
        reader.feed(b"")


def test_a_whole_frame_in_a_chunk_is_held_to_the_limit_too() -> None:
    reader = EventReader(max_frame_bytes=70)
    assert numbers(reader.feed(FRAME % 0) + reader.feed(FRAME % 1)) == [0, 1]
    with pytest.raises(FrameTooLarge):
        reader.feed(FRAME % 10**9)


def test_the_retry_line_is_told() -> None:
    reader = EventReader()
    assert reader.reconnection_milliseconds is None
    reader.feed(b"retry: 1500\n\n" + FRAME % 0)
    assert reader.reconnection_milliseconds == 1500


def test_a_long_line_is_read_in_linear_time() -> None:
    def seconds(size: int) -> float:
        reader, line = EventReader(), b"data: " + b"x" * size + b"\n\n"
        began = time.process_time()
        for place in range(0, len(line), 1_000):
            reader.feed(line[place : place + 1_000])
        return time.process_time() - began

    small, large = (min(seconds(size) for _ in range(3)) for size in (1_000_000, 8_000_000))
    assert large < 28 * small, "eight times the bytes: quadratic would be 64 times the time"


@pytest.mark.parametrize("size", [1, 100, 500, 1_000, 16_384, 65_536])
@pytest.mark.parametrize("long", [3_000, 4_200, 20_000, 70_000])
def test_long_frames_that_chunks_cut_stay_whole(size: int, long: int) -> None:
    padded = b'data: {"type":"keepalive","pad":"%b","sequence_number":%d}\n\n'
    body = b"".join(FRAME % number + padded % (b"x" * long, number + 1) for number in (0, 2, 4))
    assert numbers(read([body[place : place + size] for place in range(0, len(body), size)])) == [0, 1, 2, 3, 4, 5]


def test_a_stream_whose_chunks_end_anywhere_goes_back_to_the_fast_way() -> None:
    reader = EventReader()
    reader.feed(b": comment\n\n" + frames(2) + b"event: keepal")
    assert reader.feed(b"ive\ndata: " + KEEPALIVE % 2 + b"\n\n")[0].sequence_number == 2
    assert numbers(reader.feed(FRAME % 3)) == [3]
    assert numbers(reader.feed(FRAME % 4)) == [4]


# Errors that servers write in their own ways


def words(events: list[Event]) -> list[str | None]:
    return [event.message if isinstance(event, ErrorEvent) else event.wire_type for event in events]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        pytest.param(b"event: error\ndata: Too many\n\n", "Too many", id="plain text"),
        pytest.param(b"event:error\ndata:Too many\n\n", "Too many", id="without spaces"),
        pytest.param(b"event: error\ndata: Too\ndata: many\n\n", "Too\nmany", id="in two lines"),
        pytest.param(b"data: Too many\nevent: error\n\n", "Too many", id="the name behind the data"),
        pytest.param(b'{"error":"no"}\n\n', "no", id="bare JSON"),
        pytest.param(b'{"error":"no"}', "no", id="bare JSON without a blank line"),
        pytest.param(b'{\n  "error": "no"\n}\n', "no", id="in several lines"),
        pytest.param(b'data: {"error":"no"}', "no", id="data without a blank line"),
        pytest.param(b'data: {"error":"no"}\n', "no", id="data with one line end"),
        pytest.param(b"event: error\ndata: Too many", "Too many", id="plain text without a blank line"),
    ],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("tolerant", [True, False])
def test_an_error_is_an_event_however_it_is_written_and_cut(
    tail: bytes, expected: str, line_end: bytes, tolerant: bool
) -> None:
    body = (frames(2) + tail).replace(b"\n", line_end)
    for places in [[len(body)], [len(frames(2)) + 3, len(body)], range(1, len(body) + 1)]:
        chunks = [body[begin:end] for begin, end in pairwise([0, *places])]
        assert words(read(chunks, tolerant=tolerant)) == ["keepalive", "keepalive", expected]


def test_the_payload_of_an_error_is_what_was_sent() -> None:
    reader = EventReader()
    assert words(reader.feed(b"event: error\ndata: Too many\n\n" + FRAME % 1)) == ["Too many", "keepalive"]
    assert reader.payloads[0] == b"Too many"
    reader.feed(b'{"error":"no"}')
    assert (words(reader.close()), reader.payloads) == (["no"], [b'{"error":"no"}'])


@pytest.mark.parametrize("name", [b"", b"event: keepalive\n", b"event: errors\n"])
def test_plain_text_under_another_name_is_no_error(name: bytes) -> None:
    body = b"event: error\ndata: one\n\n" + name + b"data: two\n\n"
    assert words(read([body])) == words(read([body[:20], body[20:]])) == ["one", ""]


def test_a_frame_like_the_last_one_is_an_error_too() -> None:
    reader = EventReader()
    assert [words(reader.feed(b"event: error\ndata: %d x\n\n" % n)) for n in range(3)] == [["0 x"], ["1 x"], ["2 x"]]


@pytest.mark.parametrize("tail", [b'{"a":1}', b'{"error":', b"data: {}", b"rubbish", b'{"a":1}\n\n'])
def test_what_is_bare_and_no_error_is_dropped(tail: bytes) -> None:
    assert words(read([frames(1) + tail])) == ["keepalive"]
