"""Where in the Response an event's text or value belongs, and what to create where nothing stands.

In      an event, which names its item and part by index, never by id
Out     a path into `output`, and the shell of an item or part that was never added
Units   indexes count from 0 and end at MAX_INDEX
Source  the fold operations of docs/reference/events.md; ids change from event to event behind one gateway

The `shell` of an item or part is the least that makes it one: its type, and its id where the event gives one.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import Struct

from streamfold.fold.text import Text
from streamfold.fold.tree import Object, Path

__all__ = ["MAX_INDEX", "Place", "are_within_bounds", "shell"]

MAX_INDEX = 9_999
"""The highest index an event may carry: 10,000 items, parts, annotations or commands."""


class Place(Struct, frozen=True, gc=False):
    """Where events of one kind point to.

    item_type: the item they belong to. list_path: the keys from the item to a list; empty where the item itself is
    meant. index_of: reads the event's index in that list. part_type: what the list holds; empty for plain values.
    tail: the keys from there to the value.
    """

    item_type: str
    list_path: tuple[str, ...] = ()
    index_of: Callable[[object], Any] = attrgetter("output_index")
    part_type: str = ""
    tail: tuple[str, ...] = ()

    def part_path(self, event: Any) -> Path:
        """The path of the part that the event speaks of; of the item, where the event speaks of no part."""
        return (event.output_index, *self.list_path, self.index_of(event)) if self.list_path else (event.output_index,)

    def path(self, event: Any) -> Path:
        """The path of the value that the event changes."""
        if self.list_path:
            return (event.output_index, *self.list_path, self.index_of(event), *self.tail)
        return (event.output_index, *self.tail)


def are_within_bounds(path: Path) -> bool:
    """Whether every index in this path may be one."""
    for key in path:
        if type(key) is int and not 0 <= key <= MAX_INDEX:
            return False
    return True


def shell(kind: str, *, item_id: str | None = None) -> Object:
    """An item or a part with nothing in it yet."""
    fields = {"type": kind, "id": item_id, "role": "assistant" if kind == "message" else None}
    return Object({name: Text().push(value) for name, value in fields.items() if value is not None})
