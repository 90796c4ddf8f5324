"""Where a check is made, and what every check needs.

In      a Transport; a story for a server
Out     a Site, and assertions in words
Units   seconds
Errors  AssertionError
Source  streamfold.client.transport.transport
"""

import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import anyio
from attrs import frozen

from streamfold.client.conformance.faults import Server, Story, Wire, chunk, serve
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.errors import TransportError

__all__ = [
    "BODY",
    "CHUNKS",
    "EVENTS",
    "LAST_CHUNK",
    "PATIENCE_SECONDS",
    "SHORT_SECONDS",
    "Check",
    "Site",
    "enter",
    "failure_of",
    "gone",
    "must_be",
    "must_let_go",
    "open_and_leave",
    "read",
    "settle",
]

PATIENCE_SECONDS = 5.0  # what must happen at once may take this long on a machine that is busy
SHORT_SECONDS = 0.3  # the silence that a check waits for
EVENTS = [b'event: ping\ndata: {"sequence_number": %d}\n\n' % number for number in range(300)]
BODY = b"".join(EVENTS)
CHUNKS = b"".join(map(chunk, EVENTS))
LAST_CHUNK = chunk(b"")


@frozen
class Site:
    """Where a check is made: the transport, and whether its servers speak TLS."""

    transport: Transport
    tls: ssl.SSLContext | None

    def serve(self, story: Story) -> AbstractAsyncContextManager[Server]:
        return serve(story, tls=self.tls)

    def open(
        self, server: Server, *, idle: float = 30.0, method: str = "GET", body: bytes | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        headers = (("accept", "text/event-stream"),)
        request = Request(method=method, url=server.url, headers=headers, body=body, idle_timeout_seconds=idle)
        return self.transport.open(request)


Check = Callable[[Site], Awaitable[None]]


def enter(checks: dict[str, Check], name: str) -> Callable[[Check], Check]:
    """Enter a function among the checks, by the sentence that must hold."""

    def keep(each: Check) -> Check:
        checks[name] = each
        return each

    return keep


async def read(reply: Reply, into: bytearray) -> None:
    """The body to its end, kept also if it ends badly."""
    async for piece in reply.chunks():
        into += piece


async def failure_of(attempt: Awaitable[None]) -> Exception | None:
    try:
        await attempt
    except Exception as error:
        return error
    return None


def must_be(error: Exception | None, *allowed: type[TransportError]) -> None:
    names = " or ".join(kind.__name__ for kind in allowed)
    assert isinstance(error, allowed), f"must raise {names}, not {error!r}"


async def settle() -> None:
    """Let every task of this loop, a transport's own too, do what it can."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def must_let_go(server: Server) -> None:
    with anyio.move_on_after(PATIENCE_SECONDS) as scope:
        await server.wires[-1].closed.wait()
    assert not scope.cancelled_caught, "the socket must be closed when the context is left"


async def open_and_leave(
    site: Site, server: Server, *, idle: float = 30.0, method: str = "GET", body: bytes | None = None
) -> None:
    async with site.open(server, idle=idle, method=method, body=body):
        pass


async def gone(wire: Wire) -> None:
    await wire.gone()
