"""EventLog and Watch: what every engine promises. The docstrings are the reference; the engines inherit them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

import anyio

from streamfold.errors import UnknownStream
from streamfold.log.record import (
    Damage,
    Diagnosis,
    Durability,
    Lease,
    Note,
    Record,
    SavedCheckpoint,
    StreamInfo,
    StreamKey,
)

CLOSED = "it was closed before"
READ_AT_ONCE = 500  # records in a page; measured, pages of 500 to 5,000 are read at the same speed


class Watch(ABC):
    """Waits for changes of one stream.

    Notifications may be repeated, late or spurious, and may be lost: always read the log again.
    """

    @abstractmethod
    async def wait(self, *, seconds: float) -> None:
        """Return once the stream may have changed since the last `wait` began, or after this many seconds."""

    def received(self, after: int | None) -> Sequence[Record] | None:
        """The records that arrived with the notification, from the one that follows `after`.

        Returns:
            The records, an empty list if `after` is the newest, or None if this is not known: read the log.
        """
        return None


class EventLog(ABC):
    """A log of many streams. Each stream is the records of one response, numbered without holes.

    Open it with `async with`. Tasks of one event loop may share it. Every method raises LogUnusable if the store cannot
    be read or written, or if the log is closed.

    Attributes:
        durability: What a record survives once `append` has returned.
        may_forget: Whether a failover can lose records that were acknowledged. If so, a writer keeps what it appended
            until the stream is finished, and appends it again after LogGap or UnknownStream.
    """

    durability: Durability
    may_forget: bool = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Writing. The lease keeps others away for a time; the epoch in it is what makes a write safe. append.py explains both.

    @abstractmethod
    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        """Become the writer of a stream. The stream is created if it does not exist.

        From now on, appends with any earlier lease are refused, even one of the same owner.

        Args:
            key: The stream.
            owner: The name of the writer. The same owner may acquire again while its lease lasts.
            seconds: How long the lease lasts.
            first_number: The number of the first record, if the stream is created. 0 or more.

        Returns:
            The lease. Its `next_number` says where to continue.

        Raises:
            LeaseHeld: Another owner's lease has not expired; its `seconds` say when it will.
            InvalidArgument: `first_number` is negative.
        """

    @abstractmethod
    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Extend a lease to this many seconds from now, and return it.

        Raises:
            WriterFenced: Another writer took over. Stop writing.
            UnknownStream: The stream was dropped.
        """

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give up the lease, so that the next writer need not wait. Does nothing if another writer has it."""

    @abstractmethod
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        """Append records: all of them, or none if this raises.

        Appending again is safe. Records that are stored already must be the same, and are not added twice.

        Args:
            lease: The writer's lease.
            records: Records with consecutive numbers. They may begin before the end of the stream, but not after it.
            status: The final status of the response. With it the stream is finished: no new record may follow.

        Returns:
            The number of the record that the stream needs next.

        Raises:
            WriterFenced: Another writer took over. Stop writing.
            LogGap: Records before these are missing. Append again from its `next_number`.
            LogConflict: A stored record with the same number differs.
            LogClosed: The stream is finished, and some of these records are new.
            UnknownStream: The stream does not exist, or was dropped.
            InvalidArgument: The numbers are not consecutive.
        """

    # Reading. It needs no lease, and any number of readers may do it in any process.

    @abstractmethod
    async def info(self, key: StreamKey) -> StreamInfo | None:
        """The head of a stream; None if the stream does not exist."""

    async def require(self, key: StreamKey) -> StreamInfo:
        """The head of a stream that must exist.

        Raises:
            UnknownStream: It does not.
        """
        info = await self.info(key)
        if info is None:
            raise UnknownStream(key.tenant, key.response_id)
        return info

    @abstractmethod
    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = READ_AT_ONCE, max_bytes: int | None = None
    ) -> list[Record]:
        """One page of a stream's records, in order. Empty if nothing follows, or the stream does not exist.

        Args:
            key: The stream.
            after: Return the records that follow this number; None starts at the first.
            limit: The greatest number of records.
            max_bytes: Stop before the data of the page exceeds this many bytes. One record is always returned.
        """

    @abstractmethod
    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        """Watch a stream for changes, whichever process makes them: `async with log.watch(key) as watch`.

        Args:
            key: The stream. It need not exist yet.
            growth: Whether to be notified of new records and notes. If false, only of rare changes: a cancel request,
                the end of the stream, a drop.
        """

    @abstractmethod
    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        """One page of a tenant's streams, in the order of their response ids.

        Args:
            tenant: The tenant.
            after: The last response id of the page before; None for the first page.
            limit: The greatest number of streams.
        """

    @abstractmethod
    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        """One page of the tenants that have streams, in order. `after` is the last one of the page before."""

    async def streams(self) -> AsyncGenerator[StreamInfo, None]:
        """The streams of all tenants: `async for info in log.streams()`."""
        tenant: str | None = None
        while tenants := await self.tenants(after=tenant):
            for tenant in tenants:
                response_id: str | None = None
                while infos := await self.list(tenant, after=response_id):
                    for info in infos:
                        yield info
                    response_id = infos[-1].key.response_id

    # Cancels, checkpoints and notes

    @abstractmethod
    async def request_cancel(self, key: StreamKey) -> None:
        """Ask the process that records the response to cancel it. This can be called from any process.

        Raises:
            UnknownStream: The stream does not exist.
        """

    @abstractmethod
    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        """Save a state beside the records. It replaces one with the same cursor.

        Raises:
            WriterFenced: Another writer took over.
            LogGap: The records do not reach the cursor.
            UnknownStream: The stream does not exist.
        """

    @abstractmethod
    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        """The newest checkpoint whose cursor is at most `at`, or None."""

    @abstractmethod
    async def note(self, lease: Lease, note: Note) -> None:
        """Add a note to the stream's notes.

        Raises:
            WriterFenced: Another writer took over.
            UnknownStream: The stream does not exist.
        """

    @abstractmethod
    async def notes(self, key: StreamKey) -> Sequence[Note]:
        """The notes of a stream, in the order in which they were added."""

    # The end of a stream

    @abstractmethod
    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        """Set when `expire` may drop the stream, in seconds since 1970; None means never.

        Raises:
            UnknownStream: The stream does not exist.
        """

    @abstractmethod
    async def expire(self, *, limit: int = 100) -> int:
        """Drop streams whose retention has ended, at most `limit`. Returns how many were dropped."""

    @abstractmethod
    async def drop(self, key: StreamKey) -> bool:
        """Delete a stream with its checkpoints and notes. Returns whether it existed."""

    # The log as a whole

    @abstractmethod
    async def diagnose(self) -> Diagnosis:
        """How the log is set up: versions, settings, and what is unsafe about them."""

    @abstractmethod
    async def damages(self) -> Sequence[Damage]:
        """Everything that the store finds damaged. Reads the whole log."""

    @abstractmethod
    async def aclose(self) -> None:
        """Write what is queued and close the store. A second call does nothing."""


# Watches in one event loop


class _Watch(Watch):
    def __init__(self, *, growth: bool) -> None:
        self.growth = growth
        self._changed = anyio.Event()

    def notify(self) -> None:
        self._changed.set()

    async def wait(self, *, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        # A change between here and the next `wait` sets the new event. One before is seen by the read that follows.
        self._changed = anyio.Event()


class Subscriptions:
    """The watches of all streams in one event loop, for use in engines: call `notify` after each commit.

    The engine is notified of a change once, and wakes all readers of the stream.
    """

    def __init__(self) -> None:
        self._watches: dict[StreamKey, set[_Watch]] = {}

    def notify(self, keys: Iterable[StreamKey] | None = None, *, growth: bool = False) -> None:
        """Wake the watches of these streams.

        Args:
            keys: The streams that changed; None if any may have.
            growth: Whether the change is only new records or notes.
        """
        for key in list(self._watches) if keys is None else keys:
            for watch in self._watches.get(key, ()):
                if watch.growth or not growth:
                    watch.notify()

    @asynccontextmanager
    async def watch(self, key: StreamKey, *, growth: bool = True) -> AsyncGenerator[Watch, None]:
        """Watch one stream; see `EventLog.watch`."""
        watch = _Watch(growth=growth)
        self._watches.setdefault(key, set()).add(watch)
        try:
            yield watch
        finally:
            left = self._watches[key]
            left.discard(watch)
            if not left:
                del self._watches[key]
