"""FrameDecoder: the rules of the standard, whatever the chunking, in bounded memory and linear time."""

import itertools
import re
import time
import timeit
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import FrameTooLarge, UsageError
from streamfold.sse import Frame, FrameDecoder

MARK = b"\xef\xbb\xbf"

# Any pieces of a stream in any order: what is valid, what nearly is, and every byte that changes how others are read.
PIECES = [
    b"data: a", b"data:b", b"data", b"data:  c", b"event: tick", b"event", b"id: 7", b"id", b"id: n\0", b"retry: 5",
    b"retry: x", b": note", b"other: x", b":", b" ", b"\0", b"x", b"\xc3", b"\xa9", MARK, MARK[:2],
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"data: d\n\n", b"data: e\r\n\r\n", b"\n\n\n",
]  # fmt: skip
streams = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
cuts = st.lists(st.integers(0, 120), max_size=12)


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def one_by_one(stream: bytes) -> list[bytes]:
    return cut(stream, range(len(stream)))


def decode(*chunks: bytes, tolerant: bool = False) -> list[Frame]:
    decoder = FrameDecoder(tolerant=tolerant)
    return [frame for chunk in chunks for frame in decoder.feed(chunk)] + decoder.close()


def told(chunks: Iterable[bytes], *, max_frame_bytes: int) -> tuple[list[Frame], bool]:
    """The frames given, and whether the limit stopped the stream."""
    decoder, frames = FrameDecoder(max_frame_bytes=max_frame_bytes), list[Frame]()
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        frames += decoder.close()
    except FrameTooLarge:
        return frames, True
    return frames, False


@pytest.mark.parametrize(
    ("block", "frame"),
    [
        pytest.param(b"data: a\n\n", Frame(data=b"a"), id="data alone"),
        pytest.param(b"event: a\nevent: b\ndata\n\n", Frame(event=b"b"), id="the last name wins"),
        pytest.param(b"data: a\ndata: b\n\n", Frame(data=b"a\nb"), id="data lines joined with LF"),
        pytest.param(b"data\ndata\n\n", Frame(data=b"\n"), id="two empty data lines"),
        pytest.param(b"data:a\n\n", Frame(data=b"a"), id="no space after the colon"),
        pytest.param(b"data:  a \n\n", Frame(data=b" a "), id="only one space dropped"),
        pytest.param(b"data: a: b\n\n", Frame(data=b"a: b"), id="a colon in the value"),
        pytest.param(b"id: 7\n\nid\ndata: a\n\n", Frame(data=b"a"), id="an empty id resets"),
        pytest.param(b"id: 7\nid: 8\0\ndata: a\n\n", Frame(data=b"a", id=b"7"), id="an id with NUL ignored"),
        pytest.param(b": note\ndata: a\n:\n\n", Frame(data=b"a"), id="comments ignored"),
        pytest.param(b"Data: b\n data: c\ndata: a\n\n", Frame(data=b"a"), id="unknown fields ignored"),
        pytest.param(b"data: \xff\xc3\0\n\n", Frame(data=b"\xff\xc3\0"), id="no byte changed"),
        pytest.param(b"\n\n\ndata: a\n\n", Frame(data=b"a"), id="blank lines before"),
    ],
)
def test_a_block_gives_one_frame(block: bytes, frame: Frame) -> None:
    assert decode(block) == [frame]
    assert decode(*one_by_one(block)) == [frame]


@pytest.mark.parametrize("block", [b"", b"\n\n", b"event: tick\n\n", b"id: 7\n\n", b"retry: 5\n\n", b": note\n\n"])
def test_a_block_without_data_gives_nothing(block: bytes) -> None:
    assert decode(block) == []


def test_nothing_but_the_id_passes_from_one_block_to_the_next() -> None:
    first, second = decode(b"event: tick\nid: 7\nretry: 5\ndata: a\n\ndata: b\n\n")
    assert first == Frame(b"tick", b"a", b"7", 5)
    assert second == Frame(b"", b"b", b"7", None)


def test_a_block_without_data_still_sets_the_id() -> None:
    assert decode(b"id: 7\n\ndata: a\n\n") == [Frame(data=b"a", id=b"7")]


def test_the_last_event_id_waits_for_the_blank_line() -> None:
    decoder = FrameDecoder()
    decoder.feed(b"id: 7\n")
    assert decoder.last_event_id == b""
    decoder.feed(b"\n")
    assert decoder.last_event_id == b"7"


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        pytest.param(b"1500", 1500, id="plain"),
        pytest.param(b"0000", 0, id="zeros"),
        pytest.param(b"0" * 5000 + b"5", 5, id="leading zeros say nothing"),
        pytest.param(b"9" * 18, 10**18 - 1, id="as many digits as are read"),
        pytest.param(b"9" * 19, None, id="one digit more is ignored"),
        pytest.param(b"9" * 5000, None, id="more digits than int() takes"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b" 5", None, id="a second space"),
        pytest.param(b"+5", None, id="a sign"),
        pytest.param(b"1_000", None, id="an underscore"),
        pytest.param("٣".encode(), None, id="digits of another script"),
    ],
)
def test_a_retry_is_read_only_from_ascii_digits(value: bytes, retry: int | None) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"retry: " + value + b"\ndata: a\n\n") == [Frame(data=b"a", retry=retry)]
    assert decoder.reconnection_milliseconds == retry


def test_an_ignored_retry_leaves_the_valid_one_before_it() -> None:
    assert decode(b"retry: 5\nretry: " + b"9" * 5000 + b"\ndata: a\n\n") == [Frame(data=b"a", retry=5)]


def test_the_reconnection_time_is_that_of_the_last_retry_line_that_has_ended() -> None:
    decoder = FrameDecoder()
    seen = []
    for chunk in (b"data: a\n\n", b"retry: 5\n\n", b"data: b\n\n", b"retry: 6", b"\r", b"data: c\nretry: 78"):
        decoder.feed(chunk)
        seen.append(decoder.reconnection_milliseconds)
    assert seen == [None, 5, 5, 5, 6, 6]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"data: a\n", b"\n"], id="LF LF, cut between"),
        pytest.param([b"data: a\r", b"\r"], id="CR CR, cut between"),
        pytest.param([b"data: a\r\n", b"\r\n"], id="CRLF CRLF, cut between"),
        pytest.param([b"data: a\r", b"\n\r"], id="known at the CR of the blank line"),
        pytest.param([b"data: a\n", b"\r"], id="LF CR, cut between"),
        pytest.param([b"data: a\r", b"", b"\n", b"", b"\n"], id="empty chunks between"),
    ],
)
def test_a_frame_is_given_with_the_chunk_that_makes_its_blank_line_known(chunks: list[bytes]) -> None:
    decoder = FrameDecoder()
    *before, last = [decoder.feed(chunk) for chunk in chunks]
    assert not any(before)
    assert last == [Frame(data=b"a")]


def test_the_lf_of_a_cut_crlf_is_not_a_blank_line() -> None:
    assert decode(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [Frame(data=b"a\nb")]


@pytest.mark.parametrize("places", [[], [1], [2], [3], [1, 2], [0, 1, 1, 2, 3]])
def test_one_leading_mark_is_dropped_however_it_is_cut(places: list[int]) -> None:
    assert decode(*cut(MARK + b"data: a\n\n", places)) == [Frame(data=b"a")]
    assert decode(*cut(MARK + MARK + b"data: a\n\n", places)) == []


def test_a_mark_that_opens_a_later_chunk_is_not_dropped() -> None:
    assert decode(b"data: a\n\n", MARK + b"data: b\n\n") == [Frame(data=b"a")]


def test_half_a_mark_is_an_ordinary_start() -> None:
    assert decode(MARK[:2], b"\ndata: a\n\n") == [Frame(data=b"a")]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_chunk_may_be_any_kind_of_bytes(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    assert FrameDecoder().feed(kind(b"data: a\n\n")) == [Frame(data=b"a")]


def test_a_buffer_may_be_filled_again_after_it_was_fed() -> None:
    decoder, buffer = FrameDecoder(), bytearray(b"data: a")
    decoder.feed(buffer)
    buffer[:] = b"\n\n"
    assert decoder.feed(buffer) == [Frame(data=b"a")]


@given(streams, cuts, st.booleans())
def test_cutting_the_bytes_anywhere_gives_the_same_frames(stream: bytes, places: list[int], tolerant: bool) -> None:
    whole = decode(stream, tolerant=tolerant)
    assert decode(*cut(stream, places), tolerant=tolerant) == whole
    assert decode(*one_by_one(stream), tolerant=tolerant) == whole


@given(streams, cuts)
def test_cutting_the_bytes_anywhere_leaves_the_decoder_in_the_same_state(stream: bytes, places: list[int]) -> None:
    states = []
    for chunks in ([stream], cut(stream, places), one_by_one(stream)):
        decoder = FrameDecoder()
        for chunk in chunks:
            decoder.feed(chunk)
        states.append((decoder.last_event_id, decoder.reconnection_milliseconds, decoder.is_between_frames))
    assert states[0] == states[1] == states[2]


@given(streams)
def test_any_line_end_gives_the_same_frames(stream: bytes) -> None:
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert decode(lines.replace(b"\n", b"\r\n")) == decode(lines.replace(b"\n", b"\r")) == decode(lines)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise(stream: bytes) -> None:
    assert decode(stream) == decode(*one_by_one(stream))


@pytest.mark.parametrize(
    ("stream", "is_between"),
    [
        pytest.param(b"", False, id="before the first byte a mark may come"),
        pytest.param(MARK[:2], False, id="inside the mark"),
        pytest.param(MARK, True, id="after the mark"),
        pytest.param(b"data: a\n\n", True, id="after a frame"),
        pytest.param(b"data: a\n\n\n", True, id="after one more blank line"),
        pytest.param(b"data: a\n\n\n\n", True, id="after two more blank lines"),
        pytest.param(b"data: a\r\n\r\n", True, id="after a whole CRLF"),
        pytest.param(b"data: a\r\n\r", False, id="a CR waits for its LF"),
        pytest.param(b"data: a\n", False, id="inside a block"),
        pytest.param(b"data: a\n\nd", False, id="inside a line"),
        pytest.param(b"id: 7\n\n", True, id="after a block without data"),
    ],
)
def test_between_frames_nothing_is_held(stream: bytes, is_between: bool) -> None:
    decoder = FrameDecoder()
    decoder.feed(stream)
    assert decoder.is_between_frames is is_between


@given(streams, streams)
def test_between_frames_another_decoder_may_go_on(before: bytes, after: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(before)
    if not decoder.is_between_frames:
        return
    other = FrameDecoder()
    other.feed(b"id: " + decoder.last_event_id + b"\n\n")
    assert other.feed(after) == decoder.feed(after)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        pytest.param(b"data: a", b"a", id="inside a line"),
        pytest.param(b"data: a\n", b"a", id="after a line"),
        pytest.param(b"data: a\r", b"a", id="after a CR"),
        pytest.param(b"data: a\ndata: b", b"a\nb", id="inside a second line"),
        pytest.param(b"data", b"", id="a name alone"),
    ],
)
def test_an_unfinished_block_is_dropped_unless_tolerant(stream: bytes, data: bytes) -> None:
    assert decode(stream) == []
    assert decode(stream, tolerant=True) == [Frame(data=data)]


@pytest.mark.parametrize("stream", [b"", b"data: a\n\n", b"id: 7", MARK[:1]])
def test_closing_gives_nothing_where_no_data_is_held(stream: bytes) -> None:
    decoder = FrameDecoder(tolerant=True)
    decoder.feed(stream)
    assert decoder.close() == []


@pytest.mark.parametrize("tolerant", [True, False])
def test_closing_twice_gives_nothing_more(tolerant: bool) -> None:
    decoder = FrameDecoder(tolerant=tolerant)
    decoder.feed(b"data: a")
    decoder.close()
    assert decoder.close() == []


@pytest.mark.parametrize("tolerant", [True, False])
def test_feeding_after_close_is_refused(tolerant: bool) -> None:
    decoder = FrameDecoder(tolerant=tolerant)
    decoder.close()
    with pytest.raises(UsageError, match="feed after close"):
        decoder.feed(b"data: a\n\n")


@pytest.mark.parametrize("max_frame_bytes", [0, -1])
def test_a_limit_below_one_byte_is_refused(max_frame_bytes: int) -> None:
    with pytest.raises(UsageError, match=f"max_frame_bytes is {max_frame_bytes}"):
        FrameDecoder(max_frame_bytes=max_frame_bytes)


@pytest.mark.parametrize(
    ("block", "size"),
    [
        pytest.param(b"data: abcd\n\n", 10, id="one line, without its end"),
        pytest.param(b"data: a\ndata: b\n\n", 15, id="the line end between counts"),
        pytest.param(b"data: a\r\ndata: b\r\n\r\n", 15, id="a CRLF counts as one"),
        pytest.param(b": comment\ndata\n\n", 14, id="comments count"),
        pytest.param(b"other: value\n\n", 12, id="unknown fields count"),
        pytest.param(MARK + b"\n\n\n\n\ndata: a\n\n", 7, id="neither the mark nor blank lines count"),
    ],
)
def test_a_block_of_exactly_the_limit_passes_and_one_byte_more_does_not(block: bytes, size: int) -> None:
    before, most, end = b"data: x\n\n", block[:-2], block[-2:]
    for chunks in (
        [block],
        one_by_one(block),
        [before + block],
        [before + b"\n" + most, end],
        [before, b"\n" + most, end],
    ):
        assert told(chunks, max_frame_bytes=max(size, 7))[1] is False
        assert told(chunks, max_frame_bytes=size - 1)[1] is True


def test_the_first_byte_beyond_the_limit_raises_at_once() -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    for chunk in one_by_one(b"data: abcd"):
        decoder.feed(chunk)
    with pytest.raises(FrameTooLarge) as caught:
        decoder.feed(b"e")
    assert caught.value.limit_bytes == 10


@pytest.mark.parametrize("beyond", [b"data: too large", b"data: too large\n\ndata: c\n\n"])
def test_frames_before_the_large_one_are_given_and_the_next_call_raises(beyond: bytes) -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    assert decoder.feed(b"data: a\n\ndata: b\n\n" + beyond) == [Frame(data=b"a"), Frame(data=b"b")]
    with pytest.raises(FrameTooLarge):
        decoder.feed(b"")


def test_the_end_says_it_where_no_chunk_came_after() -> None:
    decoder = FrameDecoder(max_frame_bytes=10, tolerant=True)
    assert decoder.feed(b"data: a\n\ndata: too large") == [Frame(data=b"a")]
    with pytest.raises(FrameTooLarge):
        decoder.close()


def test_a_failed_decoder_says_so_again_at_every_call() -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    for chunk in (b"data: too large\nretry: 5\n", b"\n\n"):
        with pytest.raises(FrameTooLarge):
            decoder.feed(chunk)
    for _ in range(2):
        with pytest.raises(FrameTooLarge):
            decoder.close()
    assert (decoder.is_between_frames, decoder.reconnection_milliseconds) == (False, None)


@given(streams, cuts, st.integers(1, 30))
def test_the_limit_stops_the_stream_at_the_same_block_however_it_is_cut(
    stream: bytes, places: list[int], limit: int
) -> None:
    whole = told([stream], max_frame_bytes=limit)
    assert told(cut(stream, places), max_frame_bytes=limit) == whole
    assert told(one_by_one(stream), max_frame_bytes=limit) == whole


@given(streams, st.integers(1, 30))
def test_a_stream_is_stopped_just_when_a_block_is_longer_than_the_limit(stream: bytes, limit: int) -> None:
    text = stream.removeprefix(MARK).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    longest = max(len(block.strip(b"\n")) for block in re.split(rb"\n\n+", text))
    if MARK.startswith(stream):
        longest = 0  # not yet told from a mark
    assert told([stream], max_frame_bytes=limit)[1] is (longest > limit)


def test_memory_stays_near_the_limit() -> None:
    limit = 100_000
    tracemalloc.start()
    assert told(itertools.repeat(b":\n", limit), max_frame_bytes=limit) == ([], True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * limit


def seconds_for(*, line_bytes: int, chunk_bytes: int) -> float:
    """The best of three, in processor time: what others do on the machine does not count."""
    line = b"data: " + b"x" * line_bytes + b"\n\n"
    chunks = [line[start : start + chunk_bytes] for start in range(0, len(line), chunk_bytes)]
    return min(timeit.repeat(lambda: decode(*chunks), timer=time.process_time, number=1, repeat=3))


@pytest.mark.parametrize(
    ("line_bytes", "chunk_bytes"),
    [
        pytest.param(1_000_000, 1_000, id="8 MB in chunks of 1,000 bytes"),
        pytest.param(50_000, 1, id="400 kB byte by byte"),
    ],
)
def test_a_line_eight_times_as_long_takes_about_eight_times_as_long(line_bytes: int, chunk_bytes: int) -> None:
    short = seconds_for(line_bytes=line_bytes, chunk_bytes=chunk_bytes)
    long = seconds_for(line_bytes=8 * line_bytes, chunk_bytes=chunk_bytes)
    assert long / short < 28  # were the held bytes copied or searched again for each chunk, it would be near 64


def test_after_the_end_nobody_may_parse_on() -> None:
    decoder = FrameDecoder()
    decoder.feed(b"data: 1\n\n")
    assert decoder.is_between_frames
    decoder.close()
    assert not decoder.is_between_frames


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_bare_json_is_no_frame_and_can_be_had_beside_them(line_end: bytes) -> None:
    decoder = FrameDecoder(tolerant=True)
    body = b'data: 1\n\n{"error":\n "x"}\n\nid: 1\n\n{"a":1}\ndata: 2\n\n'.replace(b"\n", line_end)
    assert [frame.data for frame in decoder.feed(body)] == [b"1", b"2"]
    assert decoder.strays == [b'{"error":\n "x"}']
    assert (decoder.feed(b'{"error"'), decoder.strays) == ([], [])
    assert (decoder.close(), decoder.strays) == ([], [b'{"error"'])


def test_without_tolerance_a_last_block_is_dropped_bare_json_too() -> None:
    decoder = FrameDecoder()
    decoder.feed(b'{"a":1}\n\n{"error"')
    assert (decoder.close(), decoder.strays) == ([], [])
