"""What a caller gives as `http` becomes a Transport, and bytes that it fetches itself become a Reply."""

from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import httpx
import httpx2
import httpx_sse
import pytest

from streamfold.client.conformance import Wire, chunk, head, serve
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.client.transport.resolve import open_source, resolve_transport
from streamfold.errors import Disconnected, IdleTimeout, InvalidArgument, UsageError
from tests.client.stub import Stub, Told

pytestmark = pytest.mark.anyio

EVENTS = [b"\xef\xbb\xbfdata: 1\n\n", b"data: 2\n\n"]


class Broken(Exception):
    pass


async def two(closed: list[str] | None = None) -> AsyncIterator[bytes]:
    try:
        for event in EVENTS:
            yield event
    finally:
        if closed is not None:
            closed.append("closed")


async def two_then_broken() -> AsyncIterator[bytes]:
    for event in EVENTS:
        yield event
    raise Broken("no more")


async def one_then_silence() -> AsyncIterator[bytes]:
    yield EVENTS[0]
    await anyio.sleep_forever()


async def stream(wire: Wire) -> None:
    await wire.send(head("202 Accepted", x_request_id="r1", content_type="text/event-stream; charset=iso-8859-1"))
    for event in EVENTS:
        await wire.send(chunk(event))
    await wire.gone()


async def test_an_iterable_is_read_to_its_end() -> None:
    async with open_source(two()) as reply:
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert [part async for part in reply.chunks()] == EVENTS


async def test_an_iterable_that_is_left_in_the_middle_is_closed() -> None:
    closed: list[str] = []
    async with open_source(two(closed)) as reply:
        async for _ in reply.chunks():
            break
    assert closed == ["closed"]


async def test_what_an_iterable_raises_comes_after_its_bytes_and_is_the_cause() -> None:
    got: list[bytes] = []
    async with open_source(two_then_broken()) as reply:
        with pytest.raises(Disconnected, match="no more") as caught:
            async for part in reply.chunks():
                got.append(part)
    assert got == EVENTS
    assert isinstance(caught.value.__cause__, Broken)


async def test_silence_of_an_iterable_is_told() -> None:
    async with open_source(one_then_silence(), idle_timeout_seconds=0.05) as reply:
        with pytest.raises(IdleTimeout):
            async for _ in reply.chunks():
                pass


async def test_a_pending_read_of_an_iterable_can_be_aborted() -> None:
    async with open_source(one_then_silence()) as reply, anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(Disconnected):
                async for _ in reply.chunks():
                    pass

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await reply.abort()


async def test_an_event_source_gives_its_bytes_its_status_and_its_headers() -> None:
    got = b""
    async with (
        serve(stream) as server,
        httpx.AsyncClient() as client,
        httpx_sse.aconnect_sse(client, "GET", server.url) as events,
        open_source(events) as reply,
    ):
        assert (reply.status, reply.headers["x-request-id"]) == (202, "r1")
        async for part in reply.chunks():
            got += part
            if got.endswith(EVENTS[-1]):
                break
    assert got == b"".join(EVENTS)


async def test_an_event_source_of_httpx2_gives_its_bytes_too() -> None:
    got = b""
    async with (
        serve(stream) as server,
        httpx2.AsyncClient() as client,
        client.sse(server.url) as events,
        open_source(events) as reply,
    ):
        async for part in reply.chunks():
            got += part
            if got.endswith(EVENTS[-1]):
                break
    assert got == b"".join(EVENTS)


async def test_a_source_that_was_read_already_has_its_body_still() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"x"))) as client:
        response = await client.get("http://nowhere.invalid/")
    async with open_source(httpx_sse.EventSource(response)) as reply:
        assert [part async for part in reply.chunks()] == [b"x"]


async def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(UsageError, match="not int"):
        async with open_source(cast(Any, 7)):
            pass


async def test_a_source_is_read_once() -> None:
    async with open_source(two()) as reply:
        reply.chunks()
        with pytest.raises(UsageError):
            reply.chunks()


@pytest.mark.parametrize("http", [None, "httpx"])
async def test_nothing_given_is_httpx(http: str | None) -> None:
    transport, is_ours = resolve_transport(http)
    assert isinstance(transport, HttpxTransport)
    assert is_ours
    await transport.aclose()


async def test_direct_is_asked_for_by_its_name() -> None:
    transport, is_ours = resolve_transport("direct")
    assert isinstance(transport, DirectTransport)
    assert is_ours
    await transport.aclose()


def test_a_transport_is_taken_as_it_is_and_left_to_its_owner() -> None:
    given = Stub(lambda request: Told())
    assert resolve_transport(given) == (given, False)


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx2.AsyncClient])
async def test_a_client_of_either_library_is_wrapped_and_left_open(client: type) -> None:
    async with client() as given:
        transport, _ = resolve_transport(given)
        assert isinstance(transport, HttpxTransport)
        await transport.aclose()
        assert not given.is_closed


@pytest.mark.parametrize(
    "http", ["urllib", 7, object(), [], httpx.Client], ids=["a name", "a number", "an object", "a list", "a class"]
)
def test_what_can_carry_nothing_is_refused(http: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve_transport(http)
    assert caught.value.name == "http"
