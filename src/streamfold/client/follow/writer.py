"""Writes one response into a log: its lease, the numbers of its records, and what is kept beside them."""

from collections import deque
from collections.abc import Callable, Sequence

import anyio

from streamfold.errors import LeaseHeld, LogGap, UnknownStream, UsageError, WriterFenced
from streamfold.fold import State, checkpoint
from streamfold.history import CheckpointPolicy, filler, first_number, left_out
from streamfold.log import EventLog, Lease, Note, Record, SavedCheckpoint, StreamKey, limits
from streamfold.session import Applied, Outcome, Proof

# Theory of operation. A record's number is its event's own, as long as the gateway counts by one, so a reader of the log
# can name an event by its number. A number that the gateway left out has an empty record: a log has no holes, and a hole
# in it is always damage. An event without a number has a record like any other, so from there on the records' numbers are
# higher than the gateway's. Each event keeps its own in its data, and replaying the log finds the gateway's cursor again.
#
# A store of several machines may forget records that it acknowledged, when another machine takes over (`may_forget`). It
# then answers the next append with LogGap and the number that it needs, or no longer knows who writes. Everything that
# this process wrote is kept for that case, and appended again from there. A log that never forgets costs no memory.
#
# Every append can fail after it was done, when only its answer was lost. So nothing is taken off `unwritten` before an
# append has returned, and appending the same records twice adds nothing.


MAX_NOTE = 10_000  # characters


def numbered(events: Sequence[Applied], number: int) -> list[Record]:
    """Return the records of these events; a number that the gateway left out gets an empty record.

    Args:
        events: What was applied, in order.
        number: The number of the record that the stream needs next.
    """
    records: list[Record] = []
    for each in events:
        for missing in left_out(number, each.state.cursor):
            records.append(filler(missing))
            number = missing + 1
        records.append(Record(number, limits.record_name(each.event.wire_type), each.data))
        number += 1
    return records


class GivenRecords:
    """The records of the events that a reader is given: those that the log has, or will have. next_number: None before the first."""

    def __init__(self) -> None:
        self.next_number: int | None = None

    def take(self, given: Sequence[Applied]) -> Sequence[Record]:
        """Return the records of the events that come next."""
        if not given:
            return ()
        number = first_number(given[0].state.cursor) if self.next_number is None else self.next_number
        records = numbered(given, number)
        self.next_number = records[-1].sequence_number + 1
        return records


class LogWriter:
    """Writes one response.

    Args:
        log: The log.
        owner: The name of this writer.
        lease_seconds: How long the lease lasts without being renewed.
        retain_seconds: How long the stream is kept after its end; None for ever.
        clock: Seconds since 1970.

    Attributes:
        unwritten: What is not in the log yet, in order.
        notes: What is to be noted beside the records.
        is_leased: Set once this process writes the stream.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        owner: str,
        lease_seconds: float,
        retain_seconds: float | None,
        clock: Callable[[], float],
    ) -> None:
        self.unwritten: deque[Applied] = deque()
        self.notes: deque[Note] = deque()
        self.is_leased: anyio.Event = anyio.Event()
        self._log = log
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._retain_seconds = retain_seconds
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_at = 0.0  # by the event loop's clock
        self._next = 0  # the number of the first record that is not written
        self._written: list[Record] = []  # kept if the log may forget
        self._checkpoints = CheckpointPolicy()
        self._is_end_noted = False

    @property
    def has_lease(self) -> bool:
        """Whether this process writes the stream."""
        return self._lease is not None

    def note(self, kind: str, text: str) -> None:
        """Have something noted after the last event that arrived."""
        # A reason may quote the gateway, which may say anything: half of a surrogate pair cannot be stored.
        text = text[:MAX_NOTE].encode(errors="replace").decode()
        self.notes.append(Note(kind, text, self.after, self._clock()))

    async def acquire(self, key: StreamKey, *, first_number: int = 0) -> bool:
        """Become the writer. Returns False if there is nothing to write, because the stream is finished.

        Args:
            key: The stream.
            first_number: The number of the first record, if the stream is created.

        Raises:
            LeaseHeld: Another process has the lease.
        """
        asked_at = anyio.current_time()
        lease = await self._log.acquire(key, owner=self._owner, seconds=self._lease_seconds, first_number=first_number)
        if (await self._log.require(key)).is_finished:
            return False
        self._lease, self._next = lease, lease.next_number
        self._renewed_at = asked_at
        saved = await self._log.checkpoint(key)
        self._checkpoints = CheckpointPolicy(saved_bytes=len(saved.data) if saved else 0)
        self.is_leased.set()
        return True

    async def keep_lease(self) -> None:
        """Write what is not written, and renew the lease if half of it is over."""
        await self.append()
        # By the event loop's clock, which is never set back: the machine's may be, and a lease that seems to last for hours
        # would not be renewed, while other processes wait for no longer than its length.
        if anyio.current_time() - self._renewed_at > self._lease_seconds / 2:
            await self.renew()

    @property
    def after(self) -> int | None:
        """The number of the last event that arrived."""
        known = self._next + len(self.unwritten)
        return known - 1 if known else None

    async def append(self, *, status: str | None = None) -> None:
        """Append what is not written; a log that forgot what it had acknowledged gets it again."""
        taken = tuple(self.unwritten)
        records = numbered(taken, self._next)
        if records or status is not None:
            try:
                next_number = await self._log.append(self.lease, records, status=status)
            except (LogGap, UnknownStream, WriterFenced) as refused:
                next_number = await self._append_again(refused, records, status=status)
            if self._log.may_forget:
                self._written += records
            for _ in taken:
                self.unwritten.popleft()
            self._next = next_number
            if taken:
                await self._save(taken[-1].state, records)
        while self.notes:
            await self._log.note(self.lease, self.notes[0])
            self.notes.popleft()

    async def renew(self) -> None:
        asked_at = anyio.current_time()
        try:
            self._lease = await self._log.renew(self.lease, seconds=self._lease_seconds)
            self._renewed_at = asked_at
        except (UnknownStream, WriterFenced) as refused:
            await self._append_again(refused, [], status=None)

    async def _append_again(
        self, refused: LogGap | UnknownStream | WriterFenced, records: list[Record], *, status: str | None
    ) -> int:
        known = [*self._written, *records]
        if isinstance(refused, LogGap):
            needed = refused.next_number
        elif not self._log.may_forget or not known or not self._is_forgotten(refused):
            raise refused
        else:
            lease = self.lease
            self._lease = await self._log.acquire(
                lease.key, owner=lease.owner, seconds=self._lease_seconds, first_number=known[0].sequence_number
            )
            needed = self._lease.next_number
        again = [each for each in known if each.sequence_number >= needed]
        if again and again[0].sequence_number != needed:
            raise refused  # it forgot what an earlier process wrote, which nobody here has
        return await self._log.append(self.lease, again, status=status)

    def _is_forgotten(self, refused: UnknownStream | WriterFenced) -> bool:
        """Whether the log forgot that we are the writer; otherwise another one is, with a higher epoch."""
        return isinstance(refused, UnknownStream) or refused.current < refused.epoch

    async def _save(self, state: State, records: Sequence[Record]) -> None:
        for each in records:
            self._checkpoints.count(each)
        if self._checkpoints.is_due and not state.is_terminal:
            await self._save_at(records[-1].sequence_number, state)

    async def _save_at(self, number: int, state: State) -> None:
        data = checkpoint(state)
        if len(data) <= limits.MAX_DATA_BYTES or state.is_terminal:  # without one, a replay only takes longer
            await self._log.save_checkpoint(self.lease, SavedCheckpoint(number, data))
        self._checkpoints.saved(data)

    async def finish(self, outcome: Outcome, last: State) -> None:
        status = None if outcome.proof is None else str(outcome.status)
        by_event = outcome.proof is Proof.TERMINAL_EVENT and outcome.state is last
        await self.append(status=status if by_event else None)
        if status is not None and not by_event:
            # The final state came from outside the stream: it is saved beside the records before the stream is finished.
            await self._save_at(self._next - 1, outcome.state)
            await self._log.append(self.lease, [], status=status)
        self._note_once(outcome)
        await self.append()
        if status is not None and self._retain_seconds is not None:
            await self._log.retain(self.lease.key, until=self._clock() + self._retain_seconds)
        await self._log.release(self.lease)

    async def write_end(self, key: StreamKey, outcome: Outcome) -> None:
        """Write the end of a response of which no event came, because the gateway answered with the Response itself.

        The stream gets one empty record, to which the final state belongs.
        """
        try:
            is_open = await self.acquire(key)
        except LeaseHeld:  # another process has events of it, and records them
            return
        if is_open:
            self._next = await self._log.append(self.lease, [filler(self._next)])
            await self.finish(outcome, State())

    def _note_once(self, outcome: Outcome) -> None:
        """Note how it ended, once, though finishing may be tried again."""
        if self._is_end_noted:
            return
        self._is_end_noted = True
        proof = f"proven by {outcome.proof}" if outcome.proof else outcome.reason
        self.note("outcome", f"{outcome.status}, {proof}")
        if outcome.cancel is not None:
            self.note("cancel", str(outcome.cancel))

    @property
    def lease(self) -> Lease:
        if self._lease is None:
            raise UsageError("nothing can be recorded before the response's id arrives")
        return self._lease
