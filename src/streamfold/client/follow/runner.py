"""Carries out what a session asks for, with tasks of its own: the async driver of responses and of batches."""

import logging
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Generic, TypeAlias, TypeVar

import anyio

from streamfold.client.api.answer import collect
from streamfold.client.transport.timing import DeadlineTimer, call_from_anywhere, current_clock, spawn
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import TransportError, UsageError
from streamfold.session import (
    BatchSession,
    Call,
    Cancel,
    CancelResult,
    Close,
    Connect,
    OutcomeStatus,
    Repair,
    Retrieve,
    Session,
    Wait,
    drive,
)

# Theory of operation: who drives. The reader does: its own task takes the next chunk from the socket
# (`Stream.take_in`), so nothing is handed from task to task, and what is not read is not fetched. Other tasks do the
# rest:
#
#     one task for each connection   opens the stream, holds it open and closes it, because a transport's context must be
#                                    left by the task that entered it
#     one task for each GET or POST  sends it and reports the answer
#     one timer                      calls `receive_time` when the session's first timer is due
#     two tasks of a recorder        renew its lease, and watch the log for a cancel
# A response that streams without trouble needs only the first. Each of them reports what happened to the session and
# calls `dispatch`, which continues `drive` until its next `Wait`. A batch has no stream, and no task for one.

# Ownership of tasks. A task group would be the natural owner, but it belongs to the task that
# entered it: left by another task, anyio raises "exit cancel scope in a different task", and left late it cancels its
# host. A followed response is entered in one task and left in another all the time: an async generator that holds it is
# closed by the garbage collector, in a task of the event loop's; a web framework runs a response's body in a task of
# its own.
#
# So a followed response owns its tasks itself. On asyncio they are plain tasks, on trio system tasks. Each has a cancel
# scope that it enters and exits by itself, so `close` may be called by any task: it cancels the scopes and waits until
# every task has ended. Nothing of it touches a scope of the caller. What a task raises is kept, and raised in the
# caller's own task by the next call that waits.

logger: logging.Logger = logging.getLogger("streamfold.client")

OnRepair: TypeAlias = Callable[[Repair], None]
S = TypeVar("S", Session, BatchSession)
GOOD_ENDS = {OutcomeStatus.COMPLETED, OutcomeStatus.ABANDONED}  # leaving one is not worth a warning


class Signal:
    """An edge-triggered event: `notify` wakes every task that waits now. waiting: How many do."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.waiting: int = 0

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        self.waiting += 1
        try:
            await self._event.wait()
        finally:
            self.waiting -= 1

    def notify(self) -> None:
        """Wake every task that waits."""
        if self.waiting:
            self._event.set()
            self._event = anyio.Event()


class Running:
    """A task that runs, or is about to.

    Its cancel scope is made inside the task: a timer's callback spawns tasks too, and in a callback asyncio has no current
    task, without which anyio cannot make a scope.
    """

    def __init__(self) -> None:
        self._scope: anyio.CancelScope | None = None
        self._is_cancelled = False

    def enter(self) -> anyio.CancelScope:
        """Return the scope of the task, called by the task itself."""
        self._scope = anyio.CancelScope()
        if self._is_cancelled:
            self._scope.cancel()
        return self._scope

    def cancel(self) -> None:
        """Cancel the task, also before it has begun."""
        self._is_cancelled = True
        if self._scope is not None:
            self._scope.cancel()


class Tasks:
    """Tasks that run until they return, or until `close` or `cancel`.

    Args:
        on_failure: Called when a task raised; `raise_failure` then raises that in the caller's task.
    """

    def __init__(self, *, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._failure: Exception | None = None
        self._crash: Exception | None = None
        self._running: set[Running] = set()
        self._is_closed = False
        self._ended = Signal()

    def spawn(self, run: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> Running:
        """Run a task. Returns it, to cancel it alone. After `close` nothing is run."""
        running = Running()
        if self._is_closed:
            return running

        async def task() -> None:
            try:
                with running.enter():
                    await run(*arguments)
            except Exception as error:
                self._crash = self._crash or error
                self.fail(error)

        def done() -> None:
            self._running.discard(running)
            self._ended.notify()

        self._running.add(running)
        spawn(task, done)
        return running

    def fail(self, error: Exception) -> None:
        """Keep an error for the caller; the first one counts."""
        if not self._is_closed:
            self._failure = self._failure or error
            self._on_failure()

    def raise_failure(self) -> None:
        """Raise what a task raised, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def raise_crash(self) -> None:
        """Raise what a task raised, each time: what that task would have done is never done, so nothing can be waited for."""
        self.raise_failure()
        if self._crash is not None:
            raise self._crash

    def cancel(self) -> None:
        """Cancel every task, and run no other. Does not wait."""
        self._is_closed = True
        for each in list(self._running):
            each.cancel()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended. May be called by any task."""
        self.cancel()
        with anyio.CancelScope(shield=True):
            while self._running:
                await self._ended.wait()


class Runner(Generic[S]):
    """Drives one session.

    Args:
        session: The session.
        name: What the log records call it; a response gets its id after it.
        hide: Takes what must not be shown out of the log records.
        request: The request for a call of the session.
        connect: Opens the stream, without waiting.
        disconnect: Closes it, without waiting.
        on_repair: Called for each repair.

    Attributes:
        changed: Notified whenever something happened that a waiting task may want to see.
        tasks: The tasks.
    """

    def __init__(
        self,
        session: S,
        *,
        name: str,
        transport: Transport,
        request: Callable[[Call], Request],
        connect: Callable[[Connect], None] = lambda call: None,
        disconnect: Callable[[], None] = lambda: None,
        on_repair: OnRepair | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self.session: S = session
        self.clock: Callable[[], float] = current_clock()
        self.changed: Signal = Signal()
        self.tasks: Tasks = Tasks(on_failure=self._fail)
        self._name = name
        self._transport = transport
        self._request = request
        self._connect = connect
        self._disconnect = disconnect
        self._on_repair = on_repair
        self._hide = hide
        self._steps = drive(session)
        self._timer = DeadlineTimer(clock=self.clock, wake=self._wake)
        self._call_from_anywhere = call_from_anywhere()
        self._is_closed = False
        self._is_reported = False

    # Driving

    def dispatch(self) -> None:
        """Start what the session asks for. What `on_repair` raises is kept for the caller, and stops nothing."""
        if self._is_closed:
            return
        wake_at = inf
        for step in self._steps:
            match step:
                case Wait(seconds):
                    wake_at = self.clock() + seconds
                    break
                case Connect():
                    self._connect(step)
                case Retrieve() | Cancel():
                    self.tasks.spawn(self._ask, step)
                case Close():
                    self._disconnect()
                case Repair():
                    self._report_repair(step)
        self._timer.schedule(wake_at)
        self.report_end()
        self.changed.notify()

    async def _ask(self, call: Retrieve | Cancel) -> None:
        request = self._request(call)
        try:
            async with self._transport.open(request) as reply:
                answer = await collect(reply, request, max_body_bytes=self.session.patience.max_body_bytes)
        except TransportError as failure:
            self.session.receive_failure(call, failure.reason, now=self.clock())
        else:
            self.session.receive_answer(call, answer, now=self.clock())
        self.dispatch()

    def _wake(self) -> None:
        self.session.receive_time(now=self.clock())
        self.dispatch()

    def _fail(self) -> None:
        self.changed.notify()

    # What callers ask

    async def wait(self) -> None:
        """Wait until something happened. Raises what a task raised, and UsageError once the block was closed."""
        self._raise_if_useless()
        await self.changed.wait()
        self._raise_if_useless()

    def _raise_if_useless(self) -> None:
        self.tasks.raise_crash()
        if self._is_closed and self.session.outcome is None:
            raise UsageError("the block has ended, so nothing more will arrive; enter it again to continue")

    async def wait_for_cancel(self) -> CancelResult:
        """Return the result of the cancel that was requested."""
        while self.session.cancel_result is None and self.session.outcome is None:
            await self.wait()
        return self.session.cancel_result or CancelResult.UNCONFIRMED

    def request_cancel(self) -> None:
        """Cancel it at the gateway."""
        self.session.receive_cancel(now=self.clock())
        self.dispatch()

    def notice(self) -> None:
        """Somebody else reports that the status changed."""
        self.session.receive_notice(now=self.clock())
        self.dispatch()

    # Leaving

    async def close(self) -> None:
        """End every task, and wait until they have ended. May be called by any task, and again."""
        self._stop()
        await self.tasks.close()
        self.changed.notify()

    def abandon(self) -> None:
        """End every task, from any thread and without waiting: what a finalizer does."""
        self._call_from_anywhere(self._cancel)

    def _cancel(self) -> None:
        self._stop()
        self.tasks.cancel()

    def _stop(self) -> None:
        self._disconnect()
        self._is_closed = True
        self._timer.stop()

    # The stdlib's log: one record for each repair and each outcome. Reasons are left out, because they hold words of the
    # gateway, and those may quote the request.

    def _report_repair(self, repair: Repair) -> None:
        after = "before the first event" if repair.after is None else f"after event {repair.after}"
        logger.warning("%s: %s %s", self.label, repair.kind, after)
        if self._on_repair is not None:
            try:
                self._on_repair(repair)
            except Exception as error:  # the repair itself continues, whatever its observer does
                self.tasks.fail(error)

    def report_end(self) -> None:
        """Write the outcome to the stdlib's log, once it is known."""
        outcome = self.session.outcome
        if outcome is None or self._is_reported:
            return
        self._is_reported = True
        is_wanted = outcome.status in GOOD_ENDS or outcome.cancel is CancelResult.CANCEL_WON
        level = logging.INFO if is_wanted else logging.WARNING
        proof = outcome.proof or "no proof"
        repairs = len(self.session.repairs)
        logger.log(level, "%s: %s (%s, repairs: %d)", self.label, outcome.status, proof, repairs)

    @property
    def label(self) -> str:
        """What it is, for a log record: "response resp_1"."""
        return self._hide(f"{self._name} {getattr(self.session, 'response_id', None) or ''}".rstrip())
