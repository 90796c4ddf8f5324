"""Timers and tasks that belong to no scope: the little that anyio leaves to each event loop.

In      a callback or a coroutine function, inside asyncio or trio
Out     it is run, later or beside the caller
Units   seconds, by the event loop's clock
Errors  none
Source  asyncio; trio.lowlevel

A task group would be the right home for both, but a transport's context may be held by a generator, where a task
group must not be: it is left in another order than it was entered, by another task even.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from importlib import import_module
from typing import Any

import anyio

__all__ = ["call_later", "clock", "spawn"]

RUNNING: set[asyncio.Task[None]] = set()


def clock() -> Callable[[], float]:
    """The running event loop's clock, without anyio's look for the loop at every reading."""
    if is_asyncio():
        return asyncio.get_running_loop().time
    now: Callable[[], float] = import_trio().current_time
    return now


def call_later(seconds: float, callback: Callable[[], None]) -> Callable[[], object]:
    """Call back inside the running event loop. Returns: what cancels it."""
    if is_asyncio():
        return asyncio.get_running_loop().call_later(seconds, callback).cancel
    trio = import_trio()
    scope = anyio.CancelScope()

    async def wait() -> None:
        with scope:
            await trio.sleep(seconds)
            callback()

    trio.lowlevel.spawn_system_task(wait)  # trio has no timers, only tasks that sleep
    return scope.cancel


def spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a task beside the caller. It must raise nothing, and whoever spawns it must see to its end."""
    if is_asyncio():
        task = asyncio.create_task(run())
        RUNNING.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(RUNNING.discard)
    else:
        import_trio().lowlevel.spawn_system_task(run, context=copy_context())


def is_asyncio() -> bool:
    """Whether asyncio runs this task; else it is trio. Inside trio's guest mode both are there, and this is trio."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def import_trio() -> Any:
    """trio is no dependency of ours: it is there when it runs us."""
    return import_module("trio")
