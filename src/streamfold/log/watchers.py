"""Who waits for a change of which stream, in this event loop.

In      the keys of streams that changed
Out     a Watch for each who waits
Units   seconds
Errors  none
Source  docs/reference/log.md

One for each process and log: however many readers a stream has, the store is asked once what changed.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import anyio

from streamfold.log.log import Watch
from streamfold.log.record import StreamKey

__all__ = ["Watchers"]


class _Watch(Watch):
    def __init__(self, *, growth: bool) -> None:
        self.growth = growth
        self._changed = anyio.Event()

    def tell(self) -> None:
        self._changed.set()

    async def wait(self, *, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        self._changed = anyio.Event()


class Watchers:
    """All who wait."""

    def __init__(self) -> None:
        self._waiting: dict[StreamKey, set[_Watch]] = {}

    @property
    def are_there(self) -> bool:
        """Whether anybody waits for anything."""
        return bool(self._waiting)

    def tell(self, keys: Iterable[StreamKey] | None = None, *, growth: bool = False) -> None:
        """These streams changed; without their keys, any may have. growth: by new records and notes alone."""
        for key in list(self._waiting) if keys is None else keys:
            for watch in self._waiting.get(key, ()):
                if watch.growth or not growth:
                    watch.tell()

    @asynccontextmanager
    async def watch(self, key: StreamKey, *, growth: bool = True) -> AsyncGenerator[Watch, None]:
        """Be told of this stream's changes. growth: of new records and notes too."""
        watch = _Watch(growth=growth)
        self._waiting.setdefault(key, set()).add(watch)
        try:
            yield watch
        finally:
            left = self._waiting[key]
            left.discard(watch)
            if not left:
                del self._waiting[key]
