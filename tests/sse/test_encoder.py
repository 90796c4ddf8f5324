"""encode_frame and encode_comment: what is written is read back equal, and what cannot be is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import UsageError
from streamfold.sse import Frame, FrameDecoder, encode_comment, encode_frame


def bytes_without(unfit: bytes, *, min_size: int = 0) -> st.SearchStrategy[bytes]:
    fit = st.sampled_from([byte for byte in range(256) if byte not in unfit])
    return st.lists(fit | st.sampled_from(b": \xef\xbb\xbf"), min_size=min_size, max_size=12).map(bytes)


def frames(*, min_id_size: int = 0) -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        event=bytes_without(b"\r\n"),
        data=bytes_without(b"\r"),
        id=bytes_without(b"\r\n\0", min_size=min_id_size),
        retry=st.none() | st.integers(0, 10**18 - 1),
    )


@pytest.mark.parametrize(
    ("frame", "block"),
    [
        pytest.param(Frame(data=b"a"), b"data: a\n\n", id="data alone"),
        pytest.param(Frame(), b"data: \n\n", id="empty data is still a line"),
        pytest.param(Frame(data=b"a\n\nb"), b"data: a\ndata: \ndata: b\n\n", id="a line each"),
        pytest.param(
            Frame(b"tick", b"a", b"7", 500), b"event: tick\nid: 7\nretry: 500\ndata: a\n\n", id="everything given"
        ),
        pytest.param(Frame(data=b"a", retry=0), b"retry: 0\ndata: a\n\n", id="a retry of nothing is a retry"),
        pytest.param(Frame(data=b" a"), b"data:  a\n\n", id="a leading space survives the one dropped"),
    ],
)
def test_a_frame_is_one_block(frame: Frame, block: bytes) -> None:
    assert encode_frame(frame) == block


@given(frames())
def test_a_frame_encoded_then_decoded_is_equal(frame: Frame) -> None:
    assert FrameDecoder().feed(encode_frame(frame)) == [frame]


@given(st.lists(frames(min_id_size=1), max_size=5), bytes_without(b"\r\n"))
def test_frames_and_comments_one_after_another_decode_to_the_same_frames(several: list[Frame], text: bytes) -> None:
    stream = b"".join(encode_comment(text) + encode_frame(frame) for frame in several)
    assert FrameDecoder().feed(stream) == several


def test_an_empty_id_after_another_is_read_as_that_other() -> None:
    stream = encode_frame(Frame(id=b"7")) + encode_frame(Frame())
    assert FrameDecoder().feed(stream) == [Frame(id=b"7"), Frame(id=b"7")]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(Frame(data=b"a\rb"), "data holds byte 0x0d", id="CR in data"),
        pytest.param(Frame(data=b"a\r\nb"), "data holds byte 0x0d", id="CRLF in data"),
        pytest.param(Frame(event=b"a\r"), "event holds byte 0x0d", id="CR in event"),
        pytest.param(Frame(event=b"\na"), "event holds byte 0x0a", id="LF in event"),
        pytest.param(Frame(id=b"a\r"), "id holds byte 0x0d", id="CR in id"),
        pytest.param(Frame(id=b"a\nb"), "id holds byte 0x0a", id="LF in id"),
        pytest.param(Frame(id=b"a\0"), "id holds byte 0x00", id="NUL in id"),
        pytest.param(Frame(retry=-1), "retry is out of range", id="a negative retry"),
        pytest.param(Frame(retry=10**18), "retry is out of range", id="more digits than are read"),
        pytest.param(Frame(retry=10**5000), "retry is out of range", id="more digits than str() gives"),
    ],
)
def test_what_the_format_cannot_carry_is_refused_by_name(frame: Frame, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        encode_frame(frame)


@pytest.mark.parametrize(
    ("text", "block"),
    [
        pytest.param(b"", b":\n\n", id="a bare heartbeat"),
        pytest.param(b"keepalive", b": keepalive\n\n", id="with text"),
    ],
)
def test_a_comment_is_one_line_that_starts_with_a_colon(text: bytes, block: bytes) -> None:
    assert encode_comment(text) == block


def test_a_comment_leaves_nothing_to_hold() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode_comment(b"keepalive")) == []
    assert decoder.is_between_frames


@pytest.mark.parametrize("text", [b"a\nb", b"a\r", b"\r\n"])
def test_a_comment_of_several_lines_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="comment holds byte"):
        encode_comment(text)
