"""A stream that another process records, read from the log as that process writes it."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from streamfold.client.transport.timing import IdleGuard, current_clock
from streamfold.client.transport.transport import Reply
from streamfold.errors import Disconnected, LeaseHeld, UnknownStream
from streamfold.history import is_filler
from streamfold.log import EventLog, Record, StreamKey, Watch
from streamfold.sse import Frame, encode_frame

# Theory of operation. To the session, the log is one more connection: its records come as the bytes of an event stream.
# So everything that holds for a gateway's stream (order, the end, a cancel) holds here too.
#
# The lease says who writes. While another process holds it, records are read as they are written. When it expires, or
# is released before the end, this process tries to take it. If it succeeds, it reads what was written until then, and
# then breaks this "connection": the session resumes at the gateway, after the last record, and from there on this
# process records. If another one was faster, reading continues. Between the last record read and the first one written
# there can be no other, because the lease was taken in between.

logger: logging.Logger = logging.getLogger("streamfold.client")

LOOK_SECONDS = 0.5  # how often to look at the log if no change was reported
STOPPED = "the process that recorded it has stopped"


# The stdlib's log: what a process waits for, and when it stops waiting.


def report_wait(label: str, held: LeaseHeld) -> None:
    """Say whose lease is waited for, and how long that can take if the other process has stopped."""
    words = "%s: %s records it; its lease ends in %.1f s unless it is renewed"
    logger.info(words, label, held.owner, held.seconds)


@asynccontextmanager
async def join(
    log: EventLog,
    key: StreamKey,
    *,
    after: int | None,
    held: LeaseHeld,
    take_over: Callable[[], Awaitable[bool]],
    finish: Callable[[], Awaitable[None]],
) -> AsyncGenerator[Reply, None]:
    """Open a stream of the log as a reply.

    Args:
        log: The log.
        key: The stream.
        after: The number of the last record that is known.
        held: Says how long the lease of the other process lasts at least.
        take_over: Takes the lease. Returns False if the stream was finished meanwhile; raises LeaseHeld if another process
            still has it.
        finish: Called when the stream is finished, after its last record.
    """
    async with log.watch(key) as watch:
        yield LogReply(log, key, watch=watch, after=after, held=held, take_over=take_over, finish=finish)


class LogReply:
    """The records of a stream, as a reply. Its chunks end with the stream, or with Disconnected when we take over."""

    def __init__(
        self,
        log: EventLog,
        key: StreamKey,
        *,
        watch: Watch,
        after: int | None,
        held: LeaseHeld,
        take_over: Callable[[], Awaitable[bool]],
        finish: Callable[[], Awaitable[None]],
    ) -> None:
        self.status = 200
        self.headers: dict[str, str] = {"content-type": "text/event-stream"}
        self._log = log
        self._key = key
        self._watch = watch
        self._after = after
        self._take_over = take_over
        self._finish = finish
        self._clock = current_clock()
        self._try_at = self._clock() + held.seconds
        self._is_ours = False
        self._guard = IdleGuard()

    def chunks(self) -> "LogReply":
        """The records, as the bytes of an event stream."""
        return self

    def __aiter__(self) -> "LogReply":
        return self

    async def __anext__(self) -> bytes:
        return await self._guard.wait(self._next)

    async def abort(self) -> None:
        """End a read that is pending in another task."""
        self._guard.end()

    async def _next(self) -> bytes:
        while True:
            records = await self._log.read(self._key, after=self._after)
            if records:
                self._after = records[-1].sequence_number
                if chunk := b"".join(map(_frame, records)):
                    return chunk
            elif self._is_ours:
                raise Disconnected(STOPPED)
            else:
                await self._wait()

    async def _wait(self) -> None:
        """Wait for more records, for the end of the stream, or for the lease."""
        info = await self._log.info(self._key)
        if info is None:
            raise UnknownStream(self._key.tenant, self._key.response_id)
        if info.is_finished:
            if not await self._log.read(self._key, after=self._after, limit=1):  # else it came with the last records
                await self._finish()
                raise StopAsyncIteration
            return
        left = self._try_at - self._clock()
        if left > 0 and info.owner:
            await self._watch.wait(seconds=min(LOOK_SECONDS, left))
            return
        try:
            self._is_ours = await self._take_over()
            if self._is_ours:
                logger.info("response %s: this process records it now", self._key.response_id)
        except LeaseHeld as held:  # it was renewed, or another process was faster
            self._try_at = self._clock() + max(held.seconds, 0.01)


def _frame(record: Record) -> bytes:
    return b"" if is_filler(record) else encode_frame(Frame(data=record.data))
