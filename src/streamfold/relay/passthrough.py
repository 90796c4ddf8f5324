"""Everything that a relay does not hold: each request goes to the upstream, and its answer back, as they are.

Bodies are passed on piece by piece, both ways, as slowly as the slower side takes them, and never decoded. What is
changed is what only concerns the connection: hop-by-hop headers, Host, and how a body is cut into chunks. A body that
breaks off upstream is broken off here: a clean end would say that it is whole.
"""

import logging
import re
import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from streamfold.client import shared_context
from streamfold.errors import StreamBroken
from streamfold.relay.origin import Origin
from streamfold.schema import OPENAI
from streamfold.serving import (
    AsgiWriter,
    BodyReply,
    Message,
    Problem,
    Receive,
    SendMessage,
    SystemClock,
    cors_headers,
    deliver,
    headers_of,
    refusal,
)

# Theory of operation. Two tasks serve one request:
#
#     _listen     client -> pieces of the body -> a place for one piece -> _body, which httpx reads from
#     _exchange   httpx -> head and pieces of the answer -> client
#
# `_listen` continues after the body, because it is what notices that the client disconnects; then the other is cancelled, and
# httpx closes the connection to the upstream. An upstream may answer before it has read the body: then the rest is dropped.

log: logging.Logger = logging.getLogger("streamfold.relay")

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
NOT_SENT = HOP_BY_HOP | {b"host", b"expect"}  # the server has answered an Expect itself
KEPT_SECONDS = 4.0  # shorter than servers keep a connection: a request on one that is being closed would be lost
WRITE_SECONDS = 60.0  # for one piece of a body: an upstream that does not read may have answered, and is not heard
LOOK_SECONDS = 0.5
SHOWN_BYTES = 200  # of a path, in a log line
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class BodyTooLong(Exception):
    """A client sent more than it may."""


class Passthrough:
    """An ASGI application that forwards HTTP requests to one upstream.

    Args:
        origin: The upstream.
        connect_seconds: How long it may take to connect.
        idle_seconds: How long the upstream may be silent; None for no limit.
        max_upload_bytes: The longest body of a request.
        cors_origins: Web pages that may read the answers, as `cors_headers` takes them. If empty, the upstream's own
            CORS headers are passed on.
        ssl_context: For an upstream with TLS; None for the one that this process shares.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connect_seconds: float = 10.0,
        idle_seconds: float | None = 3600.0,
        max_upload_bytes: int = 2**30,
        cors_origins: str = "",
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.origin: Origin = origin
        self.connect_seconds: float = connect_seconds
        self.max_upload_bytes: int = max_upload_bytes
        self.cors_origins: str = cors_origins
        self._http: Any = import_module("httpx2" if find_spec("httpx2") else "httpx")
        self._timeout = {"connect": connect_seconds, "read": idle_seconds, "write": WRITE_SECONDS, "pool": None}
        # The transport alone: a client would add headers and cookies, and follow redirects.
        self._transport: Any = self._http.AsyncHTTPTransport(
            verify=ssl_context or (shared_context() if origin.is_tls else False),
            limits=self._http.Limits(
                max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEPT_SECONDS
            ),
        )

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Forward one request.

        Raises:
            StreamBroken: The upstream broke off in the middle of its answer.
        """
        await _ForwardedRequest(self, scope, receive, send).run()

    async def aclose(self) -> None:
        """Close every connection to the upstream."""
        await self._transport.aclose()

    async def open(self, method: str, target: bytes, headers: RawHeaders, body: Any) -> Any:
        """The upstream's answer, as httpx has it, once its head has come."""
        request = self._http.Request(
            method,
            self.origin.root,
            headers=headers,
            content=body,
            extensions={"target": target, "timeout": self._timeout},
        )
        return await self._transport.handle_async_request(request)

    def problem(self, error: Exception) -> Problem | None:
        """What to answer for an error of httpx; None if it is not one."""
        where = self.origin.root
        if isinstance(error, self._http.ConnectTimeout):
            said = f"The upstream {where} did not accept a connection within {self.connect_seconds:g} seconds."
            return _lost(504, f"{said} Check that it runs, and the relay's --upstream.")
        if isinstance(error, self._http.ConnectError | self._http.UnsupportedProtocol):
            said = f"The relay cannot connect to its upstream {where}: {_reason(error)}."
            return _lost(502, f"{said} Check that it runs, and the relay's --upstream.")
        if isinstance(error, self._http.WriteTimeout):
            return _lost(
                504, f"The upstream {where} did not read the request for {WRITE_SECONDS:g} seconds. Try again."
            )
        if isinstance(error, self._http.TimeoutException):
            seconds = self._timeout["read"]
            return _lost(504, f"The upstream {where} sent nothing for {seconds:g} seconds. Try again.")
        if isinstance(error, self._http.NetworkError | self._http.RemoteProtocolError):
            said = f"The upstream {where} closed the connection before it answered, or its answer is not HTTP."
            return _lost(502, f"{said} It may have received the request.")
        if isinstance(error, self._http.LocalProtocolError):
            return Problem(400, "The request cannot be sent on: its headers or its length are not valid.")
        return None


class _ForwardedRequest:
    """One request and its answer."""

    def __init__(self, app: Passthrough, scope: Message, receive: Receive, send: SendMessage) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_begun = False
        self._is_too_long = False
        self._is_taken = False  # the whole body, from the client
        self._failure: Exception | None = None
        names = {name for name, _ in scope["headers"]}
        self._has_body = not names.isdisjoint((b"content-length", b"transfer-encoding"))
        pieces: tuple[MemoryObjectSendStream[bytes], MemoryObjectReceiveStream[bytes]]
        pieces = anyio.create_memory_object_stream[bytes](0)
        self._put, self._pieces = pieces

    async def run(self) -> None:
        with self._put, self._pieces:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, tasks.cancel_scope)
                if self._has_body:
                    tasks.start_soon(self._watch, tasks.cancel_scope)
                try:
                    await self._exchange()
                except Exception as error:  # raised below, where it is in no group
                    self._failure = error
                tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    # From the client

    async def _listen(self, scope: anyio.CancelScope) -> None:
        received = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                scope.cancel()
                return
            piece: bytes = message.get("body", b"")
            received += len(piece)
            self._is_too_long = received > self._app.max_upload_bytes
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the upstream has answered already
                if piece and not self._is_too_long:
                    await self._put.send(piece)
            if self._is_too_long or not message.get("more_body", False):
                self._is_taken = True
                self._put.close()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """While `_listen` waits for the upstream, it cannot see that the client disconnects."""
        extensions: dict[str, Any] = self._scope.get("extensions") or {}
        transport = extensions.get("streamfold.transport")
        while transport is not None and not self._is_taken:
            await anyio.sleep(LOOK_SECONDS)
            if transport.is_closing():
                scope.cancel()
                return

    async def _body(self) -> AsyncGenerator[bytes, None]:
        with self._pieces:
            async for piece in self._pieces:
                yield piece
        if self._is_too_long:
            raise BodyTooLong  # so that httpx does not end the body as if it were whole

    # From the upstream

    async def _exchange(self) -> None:
        scope = self._scope
        headers = headers_to(self._app.origin, scope["headers"])
        body = self._body()
        try:
            content = body if self._has_body else None
            response = await self._app.open(scope["method"], target_of(scope), headers, content)
        except BodyTooLong:
            said = (
                f"The request body is longer than {self._app.max_upload_bytes} bytes, the most that the relay forwards."
            )
            await self._refuse(Problem(413, said, code="request_too_large"))
            return
        except Exception as error:
            if (problem := self._app.problem(error)) is None:
                raise
            await self._refuse(problem)
            return
        finally:
            await body.aclose()
        try:
            await self._answer(response)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _answer(self, response: Any) -> None:
        status: int = response.status_code
        headers = headers_from(status, response.headers.raw)
        if headers is None or not 200 <= status <= 599:
            said = f"The upstream {self._app.origin.root} answered with a status or a header that is not valid HTTP."
            await self._refuse(_lost(502, said))
            return
        self._has_begun = True
        cors = self._cors()
        own = {name for name, _ in cors}
        headers = [each for each in headers if each[0] not in own] + cors
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if self._scope["method"] != "HEAD":
            await self._copy(response.stream)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _copy(self, stream: Any) -> None:
        pieces = aiter(stream)
        try:
            async for piece in pieces:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except Exception as error:
            if self._app.problem(error) is None:
                raise
            self._warn("the upstream broke off its answer")
            raise StreamBroken(f"the upstream {self._app.origin.root} broke off its answer") from error
        finally:
            # A reader that is cancelled while it sends leaves generators of the library open in the middle. A
            # cancellation where they wait closes them all, in their order.
            with anyio.CancelScope() as scope, suppress(Exception):
                scope.cancel()
                async for _ in pieces:
                    pass

    async def _refuse(self, problem: Problem) -> None:
        if problem.status >= 500:
            self._warn(problem.message)
        reply: BodyReply = refusal(problem, OPENAI)
        clock = SystemClock()
        cors = [(name.decode(), value.decode()) for name, value in self._cors()]
        is_head = self._scope["method"] == "HEAD"
        await deliver(reply, AsgiWriter(self._send, clock), clock, heartbeat_seconds=60, headers=cors, is_head=is_head)

    def _warn(self, what: str) -> None:
        # The path as it was sent: decoded, it may have line ends. Never the query, which may hold a key.
        path = target_of(self._scope).partition(b"?")[0][:SHOWN_BYTES].decode("ascii", "replace")
        log.warning("%s %s: %s", self._scope["method"], path, what)

    def _cors(self) -> RawHeaders:
        if not self._app.cors_origins:
            return []
        headers = cors_headers(headers_of(self._scope), self._app.cors_origins)
        return [(name.encode(), value.encode()) for name, value in headers]


def target_of(scope: Message) -> bytes:
    """Path and query of a request as they were sent, or as well as the server knows them."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    query: bytes = scope["query_string"]
    known: bytes = (scope.get("raw_path") or scope["path"].encode()) + (b"?" + query if query else b"")
    sent: bytes = extensions.get("streamfold.target", known)
    if not sent.startswith(b"/") and b"://" in sent:  # with scheme and host, as one sends it to a proxy
        sent = b"/" + sent.partition(b"://")[2].partition(b"/")[2]
    return sent.partition(b"#")[0]


def headers_to(origin: Origin, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The headers that a request has for the upstream: those that are not the connection's own, and another Host."""
    sent = ((name, value.strip(b" \t")) for name, value in headers)  # a value does not include the blanks around it
    return [(b"host", origin.authority.encode()), *_end_to_end(sent, NOT_SENT)]


def headers_from(status: int, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders | None:
    """The headers that an answer has for the client; None if one of them is not valid."""
    raw = [(name.lower(), value.strip(b" \t")) for name, value in headers]
    if not all(_NAME.fullmatch(name) and not _CONTROL.search(value) for name, value in raw):
        return None
    # With a Transfer-Encoding, a Content-Length says nothing; these two statuses have no body, whatever the length says.
    has_coding = any(name == b"transfer-encoding" for name, _ in raw)
    dropped = HOP_BY_HOP | {b"content-length"} if has_coding or status in (204, 304) else HOP_BY_HOP
    return _end_to_end(raw, dropped)


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> RawHeaders:
    raw: Sequence[tuple[bytes, bytes]] = list(headers)
    listed = {
        each.strip().lower() for name, value in raw if name.lower() == b"connection" for each in value.split(b",")
    }
    return [(name, value) for name, value in raw if name.lower() not in dropped and name.lower() not in listed]


def _lost(status: int, message: str) -> Problem:
    return Problem(status, message, code="upstream_unreachable", type="server_error")


def _reason(error: Exception) -> str:
    """What the system says about a connection: no byte that the upstream sent is in it."""
    return str(error).strip().rstrip(".") or type(error).__name__
