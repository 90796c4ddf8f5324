"""A thread that does one thing after the other, for tasks of an event loop that wait for it.

In      jobs, each a function; what to do before and after each group of them
Out     what they returned or raised, given to the loop that asked
Units   jobs
Errors  what a job raises, to whoever asked for it
Source  decision 0013

Jobs that came while it was busy are one group: a store that makes a group durable in one step costs each job a part of
that. A job that raises an error of ours refuses itself alone; any other error is that of the whole group.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from streamfold.errors import LogUnusable, StreamfoldError

__all__ = ["CLOSED", "Worker", "current_call_soon"]

CLOSED = "it was closed before"

CallSoon = Callable[[Callable[[], object]], object]
Result = TypeVar("Result")


def current_call_soon() -> CallSoon:
    """What has a function called in the event loop that runs now, from any thread."""
    token: Any = current_token()
    loop: Any = getattr(token, "native_token", token)  # anyio wraps it since 4.11
    call_soon: CallSoon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon  # asyncio's, or trio's
    return call_soon


class _Job:
    """One function, and what came of it. is_done is set in the loop that asked. is_begun: by the thread, before it looks
    at anything.
    """

    def __init__(self, run: Callable[[], Any], alike: Hashable) -> None:
        self.run = run
        self.alike = alike
        self.is_begun = False
        self.call_soon = current_call_soon()
        self.is_done = anyio.Event()
        self.result: Any = None
        self.error: BaseException | None = None


class Worker:
    """The thread. around: entered for each group, so that its end is the group's.
    most: jobs in a group.
    """

    def __init__(self, name: str, *, around: Callable[[], AbstractContextManager[None]], most: int = 256) -> None:
        self._name = name
        self._around = around
        self._most = most
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._alike: dict[Hashable, _Job] = {}
        self._is_closed = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def do(self, run: Callable[[], Result], *, alike: Hashable = None) -> Result:
        """Have it done. Who is cancelled while it waits does not stop it.

        alike: what all that give the same result have in common; one is done for those that are asked for before it begins.
        Raises: what `run` raises; LogUnusable after `close`.
        """
        if self._is_closed:
            raise LogUnusable(self._name, CLOSED)
        job = self._alike.get(alike)
        if job is None or job.is_begun:
            job = _Job(run, alike)
            if alike is not None:
                self._alike[alike] = job
            self._jobs.put(job)
        await job.is_done.wait()
        if job.error is not None:
            raise job.error
        return cast(Result, job.result)

    def close(self) -> None:
        """Do what was asked for, and end."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        is_over = False
        while not is_over:
            group: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                job.is_begun = True
                group.append(job)
                if self._jobs.empty() or len(group) >= self._most:
                    break
                job = self._jobs.get()
            is_over = job is None
            if group:
                self._do(group)
                self._tell(group)

    def _do(self, group: list[_Job]) -> None:
        try:
            with self._around():
                for job in group:
                    try:
                        job.result = job.run()
                    except StreamfoldError as refused:
                        job.error = refused
        except BaseException as error:  # whatever it is, somebody waits to be told
            for job in group:
                job.error = job.error or error

    def _tell(self, group: list[_Job]) -> None:
        of_loop: dict[CallSoon, list[_Job]] = {}
        for job in group:
            of_loop.setdefault(job.call_soon, []).append(job)
        for call_soon, jobs in of_loop.items():
            with suppress(RuntimeError):  # that loop is closed: nobody waits any longer
                call_soon(partial(self._set_done, jobs))

    def _set_done(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if self._alike.get(job.alike) is job:
                del self._alike[job.alike]
            job.is_done.set()
