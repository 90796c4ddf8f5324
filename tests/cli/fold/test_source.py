"""Gzip as it is read: members, padding, cuts, and the bound."""

import gzip
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.cli.fold.source import MAX_OUTPUT, unpacked
from streamfold.cli.terminal import Failure

TEXT = b"data: some words that repeat, some words that repeat\n\n" * 50
NOISE = random.Random(0).randbytes(5000)
FEW = 10**6


def unpack(chunks: Iterable[bytes], *, max_bytes: int = FEW) -> tuple[bytes, str]:
    """What came out, and what was said."""
    out = b""
    try:
        for data in unpacked(chunks, max_bytes=max_bytes):
            out += data
    except Failure as failure:
        return out, failure.reason
    return out, ""


@given(st.lists(st.sampled_from([TEXT, NOISE, b""]), min_size=1, max_size=4), st.integers(1, 3000), st.integers(0, 9))
def test_cutting_the_file_anywhere_unpacks_the_same(members: list[bytes], size: int, padding: int) -> None:
    data = b"".join(map(gzip.compress, members)) + b"\0" * padding
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert unpack(chunks) == (b"".join(members), "")


@given(st.integers(min_value=1, max_value=1000))
def test_a_file_that_is_cut_off_gives_a_prefix_and_says_so(missing: int) -> None:
    data = gzip.compress(NOISE)
    out, said = unpack([data[:-missing]])
    assert said == "the gzip file is truncated"
    assert NOISE.startswith(out)
    assert len(out) >= len(NOISE) - missing


def test_what_came_before_a_wrong_checksum_is_whole() -> None:
    data = gzip.compress(NOISE)
    assert unpack([data[:-8] + b"12345678"]) == (NOISE, "the gzip file is corrupt")


def test_rubbish_behind_a_member_is_corrupt() -> None:
    assert unpack([gzip.compress(TEXT) + b"rubbish behind"]) == (TEXT, "the gzip file is corrupt")


def test_a_bomb_is_stopped_at_the_bound_and_never_held() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    sizes: list[int] = []
    with pytest.raises(Failure, match="more than 1,000,000 bytes"):
        sizes.extend(len(data) for data in unpacked([bomb], max_bytes=FEW))
    assert max(sizes, default=0) <= MAX_OUTPUT
