"""A proxy that cuts connections, by a seed: where, how, and how many reconnects it refuses after each cut."""

import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream
from attrs import frozen

from streamfold.chaos import How
from tests.servers.program import HOST

BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
RESET = struct.pack("ii", 1, 0)  # lingers for no time: closing sends RST


@frozen
class Cut:
    """One cut.

    Attributes:
        after_bytes: Of what the server has sent since the cut before, over however many connections.
        how: How the connection ends.
        refused: The connections after it that are reset at once.
    """

    after_bytes: int
    how: How
    refused: int


def choose_cuts(seed: int, sizes: range) -> list[Cut]:
    """The cuts of a seed: one to three. sizes: Of what is sent between two of them."""
    random = Random(seed)
    return [
        Cut(random.choice(sizes), random.choice(list(How)), random.randrange(3)) for _ in range(random.randint(1, 3))
    ]


class CuttingProxy:
    """A proxy in front of a port: everything passes, but for the cuts, one after the other.

    Attributes:
        url: Where it listens, with the path of the API.
        made: How many cuts it made.
    """

    def __init__(self, target: int, cuts: list[Cut]) -> None:
        self.url: str = ""
        self.made: int = 0
        self._target = target
        self._cuts = deque(cuts)
        self._refused = 0
        self._sent = 0  # since the last cut

    async def serve(self, client: SocketStream) -> None:
        async with client:
            if self._refused:
                self._refused -= 1
                close(client, How.RST)
                return
            with suppress(*BROKEN):
                async with await anyio.connect_tcp(HOST, self._target) as server:
                    async with anyio.create_task_group() as group:
                        group.start_soon(pass_on, client, server)
                        await self._answer(server, client)
                        group.cancel_scope.cancel()

    async def _answer(self, server: ByteReceiveStream, client: SocketStream) -> None:
        async for chunk in server:
            cut = self._cuts[0] if self._cuts else None
            if cut and self._sent + len(chunk) >= cut.after_bytes:
                await client.send(chunk[: cut.after_bytes - self._sent])
                self._cuts.popleft()
                self._sent, self._refused = 0, cut.refused
                self.made += 1
                close(client, cut.how)
                return
            await client.send(chunk)
            self._sent += len(chunk)


async def pass_on(source: ByteReceiveStream, sink: ByteSendStream) -> None:
    """Send on what arrives, until one of the two ends."""
    with suppress(*BROKEN):
        async for chunk in source:
            await sink.send(chunk)


def close(client: SocketStream, how: How) -> None:
    """Prepare the connection so that closing it ends it like this."""
    if how is How.RST:
        client.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@asynccontextmanager
async def cutting(target: int, cuts: list[Cut]) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of a port of the loopback, as long as the block lasts."""
    proxy = CuttingProxy(target, cuts)
    try:
        async with await anyio.create_tcp_listener(local_host=HOST) as listener, anyio.create_task_group() as group:
            proxy.url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}/v1"
            group.start_soon(listener.serve, proxy.serve)
            yield proxy
            group.cancel_scope.cancel()
    except BaseExceptionGroup as raised:  # by the block: the tasks of the proxy raise nothing
        raise raised.exceptions[0] from None
