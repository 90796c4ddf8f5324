"""One connection of a server of ours: uvicorn's, with limits on what a client may send, hold and leave unread.

uvicorn trusts the proxy in front of it. Nothing is in front of an emulator or a relay, so the limits of `guard.py` are
enforced here. What breaks one is answered with a JSON error if nothing was answered yet, and then the connection is
closed. Importing this module imports uvicorn, so only `server.py` does, when a server starts.
"""

import asyncio
import logging
import socket
import time
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from streamfold.serving.guard import ConnectionLimits, smuggling, written_refusal
from streamfold.serving.upgrade import OpenConnection, Upgrade, UpgradeRequest

LOOKS_PER_LIMIT = 10  # how often the clocks are looked at, within the shortest limit


class LimitBroken(Exception):
    """A client broke a limit; raised through uvicorn's parser, which stops there."""


def _says_body(header: tuple[bytes, bytes]) -> bool:
    name, value = header
    return name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" \t0") != b"")


class LimitedConnection(HttpToolsProtocol):
    """Its scopes have two extensions: `streamfold.transport`, so that an application can end the connection anywhere,
    and `streamfold.target`, the target of the request as it was sent.
    """

    # uvicorn's attributes alone fit into a dictionary that shares its keys with all connections: with these it would take
    # 1.3 KiB more for each.
    __slots__ = (
        "_asking_since",
        "_beside_body",
        "_body",
        "_discarded",
        "_extensions",
        "_full_since",
        "_has_body_to_come",
        "_limits",
        "_looked_at",
        "_refused",
        "_unread",
        "_upgrade",
    )

    def __init__(
        self, config: Config, server_state: ServerState, limits: ConnectionLimits, log: str, upgrade: Upgrade | None
    ) -> None:
        super().__init__(config, server_state, {})
        self.logger: logging.Logger = logging.getLogger(log)
        self.access_log: bool = False
        self._extensions: dict[str, Any] = {}  # of the request's scope
        self._limits = limits
        self._upgrade = upgrade
        self._refused = (400, "This is not an HTTP request that can be read.")
        self._asking_since: float | None = None  # while a request is incomplete
        self._beside_body = 0  # bytes since the request began, or since its last piece of body
        self._body = 0  # bytes of the request's body that have come
        self._body_then = 0  # the same, when its time began
        self._discarded = 0  # bytes of a body that was answered before it had come
        self._unread = 0, time.monotonic()  # bytes in the buffer at the last look, and since when
        self._has_body_to_come = False  # after a request for an upgrade, which the parser believes to have none
        self._looked_at = time.monotonic()
        self._full_since: float | None = None  # while the buffer has more than its client reads

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))  # uvicorn names the narrower type
        # asyncio does this only for sockets that say they are TCP's, and those that a listener of ours accepts do not.
        # Without it, an event waits until the client has acknowledged the one before: up to 40 ms.
        if (accepted := transport.get_extra_info("socket")) is not None:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asking_since = time.monotonic()
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503, f"{self._limits.max_connections} connections are open, the most that may be.")

    # As uvicorn's, but what comes after a request for an upgrade is neither lost nor, for one that is declined, skipped.
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        self._unset_keepalive_if_required()
        self._beside_body += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(*self._refused)
        if self._beside_body > self._limits.max_head_bytes and not self.transport.is_closing():
            self._refuse(431, f"The head of the request is longer than {self._limits.max_head_bytes} bytes.")

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as at:
                data = data[at.args[0] :]
            if self._should_upgrade():
                self._hand_over(data)
                return
            if self._has_body_to_come:
                self._parse_again()

    def _parse_again(self) -> None:
        """Parse the head of a declined upgrade without its upgrade: only then has it a body.

        Java's HttpClient asks for HTTP/2 in this way, with each request that it sends first on a connection.
        """
        lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b" % each for each in self.headers if each[0] != b"upgrade"]
        self._has_body_to_come = False
        self.parser: httptools.HttpRequestParser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._asking_since = time.monotonic()  # of one that came with the end of another, too
        self._discarded = self._body = self._body_then = 0
        self._extensions = {"streamfold.transport": self.transport}
        self.scope["extensions"] = cast(Any, self._extensions)  # ASGI allows any, uvicorn names some

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= self._limits.max_headers:
            self._refused = (431, f"The request has more than {self._limits.max_headers} headers.")
            raise LimitBroken
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._beside_body = 0
        has_body = any(map(_says_body, self.headers))
        if refused := self._problem(has_body):
            self._refused = refused
            raise LimitBroken
        self._extensions["streamfold.target"] = self.url
        self._has_body_to_come = has_body and self.parser.should_upgrade()
        if not self._has_body_to_come:
            super().on_headers_complete()

    def _problem(self, has_body: bool) -> tuple[int, str] | None:
        """Why a request is refused by its head alone."""
        limits = self._limits
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > limits.max_head_bytes:
            return 431, f"The head of the request is longer than {limits.max_head_bytes} bytes."
        if len(self.pipeline) >= limits.max_pipelined:
            return 400, f"More than {limits.max_pipelined} requests came before the first was answered."
        if has_body and self._should_upgrade():
            return 400, "A request for a WebSocket has no body."
        if not limits.refuses_smuggling:
            return None
        if self.parser.get_method() == b"CONNECT":
            return 400, "This server is not a tunnel: CONNECT is refused."
        why = smuggling(self.url, self.parser.get_http_version(), self.headers)
        return (400, why) if why else None

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        self._body += len(body)
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > self._limits.max_discarded_bytes:
                raise LimitBroken
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._has_body_to_come:
            return
        self._asking_since = None
        self._beside_body = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._full_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._full_since = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """End the connection if its client has used up its time."""
        elapsed, self._looked_at = now - self._looked_at, now
        if self._has_left_unread(now):
            self.transport.abort()
        elif self._asking_since is not None and not self.transport.is_closing():
            if self.flow.read_paused and self._limits.min_bytes_per_second is not None:
                self._asking_since += elapsed  # it may not send: what takes the body is slow, not the client
            self._refuse_if_late(now, self._asking_since)

    def _has_left_unread(self, now: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        if waiting == 0 or waiting != self._unread[0]:
            self._unread = waiting, now
        since = self._unread[1]
        if self._limits.min_bytes_per_second is not None and self._full_since is not None:
            since = min(since, self._full_since)
        return now - since >= self._limits.unread_seconds

    def _refuse_if_late(self, now: float, since: float) -> None:
        most, rate, slowly = self._limits.request_seconds, self._limits.min_bytes_per_second, ""
        if rate is not None and self._body:
            slowly = f", and its body comes at less than {rate:g} bytes a second"
            if self._body - self._body_then >= rate * most:  # it keeps coming: its time begins anew
                self._asking_since, self._body_then = now, self._body
                return
        if now - since >= most:
            self._refuse(408, f"The request did not arrive within {most:g} seconds{slowly}.")

    def _refuse(self, status: int, message: str) -> None:
        """Close the connection, with this answer if it does not come in the middle of another."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        is_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        is_answering = is_begun or len(self.pipeline) > 0
        if not is_answering and not self._discarded:
            self.transport.write(written_refusal(status, message))
        self.transport.close()

    # Upgrades. uvicorn asks `_should_upgrade` wherever it would otherwise begin to serve the request.

    def _should_upgrade(self) -> bool:
        return self._upgrade is not None and self.parser.should_upgrade() and self._get_upgrade() == b"websocket"

    def _hand_over(self, rest: bytes) -> None:
        cycle = cast(RequestResponseCycle | None, self.cycle)
        if cycle is not None and not cycle.response_complete:
            self._refuse(400, "A WebSocket is opened after all earlier answers.")
            return
        self.connections.discard(self)
        assert self._upgrade is not None
        self._upgrade(
            UpgradeRequest(
                method=self.scope["method"].encode(),
                target=self.url,
                headers=tuple(self.headers),
                rest=rest,
                transport=self.transport,
                connections=cast(set[OpenConnection], self.connections),
            )
        )


async def watch(connections: set[OpenConnection], limits: ConnectionLimits) -> None:
    """Look at every connection again and again, and end those that have used up their time."""
    pause = min(1.0, limits.request_seconds / LOOKS_PER_LIMIT, limits.unread_seconds / LOOKS_PER_LIMIT)
    while True:
        await asyncio.sleep(pause)
        now = time.monotonic()
        for connection in list(connections):
            connection.look(now)
