"""Where an event without an index goes.

To the item with its `item_id`; else to the item that was opened last, of those to which it may belong; if there is none,
to a new one. An `output_item.added` opens a new item, an `output_item.done` closes the item with its id, or the open one of
its type. Parts, commands and annotations follow the same rule inside their item. Where there is an index, it alone
decides.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import Any

from msgspec import structs

from streamfold.fold.state import Document
from streamfold.fold.target import TARGETS, Target, type_of
from streamfold.fold.tree import Array, Node, Path, find, opened, text_of
from streamfold.schema import event as wire

# An Array keeps its values in the order in which they were opened, and `Document.closed` has the paths of those that a
# done event closed. So nothing else needs to be remembered about what was opened last.

ADDED = frozenset(
    {
        wire.OutputItemAdded,
        wire.ContentPartAdded,
        wire.ReasoningPartAdded,
        wire.ReasoningSummaryPartAdded,
        wire.ShellCallCommandAdded,
    }
)
DONE = frozenset({wire.OutputItemDone, wire.ContentPartDone, wire.ReasoningPartDone, wire.ReasoningSummaryPartDone})


def _reader(kind: type, target: Target | None) -> Callable[[object], tuple[Any, ...]]:
    """Reads all indexes of an event; a tuple even of one, which is why the first is read twice."""
    names = ["output_index", "output_index" if target is None else target.index]
    if kind is wire.OutputTextAnnotationAdded:
        names.append("annotation_index")
    return attrgetter(*names)


INDEXES_OF: Mapping[type, Callable[[object], tuple[Any, ...]]] = {
    **{kind: _reader(kind, target) for kind, target in TARGETS.items()},
    **{kind: _reader(kind, None) for kind in (wire.OutputItemAdded, wire.OutputItemDone)},
}
"""Reads the indexes that an event of each type needs; None where the server sent none."""


def lacks_index(event: object) -> bool:
    """Whether the server left out an index that the event needs."""
    indexes = INDEXES_OF.get(type(event))
    return indexes is not None and None in indexes(event)


def located(document: Document, event: Any) -> Any:
    """The event with the indexes that it lacks."""
    target = TARGETS.get(event.__class__)
    if event.output_index is None:
        index = _index_of_own(document, event) if target is None else _index_by_id(document, event, target)
        event = structs.replace(event, output_index=index)
    if target is None or not target.list_path:
        return event
    if getattr(event, target.index) is None:
        event = structs.replace(event, **{target.index: _index_in_list(document, event, target)})
    if isinstance(event, wire.OutputTextAnnotationAdded) and event.annotation_index is None:
        event = structs.replace(event, annotation_index=_next(_array(document, target.path(event))))
    return event


def path_of_added(document: Document, event: wire.OutputItemAdded | wire.ContentPartAdded) -> Path:
    """The path of the item or part that this event has just added: without an index, the one opened last."""
    output, index = document.output, event.output_index
    index = next(reversed(output), 0) if index is None else index
    if isinstance(event, wire.OutputItemAdded):
        return (index,)
    parts = _array(document, (index, "content"))
    part = event.content_index
    return (index, "content", next(reversed(parts), 0) if part is None else part)


def _index_of_own(document: Document, event: wire.ItemEvent) -> int:
    """The index of the item that the event carries."""
    output = document.output
    if type(event) in ADDED:
        return _next(output)
    kind = type_of(event.item)
    is_open = (index for index in reversed(output) if (index,) not in document.closed)
    of_its_type = (index for index in is_open if type_of(output[index]) == kind)
    return next(chain(_with_id(document, _id_of(event.item)), of_its_type), _next(output))


def _index_by_id(document: Document, event: Any, target: Target) -> int:
    """The index of the item to which the event belongs."""
    output = document.output
    fitting = (index for index in _latest_first(output, document.closed, ()) if target.fits_item(output[index]))
    return next(chain(_with_id(document, getattr(event, "item_id", None)), fitting), _next(output))


def _index_in_list(document: Document, event: Any, target: Target) -> int:
    """The index of the part to which the event belongs, in its item."""
    path = (event.output_index, *target.list_path)
    parts = _array(document, path)
    if type(event) in ADDED:
        return _next(parts)
    fitting = (index for index in _latest_first(parts, document.closed, path) if target.fits_part(parts[index]))
    if type(event) in DONE:
        fitting = (index for index in fitting if (*path, index) not in document.closed)
    return next(fitting, _next(parts))


def _with_id(document: Document, item_id: str | None) -> Iterator[int]:
    """The indexes of the items with this id, if there is one."""
    if item_id:
        latest = _latest_first(document.output, document.closed, ())
        yield from (index for index in latest if _id_of(document.output[index]) == item_id)


def _latest_first(array: Array, closed: frozenset[Path], path: Path) -> Iterator[int]:
    """The indexes of an array's values, the one that was opened last first, and the closed ones at the end."""
    yield from (index for index in reversed(array) if (*path, index) not in closed)
    yield from (index for index in reversed(array) if (*path, index) in closed)


def _array(document: Document, path: Path) -> Array:
    array = opened(find(document.output, path))
    return array if isinstance(array, Array) else Array()


def _next(array: Array) -> int:
    return max(array, default=-1) + 1


def _id_of(item: Node | None) -> str:
    return str(text_of(find(item, ("id",))) or "")
