"""EventLog: what every engine promises.

In      records, each with the lease of the one writer that a stream has
Out     the records again, from any number on; where each stream stands
Units   sequence numbers; seconds since 1970 for whatever several machines must agree on
Errors  LogError and its kinds
Source  docs/reference/log.md
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from attrs import frozen

from streamfold.log.diagnosis import Damage, Diagnosis, Durability
from streamfold.log.record import Record, StreamKey

__all__ = ["EventLog", "Lease", "Note", "SavedCheckpoint", "StreamInfo", "Watch"]


@frozen
class Lease:
    """The right to write a stream. epoch: minted by the store, higher than every one before.

    next_number: the record that the stream needs next. expires_at: till when no other writer can take it over.
    """

    key: StreamKey
    owner: str
    epoch: int
    next_number: int
    expires_at: float


@frozen(kw_only=True)
class StreamInfo:
    """Where a stream stands. first_number: of its first record. status: how it ended; None while it is open.

    owner, lease_expires_at: of the writer that has it, or had it last. expires_at: when it may be dropped; None: never.
    """

    key: StreamKey
    first_number: int
    next_number: int
    epoch: int
    owner: str = ""
    lease_expires_at: float = 0.0
    status: str | None = None
    is_cancel_requested: bool = False
    created_at: float = 0.0
    expires_at: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more comes."""
        return self.status is not None


@frozen
class SavedCheckpoint:
    """A state that was saved beside the records. cursor: the number of the last record in it."""

    cursor: int
    data: bytes


@frozen
class Note:
    """What happened between two records, as its writer told it: a repair, a cancel, an end.

    kind: one word. text: in words. after: the number of the last record before it; None before the first.
    at: seconds since 1970.
    """

    kind: str
    text: str
    after: int | None
    at: float


class Watch(ABC):
    """Tells of changes of one stream. A change may be told twice, or late, or for nothing; look at the log itself."""

    @abstractmethod
    async def wait(self, *, seconds: float) -> None:
        """Until something may have changed since the last `wait` began, but no longer than this."""

    def told(self, after: int | None) -> Sequence[Record] | None:
        """The records behind a number, as they were told with the change; none where nothing is behind it.

        None where that was not told: read the log.
        """
        return None


class EventLog(ABC):
    """A log of many streams, each the records of one response in their order, with no hole. Use it with `async with`.

    durability: what a record survives, once its append has returned. may_forget: whether a record that was acknowledged
    can be gone after all, as by a failover: a writer keeps what it wrote until the end, and appends it again after LogGap.
    """

    durability: Durability
    may_forget: bool = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Writing

    @abstractmethod
    async def acquire(self, key: StreamKey, *, owner: str, seconds: float, first_number: int = 0) -> Lease:
        """Become the writer of a stream, which is made if there is none; again by the same owner: go on as such.

        Every other writer is fenced from then on. first_number: of the first record, for a stream that is made.
        Raises: LeaseHeld while another owner's lease lasts; InvalidArgument for a first number below 0.
        """

    @abstractmethod
    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """The lease, lasting for so long from now.

        Raises: WriterFenced, UnknownStream.
        """

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Let the next writer have it at once. Does nothing where it was taken over."""

    @abstractmethod
    async def append(self, lease: Lease, records: Sequence[Record], *, status: str | None = None) -> int:
        """Add records, all of them or none; whatever is there already must say the same, and is not added again.

        status: how the response ended: with these records the stream is finished.
        Returns: the number that is needed next.
        Raises: WriterFenced, LogGap, LogConflict, LogClosed, UnknownStream; InvalidArgument for records that do not
        follow one another. Nothing was written then.
        """

    # Reading

    @abstractmethod
    async def info(self, key: StreamKey) -> StreamInfo | None:
        """Where the stream stands; None where there is none."""

    @abstractmethod
    async def read(self, key: StreamKey, *, after: int | None = None, limit: int = 500) -> list[Record]:
        """The records behind a number, or from the first on; at most so many."""

    @abstractmethod
    def watch(self, key: StreamKey, *, growth: bool = True) -> AbstractAsyncContextManager[Watch]:
        """Be told of changes, by whichever process they are made.

        growth: of new records and notes too; else only of what is rare: a cancel that is asked for, the end, a drop.
        Raises: LogUnusable where the log was closed.
        """

    @abstractmethod
    async def list(self, tenant: str, *, after: str | None = None, limit: int = 100) -> Sequence[StreamInfo]:
        """A tenant's streams in the order of their response ids, behind one of these."""

    @abstractmethod
    async def tenants(self, *, after: str | None = None, limit: int = 100) -> Sequence[str]:
        """Who has streams, in order, behind one of them."""

    # Cancels, checkpoints, notes and the end of a stream's life

    @abstractmethod
    async def request_cancel(self, key: StreamKey) -> None:
        """Ask whichever process writes the stream to cancel the response.

        Raises: UnknownStream.
        """

    @abstractmethod
    async def save_checkpoint(self, lease: Lease, checkpoint: SavedCheckpoint) -> None:
        """Keep a state beside the records, in the place of one with the same cursor.

        Raises: WriterFenced, UnknownStream; LogGap where its cursor is beyond the records.
        """

    @abstractmethod
    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        """The newest one whose cursor is not behind `at`."""

    @abstractmethod
    async def note(self, lease: Lease, note: Note) -> None:
        """Keep a note beside the records, behind those that are there.

        Raises: WriterFenced, UnknownStream.
        """

    @abstractmethod
    async def notes(self, key: StreamKey) -> Sequence[Note]:
        """The notes of a stream, in the order in which they were made."""

    @abstractmethod
    async def retain(self, key: StreamKey, *, until: float | None) -> None:
        """Say when the stream may be dropped; None for never.

        Raises: UnknownStream.
        """

    @abstractmethod
    async def expire(self, *, limit: int = 100) -> int:
        """Drop streams whose time has come, at most so many. Returns: how many were dropped."""

    @abstractmethod
    async def drop(self, key: StreamKey) -> bool:
        """Forget the stream and everything beside it. Returns: whether there was one."""

    # The log as a whole

    @abstractmethod
    async def diagnose(self) -> Diagnosis:
        """How the log stands: versions, settings, and what is unsafe about them."""

    @abstractmethod
    async def damages(self) -> Sequence[Damage]:
        """All that is not as it was written, as far as the store can tell. It reads the whole log."""

    @abstractmethod
    async def aclose(self) -> None:
        """Write what is still to be written, and let go of the store. A second call does nothing."""
