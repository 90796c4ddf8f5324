"""What may fall due in a session, and when.

In      times of the session's clock
Out     what is next, and what is due
Units   seconds
Errors  none
Source  docs/reference/session.md
"""

from enum import Enum, auto

__all__ = ["Timer", "Timers"]


class Timer(Enum):
    """Each thing that waits for its time."""

    CONNECT = auto()
    POLL = auto()
    CANCEL = auto()
    GAP = auto()
    CANCEL_IS_OVER = auto()
    STALLED = auto()
    TOTAL = auto()


class Timers(dict[Timer, float]):
    """Timer to the time at which it falls due; what is not in it waits for nothing."""

    @property
    def first(self) -> Timer | None:
        """What falls due first."""
        return min(self, key=self.__getitem__) if self else None

    @property
    def first_at(self) -> float | None:
        """When that is."""
        return min(self.values()) if self else None

    def drop(self, *timers: Timer) -> None:
        """Wait for these no longer."""
        for timer in timers:
            self.pop(timer, None)

    def bring_forward(self, timer: Timer, until: float) -> None:
        """Let it fall due no later than this, if it waits at all."""
        if timer in self:
            self[timer] = min(until, self[timer])

    def take_due(self, now: float) -> Timer | None:
        """What fell due first, which waits no longer; None if nothing is due."""
        first = self.first
        if first is None or self[first] > now:
            return None
        del self[first]
        return first
