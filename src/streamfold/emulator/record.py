"""What an emulator keeps: Responses and Batches, each of one tenant, in the order they were made.

In      records with an id
Out     a record by tenant and id, or a page of a tenant's records
Units   none
Errors  none: another tenant's id is as unknown as one that was never given
Source  docs/reference/emulator.md
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from attrs import define

from streamfold.emulator.query import PageQuery
from streamfold.emulator.request import CreateRequest, Fields
from streamfold.emulator.timeline import Timeline
from streamfold.schema import Dialect

__all__ = ["Names", "Record", "Shelf", "page"]


@define(kw_only=True, eq=False)
class Record:
    """One Response: how it was asked for, and its events in time."""

    id: str
    tenant: str
    dialect: Dialect
    request: CreateRequest
    created_at: float
    begun: Fields
    timeline: Timeline
    metadata: Mapping[str, str] | None = None

    def response(self, now: float) -> Fields:
        """The Response as it stands, with its metadata as they were last set."""
        fields = self.timeline.response(now)
        return fields if self.metadata is None else fields | {"metadata": dict(self.metadata)}


class HasOwner(Protocol):
    """What a Shelf keeps."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...


T = TypeVar("T", bound=HasOwner)


class Shelf(Generic[T]):
    """Records by tenant and id."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], T] = {}

    def put(self, record: T) -> None:
        """Keep a record, the newest now."""
        self._records[record.tenant, record.id] = record

    def find(self, tenant: str, id: str) -> T | None:
        """The tenant's record of this id."""
        return self._records.get((tenant, id))

    def drop(self, tenant: str, id: str) -> None:
        """Forget a record; one that is not there is forgotten already."""
        self._records.pop((tenant, id), None)

    def of(self, tenant: str) -> list[T]:
        """The tenant's records, oldest first."""
        return [record for (owner, _), record in self._records.items() if owner == tenant]


class Names:
    """Ids that are the same in every run of the same seed: a prefix and 32 hexadecimal digits."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._given = 0

    def next(self, prefix: str) -> str:
        """An id that was not given before."""
        self._given += 1
        digest = hashlib.blake2b(f"{self._seed}.{self._given}".encode(), digest_size=16).hexdigest()
        return f"{prefix}_{digest}"


def page(objects: Iterable[Mapping[str, Any]], query: PageQuery) -> Fields:
    """One page of a list of objects that come oldest first."""
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
