"""export: the data of each event byte for byte, as any reader of server-sent events reads it."""

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold import FrameDecoder
from streamfold.errors import NumberNotReached, UnknownStream, UsageError
from streamfold.history import export, filler
from streamfold.log import MemoryLog, Record
from tests.history.made import KEY, begin, body, records_of, said

pytestmark = pytest.mark.anyio

DATA = said("a", "b")


async def exported(*records: Record, at: int | None = None) -> bytes:
    log = MemoryLog()
    await begin(log, records)
    return b"".join([chunk async for chunk in export(log, KEY, at=at)])


async def test_a_stream_is_written_as_its_server_would() -> None:
    assert await exported(*records_of(DATA)) == body(DATA)


async def test_a_part_of_it() -> None:
    assert await exported(*records_of(DATA), at=2) == body(DATA[:3])


async def test_an_event_without_a_name_and_a_number_that_was_never_used() -> None:
    assert (
        await exported(Record(0, "", b"{}"), filler(1), Record(2, "x", b"[]")) == b"data: {}\n\nevent: x\ndata: []\n\n"
    )


@given(st.lists(st.binary(min_size=1).filter(lambda data: b"\r" not in data), min_size=1))
async def test_whatever_the_data_is_a_decoder_gives_the_same_bytes(data: list[bytes]) -> None:
    sent = await exported(*(Record(number, "x", each) for number, each in enumerate(data)))
    assert [frame.data for frame in FrameDecoder().feed(sent)] == data


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record(0, "x", b"a\rb"), "record 0 cannot be exported: data holds byte 0x0d"),
        (Record(0, "a\nb", b"{}"), "record 0 cannot be exported: event holds byte 0x0a"),
    ],
)
async def test_what_such_a_file_cannot_carry_is_refused(record: Record, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await exported(record)


async def test_a_number_that_is_not_there() -> None:
    with pytest.raises(NumberNotReached):
        await exported(*records_of(DATA), at=len(DATA))


async def test_a_stream_that_is_not_there() -> None:
    with pytest.raises(UnknownStream):
        await anext(export(MemoryLog(), KEY))


async def test_a_stream_of_many_pages_comes_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.log.tail"), "READ_AT_ONCE", 2)
    log = MemoryLog()
    await begin(log, records_of(DATA))
    assert [chunk async for chunk in export(log, KEY)] == [body(DATA[:2]), body(DATA[2:4]), body(DATA[4:])]
