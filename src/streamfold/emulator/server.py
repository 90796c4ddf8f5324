"""A server for an emulator: in a thread of its own, or in the calling thread.

The thread has an event loop of its own, so the caller may use trio, asyncio or neither. The socket listens before the
thread starts, so a client that has the URL can connect. At the end, connections are cut without waiting for clients.
A client that is slow, floods or does not read is refused or cut by the limits of the options (`connection.py`).
uvicorn is imported when a server starts: the rest of the emulator works in process without it.
"""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from streamfold.emulator.app import Emulator
from streamfold.emulator.options import Options

if TYPE_CHECKING:
    from uvicorn.server import ServerState

LOCAL = "127.0.0.1"
BACKLOG = 2048
LAST_SECONDS = 1.0
IDLE_SECONDS = 75  # longer than clients keep a connection for their next request

# uvicorn's log goes to a logger of our own, which is silent unless the application configures it.
logging.getLogger("streamfold.emulator").addHandler(logging.NullHandler())


class emulate:
    """A running emulator: `with emulate() as url`, or `async with` on asyncio and trio.

    The URL has no path, such as `http://127.0.0.1:43211`: add `/api/v1/llm` or `/v1`. The server runs in its own
    thread. The end of the block stops the thread and closes the socket and every connection.

    Args:
        emulator: How it behaves; or an Emulator, if you want to read its journal. You can serve the same one again
            later, and it still has its Responses.
        port: 0 for any free port.

    Raises:
        OSError: On entry: the port is taken.
    """

    def __init__(self, emulator: Emulator | Options | None = None, *, port: int = 0) -> None:
        self._app = emulator if isinstance(emulator, Emulator) else Emulator(emulator)
        self._port = port
        self._stack = ExitStack()
        import_module("streamfold.emulator.connection")  # a missing uvicorn is reported here, before a socket is open

    def __enter__(self) -> str:
        listener = self._stack.enter_context(_listen(LOCAL, self._port))
        server = _EmulatorServer(self._app, listener)
        thread = threading.Thread(target=server.run, name="streamfold-emulator", daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.stop)
        return _url(listener)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> str:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self._stack.close()


def serve(
    emulator: Emulator | Options | None = None,
    *,
    host: str = LOCAL,
    port: int = 0,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then return. Prints nothing.

    Args:
        emulator: How it behaves, or an Emulator.
        host: The address to listen on.
        port: 0 for any free port.
        announce: Called with the URL as soon as clients can connect to it.

    Raises:
        OSError: The address is taken or not one of this machine.
    """
    app = emulator if isinstance(emulator, Emulator) else Emulator(emulator)
    with _listen(host, port) as listener:
        server = _EmulatorServer(app, listener)
        if announce is not None:
            announce(_url(listener))
        with suppress(KeyboardInterrupt):
            server.run()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


class _EmulatorServer:
    """Runs uvicorn's connections without uvicorn's server, which waits for clients, logs, and handles signals."""

    def __init__(self, app: Emulator, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()

    def run(self) -> None:
        """Serve until `stop` or Ctrl-C."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    def stop(self) -> None:
        """Stop serving; from any thread, and as often as you like."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _main(self) -> None:
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        from streamfold.emulator.connection import EmulatorConnection, watch

        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGTERM, self._stopped.set)
        config = Config(
            self._app,
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
        async with self._app.running():
            limits = self._app.options
            server = await self._loop.create_server(
                lambda: EmulatorConnection(config, state, limits), sock=self._listener
            )
            watching = self._loop.create_task(watch(state, limits))
            try:
                await self._stopped.wait()
            finally:
                watching.cancel()
                server.close()
                await _cut_all(state)


async def _cut_all(state: "ServerState") -> None:
    """End every connection, and wait for their answers, which end when they notice the disconnect."""
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # the transports are closed in the next turn of the loop
    if state.tasks:
        _, late = await asyncio.wait(state.tasks, timeout=LAST_SECONDS)
        for task in late:
            task.cancel()
