"""A stream of the log to and from a file of server-sent events: each event is a record, with its data byte for byte.

An import appends records in groups, each of them as a whole or not at all. If it is interrupted, run it again: records
that are stored already must be the same, and are skipped.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence

from anyio import CancelScope
from attrs import frozen

from streamfold.errors import FrameTooLarge, InvalidArgument, MalformedBody, SequenceGap, UsageError
from streamfold.fold import SequencePolicy, State, checkpoint, reduce, reduce_recorded, was_dropped
from streamfold.history.fork import LEASE_SECONDS
from streamfold.history.replay import (
    CheckpointPolicy,
    filler,
    first_number,
    fold_records,
    fold_up_to,
    is_filler,
    left_out,
)
from streamfold.log import EventLog, Lease, Record, SavedCheckpoint, StreamKey, StreamPages, limits, pages
from streamfold.reader import EventReader
from streamfold.schema import Event, ResponseEvent, UnknownEvent, read_head
from streamfold.sse import MAX_FRAME_BYTES, Frame, encode_frame

GROUP_RECORDS = 500
GROUP_BYTES = 1024 * 1024
MAX_BYTES_WITHOUT_ID = 64 * 1024 * 1024  # of events that wait for the first Response with an id
MAX_NUMBERS = 1000  # of dropped events that are listed


@frozen
class Imported:
    """What an import stored, and what it dropped.

    Attributes:
        response_id: The id under which the stream is stored.
        dropped: How many events were left out although they were no mere repetition: as far as the fold can tell, they
            said something else than the event with the same number, or belonged to another response.
        dropped_numbers: The numbers of the first 1,000 of them.
    """

    response_id: str
    dropped: int = 0
    dropped_numbers: tuple[int, ...] = ()


async def import_stream(
    log: EventLog,
    tenant: str,
    chunks: bytes | Iterable[bytes] | AsyncIterable[bytes],
    response_id: str | None = None,
    *,
    policy: SequencePolicy = SequencePolicy.STRICT,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    owner: str = "import",
) -> Imported:
    """Import a recorded stream into the log. Importing it again changes nothing.

    The log then has what it would have if the response had been recorded: events that repeat a number are left out, and
    those of them that differ are reported.
    The stream is finished if its last Response is terminal, and left open otherwise.

    Args:
        log: The log.
        tenant: The tenant that the stream belongs to.
        chunks: The bytes of the stream, at once or cut anywhere.
        response_id: The id under which to store it. None takes the id of the first Response in the stream; events
            before it are held in memory.
        policy: How far to trust the events' own numbers. An event without a number gets the next one.
        max_frame_bytes: The greatest size of one event.
        owner: The name of the writer, for the lease.

    Returns:
        The id under which the stream is stored, and the events that were dropped although they differ.

    Raises:
        MalformedBody: There is no event, or the stream ends inside one.
        InvalidArgument: No Response in the stream has an id; pass `response_id`.
        SequenceGap: Numbers are missing, and the policy does not allow it.
        FrameTooLarge: An event is larger than `max_frame_bytes`.
        LogConflict: The log holds a different event with the same number.
        LogClosed: The log holds a finished stream, which this one would extend.
        LogGap: The log holds a stream that ends before this one starts.
        LeaseHeld: Another process writes the stream.
    """
    reader = EventReader(max_frame_bytes=max_frame_bytes, tolerant=True)
    importer = _Importer(log, tenant, response_id, policy=policy, owner=owner)
    if isinstance(chunks, bytes):
        chunks = [chunks]
    try:
        try:
            if isinstance(chunks, AsyncIterable):
                async for chunk in chunks:
                    await importer.take(reader.feed(chunk), reader.payloads, chunk)
            else:
                for chunk in chunks:
                    await importer.take(reader.feed(chunk), reader.payloads, chunk)
            await importer.take_last(reader.close(), reader.payloads)
        except (SequenceGap, FrameTooLarge, MalformedBody):
            await importer.write()
            raise
        return await importer.finish()
    finally:
        await importer.release()


class _Importer:
    """Stores what a client would have recorded: the events that change the state, each with the next number.

    `_state` is the state after the events that were taken; those in `_waiting` are not appended yet.
    """

    def __init__(
        self, log: EventLog, tenant: str, response_id: str | None, *, policy: SequencePolicy, owner: str
    ) -> None:
        self._log = log
        self._tenant = tenant
        self._response_id = response_id
        self._owner = owner
        self._checkpoints = CheckpointPolicy()
        self._state = State.under(policy)
        self._next: int | None = None  # the number of the next record; None before the first event
        self._bytes = 0  # that came
        self._dropped: list[int] = []  # the first of them
        self._dropped_count = 0
        self._unreadable = 0  # events that could not be read since the last one with a number
        self._lease: Lease | None = None
        self._waiting: list[Record] = []
        self._waiting_bytes = 0

    async def take(self, events: Sequence[Event], payloads: Sequence[bytes], chunk: bytes = b"") -> None:
        """Take the events of a chunk with their data. A frame without data is not an event."""
        self._bytes += len(chunk)
        for event, data in zip(events, payloads, strict=True):
            if data:
                await self._take(event, data)

    async def take_last(self, events: Sequence[Event], payloads: Sequence[bytes]) -> None:
        """Take what a last block held that no blank line ended. Raises MalformedBody if it is cut short."""
        if any(isinstance(event, UnknownEvent) and event.error and not event.wire_type for event in events):
            place = "before the first event" if self._next is None else f"after event {self._next - 1}"
            raise MalformedBody("whole stream", f"it ends inside an event, {place}")
        await self.take(events, payloads)

    async def _take(self, event: Event, data: bytes) -> None:
        if self._response_id is None and isinstance(event, ResponseEvent):
            head = read_head(event.response)
            self._response_id = (head and head.id) or None
        if self._is_full:
            await self.write()
        before, self._state = self._state, self._reduced(event)
        if was_dropped(before, self._state):
            if self._state is not before:  # else it is a duplicate
                self._note_dropped(event.sequence_number)
            return
        own = self._state.cursor
        if self._next is None:
            self._next = first_number(own)
        for number in left_out(self._next, own):
            self._add(filler(number))
        self._add(Record(self._next, limits.record_name(event.wire_type), data))

    def _reduced(self, event: Event) -> State:
        """The state after an event. One that could not be read may have had a number that is missing now."""
        is_unreadable = isinstance(event, UnknownEvent) and event.error and event.sequence_number is None
        self._unreadable += bool(is_unreadable)
        try:
            after = reduce(self._state, event)
        except SequenceGap as gap:
            if gap.got - gap.expected > self._unreadable:
                raise
            after = reduce_recorded(self._state, event, gap.got)
        if event.sequence_number is not None:
            self._unreadable = 0
        return after

    def _note_dropped(self, number: int | None) -> None:
        self._dropped_count += 1
        if len(self._dropped) < MAX_NUMBERS:
            self._dropped.append(self._state.cursor or 0 if number is None else number)

    def _add(self, record: Record) -> None:
        self._waiting.append(record)
        self._waiting_bytes += len(record.data)
        self._next = record.sequence_number + 1

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= GROUP_RECORDS or self._waiting_bytes >= GROUP_BYTES

    async def write(self) -> None:
        """Append what is waiting, once the id is known."""
        if self._response_id is None:
            if self._waiting_bytes > MAX_BYTES_WITHOUT_ID:
                raise InvalidArgument("response_id", "no Response at the start of the stream has an id; pass one")
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        if self._lease is None:
            self._lease = await self._begin(StreamKey(self._tenant, self._response_id), waiting)
        for start in range(0, len(waiting), GROUP_RECORDS):
            await self._log.append(self._lease, waiting[start : start + GROUP_RECORDS])
            self._lease = await self._log.renew(self._lease, seconds=LEASE_SECONDS)
        for record in waiting:
            self._checkpoints.count(record)
        await self._save(self._lease, waiting[-1].sequence_number)

    async def _save(self, lease: Lease, number: int) -> None:
        # Not a terminal state: the one who followed the response may save a better one, with the fetched final Response.
        if self._checkpoints.is_due and not self._state.is_terminal:
            saved = SavedCheckpoint(number, checkpoint(self._state))
            await self._log.save_checkpoint(lease, saved)
            self._checkpoints.saved(saved.data)

    async def _begin(self, key: StreamKey, waiting: Sequence[Record]) -> Lease:
        first = waiting[0].sequence_number
        lease = await self._log.acquire(key, owner=self._owner, seconds=LEASE_SECONDS, first_number=first)
        info = await self._log.require(key)
        if info.first_number < first <= info.next_number:  # it continues what is stored
            stored, _ = await fold_up_to(self._log, info, first - 1)
            self._state = fold_records(stored, waiting)
        return lease

    async def finish(self) -> Imported:
        """Write the rest. Raises MalformedBody without an event, InvalidArgument without an id."""
        if self._next is None:
            found = f"it has no event, only {self._bytes:,} bytes of something else" if self._bytes else "it is empty"
            raise MalformedBody("Responses stream", found)
        if self._response_id is None:
            raise InvalidArgument("response_id", "no Response in the stream has an id; pass one")
        await self.write()
        if self._lease is not None and self._state.is_terminal:
            await self._log.append(self._lease, [], status=self._state.status)
        return Imported(self._response_id, self._dropped_count, tuple(self._dropped))

    async def release(self) -> None:
        if self._lease is not None:
            with CancelScope(shield=True):
                await self._log.release(self._lease)


class Exported(AsyncIterator[bytes]):
    """Iterate it for the chunks. `export` makes one."""

    def __init__(self, log: EventLog, key: StreamKey, *, at: int | None) -> None:
        self._log = log
        self._key = key
        self._at = at
        self._pages: StreamPages | None = None

    async def __anext__(self) -> bytes:
        if self._pages is None:
            self._pages = pages(self._log, await self._log.require(self._key), to=self._at)
        page = await anext(self._pages)
        return b"".join(_frame(record) for record in page if not is_filler(record))


def export(log: EventLog, key: StreamKey, *, at: int | None = None) -> Exported:
    """The chunks of an `.sse` file of the stream: `async for chunk in export(log, key)`.

    The data of each event is the bytes that arrived. Numbers that the server never used are left out.

    Args:
        log: The log.
        key: The stream.
        at: The number of the last record to export; None exports the whole stream.

    Raises:
        UnknownStream: While iterating: the log has no such stream.
        NumberNotReached: While iterating: the stream has no record `at`.
        UsageError: While iterating: a record cannot be written as SSE, for example because of a carriage return.
        LogUnusable: While iterating: a record is missing or damaged.
    """
    return Exported(log, key, at=at)


def _frame(record: Record) -> bytes:
    try:
        return encode_frame(Frame(event=record.name.encode(), data=record.data))
    except UsageError as error:
        raise UsageError(f"record {record.sequence_number} cannot be exported: {error}") from error
