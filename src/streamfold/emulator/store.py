"""What the emulator keeps of a Response, the feed of its events, ids, and pages of lists."""

import hashlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

import anyio
from attrs import define, field

from streamfold.emulator.timeline import Ending, Timeline
from streamfold.schema import Dialect
from streamfold.serving import Clock, CreateRequest, Fields, PageQuery, ReadyEvents
from streamfold.sse import Frame


@define(kw_only=True, eq=False)
class StoredResponse:
    """One Response: how it was asked for, and its events in time.

    changed: set, and replaced, when a cancel changes what will happen.
    """

    id: str
    dialect: Dialect
    request: CreateRequest
    created_at: float
    begun: Fields
    timeline: Timeline
    metadata: Mapping[str, str] | None = None
    changed: anyio.Event = field(factory=anyio.Event)

    def response(self, now: float) -> Fields:
        """The Response as it stands, with the metadata of its last update."""
        fields = self.timeline.response(now)
        return fields if self.metadata is None else fields | {"metadata": dict(self.metadata)}

    def cancel(self, ending: Ending, now: float) -> None:
        """Cancel it in this way, and wake everything that waits for its events."""
        self.timeline.cancel(ending, now)
        self.changed.set()
        self.changed = anyio.Event()


class ResponseEvents:
    """The events of a Response as one reader gets them: a source for serving. A place is an index in the timeline."""

    def __init__(self, stored: StoredResponse, clock: Clock, dialect: Dialect, *, obfuscation: bool) -> None:
        self._stored = stored
        self._timeline = stored.timeline
        self._clock = clock
        self._dialect = dialect
        self._obfuscation = obfuscation
        self._hang_ups = stored.timeline.hang_ups

    def next_after(self, place: int, now: float) -> ReadyEvents | float | None:
        """The event at this place, one per write; or the seconds until it is due; None at the end."""
        timeline = self._timeline
        if timeline.hang_ups != self._hang_ups:
            return None
        if entry := timeline.reach(place, now):
            data = entry.data(self._dialect, obfuscation=self._obfuscation)
            return ReadyEvents((Frame(event=entry.type.encode(), data=data),), place + 1)
        return None if timeline.is_over else timeline.next_due - now

    def wait(self, seconds: float) -> Awaitable[None]:
        """Return after so many seconds, or as soon as a cancel changes what will happen."""
        return self._clock.wait(seconds, self._stored.changed)


class IdSource:
    """Ids that are the same in every run with the same seed: a prefix and 32 hexadecimal digits."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._given = 0

    def next(self, prefix: str) -> str:
        """A new id."""
        self._given += 1
        digest = hashlib.blake2b(f"{self._seed}.{self._given}".encode(), digest_size=16).hexdigest()
        return f"{prefix}_{digest}"


def page(objects: Iterable[Mapping[str, Any]], query: PageQuery) -> Fields:
    """One page of a list of objects that are given oldest first."""
    ordered: Sequence[Mapping[str, Any]] = list(objects)
    ordered = ordered[::-1] if query.order == "desc" else ordered
    ids = [each.get("id") for each in ordered]
    start = ids.index(query.after) + 1 if query.after in ids else 0
    end = ids.index(query.before) if query.before in ids else len(ids)
    data = ordered[start:end][: query.limit]
    return {
        "object": "list",
        "data": data,
        "has_more": len(ordered[start:end]) > len(data),
        "first_id": data[0].get("id") if data else None,
        "last_id": data[-1].get("id") if data else None,
    }
