"""The clock of the event loop that runs, found once, so that asking it for the time costs next to nothing.

In      a running event loop, asyncio's or trio's
Out     a function that gives its time
Units   seconds, forward only
Source  anyio.current_time, which looks for the loop at each call; trio's mock clock counts here too
"""

import asyncio
from collections.abc import Callable
from time import monotonic

import anyio

__all__ = ["current_clock"]


def current_clock() -> Callable[[], float]:
    """The time of the loop that runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # not asyncio
        return anyio.current_time
    return monotonic  # what asyncio's own clock is, without a call in between
