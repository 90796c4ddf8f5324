"""One stream that this process follows: its newest events, for every reader in the process, and how it ends."""

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Sequence
from math import inf
from typing import NamedTuple, Self

import anyio

from streamfold.client import FollowedResponse
from streamfold.errors import UsageError
from streamfold.history import is_filler
from streamfold.log import Record, StreamKey
from streamfold.relay.attach import Claimant
from streamfold.schema import promotion
from streamfold.serving import ReadyEvents
from streamfold.sse import Frame, encode_frame

WRITE_BYTES = 64 * 1024  # at most, in one write of a replay


class Sent(NamedTuple):
    """One event, and its bytes on the wire: encoded once for all readers. A number without an event has no bytes."""

    record: Record
    encoded: bytes


def sent(record: Record, promoted: promotion.Promoted | None = None) -> Sent:
    """The event as it goes to readers: its name and its data as they came, and its number as the id.

    The Response of a promoted create is shown as it was asked for.
    """
    if is_filler(record):
        return Sent(record, b"")
    if promoted is not None and (shown := promotion.demote_event(record.data, promoted)) is not record.data:
        record = Record(record.sequence_number, record.name, shown)
    data = record.data
    if b"\n" in data or b"\r" in data or not record.name:
        frame = Frame(event=record.name.encode(), data=data.replace(b"\r", b"\n"), id=b"%d" % record.sequence_number)
        return Sent(record, encode_frame(frame))
    return Sent(record, b"event: %b\nid: %d\ndata: %b\n\n" % (record.name.encode(), record.sequence_number, data))


class StreamEnd(NamedTuple):
    """How a stream ends for its readers.

    Attributes:
        made: The events that are sent after the last record, if the stream lacks its end.
        newest: The last event of all, for a reader that is ahead of the log.
        reason: Why the body is broken off; empty for a clean end.
    """

    made: Sequence[Sent] = ()
    newest: Sent | None = None
    reason: str = ""

    def shown(self, promoted: promotion.Promoted | None) -> "StreamEnd":
        """The same for the readers of a promoted create."""
        if promoted is None:
            return self
        newest = None if self.newest is None else sent(self.newest.record, promoted)
        return StreamEnd([sent(each.record, promoted) for each in self.made], newest, self.reason)

    def after(self, place: int, next_number: int) -> Sequence[Sent]:
        """What a reader still lacks at this place. next_number: The number after the last record."""
        if self.made:
            return [each for each in self.made if each.record.sequence_number >= place]
        # A reader may be ahead: a process served it that died before it wrote to the log. It lacks the end.
        return [self.newest] if place > next_number and self.newest is not None else ()


class EventRun:
    """A run of consecutive events in memory, up to a number of bytes. An older one must be read from the log.

    Args:
        next_number: The number of the event that comes first.
        max_bytes: How many bytes to keep. The newest event is always kept.
        promoted: What was changed in the create.

    Attributes:
        first: The number of the oldest event that is kept.
        next: The number of the event that comes next.
    """

    def __init__(self, next_number: int, *, max_bytes: float = inf, promoted: promotion.Promoted | None = None) -> None:
        self.first: int = next_number
        self.next: int = next_number
        self._max_bytes = max_bytes
        self._promoted = promoted
        # Three lists of the same length, so that an answer to a reader is two slices and no loop.
        self._events: list[Sent] = []
        self._encoded: list[bytes] = []
        self._ends: list[int] = []  # of each, in all bytes since the first
        self._dropped_bytes = 0
        self._total_bytes = 0
        # The newest answer: live, all readers ask for the same place, one after the other.
        self._asked = -1
        self._ready = ReadyEvents((), 0)

    @property
    def newest(self) -> Sent | None:
        """The newest event; None before the first."""
        return self._events[-1] if self._events else None

    def add(self, records: Sequence[Record]) -> None:
        """Take in the events that come next."""
        for record in records:
            event = sent(record, self._promoted)
            self._events.append(event)
            self._encoded.append(event.encoded)
            self._total_bytes += len(event.encoded)
            self._ends.append(self._total_bytes)
        self.next += len(records)
        if self._total_bytes - self._dropped_bytes > self._max_bytes:
            self._drop()

    def _drop(self) -> None:
        # A quarter more than necessary, so that a list of thousands is not moved for each event.
        dropped = bisect_left(self._ends, self._total_bytes - self._max_bytes * 3 / 4) + 1
        dropped = min(dropped, len(self._events) - 1)
        if dropped:
            self._dropped_bytes = self._ends[dropped - 1]
            del self._events[:dropped], self._encoded[:dropped], self._ends[:dropped]
            self.first += dropped

    def after(self, number: int) -> Sequence[Sent]:
        """The events from a number on that fit into one write; at least one. The number must be in the run."""
        start = number - self.first
        return self._events[start : self._end_of_write(start)]

    def ready_after(self, number: int) -> ReadyEvents:
        """The same as bytes, joined once for all readers that ask for the same place."""
        if number != self._asked:
            start = number - self.first
            end = self._end_of_write(start)
            self._ready = ReadyEvents((b"".join(self._encoded[start:end]),), self.first + end)
            self._asked = number
        return self._ready

    def _end_of_write(self, start: int) -> int:
        begin = self._ends[start - 1] if start else self._dropped_bytes
        return max(bisect_right(self._ends, begin + WRITE_BYTES, start), start + 1)


class Held:
    """A response that the relay follows to its end, with or without readers.

    Attributes:
        tenant: Whose it is.
        is_foreground: Whether it is cancelled when nobody reads it.
        begun: Set once its id is known, or it is known that there will be none (`failure`).
        failure: Why it could not be created or followed.
        end: How it ends for its readers; None while it runs.
        readers: How many there are in this process.
        body_bytes: The length of the request that created it.
        claimant: The POST that created it; None if it was not created by one.
        promoted: What was changed in the create.
        is_recorded: Whether the log has it. Not if its id is another response's: then it can only be read from memory.
    """

    def __init__(
        self,
        response: FollowedResponse,
        *,
        tenant: str,
        is_foreground: bool,
        body_bytes: int = 0,
        claimant: Claimant | None = None,
        promoted: promotion.Promoted | None = None,
    ) -> None:
        self.tenant: str = tenant
        self.is_foreground: bool = is_foreground
        self.begun: anyio.Event = anyio.Event()
        self.failure: Exception | None = None
        self.end: StreamEnd | None = None
        self.readers: int = 0
        self.body_bytes: int = body_bytes
        self.claimant: Claimant | None = claimant
        self.promoted: promotion.Promoted | None = promoted
        self.is_recorded: bool = True
        self.response: FollowedResponse = response
        self._key: StreamKey | None = None
        self._window: EventRun | None = None
        self._unread_since: float | None = None  # when it was first found without a reader
        self._changed = anyio.Event()

    @property
    def key(self) -> StreamKey:
        """Names its stream in the log.

        Raises:
            UsageError: Its id is not known yet.
        """
        if self._key is None:
            raise UsageError("the id of the response is not known yet")
        return self._key

    @property
    def id(self) -> str:
        """The response's id."""
        return self.key.response_id

    @property
    def window(self) -> EventRun:
        """Its newest events."""
        if self._window is None:
            raise UsageError("the id of the response is not known yet")
        return self._window

    @property
    def name(self) -> str:
        """What the log records of the process call it."""
        return "a response" if self._key is None else f"response {self._key.response_id}"

    def is_unread(self, now: float, limit: float | None) -> bool:
        """Whether it should be cancelled because nobody reads it. Ask again and again: the time begins with the first call."""
        if self.readers or not self.is_foreground or not self.has_begun or self.end is not None:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        return limit is not None and self._unread_since is not None and now - self._unread_since >= limit

    @property
    def has_begun(self) -> bool:
        """Whether its id is known."""
        return self._key is not None

    def begin(self, key: StreamKey, *, next_number: int, max_bytes: int) -> None:
        """Its id is known. next_number: the number of the event that comes next."""
        self._key = key
        self._window = EventRun(next_number, max_bytes=max_bytes, promoted=self.promoted)
        self.begun.set()

    async def until_begun(self) -> Self:
        """The same, once its id is known.

        Raises:
            GatewayError: It was not created, or cannot be followed.
            LogError: It cannot be recorded; it may have been created, and may be billed.
        """
        await self.begun.wait()
        if self.failure is not None and not self.has_begun:
            raise self.failure
        return self

    def fail(self, error: Exception) -> None:
        """It could not be created or followed."""
        self.failure = error
        self.begun.set()

    def publish(self, records: Sequence[Record]) -> None:
        """Hand events to every reader."""
        self.window.add(records)
        self.wake()

    def finish(self, end: StreamEnd) -> None:
        """Nothing more will come."""
        self.end = end.shown(self.promoted)
        self.wake()

    def wake(self) -> None:
        """Wake every reader that waits."""
        self._changed.set()
        self._changed = anyio.Event()

    def wait(self) -> Awaitable[None]:
        """Wait until something changed."""
        return self._changed.wait()
