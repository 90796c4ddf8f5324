"""A wait that another task may end, and that ends by itself after too much silence.

In      something to await, again and again, by one task
Out     what it gives; IdleTimeout after the silence, Disconnected once it was ended
Units   seconds
Errors  as said, and whatever the awaited raises
Source  anyio's cancel scopes

For sources that have no socket to close. It costs a cancel scope each time, some 10 µs, which a transport with a
socket does not pay.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from streamfold.errors import Disconnected, IdleTimeout

__all__ = ["ABORTED", "Guard"]

T = TypeVar("T")
ABORTED = "the reply was let go of"


class Guard:
    """idle_seconds: how long one wait may last; None for ever."""

    def __init__(self, *, idle_seconds: float | None = None) -> None:
        self._idle_seconds = idle_seconds
        self._waiting: anyio.CancelScope | None = None
        self.is_ended: bool = False

    async def wait(self, begin: Callable[[], Awaitable[T]]) -> T:
        """What `begin` leads to.

        Raises: IdleTimeout, Disconnected once `end` was called, and whatever the awaited raises.
        """
        if self.is_ended:
            raise Disconnected(ABORTED)
        with anyio.move_on_after(self._idle_seconds) as self._waiting:
            return await begin()
        if self.is_ended:
            raise Disconnected(ABORTED)
        raise IdleTimeout(f"nothing came for {self._idle_seconds:g} seconds")

    def end(self) -> None:
        """End the wait that is pending, and refuse every later one."""
        self.is_ended = True
        if self._waiting is not None:
            self._waiting.cancel()
