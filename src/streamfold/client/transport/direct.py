"""A transport over plain sockets, with a tenth of an HTTP client's cost per event: `http="direct"`.

HTTP/1.1 over TCP or TLS, with one connection for each reply. It has no proxies, pool, redirects or cookies: use httpx for
those. docs/explanation/transports.md has the measurements. It needs the extra `direct`.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from streamfold.client.transport.body import ReplyBody
from streamfold.client.transport.failure import disconnected, sentence
from streamfold.client.transport.http1 import Destination, ReplyParser, destination_of, request_bytes
from streamfold.client.transport.timing import ABORTED, IdleTimer, spawn
from streamfold.client.transport.tls import shared_context
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, TransportError

# What can stop a connection, TLS and a host name that cannot be encoded among it. Anything else is a mistake of ours.
NO_CONNECTION = (OSError, anyio.BrokenResourceError, anyio.EndOfStream, UnicodeError)
# Two reads within this time are a burst, and in a burst the next read waits until it is over. A reader that is faster
# than its server would otherwise be woken for every few events, and spend its time on that: 9 events a read instead of
# 210, and twice the CPU (docs/explanation/transports.md). After any silence, the next read comes at once.
GATHER_SECONDS = 0.001
SENT_BYTES = 65_536  # of a request at a time
FULL_BYTES = 65_536  # what one read holds: after such a one more is there already


class DirectTransport:
    """A Transport whose every reply has its own connection, closed with it.

    Args:
        ssl_context: For https; None for the one that this process shares.
    """

    holds_no_scope: ClassVar[bool] = True

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        """Send a request; the context gives its reply."""
        destination = destination_of(request.url)
        sent = request_bytes(request, destination)
        stream = await self._connect(destination, request.connect_timeout_seconds)
        reply = DirectReply(stream, request)
        try:
            await reply.begin(sent)
            yield reply
        finally:
            await reply.aclose()

    async def aclose(self) -> None:
        """Nothing is kept open between replies."""

    async def _connect(self, destination: Destination, seconds: float) -> ByteStream:
        stream: ByteStream | None = None
        try:
            with anyio.fail_after(seconds):
                stream = await anyio.connect_tcp(destination.host, destination.port)
                if not destination.is_tls:
                    return stream
                return await TLSStream.wrap(
                    stream,
                    hostname=destination.host,
                    ssl_context=self._ssl_context or shared_context(),
                    server_side=False,
                    standard_compatible=False,  # HTTP itself says where it ends, and many servers send no close_notify
                )
        except BaseException as error:
            if stream is not None:
                await anyio.aclose_forcefully(stream)
            if not isinstance(error, NO_CONNECTION):
                raise
            said = f"no connection within {seconds:g} seconds" if isinstance(error, TimeoutError) else sentence(error)
            raise ConnectFailed(f"{destination.authority}: {said}") from error


# How a reply ends. Three things can end it, and each leaves its reason where the reader finds it after the bytes before it:
#
#     the peer        `receive` raises, or gives nothing more: the parser knows whether the body was whole
#     silence         the idle timer calls `_expire`, which notes an IdleTimeout and closes the socket
#     the client      `abort` (another task) or `aclose` (the end of the block) note Disconnected, and close the socket
#
# Closing the socket is what wakes a pending read, so no cancel scope stands around it. The first reason that is noted is
# the one that is raised: what the closed socket then says of itself is only our own doing.


class DirectReply:
    """A reply that is read from its own connection."""

    def __init__(self, stream: ByteStream, request: Request) -> None:
        self._stream = stream
        self._parser = ReplyParser(method=request.method)
        self._idle_seconds = request.idle_timeout_seconds
        self._idle_timer = IdleTimer(self._idle_seconds, self._expire)
        self._ended: TransportError | None = None  # why we closed the connection ourselves
        self._body = ReplyBody(self._read)

    @property
    def status(self) -> int:
        return self._parser.status

    @property
    def headers(self) -> dict[str, str]:
        return self._parser.headers

    async def begin(self, request: bytes) -> None:
        """Send the request, and read until the head of the reply is there."""
        parser, timer = self._parser, self._idle_timer
        timer.start()
        # A server may answer and hang up before it has read everything: its answer counts.
        with suppress(anyio.BrokenResourceError):
            for start in range(0, len(request), SENT_BYTES):
                timer.waiting_since = timer.now()  # a slow upload is not silence
                await self._stream.send(request[start : start + SENT_BYTES])
        while not parser.has_head and not parser.is_over:
            timer.waiting_since = timer.now()
            await self._receive()
        timer.waiting_since = None
        if parser.failure is not None and not parser.has_head:
            raise parser.failure

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, content-decoded; what one read brought is one chunk."""
        return self._body.chunks(self.headers.get("content-encoding", ""))

    async def abort(self) -> None:
        self._ended = self._ended or Disconnected(ABORTED)
        self._body.end()
        await self._hang_up()

    async def aclose(self) -> None:
        """Close the connection. A read that is pending in another task ends with it, and drops the parser itself."""
        self._idle_timer.stop()
        self._ended = self._ended or Disconnected(ABORTED)
        is_read_elsewhere = self._body.is_being_read
        try:
            await self._body.aclose()
        finally:
            if not is_read_elsewhere:
                self._parser.close()
            await self._hang_up()

    # The hot path: one pass for each chunk of a stream. Everything it calls is bound to a local name first; an idle timer
    # costs two stores; and httptools appends each part of the body to a list from C, so that one read is one chunk however
    # many parts it held. A failure is not raised where it is noticed but after the loop, when all bodies were handed over.
    async def _read(self) -> AsyncGenerator[bytes, None]:
        parser, timer = self._parser, self._idle_timer
        bodies, receive, feed, now = parser.bodies, self._stream.receive, parser.feed, timer.now
        read_at, next_at = -GATHER_SECONDS, 0.0
        while True:
            if bodies:
                data = bodies[0] if len(bodies) == 1 else b"".join(bodies)
                bodies.clear()
                yield data
            if parser.is_over:
                break
            if (left := next_at - now()) > 0:
                await anyio.sleep(left)
            timer.waiting_since = now()
            try:
                data = await receive()
            except Exception as error:
                self._lost(error)
            else:
                feed(data)
                before, read_at = read_at, now()
                is_burst = read_at - before < GATHER_SECONDS and len(data) < FULL_BYTES
                next_at = read_at + GATHER_SECONDS if is_burst else 0.0
            timer.waiting_since = None
        if parser.failure is not None:
            raise parser.failure

    async def _receive(self) -> None:
        try:
            data = await self._stream.receive()
        except Exception as error:
            self._lost(error)
        else:
            self._parser.feed(data)

    def _lost(self, error: Exception) -> None:
        """No more bytes come: the peer is gone, or we closed the connection ourselves."""
        if self._ended is not None:
            self._parser.fail(self._ended, None)
        elif isinstance(error, anyio.EndOfStream):
            self._parser.feed_end()
        else:
            self._parser.fail(disconnected(error), error)

    def _expire(self) -> None:
        self._ended = self._ended or IdleTimeout(f"nothing arrived for {self._idle_seconds:g} seconds")
        spawn(self._hang_up)  # a timer cannot await, and uvloop does not let us shut its sockets down

    async def _hang_up(self) -> None:
        """Close the socket. A pending read ends with it, whichever task it is in."""
        with suppress(Exception):  # the peer closed it first
            await anyio.aclose_forcefully(self._stream)
