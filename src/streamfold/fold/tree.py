"""A JSON value that is opened only where an event touches it.

In      JSON bytes as the server sent them, and edits at a path of keys and indexes
Out     a new tree that shares all but the path; JSON bytes again
Units   indexes count from 0; an array may have holes until the events that fill them come
Errors  none for any JSON: an edit that does not fit the value it meets is answered with None
Source  the fold operations of docs/reference/events.md

Whatever no event touches stays the bytes that came: numbers keep their spelling, unknown fields survive, and an item
of a megabyte costs nothing until somebody looks inside. The nodes are never changed in place, so states share them.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from streamfold.fold.text import Text
from streamfold.schema import UNDECODABLE

__all__ = [
    "NULL",
    "Array",
    "Change",
    "Elements",
    "Node",
    "Object",
    "Path",
    "edit",
    "encode",
    "find",
    "opened",
    "text_of",
    "whole_characters",
]


class Elements(Struct, frozen=True, gc=False):
    """An array that only grows: the JSON of its elements, with commas between, as one growing text."""

    json: Text


class Object(dict[str, "Node"]):
    """A JSON object, opened."""

    __slots__ = ()


class Array(dict[int, "Node"]):
    """A JSON array, opened: index to value, with holes where nothing came yet."""

    __slots__ = ()


Node: TypeAlias = Raw | Text | Elements | Object | Array
Path: TypeAlias = tuple[str | int, ...]
Change: TypeAlias = Callable[[Node | None], Node | None]
NULL = Raw(b"null")

_encode = Encoder().encode
_decode_container: Callable[[Raw], dict[str, Raw] | list[Raw]] = Decoder(dict[str, Raw] | list[Raw]).decode
_decode_text = Decoder(str).decode


def opened(node: Node | None) -> Node | None:
    """The node with its outermost bytes read, if they are an object or an array; else the node itself."""
    if type(node) is not Raw:
        return node
    try:
        container = _decode_container(node)
    except UNDECODABLE:
        return node
    return Object(container) if isinstance(container, dict) else Array(enumerate(container))


def nothing(depth: int) -> None:
    """What to put where nothing stands, when nothing is known."""


def find(node: Node | None, path: Path) -> Node | None:
    """What stands at this path; None where nothing does."""
    for key in path:
        kind: Any = Object if type(key) is str else Array  # Any: one code for keys and for indexes
        container: Any = opened(node) if type(node) is Raw else node
        if not isinstance(container, kind):
            return None
        node = container.get(key)
    return node


def edit(root: Node | None, path: Path, change: Change, missing: Callable[[int], Node | None] = nothing) -> Node | None:
    """The tree with `change` made to what stands at this path; what lacks on the way there is created.

    missing: asked for what to put where nothing stands, with the number of keys that lead there; where it knows
    nothing either, an empty object or array is made, and `change` is given None.
    Returns: the new tree; the very same one where `change` gave back what it was given; None where a value on the way
    can hold no such key, or `change` gave None.
    """
    top: Node | None = None
    holder: Any = None
    last: Any = None
    node: Any = root
    found: Any = root
    for depth, key in enumerate(path, 1):
        kind: Any = Object if type(key) is str else Array  # Any: one code for keys and for indexes
        copy: Any = None
        if type(node) is kind:
            copy = kind(node)
        elif node is None or node == NULL:
            copy = kind()
        else:
            copy = opened(node)
            if type(copy) is not kind:
                return None
        if holder is None:
            top = copy
        else:
            holder[last] = copy
        holder, last = copy, key
        node = found = copy.get(key)
        if node is None or node == NULL:
            node = missing(depth) or node
    changed = change(node)
    if changed is found and changed is not None:
        return root
    if holder is None or changed is None:
        return changed
    holder[last] = changed
    return top


def text_of(node: Node | None) -> Text | None:
    """The node as a text that can grow: empty for nothing and for null, None where it is no text."""
    if isinstance(node, Text):
        return node
    if node is None or node == NULL:
        return Text()
    if not isinstance(node, Raw):
        return None
    try:
        text = _decode_text(node)
    except UNDECODABLE:
        return None
    return Text((), (text,))


def encode(node: Node) -> bytes:
    """The tree as JSON bytes; holes in arrays are left out."""
    try:
        return _encode(_plain(node))
    except UnicodeEncodeError:  # half of a surrogate pair, which only an event made by hand can hold
        return _encode(_plain(node, whole_characters))


def _plain(node: Node, text: Callable[[str], str] = str) -> Any:
    match node:
        case Object():
            return {key: _plain(value, text) for key, value in node.items()}
        case Array():
            return [_plain(node[index], text) for index in sorted(node)]
        case Text():
            return text(str(node))
        case Elements():
            return Raw(f"[{text(str(node.json))}]".encode())
        case _:
            return node


def whole_characters(text: str) -> str:
    """The text with pairs of halves joined, and each half of a surrogate pair that stands alone as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
