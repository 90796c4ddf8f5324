"""How patient a session is: every limit that it keeps.

In      nothing
Out     Patience
Units   seconds, events, bytes
Source  docs/reference/session.md says what each limit is for
"""

from attrs import field, frozen

from streamfold.fold import SequencePolicy
from streamfold.session.backoff import Backoff

__all__ = ["Patience"]


@frozen(kw_only=True)
class Patience:
    """When to wait, for how long, and when to give up.

    sequence_policy: how the gateway's sequence numbers are read.
    backoff: the waits between attempts. max_attempts: attempts in a row that brought nothing new, on each step of the
    repair ladder, before the next step is taken.
    total_seconds: the whole time allowed; None for no bound. stalled_seconds: how long nothing new may come while
    repairing. idle_seconds: the silence after which a connection counts as lost; any byte ends it.
    poll_seconds: between two GETs of a Response that is still open.
    gap_seconds: how long to wait for the event that fills a hole, before resuming. window_events, window_bytes: how
    much is held meanwhile.
    cancel_grace_seconds: how long to go on reading when a cancel was answered. cancel_seconds: how long to try until
    a cancel is proven. batch_cancel_seconds: the same for a batch, which takes minutes.
    max_frame_bytes: the most one SSE block may hold. max_body_bytes: the most any other answer may hold.
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
    cancel_seconds: float = 30.0
    batch_cancel_seconds: float = 900.0
    max_frame_bytes: int = 64 * 1024 * 1024
    max_body_bytes: int = 64 * 1024 * 1024
