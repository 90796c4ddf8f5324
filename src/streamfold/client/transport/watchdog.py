"""Notices that a wait has lasted too long, without a timer for each wait.

In      when each wait began, and that it is over
Out     one call of `expire`, inside the event loop, once a wait has lasted `seconds`
Units   seconds, by the event loop's clock
Errors  none
Source  docs/explanation/transports.md: a cancel scope for each read takes 15 µs, storing the time 0.1

One timer lives as long as the reply. When it goes off it looks how old the wait is, and sets itself again for the
rest; a wait that is over costs two stores.
"""

from collections.abc import Callable
from math import isfinite

from streamfold.client.transport.background import call_later, clock

__all__ = ["Watchdog"]


class Watchdog:
    """seconds: how long a wait may last; infinite for ever. expire: called at most once; not a coroutine.

    waiting_since: to be set to `now()` when a wait begins, and to None when it ends.
    """

    __slots__ = ("_cancel", "_expire", "_seconds", "now", "waiting_since")

    def __init__(self, seconds: float, expire: Callable[[], None]) -> None:
        self.now: Callable[[], float] = clock()
        self.waiting_since: float | None = None
        self._seconds = seconds
        self._expire = expire
        self._cancel: Callable[[], object] | None = None

    def start(self) -> None:
        """To be called inside the event loop, and followed by `stop`."""
        if isfinite(self._seconds):
            self._cancel = call_later(self._seconds, self._look)

    def stop(self) -> None:
        """No call comes after this."""
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
