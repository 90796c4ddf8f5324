"""The streams that this process follows: each by one task that belongs to the relay, and never to a request."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import time
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from streamfold.client import FollowedResponse, record
from streamfold.errors import (
    LeaseHeld,
    LogError,
    LogUnusable,
    RelayBusy,
    RequestRefused,
    StreamfoldError,
    UsageError,
)
from streamfold.log import EventLog, Note, Record, StreamKey
from streamfold.relay.attach import Claimant
from streamfold.relay.attachments import Attachments
from streamfold.relay.ends import ENDS, LOST, lost_event
from streamfold.relay.held import Held, StreamEnd, sent
from streamfold.relay.options import RelayOptions
from streamfold.relay.reader import Reader, end_outside
from streamfold.schema import promotion
from streamfold.serving import ByteBudget
from streamfold.session import CancelResult, Outcome, OutcomeStatus, Proof

# Theory of operation. Every stream that has not ended and that somebody here reads, or created, has one task here that
# follows it (`_follow`). There are no other kinds of producers:
#
#     created here           the task opens the POST, and records what comes
#     created before, or     the task follows it by its id: from what the log has, and then from the upstream; the lease
#     by another process     says who writes, and while another process does, its records are read along (client/follow)
#     finished               no task: the log has everything
#
# A stream leaves `_held` before it is finished, so a request for it then reads the log. Readers that are there keep the
# object, and read its last events from it.
#
# One task ticks once in half of `heartbeat_seconds`: it wakes idle readers, so that they send a heartbeat and need no
# timer of their own, and looks for foreground responses that nobody reads.

PROMOTED = "promoted"  # the kind of the note that says so in the log
UNRECORDED_BYTES = 16 * 1024 * 1024  # of a stream whose only copy is in memory
LEAVING = "the relay stops; resume from another process"
NO_LOG = "the log cannot be written"

logger: logging.Logger = logging.getLogger("streamfold.relay")
logger.addHandler(logging.NullHandler())


class HeldStreams:
    """The streams that a relay follows. Open it with `async with`, in the task that also leaves it.

    Args:
        log: Where they are recorded. It stays open.
        options: How the relay behaves.

    Attributes:
        budget: What the bodies that are being read may take together.
        attachments: Which POST reads which answer.
    """

    def __init__(self, log: EventLog, options: RelayOptions | None = None) -> None:
        self.log: EventLog = log
        self.options: RelayOptions = options or RelayOptions()
        self.budget: ByteBudget = ByteBudget(self.options.max_open_body_bytes)
        self.attachments: Attachments = Attachments(self.options)
        self._held: dict[StreamKey, Held] = {}
        self._following: set[Held] = set()
        self._readers = 0
        self._body_bytes = 0  # of the requests whose responses are followed
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None
        self._is_leaving = False

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(self._tick)
        self._tasks.start_soon(self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_readers_go()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        await self._stack.__aexit__(None, None, None)
        self._tasks = None

    def let_readers_go(self) -> None:
        """Break off every reader, and take no new one: they resume elsewhere, or here after a restart."""
        self._is_leaving = True
        for held in self._following:
            if held.end is None:
                held.finish(StreamEnd(reason=LEAVING))

    @property
    def following(self) -> int:
        """How many responses are followed now."""
        return len(self._following)

    @property
    def readers(self) -> int:
        """How many readers there are now."""
        return self._readers

    # Following

    def start(
        self,
        response: FollowedResponse,
        *,
        tenant: str = "",
        is_foreground: bool = False,
        is_stored: bool = True,
        body_bytes: int = 0,
        key: StreamKey | None = None,
        claimant: Claimant | None = None,
        promoted: promotion.Promoted | None = None,
    ) -> Held:
        """Follow a response from now on. Await `until_begun` of what this returns for its id, or its failure.

        Args:
            response: It, not entered yet.
            tenant: Whose it is.
            is_foreground: Whether to cancel it when nobody reads it.
            is_stored: Whether it was created with `store`; it decides how long its stream is kept.
            body_bytes: The length of the request's body, which is in memory for as long as the response runs.
            key: Its stream, if that exists already.
            claimant: The POST that creates it.
            promoted: What was changed in its create.

        Raises:
            RelayBusy: As many as allowed are followed already.
        """
        options = self.options
        if self._tasks is None:
            raise UsageError("the relay is not open: use it inside `async with`")
        if len(self._following) >= options.max_streams:
            raise RelayBusy("open streams", options.max_streams)
        if self._body_bytes + body_bytes > options.max_open_body_bytes:
            raise RelayBusy("bytes of open requests", options.max_open_body_bytes)
        recorded = record(
            response,
            self.log,
            tenant=tenant,
            max_behind=options.max_behind,
            lease_seconds=options.lease_seconds,
            retain_seconds=options.retain_seconds if is_stored else options.retain_unstored_seconds,
            note=None if promoted is None or key is not None else (PROMOTED, promoted),
        )
        held = Held(
            recorded,
            tenant=tenant,
            is_foreground=is_foreground,
            body_bytes=body_bytes,
            claimant=claimant,
            promoted=promoted,
        )
        self._following.add(held)
        self._body_bytes += body_bytes
        if key is not None:
            self._held[key] = held
        self._tasks.start_soon(self._follow, held, key)
        return held

    async def _follow(self, held: Held, key: StreamKey | None) -> None:
        """Follow one response to its end. Nothing that happens to it may end the others."""
        end = StreamEnd(reason=LEAVING)
        try:
            async with held.response as response:
                if key is not None:
                    info = await self.log.require(key)
                    self._begin(held, key, response.next_record or info.first_number)
                outcome = await self._publish_all(held)
            end = await self._end_of(held, outcome)
        except StreamfoldError as error:
            held.fail(error)
            end = StreamEnd(reason=NO_LOG if isinstance(error, LogError) else LOST)
            level = logging.INFO if isinstance(error, RequestRefused) else logging.WARNING  # a refusal is an answer
            logger.log(level, "%s: %s", held.name, type(error).__name__)
        except Exception as error:  # a defect: the readers that wait get it, and the other streams continue
            held.fail(error)
            logger.exception("%s: it can no longer be followed", held.name)
        finally:
            self._forget(held, key)
            if held.end is None:
                held.finish(end)
            self.attachments.finished(held)

    def _forget(self, held: Held, key: StreamKey | None) -> None:
        self._following.discard(held)
        self._body_bytes -= held.body_bytes
        for known in (key, held.key if held.has_begun else None):
            if known is not None and self._held.get(known) is held:
                del self._held[known]

    def _begin(self, held: Held, key: StreamKey, next_number: int) -> None:
        max_bytes = self.options.window_bytes if held.is_recorded else UNRECORDED_BYTES
        held.begin(key, next_number=next_number, max_bytes=max_bytes)
        if held.is_recorded:
            self._held.setdefault(key, held)
        self.attachments.begun(held)

    async def _publish_all(self, held: Held) -> Outcome:
        response = held.response
        while records := await response.next_records():
            if not held.has_begun:
                key = StreamKey(held.tenant, response.id or "")
                held.is_recorded = await self._is_new(key, records[-1])
                self._begin(held, key, records[0].sequence_number)
            held.publish(records)
        outcome = await response.outcome()
        if not held.has_begun and response.id is not None:  # the gateway answered with the Response itself
            key = StreamKey(held.tenant, response.id)
            info = await self.log.info(key)
            self._begin(held, key, info.next_number if info is not None else 0)
        return outcome

    async def _is_new(self, key: StreamKey, newest: Record) -> bool:
        """Whether a new response has an id of its own. If the log has another of that id, it records none of this one."""
        stored = await self.log.read(key, after=newest.sequence_number - 1, limit=2)
        if is_new := len(stored) == 1 and stored[0].data == newest.data:
            return is_new
        logger.warning("response %s: its id was another response's: it is not recorded", key.response_id)
        return is_new

    async def _end_of(self, held: Held, outcome: Outcome) -> StreamEnd:
        if not held.has_begun:
            outcome.raise_for_status()
            raise LogUnusable("the response", "its id never arrived")
        if outcome.status is OutcomeStatus.ABANDONED and outcome.cancel is None:
            return StreamEnd(reason=LEAVING)
        newest = held.window.newest
        if newest is not None and newest.record.name in ENDS and outcome.proof is Proof.TERMINAL_EVENT:
            return StreamEnd(newest=newest)
        if not held.is_recorded:  # a GET by its id may be about the other one
            return StreamEnd([sent(lost_event(outcome.state, held.window.next, LOST))], reason=LOST)
        if outcome.proof is None:
            return await self._lose(held, outcome)
        return await end_outside(self.log, held.key, outcome.state)

    async def _lose(self, held: Held, outcome: Outcome) -> StreamEnd:
        """The upstream has nothing more to say: the stream gets an end that says so, for every reader to come."""
        made = lost_event(outcome.state, held.window.next, outcome.reason or LOST)
        try:
            lease = await self.log.acquire(held.key, owner=f"relay {id(self)}", seconds=self.options.lease_seconds)
            made = lost_event(outcome.state, lease.next_number, outcome.reason or LOST)
            await self.log.append(lease, [made], status="failed")
            await self.log.note(lease, Note("relay", "the upstream is lost", made.sequence_number, time()))
            await self.log.retain(held.key, until=time() + self.options.retain_seconds)
            await self.log.release(lease)
        except LeaseHeld:  # another process has taken it over, and may know more
            return StreamEnd(reason=LEAVING)
        return StreamEnd(made=[sent(made)], reason=LOST)

    # Reading

    async def open(
        self,
        response_id: str,
        *,
        tenant: str = "",
        follow: Callable[[], FollowedResponse] | None = None,
        claimant: Claimant | None = None,
    ) -> Reader:
        """A reader of a stream that the log has. Close it when it leaves.

        Args:
            response_id: The response.
            tenant: Whose it is.
            follow: Follows it by its id, if it has not ended and nobody here follows it.
            claimant: The POST that it reads for.

        Raises:
            UnknownStream: The log has no such stream of this tenant.
            LogError: The log cannot be read.
            RelayBusy: There are as many readers as allowed.
        """
        key = StreamKey(tenant, response_id)
        held = await self._find(key, follow)
        return self.reader_of(key, held, claimant, held.promoted if held else await self.promoted(key))

    async def promoted(self, key: StreamKey) -> promotion.Promoted | None:
        """What was changed in the create of a stream."""
        if (held := self._held.get(key)) is not None:
            return held.promoted
        if self.options.promote == "never":
            return None
        texts = [note.text for note in await self.log.notes(key) if note.kind == PROMOTED]
        return promotion.Promoted(texts[0]) if texts else None

    async def _find(self, key: StreamKey, follow: Callable[[], FollowedResponse] | None) -> Held | None:
        """The stream, followed here from now on unless it is finished."""
        held = self._held.get(key)
        if held is None:
            info = await self.log.require(key)
            held = self._held.get(key)  # somebody else may have been faster
            if held is None and not info.is_finished and follow is not None:
                promoted = await self.promoted(key)
                held = self._held.get(key) or self.start(
                    follow(), tenant=key.tenant, is_foreground=False, is_stored=True, key=key, promoted=promoted
                )
        return held and await held.until_begun()

    def reader_of(
        self,
        key: StreamKey,
        held: Held | None,
        claimant: Claimant | None = None,
        promoted: promotion.Promoted | None = None,
    ) -> Reader:
        """A reader of a stream that is followed here, or that is finished.

        Args:
            key: The stream.
            held: It, if it is followed here.
            claimant: The POST that it reads for.
            promoted: What was changed in its create, unless `held` says so.

        Raises:
            RelayBusy: There are as many readers as allowed.
        """
        if self._readers >= self.options.max_readers:
            raise RelayBusy("readers", self.options.max_readers)
        self._readers += 1
        if held is not None:
            held.readers += 1
        present = claimant or self.attachments.entered(key.tenant, key.response_id)

        def leave() -> None:
            self._readers -= 1
            if held is not None:
                held.readers -= 1
            self.attachments.left(present, is_whole=reader.is_whole)

        changed = held.promoted if held else promoted
        reader = Reader(self.log, key, held, leave=leave, promoted=changed)
        return reader

    def followed(self, key: StreamKey) -> Held | None:
        """The stream, if it is followed here."""
        return self._held.get(key)

    # Cancelling

    async def cancel(
        self, response_id: str, *, tenant: str = "", follow: Callable[[], FollowedResponse] | None = None
    ) -> CancelResult:
        """Cancel a response, and return the proven result.

        Args:
            response_id: The response.
            tenant: Whose it is.
            follow: As for `open`.

        Raises:
            UnknownStream: The log has no such stream of this tenant.
        """
        held = await self._find(StreamKey(tenant, response_id), follow)
        return CancelResult.ALREADY_TERMINAL if held is None else await held.response.cancel()

    # In the background

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(self.options.heartbeat_seconds / 2)
            now, limit = anyio.current_time(), self.options.cancel_when_unread_seconds
            for held in list(self._following):
                if held.readers:
                    held.wake()
                elif held.is_unread(now, limit) and self._tasks is not None:
                    held.is_foreground = False  # once
                    self._tasks.start_soon(self._cancel_unread, held)

    async def _cancel_unread(self, held: Held) -> None:
        try:
            result = await held.response.cancel()
        except StreamfoldError as error:  # it ended meanwhile, or its own task reports it
            logger.warning("%s: nobody reads it; its cancel failed: %s", held.name, type(error).__name__)
        else:
            logger.info("%s: nobody reads it; it was cancelled: %s", held.name, result)

    async def _expire(self) -> None:
        while True:
            await anyio.sleep(self.options.expire_every_seconds)
            try:
                while await self.log.expire():
                    pass
            except LogError as error:  # the next one tries again
                logger.warning("old streams cannot be dropped: %s", type(error).__name__)
