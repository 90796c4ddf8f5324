"""The difference between two states of one response, as their snapshots show it.

Values are compared as bytes, and opened only if the bytes differ: numbers keep their spelling, and unchanged parts of a
snapshot cost nothing.
"""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Decoder

from streamfold.fold import State, snapshot_json
from streamfold.schema import UNDECODABLE, read_text

# Deeper values are reported as replaced as a whole: Python's stack is limited, and a server may send anything.
MAX_DEPTH = 200

Container: TypeAlias = dict[str, Raw] | list[Raw]

_decode_container: Decoder[Container] = Decoder(dict[str, Raw] | list[Raw])


class Change(Struct, frozen=True, gc=False, omit_defaults=True):
    """One difference between two snapshots.

    Attributes:
        pointer: Where, as a JSON pointer (RFC 6901), for example `/output/0/content/0/text`.
        before: The old value as JSON; unset if it was added.
        after: The new value as JSON; unset if it was removed.
        added: What was appended to a text that only grew; `before` and `after` are unset then.
    """

    pointer: str
    before: Raw | UnsetType = UNSET
    after: Raw | UnsetType = UNSET
    added: str | UnsetType = UNSET


def diff(before: State, after: State) -> tuple[Change, ...]:
    """The differences between two snapshots, in the order of the document.

    Applied one after another, they turn the first snapshot into the second. Elements removed from the end of an array
    come last first.
    """
    return tuple(_changes(Raw(snapshot_json(before)), Raw(snapshot_json(after)), "", 0))


def _changes(before: Raw, after: Raw, pointer: str, depth: int) -> Iterator[Change]:
    if before == after:
        return
    one, other = (_opened(value) if depth < MAX_DEPTH else None for value in (before, after))
    if isinstance(one, dict) and isinstance(other, dict):
        yield from _of_fields(one, other, pointer, depth)
    elif isinstance(one, list) and isinstance(other, list):
        yield from _of_elements(one, other, pointer, depth)
    else:
        yield from _of_values(before, after, pointer)


def _of_fields(before: dict[str, Raw], after: dict[str, Raw], pointer: str, depth: int) -> Iterator[Change]:
    for key in {**before, **after}:
        place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield Change(place, before=before[key])
        elif key not in before:
            yield Change(place, after=after[key])
        else:
            yield from _changes(before[key], after[key], place, depth + 1)


def _of_elements(before: list[Raw], after: list[Raw], pointer: str, depth: int) -> Iterator[Change]:
    for index, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from _changes(one, other, f"{pointer}/{index}", depth + 1)
    for index in range(len(before), len(after)):
        yield Change(f"{pointer}/{index}", after=after[index])
    for index in reversed(range(len(after), len(before))):
        yield Change(f"{pointer}/{index}", before=before[index])


def _of_values(before: Raw, after: Raw, pointer: str) -> Iterator[Change]:
    one, other = read_text(before), read_text(after)
    if one is None or other is None or not other.startswith(one):
        yield Change(pointer, before=before, after=after)
    elif one != other:  # else it is the same text with other escapes
        yield Change(pointer, added=other[len(one) :])


def _opened(value: Raw) -> Container | None:
    if bytes(value)[:1] not in {b"{", b"["}:
        return None
    try:
        return _decode_container.decode(value)
    except UNDECODABLE:
        return None
