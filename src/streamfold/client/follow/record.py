"""Record a followed response: what its reader is given is in the log first.

In      a FollowedResponse that is not entered yet, and an EventLog
Out     the same response: whatever is read of it was appended before
Units   events; seconds
Errors  InvalidArgument, UsageError; and to whoever enters or reads, LogError and its kinds
Source  docs/how-to/record-and-resume.md
"""

from streamfold.client.follow.follow import FollowedResponse
from streamfold.client.follow.recorder import LEASE_SECONDS, Recorder, Recording
from streamfold.log import EventLog

__all__ = ["record"]


def record(
    response: FollowedResponse,
    log: EventLog,
    *,
    tenant: str = "",
    owner: str | None = None,
    max_behind: int = 0,
    lease_seconds: float = LEASE_SECONDS,
    retain_seconds: float | None = None,
) -> FollowedResponse:
    """The same response, recorded: `async with record(gateway.stream(...), log) as response`.

    What the log has of it is known once it is entered, and it is followed on from there.
    tenant: whose stream it is. owner: who writes it; None for this process alone. max_behind: how many events the
    reader may be given before they are in the log, for a third of lease_seconds at most. lease_seconds: how long
    another process waits for a writer that died. retain_seconds: how long the stream is kept once it is finished; None for ever.
    Raises: InvalidArgument; UsageError for a response that was entered; inside `async with`, LeaseHeld where another
    process records it, and any LogError that an event met on its way into the log: the next read tries again.
    """
    how = Recording(
        tenant=tenant,
        owner=owner,
        max_behind=max_behind,
        lease_seconds=lease_seconds,
        retain_seconds=retain_seconds,
    )
    response.keep_in(Recorder(log, how))
    return response
