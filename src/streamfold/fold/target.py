"""Where in the Response an event points to, and what to create if nothing is there yet.

An event names its item and part by index, never by id, because one gateway gives an item a new id with every event.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import Struct

from streamfold.fold.text import Text
from streamfold.fold.tree import Object, Path

MAX_INDEX = 9_999
"""The highest index an event may carry: 10,000 items, parts, annotations or commands."""


class Target(Struct, frozen=True, gc=False):
    """Where events of one kind point to.

    Attributes:
        item_type: The type of the item they belong to.
        list_path: The keys from the item to a list; empty if the event means the item itself.
        index_of: Reads the event's index in that list.
        part_type: The type of the parts in the list; empty if it holds plain values.
        tail: The keys from the part, or from the item, to the value.
    """

    item_type: str
    list_path: tuple[str, ...] = ()
    index_of: Callable[[object], Any] = attrgetter("output_index")
    part_type: str = ""
    tail: tuple[str, ...] = ()

    def part_path(self, event: Any) -> Path:
        """The path of the part that the event names, or of the item if it names no part."""
        return (event.output_index, *self.list_path, self.index_of(event)) if self.list_path else (event.output_index,)

    def path(self, event: Any) -> Path:
        """The path of the value that the event changes."""
        if self.list_path:
            return (event.output_index, *self.list_path, self.index_of(event), *self.tail)
        return (event.output_index, *self.tail)


def are_within_bounds(path: Path) -> bool:
    """Whether every index in this path is from 0 to MAX_INDEX."""
    for key in path:
        if type(key) is int and not 0 <= key <= MAX_INDEX:
            return False
    return True


def skeleton(kind: str, *, item_id: str | None = None) -> Object:
    """The least that makes an item or part: its type, and its id if the event gives one."""
    fields = {"type": kind, "id": item_id, "role": "assistant" if kind == "message" else None}
    return Object({name: Text().push(value) for name, value in fields.items() if value is not None})
