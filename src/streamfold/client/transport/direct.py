"""Follow over a socket of our own: for many streams in one process, at a tenth of the cost of an HTTP client.

In      Requests
Out     Replies
Units   seconds, bytes
Errors  ConnectFailed, IdleTimeout, Disconnected, ProtocolViolation; InvalidArgument for a request that cannot be sent
Source  docs/explanation/transports.md has the measurements; needs the extra `direct`

HTTP/1.1 over TCP or TLS, a connection for each reply. No proxies, no pool, no redirects, no cookies: where those are
needed, httpx is the transport.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from streamfold.client.transport.body import ReplyBody
from streamfold.client.transport.failure import disconnected, sentence
from streamfold.client.transport.http1 import ReplyParser, Target, request_bytes, target_of
from streamfold.client.transport.timing import ABORTED, IdleTimer, spawn
from streamfold.client.transport.tls import shared_context
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, TransportError

__all__ = ["DirectReply", "DirectTransport"]

# What says that no connection came about, TLS and a host that is no name among it; all else is somebody's mistake.
NO_CONNECTION = (OSError, anyio.BrokenResourceError, anyio.EndOfStream, UnicodeError)
# Two reads that come so soon one after the other are a burst, in which no read comes sooner after another: a reader
# that is faster than its server would be woken for each few events, and spend its time on that. See
# docs/explanation/transports.md.
GATHER_SECONDS = 0.001
FULL_BYTES = 65_536  # what one read holds: after such a one more is there already


class DirectTransport:
    """A Transport that holds nothing: every reply has its own connection, closed with it.

    ssl_context: for https; without one, the context that this process shares.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        """Send a request; inside the context its reply."""
        target = target_of(request.url)
        sent = request_bytes(request, target)
        stream = await self._connect(target, request.connect_timeout_seconds)
        reply = DirectReply(stream, request)
        try:
            await reply.begin(sent)
            yield reply
        finally:
            await reply.aclose()

    async def aclose(self) -> None:
        """Nothing is kept that would have to be closed."""

    async def _connect(self, target: Target, seconds: float) -> ByteStream:
        stream: ByteStream | None = None
        try:
            with anyio.fail_after(seconds):
                stream = await anyio.connect_tcp(target.host, target.port)
                if not target.is_tls:
                    return stream
                return await TLSStream.wrap(
                    stream,
                    hostname=target.host,
                    ssl_context=self._ssl_context or shared_context(),
                    server_side=False,
                    standard_compatible=False,  # HTTP says itself where it ends; many servers send no farewell
                )
        except BaseException as error:
            if stream is not None:
                await anyio.aclose_forcefully(stream)
            if not isinstance(error, NO_CONNECTION):
                raise
            said = f"no connection within {seconds:g} seconds" if isinstance(error, TimeoutError) else sentence(error)
            raise ConnectFailed(f"{target.authority}: {said}") from error


class DirectReply:
    """A reply that is read from its own connection."""

    def __init__(self, stream: ByteStream, request: Request) -> None:
        self._stream = stream
        self._parser = ReplyParser(method=request.method)
        self._idle_seconds = request.idle_timeout_seconds
        self._idle_timer = IdleTimer(self._idle_seconds, self._expire)
        self._ended: TransportError | None = None  # why we ended the connection ourselves
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
        timer.waiting_since = timer.now()
        # A server may answer and hang up before it has read everything: its answer counts.
        with suppress(anyio.BrokenResourceError):
            await self._stream.send(request)
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
        """Nothing more comes: the peer is gone, or we ended the connection ourselves."""
        if self._ended is not None:
            self._parser.fail(self._ended, None)
        elif isinstance(error, anyio.EndOfStream):
            self._parser.feed_end()
        else:
            self._parser.fail(disconnected(error), error)

    def _expire(self) -> None:
        self._ended = self._ended or IdleTimeout(f"nothing came for {self._idle_seconds:g} seconds")
        spawn(self._hang_up)  # a timer cannot wait, and uvloop lets nobody shut its sockets down

    async def _hang_up(self) -> None:
        """A read that is pending ends with this, whichever task it is in."""
        with suppress(Exception):  # the peer was faster
            await anyio.aclose_forcefully(self._stream)
