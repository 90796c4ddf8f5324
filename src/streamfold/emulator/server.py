"""A server of its own for an emulator: in a thread beside the caller, or in the caller's place.

In      Options, or an Emulator; a host and a port
Out     the base URL
Units   TCP ports; seconds
Errors  OSError where the address cannot be had
Source  docs/reference/emulator.md

The thread has an event loop of its own, so that the caller may use trio, asyncio, or neither. The socket listens
before the thread begins: whoever has the URL can connect. When it ends, connections are cut and nothing is waited for.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from uvicorn.config import Config
from uvicorn.server import ServerState

from streamfold.emulator.app import Emulator
from streamfold.emulator.connection import Connection
from streamfold.emulator.options import Options

__all__ = ["emulate", "serve"]

LOCAL = "127.0.0.1"
BACKLOG = 2048
LAST_SECONDS = 1.0
IDLE_SECONDS = 75  # for connections that clients keep for their next request; longer than clients keep them


@asynccontextmanager
async def emulate(emulator: Emulator | Options | None = None, *, port: int = 0) -> AsyncGenerator[str]:
    """A running emulator: `async with emulate() as url`.

    emulator: how it behaves, or one that was made, whose journal is then at hand; it may be served again later, and
    still has its Responses. port: 0 for any that is free.
    Returns: the URL before `/api/v1/llm` and `/v1`, as `http://127.0.0.1:43211`. When the block ends, the server
    has ended: its thread, its socket and every connection.
    Raises: OSError if the port cannot be had.
    """
    app = emulator if isinstance(emulator, Emulator) else Emulator(emulator)
    with _listen(LOCAL, port) as listener:
        server = _Server(app, listener)
        thread = threading.Thread(target=server.run, name="streamfold-emulator", daemon=True)
        thread.start()
        try:
            yield _url(listener)
        finally:
            server.stop()
            thread.join()


def serve(
    emulator: Emulator | Options | None = None,
    *,
    host: str = LOCAL,
    port: int = 0,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C, or SIGTERM, and then return. Prints nothing.

    announce: called with the URL, once it can be connected to. port: 0 for any that is free.
    Raises: OSError if the address cannot be had.
    """
    app = emulator if isinstance(emulator, Emulator) else Emulator(emulator)
    with _listen(host, port) as listener:
        if announce is not None:
            announce(_url(listener))
        with suppress(KeyboardInterrupt):
            _Server(app, listener).run()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


class _Server:
    """uvicorn's connections without its server, which waits for them, logs, and takes the signals of the process."""

    def __init__(self, app: Emulator, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()

    def run(self) -> None:
        """Serve until it is stopped, or Ctrl-C."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    def stop(self) -> None:
        """End it, from any thread; once it has ended this does nothing."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _main(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGTERM, self._stopped.set)
        config = Config(
            self._app,
            http=Connection,
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
            server = await self._loop.create_server(lambda: Connection(config, state, {}), sock=self._listener)
            try:
                await self._stopped.wait()
            finally:
                server.close()
                await _cut_all(state)


async def _cut_all(state: ServerState) -> None:
    """End every connection, and wait for the answers that were on them: each ends when its client is gone."""
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # the transports are closed in the next turn of the loop
    if state.tasks:
        _, late = await asyncio.wait(state.tasks, timeout=LAST_SECONDS)
        for task in late:
            task.cancel()
