"""A stream of the log to and from a file of server-sent events: each event is a record, with its data byte for byte.

An import appends records in groups, each of them as a whole or not at all. If it is interrupted, run it again: records
that are stored already must be the same, and are skipped.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence

from anyio import CancelScope

from streamfold.errors import FrameTooLarge, InvalidArgument, MalformedBody, SequenceGap, UsageError
from streamfold.fold import SequencePolicy, State, checkpoint
from streamfold.history.fork import LEASE_SECONDS
from streamfold.history.replay import CheckpointPolicy, filler, fold_records, is_filler, state_up_to
from streamfold.log import EventLog, Lease, Record, SavedCheckpoint, StreamKey, StreamPages, pages
from streamfold.reader import EventReader
from streamfold.schema import Event, ResponseEvent, UnknownEvent, read_head
from streamfold.sse import MAX_FRAME_BYTES, Frame, encode_frame

MAX_HOLE = 1_000
"""How many numbers in a row a gateway may leave out. More are a mistake, and each would become a record."""

GROUP_RECORDS = 500
GROUP_BYTES = 1024 * 1024
LINE_ENDS = frozenset("\r\n")


async def import_stream(
    log: EventLog,
    tenant: str,
    chunks: Iterable[bytes] | AsyncIterable[bytes],
    response_id: str | None = None,
    *,
    policy: SequencePolicy = SequencePolicy.STRICT,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    owner: str = "import",
) -> str:
    """Import a recorded stream into the log. Importing it again changes nothing.

    The stream is finished if its last Response is terminal, and left open otherwise.

    Args:
        log: The log.
        tenant: The tenant that the stream belongs to.
        chunks: The bytes of the stream, cut anywhere.
        response_id: The id under which to store it. None takes the id of the first Response in the stream; events
            before it are held in memory.
        policy: How far to trust the events' own numbers. Events without numbers are counted from 0.
        max_frame_bytes: The greatest size of one event.
        owner: The name of the writer, for the lease.

    Returns:
        The id under which the stream is stored.

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
    try:
        try:
            if isinstance(chunks, AsyncIterable):
                async for chunk in chunks:
                    await importer.take(reader.feed(chunk), reader.payloads)
            else:
                for chunk in chunks:
                    await importer.take(reader.feed(chunk), reader.payloads)
            await importer.take_last(reader.close(), reader.payloads)
        except (SequenceGap, FrameTooLarge, MalformedBody):
            await importer.write()
            raise
        return await importer.finish()
    finally:
        await importer.release()


class Numbering:
    """Assigns record numbers to the events of a stream, in order."""

    def __init__(self, policy: SequencePolicy) -> None:
        self._policy = policy
        self.next_number: int | None = None  # None before the first event

    def number(self, event: Event) -> int:
        """The number of the event's record: below `next_number` for a duplicate, above it if the server left numbers out.

        Raises SequenceGap if the event is further ahead than the policy allows.
        """
        own, expected = event.sequence_number, self.next_number
        number = (expected or 0) if own is None or self._policy is SequencePolicy.ARRIVAL else own
        allowed = MAX_HOLE if self._policy is SequencePolicy.RENUMBER else 0
        if expected is not None and number - expected > allowed:
            raise SequenceGap(expected, number)
        self.next_number = number + 1 if expected is None else max(expected, number + 1)
        return number


class _Importer:
    def __init__(
        self, log: EventLog, tenant: str, response_id: str | None, *, policy: SequencePolicy, owner: str
    ) -> None:
        self._log = log
        self._tenant = tenant
        self._response_id = response_id
        self._owner = owner
        self._numbering = Numbering(policy)
        self._checkpoints = CheckpointPolicy()
        self._state = State()
        self._lease: Lease | None = None
        self._waiting: list[Record] = []  # to be appended next
        self._waiting_bytes = 0

    async def take(self, events: Sequence[Event], payloads: Sequence[bytes]) -> None:
        """Take events with their data. A frame without data is not an event."""
        for event, data in zip(events, payloads, strict=True):
            if data:
                await self._take(event, data)

    async def take_last(self, events: Sequence[Event], payloads: Sequence[bytes]) -> None:
        """Take what a last block held that no blank line ended. Raises MalformedBody if it is cut short."""
        if any(isinstance(event, UnknownEvent) and event.error and not event.wire_type for event in events):
            following = self._numbering.next_number
            place = "before the first event" if following is None else f"after event {following - 1}"
            raise MalformedBody("whole stream", f"it ends inside an event, {place}")
        await self.take(events, payloads)

    async def _take(self, event: Event, data: bytes) -> None:
        if self._response_id is None and isinstance(event, ResponseEvent):
            head = read_head(event.response)
            self._response_id = (head and head.id) or None
        expected = self._numbering.next_number
        number = self._numbering.number(event)
        for left_out in range(number if expected is None else expected, number):
            await self._add(filler(left_out))
        name = "" if LINE_ENDS & set(event.wire_type) else event.wire_type
        await self._add(Record(number, name, data))

    async def _add(self, record: Record) -> None:
        is_full = len(self._waiting) >= GROUP_RECORDS or self._waiting_bytes >= GROUP_BYTES
        if is_full and self._response_id is not None:
            await self.write()
        self._waiting.append(record)
        self._waiting_bytes += len(record.data)

    async def write(self) -> None:
        """Append what is waiting, once the id is known."""
        if self._response_id is None:
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for group in _groups(waiting):
            if self._lease is None:
                self._lease = await self._begin(StreamKey(self._tenant, self._response_id), group[0].sequence_number)
            await self._log.append(self._lease, group)
            self._lease = await self._log.renew(self._lease, seconds=LEASE_SECONDS)
            self._state = fold_records(self._state, group)
            for record in group:
                self._checkpoints.count(record)
            await self._save(self._lease)

    async def _save(self, lease: Lease) -> None:
        # Not a terminal state: the one who followed the response may save a better one, with the fetched final Response.
        if self._checkpoints.is_due and self._state.cursor is not None and not self._state.is_terminal:
            saved = SavedCheckpoint(self._state.cursor, checkpoint(self._state))
            await self._log.save_checkpoint(lease, saved)
            self._checkpoints.saved(saved.data)

    async def _begin(self, key: StreamKey, first: int) -> Lease:
        lease = await self._log.acquire(key, owner=self._owner, seconds=LEASE_SECONDS, first_number=first)
        info = await self._log.require(key)
        if info.first_number < first <= info.next_number:  # it continues what is stored
            self._state = await state_up_to(self._log, info, first - 1)
        return lease

    async def finish(self) -> str:
        """Write the rest and return the id. Raises MalformedBody without an event, InvalidArgument without an id."""
        if self._numbering.next_number is None:
            raise MalformedBody("Responses stream", "it holds no event")
        if self._response_id is None:
            raise InvalidArgument("response_id", "no Response in the stream has an id; pass one")
        await self.write()
        if self._lease is not None and self._state.is_terminal:
            await self._log.append(self._lease, [], status=self._state.status)
        return self._response_id

    async def release(self) -> None:
        if self._lease is not None:
            with CancelScope(shield=True):
                await self._log.release(self._lease)


def _groups(records: Sequence[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        if group and (len(group) >= GROUP_RECORDS or record.sequence_number != group[-1].sequence_number + 1):
            yield group
            group = []
        group.append(record)
    if group:
        yield group


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
