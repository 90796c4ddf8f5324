"""All faults of one answer together: what is sent, when, and how the connection ends."""

import gzip
import zlib

import pytest

from streamfold.chaos.fault import Drip, Drop, Duplicate, Fault, Gap, Gzip, How, NoTerminal, Reorder, Stall, Where
from streamfold.chaos.injector import Cut, Effect, FaultInjector, Pause, Send
from streamfold.sse import Frame, encode_frame

FRAMES = [Frame(event=b"e", data=b'{"sequence_number":%d,"delta":"h\xc3\xa9"}' % number) for number in range(4)]
BLOCKS = [b'event: e\ndata: {"sequence_number":%d,"delta":"h\xc3\xa9"}\n\n' % number for number in range(4)]


def run(*faults: Fault) -> list[Effect]:
    """The effects of a whole answer."""
    injector = FaultInjector(faults)
    found = injector.open()
    for frame in FRAMES:
        found += injector.frame(frame)
    return found + injector.close()


def body(found: list[Effect]) -> bytes:
    return b"".join(effect.data for effect in found if isinstance(effect, Send))


def test_without_faults_each_frame_is_one_write() -> None:
    assert run() == [Send(block) for block in BLOCKS]


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("how", How)
def test_a_drop_between_events_comes_right_after_the_last_one(after: int, how: How) -> None:
    assert run(Drop(after_events=after, how=how)) == [*map(Send, BLOCKS[:after]), Cut(how, Where.BETWEEN)]


def test_a_drop_beyond_the_end_never_comes() -> None:
    assert run(Drop(after_events=5)) == [Send(block) for block in BLOCKS]


def test_a_drop_that_says_no_number_comes_before_anything() -> None:
    assert run(Drop()) == [Cut(How.FIN, Where.BETWEEN)]
    assert body(run(Drop(where=Where.FRAME))) == BLOCKS[0][: len(BLOCKS[0]) // 2]


def test_a_drop_inside_a_chunk_header_is_for_whoever_writes_the_chunks() -> None:
    assert run(Drop(after_events=1, where=Where.CHUNK)) == [Send(BLOCKS[0]), Cut(How.FIN, Where.CHUNK)]


def test_a_drop_inside_a_frame_leaves_half_of_it() -> None:
    found = run(Drop(after_events=2, where=Where.FRAME))
    assert found[-1] == Cut(How.FIN, Where.FRAME)
    assert body(found) == b"".join(BLOCKS)[: 2 * len(BLOCKS[0]) + len(BLOCKS[0]) // 2]


def test_a_drop_inside_a_character_leaves_its_first_byte() -> None:
    found = run(Drop(after_events=1, where=Where.CHARACTER))
    assert found[-1] == Cut(How.FIN, Where.CHARACTER)
    assert body(found).endswith(b"h\xc3")
    assert body(found).count(b"data:") == 2


def test_a_drop_inside_a_character_waits_for_one() -> None:
    injector = FaultInjector([Drop(after_events=0, where=Where.CHARACTER)])
    assert injector.frame(Frame(data=b"plain")) == [Send(b"data: plain\n\n")]
    assert injector.frame(FRAMES[0])[-1] == Cut(How.FIN, Where.CHARACTER)


def test_a_drop_before_the_head_is_none_of_the_body() -> None:
    assert run(Drop(where=Where.HEAD)) == [Send(block) for block in BLOCKS]


@pytest.mark.parametrize("after", [0, 1, 33, 34, 35, 100])
def test_a_drop_after_bytes_comes_at_that_very_byte(after: int) -> None:
    found = run(Drop(after_bytes=after, how=How.RST))
    assert body(found) == b"".join(BLOCKS)[:after]
    assert found[-1] == Cut(How.RST, Where.BETWEEN)


def test_of_events_and_bytes_the_first_counts() -> None:
    assert body(run(Drop(after_events=1, after_bytes=1000))) == BLOCKS[0]
    assert body(run(Drop(after_events=3, after_bytes=10))) == BLOCKS[0][:10]


def test_after_a_cut_nothing_comes() -> None:
    injector = FaultInjector([Drop(), Gzip()])
    assert injector.open() == [Cut(How.FIN, Where.BETWEEN)]
    assert injector.is_cut
    assert injector.frame(FRAMES[0]) + injector.data(b"x") + injector.close() == []


def test_a_stall_is_a_wait_between_two_events() -> None:
    assert run(Stall(after_events=1, seconds=3.0)) == [Send(BLOCKS[0]), Pause(3.0), *map(Send, BLOCKS[1:])]
    assert run(Stall(after_events=0, seconds=3.0))[0] == Pause(3.0)


def test_a_drip_sends_all_bytes_a_few_at_a_time() -> None:
    found = run(Drip(bytes=7, seconds=0.5))
    assert body(found) == b"".join(BLOCKS)
    assert max(len(effect.data) for effect in found if isinstance(effect, Send)) == 7
    assert found[:3] == [Send(BLOCKS[0][:7]), Pause(0.5), Send(BLOCKS[0][7:14])]


def test_a_drip_without_time_only_cuts() -> None:
    assert all(isinstance(effect, Send) for effect in run(Drip(bytes=1)))


def test_gzip_flushes_every_event() -> None:
    found = [effect.data for effect in run(Gzip()) if isinstance(effect, Send)]
    reader = zlib.decompressobj(wbits=31)
    assert [reader.decompress(each) for each in found[:4]] == BLOCKS
    assert gzip.decompress(b"".join(found)) == b"".join(BLOCKS)
    assert (FaultInjector([Gzip()]).encoding, FaultInjector().encoding) == ("gzip", None)


def test_gzip_and_a_drop_leave_what_was_before_the_drop() -> None:
    found = body(run(Gzip(), Drop(after_events=2)))
    assert zlib.decompressobj(wbits=31).decompress(found) == BLOCKS[0] + BLOCKS[1]


def test_comments_and_bodies_are_bytes_and_count_as_no_event() -> None:
    injector = FaultInjector([Drop(after_events=1)])
    assert injector.data(b":\n\n") == [Send(b":\n\n")]
    assert injector.data(b"") == []
    assert injector.frame(FRAMES[0])[-1] == Cut(How.FIN, Where.BETWEEN)


def test_events_are_counted_as_they_are_sent() -> None:
    assert body(run(Gap(after_events=1), Drop(after_events=2))) == BLOCKS[0] + BLOCKS[2]
    assert body(run(Duplicate(after_events=1), Drop(after_events=2))) == BLOCKS[0] * 2


def test_what_was_held_back_comes_at_the_end() -> None:
    assert body(run(Reorder(after_events=3))) == b"".join(BLOCKS)


def test_no_terminal_leaves_others() -> None:
    assert body(run(NoTerminal())) == b"".join(BLOCKS)


# One effect after the other


def test_a_fault_that_repeats_without_end_gives_one_effect_after_the_other() -> None:
    repeated = FaultInjector([Duplicate(after_events=1, count=2**53 - 1)]).effects(FRAMES[0])
    assert [next(repeated) for _ in range(3)] == [Send(encode_frame(FRAMES[0]))] * 3
    held = FaultInjector([Reorder(after_events=0), Duplicate(after_events=1, count=2**53 - 1)])
    assert list(held.effects(FRAMES[0])) == []
    assert next(held.effects(None)) == Send(encode_frame(FRAMES[0]))


def test_after_a_cut_nothing_that_is_repeated_follows() -> None:
    injector = FaultInjector([Duplicate(after_events=1, count=5), Drop(after_events=2)])
    assert [type(each) for each in injector.effects(FRAMES[0])] == [Send, Send, Cut]
    assert list(injector.effects(b"x")) == []
    assert list(injector.effects(None)) == []
