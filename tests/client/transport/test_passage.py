"""Laws of a passage: bytes pass as they came where nothing is wrong, and each event passes once, whole, however it is cut."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.client.transport import lookout
from streamfold.client.transport.lookout import WatchedSession
from streamfold.client.transport.passage import Passage, Unfinished
from streamfold.session import Connect, Patience, Retrieve
from streamfold.session.answer import Answer
from streamfold.sse import Frame, FrameDecoder
from tests.session.made import JSON, added, body, created, delta, ended, frame

HELLO = (created(0), added(1), delta(2, "Hel"), delta(3, "lö"), ended(4, text="Hellö"))
WHOLE = b"".join(HELLO)
ODD = (
    b"\xef\xbb\xbf: a comment\n\nid: 7\nretry: 5\n"
    + WHOLE.replace(b"data: ", b"event: x\ndata: ", 1)
    + b"data: [DONE]\n\n"
)
LINE_ENDS = {"LF": b"\n", "CR LF": b"\r\n", "CR": b"\r"}


def passage(*, is_folded: bool = False) -> Passage:
    patience = Patience(gap_seconds=0.0)
    session = WatchedSession(random=lambda: 0.0, now=0.0, is_connected=True, patience=patience)
    return Passage(session, now=0.0, is_folded=is_folded)


def cut(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """The data cut at these places, modulo its length."""
    at = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return (data[start:end] for start, end in pairwise(at))


def feed(one: Passage, data: bytes, places: Sequence[int]) -> bytes:
    return b"".join([one.receive_chunk(chunk, now=0.0) for chunk in cut(data, places)])


def frames(data: bytes) -> list[bytes]:
    """The data of the frames in these bytes."""
    decoder = FrameDecoder()
    return [each.data for each in decoder.feed(data)]


places = st.lists(st.integers(0, 2000), max_size=12)


@given(places)
@pytest.mark.parametrize("ends", ["LF", "CR LF"])
def test_law_what_is_whole_passes_byte_for_byte(ends: str, places: list[int]) -> None:
    data = ODD.replace(b"\n", LINE_ENDS[ends])
    assert feed(passage(), data, places) == data


@given(places)
@pytest.mark.parametrize("ends", LINE_ENDS)
def test_law_each_event_passes_whole_whatever_ends_its_lines(ends: str, places: list[int]) -> None:
    one = passage()
    found = feed(one, ODD.replace(b"\n", LINE_ENDS[ends]), places) + one.receive_eof(now=0.0)
    assert frames(found)[:5] == frames(WHOLE)
    assert one.is_over


@given(st.integers(0, len(WHOLE)), st.integers(0, 4), places, places)
def test_law_a_stream_that_is_cut_and_resumed_passes_whole(
    at: int, earlier: int, first: list[int], then: list[int]
) -> None:
    """The second connection begins with events that have passed, up to four of them."""
    one = passage()
    found = feed(one, WHOLE[:at], first)
    assert found == b"" or found.endswith(b"\n\n")
    seen = len(frames(found))
    if not one.is_over and seen:
        one.receive_failure(Connect(), "reset", now=1.0)
        take_steps(one, now=2.0)
        one.begin_connection(now=3.0)
        found += feed(one, b"".join(HELLO[max(0, seen - earlier) :]), then)
        assert one.is_over
    assert frames(found) == frames(WHOLE)[: len(frames(found))]
    assert one.is_over or not seen


LONG = (*HELLO[:2], *(delta(number, "ab") for number in range(2, 12)), ended(12, text="ab" * 10))
OTHERS = (
    frame("error", 5, message="no"),
    frame("response.in_progress", 5, response=body()),
    frame("response.completed", 12, response=body("completed", id="resp_2")),
    frame("response.completed", 12, response=body("in_progress")),
    b": ping\n\n",
    b"data: {\n\n",
    b'{"error": "plain"}\n\n',
    delta(None),
    delta(6).replace(b"\n", b"\r\n"),
    delta(7).replace(b"\n", b"\r"),
)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(OTHERS)), max_size=3), st.lists(st.integers(0, 12)), places
)
def test_law_a_stream_that_is_only_watched_passes_as_one_that_is_folded(
    put: list[tuple[int, bytes]], doubled: list[int], places: list[int]
) -> None:
    blocks = [block for place, block in enumerate(LONG) for _ in range(1 + doubled.count(place) % 3)]
    for at, other in put:
        blocks.insert(at, other)
    watched, folded = passage(), passage(is_folded=True)
    found = feed(watched, b"".join(blocks), places) + watched.receive_eof(now=1.0)
    assert found == feed(folded, b"".join(blocks), places) + folded.receive_eof(now=1.0)
    assert watched.is_over == folded.is_over
    if not watched.is_over:
        assert watched.session.state == folded.session.state


def test_a_stream_without_trouble_is_never_folded() -> None:
    one = passage()
    assert b"".join([one.receive_chunk(block, now=0.0) for block in LONG]) == b"".join(LONG)
    assert one.is_over
    assert (one.session.state.cursor or 0) < 12


def test_what_is_kept_of_a_watched_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "KEPT_BYTES", 500)
    one = passage()
    assert b"".join([one.receive_chunk(block, now=0.0) for block in LONG[:-1]]) == b"".join(LONG[:-1])
    assert (one.session.state.cursor or 0) > 5


def take_steps(one: Passage, *, now: float) -> list[str]:
    """Take every step until the stream is asked for again. Returns their names."""
    taken: list[str] = []
    while not isinstance(step := one.next_step(now=now), Connect):
        assert step is not None
        taken.append(type(step).__name__)
        if taken[-1] == "Wait":
            one.session.receive_time(now=now)
    return taken


def broken_after(count: int) -> Passage:
    """A passage that was resumed after so many events."""
    one = passage()
    assert one.receive_chunk(b"".join(HELLO[:count]), now=0.0)
    one.receive_failure(Connect(), "reset", now=1.0)
    assert take_steps(one, now=5.0) == ["Repair", "Close", "Wait"]
    one.begin_connection(now=6.0)
    return one


def test_half_a_frame_is_kept_and_forgotten_with_its_connection() -> None:
    one = passage()
    assert one.receive_chunk(HELLO[0] + HELLO[1][:20], now=0.0) == HELLO[0]
    one.receive_failure(Connect(), "reset", now=1.0)
    take_steps(one, now=2.0)
    one.begin_connection(now=3.0)
    assert one.receive_chunk(HELLO[1], now=3.0) == HELLO[1]


def test_a_duplicate_is_dropped_and_the_rest_of_its_chunk_framed_again() -> None:
    one = passage()
    one.receive_chunk(HELLO[0], now=0.0)
    found = one.receive_chunk(HELLO[0] + HELLO[1], now=0.0)
    assert found == b"event: response.output_item.added\n" + HELLO[1]
    assert one.receive_chunk(HELLO[1], now=0.0) == b""


BACK = (*HELLO[:4], delta(2, " wo"), delta(3, "rld"), delta(4, "!"))


@pytest.mark.parametrize("is_folded", [False, True])
def test_numbers_that_go_back_lose_nothing(is_folded: bool) -> None:
    one = passage(is_folded=is_folded)
    end = ended(5, text="Hellö world!")
    assert b"".join([one.receive_chunk(block, now=0.0) for block in (*BACK, end)]) == b"".join(BACK) + end
    assert one.is_over


@pytest.mark.parametrize("end", ["eof", "failure"])
def test_a_stream_whose_numbers_go_back_is_not_resumed(end: str) -> None:
    one = passage()
    assert b"".join([one.receive_chunk(block, now=0.0) for block in BACK]) == b"".join(BACK)
    assert (one.receive_eof(now=1.0) if end == "eof" else one.receive_failure(Connect(), "reset", now=1.0)) == b""
    with pytest.raises(Unfinished, match="two different events"):
        one.finish()


def test_an_event_from_after_a_gap_passes_in_its_turn() -> None:
    one = passage()
    one.receive_chunk(HELLO[0] + HELLO[1], now=0.0)
    assert one.receive_chunk(HELLO[3], now=0.0) == b""
    found = one.receive_chunk(HELLO[2], now=0.0)
    assert frames(found) == frames(HELLO[2] + HELLO[3])


def test_a_name_that_no_line_can_hold_is_left_out() -> None:
    one = passage()
    odd = frame("a\nb", 1)
    one.receive_chunk(HELLO[0], now=0.0)
    assert one.receive_chunk(HELLO[0] + odd, now=0.0) == odd


@pytest.mark.parametrize(("before", "passes"), [(3, False), (4, True)])
def test_an_end_that_is_alone_passes_if_its_text_was_delivered(before: int, passes: bool) -> None:
    one = broken_after(before)
    assert (one.receive_chunk(ended(before, text="Hellö"), now=7.0) != b"") is passes
    assert one.is_over is passes
    if not passes:
        with pytest.raises(Unfinished, match="no longer has all of its events"):
            one.finish()


def test_an_end_with_unseen_text_passes_where_nothing_was_repaired() -> None:
    one = passage()
    found = one.receive_chunk(HELLO[0], now=0.0) + one.receive_chunk(ended(1, text="all"), now=0.0)
    assert found == HELLO[0] + ended(1, text="all")


ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hellö"}]}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_an_end_from_a_get_passes_as_an_event_if_its_output_was_delivered(status: str) -> None:
    one = passage()
    done = frame("response.output_item.done", 4, output_index=0, item=ITEM)
    one.receive_chunk(b"".join((*HELLO[:4], done)), now=0.0)
    final = json.dumps(body(status, output=[ITEM])).encode()
    one.session.receive_answer(Retrieve(), Answer(200, JSON, final), now=1.0)
    [found] = FrameDecoder().feed(one.finish())
    assert found.event == f"response.{status}".encode()
    event = json.loads(found.data)
    assert (event["type"], event["sequence_number"]) == (f"response.{status}", 5)
    assert event["response"]["output"] == [ITEM]


def test_an_end_from_a_get_does_not_pass_if_its_output_is_another() -> None:
    one = passage()
    one.receive_chunk(b"".join(HELLO[:3]), now=0.0)
    final = json.dumps(body("completed", output=[ITEM])).encode()
    one.session.receive_answer(Retrieve(), Answer(200, JSON, final), now=1.0)
    with pytest.raises(Unfinished):
        one.finish()


def test_an_unknown_end_is_unfinished_with_its_reason() -> None:
    one = passage()
    one.receive_failure(Connect(), "reset", now=1.0)
    assert one.first_trouble == "the stream cannot be read"
    assert one.session.outcome is not None
    with pytest.raises(Unfinished, match="reset"):
        one.finish()


ERROR = b'event: error\ndata: {"type":"error","sequence_number":1,"error":{"message":"too many"}}'


@pytest.mark.parametrize("cut", ["eof", "failure"])
@pytest.mark.parametrize(
    ("tail", "passed"), [(ERROR, ERROR + b"\n\n"), (ERROR[:-1], b""), (b"event: error\ndata: to", b"")]
)
def test_an_error_that_lacks_its_blank_line_alone_passes_at_the_end(cut: str, tail: bytes, passed: bytes) -> None:
    one = passage()
    assert one.receive_chunk(HELLO[0] + tail, now=0.0) == HELLO[0]
    if cut == "eof":
        assert one.receive_eof(now=1.0) == passed
    else:
        assert one.receive_failure(Connect(), "reset", now=1.0) == passed


def test_after_the_end_everything_passes() -> None:
    one = passage()
    one.receive_chunk(WHOLE, now=0.0)
    assert one.receive_chunk(b"any\r", now=0.0) == b"any\r"
    assert one.receive_eof(now=0.0) == b""


def test_a_frame_of_many_small_chunks_is_joined_once() -> None:
    one = passage()
    long = delta(2, "x" * 100_000)
    one.receive_chunk(b"".join(HELLO[:2]), now=0.0)
    found = [one.receive_chunk(long[at : at + 100], now=0.0) for at in range(0, len(long), 100)]
    assert b"".join(found[:-1]) == b""
    assert found[-1] == long


def test_a_frame_ends_with_the_next_byte_of_its_blank_line() -> None:
    one = passage()
    assert one.receive_chunk(HELLO[0][:-1], now=0.0) == b""
    assert one.receive_chunk(b"\n", now=0.0) == HELLO[0]
    assert FrameDecoder().feed(HELLO[0]) == [Frame(b"", frames(HELLO[0])[0])]


def test_deadlines_count_only_while_something_is_missing() -> None:
    one = passage()
    one.receive_chunk(HELLO[0] + HELLO[1], now=0.0)
    assert one.wants_chunk
    assert one.waits_until == float("inf")
    one.receive_chunk(HELLO[3], now=1.0)
    assert not one.wants_chunk
    one.next_step(now=1.0)
    assert one.waits_until == 1.0
