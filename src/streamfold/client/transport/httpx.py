"""A transport on httpx or httpx2, with their proxies, pools, certificates and other settings.

Neither library is imported to recognize a client, so either may be missing. docs/explanation/transports.md has the
measurements.
"""

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol

import anyio

from streamfold.client.transport.body import ReplyBody
from streamfold.client.transport.failure import disconnected, transport_error
from streamfold.client.transport.timing import ABORTED, IdleGuard
from streamfold.client.transport.tls import shared_context
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import Disconnected, UsageError

EVENT_STREAM = "text/event-stream"
LIBRARIES = frozenset({"httpx", "httpx2"})
# What httpx, httpx2 and their httpcores wrap around the body. Each passes the chunks of the stream inside it on, and is
# closed with the response, so iterating the innermost one saves five generators for each chunk. A wrapper that is not
# known by its name is iterated itself: then it costs more, and is still correct.
AROUND_THE_BODY = {
    "BoundAsyncStream": "_stream",
    "AsyncResponseStream": "_httpcore_stream",
    "PoolByteStream": "_stream",
}
Connect = Callable[..., AbstractAsyncContextManager[Any]]


class HttpxResponse(Protocol):
    """What is used of a response of either library."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_stream_consumed(self) -> bool: ...
    @property
    def stream(self) -> Any: ...  # an AsyncByteStream; its type is each library's own
    @property
    def extensions(self) -> Mapping[str, Any]: ...
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class Client(Protocol):
    """What is used of an AsyncClient of either library."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_closed(self) -> bool: ...

    # The arguments are many, and typed by each library's own classes.
    @property
    def stream(self) -> Connect: ...
    async def aclose(self) -> None: ...


class HttpxTransport:
    """A Transport on an `AsyncClient` of httpx or httpx2.

    Redirects are never followed. The client's own timeouts are ignored; those of the Request apply.

    Args:
        client: Used as it is configured, and left open. None for a new client of httpx2, or of httpx if that is not
            installed, with no limit on its connections.
        ssl_context: For a new client; None for the one that this process shares.

    Raises:
        UsageError: Both were given.
    """

    def __init__(self, client: Client | None = None, *, ssl_context: ssl.SSLContext | None = None) -> None:
        if client is not None and ssl_context is not None:
            raise UsageError(
                "ssl_context applies only to a client that streamfold creates; configure it on your own client instead"
            )
        self._is_own = client is None
        carrier = getattr(client, "_transport", None)  # of another library, it may hold what it likes
        self.holds_no_scope: bool = client is None or type(carrier).__module__.partition(".")[0] in LIBRARIES
        self._client: Client = client if client is not None else make_client(ssl_context or shared_context())
        self._headers_class: Any = type(self._client.headers)  # each library's own, which keeps repeated names
        self._sse = import_module("httpx_sse")  # imports httpx, which nothing else here needs

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        """Send a request; the context gives its reply."""
        if self._client.is_closed:
            raise UsageError("the HTTP client is closed; leave a response before its gateway or client")
        connection = self._connect(request)
        try:
            connected = await connection.__aenter__()
        except Exception as error:
            if (failure := transport_error(error)) is None:
                raise
            raise failure from error
        reply = HttpxReply(getattr(connected, "response", connected))  # an EventSource holds its response
        try:
            yield reply
        finally:
            try:
                await reply.aclose()
            finally:
                with suppress(Exception):  # a socket that fails to close is closed all the same
                    await connection.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Close the client if it was made here."""
        if self._is_own:
            await self._client.aclose()

    def _connect(self, request: Request) -> AbstractAsyncContextManager[Any]:
        headers: Any = self._headers_class(list(request.headers))
        names = {name.lower() for name, _ in request.headers}
        if "accept-encoding" not in names:
            headers["accept-encoding"] = "identity"
        how: dict[str, Any] = {
            "content": request.body,
            "headers": headers,
            "follow_redirects": False,
            # connect, read, write, and no limit on the wait for a place in the pool
            "timeout": (
                request.connect_timeout_seconds,
                request.idle_timeout_seconds,
                request.idle_timeout_seconds + request.upload_seconds,  # for the whole body, which is one write
                None,
            ),
        }
        if EVENT_STREAM in headers.get("accept", ""):
            # httpx-sse sets Accept and Cache-Control in the headers that it is given: these are our copy.
            connect: Connect = partial(self._sse.aconnect_sse, self._client)
        else:
            connect = self._client.stream
        return connect(request.method, request.url, **how)


# A read that is pending in another task is ended by shutting its socket down, which the library reports as an error of the
# connection. HTTP/2 shares one socket between streams, and a mock or a custom transport has none: there every read goes
# through an IdleGuard, which costs a cancel scope for each chunk but can be ended by itself.


class HttpxReply:
    """The Reply that a response of either library is."""

    def __init__(self, response: HttpxResponse) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers.items())
        self._socket: Any = socket_of(response)
        self._is_closed = False
        self._guard = IdleGuard()  # the client itself counts the silence
        self._bytes: AsyncIterator[bytes] | None = None
        # A response that its owner has read and passed in holds its body decoded.
        self._is_read = response.is_closed or response.is_stream_consumed
        self._body = ReplyBody(self._read)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, content-decoded, cut as it came."""
        return self._body.chunks("" if self._is_read else self.headers.get("content-encoding", ""))

    async def abort(self) -> None:
        """End a read that is pending in another task."""
        self._guard.end()
        self._body.end()
        if self._socket is not None:
            # Shut down, not closed: the read may just have reached the end of the body, and then the pool keeps the
            # connection and asks its socket whether there is anything to read. A closed socket of trio cannot answer.
            try:
                with suppress(OSError):  # the peer closed it first, so the pending read has ended
                    self._socket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            # A backend may have no socket, or none that can be shut down, as under uvloop.
            except (AttributeError, NotImplementedError, TypeError):
                with suppress(Exception):  # a socket that fails to close is closed all the same
                    await self._socket.aclose()

    # The library's generators must be closed in the task that reads them, in their order, or trio warns about each. So if
    # another task is in the middle of a read, that read is only ended here; `_read` then closes what it read from.
    async def aclose(self) -> None:
        """Close the socket, and every generator that a reader left in the middle."""
        self._is_closed = True
        if self._body.is_being_read:  # by another task, which closes what it reads from
            await self.abort()
        else:
            await self._body.aclose()
            await self._close_source()

    async def _close_source(self) -> None:
        # Closing the outermost generator leaves the library's inner ones to the garbage collector, which trio warns
        # of. A cancellation where they wait runs through them all, and closes the socket on its way.
        if self._bytes is not None:
            with anyio.CancelScope() as scope:
                scope.cancel()
                with suppress(Exception):
                    async for _ in self._bytes:
                        pass

    async def _read(self) -> AsyncGenerator[bytes, None]:
        # Below aiter_bytes and aiter_raw: five generators fewer for each chunk, and no decoder without a bound.
        self._bytes = self._response.aiter_bytes() if self._is_read else aiter(innermost(self._response.stream))
        source = self._bytes if self._socket is not None else Guarded(self._bytes, self._guard)
        try:
            async for chunk in source:
                if self._is_closed:  # while this read was pending: nobody comes back for the rest
                    break
                yield chunk
        except GeneratorExit:  # a decoder was ended between two pieces of a chunk
            if self._is_closed:
                await self._close_source()
            raise
        except Exception as error:
            raise self._failure(error) from error
        if self._is_closed:
            await self._close_source()
        if self._guard.is_ended:  # the end may be one that we caused
            raise Disconnected(ABORTED)

    def _failure(self, error: Exception) -> Exception:
        return Disconnected(ABORTED) if self._guard.is_ended else disconnected(error)


class Guarded:
    """The same chunks, but a pending read can be ended where there is no socket to end it with.

    A class, because a generator would have to be closed: trio warns about one that is not.
    """

    def __init__(self, source: AsyncIterator[bytes], guard: IdleGuard) -> None:
        self._source = source
        self._guard = guard

    def __aiter__(self) -> "Guarded":
        return self

    async def __anext__(self) -> bytes:
        return await self._guard.wait(self._source.__anext__)


def innermost(stream: Any) -> Any:
    """The byte stream under those that only pass its chunks on."""
    while (inner := getattr(stream, AROUND_THE_BODY.get(type(stream).__name__, ""), None)) is not None:
        stream = inner
    return stream


def socket_of(response: HttpxResponse) -> Any:
    """The network stream of this response alone; None if others share it, or there is no such stream."""
    version: bytes = response.extensions.get("http_version", b"")
    return response.extensions.get("network_stream") if version.startswith(b"HTTP/1") else None


def library() -> ModuleType:
    """httpx2 if it is installed, because it opens many streams at a fifth of the cost; otherwise httpx."""
    return import_module("httpx2" if find_spec("httpx2") else "httpx")


def make_client(ssl_context: ssl.SSLContext) -> Client:
    """A client for streams: no limit on its connections, and no redirects."""
    http = library()
    limits = http.Limits(max_connections=None, max_keepalive_connections=20)
    client: Client = http.AsyncClient(limits=limits, verify=ssl_context, follow_redirects=False)
    return client
