"""WebSockets through a relay: once the upstream has agreed, bytes go both ways as they are.

An upstream that does not agree answers in HTTP. That answer is passed on, and then the connection is closed: a client
whose upgrade was refused must not be able to speak HTTP to the upstream past the relay.
"""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable
from typing import cast

import httptools

from streamfold.client import shared_context
from streamfold.relay.origin import Origin
from streamfold.serving import UpgradeRequest, written_refusal

# Theory of operation. Two protocols share a tunnel, each with the other as its `peer`:
#
#     opening     the client is not read; the head of its request goes to the upstream with another Host
#     answering   the upstream's head is kept until it is whole; 101 opens the tunnel, anything else is passed on and ends it
#     open        what one side sends is written to the other; a full buffer of one pauses the reading of the other
#
# The client's side is one of the server's connections: it is counted, looked at, and cut with them.

log: logging.Logger = logging.getLogger("streamfold.relay")

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
LAST_STATUS = 599
MOST_HEAD_BYTES = 64 * 2**10
LAST_SECONDS = 10.0  # for what was written before the other side closed
SHOWN_BYTES = 200  # of a path, in a log line


class Tunnels:
    """Opens tunnels to one upstream. `open` is an Upgrade, for an AsgiServer.

    Args:
        origin: The upstream.
        connect_seconds: How long it may take to connect.
        idle_seconds: How long both sides may be silent, after which the tunnel is cut.
        max_tunnels: How many there may be at the same time.
        ssl_context: For an upstream with TLS; None for the one that this process shares.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connect_seconds: float = 10.0,
        idle_seconds: float = 600.0,
        max_tunnels: int = 200,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.origin: Origin = origin
        self.connect_seconds: float = connect_seconds
        self.idle_seconds: float = idle_seconds
        self.max_tunnels: int = max_tunnels
        self.count: int = 0
        self._context = (ssl_context or shared_context()) if origin.is_tls else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._upstreams: set[asyncio.Transport] = set()

    def open(self, request: UpgradeRequest) -> None:
        """Take over a connection. Returns at once."""
        if self.count >= self.max_tunnels:
            said = f"The relay has {self.max_tunnels} WebSockets open, the most that it may. Try again later."
            request.transport.write(written_refusal(503, said))
            request.transport.close()
            return
        client = _ClientSide(self, request)
        task = asyncio.get_running_loop().create_task(self._connect(client, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Cut what is left on the side of the upstream. The server has closed the side of the clients."""
        if not self._tasks and not self._upstreams:  # always, on another event loop than asyncio's
            return
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in list(self._upstreams):
            transport.abort()
        await asyncio.sleep(0)  # the transports are closed in the next turn of the loop

    async def _connect(self, client: "_ClientSide", request: UpgradeRequest) -> None:
        origin = self.origin
        try:
            async with asyncio.timeout(self.connect_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: _UpstreamSide(client, request, origin, self._upstreams),
                    origin.host,
                    origin.port,
                    ssl=self._context,
                    server_hostname=origin.host if self._context else None,
                )
        except (OSError, TimeoutError) as error:
            reason = f"{error}" or f"no connection within {self.connect_seconds:g} seconds"
            said = f"The relay cannot connect to its upstream {origin.root}: {reason.rstrip('.')}."
            client.refuse(f"{said} Check that it runs, and the relay's --upstream.")


class _Side(asyncio.Protocol):
    """What both sides do once the tunnel is open."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.peer: _Side | None = None
        self.is_lost = False
        self.active_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.active_at = time.monotonic()
        if self.peer is not None:
            self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self.peer is not None:
            self.peer.finish()

    def finish(self) -> None:
        """Close, once what was written is sent, but not later than that takes an honest reader."""
        if not self.is_lost and not self.transport.is_closing():
            self.transport.close()
            asyncio.get_running_loop().call_later(LAST_SECONDS, self.transport.abort)


class _ClientSide(_Side):
    """The client's side, from the upgrade on."""

    def __init__(self, tunnels: Tunnels, request: UpgradeRequest) -> None:
        super().__init__()
        self._tunnels = tunnels
        self._connections = request.connections
        self._path = request.target.partition(b"?")[0][:SHOWN_BYTES].decode("ascii", "replace")
        tunnels.count += 1
        request.connections.add(self)
        self.connection_made(request.transport)
        request.transport.set_protocol(self)
        request.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnels.count -= 1
        self._connections.discard(self)
        super().connection_lost(exc)

    def look(self, now: float) -> None:
        """Cut the tunnel if both sides have been silent too long."""
        active_at = max(self.active_at, self.peer.active_at if self.peer is not None else 0.0)
        if now - active_at >= self._tunnels.idle_seconds:
            self.transport.abort()
            if self.peer is not None:
                self.peer.transport.abort()

    def shutdown(self) -> None:
        """Tunnels are not asked to end: what is spoken in them is not known. They are cut with the last connections."""

    def refuse(self, message: str) -> None:
        """Answer that the upstream is not available."""
        if not self.transport.is_closing():
            log.warning("%s: %s", self._path, message)
            self.transport.write(written_refusal(502, message))
            self.transport.close()

    def start(self, head: bytes, peer: _Side, rest: bytes) -> None:
        """The tunnel is open. head: The upstream's answer, and what came with it. rest: What the client sent already."""
        self.transport.write(head)
        if rest:
            peer.transport.write(rest)
        if not self.transport.is_closing():
            self.transport.resume_reading()


class _UpstreamSide(_Side):
    """The upstream's side, from its connection on."""

    def __init__(
        self, client: _ClientSide, request: UpgradeRequest, origin: Origin, upstreams: set[asyncio.Transport]
    ) -> None:
        super().__init__()
        self._upstreams = upstreams
        self._client = client
        self._request: UpgradeRequest | None = request  # until it is answered
        self._origin = origin
        self._head = b""
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._is_whole = False  # a refusal, as far as its end can be known
        self._receive: Callable[[bytes], None] = self._read_head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._upstreams.add(self.transport)
        self.peer, self._client.peer = self._client, self
        if self._client.is_lost or self._client.transport.is_closing():
            self.transport.abort()
            return
        assert self._request is not None
        self.transport.write(written_head(self._request, self._origin))

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstreams.discard(self.transport)
        if self._request is not None:
            self._fail("closed the connection before it answered")
        super().connection_lost(exc)

    # Before the tunnel is open

    def _read_head(self, data: bytes) -> None:
        self.active_at = time.monotonic()
        self._head += data
        problem = self._problem(data)
        if self._request is not None and not problem and self._status:
            self._answer(self._request)
        elif problem:
            if self._request is not None:
                self._fail(problem)
            self.transport.abort()

    def _problem(self, data: bytes) -> str:
        """What is wrong with the head of the answer, as far as it has come."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            return "did not answer in HTTP"
        head = self._head.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
        if self._status > LAST_STATUS or (self._status and _CONTROL.search(head)):  # a reason may have them
            return "did not answer in HTTP"
        is_long = self._status == 0 and len(self._head) > MOST_HEAD_BYTES
        return f"answered with a head of more than {MOST_HEAD_BYTES} bytes" if is_long else ""

    def _answer(self, request: UpgradeRequest) -> None:
        head, self._head, self._request = self._head, b"", None
        if self._status == 101:
            self._receive = super().data_received
            self._client.start(head, self, request.rest)
        else:  # the client stays unread
            self._client.transport.write(head)
            self._receive = self._pass_on_refusal
            if self._is_whole:
                self._client.finish()

    def _pass_on_refusal(self, data: bytes) -> None:
        super().data_received(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_whole = True
        if self._is_whole:
            self._client.finish()

    def on_headers_complete(self) -> None:
        """The parser's: an interim answer is passed on with the final one."""
        status = self._parser.get_status_code()
        if status == 101 or status >= 200:
            self._status = status

    def on_message_complete(self) -> None:
        """The parser's."""
        self._is_whole = self._status >= 200

    def _fail(self, what: str) -> None:
        self._request = None
        self._client.refuse(f"The upstream {self._origin.root} {what}.")


def written_head(request: UpgradeRequest, origin: Origin) -> bytes:
    """The head of the request as the upstream gets it: unchanged but for its Host."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target), b"host: " + origin.authority.encode()]
    lines += [b"%b: %b" % each for each in request.headers if each[0] != b"host"]
    return b"\r\n".join([*lines, b"", b""])
