"""A stream that one task holds open and another reads: letting go of it ends a read that is pending, and no other."""

import anyio
import pytest

from streamfold.client import Reply, Request
from streamfold.client.follow.stream import Connection
from streamfold.errors import Disconnected
from streamfold.session import Connect
from tests.client.stub import Part, Stub, forever, stream

pytestmark = pytest.mark.anyio
REQUEST = Request(method="GET", url="http://stub")


def opened(call: Connect, reply: Reply) -> Connection:
    connection = Connection(call)
    connection.open(reply)
    return connection


def stub(*parts: Part) -> Stub:
    return Stub(lambda request: stream(*parts))


async def test_its_chunks_come_and_then_its_end() -> None:
    async with stub(b"a", b"b").open(REQUEST) as reply:
        connection = opened(Connect(7), reply)
        assert connection.call == Connect(7)
        assert [await connection.next_chunk(), await connection.next_chunk()] == [b"a", b"b"]
        with pytest.raises(StopAsyncIteration):
            await connection.next_chunk()


async def test_it_is_held_open_till_it_is_let_go_of() -> None:
    transport = stub(forever())

    async def hold(connections: list[Connection]) -> None:
        async with transport.open(REQUEST) as reply:
            connections.append(opened(Connect(), reply))
            await connections[0].hold()

    connections: list[Connection] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold, connections)
        await anyio.wait_all_tasks_blocked()
        assert transport.is_open == 1
        connections[0].release(is_read=False)
    assert (transport.is_open, transport.aborted) == (0, 0)


async def test_a_read_that_is_pending_is_ended() -> None:
    transport = stub(b"a", forever())
    told: list[object] = []

    async def read(connection: Connection) -> None:
        try:
            while True:
                told.append(await connection.next_chunk())
        except Disconnected:
            told.append("ended")

    async with transport.open(REQUEST) as reply, anyio.create_task_group() as tasks:
        connection = opened(Connect(), reply)
        tasks.start_soon(read, connection)
        await anyio.wait_all_tasks_blocked()
        connection.release(is_read=True)
        await connection.hold()
    assert told == [b"a", "ended"]
    assert transport.aborted == 1


async def test_releasing_twice_is_releasing() -> None:
    transport = stub(forever())
    async with transport.open(REQUEST) as reply:
        connection = opened(Connect(), reply)
        connection.release(is_read=False)
        connection.release(is_read=False)
        with anyio.fail_after(5):
            await connection.hold()
    assert (transport.is_open, transport.aborted) == (0, 0)
