"""What became of a response, and how that is known.

In      nothing
Out     Outcome, and the words it is made of
Units   sequence numbers; seconds of the session's clock
Source  docs/reference/outcomes.md
"""

from enum import StrEnum, auto
from typing import TypeAlias

from attrs import frozen

from streamfold.fold import Anomaly, State

__all__ = ["CancelResult", "Conflict", "Outcome", "OutcomeStatus", "Proof", "Repair", "RepairKind"]


class OutcomeStatus(StrEnum):
    """How it ended. The first five are statuses of the API."""

    COMPLETED = auto()
    INCOMPLETE = auto()
    FAILED = auto()
    CANCELLED = auto()
    EXPIRED = auto()
    ABANDONED = auto()
    """We left it: it may go on at the gateway, and be billed."""
    LOST = auto()
    """Nothing more can be learned of it. What was folded is held."""


class Proof(StrEnum):
    """Where the final word came from."""

    TERMINAL_EVENT = auto()
    RETRIEVED = auto()
    CANCEL_ANSWER = auto()


class CancelResult(StrEnum):
    """What a cancel came to."""

    CANCEL_WON = auto()
    COMPLETION_WON = auto()
    """It ended by itself while the cancel was on its way."""
    ALREADY_TERMINAL = auto()
    """It had ended before."""
    UNCONFIRMED = auto()
    """The gateway gave no proof in time. The cancel may still take effect."""
    NOT_ALLOWED = auto()
    """The gateway refused it to whoever asked, with 401 or 403. The response is followed on."""
    REFUSED = auto()
    """A foreground response is cancelled by leaving it, and so it was left: see OutcomeStatus.ABANDONED."""


class RepairKind(StrEnum):
    """The steps of the ladder, in their order."""

    RESUME = auto()
    REPLAY = auto()
    RETRIEVE = auto()


@frozen
class Repair:
    """One step taken to mend a broken stream. after: the cursor then. at: the session's time."""

    kind: RepairKind
    reason: str
    after: int | None
    at: float


@frozen
class Conflict:
    """Two answers about one end that cannot both be true, and which sources gave them."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first}, but {self.second}"


Anomalies: TypeAlias = tuple[Anomaly, ...]


@frozen(kw_only=True)
class Outcome:
    """One response, at its end.

    proof: None for what could not be proven: abandoned and lost. cancel: what a cancel came to, if one was asked.
    is_compacted: whether the last Response holds text whose events were never seen: a replay event by event is not
    promised behind compacted_after, which is None where not one event was seen before.
    reason: why it was lost or abandoned; empty otherwise.
    """

    status: OutcomeStatus
    state: State
    proof: Proof | None = None
    cancel: CancelResult | None = None
    repairs: tuple[Repair, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    is_compacted: bool = False
    compacted_after: int | None = None
    reason: str = ""

    @property
    def anomalies(self) -> Anomalies:
        """What the fold tolerated."""
        return self.state.anomalies
