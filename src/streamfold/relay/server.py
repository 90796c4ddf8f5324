"""`streamfold relay` as a program: held streams, everything else passed on, WebSockets tunnelled, and a server around it."""

import logging
import socket
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from importlib import import_module
from typing import Any

from attrs import asdict, frozen

from streamfold.client import Transport, resolve_transport
from streamfold.errors import InvalidArgument, LogError, StreamBroken
from streamfold.log import EventLog, StreamKey
from streamfold.relay.app import RelayApp
from streamfold.relay.options import RelayOptions
from streamfold.relay.origin import Origin
from streamfold.relay.passthrough import Passthrough
from streamfold.relay.streams import HeldStreams
from streamfold.relay.tunnel import Tunnels
from streamfold.relay.upstream import ProxyUpstream
from streamfold.schema import OPENAI
from streamfold.serving import (
    LOCAL,
    AsgiServer,
    AsgiWriter,
    BodyReply,
    ConnectionLimits,
    Message,
    Problem,
    Receive,
    SendMessage,
    SystemClock,
    deliver,
    listen,
    refusal,
    require_uvicorn,
    run_lifespan,
    url_of,
)
from streamfold.session import Patience

LOG = "streamfold.relay"
LIVENESS_PATH = "/healthz"
READINESS_PATH = "/readyz"
SPARE_FILES = 200  # beside one for each connection of a client and one for each to the upstream

log: logging.Logger = logging.getLogger(LOG)


@frozen(kw_only=True)
class ServerOptions:
    """The limits of a relay's server: what its clients may do, and how long it waits for the upstream.

    Attributes:
        max_connections: How many connections of clients may be open; one more is answered with 503 and closed.
        request_seconds: How long a client may take to send a request, unless its body keeps coming.
        unread_seconds: How long a client may leave an answer unread; then its connection is cut.
        min_bytes_per_second: How fast a body must come, or be read, to count as coming or being read.
        max_upload_bytes: The longest body that is passed on. It is never held: this bounds what goes upstream.
        max_websockets: How many WebSockets may be open.
        websocket_idle_seconds: How long both ends of a WebSocket may be silent; then it is cut.
        connect_seconds: How long connecting to the upstream may take.
        upstream_idle_seconds: How long the upstream may be silent in a request that is passed on.
        drain_seconds: How long requests may take to end after SIGTERM or Ctrl-C; then they are cut.
    """

    max_connections: int = 10_000
    request_seconds: float = 30.0
    unread_seconds: float = 120.0
    min_bytes_per_second: float = 1000.0
    max_upload_bytes: int = 2**30
    max_websockets: int = 200
    websocket_idle_seconds: float = 600.0
    connect_seconds: float = 10.0
    upstream_idle_seconds: float = 3600.0
    drain_seconds: float = 20.0

    def __attrs_post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise InvalidArgument(name, f"must be more than 0, got {value}")


class RelayServer:
    """A relay in front of one upstream, as an ASGI application. `serve_relay` runs it.

    Requests are served while `running()` is open.

    Args:
        upstream: Its base URL. Only scheme and host count: the paths of requests are passed on as they are.
        log: Where held streams are recorded; `running()` opens and closes it.
        log_kind: What `/healthz` says about the log, which must not be its address: that may have a password.
        options: How streams are held.
        limits: What clients may do.
        transport: Sends the requests of held streams; None for httpx. It is closed with `running()`.
        patience: How long held responses are repaired.

    Raises:
        InvalidArgument: The upstream's URL is not valid.
    """

    def __init__(
        self,
        upstream: str,
        log: EventLog,
        *,
        log_kind: str = "",
        options: RelayOptions | None = None,
        limits: ServerOptions | None = None,
        transport: Transport | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.origin: Origin = Origin.of(upstream)
        self.options: RelayOptions = options or RelayOptions()
        self.limits: ServerOptions = limits or ServerOptions()
        self.is_draining: bool = False
        self._log = log
        self._log_kind = log_kind
        self._streams = HeldStreams(log, self.options)
        self._passthrough = Passthrough(
            self.origin,
            connect_seconds=self.limits.connect_seconds,
            idle_seconds=self.limits.upstream_idle_seconds,
            max_upload_bytes=self.limits.max_upload_bytes,
            cors_origins=self.options.cors_origins,
        )
        self.tunnels: Tunnels = Tunnels(
            self.origin,
            connect_seconds=self.limits.connect_seconds,
            idle_seconds=self.limits.websocket_idle_seconds,
            max_tunnels=self.limits.max_websockets,
        )
        self._transport: Transport = transport or resolve_transport("httpx")[0]
        self._app = RelayApp(
            self._streams,
            ProxyUpstream(self.origin.root, transport=self._transport, patience=patience),
            self._passthrough,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open the log, and hold streams while this is open.

        Raises:
            LogError: The log cannot be opened.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._log)
            stack.push_async_callback(self._transport.aclose)
            stack.push_async_callback(self._passthrough.aclose)
            stack.push_async_callback(self.tunnels.aclose)
            await stack.enter_async_context(self._streams)
            yield

    def drain(self) -> None:
        """Report from now on that no new requests should come."""
        self.is_draining = True

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope. A lifespan opens `running()`; a WebSocket is refused, because only our server tunnels it.

        Raises:
            StreamBroken: The body must be broken off: an ASGI server closes the connection then.
        """
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, self.running)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD") and scope["path"] in (LIVENESS_PATH, READINESS_PATH):
            reply = self._health() if scope["path"] == LIVENESS_PATH else await self._readiness()
            await _deliver(reply, scope, send)
            return
        has_begun = False

        def watched(message: Message) -> Awaitable[None]:
            nonlocal has_begun
            has_begun = True
            return send(message)

        try:
            await self._app(scope, receive, watched)
        except StreamBroken:
            raise
        except Exception as error:  # a fault of the relay's; its message may hold what a client sent
            places = "".join(traceback.format_tb(error.__traceback__))
            log.error("a request failed inside the relay: %s\n%s", type(error).__name__, places)
            if has_begun:
                raise StreamBroken("a fault of the relay") from error
            said = "The relay failed to serve this request; its log says where."
            await _deliver(refusal(Problem(500, said, code="relay_fault", type="server_error"), OPENAI), scope, send)

    def _health(self) -> BodyReply:
        state: dict[str, Any] = {
            "status": "draining" if self.is_draining else "ok",
            "upstream": str(self.origin),
            "log": self._log_kind,
            "streams": self._streams.following,
            "readers": self._streams.readers,
            "websockets": self.tunnels.count,
            "attach": asdict(self._streams.attachments.counts),
            "settings": {**asdict(self.options), **asdict(self.limits)},
        }
        return BodyReply.of(state)

    async def _readiness(self) -> BodyReply:
        if self.is_draining:
            return BodyReply.of({"status": "draining"}, status=503)
        try:
            await self._log.info(StreamKey("", "readyz"))
        except LogError as error:
            log.warning("not ready: %s", type(error).__name__)
            return BodyReply.of({"status": "the log cannot be read"}, status=503)
        return BodyReply.of({"status": "ready"})


async def _deliver(reply: BodyReply, scope: Message, send: SendMessage) -> None:
    clock = SystemClock()
    writer, is_head = AsgiWriter(send, clock), scope["method"] == "HEAD"
    await deliver(reply, writer, clock, heartbeat_seconds=60, headers=(), is_head=is_head)


def serve_relay(
    relay: RelayServer, *, host: str = LOCAL, port: int = 0, announce: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C: then accept nothing new, let requests end for a while, and return.

    Args:
        relay: What is served.
        host: The address to listen on.
        port: 0 for any free port.
        announce: Called with the URL as soon as clients can be served.

    Raises:
        OSError: The address is taken or not one of this machine.
        LogError: The log cannot be opened.
    """
    with listen(host, port) as listener:
        _server(relay, listener, announce).run()


@contextmanager
def relay_in_thread(relay: RelayServer, *, port: int = 0) -> Generator[str]:
    """A running relay, for tests and first steps: `with relay_in_thread(relay) as url`.

    It runs in its own thread on 127.0.0.1. The end of the block cuts every connection.

    Args:
        relay: What is served.
        port: 0 for any free port.

    Raises:
        OSError: The port is taken.
    """
    with listen(LOCAL, port) as listener, _server(relay, listener, None).in_thread("streamfold-relay"):
        yield url_of(listener)


def _server(relay: RelayServer, listener: socket.socket, announce: Callable[[str], None] | None) -> AsgiServer:
    require_uvicorn()
    limits = relay.limits
    _allow_files(2 * limits.max_connections + SPARE_FILES)

    @asynccontextmanager
    async def running() -> AsyncGenerator[None]:
        async with relay.running():
            if announce is not None:
                announce(url_of(listener))
            yield

    return AsgiServer(
        relay,
        listener,
        running=running,
        limits=ConnectionLimits(
            max_connections=limits.max_connections,
            request_seconds=limits.request_seconds,
            unread_seconds=limits.unread_seconds,
            min_bytes_per_second=limits.min_bytes_per_second,
            max_discarded_bytes=relay.options.max_body_bytes,
        ),
        log=LOG,
        upgrade=relay.tunnels.open,
        drain_seconds=limits.drain_seconds,
        on_drain=relay.drain,
    )


def _allow_files(count: int) -> None:
    """Raise this process's own limit of open files, as far as the system lets it."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        resource: Any = import_module("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
