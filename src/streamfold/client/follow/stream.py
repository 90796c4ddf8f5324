"""The stream of one response: the connection that is open, held by one task and read by another."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import anyio
from attrs import frozen

from streamfold.client.api.answer import bad_answer, collect, names_response, seen
from streamfold.client.api.request import Calls
from streamfold.client.api.sending import explain
from streamfold.client.follow.runner import OnRepair, Runner, Running
from streamfold.client.transport.timing import current_clock
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.errors import GatewayError, IdleTimeout, TransportError
from streamfold.fold import State
from streamfold.session import Answer, Applied, Call, Connect, Retrieve, Session

# Theory of operation. Two tasks share a connection. One *holds* it: it enters the transport's context, waits, and
# leaves that context again. The other one *reads* it, and may be any task of the caller's. Three races follow from
# that, and each is closed in one place:
#
#     closed while it is read        `release` knows whether a read is pending. The holder then aborts the reply, the read
#                                    raises Disconnected, and `take_in` drops that because the connection is not current
#     closed while it is opened      `release` cancels the holder, which has no reply yet
#     answered after it was closed   only the current connection may report to the session: the session has asked for
#                                    another one by then, and would take the answer for that one's
#
# A read that ends after its connection was released closes the reply's generator itself (`leave`). Only that read can:
# another task cannot close a running async generator.


STREAM = "an event stream"


@frozen(kw_only=True)
class FollowRequest:
    """What to follow: a response that is created, or one that exists.

    Attributes:
        post: The request that creates it and streams it; None for one that exists.
        response_id: The id of one that exists.
        starting_after: The sequence number to follow from.
        state: What is known of it, up to its cursor.
        include: What its events and Responses should include.
        include_obfuscation: Whether the gateway should pad its deltas; None for its own default.
        is_background: Whether it was created to run in the background; None if that is not known.
    """

    response_id: str | None = None
    starting_after: int | None = None
    state: State | None = None
    post: Request | None = None
    include: tuple[str, ...] = ()
    include_obfuscation: bool | None = None
    is_background: bool | None = None

    def request(self, call: Call, *, calls: Calls, response_id: str) -> Request:
        """The request for a call of the session."""
        match call:
            case Connect(starting_after):
                return calls.follow(
                    response_id,
                    starting_after=starting_after,
                    include=self.include,
                    include_obfuscation=self.include_obfuscation,
                )
            case Retrieve():
                return calls.retrieve(response_id, include=self.include)
            case _:
                return calls.cancel(response_id)


class Connection:
    """One connection, from its request to its end.

    Attributes:
        call: The call that it answers.
        next_chunk: Waits for the next bytes of an open connection; raises StopAsyncIteration at the end.
        task: The task that holds it.
    """

    next_chunk: Callable[[], Awaitable[bytes]]
    task: Running

    def __init__(self, call: Connect) -> None:
        self.call = call
        self._reply: Reply | None = None
        self._released = anyio.Event()
        self._is_read = False

    def open(self, reply: Reply) -> None:
        """The stream is there."""
        self._reply = reply
        self._chunks = reply.chunks()
        # The reply's own method, bound once: nothing of ours is between the reader and the socket.
        self.next_chunk = self._chunks.__anext__

    def release(self, *, is_read: bool) -> None:
        """Have it closed by the task that holds it. is_read: Whether a task waits for its next chunk just now."""
        self._is_read = is_read
        self._released.set()
        if self._reply is None:
            self.task.cancel()

    async def leave(self) -> None:
        """Close what was being read: called by a reader whose read ended after the release, as only it can."""
        close: Callable[[], Awaitable[None]] | None = getattr(self._chunks, "aclose", None)  # a generator's
        if close is not None:
            await close()

    async def hold(self) -> None:
        """Keep it open until it is released; then end a read that is pending."""
        await self._released.wait()
        if self._is_read and self._reply is not None:
            await self._reply.abort()


class Stream:
    """The connections of one response, one at a time, and the driver of its session.

    Args:
        begin: Returns the session that begins at a time of the event loop's clock.
        transport: Opens the requests.
        request: The request for a call of the session.
        on_repair: Called for each repair.
        hide: Takes what must not be shown out of the log records.
    """

    def __init__(
        self,
        begin: Callable[[float], Session],
        *,
        transport: Transport,
        request: Callable[[Call], Request],
        on_repair: OnRepair,
        hide: Callable[[str], str] = str,
    ) -> None:
        self.session: Session = begin(current_clock()())
        session = self.session
        self.runner: Runner[Session] = Runner(
            session,
            name="response",
            transport=transport,
            request=request,
            connect=self._connect,
            disconnect=self._disconnect,
            on_repair=on_repair,
            hide=hide,
        )
        self._clock = self.runner.clock
        self._changed = self.runner.changed
        self._transport = transport
        self._request = request
        self._current: Connection | None = None  # open, or being opened: no other may report
        self._connection: Connection | None = None  # open
        self._is_reading = False

    async def take_in(self) -> Sequence[Applied]:
        """Read one more chunk, or wait until something else changed. Returns what it brought; often nothing."""
        session, connection = self.session, self._connection
        if connection is None or self._is_reading:
            if session.outcome is None:
                await self.runner.wait()
            return ()
        applied: Sequence[Applied] = ()
        self._is_reading = True  # a second reader waits for changes instead: one task at a time reads a reply
        try:
            chunk = await connection.next_chunk()
        except (StopAsyncIteration, TransportError) as end:
            self._receive_end(connection, end)
        else:
            if connection is self._connection:
                applied = session.receive_chunk(chunk, now=self._clock())
            else:
                await connection.leave()
        finally:
            self._is_reading = False
        if self._changed.waiting:  # others wait for what this chunk changed, such as the state or the outcome
            self._changed.notify()
        # A steady session has nothing to say after a chunk, so most chunks never come near the driver.
        if not session.is_steady and (session.needs_driver or not session.is_reading):
            self.runner.dispatch()
        return applied

    def _receive_end(self, connection: Connection, end: StopAsyncIteration | TransportError) -> None:
        if connection is not self._connection:
            return
        if isinstance(end, TransportError):
            self.session.receive_failure(connection.call, end.reason, now=self._clock())
        else:
            self.session.receive_eof(now=self._clock())

    async def cancel_without_reading(self) -> None:
        """Cancel the response and wait for the result, but read no further."""
        session = self.session
        session.receive_cancel(now=self._clock())
        session.receive_stopped_reading(now=self._clock())
        self.runner.dispatch()
        if session.response_id is not None:  # else there is nothing to cancel by
            await self.runner.wait_for_cancel()

    def receive_final(self, body: bytes) -> None:
        """Another process followed the response to its end, and this is its final Response."""
        self.session.receive_final(body, now=self._clock())
        self.runner.dispatch()

    def leave(self) -> None:
        """The caller disconnects."""
        self.session.receive_leave(now=self._clock(), reason="its `with` block was left before it ended")
        self.runner.report_end()

    # Connections

    async def open_first(
        self, opening: AbstractAsyncContextManager[Reply], *, post: Request | None, seconds: float | None
    ) -> None:
        """Open the stream that the session begins with, and wait for its head.

        Args:
            opening: The context of its reply.
            post: The request that it answers, for the error if no stream comes.
            seconds: How long that may take; None for no limit.

        Raises:
            RequestRefused: The gateway refused the request.
            UnexpectedAnswer: Something other than a stream came.
            TransportError: No answer came.
        """
        connection = self._current = Connection(Connect())
        head = anyio.Event()
        failures: list[Exception] = []
        refusals: list[GatewayError] = []  # a status that is known before its words, which may never come

        async def hold() -> None:
            try:
                async with opening as first:
                    reply, is_stream = (first, True) if post is None else await seen(first, post)
                    if is_stream:
                        self._open(connection, reply)
                        head.set()
                        await connection.hold()
                        return
                    assert post is not None
                    if reply.status >= 400:
                        refusals.append(bad_answer(Answer(reply.status, reply.headers), post, expected=STREAM))
                    answer = await collect(reply, post, max_body_bytes=self.session.patience.max_body_bytes)
                    if names_response(answer):  # it is followed by its id
                        refusals.clear()
                        self.session.receive_answer(connection.call, answer, now=self._clock())
                    else:
                        failures.append(bad_answer(answer, post, expected=STREAM))
            except Exception as error:
                if head.is_set():
                    raise
                failures.append(error)
            finally:
                head.set()

        connection.task = self.runner.tasks.spawn(hold)
        with anyio.move_on_after(seconds):
            await head.wait()
        if failures or refusals:
            raise (failures or refusals)[0]
        if not head.is_set():
            late = IdleTimeout(f"no stream within {seconds:g} seconds")
            raise late if post is None else explain(late, post)

    def _connect(self, call: Connect) -> None:
        self._current = connection = Connection(call)
        connection.task = self.runner.tasks.spawn(self._hold, connection, self._request(call))

    async def _hold(self, connection: Connection, request: Request) -> None:
        """Open the stream and hold it open until it is released."""
        session = self.session
        try:
            async with self._transport.open(request) as first:
                reply, is_stream = await seen(first, request)
                if is_stream:
                    if connection is self._current:
                        session.receive_connected(now=self._clock())
                        self._open(connection, reply)
                        self.runner.dispatch()
                        await connection.hold()
                    return
                answer = await collect(reply, request, max_body_bytes=session.patience.max_body_bytes)
        except TransportError as failure:
            if connection is self._current:
                session.receive_failure(connection.call, failure.reason, now=self._clock())
        else:
            if connection is self._current:
                session.receive_answer(connection.call, answer, now=self._clock())
        self.runner.dispatch()

    def _open(self, connection: Connection, reply: Reply) -> None:
        connection.open(reply)
        self._connection = connection

    def _disconnect(self) -> None:
        """Close the stream that is open, or stop opening it."""
        connection, self._current, self._connection = self._current, None, None
        if connection is not None:
            connection.release(is_read=self._is_reading)
