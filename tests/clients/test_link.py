"""The link counts the streams that pass and sees their end, however the bytes are divided, and cuts where it has to."""

from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from streamfold.chaos import Drop, How, Where
from tests.clients.link import INTO_THE_FRAME, Link, Seen, Watch, link
from tests.servers.program import HOST

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
JSON = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"type": "response.completed"}\n\n'
LAST = b"0\r\n\r\n"
RESET = "reset"


def frame(name: str) -> bytes:
    data = b'event: %s\ndata: {"type":"%s","text":"%s"}\n\n' % (name.encode(), name.encode(), b"x" * 50)
    return b"%x\r\n%s\r\n" % (len(data), data)


DELTA, COMPLETED, MENTION = frame("delta"), frame("response.completed"), frame('x","y":"response.completed')
WHOLE = HEAD + DELTA * 3 + COMPLETED + LAST
TORN = HEAD + DELTA * 3 + LAST


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def passed(watch: Watch, chunks: Iterator[bytes]) -> bytes:
    """What passes until the cut."""
    data = b""
    for chunk in chunks:
        some, is_cut = watch.feed(chunk)
        data += some
        if is_cut:
            break
    return data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(WHOLE, [Seen(4, has_end=True)], id="whole"),
        pytest.param(TORN, [Seen(3, has_end=False)], id="without its end"),
        pytest.param(HEAD + COMPLETED[:-10], [Seen(0, has_end=False)], id="the end is cut"),
        pytest.param(HEAD + MENTION + LAST, [Seen(1, has_end=False)], id="an event that mentions one"),
        pytest.param(JSON, [], id="no stream"),
        pytest.param(WHOLE + TORN, [Seen(4, has_end=True), Seen(3, has_end=False)], id="two on one connection"),
    ],
)
def test_streams_are_seen_and_everything_passes(data: bytes, expected: list[Seen], size: int) -> None:
    seen: list[Seen] = []
    assert passed(Watch(seen), pieces(data, size)) == data
    assert seen == expected


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("where", [Where.BETWEEN, Where.FRAME])
def test_a_stream_is_cut_after_that_many_frames(where: Where, size: int) -> None:
    seen: list[Seen] = []
    data = passed(Watch(seen, Drop(after_events=2, where=where)), pieces(WHOLE, size))
    between = WHOLE.index(DELTA * 2) + 2 * len(DELTA) - 2  # the chunk's own line end is not sent
    assert data == WHOLE[: between + (INTO_THE_FRAME if where is Where.FRAME else 0)]
    assert seen == [Seen(2, has_end=False)]


def test_as_many_streams_are_cut_as_the_fault_says() -> None:
    seen: list[Seen] = []
    drop = Drop(after_events=2, times=2)
    lengths = [len(passed(Watch(seen, drop), pieces(WHOLE, 64))) for _ in range(3)]
    assert lengths[0] == lengths[1] < lengths[2] == len(WHOLE)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def answer(client: SocketStream) -> None:
    """What a server does: it reads a request, and answers; `reset` in it breaks the connection."""
    async with client:
        request = await client.receive()
        await client.send(TORN if b"torn" in request else WHOLE)


async def fetched(proxy: Link, request: bytes) -> bytes | str:
    """What a connection brings, or how it broke."""
    data = b""
    async with await anyio.connect_tcp(HOST, int(proxy.url.rsplit(":", 1)[1])) as stream:
        try:
            await stream.send(request)
            async for chunk in stream:
                data += chunk
        except anyio.BrokenResourceError:
            return RESET
    return data


@pytest.mark.anyio
async def test_a_connection_passes_and_is_cut() -> None:
    async with await anyio.create_tcp_listener(local_host=HOST) as server, anyio.create_task_group() as group:
        group.start_soon(server.serve, answer)
        async with link(server.extra(SocketAttribute.local_port)) as proxy:
            assert await fetched(proxy, b"a request") == WHOLE
            assert await fetched(proxy, b"torn") == TORN
            proxy.drop = Drop(after_events=1)
            assert await fetched(proxy, b"a request") == HEAD + DELTA[:-2]
            proxy.drop = Drop(after_events=1, how=How.RST)
            assert await fetched(proxy, b"a request") == RESET
            assert [each.has_end for each in proxy.seen] == [True, False, False, False]
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    async with await anyio.create_tcp_listener(local_host=HOST) as server:
        port = server.extra(SocketAttribute.local_port)
    async with link(port) as proxy:
        assert await fetched(proxy, b"a request") in (b"", RESET)
