"""Tasks that wait until something changed.

In      that something did
Out     every task that waits goes on
Units   none
Errors  none
Source  anyio.Event, which can be set once only
"""

import anyio

__all__ = ["Change"]


class Change:
    """Tell it as often as you like; who waits is woken by the next time. waiting: how many tasks do."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.waiting: int = 0

    async def wait(self) -> None:
        """Until the next change."""
        self.waiting += 1
        try:
            await self._event.wait()
        finally:
            self.waiting -= 1

    def tell(self) -> None:
        """Something changed."""
        if self.waiting:
            self._event.set()
            self._event = anyio.Event()
