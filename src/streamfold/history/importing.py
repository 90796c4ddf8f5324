"""A stream of server-sent events put into a log: each event a record, its data byte for byte.

In      chunks of a Responses stream, cut anywhere
Out     the stream in the log, with checkpoints; finished where its last Response is terminal
Units   bytes; sequence numbers
Errors  MalformedBody, FrameTooLarge, SequenceGap for what the chunks hold; InvalidArgument without an id; LogError
Source  docs/reference/history.md

Records are appended in groups, each of them wholly or not at all. So what was broken off is gone on with by importing
again: what is there must say the same, and is passed over.
"""

from collections.abc import AsyncIterable, Iterable, Iterator, Sequence

from anyio import CancelScope
from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.errors import FrameTooLarge, InvalidArgument, MalformedBody, SequenceGap
from streamfold.fold import SequencePolicy, State, checkpoint
from streamfold.history.folding import filler, fold_records
from streamfold.history.fork import LEASE_SECONDS
from streamfold.history.numbering import Numbering
from streamfold.history.pace import CheckpointPolicy
from streamfold.history.pages import existing
from streamfold.history.replay import state_up_to
from streamfold.log import EventLog, Lease, Record, SavedCheckpoint, StreamKey
from streamfold.reader import EventReader
from streamfold.schema import UNDECODABLE, Event, ResponseEvent, UnknownEvent

__all__ = ["import_stream"]

GROUP_RECORDS = 500
GROUP_BYTES = 1024 * 1024
LINE_ENDS = frozenset("\r\n")
DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024


class _Known(Struct):
    id: Raw = Raw(b"null")


_decode_known = Decoder(_Known).decode
_decode_text = Decoder(str).decode


async def import_stream(
    log: EventLog,
    tenant: str,
    chunks: Iterable[bytes] | AsyncIterable[bytes],
    response_id: str | None = None,
    *,
    policy: SequencePolicy = SequencePolicy.STRICT,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    owner: str = "import",
) -> str:
    """Put a recorded stream into the log. To do it again changes nothing.

    response_id: the stream's name in the log; without it the id of the first Response in the stream, and until that came
    events are held in memory. policy: how far the events' own numbers are trusted; where there are none they are
    counted from 0. Left open where no terminal Response came.
    Returns: the id under which it is stored.
    Raises: MalformedBody where there is no event, or the last one is torn; InvalidArgument where no Response tells an
    id; SequenceGap for a hole that the policy does not believe in; FrameTooLarge; LogConflict where the log holds
    another event of the same number; LogGap, LogClosed, LeaseHeld, LogUnusable. What came before it is in the log.
    """
    reader = EventReader(max_frame_bytes=max_frame_bytes, tolerant=True)
    entry = _Entry(log, tenant, response_id, policy=policy, owner=owner)
    try:
        try:
            if isinstance(chunks, AsyncIterable):
                async for chunk in chunks:
                    await entry.take(reader.feed(chunk), reader.payloads)
            else:
                for chunk in chunks:
                    await entry.take(reader.feed(chunk), reader.payloads)
            await entry.take_last(reader.close(), reader.payloads)
        except (SequenceGap, FrameTooLarge, MalformedBody):
            await entry.write()
            raise
        return await entry.finish()
    finally:
        await entry.release()


class _Entry:
    """One stream on its way into the log."""

    def __init__(
        self, log: EventLog, tenant: str, response_id: str | None, *, policy: SequencePolicy, owner: str
    ) -> None:
        self._log = log
        self._tenant = tenant
        self._response_id = response_id
        self._owner = owner
        self._numbering = Numbering(policy)
        self._pace = CheckpointPolicy()
        self._state = State()
        self._lease: Lease | None = None
        self._waiting: list[Record] = []  # for the next group
        self._waiting_bytes = 0

    async def take(self, events: Sequence[Event], payloads: Sequence[bytes]) -> None:
        """Events with their data, in order. A frame without data says nothing, and is none."""
        for event, data in zip(events, payloads, strict=True):
            if data:
                await self._take(event, data)

    async def take_last(self, events: Sequence[Event], payloads: Sequence[bytes]) -> None:
        """What stood in a last block that no blank line ended.

        Raises: MalformedBody if it is torn.
        """
        if any(isinstance(event, UnknownEvent) and event.error and not event.wire_type for event in events):
            raise MalformedBody("whole stream", f"it ends inside a frame, {self._place}")
        await self.take(events, payloads)

    async def _take(self, event: Event, data: bytes) -> None:
        if self._response_id is None and isinstance(event, ResponseEvent):
            self._response_id = _identifier(event)
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
        """Append what waits, if it is known under which id."""
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
                self._pace.count(record)
            await self._save(self._lease)

    async def _save(self, lease: Lease) -> None:
        # A state that is over is left to whoever followed the response: it may know more than the events.
        if self._pace.is_due and self._state.cursor is not None and not self._state.is_terminal:
            saved = SavedCheckpoint(self._state.cursor, checkpoint(self._state))
            await self._log.save_checkpoint(lease, saved)
            self._pace.saved(saved.data)

    async def _begin(self, key: StreamKey, first: int) -> Lease:
        lease = await self._log.acquire(key, owner=self._owner, seconds=LEASE_SECONDS, first_number=first)
        info = await existing(self._log, key)
        if info.first_number < first <= info.next_number:  # it goes on with what is there
            self._state = await state_up_to(self._log, info, first - 1)
        return lease

    async def finish(self) -> str:
        """Write the rest. Returns: the id.

        Raises: MalformedBody without an event; InvalidArgument without an id.
        """
        if self._numbering.next_number is None:
            raise MalformedBody("Responses stream", "it holds no event")
        if self._response_id is None:
            raise InvalidArgument("response_id", "no Response in the stream tells it; give it")
        await self.write()
        if self._lease is not None and self._state.is_terminal:
            await self._log.append(self._lease, [], status=self._state.status)
        return self._response_id

    async def release(self) -> None:
        """Let the next writer have the stream."""
        if self._lease is not None:
            with CancelScope(shield=True):
                await self._log.release(self._lease)

    @property
    def _place(self) -> str:
        following = self._numbering.next_number
        return "before the first event" if following is None else f"after event {following - 1}"


def _groups(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in groups of a size, each of which follow one another."""
    group: list[Record] = []
    for record in records:
        if group and (len(group) >= GROUP_RECORDS or record.sequence_number != group[-1].sequence_number + 1):
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _identifier(event: ResponseEvent) -> str | None:
    try:
        return _decode_text(_decode_known(event.response).id) or None
    except UNDECODABLE:
        return None
