"""Watches: how a reader learns that a stream may have changed.

Subscriptions is the part that every engine needs, for the readers in one event loop: however many readers a stream has,
the engine learns of a change once and wakes them all.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager

import anyio

from streamfold.log.record import Record, StreamKey

__all__ = ["Subscriptions", "Watch"]


class Watch(ABC):
    """Waits for changes of one stream.

    Notifications may be repeated, late or spurious, and may be lost: always read the log again.
    """

    @abstractmethod
    async def wait(self, *, seconds: float) -> None:
        """Return once the stream may have changed since the last `wait` began, or after this many seconds."""

    def received(self, after: int | None) -> Sequence[Record] | None:
        """The records that arrived with the notification, from the one that follows `after`.

        Returns:
            The records, an empty list if `after` is the newest, or None if this is not known: read the log.
        """
        return None


class _Watch(Watch):
    def __init__(self, *, growth: bool) -> None:
        self.growth = growth
        self._changed = anyio.Event()

    def notify(self) -> None:
        self._changed.set()

    async def wait(self, *, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        # A change between here and the next `wait` sets the new event. One before is seen by the read that follows.
        self._changed = anyio.Event()


class Subscriptions:
    """The watches of all streams in one event loop. An engine calls `notify` after each commit."""

    def __init__(self) -> None:
        self._watches: dict[StreamKey, set[_Watch]] = {}

    def notify(self, keys: Iterable[StreamKey] | None = None, *, growth: bool = False) -> None:
        """Wake those who watch these streams.

        Args:
            keys: The streams that changed; None if any may have.
            growth: Whether the change is only new records or notes.
        """
        for key in list(self._watches) if keys is None else keys:
            for watch in self._watches.get(key, ()):
                if watch.growth or not growth:
                    watch.notify()

    @asynccontextmanager
    async def watch(self, key: StreamKey, *, growth: bool = True) -> AsyncGenerator[Watch, None]:
        """Watch one stream; see `EventLog.watch`."""
        watch = _Watch(growth=growth)
        self._watches.setdefault(key, set()).add(watch)
        try:
            yield watch
        finally:
            left = self._watches[key]
            left.discard(watch)
            if not left:
                del self._watches[key]
