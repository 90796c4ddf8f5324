"""Does a terminal Response hold text that the fold never saw?

In      the state before a terminal Response, and the one after it
Out     a bool
Units   characters of text
Errors  none: what cannot be read has no text
Source  contiguous numbers prove nothing: a server may drop its buffer and send one synthetic terminal event, numbered
        as the next (docs/explanation/repair.md)
"""

from collections.abc import Mapping, Sequence

from msgspec import Raw
from msgspec.json import Decoder

from streamfold.fold import State, snapshot_json
from streamfold.schema import UNDECODABLE

__all__ = ["lacks_text"]

# Numbers are never read: one that no float can hold is no reason to say nothing about the text.
_decode_object = Decoder(dict[str, Raw]).decode
_decode_array = Decoder(list[Raw]).decode
_decode_text = Decoder(str).decode

# The fields that deltas fill: protocol reference 2. They stand no deeper than output, item, list, part, object.
TEXTS = frozenset({"arguments", "code", "diff", "input", "refusal", "text", "transcript"})
DEEPEST = 6


def lacks_text(before: State, after: State) -> bool:
    """Whether the output has more text, or more items, after than before."""
    (items, text), (more_items, more_text) = _amount(before), _amount(after)
    return more_items > items or more_text > text


def _amount(state: State) -> tuple[int, int]:
    output = _object(snapshot_json(state)).get("output", Raw(b"null"))
    return len(_array(output)), _characters(output, DEEPEST)


def _characters(value: Raw, levels: int) -> int:
    if not levels:
        return 0
    if values := _array(value):
        return sum(_characters(each, levels - 1) for each in values)
    fields = _object(value)
    return sum(len(_text(each)) if name in TEXTS else _characters(each, levels - 1) for name, each in fields.items())


def _object(value: bytes | Raw) -> Mapping[str, Raw]:
    try:
        return _decode_object(value)
    except UNDECODABLE:
        return {}


def _array(value: Raw) -> Sequence[Raw]:
    try:
        return _decode_array(value)
    except UNDECODABLE:
        return ()


def _text(value: Raw) -> str:
    try:
        return _decode_text(value)
    except UNDECODABLE:
        return ""
