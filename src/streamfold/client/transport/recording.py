"""Records what passes to an SDK: each event is in the log before the SDK gets it."""

import os
import socket
from collections.abc import Sequence
from time import time
from uuid import uuid4

import anyio

from streamfold.client.follow.recorder import LEASE_SECONDS
from streamfold.client.follow.writer import LogWriter
from streamfold.errors import LeaseHeld
from streamfold.fold import State
from streamfold.history import first_number
from streamfold.log import EventLog, StreamKey
from streamfold.session import Applied, Outcome

# There is no task here, so the lease is renewed by the events themselves, and runs out in a long silence. Another process
# may take it then, and this one learns of it at its next append (`WriterFenced`).
#
# A stream that the log has already is not recorded twice. If its writer is another process, or it is finished, its events
# only pass. If it was left unfinished, the events that it lacks are added; if it lacks some that do not pass here, none are,
# because a log has no holes.


RECORD_ON_EXIT_SECONDS = 10.0


class PassageRecorder:
    """Records one stream, for as long as it passes.

    Args:
        log: Where to record it.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._writer = LogWriter(
            log,
            owner=f"{socket.gethostname()} {os.getpid()} {uuid4().hex[:8]}",
            lease_seconds=LEASE_SECONDS,
            retain_seconds=None,
            clock=time,
        )
        self._is_recorded = True
        self._last = State()

    async def add(self, applied: Sequence[Applied], response_id: str | None) -> None:
        """Record these events, once the response's id is known.

        Raises:
            LogError: They cannot be recorded.
        """
        if not (self._is_recorded and applied):
            return
        self._writer.unwritten.extend(applied)
        self._last = applied[-1].state
        if not self._writer.has_lease and response_id is not None:
            self._is_recorded = await self._begin(StreamKey("", response_id))
            if not self._is_recorded:
                return
        if self._writer.has_lease:
            await self._writer.keep_lease()

    async def _begin(self, key: StreamKey) -> bool:
        """Become the writer. Returns False if there is nothing to write, or not from here."""
        unwritten = self._writer.unwritten
        try:
            is_open = await self._writer.acquire(key, first_number=first_number(unwritten[0].state.cursor))
        except LeaseHeld:
            return False
        if is_open:
            info = await self._log.require(key)
            while unwritten and info.next_number > info.first_number and _number(unwritten[0]) < info.next_number:
                unwritten.popleft()
            is_open = not unwritten or _number(unwritten[0]) <= info.next_number
            if not is_open:
                await self._log.release(self._writer.lease)
        return is_open

    async def finish(self, outcome: Outcome | None) -> None:
        """The body was closed: write the outcome, and give the lease back. Not cut short by a cancellation."""
        if self._is_recorded and self._writer.has_lease and outcome is not None:
            self._is_recorded = False
            with anyio.move_on_after(RECORD_ON_EXIT_SECONDS, shield=True):
                await self._writer.finish(outcome, self._last)


def _number(applied: Applied) -> int:
    return applied.state.cursor or 0
