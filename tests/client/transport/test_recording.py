"""With `log=`, what passes through a ResumingTransport is in the log first."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import httpx2
import pytest

from streamfold.client import Request, ResumingTransport
from streamfold.errors import LogUnusable, UsageError
from streamfold.log import EventLog, MemoryLog, Record, StreamKey
from tests.client.inner import BACKGROUND, QUICK, URL, Inner
from tests.client.stub import Told, said, stream
from tests.session.made import added, created, delta, ended

pytestmark = pytest.mark.anyio

HELLO = (created(0), added(1), delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello"))
WHOLE = b"".join(HELLO)
KEY = StreamKey("", "resp_1")
DROP: Any = httpx2.ReadError("reset")


def in_turn(*answers: Told) -> Callable[[Request], Told]:
    left = list(answers)
    return lambda request: left.pop(0)


def data_of(blocks: Sequence[bytes]) -> list[bytes]:
    return [block.removeprefix(b"data: ").rstrip() for block in blocks]


async def records(log: EventLog) -> list[Record]:
    return list(await log.read(KEY))


async def passed(log: EventLog, *answers: Told, url: str = "", chunks: int | None = None) -> bytes:
    """The body of a create, or of a GET of this URL. chunks: How many are read before it is left."""
    transport = ResumingTransport(Inner(httpx2, in_turn(*answers)), log=log, patience=QUICK)
    found: list[bytes] = []
    async with httpx2.AsyncClient(transport=transport) as client:
        asked: dict[str, Any] = (
            {"method": "GET", "url": url} if url else {"method": "POST", "url": URL, "json": BACKGROUND}
        )
        async with client.stream(**asked) as response, aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                found.append(chunk)
                if chunks is not None and len(found) >= chunks:
                    break
    return b"".join(found)


async def test_each_event_is_recorded_once_across_a_drop() -> None:
    log = MemoryLog()
    assert await passed(log, stream(*HELLO[:3], DROP), stream(*HELLO[1:])) != b""
    assert [each.data for each in await records(log)] == data_of(HELLO)
    info = await log.require(KEY)
    assert (info.is_finished, info.status) == (True, "completed")


async def test_an_event_is_in_the_log_before_it_passes() -> None:
    log = MemoryLog()
    transport = ResumingTransport(Inner(httpx2, in_turn(stream(*HELLO))), log=log)
    async with httpx2.AsyncClient(transport=transport) as client:
        async with client.stream("POST", URL, json=BACKGROUND) as response:
            seen = b""
            async for chunk in response.aiter_bytes():
                seen += chunk
                assert len(await records(log)) >= seen.count(b"\n\n")


async def test_a_stream_that_is_left_early_can_be_continued_by_another_writer() -> None:
    log = MemoryLog()
    await passed(log, stream(*HELLO), chunks=3)
    assert [each.data for each in await records(log)] == data_of(HELLO[:3])
    lease = await log.acquire(KEY, owner="another", seconds=10)
    assert lease.next_number == 3


async def test_a_stream_that_was_left_unfinished_gets_what_it_lacks() -> None:
    log = MemoryLog()
    await passed(log, stream(*HELLO), chunks=3)
    assert await passed(log, stream(WHOLE), url=f"{URL}/resp_1?stream=true") == WHOLE
    assert [each.data for each in await records(log)] == data_of(HELLO)


async def test_a_stream_that_begins_after_what_the_log_has_is_not_recorded() -> None:
    log = MemoryLog()
    await passed(log, stream(*HELLO), chunks=2)
    later = stream(*HELLO[3:])
    assert await passed(log, later, url=f"{URL}/resp_1?stream=true&starting_after=2") == b"".join(HELLO[3:])
    assert [each.data for each in await records(log)] == data_of(HELLO[:2])
    await log.acquire(KEY, owner="another", seconds=10)


async def test_what_another_process_records_only_passes() -> None:
    log = MemoryLog()
    await log.acquire(KEY, owner="another", seconds=10)
    assert await passed(log, stream(*HELLO)) == WHOLE
    assert await records(log) == []


async def test_what_is_finished_only_passes() -> None:
    log = MemoryLog()
    await passed(log, stream(*HELLO))
    assert await passed(log, stream(*HELLO)) == WHOLE
    assert len(await records(log)) == 5


async def test_a_stream_that_is_lost_is_released_unfinished() -> None:
    log = MemoryLog()
    with pytest.raises(httpx2.ReadError):
        gone = said({"error": {"message": "not found"}}, 404)
        await passed(log, stream(*HELLO[:2], DROP), gone, gone, gone)
    assert not (await log.require(KEY)).is_finished
    await log.acquire(KEY, owner="another", seconds=10)


class BrokenLog(MemoryLog):
    async def append(self, *given: Any, **how: Any) -> int:
        raise LogUnusable("the log", "it is broken")


async def test_what_cannot_be_recorded_does_not_pass() -> None:
    with pytest.raises(LogUnusable):
        await passed(BrokenLog(), stream(*HELLO))


def test_a_sync_client_is_refused() -> None:
    transport = ResumingTransport(Inner(httpx2, in_turn()), log=MemoryLog())
    with httpx2.Client(transport=transport) as client, pytest.raises(UsageError, match="AsyncClient"):
        client.post(URL, json=BACKGROUND)
