"""Where a check is made: a transport, and a server on 127.0.0.1 that misbehaves as a script says.

The server uses plain sockets and no HTTP library, since what it sends is often not HTTP.
"""

import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream
from attrs import frozen

from streamfold.check import failure_of
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.errors import TransportError

HEAD_END = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the close is an RST
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


# Every connection of a server lives the same script, which is an async function of its `Wire`. When the script returns, the
# server hangs up with a FIN. The request is read to its end first, because a socket that is closed with bytes unread sends
# an RST instead, which takes along what the client has not received yet. A script that wants an RST asks for it.
#
# `closed` is set when the client has closed its side: a check waits for it to see that a transport let go of its socket.


class Wire:
    """One connection, as its story sees it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.head: bytes = b""
        self.body: bytes = b""
        self.closed: anyio.Event = anyio.Event()  # the client has let go of the connection, or we have

    async def send(self, data: bytes) -> None:
        """One write, which is one segment on loopback."""
        await self._stream.send(data)

    async def reset(self) -> None:
        """Hang up with an RST."""
        raw = self._stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Hang up with a FIN, and no farewell of TLS."""
        await anyio.aclose_forcefully(self._stream)

    async def gone(self) -> None:
        """Wait, silent, until the client hangs up."""
        with suppress(*GONE):
            while True:
                await self._stream.receive()
        self.closed.set()

    async def read_request(self) -> None:
        """The whole request, so that a later close is a FIN and not, for bytes unread, an RST."""
        while HEAD_END not in self.head:
            self.head += await self._stream.receive()
        self.head, _, self.body = self.head.partition(HEAD_END)
        fields = dict(line.lower().split(b": ", 1) for line in self.head.split(b"\r\n")[1:])
        while len(self.body) < int(fields.get(b"content-length", b"0")):
            self.body += await self._stream.receive()


Story = Callable[[Wire], Awaitable[None]]


class FaultyServer:
    """url: where it listens. wires: a connection each, as they came."""

    def __init__(self, url: str, story: Story) -> None:
        self.url = url
        self.wires: list[Wire] = []
        self._story = story

    async def handle(self, stream: ByteStream) -> None:
        """Read the request, then do what the story says; when it ends, hang up."""
        wire = Wire(stream)
        self.wires.append(wire)
        try:
            with suppress(*GONE):
                await wire.read_request()
                await self._story(wire)
        finally:
            wire.closed.set()
            await wire.hang_up()


@asynccontextmanager
async def serve(story: Story, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[FaultyServer, None]:
    """A server on a free port of 127.0.0.1, until the context is left; every connection lives the same story.

    tls: the server's certificate, for https.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port: int = listener.extra(SocketAttribute.local_port)
    server = FaultyServer(f"{'https' if tls else 'http'}://127.0.0.1:{port}/", story)

    async def accept(stream: ByteStream) -> None:
        try:
            with suppress(*GONE):
                if tls is not None:
                    stream = await TLSStream.wrap(stream, server_side=True, ssl_context=tls, standard_compatible=False)
                await server.handle(stream)
        finally:
            await anyio.aclose_forcefully(stream)

    failure: Exception | None = None
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, accept)
        try:
            yield server
        except Exception as error:  # the caller's own: out of the group, which would wrap it
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def head(status: str = "200 OK", **fields: str) -> bytes:
    """A reply's head: a chunked event stream, unless the fields say otherwise; an empty field is left out."""
    every = {"content_type": "text/event-stream", "transfer_encoding": "chunked", **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in every.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One HTTP chunk; of no bytes, the one that ends a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


# What every check needs

MAX_SECONDS = 10.0  # for one check as a whole
PATIENCE_SECONDS = 5.0  # what must happen at once may take this long on a machine that is busy
SHORT_SECONDS = 0.3  # the silence that a check waits for
EVENTS = [b'event: ping\ndata: {"sequence_number": %d}\n\n' % number for number in range(300)]
BODY = b"".join(EVENTS)
CHUNKS = b"".join(map(chunk, EVENTS))
LAST_CHUNK = chunk(b"")


@frozen
class Setup:
    """Where a check is made: the transport, and whether its servers speak TLS."""

    transport: Transport
    tls: ssl.SSLContext | None

    def serve(self, story: Story) -> AbstractAsyncContextManager[FaultyServer]:
        return serve(story, tls=self.tls)

    def open(
        self, server: FaultyServer, *, idle: float = 30.0, method: str = "GET", body: bytes | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        headers = (("accept", "text/event-stream"),)
        request = Request(method=method, url=server.url, headers=headers, body=body, idle_timeout_seconds=idle)
        return self.transport.open(request)


async def read(reply: Reply, into: bytearray) -> None:
    """The body to its end, kept also if it ends badly."""
    async for piece in reply.chunks():
        into += piece


async def error_of(attempt: Awaitable[None]) -> Exception | None:
    """What an attempt ends with: one of the four errors of the contract, or something that breaks it."""
    return await failure_of(attempt, Exception)


def must_be_one_of(error: Exception | None, *allowed: type[TransportError]) -> None:
    names = " or ".join(kind.__name__ for kind in allowed)
    assert isinstance(error, allowed), f"must raise {names}, not {error!r}"


async def settle() -> None:
    """Let every task of this loop, a transport's own too, do what it can."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def must_let_go(server: FaultyServer) -> None:
    with anyio.move_on_after(PATIENCE_SECONDS) as scope:
        await server.wires[-1].closed.wait()
    assert not scope.cancelled_caught, "the socket must be closed when the context is left"


async def open_and_leave(
    setup: Setup, server: FaultyServer, *, idle: float = 30.0, method: str = "GET", body: bytes | None = None
) -> None:
    async with setup.open(server, idle=idle, method=method, body=body):
        pass


async def gone(wire: Wire) -> None:
    await wire.gone()
