"""What the emulator keeps of a Response and for how long, the feed of its events, ids, and pages of lists."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from attrs import define, field

from streamfold.emulator.timeline import Ending, Timeline
from streamfold.schema import Dialect
from streamfold.serving import Clock, CreateRequest, Fields, PageQuery, ReadyEvents
from streamfold.sse import Frame

T = TypeVar("T")

REMEMBERED = 10_000  # ids of what was dropped, so that a request for one can say so


class Shelf(Generic[T]):
    """What was created, by tenant and id, oldest first, within a number of entries and of bytes.

    New entries replace those that are over, the oldest first. What still runs is never dropped, so a shelf can be full.

    Args:
        most: The largest number of entries.
        most_bytes: The largest sum of their sizes.
    """

    def __init__(self, most: int, most_bytes: float) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.bytes: int = 0
        self._kept: dict[tuple[str, str], tuple[T, int]] = {}
        self._dropped: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: tuple[str, str]) -> T | None:
        """The entry; None if there is none, or none any more."""
        found = self._kept.get(key)
        return found[0] if found else None

    def was_dropped(self, key: tuple[str, str]) -> bool:
        """Whether there was such an entry, which a newer one replaced."""
        return key in self._dropped

    def of(self, tenant: str) -> list[T]:
        """The entries of a tenant."""
        return [value for (owner, _), (value, _) in self._kept.items() if owner == tenant]

    def add(self, key: tuple[str, str], value: T, size: int) -> None:
        """Keep an entry that fits."""
        self.remove(key)
        self._kept[key] = value, size
        self.bytes += size

    def remove(self, key: tuple[str, str]) -> None:
        """Forget an entry, if it is there."""
        if found := self._kept.pop(key, None):
            self.bytes -= found[1]

    def make_room(self, size: int, is_over: Callable[[T], bool]) -> bool:
        """Drop the oldest entries that are over until one of this size fits.

        Returns:
            Whether it fits.
        """
        if self._fits(size):
            return True
        for key, (value, _) in list(self._kept.items()):
            if is_over(value):
                self.remove(key)
                self._dropped[key] = None
                if len(self._dropped) > REMEMBERED:
                    self._dropped.popitem(last=False)
                if self._fits(size):
                    return True
        return False

    def _fits(self, size: int) -> bool:
        return len(self._kept) < self.most and self.bytes + size <= self.most_bytes


@define(kw_only=True, eq=False)
class StoredResponse:
    """One Response: how it was asked for, and its events in time.

    changed: set, and replaced, when a cancel changes what will happen. is_hidden: whether it is not to be retrieved,
    because it was created with store=false.
    """

    id: str
    dialect: Dialect
    request: CreateRequest
    created_at: float
    begun: Fields
    timeline: Timeline
    metadata: Mapping[str, str] | None = None
    is_hidden: bool = False
    changed: anyio.Event = field(factory=anyio.Event)

    def response(self, now: float) -> Fields:
        """The Response as it stands, with the metadata of its last update."""
        fields = self.timeline.response(now)
        return fields if self.metadata is None else fields | {"metadata": dict(self.metadata)}

    async def catch_up(self, now: float) -> None:
        """Let everything happen that is due by now, in slices, so that a long answer holds nobody else up."""
        while not self.timeline.catch_up(now):
            await checkpoint()

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
    ordered = list(objects)
    ordered = ordered[::-1] if query.order == "desc" else ordered
    part, has_more = cut_page(ordered, [str(each.get("id")) for each in ordered], query)
    return page_of(part, has_more=has_more)


def cut_page(ordered: Sequence[T], ids: Sequence[str], query: PageQuery) -> tuple[Sequence[T], bool]:
    """The entries on a page, in the order of the list; and whether there are more after them."""
    start = ids.index(query.after) + 1 if query.after in ids else 0
    end = ids.index(query.before) if query.before in ids else len(ids)
    found = ordered[start:end]
    return found[: query.limit], len(found) > query.limit


def page_of(data: Sequence[Mapping[str, Any]], *, has_more: bool) -> Fields:
    """A page with these objects."""
    return {
        "object": "list",
        "data": data,
        "has_more": has_more,
        "first_id": data[0].get("id") if data else None,
        "last_id": data[-1].get("id") if data else None,
    }
