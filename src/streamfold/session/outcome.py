"""How a response ended, and what proves it."""

from enum import StrEnum, auto

from attrs import frozen

from streamfold.errors import OutcomeError
from streamfold.fold import Anomaly, State


class OutcomeStatus(StrEnum):
    """How it ended. The first five are statuses of the API."""

    COMPLETED = auto()
    INCOMPLETE = auto()
    FAILED = auto()
    CANCELLED = auto()
    EXPIRED = auto()
    ABANDONED = auto()
    """The client disconnected; the response may continue at the gateway, and be billed."""
    LOST = auto()
    """Nothing more can be learned about it. The state holds what was folded."""

    @classmethod
    def of(cls, state: State) -> "OutcomeStatus":
        """The status of a terminal state."""
        return cls(state.status or "")


class Proof(StrEnum):
    """Where the final status came from."""

    TERMINAL_EVENT = auto()
    RETRIEVED = auto()
    CANCEL_ANSWER = auto()


class CancelResult(StrEnum):
    """The result of a cancel."""

    CANCEL_WON = auto()
    COMPLETION_WON = auto()
    """It ended by itself while the cancel was on its way."""
    ALREADY_TERMINAL = auto()
    """It had ended before the cancel was asked for."""
    UNCONFIRMED = auto()
    """Nothing proved the cancel in time. It may still take effect."""
    NOT_ALLOWED = auto()
    """The gateway refused the key, with 401 or 403. The response is still followed."""
    LEFT = auto()
    """The cancel of a foreground response was not confirmed, so its connection was closed: see OutcomeStatus.ABANDONED."""


class RepairKind(StrEnum):
    """The steps of the repair ladder, in their order."""

    RESUME = auto()
    REPLAY = auto()
    RETRIEVE = auto()


STREAMS = frozenset({RepairKind.RESUME, RepairKind.REPLAY})


@frozen
class Repair:
    """One step taken to repair a broken stream. after: The cursor at that moment. at: The session's time."""

    kind: RepairKind
    reason: str
    after: int | None
    at: float


@frozen
class Conflict:
    """Two reports of how a response ended that cannot both be true, and their sources."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first}, but {self.second}"


@frozen
class Duplicates:
    """Events that were dropped because they were known already.

    Attributes:
        count: How many.
        differed: Whether one of them said something else than the event that was applied with its number.
    """

    count: int = 0
    differed: bool = False


@frozen(kw_only=True)
class Outcome:
    """How one response ended.

    Attributes:
        status: How it ended.
        state: The final state; if it was lost or abandoned, everything folded so far.
        proof: Where the final status came from; None if it was lost or abandoned.
        cancel: The result of a cancel; None if none was requested.
        repairs: Every repair of the stream, in order.
        conflicts: Contradictory reports of how it ended.
        is_compacted: Whether the final Response holds text whose events were never seen. A replay event by event is
            then incomplete after `compacted_after`.
        compacted_after: The last sequence number before the missing part; None if no event was seen before it.
        duplicates: The events that were dropped because they were known already.
        reason: Why it did not complete: the server's own words first, if it said any, then why it was lost or
            abandoned. Empty if it completed.
        code: The code of the server's error; None if it gave none.
        response_id: The response's id; None if it never arrived.
    """

    status: OutcomeStatus
    state: State
    proof: Proof | None = None
    cancel: CancelResult | None = None
    repairs: tuple[Repair, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    is_compacted: bool = False
    compacted_after: int | None = None
    duplicates: Duplicates = Duplicates()
    reason: str = ""
    code: str | None = None
    response_id: str | None = None

    def raise_for_status(self) -> "Outcome":
        """Return this outcome if the response completed; otherwise raise.

        Raises:
            ResponseFailed: It failed; the error has the gateway's reason and code.
            ResponseIncomplete: It stopped at a limit.
            ResponseCancelled: It was cancelled.
            ResponseLost: Nothing more could be learned about it.
            OutcomeError: It ended in another way, such as abandoned.
        """
        if self.status is OutcomeStatus.COMPLETED:
            return self
        raise OutcomeError.of(self.response_id, str(self.status), self.reason, self.code)

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What the fold tolerated."""
        return self.state.anomalies
