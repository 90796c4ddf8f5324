"""What an emulator saw: each request and how its answer ended, and counters.

It may be read from any thread at any time. It holds no key and no payload.
"""

from collections import Counter, deque
from collections.abc import Callable
from threading import Condition
from typing import Any

from attrs import define

MOST_VISITS = 10_000
MOST_SHOWN = 500  # characters of a path or a query


@define(kw_only=True, eq=False)
class Visit:
    """One request.

    status: of the answer; 0 before there is one. ended: `open`, `complete`, `disconnected` by the client, or `cut` by a
    fault. events: how many were sent; comments do not count. faults: what went wrong on purpose, as text.
    """

    request_id: str
    method: str
    path: str
    query: str
    status: int = 0
    ended: str = "open"
    events: int = 0
    faults: str = ""

    @classmethod
    def of(cls, method: str, path: str, query: str) -> "Visit":
        """A visit that has only begun. A long path or query is cut, because many visits are kept."""
        return cls(request_id="", method=method, path=_cut(path), query=_cut(query))

    def as_fields(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {name: getattr(self, name) for name in SHOWN}


SHOWN = ("request_id", "method", "path", "query", "status", "ended", "events", "faults")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."


class Journal:
    """The last 10,000 requests as `visits`, and `counters` of all.

    The counters are requests, creates, resumes, cancels, batch_cancels, disconnects, cuts, webhooks and webhook_failures.
    """

    def __init__(self) -> None:
        self.visits: deque[Visit] = deque(maxlen=MOST_VISITS)
        self.counters: Counter[str] = Counter()
        self._changed = Condition()

    def wait_for(self, claim: Callable[["Journal"], bool], *, timeout_seconds: float) -> bool:
        """Block until `claim(journal)` is true. Not for the thread that the emulator runs in.

        Returns:
            Whether it is; False once the time is up.
        """
        with self._changed:
            return self._changed.wait_for(lambda: claim(self), timeout_seconds)

    def count(self, what: str) -> None:
        """Increment a counter."""
        with self._changed:
            self.counters[what] += 1
            self._changed.notify_all()

    def begin(self, visit: Visit) -> Visit:
        """Record a request."""
        with self._changed:
            self.visits.append(visit)
            self.count("requests")
        return visit

    def end(self, visit: Visit, how: str) -> bool:
        """Record how its answer ended. Returns: whether this was the first end, which is the one that counts."""
        with self._changed:
            if visit.ended != "open":
                return False
            visit.ended = how
            if how != "complete":
                self.count({"disconnected": "disconnects", "cut": "cuts"}[how])
            self._changed.notify_all()
            return True

    def as_fields(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {"counters": dict(self.counters), "visits": [each.as_fields() for each in list(self.visits)]}
