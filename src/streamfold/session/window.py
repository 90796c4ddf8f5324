"""Events from beyond a hole, held until the hole fills.

In      numbered events that are ahead of the state
Out     the same ones, each once, when its turn comes
Units   events; bytes of their data
Errors  none: a full window takes nothing more, and says so
Source  docs/explanation/repair.md
"""

from streamfold.schema import Event

__all__ = ["Window"]


class Window:
    """At most `max_events` events and `max_bytes` of data; the newest are refused first, for a resume brings them again."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._held: dict[int, tuple[Event, bytes]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, number: int, event: Event, data: bytes) -> bool:
        """Hold the event; the first one of a number stays. Returns: whether there was room."""
        if number in self._held:
            return True
        if len(self._held) >= self._max_events or self._bytes + len(data) > self._max_bytes:
            return False
        self._held[number] = event, data
        self._bytes += len(data)
        return True

    def take(self, number: int) -> tuple[Event, bytes] | None:
        """The event of this number, which is held no longer; None if it is not here."""
        taken = self._held.pop(number, None)
        if taken is not None:
            self._bytes -= len(taken[1])
        return taken

    def drop_to(self, number: int) -> None:
        """Forget what is at or below this number: it was applied another way."""
        for old in [each for each in self._held if each <= number]:
            self.take(old)

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._bytes = 0

    def last(self) -> Event | None:
        """The held event with the highest number; None if none is held."""
        return self._held[max(self._held)][0] if self._held else None
