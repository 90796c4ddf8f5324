"""A server for an emulator: in a thread of its own, or in the calling thread.

The thread has an event loop of its own, so the caller may use trio, asyncio or neither. The socket listens before the
thread starts, so a client that has the URL can connect. At the end, connections are cut without waiting for clients.
A client that is slow, floods or does not read is refused or cut by the limits of the options.
"""

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

from streamfold.emulator.app import Emulator
from streamfold.emulator.options import Options
from streamfold.serving import LOCAL, AsgiServer, ConnectionLimits, listen, require_uvicorn, url_of

LOG = "streamfold.emulator"

# uvicorn's log goes to a logger of our own, which is silent unless the application configures it.
logging.getLogger(LOG).addHandler(logging.NullHandler())


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
        require_uvicorn()

    def __enter__(self) -> str:
        listener = self._stack.enter_context(listen(LOCAL, self._port))
        self._stack.enter_context(_server(self._app, listener).in_thread("streamfold-emulator"))
        return url_of(listener)

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
    with listen(host, port) as listener:
        server = _server(app, listener)
        if announce is not None:
            announce(url_of(listener))
        with suppress(KeyboardInterrupt):
            server.run()


def _server(app: Emulator, listener: socket.socket) -> AsgiServer:
    options = app.options
    limits = ConnectionLimits(
        max_connections=options.max_connections,
        request_seconds=options.request_seconds,
        unread_seconds=options.unread_seconds,
        max_discarded_bytes=options.max_body_bytes,
    )
    return AsgiServer(app, listener, running=app.running, limits=limits, log=LOG)
