"""A server around an ASGI application: it listens, runs limited connections, and ends them in good order.

uvicorn's own server waits for clients, logs, and handles signals; this one runs uvicorn's connections alone. uvicorn is
imported when a server starts: whatever is served works in process without it.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

from streamfold.errors import StreamBroken
from streamfold.serving.asgi import Message, Receive, SendMessage
from streamfold.serving.guard import ConnectionLimits
from streamfold.serving.upgrade import OpenConnection, Upgrade

if TYPE_CHECKING:
    from uvicorn.server import ServerState

__all__ = ["LOCAL", "Application", "AsgiServer", "listen", "require_uvicorn", "url_of"]

LOCAL = "127.0.0.1"
"""The address of this machine alone."""

BACKLOG = 2048
LAST_SECONDS = 1.0
DRAIN_STEP_SECONDS = 0.05
IDLE_SECONDS = 75  # longer than clients keep a connection for their next request

Application: TypeAlias = Callable[[Message, Receive, SendMessage], Awaitable[None]]
"""An ASGI application."""


def require_uvicorn() -> None:
    """Import what a server needs, so that a missing library is reported before a socket is open.

    Raises:
        ModuleNotFoundError: uvicorn or httptools is not installed.
    """
    import_module("streamfold.serving.connection")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens: a client that has its URL can connect.

    Args:
        host: An address or a name of this machine.
        port: 0 for any free port.

    Raises:
        OSError: The address is taken or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL of what listens here, without a path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class AsgiServer:
    """Serves one application on one socket, on an event loop of its own.

    A SIGTERM ends it if it runs in the main thread; so does a SIGINT if it drains, and a second signal ends the drain.

    Args:
        app: What is served. If it raises StreamBroken, the body is broken off without a word.
        listener: Where.
        running: Open while it serves.
        limits: What clients may do.
        log: The name of the logger for what uvicorn reports.
        upgrade: Takes the connections of WebSockets; None to serve such requests as any other.
        drain_seconds: How long requests may take to end once it has stopped accepting connections; then they are cut.
        on_drain: Called when it stops accepting.
    """

    def __init__(
        self,
        app: Application,
        listener: socket.socket,
        *,
        running: Callable[[], AbstractAsyncContextManager[object]],
        limits: ConnectionLimits,
        log: str,
        upgrade: Upgrade | None = None,
        drain_seconds: float = 0.0,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        self._app = app
        self._listener = listener
        self._running = running
        self._limits = limits
        self._log = log
        self._upgrade = upgrade
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._cut = asyncio.Event()

    def run(self) -> None:
        """Serve until `stop` or a signal. Without a drain, Ctrl-C is raised as KeyboardInterrupt."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [(number, signal.getsignal(number)) for number in numbers] if _is_main_thread() else []
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        finally:  # the loop leaves the system's own handlers behind, and a late signal would kill the process
            for number, handler in before:
                signal.signal(number, handler)

    def stop(self) -> None:
        """Stop serving; from any thread, and as often as you like. The second time cuts what drains."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)

    @contextmanager
    def in_thread(self, name: str) -> Generator[None]:
        """Serve in a thread of this name while the context is open. Its end cuts every connection."""
        thread = threading.Thread(target=self.run, name=name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            self.stop()  # without a drain
            thread.join()

    def _end(self) -> None:
        if self._stopped.is_set():
            self._cut.set()
        self._stopped.set()

    async def _main(self) -> None:
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        from streamfold.serving.connection import LimitedConnection, watch

        if _is_main_thread():
            for number in (signal.SIGTERM, signal.SIGINT) if self._drain_seconds else (signal.SIGTERM,):
                self._loop.add_signal_handler(number, self._end)
        config = Config(
            _broken_off_quietly(self._app),  # pyright: ignore[reportArgumentType]
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_SECONDS,
        )
        config.load()
        state = ServerState()
        connections = cast(set[OpenConnection], state.connections)
        async with self._running():
            server = await self._loop.create_server(
                lambda: LimitedConnection(config, state, self._limits, self._log, self._upgrade), sock=self._listener
            )
            watching = self._loop.create_task(watch(connections, self._limits))
            try:
                await self._stopped.wait()
                server.close()
                await self._drain(connections)
            finally:
                watching.cancel()
                server.close()
                await _cut_all(connections, state)

    async def _drain(self, connections: set[OpenConnection]) -> None:
        if self._on_drain is not None:
            self._on_drain()
        end = self._loop.time() + self._drain_seconds
        for connection in list(connections) if self._drain_seconds else ():
            connection.shutdown()
        while connections and self._loop.time() < end and not self._cut.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._cut.wait(), DRAIN_STEP_SECONDS)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _broken_off_quietly(app: Application) -> Application:
    """An application whose StreamBroken ends the connection, and not also in a traceback."""

    async def serve(scope: Message, receive: Receive, send: SendMessage) -> None:
        try:
            await app(scope, receive, send)
        except StreamBroken:
            transport: asyncio.Transport = scope["extensions"]["streamfold.transport"]
            transport.close()  # what was written before is still sent
            while (await receive())["type"] != "http.disconnect":
                pass

    return serve


async def _cut_all(connections: set[OpenConnection], state: "ServerState") -> None:
    """End every connection, and wait for their answers, which end when they notice the disconnect."""
    for connection in list(connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # the transports are closed in the next turn of the loop
    if state.tasks:
        _, late = await asyncio.wait(state.tasks, timeout=LAST_SECONDS)
        for task in late:
            task.cancel()
