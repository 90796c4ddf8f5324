"""A TCP link whose first connections are cut while an answer streams."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteStream, SocketAttribute

CLOSED = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
EVENT_END = b"\n\n"
HOST = "127.0.0.1"


class Link:
    """What happened on a link.

    Attributes:
        url: Where clients connect.
        cuts: How many connections were cut.
    """

    def __init__(self, target: str, cut_after: Iterable[int]) -> None:
        self.url: str = ""
        self.cuts: int = 0
        self._target = urlsplit(target)
        self._cut_after = iter(cut_after)

    async def carry(self, client: ByteStream) -> None:
        """Carry one connection to its end, or until it is cut."""
        with suppress(*CLOSED, OSError):
            async with (
                client,
                await anyio.connect_tcp(self._target.hostname or HOST, self._target.port or 80) as server,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(_pass_on, client, server)
                await self._answer(server, client)
                tasks.cancel_scope.cancel()

    async def _answer(self, server: ByteStream, client: ByteStream) -> None:
        cut_after = next(self._cut_after, None)
        events = 0
        with suppress(*CLOSED):
            async for chunk in server:
                await client.send(chunk)
                events += chunk.count(EVENT_END)
                if cut_after is not None and events >= cut_after:
                    self.cuts += 1
                    return


async def _pass_on(client: ByteStream, server: ByteStream) -> None:
    with suppress(*CLOSED):
        async for chunk in client:
            await server.send(chunk)


@asynccontextmanager
async def open_link(target: str, cut_after: Iterable[int]) -> AsyncGenerator[Link]:
    """A link to this URL. Its first connections are cut after so many events each, the later ones never."""
    link = Link(target, cut_after)
    listener = await anyio.create_tcp_listener(local_host=HOST)
    async with listener, anyio.create_task_group() as tasks:
        link.url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
        tasks.start_soon(listener.serve, link.carry)
        yield link
        tasks.cancel_scope.cancel()
