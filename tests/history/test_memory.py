"""What reads a whole log holds little of it: a page of 1 MiB or one record, and the state of the response that it reads."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from streamfold.history import export, import_stream, replay, states, verify
from streamfold.log import EventLog, SqliteLog, StreamKey
from streamfold.log.valkey import ValkeyLog
from tests.conftest import sampled_product
from tests.log.valkeys import running

pytestmark = pytest.mark.anyio

RECORDS, RECORD_BYTES = 60, 1_000_000
MOST_BYTES = 14_000_000  # a page, the record before it, and what decoding and encoding one of them take
KEY = StreamKey("tenant", "resp_1")
RESPONSE = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
ITEM = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress", "result": None}


def chunks() -> Iterator[bytes]:
    """An image in many partial images, each of which replaces the one before: the Response itself stays small."""
    partial = {"type": "response.image_generation_call.partial_image", "output_index": 0, "item_id": "ig_1"}
    ended = {"type": "response.completed", "response": RESPONSE | {"status": "completed"}}
    yield event(0, {"type": "response.created", "response": RESPONSE})
    yield event(1, {"type": "response.output_item.added", "output_index": 0, "item": ITEM})
    for number in range(RECORDS):
        image = {"partial_image_index": number, "partial_image_b64": "A" * RECORD_BYTES}
        yield event(number + 2, partial | image)
    yield event(RECORDS + 2, ended)


def event(number: int, fields: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % json.dumps(fields | {"sequence_number": number}).encode()


@pytest.fixture
async def log(engine: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[EventLog]:
    if engine == "sqlite":
        async with SqliteLog(tmp_path / "log.db") as opened:
            yield opened
    elif anyio_backend == "trio":
        pytest.skip("the engine on Valkey needs asyncio")
    else:
        with running(tmp_path / "server") as server:
            async with ValkeyLog(server.url) as opened:
                yield opened


async def verified(log: EventLog) -> None:
    assert [each.is_whole async for each in verify(log)] == [True]


async def replayed(log: EventLog) -> None:
    assert (await replay(log, KEY)).status == "completed"


async def stepped(log: EventLog) -> None:
    async for _ in states(log, KEY):
        pass


async def exported(log: EventLog) -> None:
    async for _ in export(log, KEY):
        pass


async def imported(log: EventLog) -> None:
    await import_stream(log, "tenant", chunks())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@sampled_product("engine,read", 3, ["sqlite", "valkey"], [verified, replayed, stepped, exported, imported])
async def test_it_holds_a_page_and_not_the_stream(
    engine: str, read: Callable[[EventLog], Awaitable[None]], log: EventLog
) -> None:
    await import_stream(log, "tenant", chunks())
    tracemalloc.start()
    try:
        await read(log)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES < RECORDS * RECORD_BYTES / 4
