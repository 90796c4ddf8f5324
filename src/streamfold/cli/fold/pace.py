"""So many events a second, and no more.

In      a number of events a second; a clock and a sleep, which tests replace
Out     calls of `wait` that return when the next event is due
Units   seconds
"""

import time
from collections.abc import Callable

__all__ = ["Pace"]

MAX_LAG_SECONDS = 0.25
"""How late an event may be so that the next one comes early for it. Beyond, as after a slow producer, time is lost."""


class Pace:
    """Holds events back so that they come evenly. events_per_second: None for as they come."""

    def __init__(
        self,
        events_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds_per_event = 1 / events_per_second if events_per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._due: float | None = None

    def wait(self) -> None:
        """Return when the next event is due; the first is due at once."""
        if not self._seconds_per_event:
            return
        now = self._clock()
        due = now if self._due is None else max(self._due, now - MAX_LAG_SECONDS)
        if due > now:
            self._sleep(due - now)
        self._due = due + self._seconds_per_event
