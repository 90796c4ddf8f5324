"""The one clock of an emulator: what time it is, and waiting until later or until something changes.

In      seconds to wait, and an event that ends the wait early
Out     Unix seconds
Units   seconds
Errors  none

Everything that takes time asks it, so that a test with a clock of its own never sleeps.
"""

import time
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What an emulator asks for the time."""

    def now(self) -> float:
        """Unix seconds; never less than before."""
        ...

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        """Return after so many seconds, or as soon as `changed` is set."""
        ...


class SystemClock:
    """The machine's clock, read once as a date and then as a monotonic time, so that it never goes back."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Unix seconds; never less than before."""
        return self._offset + time.monotonic()

    async def wait(self, seconds: float, changed: anyio.Event | None = None) -> None:
        """Return after so many seconds, or as soon as `changed` is set."""
        with anyio.move_on_after(seconds):
            if changed is None:
                await anyio.sleep(seconds)
            else:
                await changed.wait()
