"""What an emulator saw: each request and how its answer ended, and how often each kind of thing happened.

In      requests as they come, and their ends
Out     a list of entries, counters, JSON
Units   requests
Errors  none
Source  docs/reference/emulator.md

It may be read from any thread at any time. No key and no payload is in it.
"""

from collections import Counter, deque
from typing import Any

from attrs import asdict, define

__all__ = ["Journal", "Visit"]

MOST_VISITS = 10_000


@define(kw_only=True, eq=False)
class Visit:
    """One request. ended: `open`, `complete`, `disconnected` by the client, or `cut` by a fault.

    status: of the answer; 0 before it, and for an answer that never came. faults: those that were asked of it, as text.
    events: how many were sent, comments not counted.
    """

    request_id: str
    method: str
    path: str
    query: str
    status: int = 0
    ended: str = "open"
    events: int = 0
    faults: str = ""


class Journal:
    """The last 10,000 requests, and counters of all: requests, creates, resumes, cancels, disconnects, cuts, webhooks."""

    def __init__(self) -> None:
        self.visits: deque[Visit] = deque(maxlen=MOST_VISITS)
        self.counters: Counter[str] = Counter()

    def count(self, what: str) -> None:
        """One more of these."""
        self.counters[what] += 1

    def begin(self, visit: Visit) -> Visit:
        """Note a request."""
        self.count("requests")
        self.visits.append(visit)
        return visit

    def end(self, visit: Visit, how: str) -> None:
        """Note how its answer ended; what comes first counts."""
        if visit.ended == "open":
            visit.ended = how
            if how != "complete":
                self.count({"disconnected": "disconnects", "cut": "cuts"}[how])

    def as_fields(self) -> dict[str, Any]:
        """All of it, as what JSON can say."""
        return {"counters": dict(self.counters), "visits": [asdict(each) for each in list(self.visits)]}
