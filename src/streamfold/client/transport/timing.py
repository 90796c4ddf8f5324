"""One clock, and everything that ends a wait: two idle guards, a deadline, and the timers that they use.

There are three classes because they differ in cost. `IdleTimer` costs two stores for each wait and needs a socket
that can be closed. `IdleGuard` costs a cancel scope for each wait, about 10 µs, and works with anything that can be
awaited. `DeadlineTimer` is one timer for a deadline that moves often.

anyio has no timer and no task outside a task group, so `call_later` and `spawn` use asyncio or trio directly. A task
group would be the right home for both, but a transport's context may be held by a generator, and a generator must not
hold a task group: it can be closed in another order than it was entered, even by another task.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from importlib import import_module
from time import monotonic
from typing import Any, TypeVar

import anyio

from streamfold.errors import Disconnected, IdleTimeout

T = TypeVar("T")
ABORTED = "the reply was closed while it was being read"
RUNNING: set[asyncio.Task[None]] = set()


# Why not `anyio.fail_after` around each read: a cancel scope is made, entered, left and forgotten for every chunk, which is
# 10 to 16 µs where the whole read takes 0.6. A stream of 100,000 events would spend more than a second on deadlines that
# nearly never strike. So the transport that is made for many streams notes when a wait began, and one timer for the whole
# reply looks at the note now and then. It strikes late by no more than a wait that began just after it looked.


# The event loop's clock, timers and tasks


def current_clock() -> Callable[[], float]:
    """The clock of the running event loop, in seconds.

    It is looked up once, because `anyio.current_time` looks for the loop at every call. trio's mock clock counts.
    """
    if is_asyncio():
        return monotonic  # asyncio's own clock, without a call in between
    now: Callable[[], float] = import_trio().current_time
    return now


def call_later(seconds: float, callback: Callable[[], None]) -> Callable[[], object]:
    """Call back inside the running event loop after `seconds`. Returns a function that cancels it."""
    if is_asyncio():
        return asyncio.get_running_loop().call_later(seconds, callback).cancel
    trio = import_trio()
    scope = anyio.CancelScope()

    async def wait() -> None:
        with scope:
            await trio.sleep(seconds)
            callback()

    trio.lowlevel.spawn_system_task(wait)  # trio has no timers, only tasks that sleep
    return scope.cancel


def spawn(run: Callable[[], Coroutine[Any, Any, None]], done: Callable[[], None] = lambda: None) -> None:
    """Run a task in parallel with the caller. It must not raise, and the caller must make sure that it ends.

    Args:
        run: The task.
        done: Called when it has ended, also if it was cancelled before it began, as when the event loop closes.
    """
    if is_asyncio():
        task = asyncio.create_task(run())
        RUNNING.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(RUNNING.discard)
        task.add_done_callback(lambda _: done())
        return

    async def run_and_report() -> None:
        try:
            await run()
        finally:
            done()

    import_trio().lowlevel.spawn_system_task(run_and_report, context=copy_context())


def call_from_anywhere() -> Callable[[Callable[[], None]], None]:
    """Return a function that schedules a call in the running event loop.

    It may be used from any thread, as by a finalizer, and does nothing once the loop is closed.
    """
    if is_asyncio():
        call_soon: Callable[[Callable[[], None]], object] = asyncio.get_running_loop().call_soon_threadsafe
    else:
        call_soon = import_trio().lowlevel.current_trio_token().run_sync_soon

    def call(callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed; trio's RunFinishedError is one too
            call_soon(callback)

    return call


def is_asyncio() -> bool:
    """Whether asyncio runs this task; otherwise trio does. In trio's guest mode both loops run, and the task is trio's."""
    try:
        return anyio.get_cancelled_exc_class() is asyncio.CancelledError
    except RuntimeError:  # no task, so this is a callback of the loop, and only asyncio's loop calls us in one
        return True


def import_trio() -> Any:
    """trio is not a dependency: it is installed wherever it runs this code."""
    return import_module("trio")


# What ends a wait


class IdleTimer:
    """Notices that a wait has lasted too long, without a timer for each wait.

    One timer lives as long as the reply. When it fires, it looks at the age of the current wait and sets itself again
    for the rest, so a wait that ends in time costs two stores (0.1 µs; a cancel scope for each read takes 15 µs).

    Args:
        seconds: How long one wait may last; infinite for no limit.
        expire: Called at most once, inside the event loop. Not a coroutine function.

    Set `waiting_since` to `now()` when a wait begins and to None when it ends.
    """

    __slots__ = ("_cancel", "_expire", "_seconds", "now", "waiting_since")

    def __init__(self, seconds: float, expire: Callable[[], None]) -> None:
        self.now: Callable[[], float] = current_clock()
        self.waiting_since: float | None = None
        self._seconds = seconds
        self._expire = expire
        self._cancel: Callable[[], object] | None = None

    def start(self) -> None:
        """Start the timer. Call it inside the event loop, and `stop` afterwards."""
        if math.isfinite(self._seconds):
            self._cancel = call_later(self._seconds, self._look)

    def stop(self) -> None:
        """Stop the timer: `expire` is not called after this."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _look(self) -> None:
        since = self.waiting_since
        left = self._seconds if since is None else since + self._seconds - self.now()
        if left > 0:
            self._cancel = call_later(left, self._look)
        else:
            self._cancel = None
            self._expire()


class IdleGuard:
    """Awaits one thing after the other for one task; another task can end the wait, and so does too much silence.

    For sources without a socket to close: it costs a cancel scope for each wait.

    Args:
        idle_seconds: How long one wait may last; None for no limit.
    """

    def __init__(self, *, idle_seconds: float | None = None) -> None:
        self._idle_seconds = idle_seconds
        self._waiting: anyio.CancelScope | None = None
        self.is_ended: bool = False

    async def wait(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Await what `begin` returns.

        Raises:
            IdleTimeout: The wait lasted longer than `idle_seconds`.
            Disconnected: `end` was called.
        """
        if self.is_ended:
            raise Disconnected(ABORTED)
        with anyio.move_on_after(self._idle_seconds) as self._waiting:
            return await begin()
        if self.is_ended:
            raise Disconnected(ABORTED)
        raise IdleTimeout(f"nothing arrived for {self._idle_seconds:g} seconds")

    def end(self) -> None:
        """End the pending wait, and refuse every later one."""
        self.is_ended = True
        if self._waiting is not None:
            self._waiting.cancel()


class DeadlineTimer:
    """Calls `wake` at a deadline, however often the deadline moves.

    It keeps one timer. A deadline that moves away leaves the timer as it is: when it fires too early, it is set again
    for the rest. So a deadline that moves with every read costs a comparison, and not a new timer (16 µs).

    Args:
        clock: The clock of the event loop.
        wake: Called inside the event loop. It must not raise.
    """

    def __init__(self, *, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._wake_at = math.inf
        self._fires_at = math.inf
        self._cancel: Callable[[], object] | None = None

    def schedule(self, wake_at: float) -> None:
        """Wake at this time instead of the one set before; infinite for never."""
        self._wake_at = wake_at
        if wake_at < self._fires_at:
            self._set(wake_at)

    def stop(self) -> None:
        """Stop the timer: `wake` is not called after this."""
        if self._cancel is not None:
            self._cancel()
        self._cancel, self._wake_at, self._fires_at = None, math.inf, math.inf

    def _set(self, at: float) -> None:
        if self._cancel is not None:
            self._cancel()
        self._fires_at = at
        self._cancel = call_later(max(0.0, at - self._clock()), self._fire)

    def _fire(self) -> None:
        self._cancel, self._fires_at = None, math.inf
        if self._wake_at <= self._clock():
            self._wake_at = math.inf
            self._wake()
        elif math.isfinite(self._wake_at):
            self._set(self._wake_at)
