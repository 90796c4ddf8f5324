"""A response followed over HTTP: a session's actions are carried out, and what came of them is told to it.

In      a Session, the Calls of a gateway, and a Transport
Out     events, states or text, as they come; at the end the Outcome
Units   seconds; sequence numbers
Errors  RequestRefused, UnexpectedAnswer or a TransportError where a POST that was to stream does not;
        once it streams, none: what happens to the connection is the session's to mend
Source  docs/explanation/client.md

Whoever reads drives: the reader's own task takes the next chunk from the socket, and what is not read is not
fetched. Everything else (opening, retrieving, cancelling, timers) is done by tasks of the response's own task group.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Literal, TypeAlias

import anyio
from anyio.abc import TaskGroup, TaskStatus

from streamfold.client.api.answer import bad_answer, collect
from streamfold.client.api.request import Calls
from streamfold.client.follow.change import Change
from streamfold.client.follow.connection import Connection
from streamfold.client.follow.reading import Readable
from streamfold.client.follow.recorder import Beginning, Recorder
from streamfold.client.follow.settlement import settle
from streamfold.client.follow.start import Start
from streamfold.client.transport.timing import DeadlineTimer, current_clock
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import GatewayError, LogError, TransportError, UsageError
from streamfold.fold import State
from streamfold.session import (
    Applied,
    Call,
    Cancel,
    CancelResult,
    Connect,
    Outcome,
    Patience,
    Repair,
    Retrieve,
    Session,
    Wait,
    is_event_stream,
)

__all__ = ["FollowedResponse", "OnExit"]

OnExit: TypeAlias = Literal["leave", "cancel"]

CANCEL_ON_EXIT_SECONDS = 10.0
RECORD_ON_EXIT_SECONDS = 10.0


class FollowedResponse(Readable):
    """One response, followed to its end, inside `async with`.

    Iterate it for its events; or iterate `states()` or `text()`; or await `outcome()` alone. One reader at a time:
    each event is given once. Leaving the block disconnects, and never cancels, unless it was told `on_exit="cancel"`.
    """

    def __init__(
        self,
        start: Start,
        *,
        calls: Calls,
        transport: Transport,
        patience: Patience,
        on_exit: OnExit = "leave",
        on_repair: Callable[[Repair], None] | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self.given: State = State()  # until it is entered
        self._start = start
        self._calls = calls
        self._transport = transport
        self._patience = patience
        self._on_exit = on_exit
        self._on_repair = on_repair
        self._random = random
        self._begun: Session | None = None
        self._is_reading = False
        self._connection: Connection | None = None
        self._changed = Change()
        self._told_repairs = 0
        self._calling: list[Retrieve | Cancel] = []
        self._holder: anyio.CancelScope | None = None
        self._is_closing = False
        self._recorder: Recorder | None = None

    def keep_in(self, recorder: Recorder) -> None:
        """Have it recorded: see `record`.

        Raises: UsageError once it was entered.
        """
        if self._begun is not None:
            raise UsageError("record() takes a response that is not entered yet")
        self._recorder = recorder

    async def __aenter__(self) -> "FollowedResponse":
        self._clock = current_clock()
        known = Beginning(self._start) if self._recorder is None else await self._recorder.begin(self._start)
        self._start = known.start
        self._tasks: TaskGroup = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._deadline = DeadlineTimer(self._tasks, clock=self._clock, wake=self._wake)
        self._begun = self._start.session(patience=self._patience, random=self._random, now=self._clock())
        self.given = known.given or self._session.state
        self.kept.extend(known.missed)
        try:
            if self._start.post is not None:
                await self._open_first(self._start.post)
            self._dispatch()
            if self._recorder is not None:
                self._tasks.start_soon(self._recorder.keep)
                self._tasks.start_soon(self._recorder.heed_cancel, self._receive_cancel)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._on_exit == "cancel" and self._session.outcome is None:
                with anyio.move_on_after(CANCEL_ON_EXIT_SECONDS, shield=True):
                    await self._cancel_and_settle()
        finally:
            self._session.receive_leave(now=self._clock())
            try:
                if self._recorder is not None and not isinstance(error, LogError):  # else it is known already
                    with anyio.move_on_after(RECORD_ON_EXIT_SECONDS, shield=True):
                        await self._recorder.give(response_id=self.id, outcome=self._session.outcome)
            finally:
                await self._close()

    # What is known

    @property
    def id(self) -> str | None:
        """The response's id; None until the stream told it."""
        return self._session.response_id

    @property
    def state(self) -> State:
        """The state after the last event that was given to the reader; at the end the final one."""
        if self._session.outcome is not None and not self.kept:
            return self._session.outcome.state
        return self.given

    @property
    def cursor(self) -> int | None:
        """The last sequence number that was given to the reader: what another process resumes after."""
        return self.state.cursor

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was done so far to mend the stream."""
        return self._session.repairs

    # What a reader does

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes, and nothing is kept for the reader."""
        return self._is_over and not self.kept

    @property
    def _is_over(self) -> bool:
        is_recorded = self._recorder is None or (self._recorder.is_closed and not self._recorder.is_holding)
        return self._session.outcome is not None and is_recorded

    async def read(self) -> Sequence[Applied]:
        """Take in one more chunk, or wait until something else changed. Returns: what it brought; often nothing.

        Raises: LogError where it is recorded and cannot be; the next call tries again.
        """
        if self._recorder is None:
            return await self._take_in()
        recorder, session = self._recorder, self._session
        # What a read that was cancelled left behind comes first.
        if session.outcome is None and not (recorder.is_holding and session.response_id is not None):
            applied = await self._take_in()
            if self._session.outcome is None and recorder.pass_on(applied):
                return applied
            recorder.hold(applied)
        return await recorder.give(response_id=session.response_id, outcome=session.outcome)

    async def _take_in(self) -> Sequence[Applied]:
        session, connection = self._begun or self._session, self._connection
        applied: Sequence[Applied] = ()
        if connection is None or self._is_reading:
            if session.outcome is None:
                await self._changed.wait()
            return applied
        self._is_reading = True
        try:
            chunk = await connection.next_chunk()
        except StopAsyncIteration:
            if connection is self._connection:
                session.receive_eof(now=self._clock())
        except TransportError as failure:
            if connection is self._connection:
                session.receive_failure(connection.call, failure.reason, now=self._clock())
        else:
            if connection is self._connection:
                applied = session.receive_chunk(chunk, now=self._clock())
            else:
                await connection.leave()
        finally:
            self._is_reading = False
        if self._changed.waiting:
            self._changed.tell()
        if not session.is_steady and (session.needs_driver or not session.is_reading):
            self._dispatch()
        return applied

    async def outcome(self) -> Outcome:
        """Follow to the end. What nobody iterates is not kept: the state has it."""
        if not self.is_iterated and self.kept:
            self.given = self.kept[-1].state
            self.kept.clear()
        while not self._is_over or self._session.outcome is None:
            await self._advance()
        return self._session.outcome

    async def cancel(self) -> CancelResult:
        """Cancel the response at the gateway, and find out what that came to. Go on iterating for what is left.

        Returns: the result; UNCONFIRMED where the gateway gave no proof in time, and the response is followed on.
        """
        session = self._session
        self._receive_cancel()
        # Reading goes on in a task of its own: the result may come while the stream is silent.
        self._tasks.start_soon(self._read_for_cancel)
        while session.cancel_result is None and session.outcome is None:
            await self._changed.wait()
        return session.cancel_result or CancelResult.UNCONFIRMED

    def notice(self) -> None:
        """Tell it that a verified webhook spoke of this response: a GET that waits is made at once."""
        self._session.receive_notice(now=self._clock())
        self._dispatch()

    # How it goes on

    @property
    def _session(self) -> Session:
        if self._begun is None:
            raise UsageError("a response is followed inside `async with`")
        return self._begun

    async def _advance(self) -> None:
        """Go on by a chunk or a change. What it brought is kept for whoever iterates; else only the last state is."""
        applied = await self.read()
        if self.is_iterated:
            self.kept.extend(applied)
        elif applied:
            self.given = applied[-1].state

    def _receive_cancel(self) -> None:
        self._session.receive_cancel(now=self._clock())
        self._dispatch()

    async def _read_for_cancel(self) -> None:
        with suppress(LogError):  # the reader is told, for what was not recorded is tried again by each read
            while self._session.cancel_result is None and self._session.outcome is None:
                await self._advance()

    def _dispatch(self) -> None:
        """Have done what the session asks for."""
        if self._is_closing:
            return
        session = self._session
        wake_at: float | None = None
        for action in session.actions():
            match action:
                case Wait(seconds):
                    wake_at = self._clock() + seconds
                    break
                case Connect():
                    self._let_go()
                    self._tasks.start_soon(self._hold, action, self._request(action))
                case Retrieve() | Cancel():
                    self._tasks.start_soon(self._call, action)
                case _:
                    pass
        # A stream that is being opened is not read yet: only the end stops that.
        if session.outcome is not None or (self._connection is not None and not session.is_reading):
            self._let_go()
        self._deadline.schedule(wake_at)
        for repair in session.repairs[self._told_repairs :]:
            self._told_repairs += 1
            if self._recorder is not None:
                self._recorder.tell(repair)
            if self._on_repair is not None:
                self._on_repair(repair)
        self._changed.tell()

    # What its tasks do

    def _request(self, call: Call) -> Request:
        return self._start.request(call, calls=self._calls, response_id=self._session.response_id or "")

    async def _open_first(self, post: Request) -> None:
        """Send the POST, and wait for its head.

        Raises: RequestRefused or UnexpectedAnswer if no stream comes; TransportError if nothing does.
        """
        failure: GatewayError | None = await self._tasks.start(self._hold_first, post)
        if failure is not None:
            raise failure

    async def _hold_first(self, post: Request, *, task_status: TaskStatus[GatewayError | None]) -> None:
        try:
            async with self._transport.open(post) as reply:
                if is_event_stream(reply.status, reply.headers):
                    connection = self._connection = Connection(Connect(), reply)
                    task_status.started(None)
                    await connection.wait_until_let_go()
                    return
                answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
        except TransportError as failure:
            task_status.started(failure)
        else:
            task_status.started(bad_answer(answer, post, expected="an event stream"))

    async def _hold(self, call: Connect, request: Request) -> None:
        """Open the stream, and hold it open until it is let go of: it is closed by the task that opened it."""
        session = self._session
        with anyio.CancelScope() as self._holder:
            try:
                async with self._transport.open(request) as reply:
                    if is_event_stream(reply.status, reply.headers):
                        session.receive_connected(now=self._clock())
                        connection = self._connection = Connection(call, reply)
                        self._dispatch()
                        await connection.wait_until_let_go()
                        return
                    answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
            except TransportError as failure:
                session.receive_failure(call, failure.reason, now=self._clock())
            else:
                session.receive_answer(call, answer, now=self._clock())
            self._holder = None
            self._dispatch()

    def _let_go(self) -> None:
        """Close the stream that is open, or that is being opened."""
        if self._connection is not None:
            self._connection.let_go(is_read=self._is_reading)
            self._connection = None
        elif self._holder is not None:
            self._holder.cancel()
        self._holder = None

    async def _call(self, call: Retrieve | Cancel) -> None:
        self._calling.append(call)
        await self._ask(call)
        self._calling.remove(call)
        self._dispatch()

    async def _ask(self, call: Retrieve | Cancel) -> None:
        try:
            async with self._transport.open(self._request(call)) as reply:
                answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
        except TransportError as failure:
            self._session.receive_failure(call, failure.reason, now=self._clock())
        else:
            self._session.receive_answer(call, answer, now=self._clock())

    def _wake(self) -> None:
        self._session.receive_time(now=self._clock())
        self._dispatch()

    async def _cancel_and_settle(self) -> None:
        """Cancel without reading any further: what the gateway answers has to do."""
        self._is_closing = True
        self._let_go()
        session = self._session
        session.receive_cancel(now=self._clock())
        session.receive_stopped_reading(now=self._clock())
        self._tasks.cancel_scope.cancel()
        for calling in self._calling:  # by tasks that are no more
            session.receive_failure(calling, "it was left", now=self._clock())
        await settle(session, clock=self._clock, ask=self._ask)

    async def _close(self) -> None:
        """Let go of everything. What its tasks met by themselves is raised; what the caller's block met is not touched."""
        self._is_closing = True
        self._let_go()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
