"""A content encoding is undone at once, in bounded pieces, however the bytes are cut."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncGenerator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.client.transport.body import (
    MAX_TRAILING_BYTES,
    PIECE_BYTES,
    ContentDecoder,
    ReplyBody,
    is_plain,
    join_header,
)
from streamfold.errors import Disconnected, ProtocolViolation, UsageError


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
    with pytest.raises(ProtocolViolation, match=f"not valid {name}"):
        list(ContentDecoder(name).decode(b"\xff\xff data"))


def test_what_came_before_the_fault_is_given_first() -> None:
    encoder = zlib.compressobj()
    good = encoder.compress(b"data: {}\n\n") + encoder.flush(zlib.Z_SYNC_FLUSH)
    decoder = ContentDecoder("deflate")
    assert b"".join(decoder.decode(good)) == b"data: {}\n\n"
    with pytest.raises(ProtocolViolation):
        list(decoder.decode(b"\xff" * 9))


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    for encoding in ("br", "gzip, br", ", ".join(["gzip"] * 5)):
        with pytest.raises(ProtocolViolation, match=encoding):
            ContentDecoder(encoding)


def test_a_chain_of_encodings_is_undone_in_bounded_pieces() -> None:
    body = bytes(3 * PIECE_BYTES)
    pieces = list(ContentDecoder("deflate, identity, gzip").decode(gzip.compress(zlib.compress(body))))
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_no_piece_is_decoded_before_the_one_before_it_was_taken() -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 * PIECE_BYTES)))
    tracemalloc.start()
    try:
        assert len(next(ContentDecoder("gzip, gzip").decode(bomb))) <= PIECE_BYTES
        assert tracemalloc.get_traced_memory()[1] < 8 * PIECE_BYTES
    finally:
        tracemalloc.stop()


def body_of(*chunks: bytes, closed: list[str] | None = None) -> ReplyBody:
    async def read() -> AsyncGenerator[bytes, None]:
        try:
            for chunk in chunks:
                yield chunk
        finally:
            if closed is not None:
                closed.append("closed")

    return ReplyBody(read)


@pytest.mark.anyio
async def test_a_plain_body_comes_as_it_is_and_an_encoded_one_decoded() -> None:
    assert [part async for part in body_of(b"a", b"b").chunks()] == [b"a", b"b"]
    assert [part async for part in body_of(gzip.compress(b"ab")).chunks("gzip")] == [b"ab"]


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_body_that_is_closed_in_the_middle_closes_what_it_reads(encoding: str) -> None:
    closed: list[str] = []
    body = body_of(gzip.compress(b"a"), b"", closed=closed)
    await anext(body.chunks(encoding))
    await body.aclose()
    assert closed == ["closed"]


@pytest.mark.anyio
async def test_a_body_is_read_once_and_not_after_it_was_closed() -> None:
    body, left = body_of(b"a"), body_of(b"a")
    async for _ in body.chunks():
        pass
    await left.aclose()
    for each in (body, left):
        with pytest.raises(UsageError, match="read once"):
            each.chunks()


def test_a_repeated_header_is_one_value_with_commas() -> None:
    headers: dict[str, str] = {}
    for name, value in ((b"X-One", b"1"), (b"x-one", b"2"), (b"B", b"\xe9")):
        join_header(headers, name, value)
    assert headers == {"x-one": "1, 2", "b": "é"}


@pytest.mark.parametrize("header", ["", "identity", " Identity ", "none", "identity, none"])
def test_no_encoding_is_plain(header: str) -> None:
    assert is_plain(header)


@pytest.mark.parametrize("header", ["utf-8", "aws-chunked", "new", "NONE", ",", "gzip2"])
def test_a_name_that_is_no_coding_is_plain_too(header: str) -> None:
    assert is_plain(header)


def test_a_long_header_is_not_quoted_as_a_whole() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        ContentDecoder("br, " * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("encode", [zlib.compress, raw_deflate])
def test_deflate_shows_its_format_also_a_byte_at_a_time(encode) -> None:
    decoder = ContentDecoder("deflate")
    got = [piece for byte in encode(b"data: {}\n\n" * 99) for piece in decoder.decode(bytes([byte]))]
    assert b"".join(got) == b"data: {}\n\n" * 99


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_bytes_after_the_end_are_dropped_up_to_a_limit(name: str) -> None:
    encode = {"gzip": gzip.compress, "deflate": zlib.compress}[name]
    decoder = ContentDecoder(name)
    assert b"".join(decoder.decode(encode(b"one") + b"junk")) == b"one"
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolViolation, match=f"follow the {name} data"):
            for _ in range(1000):
                assert b"".join(decoder.decode(bytes(1000))) == b""
        assert tracemalloc.get_traced_memory()[1] < MAX_TRAILING_BYTES
    finally:
        tracemalloc.stop()


def test_a_member_that_follows_in_a_later_chunk_is_part_of_the_body() -> None:
    decoder = ContentDecoder("gzip")
    chunks = [gzip.compress(b"one"), gzip.compress(b"two")[:1], gzip.compress(b"two")[1:]]
    assert b"".join(piece for chunk in chunks for piece in decoder.decode(chunk)) == b"onetwo"


def test_each_step_that_gives_nothing_is_a_piece_so_that_others_can_run() -> None:
    nothing = gzip.compress(gzip.compress(b"") * 1000)
    pieces = list(ContentDecoder("gzip, gzip").decode(nothing))
    assert len(pieces) >= 1000
    assert not any(pieces)


@pytest.mark.anyio
async def test_a_read_that_decodes_is_ended_between_two_pieces() -> None:
    body = body_of(gzip.compress(bytes(9 * PIECE_BYTES)))
    chunks = body.chunks("gzip")
    assert len(await anext(chunks)) == PIECE_BYTES
    body.end()
    with pytest.raises(Disconnected):
        await anext(chunks)


@pytest.mark.anyio
async def test_other_tasks_run_between_two_pieces() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        got = [len(piece) async for piece in body_of(gzip.compress(bytes(64 * PIECE_BYTES))).chunks("gzip")]
        tasks.cancel_scope.cancel()
    assert sum(got) == 64 * PIECE_BYTES
    assert turns >= 60
