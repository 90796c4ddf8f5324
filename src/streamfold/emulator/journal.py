"""What an emulator saw: each request and how its answer ended, and how often each kind of thing happened.

In      requests as they come, and their ends
Out     a list of entries, counters, JSON
Units   requests
Errors  none
Source  docs/reference/emulator.md

It may be read from any thread at any time. No key and no payload is in it.
"""

from collections import Counter, deque
from collections.abc import Callable
from threading import Condition
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
        self._changed = Condition()

    def wait_for(self, claim: Callable[["Journal"], bool], *, timeout_seconds: float) -> bool:
        """Block this thread, which is not the server's, until the claim about this journal holds.

        Returns: whether it does; False once the time is up.
        """
        with self._changed:
            return self._changed.wait_for(lambda: claim(self), timeout_seconds)

    def count(self, what: str) -> None:
        """One more of these."""
        with self._changed:
            self.counters[what] += 1
            self._changed.notify_all()

    def begin(self, visit: Visit) -> Visit:
        """Note a request."""
        with self._changed:
            self.visits.append(visit)
            self.count("requests")
        return visit

    def end(self, visit: Visit, how: str) -> None:
        """Note how its answer ended; what comes first counts."""
        with self._changed:
            if visit.ended == "open":
                visit.ended = how
                if how != "complete":
                    self.count({"disconnected": "disconnects", "cut": "cuts"}[how])
                self._changed.notify_all()

    def as_fields(self) -> dict[str, Any]:
        """All of it, as what JSON can say."""
        return {"counters": dict(self.counters), "visits": [asdict(each) for each in list(self.visits)]}
