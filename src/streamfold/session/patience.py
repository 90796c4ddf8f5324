"""Every limit that a session keeps, and the waits between its attempts."""

from attrs import field, frozen

from streamfold.fold import SequencePolicy
from streamfold.sse import MAX_FRAME_BYTES


@frozen(kw_only=True)
class Backoff:
    """Waits that double, each chosen at random from the whole range below its bound ("full jitter").

    Clients that lost their connections together must not all come back at the same moment, so the lower half is used
    too.

    Attributes:
        first_seconds: The bound of the first wait.
        max_seconds: The bound of every wait.
        max_retry_after_seconds: How long a wait the server may ask for; a longer one is reduced to this.
    """

    first_seconds: float = 0.5
    max_seconds: float = 8.0
    max_retry_after_seconds: float = 120.0

    def seconds(self, attempt: int, *, jitter: float, retry_after_seconds: float = 0.0) -> float:
        """Return the wait before an attempt.

        Args:
            attempt: Counts from 0.
            jitter: A random number in [0, 1).
            retry_after_seconds: What the server asked for; the wait is never shorter, up to its bound.
        """
        # 2 ** 30 is beyond any bound, and a power without a limit would overflow.
        bound = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempt, 30))
        return max(jitter * bound, min(retry_after_seconds, self.max_retry_after_seconds))


@frozen(kw_only=True)
class Patience:
    """How long to wait for a response, and when to give up.

    Attributes:
        sequence_policy: How the gateway's sequence numbers are read.
        backoff: The waits between attempts.
        max_attempts: Attempts in a row without anything new, on each step of the repair ladder, before the next step.
        total_seconds: The whole time allowed; None for no limit.
        stalled_seconds: How long a repair may go without anything new.
        idle_seconds: The silence after which a connection counts as lost. Any byte counts.
        poll_seconds: The pause between two GETs of a Response that is still open.
        gap_seconds: How long to wait for a missing event before resuming.
        window_events: How many events after a gap are held in the meantime.
        window_bytes: How much of their data is held.
        cancel_grace_seconds: How long to keep reading after an end was reported; and how long a foreground response is
            kept open for its cancel to be confirmed.
        cancel_check_seconds: How long after a report of `cancelled` a GET asks again, because a server may take it back;
            and how long after leaving a foreground response one asks how it ended.
        cancel_seconds: How long to look for proof of a cancel.
        batch_cancel_seconds: The same for a batch, which takes minutes.
        max_frame_bytes: The most that one SSE block may hold.
        max_body_bytes: The most that any other answer may hold.
    """

    sequence_policy: SequencePolicy = SequencePolicy.STRICT
    backoff: Backoff = field(factory=Backoff)
    max_attempts: int = 5
    total_seconds: float | None = None
    stalled_seconds: float = 600.0
    idle_seconds: float = 60.0
    poll_seconds: float = 2.0
    gap_seconds: float = 0.5
    window_events: int = 256
    window_bytes: int = 8 * 1024 * 1024
    cancel_grace_seconds: float = 5.0
    cancel_check_seconds: float = 3.0
    cancel_seconds: float = 30.0
    batch_cancel_seconds: float = 900.0
    max_frame_bytes: int = MAX_FRAME_BYTES
    max_body_bytes: int = 64 * 1024 * 1024
