"""What stands between a followed response and its reader, so that nothing is given that is not in the log.

In      what was applied, as it comes; repairs; at the end the Outcome
Out     what may be given
Units   record numbers, which are the events' own where the gateway counts by one; seconds
Errors  LogError and its kinds; what was not given yet is given by the next call
Source  docs/explanation/recording.md
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from time import time
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from streamfold.client.follow.reading import take_all
from streamfold.client.follow.start import Start
from streamfold.errors import (
    InvalidArgument,
    LeaseHeld,
    LogError,
    LogGap,
    LogUnusable,
    UnknownStream,
    UsageError,
    WriterFenced,
)
from streamfold.fold import State, checkpoint
from streamfold.history import CheckpointPolicy, filler, replay, states
from streamfold.log import EventLog, Lease, Note, Record, SavedCheckpoint, StreamKey, wait_for_cancel
from streamfold.session import Applied, Outcome, Proof, Repair

__all__ = ["LEASE_SECONDS", "Beginning", "Recorder", "Recording"]

LEASE_SECONDS = 10.0
MOST_WITHOUT_ID = 1_000  # events that wait for the first Response to tell its id
LONGEST_HOLE = 1_000  # numbers in a row that the gateway left out
CANCEL_SAFETY_SECONDS = 5.0  # a cancel that nobody told of is found so late


@frozen(kw_only=True)
class Recording:
    """How a response is recorded.

    tenant: whose stream it is. owner: who writes it; None for this process alone. max_behind: how many events the
    reader may be given before they are in the log, for a third of lease_seconds at most. lease_seconds: how long another
    process waits for a writer that died. retain_seconds: how long the stream is kept once it is finished; None for ever.
    """

    tenant: str = ""
    owner: str | None = None
    max_behind: int = 0
    lease_seconds: float = LEASE_SECONDS
    retain_seconds: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.max_behind < 0:
            raise InvalidArgument("max_behind", f"must be 0 or more, got {self.max_behind}")
        if self.lease_seconds <= 0:
            raise InvalidArgument("lease_seconds", f"must be more than 0, got {self.lease_seconds:g}")
        if self.retain_seconds is not None and self.retain_seconds < 0:
            raise InvalidArgument("retain_seconds", f"must be 0 or more, got {self.retain_seconds:g}")


@frozen
class Beginning:
    """What a log had of a response. start: where to follow on from. given: the state that its reader has; None for that
    of `start`. missed: what the reader lacks, though the log has it.
    """

    start: Start
    given: State | None = None
    missed: Sequence[Applied] = ()


class Recorder:
    """One response's way into the log. clock: seconds since 1970.

    is_closed: whether nothing more is written. is_holding: whether anything waits to be given.
    """

    def __init__(self, log: EventLog, how: Recording, *, clock: Callable[[], float] = time) -> None:
        self._log = log
        self._how = how
        self._clock = clock
        self._owner = how.owner or f"{socket.gethostname()} {os.getpid()} {uuid4().hex[:8]}"
        self._lease: Lease | None = None
        self._is_leased = anyio.Event()
        self._next = 0  # the number of the first record that is not written
        self._unwritten: deque[Applied] = deque()
        self._last = State()  # behind the last one that was applied
        self._written: list[Record] = []  # kept where the log may forget
        self._turn = anyio.Lock(fast_acquire=True)
        self._held: deque[Applied] = deque()  # not given yet
        self._floor: int | None = None  # what the reader has already
        self._notes: deque[Note] = deque()
        self._pace = CheckpointPolicy()
        self._is_told = False  # how it ended, in a note
        self._failure: LogError | None = None
        self.is_closed: bool = False

    @property
    def is_holding(self) -> bool:
        """See above."""
        return bool(self._held)

    # Before the first event

    async def begin(self, start: Start) -> "Beginning":
        """What the log has of the response. It is this process's to write from then on.

        Raises: LeaseHeld, LogError.
        """
        if start.response_id is None:
            return Beginning(start)
        key = StreamKey(self._how.tenant, start.response_id)
        info = await self._log.info(key)
        if info is None or info.next_number == info.first_number:
            return Beginning(start)
        self.is_closed = info.is_finished
        if not info.is_finished:
            await self._take(await self._acquire(key, first_number=0))
        state = self._last = await replay(self._log, key)
        there = evolve(start, state=state, starting_after=None)
        if start.state is None and start.starting_after is None:  # its reader goes on where the log ends
            return Beginning(there)
        after = start.starting_after if start.state is None else start.state.cursor
        if after is not None and (state.cursor is None or after >= state.cursor):
            self._floor = None if after == state.cursor else after
            return Beginning(there)
        given = start.state or await replay(self._log, key, at=after)
        missed = [
            Applied(each.event, each.record.data, each.after) async for each in states(self._log, key, after=after)
        ]
        return Beginning(there, given=given, missed=missed)

    async def _acquire(self, key: StreamKey, *, first_number: int) -> Lease:
        """A writer that died has its lease until that ends: wait so long, but not for one that renews it."""
        seconds = self._how.lease_seconds
        try:
            return await self._log.acquire(key, owner=self._owner, seconds=seconds, first_number=first_number)
        except LeaseHeld as held:
            await anyio.sleep(held.seconds)
            return await self._log.acquire(key, owner=self._owner, seconds=seconds, first_number=first_number)

    async def _take(self, lease: Lease) -> None:
        self._lease, self._next = lease, lease.next_number
        saved = await self._log.checkpoint(lease.key)
        self._pace = CheckpointPolicy(saved_bytes=len(saved.data) if saved else 0)
        self._is_leased.set()

    # While it is followed

    def pass_on(self, applied: Sequence[Applied]) -> bool:
        """Whether these may be given at once, to be written later, since the log may be so far behind; else hold them."""
        is_free = self._lease is not None and self._failure is None and self._floor is None and not self._held
        if not is_free or len(self._unwritten) + len(applied) > self._how.max_behind:
            return False
        if applied:
            self._unwritten.extend(applied)
            self._last = applied[-1].state
        return True

    def hold(self, applied: Sequence[Applied]) -> None:
        """These were applied: they are given once they are in the log."""
        if applied:
            self._unwritten.extend(applied)
            self._held.extend(applied)
            self._last = applied[-1].state

    def tell(self, repair: Repair) -> None:
        """The stream is being mended."""
        self._notes.append(Note("repair", f"{repair.kind}: {repair.reason}", self._after, self._clock()))

    async def give(self, *, response_id: str | None, outcome: Outcome | None) -> Sequence[Applied]:
        """What may be given now. outcome: once it is there, with which the stream is finished.

        Raises: LogError; then nothing is given, and nothing lost.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if not self.is_closed:
            if response_id is None and outcome is None:
                return self._wait_for_id()
            is_new = self._lease is None and len(self._unwritten) > 0  # the first events make the stream, and lease it
            if outcome is not None or is_new or len(self._unwritten) > self._how.max_behind:
                async with self._turn:
                    await self._write(response_id, outcome)
        given = take_all(self._held)
        if self._floor is not None:
            floor = self._floor
            given = tuple(each for each in given if (each.state.cursor or 0) > floor)
            if given:
                self._floor = None
        return given

    def _wait_for_id(self) -> Sequence[Applied]:
        if len(self._held) > MOST_WITHOUT_ID:
            raise LogUnusable(
                "the response", f"its id was not told in {MOST_WITHOUT_ID:,} events, and it cannot be recorded without"
            )
        return ()

    async def keep(self) -> None:
        """Renew the lease for as long as this is recorded, and write what no later event has written."""
        await self._is_leased.wait()
        beat = self._beat
        while not self.is_closed:
            await anyio.sleep(beat)
            try:
                async with self._turn:
                    if not self.is_closed:
                        await self._append(status=None)
                        if self._leased.expires_at - self._clock() < self._how.lease_seconds / 2:
                            await self._renew()
            except LogError as error:
                self._failure = error

    async def heed_cancel(self, cancel: Callable[[], None]) -> None:
        """Cancel the response once anybody asks the log for it."""
        await self._is_leased.wait()
        key = self._leased.key
        while not self.is_closed:
            try:
                if await wait_for_cancel(self._log, key, safety_seconds=CANCEL_SAFETY_SECONDS):
                    self._notes.append(Note("cancel", "asked for", self._after, self._clock()))
                    cancel()
                return
            except LogError as error:
                if not (isinstance(error, UnknownStream) and self._log.may_forget):  # else it is made anew
                    self._failure = error
                await anyio.sleep(self._beat)

    @property
    def _beat(self) -> float:
        return self._how.lease_seconds / 3

    # Writing

    @property
    def _after(self) -> int | None:
        """The number of the last event that came."""
        known = self._next + len(self._unwritten)
        return known - 1 if known else None

    async def _write(self, response_id: str | None, outcome: Outcome | None) -> None:
        if self._lease is None and self._unwritten and response_id is not None:
            first = self._unwritten[0].state.cursor or 0
            key = StreamKey(self._how.tenant, response_id)
            await self._take(await self._acquire(key, first_number=first))
            self._next = first
        if outcome is None:
            await self._append(status=None)
        elif self._lease is not None:
            await self._finish(outcome)
        else:
            self.is_closed = True
            if self._unwritten:
                raise LogUnusable("the response", "its id was never told, and it cannot be recorded without")

    async def _append(self, *, status: str | None) -> None:
        """Append what is not written. A log that forgot what it had acknowledged is told again."""
        taken = tuple(self._unwritten)
        records = self._numbered(taken)
        if records or status is not None:
            try:
                next_number = await self._log.append(self._leased, records, status=status)
            except (LogGap, UnknownStream, WriterFenced) as refused:
                next_number = await self._append_again(refused, records, status=status)
            if self._log.may_forget:
                self._written += records
            for _ in taken:
                self._unwritten.popleft()
            self._next = next_number
            if taken:
                await self._save(taken[-1].state, records)
        while self._notes:
            await self._log.note(self._leased, self._notes[0])
            self._notes.popleft()

    async def _renew(self) -> None:
        try:
            self._lease = await self._log.renew(self._leased, seconds=self._how.lease_seconds)
        except (UnknownStream, WriterFenced) as refused:
            await self._append_again(refused, [], status=None)

    def _numbered(self, taken: Sequence[Applied]) -> list[Record]:
        """As records, each with its event's number; one that no event has, as the fold believed, has an empty record.

        Where the gateway does not count by one, a record's number is one more than the last.
        """
        records: list[Record] = []
        number = self._next
        for each in taken:
            own = each.state.cursor or 0
            if number < own <= number + LONGEST_HOLE:
                records += map(filler, range(number, own))
                number = own
            records.append(Record(number, each.event.wire_type, each.data))
            number += 1
        return records

    async def _append_again(
        self, refused: LogGap | UnknownStream | WriterFenced, records: list[Record], *, status: str | None
    ) -> int:
        known = [*self._written, *records]
        if isinstance(refused, LogGap):
            needed = refused.next_number
        elif not self._log.may_forget or not known or not self._is_forgotten(refused):
            raise refused
        else:
            lease = self._leased
            self._lease = await self._log.acquire(
                lease.key, owner=lease.owner, seconds=self._how.lease_seconds, first_number=known[0].sequence_number
            )
            needed = self._lease.next_number
        again = [each for each in known if each.sequence_number >= needed]
        if again and again[0].sequence_number != needed:
            raise refused  # it forgot what an earlier process wrote
        return await self._log.append(self._leased, again, status=status)

    def _is_forgotten(self, refused: UnknownStream | WriterFenced) -> bool:
        """Whether the log forgot that it made us the writer; else another one is, whose epoch is the higher."""
        return isinstance(refused, UnknownStream) or refused.current < refused.epoch

    async def _save(self, state: State, records: Sequence[Record]) -> None:
        for each in records:
            self._pace.count(each)
        if self._pace.is_due and not state.is_terminal:
            await self._save_at(records[-1].sequence_number, state)

    async def _save_at(self, number: int, state: State) -> None:
        saved = SavedCheckpoint(number, checkpoint(state))
        await self._log.save_checkpoint(self._leased, saved)
        self._pace.saved(saved.data)

    async def _finish(self, outcome: Outcome) -> None:
        status = None if outcome.proof is None else str(outcome.status)
        by_event = outcome.proof is Proof.TERMINAL_EVENT and outcome.state is self._last
        await self._append(status=status if by_event else None)
        if status is not None and not by_event:
            # The last word came from outside the stream: it is saved beside the records, before the stream is finished.
            await self._save_at(self._next - 1, outcome.state)
            await self._log.append(self._leased, [], status=status)
        self._note_once(outcome)
        await self._append(status=None)
        if status is not None and self._how.retain_seconds is not None:
            await self._log.retain(self._leased.key, until=self._clock() + self._how.retain_seconds)
        await self._log.release(self._leased)
        self.is_closed = True

    def _note_once(self, outcome: Outcome) -> None:
        """Tell how it ended, though finishing is tried again."""
        if self._is_told:
            return
        self._is_told = True
        proof = f"proven by {outcome.proof}" if outcome.proof else outcome.reason
        self._notes.append(Note("outcome", f"{outcome.status}, {proof}", self._after, self._clock()))
        if outcome.cancel is not None:
            self._notes.append(Note("cancel", str(outcome.cancel), self._after, self._clock()))

    @property
    def _leased(self) -> Lease:
        if self._lease is None:
            raise UsageError("nothing is recorded before the response told its id")
        return self._lease
