"""new_records: what an append does to a stream, for every head and every run of records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.errors import LogClosed, LogConflict, LogError, LogGap, WriterFenced
from streamfold.log import Record, says_the_same
from streamfold.log.append import StreamHead, lease_end, new_records, next_epoch


def record(number: int, text: str = "") -> Record:
    return Record(number, "delta", f"{number}{text}".encode())


@given(
    first_number=st.integers(0, 5),
    count=st.integers(0, 6),
    begin=st.integers(0, 14),
    length=st.integers(0, 6),
    other=st.none() | st.integers(0, 5),
    is_finished=st.booleans(),
    is_ours=st.booleans(),
)
def test_what_is_appended_leaves_no_hole_and_changes_nothing(
    first_number: int, count: int, begin: int, length: int, other: int | None, is_finished: bool, is_ours: bool
) -> None:
    there = {number: record(number) for number in range(first_number, first_number + count)}
    records = [record(number, "other" if number - begin == other else "") for number in range(begin, begin + length)]
    head = StreamHead(first_number + count, epoch=3, is_finished=is_finished)

    def stored(first: int, beyond: int) -> list[Record]:
        return [there[number] for number in range(first, beyond) if number in there]

    expected: type[LogError] | None = None
    known = [each for each in records if each.sequence_number < head.next_number]
    new = [each for each in records if each.sequence_number >= head.next_number]
    if not is_ours:
        expected = WriterFenced
    elif records and begin > head.next_number:
        expected = LogGap
    elif any(there.get(each.sequence_number) != each for each in known):
        expected = LogConflict
    elif new and is_finished:
        expected = LogClosed
    if expected is None:
        assert list(new_records(head, records, epoch=3, stored=stored)) == new
    else:
        with pytest.raises(expected):
            new_records(head, records, epoch=3 if is_ours else 2, stored=stored)


@pytest.mark.parametrize(
    ("ends_at", "length", "end"),
    [(105, 10, 105), (110, 10, 110), (3_710, 10, 110), (3_710, 0, 3_710)],
    ids=["half over", "just renewed", "by a clock that was ahead", "of an unknown length"],
)
def test_a_lease_ends_no_later_than_its_length_from_now(ends_at: float, length: float, end: float) -> None:
    assert lease_end(ends_at, length=length, now=100) == end


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(b'{"a":1}', b'{"a":1}', True, id="the same bytes"),
        pytest.param(b"no JSON", b"no JSON", True, id="the same bytes, whatever they are"),
        pytest.param(b'{"a":1,"obfuscation":"xx"}', b'{"obfuscation":"","a":1}', True, id="another padding"),
        pytest.param(b'{"a":1}', b'{"a":1,"obfuscation":"x"}', True, id="no padding"),
        pytest.param(b'{"a":1}', b'{"a":1.0}', False, id="another spelling of a number is not judged"),
        pytest.param(b'{"a":{"obfuscation":"x"}}', b'{"a":{"obfuscation":"y"}}', False, id="a padding further inside"),
        pytest.param(b'{"a":1}', b'{"a":1,"b":2}', False, id="a field more"),
        pytest.param(b"[1]", b"[1,2]", False, id="no objects"),
        pytest.param(b"\xff", b"\xfe", False, id="no text"),
        pytest.param(b"[" * 100_000, b"[" * 100_001, False, id="nested too deep"),
    ],
)
def test_when_two_data_are_one_event(one: bytes, other: bytes, same: bool) -> None:
    assert says_the_same(one, other) is same


@pytest.mark.parametrize(
    ("epoch", "now", "after"),
    [
        pytest.param(0, 1_790_000_000.5, 1_790_000_000_500, id="of a new stream, its time"),
        pytest.param(1_790_000_000_500, 1_790_000_000.5, 1_790_000_000_501, id="in the same millisecond, one more"),
        pytest.param(1_790_000_000_500, 1.0, 1_790_000_000_501, id="though the clock was set back"),
    ],
)
def test_an_epoch_only_rises(epoch: int, now: float, after: int) -> None:
    assert next_epoch(epoch, now=now) == after
