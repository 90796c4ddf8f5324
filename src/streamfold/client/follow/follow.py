"""One response followed over HTTP to its end, for the task that reads it."""

import random
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Literal, TypeAlias

import anyio

from streamfold.client.api.request import Calls
from streamfold.client.follow.reading import States, Text
from streamfold.client.follow.recorder import LEASE_SECONDS, Recorder, Recording, Unrecorded
from streamfold.client.follow.runner import OnRepair
from streamfold.client.follow.stream import FollowRequest, Stream
from streamfold.client.misuse import AsyncOnly
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import InvalidArgument, LogError, UsageError
from streamfold.fold import State, TextGrowth
from streamfold.log import EventLog, Record
from streamfold.schema import Event
from streamfold.session import (
    Applied,
    Call,
    CancelResult,
    Outcome,
    OutcomeStatus,
    Patience,
    Repair,
    Session,
)

# Theory of operation. A followed response is three objects, so that each can be dropped separately:
#
#     FollowedResponse   what the reader has: events that have arrived but are not delivered, and the state delivered last
#     Recorder           between the two, if it is recorded: an event is in the log before the reader gets it
#     Stream, Runner     the connection, the session, and the tasks that drive it
#
# References only point downwards. The tasks keep the lower two alive, never the response: if it is dropped without
# being left, its finalizer ends the tasks. It can be entered by one task, read by others and left by yet another (see
# tasks.py).
#
# Leaving has an order. With on_exit="cancel" we first send the cancel and wait for its result, without reading. Then we
# report to the session that we leave, write what is not in the log yet, and end the tasks. All of it is shielded from
# the caller's own cancellation, and bounded in time.

OnExit: TypeAlias = Literal["leave", "cancel"]

CANCEL_ON_EXIT_SECONDS = 10.0
RECORD_ON_EXIT_SECONDS = 10.0
OUTSIDE = (
    "the response has not been entered: use it inside `async with gateway.stream(...) as response` (`with` if blocking)"
)
AFTERWARDS = "the block of this response has ended: read it inside the block, or follow it again from its cursor"


async def _read_before_entering() -> Sequence[Applied]:
    raise UsageError(OUTSIDE)


class FollowedResponse(AsyncOnly):
    """One response, followed to its end: `async with gateway.stream(...) as response`.

    Iterate it for its events, iterate `states()` or `text()`, or just await `outcome()`. One reader at a time: each
    event is delivered once. Leaving the block disconnects, and never cancels, unless `on_exit="cancel"` was given. Any
    task may leave it.

    Attributes:
        given: The state after the last event that was delivered.
        kept: Events that have arrived and wait for the reader.
        read: Reads one more chunk, or waits until something else changed; returns what it brought, often nothing. Once
            entered, it is the stream's own method, or the recorder's, so that no call of ours is in between. It raises
            LogError if the response is recorded and cannot be; nothing is lost then, and the next call tries again.
    """

    usage = "use `async with gateway.stream(...) as response` and `async for event in response`"

    def __init__(
        self,
        request: FollowRequest,
        *,
        calls: Calls,
        transport: Transport,
        patience: Patience,
        on_exit: OnExit = "leave",
        on_repair: OnRepair | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        if on_exit not in {"leave", "cancel"}:
            raise InvalidArgument("on_exit", f'must be "leave" or "cancel", got {on_exit!r}')
        self.given: State = State()  # until it is entered
        self.kept: deque[Applied] = deque()
        self.read: Callable[[], Awaitable[Sequence[Applied]]] = _read_before_entering
        self._request = request
        self._calls = calls
        self._transport = transport
        self._patience = patience
        self._on_exit = on_exit
        self._on_repair = on_repair
        self._random = random
        self._recorder: Recorder | Unrecorded = Unrecorded()
        self._entered: Stream | None = None
        self._is_iterated = False  # whether anybody wants the events, and not the outcome alone

    def record_with(self, recorder: Recorder) -> None:
        """Have it recorded: see `record`.

        Raises:
            UsageError: It has already been entered.
        """
        if self._entered is not None:
            raise UsageError("record() takes a response that has not been entered yet")
        self._recorder = recorder

    async def __aenter__(self) -> "FollowedResponse":
        if self._entered is not None:
            raise UsageError("the response was entered before: call stream() or follow() again for another one")
        recorder, asked, policy = self._recorder, self._request, self._patience.sequence_policy
        known = await recorder.begin(asked.response_id, asked.starting_after, asked.state, policy)
        stream = self._entered = self._begin_stream(known.starting_after, known.state, is_open=known.joins is not None)
        self.given = known.given or stream.session.state
        self.kept.extend(known.missed)
        self._starts_midway = self._request.starting_after is not None and self.given.cursor is None
        self._first = self.given
        self.read = recorder.attach(stream)
        self._finalizer = weakref.finalize(self, stream.runner.abandon)
        self._finalizer.atexit = False
        post = self._request.post
        try:
            if post is not None:
                opening = self._transport.open(post)
                bounds = (self._patience.total_seconds, self._calls.timeout_seconds)
                seconds = min((each for each in bounds if each is not None), default=None)
                await stream.open_first(opening, post=post, seconds=seconds)
            elif known.joins is not None:
                await stream.open_first(known.joins, post=None, seconds=None)
            stream.runner.dispatch()
        except BaseException:
            await stream.runner.close()
            raise
        return self

    def _begin_stream(self, starting_after: int | None, state: State | None, *, is_open: bool) -> Stream:
        # Nothing in here may refer to this object: the stream's tasks would keep it alive.
        follow, calls, recorder, on_repair = self._request, self._calls, self._recorder, self._on_repair
        stream: Stream

        def request(call: Call) -> Request:
            return follow.request(call, calls=calls, response_id=stream.session.response_id or "")

        def report(repair: Repair) -> None:
            recorder.add_repair(repair)
            if on_repair is not None:
                on_repair(repair)

        def begin(now: float) -> Session:
            return Session(
                follow.response_id,
                random=self._random,
                now=now,
                starting_after=starting_after,
                state=state,
                patience=self._patience,
                is_connected=is_open or follow.post is not None,
                hide=calls.hide,
                is_background=follow.is_background,
            )

        stream = Stream(begin, transport=self._transport, request=request, on_repair=report, hide=calls.hide)
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream, session, runner = self._stream, self._stream.session, self._stream.runner
        try:
            if self._on_exit == "cancel" and session.outcome is None:
                with anyio.move_on_after(CANCEL_ON_EXIT_SECONDS, shield=True):
                    await stream.cancel_without_reading()
        finally:
            stream.leave()
            try:
                if not self._recorder.is_done and not isinstance(error, LogError):  # which is known already
                    with anyio.move_on_after(RECORD_ON_EXIT_SECONDS, shield=True):
                        await self._recorder.finish(session)
            finally:
                self._finalizer.detach()
                await runner.close()
        if error is None:
            runner.tasks.raise_failure()

    # What is known

    @property
    def id(self) -> str | None:
        """The response's id; None until it has arrived."""
        return self._stream.session.response_id

    @property
    def state(self) -> State:
        """The state after the last event that you read; at the end the final one."""
        outcome = self._stream.session.outcome
        return outcome.state if outcome is not None and not self.kept else self.given

    @property
    def cursor(self) -> int | None:
        """The sequence number of the last event that you read; another process can resume after it."""
        return self.state.cursor

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs of the stream so far."""
        return self._stream.session.repairs

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come, and nothing is kept for the reader."""
        return self._is_over and not self.kept

    @property
    def _is_over(self) -> bool:
        return self._stream.session.outcome is not None and self._recorder.is_done

    @property
    def _stream(self) -> Stream:
        if self._entered is None:
            raise UsageError(OUTSIDE)
        return self._entered

    @property
    def next_record(self) -> int | None:
        """The number of the record that `next_records` returns next; None if it is not known yet."""
        return None if self._recorder.given is None else self._recorder.given.next_number

    # Reading

    def __aiter__(self) -> "FollowedResponse":
        self._begin_reading()
        return self

    async def __anext__(self) -> Event:
        """The next event, each once, in order. Ends when the outcome is known."""
        self._is_iterated = True
        kept = self.kept
        while not kept:
            applied = await self.read()
            if not applied and self.has_ended:
                raise StopAsyncIteration
            kept.extend(applied)
        one = kept.popleft()
        self.given = one.state
        return one.event

    async def next_applied(self) -> Sequence[Applied]:
        """Return everything applied since the last call, waiting for at least one event; empty at the end."""
        self._is_iterated = True
        applied: Sequence[Applied] = ()
        while not applied and not self.has_ended:
            if self.kept:
                applied = tuple(self.kept)
                self.kept.clear()
            else:
                applied = await self.read()
                if self.kept:  # another task, which waits for a cancel, took in what comes before it
                    self.kept.extend(applied)
                    applied = ()
        self.given = applied[-1].state if applied else self.given
        return applied

    async def next_records(self) -> Sequence[Record]:
        """Return the records of everything applied since the last call, waiting for at least one; empty at the end.

        They begin where the log ended when the response was entered. Raises UsageError if it is not recorded.
        """
        if self._recorder.given is None:
            raise UsageError("the response is not recorded: use record(response, log), or log=")
        return self._recorder.given.take(await self.next_applied())

    def states(self, *, coalesced: bool = False) -> States:
        """Iterate the state after each event, ending with the final one.

        Args:
            coalesced: Give a slow reader only the newest state each time, and skip the older ones.
        """
        self._begin_reading()
        return States(self, coalesced=coalesced)

    def text(self, *, strict: bool = True) -> Text:
        """Iterate the output text in pieces as they arrive. Joined, they are the final state's `output_text`.

        If you follow from a cursor, you get the text after it.

        Args:
            strict: Raise at the end if the text is not the whole answer. If false, the iteration just ends.

        Raises:
            ResponseFailed, ResponseIncomplete, ResponseCancelled, ResponseLost: After the last piece, if the response
                ended that way.
            TextChanged: After the last piece, if a later event replaced text that was already given, or if the gateway
                sent only the finished response, so that nobody can say which of its text comes after the cursor.
        """
        self._begin_reading()
        growth = TextGrowth(starts_midway=self._starts_midway)
        growth.take(self._first)
        return Text(self, growth, strict=strict)

    def _begin_reading(self) -> None:
        # A reader that waits while another task leaves just ends. One that begins later would take that end for the
        # response's own.
        outcome = self._stream.session.outcome
        if outcome is not None and outcome.status is OutcomeStatus.ABANDONED:
            raise UsageError(AFTERWARDS)
        self._is_iterated = True

    async def outcome(self) -> Outcome:
        """Follow to the end, and return how the response ended. Never raises for how it ended."""
        session = self._stream.session
        if not self._is_iterated and self.kept:
            self.given = self.kept[-1].state  # the events are kept for nobody: the state has them
            self.kept.clear()
        while not self._is_over or session.outcome is None:
            await self._advance()
        return session.outcome

    async def cancel(self) -> CancelResult:
        """Cancel the response at the gateway, and return the proven result. You can continue iterating afterwards.

        Returns:
            The result; UNCONFIRMED if the gateway did not confirm it in time. The response is then still followed.
        """
        runner = self._stream.runner
        runner.request_cancel()
        # The stream is read on by a task of its own, because the result may come while the stream is silent.
        runner.tasks.spawn(self._read_for_cancel)
        return await runner.wait_for_cancel()

    def notice(self) -> None:
        """Report that a verified webhook named this response. If the client is waiting to poll, it polls at once."""
        self._stream.runner.notice()

    async def _advance(self) -> None:
        """Take in a chunk or a change. What it brought is kept for an iteration, if there is one; else only the last state is."""
        applied = await self.read()
        if self._is_iterated:
            self.kept.extend(applied)
        elif applied:
            self.given = applied[-1].state

    async def _read_for_cancel(self) -> None:
        session = self._stream.session
        with suppress(LogError):  # the next read of the reader tries again, and raises it there
            while session.cancel_result is None and session.outcome is None:
                await self._advance()


def record(
    response: FollowedResponse,
    log: EventLog,
    *,
    tenant: str = "",
    owner: str | None = None,
    max_behind: int = 0,
    lease_seconds: float = LEASE_SECONDS,
    retain_seconds: float | None = None,
    note: tuple[str, str] | None = None,
) -> FollowedResponse:
    """Record a response: `async with record(gateway.stream(...), log) as response`.

    An event reaches your code only after it is in the log. When you enter the response, you have what the log already
    holds. If another process is recording it, its events come from the log as they are written, and this process takes
    over when the other one stops.

    Args:
        response: A response that has not been entered yet.
        log: Where to record it.
        tenant: Whose stream it is.
        owner: The name of this writer. A process that restarts under the same name takes over at once; None for a
            unique name.
        max_behind: How many events you may read before they are in the log, within a third of `lease_seconds`.
        lease_seconds: How long another process waits before it takes over from a writer that died.
        retain_seconds: How long to keep the stream after its end; None for ever.
        note: A kind and a text to note in the log beside the first event.

    Raises:
        InvalidArgument: A limit is out of range.
        UsageError: The response has already been entered.
    """
    how = Recording(
        tenant=tenant,
        owner=owner,
        max_behind=max_behind,
        lease_seconds=lease_seconds,
        retain_seconds=retain_seconds,
        note=note,
    )
    response.record_with(Recorder(log, how))
    return response
