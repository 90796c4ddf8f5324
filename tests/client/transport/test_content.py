"""A content encoding is undone at once, in bounded pieces, however the bytes are cut."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.client.transport.content import PIECE_BYTES, ContentDecoder, is_plain
from streamfold.errors import ProtocolViolation


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


ENCODINGS = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("x-gzip", gzip.compress, id="x-gzip"),
    pytest.param("GZIP ", gzip.compress, id="gzip, written otherwise"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", raw_deflate, id="deflate without zlib's head"),
    pytest.param("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:]), id="gzip in two members"),
    pytest.param("gzip", lambda data: gzip.compress(data) + bytes(9), id="gzip and padding"),
]


@pytest.mark.parametrize(("name", "encode"), ENCODINGS)
def test_what_was_encoded_comes_back(name, encode) -> None:
    assert b"".join(ContentDecoder(name).decode(encode(b"data: {}\n\n" * 9))) == b"data: {}\n\n" * 9


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_cutting_the_bytes_anywhere_gives_the_same(data: bytes, size: int) -> None:
    encoded, decoder = gzip.compress(data), ContentDecoder("gzip")
    parts = [encoded[at : at + size] for at in range(0, len(encoded), size)]
    assert b"".join(piece for part in parts for piece in decoder.decode(part)) == data


@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_what_grows_a_thousand_times_comes_in_bounded_pieces(size: int) -> None:
    pieces = list(ContentDecoder("gzip").decode(gzip.compress(bytes(size))))
    assert b"".join(pieces) == bytes(size)
    assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_what_is_no_such_encoding_is_refused(name: str) -> None:
    with pytest.raises(ProtocolViolation, match=f"no {name}"):
        list(ContentDecoder(name).decode(b"\xff\xff data"))


def test_what_came_before_the_fault_is_given_first() -> None:
    encoder = zlib.compressobj()
    good = encoder.compress(b"data: {}\n\n") + encoder.flush(zlib.Z_SYNC_FLUSH)
    decoder = ContentDecoder("deflate")
    assert b"".join(decoder.decode(good)) == b"data: {}\n\n"
    with pytest.raises(ProtocolViolation):
        list(decoder.decode(b"\xff" * 9))


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="'br'"):
        ContentDecoder("br")


@pytest.mark.parametrize("header", ["", "identity", " Identity "])
def test_no_encoding_is_plain(header: str) -> None:
    assert is_plain(header)
