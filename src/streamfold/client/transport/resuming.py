"""The transport that lets an existing SDK survive drops: given to its httpx client, it continues the SDK's streams.

The async body is here, too. It is an iterator and not a generator, so closing the response closes all of it, in any task and
at any point.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from math import inf, isfinite
from threading import Lock
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, get_args

import anyio

from streamfold.client.transport.httpx import HttpxReply
from streamfold.client.transport.recording import PassageRecorder
from streamfold.client.transport.resumable import StreamRequest, library_of
from streamfold.client.transport.resumed import CANCEL_SECONDS, Collected, ResumedBody
from streamfold.client.transport.resumed_sync import SyncBody, SyncInner
from streamfold.client.transport.timing import current_clock
from streamfold.errors import IdleTimeout, InvalidArgument, TransportError, UsageError
from streamfold.log import EventLog
from streamfold.schema import promotion
from streamfold.session import Answer, Call, Cancel, Close, Connect, Patience, Repair, Retrieve, Wait, is_event_stream

# One class for four kinds of client. A client only calls the methods below, so neither library is imported for its base
# classes; a type checker still sees them.
if TYPE_CHECKING:
    import httpx
    import httpx2

    class Carrier(httpx.AsyncBaseTransport, httpx.BaseTransport, httpx2.AsyncBaseTransport, httpx2.BaseTransport):
        async def handle_async_request(self, request: Any) -> Any: ...
        def handle_request(self, request: Any) -> Any: ...

else:
    Carrier = object


class ResumingTransport(Carrier):
    """Continues every stream of a Responses API that passes through it, across dropped connections.

    Give it to an `AsyncClient` or a `Client` of httpx or httpx2, and that client to your SDK. The body of each stream is
    resumed after its last event, and the SDK sees each event once. Where the server cannot resume, the SDK gets the error
    that it would have got from the drop. Everything else passes unchanged.

    Args:
        inner: The transport that carries the requests, sync or async as your client is: pass one to use a proxy, HTTP/2 or
            your own certificates. None for the library's own, with 1,000 connections.
        log: Where to record the events of each stream that passes, before your SDK gets them: for an AsyncClient.
        patience: How long to wait for a response, and when to give up. Its `idle_seconds` is the silence after which a
            stream that can be resumed counts as dropped.
        promote: Which foreground creates are sent with `background: true`, so that they can be resumed: "never",
            "if-stored" for those that do not say `store: false`, or "always", which also stores them if the server needs
            that. Your SDK sees the values that it sent. A promoted response that your code leaves early is cancelled.

    Raises:
        InvalidArgument: An argument is not valid.

    Example:
        client = AsyncOpenAI(http_client=httpx2.AsyncClient(transport=ResumingTransport()))
    """

    def __init__(
        self,
        inner: Any = None,
        *,
        log: EventLog | None = None,
        patience: Patience | None = None,
        promote: promotion.PromoteMode = "never",
    ) -> None:
        if promote not in get_args(promotion.PromoteMode):
            raise InvalidArgument("promote", f'must be "never", "if-stored" or "always", got {promote!r}')
        self._log = log
        self._promote: promotion.PromoteMode = promote
        self._async: Any = inner if hasattr(inner, "handle_async_request") else None
        self._sync: Any = inner if hasattr(inner, "handle_request") else None
        if inner is not None and self._async is None and self._sync is None:
            raise InvalidArgument("inner", f"must be a transport of httpx or httpx2, got {inner!r}")
        self._making = Lock()  # threads may share a client
        self._patience = patience or Patience()
        self._random: Callable[[], float] = random.random

    # Async

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of an `AsyncClient`; the body of a stream is continued."""
        inner = self._async_inner(request)
        origin = StreamRequest.of(request, self._patience, self._promote)
        if origin is None:
            return await inner.handle_async_request(request)
        response = await inner.handle_async_request(origin.first_request())
        if not origin.can_continue(response):
            return response
        body = of_library(AsyncBody, origin.library.AsyncByteStream)
        recorder = None if self._log is None else PassageRecorder(self._log)
        return origin.answer(response, body(origin, inner, response, random=self._random, recorder=recorder))

    async def aclose(self) -> None:
        """Close the inner transport."""
        if self._async is not None:
            await self._async.aclose()

    async def __aenter__(self) -> Self:
        if self._async is not None:
            await self._async.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _async_inner(self, request: Any) -> "AsyncInner":
        # Made at the first request, because only that shows which library the client is of.
        with self._making:
            if self._async is None:
                self._async = library_of(request).AsyncHTTPTransport(limits=limits(library_of(request)))
        inner: AsyncInner = self._async
        return inner

    # Sync

    def handle_request(self, request: Any) -> Any:
        """Send a request of a `Client`; the body of a stream is continued."""
        if self._log is not None:
            raise UsageError("log= records what an AsyncClient reads; give a Client a ResumingTransport without it")
        inner = self._sync_inner(request)
        origin = StreamRequest.of(request, self._patience, self._promote)
        if origin is None:
            return inner.handle_request(request)
        response = inner.handle_request(origin.first_request())
        if not origin.can_continue(response):
            return response
        body = of_library(SyncBody, origin.library.SyncByteStream)
        return origin.answer(response, body(origin, inner, response, random=self._random))

    def close(self) -> None:
        """Close the inner transport."""
        if self._sync is not None:
            self._sync.close()

    def __enter__(self) -> Self:
        if self._sync is not None:
            self._sync.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def _sync_inner(self, request: Any) -> SyncInner:
        with self._making:
            if self._sync is None:
                self._sync = library_of(request).HTTPTransport(limits=limits(library_of(request)))
        inner: SyncInner = self._sync
        return inner


def limits(library: ModuleType) -> Any:
    """As many connections as openai's own client opens; a library's default of 100 is soon used up by streams."""
    return library.Limits(max_connections=1000, max_keepalive_connections=100)


@cache
def of_library(body: Any, base: Any) -> Any:
    """The class of a body that the library takes for a stream of its own."""
    return type(body.__name__, (body, base), {})


# The async body
#
# The SDK's own task does everything: it reads the open connection, and when that breaks it carries out
# the steps of `drive`, each to its end, before it reads on. So nothing happens while the SDK does not read.
#
# Most chunks take one path: read, report to the session, pass on. A deadline is only set for a read that the session wants
# ended, such as while an event is missing. A read that was ended so has lost its connection, because httpx closes it.

UNTIMELY = "the connection was closed, because the session stopped waiting for it"


class AsyncInner(Protocol):
    """What is used of an async transport of either library."""

    @property
    def handle_async_request(self) -> Callable[[Any], Awaitable[Any]]: ...
    @property
    def aclose(self) -> Callable[[], Awaitable[None]]: ...


class AsyncConnection:
    """One answer of the inner transport, read as a Reply."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.reply: HttpxReply = HttpxReply(response)

    async def aclose(self) -> None:
        """Close it, also in the middle."""
        try:
            await self.reply.aclose()
        finally:
            with suppress(Exception):  # a socket that fails to close is closed all the same
                await self._response.aclose()


class AsyncBody(ResumedBody):
    """The body of one stream. inner: Carries the requests that continue it. response: The first answer."""

    def __init__(
        self,
        origin: StreamRequest,
        inner: AsyncInner,
        response: Any,
        *,
        random: Callable[[], float],
        recorder: PassageRecorder | None,
    ) -> None:
        super().__init__(origin, clock=current_clock(), random=random, is_recorded=recorder is not None)
        self._inner = inner
        self._recorder = recorder
        self._begin(AsyncConnection(response))

    def __aiter__(self) -> "AsyncBody":
        return self

    async def __anext__(self) -> bytes:
        passage = self._passage
        if (take := passage.take) is not None and not self.has_ended:  # most chunks: there is nothing else to do
            try:
                chunk = await self._next_chunk()
            except (StopAsyncIteration, TransportError) as end:
                passed = await self._receive_end(end)
            else:
                if (taken := take(chunk)) is None:
                    taken = self._receive_refused(chunk)
                passed = taken
            if passed:
                return passed
        while not self.has_ended:
            passed = await self._read() if passage.wants_chunk else await self._carry_out()
            if passed:
                return passed
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection that is open. A promoted response is cancelled, as the server does with one in the foreground."""
        is_left_running = self.is_left_running
        self.is_closed = self.has_ended = True
        self._passage.session.receive_leave(now=self._clock())
        await self._disconnect()
        if self._recorder is not None:
            await self._recorder.finish(self._passage.session.outcome)
        if is_left_running:
            with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(Exception):
                request = self._origin.next_request(Cancel(), self._passage.session.response_id or "")
                await (await self._inner.handle_async_request(request)).aclose()

    # The open connection

    async def _read(self) -> bytes:
        passage = self._passage
        until = passage.waits_until
        try:
            chunk = await (self._next_chunk() if until == inf else self._next_chunk_until(until))
            if chunk is None:
                return b""
        except (StopAsyncIteration, TransportError) as end:
            return await self._receive_end(end)
        received = self._receive_chunk(chunk)
        if self._recorder is not None:
            await self._recorder.add(passage.applied, passage.session.response_id)
        return received

    async def _receive_end(self, end: StopAsyncIteration | TransportError) -> bytes:
        if isinstance(end, StopAsyncIteration):
            return self._receive_eof()
        passed = self._receive_drop(end)
        if self.has_ended:
            await self._disconnect()
        return passed

    async def _next_chunk_until(self, until: float) -> bytes | None:
        """The next chunk. None if none came in time, and the session closed the connection for it."""
        with anyio.move_on_after(max(0.0, until - self._clock())):
            return await self._next_chunk()
        self._receive_time()
        if self._passage.session.is_reading:
            raise IdleTimeout(UNTIMELY)  # the session would read on, but httpx has closed the connection
        return None

    def _begin(self, connection: AsyncConnection) -> None:
        self._connection: AsyncConnection | None = connection
        # The reply's own method, bound once: nothing of ours is between the reader and the socket.
        self._next_chunk = connection.reply.chunks().__anext__

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    # The steps of the session

    async def _carry_out(self) -> bytes:
        """Carry out one step. Returns what passes, which is nothing but at the end."""
        match self._passage.next_step(now=self._clock()):
            case Connect() as call:
                await self._connect(call)
            case Retrieve() as call:
                await self._retrieve(call)
            case Close():
                await self._disconnect()
            case Repair() as repair:
                self._report(repair)
            case Wait(seconds):
                await self._wait(seconds)
            case None:
                await self._disconnect()
                return self._finish()
            case _:  # a cancel, which nobody here asks for
                pass
        return b""

    async def _wait(self, seconds: float) -> None:
        if self._connection is None and isfinite(seconds):  # else it is read from until then
            await anyio.sleep(seconds)
            self._raise_if_closed()
            self._receive_time()

    async def _connect(self, call: Connect) -> None:
        connection = await self._open(call)
        if connection is None:
            return
        if is_event_stream(connection.reply.status, connection.reply.headers):
            self._call = call
            self._begin(connection)
            self._passage.begin_connection(now=self._clock())
        else:
            await self._take_answer(call, connection)

    async def _retrieve(self, call: Retrieve) -> None:
        connection = await self._open(call)
        if connection is not None:
            await self._take_answer(call, connection)

    async def _open(self, call: Call) -> AsyncConnection | None:
        """Send the request for a call. None if no answer came, which is reported."""
        request = self._origin.next_request(call, self._passage.session.response_id or "")
        try:
            response = await self._inner.handle_async_request(request)
        except Exception as error:
            self._receive_no_answer(call, error)
            return None
        connection = AsyncConnection(response)
        if self.is_closed:
            await connection.aclose()
        self._raise_if_closed()
        return connection

    async def _take_answer(self, call: Call, connection: AsyncConnection) -> None:
        try:
            answer = await self._read_answer(connection.reply)
        except TransportError as error:
            self._receive_no_answer(call, error)
        else:
            self._passage.session.receive_answer(call, answer, now=self._clock())
        finally:
            await connection.aclose()

    async def _read_answer(self, reply: HttpxReply) -> Answer:
        """The whole answer. A refusal counts even if its body breaks off."""
        patience = self._origin.patience
        collected = Collected(
            reply.status, reply.headers, max_bytes=patience.max_body_bytes, seconds=patience.idle_seconds
        )
        try:
            with anyio.move_on_after(collected.seconds) as waiting:
                async for chunk in reply.chunks():
                    collected.add(chunk)
            if waiting.cancelled_caught:
                raise collected.late()
        except TransportError:
            if not collected.is_refusal:
                raise
        return collected.answer
