"""A JSON value that is opened only where an event touches it."""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from streamfold.fold.text import NO_TEXT, Text
from streamfold.schema import UNDECODABLE, read_text

# Whatever no event touches stays the bytes that arrived: numbers keep their spelling, unknown fields survive, and an
# item of a megabyte costs nothing until it is opened. Nodes are never changed in place, so states share them:
# an edit copies the objects and arrays on the way to the value, and shares everything else with the old tree.


class Elements(Struct, frozen=True, gc=False):
    """An array that only grows: the JSON of its elements, with commas between them, as one growing text."""

    json: Text


class Object(dict[str, "Node"]):
    """A JSON object, opened."""

    __slots__ = ()


class Array(dict[int, "Node"]):
    """A JSON array, opened: index to value, with holes until the events that fill them arrive."""

    __slots__ = ()


Node: TypeAlias = Raw | Text | Elements | Object | Array
Path: TypeAlias = tuple[str | int, ...]
Change: TypeAlias = Callable[[Node | None], Node | None]
Fits: TypeAlias = Callable[[int, Object], bool]
"""Whether an object, to which so many keys lead, is what was meant."""
NULL = Raw(b"null")

_encode = Encoder().encode
_decode_container: Callable[[Raw], dict[str, Raw] | list[Raw]] = Decoder(dict[str, Raw] | list[Raw]).decode


def opened(node: Node | None) -> Node | None:
    """The node with its outermost level read if it is an object or an array in bytes; else the node itself."""
    if type(node) is not Raw:
        return node
    try:
        container = _decode_container(node)
    except UNDECODABLE:
        return node
    return Object(container) if isinstance(container, dict) else Array(enumerate(container))


def nothing(depth: int) -> None:
    """The default of `edit`: nothing is known about what is missing."""


def find(node: Node | None, path: Path, fits: Fits | None = None) -> Node | None:
    """What is at this path; None if nothing is, or if an object on the way does not fit."""
    for depth, key in enumerate(path):
        kind: Any = Object if type(key) is str else Array  # Any: one code for keys and for indexes
        container: Any = opened(node) if type(node) is Raw else node
        if type(container) is not kind or (fits is not None and kind is Object and not fits(depth, container)):
            return None
        node = container.get(key)
    return node


def edit(
    root: Node | None,
    path: Path,
    change: Change,
    missing: Callable[[int], Node | None] = nothing,
    fits: Fits | None = None,
) -> Node | None:
    """Change what is at this path, creating what is missing on the way.

    Args:
        root: The tree.
        path: Keys and indexes.
        change: Takes what is there and returns what replaces it.
        missing: Called with the number of keys that lead to a missing value; returns what to put there. If it returns
            None, an empty object or array is created on the way, and `change` gets None at the end.
        fits: Asked for each object on the way.

    Returns:
        The new tree; the very same one if `change` returned what it was given; None if a value on the way cannot hold
        such a key or does not fit, or if `change` returned None.
    """
    top: dict[None, Node] = {}  # holds the new tree, as each object and array on the way holds the next
    holder: Any = top
    last: Any = None
    node: Any = root
    found: Any = root
    copy: Any
    for depth, key in enumerate(path):
        kind: Any = Object if type(key) is str else Array  # Any: one code for keys and for indexes
        if type(node) is kind:
            copy = kind(node)
        elif node is None or node == NULL:
            copy = kind()
        else:
            copy = opened(node)
            if type(copy) is not kind:
                return None
        if kind is Object and fits is not None and not fits(depth, copy):
            return None
        holder[last] = copy
        holder, last = copy, key
        node = found = copy.get(key)
        if node is None or (type(node) is Raw and node == NULL):
            node = missing(depth + 1) or node
    changed = change(node)
    if changed is found and changed is not None:
        return root
    if changed is None:
        return None
    holder[last] = changed
    return top[None]


def being(value: Node) -> Change:
    """The change that puts this value there, whatever was."""
    return lambda _: value


def text_of(node: Node | None) -> Text | None:
    """The node as a text that can grow: empty for nothing and for null, None if it is not text."""
    if isinstance(node, Text):
        return node
    if node is None or node == NULL:
        return NO_TEXT
    if not isinstance(node, Raw):
        return None
    text = read_text(node)
    return None if text is None else Text((), (text,))


def encode(node: Node) -> bytes:
    """The tree as JSON bytes. Holes in arrays are left out."""
    try:
        return _encode(_plain(node))
    except UnicodeEncodeError:  # half of a surrogate pair, which no server can send
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
    """The text with surrogate pairs joined, and U+FFFD for each half that has no partner."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
