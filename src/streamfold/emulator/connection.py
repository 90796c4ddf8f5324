"""uvicorn's HTTP connection with a handle on its socket, so that a fault can end it in the middle of anything.

In      a uvicorn Config
Out     a protocol class; in each scope, `extensions["streamfold.wire"]`
Units   bytes
Errors  none
Source  docs/reference/emulator.md
"""

import asyncio
import logging
import socket
import struct
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["Connection", "SocketWire"]

# What uvicorn has to say goes to a logger of our own: silent, unless somebody listens.
LOGGER = logging.getLogger("streamfold.emulator")
LOGGER.addHandler(logging.NullHandler())

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: closing sends RST


class SocketWire:
    """The connection beneath its HTTP."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self._transport.write(data)

    def close(self) -> None:
        """A FIN, after what was written."""
        self._transport.close()

    def reset(self) -> None:
        """A RST, after what was written where the socket has taken it."""
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.close()


class Connection(HttpToolsProtocol):
    """One connection of an emulator's server."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = LOGGER
        self.access_log = False

    def on_message_begin(self) -> None:
        """A request begins: its scope gets the handle."""
        super().on_message_begin()
        extensions: dict[str, Any] = {"streamfold.wire": SocketWire(self.transport)}
        self.scope["extensions"] = extensions
