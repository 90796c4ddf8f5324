"""The cutting proxy cuts where its seed says, refuses what it has to, and then lets everything pass."""

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from streamfold.chaos import How
from tests.servers.cutting import Cut, choose_cuts, cutting
from tests.servers.program import HOST

BODY = b"x" * 1000
RESET = "reset"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


async def send_body(client: SocketStream) -> None:
    async with client:
        await client.send(BODY)


async def fetched(url: str) -> bytes | str:
    """What a connection brings, or how it broke."""
    data = b""
    async with await anyio.connect_tcp(HOST, int(url.split(":")[2].removesuffix("/v1"))) as stream:
        try:
            async for chunk in stream:
                data += chunk
        except (anyio.BrokenResourceError, ConnectionError):
            return RESET
    return data


@pytest.mark.anyio
async def test_each_cut_ends_one_connection_and_then_all_pass() -> None:
    async with await anyio.create_tcp_listener(local_host=HOST) as server, anyio.create_task_group() as group:
        group.start_soon(server.serve, send_body)
        cuts = [Cut(300, How.FIN, refused=2), Cut(1500, How.RST, refused=0)]
        async with cutting(server.extra(SocketAttribute.local_port), cuts) as proxy:
            found = [await fetched(proxy.url) for _ in range(6)]
            assert found == [BODY[:300], RESET, RESET, BODY, RESET, BODY]
            assert proxy.made == 2
        group.cancel_scope.cancel()


def test_a_seed_always_gives_the_same_cuts() -> None:
    cuts = [choose_cuts(seed, range(10, 20)) for seed in range(20)]
    assert cuts == [choose_cuts(seed, range(10, 20)) for seed in range(20)]
    assert {cut.how for each in cuts for cut in each} == set(How)
    assert {cut.after_bytes for each in cuts for cut in each} <= set(range(10, 20))
