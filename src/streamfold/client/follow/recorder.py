"""Write-ahead: an event of a recorded response reaches its reader only after it is in the log."""

import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import time
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from streamfold.client.follow.joining import join, report_wait
from streamfold.client.follow.stream import Stream
from streamfold.client.follow.writer import GivenRecords, LogWriter
from streamfold.client.transport.transport import Reply
from streamfold.errors import (
    InvalidArgument,
    LeaseHeld,
    LogError,
    LogGap,
    LogUnusable,
    NumberNotReached,
    UnknownStream,
)
from streamfold.fold import SequencePolicy, State, snapshot_json
from streamfold.history import first_number, fold_up_to, replay, states
from streamfold.log import EventLog, StreamKey, limits, wait_for_cancel
from streamfold.session import Applied, Outcome, Repair, Session

# Theory of operation. Events go from the session to the reader by one of three ways:
#     joined    another process records, and the session reads its log (joining.py): delivered at once
#     forward   this process records, and the log may be `max_behind` events behind: delivered at once, written later
#     hold      held, appended, and delivered when the append has returned
#
# There is no queue and no second task: the reader waits for the log as for the network. A read that is cancelled loses
# nothing: the next one delivers what is held, and a second append adds nothing. `_turn` keeps two appends from crossing.
#
# A stream of the log needs a lease, and that needs the response's id: the first events wait until it has arrived. A
# task renews the lease, and also writes what no later event has written.

LEASE_SECONDS = 10.0
MAX_WITHOUT_ID = 1_000  # events that wait for the first Response, which has the id
LOOK_SECONDS = 0.1  # between two attempts to take a lease that another process got a moment earlier
CANCEL_SAFETY_SECONDS = 5.0  # how late a cancel is found if its notification was lost

Read = Callable[[], Awaitable[Sequence[Applied]]]


@frozen(kw_only=True)
class Recording:
    """How a response is recorded: see `record`."""

    tenant: str = ""
    owner: str | None = None
    max_behind: int = 0
    lease_seconds: float = LEASE_SECONDS
    retain_seconds: float | None = None
    note: tuple[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        if self.max_behind < 0:
            raise InvalidArgument("max_behind", f"must be 0 or more, got {self.max_behind}")
        StreamKey(self.tenant, "")
        limits.require_owner(self.owner or "", self.lease_seconds)
        if self.lease_seconds == 0:
            raise InvalidArgument("lease_seconds", "must be more than 0")
        if self.retain_seconds is not None:
            limits.require_seconds("retain_seconds", self.retain_seconds)


@frozen
class Beginning:
    """What is known before the first event.

    Attributes:
        starting_after: The number that the session follows from.
        state: The state that the session continues from.
        given: The state that the reader has; None for that of the session.
        missed: What the reader lacks, and the log has.
        joins: The stream that the session begins with, if another process is recording.
    """

    starting_after: int | None = None
    state: State | None = None
    given: State | None = None
    missed: Sequence[Applied] = ()
    joins: AbstractAsyncContextManager[Reply] | None = None


class Unrecorded:
    """The recorder of a response that is not recorded: the reader reads from the stream itself."""

    is_done: bool = True
    given: None = None

    async def begin(
        self, response_id: str | None, starting_after: int | None, state: State | None, policy: SequencePolicy
    ) -> Beginning:
        """Begin as the caller asked."""
        return Beginning(starting_after, state)

    def attach(self, stream: Stream) -> Read:
        """Return what the reader reads with."""
        return stream.take_in

    def add_repair(self, repair: Repair) -> None:
        """Nothing is noted."""

    async def finish(self, session: Session) -> None:
        """Nothing is written."""


class Recorder:
    """Records one response. clock: Seconds since 1970.

    Attributes:
        given: The records of what the reader is given.
        is_closed: Whether nothing more is written.
    """

    def __init__(self, log: EventLog, how: Recording, *, clock: Callable[[], float] = time) -> None:
        self._log = log
        self._how = how
        self._writer = LogWriter(
            log,
            owner=how.owner or f"{socket.gethostname()} {os.getpid()} {uuid4().hex[:8]}",
            lease_seconds=how.lease_seconds,
            retain_seconds=how.retain_seconds,
            clock=clock,
        )
        if how.note is not None:
            self._writer.note(*how.note)
        self._is_joined = False
        self._last = State()  # after the last event that was applied
        self._turn = anyio.Lock(fast_acquire=True)
        self._held: deque[Applied] = deque()  # not given yet
        self._floor: int | None = None  # what the reader has already, though the log does not
        self._failure: LogError | None = None
        self.given: GivenRecords = GivenRecords()
        self.is_closed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing more is written, and nothing is held."""
        return self.is_closed and not self._held

    # Before the first event

    async def begin(
        self, response_id: str | None, starting_after: int | None, state: State | None, policy: SequencePolicy
    ) -> Beginning:
        """Learn what the log has of the response, and become its writer, or join the one that it has.

        Raises:
            LogError: The log cannot be read.
        """
        as_asked = Beginning(starting_after, state)
        if response_id is None:
            return as_asked
        key = self._key(response_id)
        info = await self._log.info(key)
        if info is None or info.next_number == info.first_number:
            return as_asked
        self.is_closed = info.is_finished
        held: LeaseHeld | None = None
        if not info.is_finished:
            try:
                self.is_closed = not await self._writer.acquire(key)
            except LeaseHeld as error:
                held = error
        known, last = await fold_up_to(self._log, await self._log.require(key), policy=policy)
        self._last = known
        self.given.next_number = info.first_number if last is None else last + 1
        begun = await self._for_reader(key, known, last, starting_after, state)
        return begun if held is None else evolve(begun, joins=self._join(key, last, held))

    async def _for_reader(
        self, key: StreamKey, known: State, last: int | None, starting_after: int | None, state: State | None
    ) -> Beginning:
        """Compare what the reader has with what the log has. last: The number of the log's last event."""
        after = starting_after if state is None else state.cursor
        if state is None and after is None:  # the reader continues where the log ends
            return Beginning(state=known)
        if after is not None and after >= _number(known) and (known.cursor == last or after > _number(known)):
            self._floor = None if after == known.cursor else after
            return Beginning(state=known)
        at, given = await self._find(key, after, state, is_counted_alike=known.cursor == last)
        # A stream that is being written may have grown since `known` was read: the session brings the rest.
        steps = states(self._log, key, after=at, to=last)
        missed = [Applied(each.event, each.record.data, each.after) async for each in steps]
        return Beginning(state=known, given=given, missed=missed)

    async def _find(
        self, key: StreamKey, after: int | None, state: State | None, *, is_counted_alike: bool
    ) -> tuple[int | None, State]:
        """The record of the event that the reader has last, and the state there.

        Several events share the gateway's number if those after the first had none: without the reader's state, the
        reader has only the first of them. is_counted_alike: Whether each record has the number of its event.
        """
        if after is None or is_counted_alike:
            return after, state or await replay(self._log, key, at=after)
        found: tuple[int, State] | None = None
        async for each in states(self._log, key):
            if each.after.cursor == after and (found is None or state == each.after):
                found = each.record.sequence_number, state or each.after
        if found is None:
            raise NumberNotReached(after, self._last.cursor)
        return found

    def _join(self, key: StreamKey, last: int | None, held: LeaseHeld) -> AbstractAsyncContextManager[Reply]:
        self._is_joined = True
        report_wait(f"response {key.response_id}", held)

        async def finish() -> None:
            # The last word came from outside the stream, and was saved beside the records.
            self._stream.receive_final(snapshot_json(await replay(self._log, key)))

        return join(self._log, key, after=last, held=held, take_over=partial(self._writer.acquire, key), finish=finish)

    def _key(self, response_id: str) -> StreamKey:
        try:
            return StreamKey(self._how.tenant, response_id)
        except InvalidArgument as error:
            raise LogUnusable("the response", f"it cannot be recorded: its {error}") from error

    # While it is followed

    def attach(self, stream: Stream) -> Read:
        """Record this stream. Returns what the reader reads with."""
        self._stream = stream
        stream.runner.tasks.spawn(self._renew_loop)
        stream.runner.tasks.spawn(self._watch_cancel)
        return self.read

    async def read(self) -> Sequence[Applied]:
        """Read one more chunk, or wait until something else changed. Returns what may be given.

        Raises:
            LogError: It cannot be recorded. Nothing is lost: the next call tries again.
        """
        session = self._stream.session
        # What a read that was cancelled left behind comes first.
        if session.outcome is None and not (self._held and session.response_id is not None):
            applied = await self._stream.take_in()
            if self._stream.session.outcome is None and self._try_forward(applied):
                return applied
            self._hold(applied)
        return await self._flush(session)

    def _try_forward(self, applied: Sequence[Applied]) -> bool:
        """Whether these may be given before they are written."""
        if self._failure is not None or self._floor is not None or self._held:
            return False
        if not self._writer.has_lease:
            if applied and self._is_joined:
                self._last = applied[-1].state
            return self._is_joined
        if len(self._writer.unwritten) + len(applied) > self._how.max_behind:
            return False
        if applied:
            self._writer.unwritten.extend(applied)
            self._last = applied[-1].state
        return True

    def _hold(self, applied: Sequence[Applied]) -> None:
        if applied:
            if self._writer.has_lease or not self._is_joined:
                self._writer.unwritten.extend(applied)
            self._held.extend(applied)
            self._last = applied[-1].state

    def add_repair(self, repair: Repair) -> None:
        """Note a repair beside the records."""
        self._writer.note("repair", f"{repair.kind}: {repair.reason}")

    async def finish(self, session: Session) -> None:
        """Write what is not written, and give the stream back, or finish it."""
        await self._flush(session)

    async def _flush(self, session: Session) -> Sequence[Applied]:
        """Write what must be written, and return what may be given."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        response_id, outcome = session.response_id, session.outcome
        if not self.is_closed:
            if response_id is None and outcome is None:
                return self._wait_for_id()
            is_new = len(self._writer.unwritten) > 0 and not self._writer.has_lease  # they create the stream
            if outcome is not None or is_new or len(self._writer.unwritten) > self._how.max_behind:
                async with self._turn:
                    await self._write(response_id, outcome)
        given = tuple(self._held)
        self._held.clear()
        return given if self._floor is None else self._above_floor(given, self._floor)

    def _above_floor(self, given: Sequence[Applied], floor: int) -> Sequence[Applied]:
        given = tuple(each for each in given if (each.state.cursor or 0) > floor)
        if given:
            self._floor = None
        return given

    def _wait_for_id(self) -> Sequence[Applied]:
        if len(self._held) > MAX_WITHOUT_ID:
            reason = f"it cannot be recorded: {MAX_WITHOUT_ID:,} events came, and none of them said its id"
            raise LogUnusable("the response", reason)
        return ()

    async def _renew_loop(self) -> None:
        """Renew the lease for as long as this is recorded, and write what no later event has written."""
        await self._writer.is_leased.wait()
        while not self.is_closed:
            await anyio.sleep(self._beat)
            try:
                async with self._turn:
                    if not self.is_closed:
                        await self._writer.keep_lease()
            except LogError as error:
                self._failure = error

    async def _watch_cancel(self) -> None:
        """Cancel the response once somebody asks the log for it."""
        await self._writer.is_leased.wait()
        key = self._writer.lease.key
        while not self.is_closed:
            try:
                if await wait_for_cancel(self._log, key, safety_seconds=CANCEL_SAFETY_SECONDS):
                    self._writer.note("cancel", "asked for")
                    self._stream.runner.request_cancel()
                return
            except LogError as error:
                if not (isinstance(error, UnknownStream) and self._log.may_forget):  # else it is created again
                    self._failure = error
                await anyio.sleep(self._beat)

    @property
    def _beat(self) -> float:
        return self._how.lease_seconds / 3

    # Writing

    async def _write(self, response_id: str | None, outcome: Outcome | None) -> None:
        if not self._writer.has_lease and self._writer.unwritten and response_id is not None:
            await self._create(self._key(response_id))
        if outcome is None:
            if self._writer.has_lease:
                await self._writer.append()
        elif self._writer.has_lease:
            await self._writer.finish(outcome, self._last)
            self.is_closed = True
        elif self._writer.unwritten:
            self.is_closed = True
            raise LogUnusable("the response", "it cannot be recorded, because its id never arrived")
        else:
            if outcome.proof and response_id is not None and not self._is_joined:
                await self._writer.write_end(self._key(response_id), outcome)
            self.is_closed = True

    async def _create(self, key: StreamKey) -> None:
        """Create the stream, or wait until another process that was faster has written the same events."""
        unwritten = self._writer.unwritten
        first = first_number(unwritten[0].state.cursor)
        is_reported = False
        while not self._writer.has_lease and unwritten:
            try:
                self.is_closed = not await self._writer.acquire(key, first_number=first)
            except LeaseHeld as held:
                if not is_reported:
                    is_reported = True
                    report_wait(self._stream.runner.label, held)
                await self._forget_written(key)
                if unwritten:
                    await anyio.sleep(min(held.seconds, LOOK_SECONDS))
            else:
                await self._forget_written(key)
                if self.is_closed:
                    unwritten.clear()

    async def _forget_written(self, key: StreamKey) -> None:
        """Forget the events that another process has written, by the gateway's numbers: those of the records may differ."""
        unwritten = self._writer.unwritten
        info = await self._log.require(key)
        if info.next_number == info.first_number:
            return
        known, _ = await fold_up_to(self._log, info)
        while unwritten and _number(unwritten[0].state) <= _number(known):
            unwritten.popleft()
        own = _number(unwritten[0].state) if unwritten else -1
        if known.is_numbered and self._writer.has_lease and own > _number(known) + 1:
            raise LogGap(info.next_number, own)


def _number(state: State) -> int:
    """The number of the last event in a state; -1 before the first."""
    return -1 if state.cursor is None else state.cursor
