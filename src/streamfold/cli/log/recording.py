"""What a command reads, recorded as it goes: where `--log` or STREAMFOLD_LOG says so.

In      LogFlags; chunks that pass
Out     the log; the chunks, and their stream in the log
Errors  Failure for what the log does
Source  docs/reference/cli.md
"""

import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING

from streamfold.cli.failure import Failure
from streamfold.cli.log.place import VARIABLE, LogFlags, visit_log
from streamfold.fold import SequencePolicy

if TYPE_CHECKING:
    from streamfold.log import EventLog

__all__ = ["Copy", "again_into", "opened_for", "recorded_in"]

CHUNKS_AHEAD = 64  # that wait for the log
LOOK_SECONDS = 0.1


def recorded_in(flags: LogFlags, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """The address of the log in which a command records; None where it was not asked to."""
    return flags.log or environ.get(VARIABLE) or None


def again_into(flags: LogFlags) -> tuple[str, ...]:
    """The flags that name the same log once more."""
    named = (("--log", flags.log), ("--tenant", flags.tenant))
    return tuple(word for flag, value in named if value for word in (flag, value))


@asynccontextmanager
async def opened_for(flags: LogFlags) -> AsyncGenerator["EventLog | None"]:
    """The log in which a command records; None where it was not asked to."""
    address = recorded_in(flags)
    if address is None:
        yield None
        return
    from streamfold.log import open_log

    async with open_log(address) as log:
        yield log


class Copy:
    """Puts a stream of bytes into the log, in a thread of its own, while its chunks pass through."""

    def __init__(self, flags: LogFlags, *, policy: SequencePolicy, max_frame_bytes: int) -> None:
        self._flags = flags
        self._policy = policy
        self._max_frame_bytes = max_frame_bytes
        self._chunks: Queue[bytes | None] = Queue(CHUNKS_AHEAD)
        self._result: str | BaseException = Failure("it ended without a word")
        self._thread = Thread(target=self._copy, name="streamfold copy", daemon=True)
        self._thread.start()

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks."""
        for chunk in chunks:
            self._put(chunk)
            yield chunk

    def finish(self) -> str:
        """All passed. Returns: the id under which it is stored.

        Raises: Failure.
        """
        self._put(None)
        self._thread.join()
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def _put(self, chunk: bytes | None) -> None:
        while self._thread.is_alive():  # else it failed: that is told at the end, and the stream goes on without it
            try:
                self._chunks.put(chunk, timeout=LOOK_SECONDS)
                return
            except Full:
                continue

    def _copy(self) -> None:
        from streamfold.history import import_stream

        async def store(log: "EventLog") -> str:
            return await import_stream(
                log,
                self._flags.tenant,
                iter(self._chunks.get, None),
                policy=self._policy,
                max_frame_bytes=self._max_frame_bytes,
            )

        try:
            self._result = visit_log(self._flags, store, may_write=True)
        except BaseException as error:  # it is raised where the stream ends
            self._result = error
