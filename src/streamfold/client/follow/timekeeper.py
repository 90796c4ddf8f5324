"""One task that tells when something falls due, however often the time of that changes.

In      the time at which to wake, or None
Out     a call when it has come
Units   seconds of the loop's clock
Source  a timer for each read costs 16 µs (docs/explanation/client.md)
"""

import math
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

__all__ = ["Timekeeper"]


class Timekeeper:
    """It begins when it is first given a time, in a task of the group. wake: what is called, in that task."""

    def __init__(self, tasks: TaskGroup, *, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._tasks = tasks
        self._clock = clock
        self._wake = wake
        self._wake_at: float | None = None
        self._rescheduled = anyio.Event()
        self._has_begun = False

    def schedule(self, wake_at: float | None) -> None:
        """Wake then, and no longer at the time that was set before."""
        if wake_at == self._wake_at:
            return
        self._wake_at = wake_at
        self._rescheduled.set()
        if not self._has_begun:
            self._has_begun = True
            self._tasks.start_soon(self._run)

    async def _run(self) -> None:
        while True:
            self._rescheduled = anyio.Event()
            with anyio.move_on_after(math.inf if self._wake_at is None else self._wake_at - self._clock()):
                await self._rescheduled.wait()
            if not self._rescheduled.is_set():
                self._wake_at = None
                self._wake()
