"""The same bytes through httpx-sse: the same events, but for the differences listed here, each shown to be real."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from streamfold.sse import FrameDecoder

Shown = tuple[str, str, str, int | None]

MARK = "\N{BYTE ORDER MARK}".encode()
LINE_ENDS = [b"\n", b"\r", b"\r\n"]

# Every block has data, the one thing without which the two differ at each blank line.
data_lines = st.sampled_from([b"data", b"data:", b"data: a", b"data:  b", b"data: \xc3\xa9\xff", b"data: {}: [] "])
other_lines = st.sampled_from(
    [b": note", b":", b"event: tick", b"event", b"id: 7", b"id", b"id: 8\0", b"retry: 050", b"retry: x", b"retry",
     b"Data: a", b" data: a", b"other", b"event:\xe2\x82", b"id:  \xf0\x9f\x9a\x80"]
)  # fmt: skip
line_ends = st.sampled_from(LINE_ENDS)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Blocks with data, each line with an end of its own; the last block may be unfinished."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(0, 4))):
        lines = [*draw(st.lists(other_lines, max_size=3)), draw(data_lines), *draw(st.lists(other_lines, max_size=2))]
        pieces += [line + draw(line_ends) for line in lines] + [draw(line_ends)]
    return b"".join(pieces) + draw(st.sampled_from([b"", b"data: z", b"data: z\n", b"id: 9\r"]))


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def ours(chunks: Iterable[bytes]) -> list[Shown]:
    """Our frames, shown as httpx-sse shows its events."""
    decoder = FrameDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)] + decoder.close()
    text = [
        [part.decode(errors="replace") for part in (frame.event or b"message", frame.data, frame.id)]
        for frame in frames
    ]
    return [(event, data, id, frame.retry) for (event, data, id), frame in zip(text, frames, strict=True)]


def events_of(chunks: Iterable[bytes]) -> Iterator[Shown]:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(chunks))
    for event in EventSource(response).iter_sse():
        yield event.event, event.data, event.id, event.retry


def theirs(chunks: Iterable[bytes]) -> list[Shown]:
    return list(events_of(chunks))


@given(streams(), st.lists(st.integers(0, 150), max_size=10))
def test_both_give_the_same_events_however_the_bytes_are_cut(stream: bytes, places: list[int]) -> None:
    chunks = cut(stream, places)
    assert ours(chunks) == theirs(chunks)


def test_both_give_the_same_events_on_every_recording(corpus: Path) -> None:
    paths = sorted((corpus / "recordings").rglob("*.sse"))
    assert paths
    for path in paths:
        stream = path.read_bytes()
        chunks = cut(stream, range(0, len(stream), 4099))
        assert ours(chunks) == theirs(chunks), path.name


@pytest.mark.parametrize(
    ("stream", "of_ours", "of_theirs"),
    [
        pytest.param(MARK + b"data: a\n\n", [("message", "a", "", None)], [], id="a leading mark is dropped"),
        pytest.param(b"event: tick\n\n", [], [("tick", "", "", None)], id="a name without data"),
        pytest.param(b"id: 7\n\n", [], [("message", "", "7", None)], id="an id without data"),
        pytest.param(b"retry: 5\n\n", [], [("message", "", "", 5)], id="a retry without data"),
        pytest.param(
            b"id: 7\ndata: a\n\n\n", [("message", "a", "7", None)],
            [("message", "a", "7", None), ("message", "", "7", None)], id="each blank line after an id",
        ),
    ],
)  # fmt: skip
def test_they_differ_in_the_mark_and_in_blocks_without_data(
    stream: bytes, of_ours: list[Shown], of_theirs: list[Shown]
) -> None:
    assert ours([stream]) == of_ours
    assert theirs([stream]) == of_theirs


@pytest.mark.parametrize(
    ("value", "of_theirs"),
    [
        pytest.param("+5", 5, id="a plus sign"),
        pytest.param("-5", -5, id="a minus sign"),
        pytest.param(" 5", 5, id="a second space"),
        pytest.param("5 ", 5, id="a space after"),
        pytest.param("1_000", 1000, id="an underscore"),
        pytest.param("٣", 3, id="a digit of another script"),
        pytest.param("9" * 19, int("9" * 19), id="beyond 64 bits"),
    ],
)
def test_they_differ_in_what_a_retry_may_be(value: str, of_theirs: int) -> None:
    chunks = [f"retry: {value}\ndata: a\n\n".encode()]
    assert ours(chunks) == [("message", "a", "", None)]
    assert theirs(chunks) == [("message", "a", "", of_theirs)]


@pytest.mark.parametrize("first", [b"data: a\r\r", b"data: a\r\n\r", b"data: a\n\r"])
def test_they_wait_for_another_chunk_where_a_cr_ends_the_blank_line(first: bytes) -> None:
    assert len(FrameDecoder().feed(first)) == 1
    delivered: list[bytes] = []

    def network() -> Iterator[bytes]:
        for chunk in (first, b"data: b\n\n"):
            delivered.append(chunk)
            yield chunk

    assert next(events_of(network())) == ("message", "a", "", None)
    assert len(delivered) == 2
