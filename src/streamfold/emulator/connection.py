"""One connection of the emulator's server: uvicorn's, with limits on what a client may send, hold and leave unread.

uvicorn trusts the proxy in front of it. Nothing is in front of an emulator, so these limits are its own:

- a head, and whatever else is not the body, of at most 64 KiB and 200 headers;
- a request, head and body, within `request_seconds`;
- a few pipelined requests;
- a number of connections;
- `unread_seconds` for what was sent and not read.

What breaks one is answered with a JSON error if nothing was answered yet, and then the connection is closed.
"""

import asyncio
import logging
import time
from typing import Any, cast

from msgspec.json import encode
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from streamfold.emulator.options import Options

MOST_HEAD_BYTES = 64 * 2**10
MOST_HEADERS = 200
MOST_PIPELINED = 16
LOOKS_PER_LIMIT = 10  # how often the clocks are looked at, within the shortest limit
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class LimitBroken(Exception):
    """A client broke a limit; raised through uvicorn's parser, which stops there."""


def _refusal(status: int, message: str) -> bytes:
    code = "server_error" if status >= 500 else "invalid_request_error"
    body = encode({"error": {"message": message, "type": code, "param": None, "code": None}})
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class EmulatorConnection(HttpToolsProtocol):
    """The transport is in every scope, so that a fault can end the connection anywhere."""

    def __init__(self, config: Config, server_state: ServerState, limits: Options) -> None:
        super().__init__(config, server_state, {})
        self.logger: logging.Logger = logging.getLogger("streamfold.emulator")
        self.access_log: bool = False
        self._limits = limits
        self._refused = (400, "This is not an HTTP request that can be read.")
        self._asking_since: float | None = None  # while a request is incomplete
        self._beside_body = 0  # bytes since the request began, or since its last piece of body
        self._discarded = 0  # bytes of a body that was answered before it had come
        self._unread = 0, time.monotonic()  # bytes in the buffer at the last look, and since when

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))  # uvicorn names the narrower type
        self._asking_since = time.monotonic()
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503, f"{self._limits.max_connections} connections are open, the most that may be.")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        self._beside_body += len(data)
        super().data_received(data)
        if self._beside_body > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"The head of the request is longer than {MOST_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._asking_since = time.monotonic()  # of one that came with the end of another, too
        self._discarded = 0
        extensions: dict[str, Any] = {"streamfold.transport": self.transport}
        self.scope["extensions"] = extensions

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MOST_HEADERS:
            self._refused = (431, f"The request has more than {MOST_HEADERS} headers.")
            raise LimitBroken
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._beside_body = 0
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refused = (400, f"More than {MOST_PIPELINED} requests came before the first was answered.")
            raise LimitBroken
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > self._limits.max_body_bytes:
                raise LimitBroken
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._asking_since = None
        self._beside_body = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(*self._refused)

    def look(self, now: float) -> None:
        """End the connection if its client has used up its time."""
        waiting = self.transport.get_write_buffer_size()
        if waiting == 0 or waiting != self._unread[0]:
            self._unread = waiting, now
        elif now - self._unread[1] >= self._limits.unread_seconds:
            self.transport.abort()
            return
        if self._asking_since is None or self.transport.is_closing():
            return
        seconds = self._limits.request_seconds
        if now - self._asking_since >= seconds:
            self._refuse(408, f"The request did not arrive within {seconds:g} seconds.")

    def _refuse(self, status: int, message: str) -> None:
        """Close the connection, with this answer if it does not come in the middle of another."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        is_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        is_answering = is_begun or len(self.pipeline) > 0
        if not is_answering and not self._discarded:
            self.transport.write(_refusal(status, message))
        self.transport.close()


async def watch(state: ServerState, limits: Options) -> None:
    """Look at every connection again and again, and end those that have used up their time."""
    pause = min(1.0, limits.request_seconds / LOOKS_PER_LIMIT, limits.unread_seconds / LOOKS_PER_LIMIT)
    while True:
        await asyncio.sleep(pause)
        now = time.monotonic()
        for connection in list(state.connections):
            cast(EmulatorConnection, connection).look(now)  # the protocol class that the server was given
