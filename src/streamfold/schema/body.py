"""JSON to bodies, items, parts and annotations, and the head of a Response.

One typed decode of the whole value comes first and nearly always succeeds. Only if it fails is the value taken apart,
one level at a time, so that a mistake costs no more than the smallest piece that holds it.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, TypeAlias, TypeGuard, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode
from msgspec.structs import fields, replace

from streamfold.errors import MalformedBody
from streamfold.schema.codec import UNDECODABLE, read_text
from streamfold.schema.event import NULL
from streamfold.schema.item import (
    ITEM_TYPES,
    PART_TYPES,
    Annotation,
    Item,
    Part,
    UnknownAnnotation,
    UnknownItem,
    UnknownPart,
)
from streamfold.schema.response import Batch, Response

__all__ = [
    "ITEM_TYPES",
    "PART_TYPES",
    "Head",
    "decode_annotation",
    "decode_batch",
    "decode_item",
    "decode_part",
    "decode_response",
    "is_usable_id",
    "read_head",
]

Data: TypeAlias = bytes | Raw
Unknown = TypeVar("Unknown")
Body = TypeVar("Body", bound=Struct)

_decode_text = Decoder(str).decode
_decode_raw_fields = Decoder(dict[str, Raw]).decode
_decode_raw_list = Decoder(list[Raw]).decode


# The head of a Response


class Head(Struct, frozen=True, gc=False):
    """The fields of a Response that decide what to do with it. Each is None if it is missing or of a wrong type."""

    id: str | None = None
    status: str | None = None
    background: bool | None = None
    output: list[Raw] | None = None


class _RawHead(Struct):
    id: Raw = NULL
    status: Raw = NULL
    background: Raw = NULL
    output: Raw = NULL


_decode_head = Decoder(Head).decode
_decode_raw_head = Decoder(_RawHead).decode


def read_head(response: Data) -> Head | None:
    """Return the head of a Response without reading the rest; None if the bytes are not a JSON object."""
    try:
        return _decode_head(response)
    except UNDECODABLE:
        pass
    try:
        raw = _decode_raw_head(response)
    except UNDECODABLE:
        return None
    try:
        output = _decode_raw_list(raw.output)
    except UNDECODABLE:
        output = None
    background = {b"true": True, b"false": False}.get(bytes(raw.background))
    return Head(read_text(raw.id), read_text(raw.status), background, output)


MAX_ID_CHARACTERS = 4_096


def is_usable_id(value: object) -> TypeGuard[str]:
    """Whether an id of a response or a batch can be sent, as one percent-encoded segment of a URL's path.

    Any printable text can, but for what a URL resolves away.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS:
        return False
    return value.isprintable() and value not in {".", ".."}


# Values in a tagged union: never an exception


@cache  # built when first needed: building them all would take a tenth of `import streamfold`
def _decoder(kind: Any) -> Callable[[Data], Any]:
    return Decoder[Any](kind).decode


def decode_annotation(data: Data) -> Annotation | UnknownAnnotation:
    """Return the annotation in these bytes, or an UnknownAnnotation with the bytes. Never raises."""
    return _decode_or_salvage(data, Annotation, UnknownAnnotation, lists={})


def decode_part(data: Data) -> Part | UnknownPart:
    """Return the content part in these bytes, or an UnknownPart with the bytes. Never raises.

    If one annotation does not decode, the part stays typed and holds an UnknownAnnotation.
    """
    return _decode_or_salvage(data, Part, UnknownPart, lists=LISTS_IN_PARTS)


def decode_item(data: Data) -> Item | UnknownItem:
    """Return the output item in these bytes, or an UnknownItem with the bytes. Never raises.

    If one part does not decode, the item stays typed and holds an UnknownPart.
    """
    return _decode_or_salvage(data, Item, UnknownItem, lists=LISTS_IN_ITEMS)


Lists: TypeAlias = Mapping[str, Mapping[str, Callable[[Raw], object]]]

# For each type, the fields that hold a list of values which are decoded one by one.
LISTS_IN_PARTS: Lists = MappingProxyType({"output_text": {"annotations": decode_annotation}})
LISTS_IN_ITEMS: Lists = MappingProxyType(
    {
        "message": {"content": decode_part},
        "reasoning": {"content": decode_part, "summary": decode_part},
        "multi_agent_call_output": {"output": decode_part},
    }
)


def _decode_or_salvage(
    data: Data, known: Any, unknown: Callable[[str, bytes, str], Unknown], *, lists: Lists
) -> Any | Unknown:
    """The value; or the value without its lists, then the lists one by one; or unknown if neither decodes."""
    decode = _decoder(known)
    try:
        return decode(data)
    except UNDECODABLE as error:
        name, reason = "", str(error)
    try:
        parts = _decode_raw_fields(data)
        name = _decode_text(parts["type"]) if "type" in parts else ""
        listed = {key: one for key, one in lists.get(name, {}).items() if bytes(parts.get(key, b"")).startswith(b"[")}
        opened = {key: _decode_each(parts.pop(key), one) for key, one in listed.items()}
        if not opened:
            return unknown(name, bytes(data), reason)
        return replace(decode(encode(parts)), **opened)
    except UNDECODABLE as still:
        return unknown(name, bytes(data), str(still))


def _decode_each(data: Data, decode: Callable[[Raw], object]) -> tuple[object, ...]:
    return tuple(map(decode, _decode_raw_list(data)))


# Bodies: one JSON object, or MalformedBody


def decode_response(data: Data) -> Response:
    """Return the Response in these bytes. The names of fields that do not validate are in its `rejected`.

    Raises:
        MalformedBody: The bytes are not a JSON object.
    """
    return _decode_body(Response, data)


def decode_batch(data: Data) -> Batch:
    """Return the Batch in these bytes. The names of fields that do not validate are in its `rejected`.

    Raises:
        MalformedBody: The bytes are not a JSON object.
    """
    return _decode_body(Batch, data)


def _decode_body(body: type[Body], data: Data) -> Body:
    try:
        bytes(data).decode()  # msgspec skips fields that no type has unread, and invalid UTF-8 in them too
        decoded: Body = _decoder(body)(data)
    except UnicodeDecodeError as error:
        raise MalformedBody(body.__name__, str(error)) from error
    except UNDECODABLE:
        return _salvage_body(body, data)
    return decoded


def _salvage_body(body: type[Body], data: Data) -> Body:
    """The body field by field, without those that do not validate."""
    try:
        sent = _decode_raw_fields(data)
    except UNDECODABLE as error:
        raise MalformedBody(body.__name__, str(error)) from error
    decoders = _decoders_of(body)
    values: dict[str, Any] = {}
    rejected: list[str] = []
    for name in sent.keys() & decoders.keys():
        try:
            values[name] = decoders[name](sent[name])
        except UNDECODABLE:
            rejected.append(name)
    return body(**values, rejected=tuple(sorted(rejected)))


@cache
def _decoders_of(body: type[Struct]) -> Mapping[str, Callable[[Raw], Any]]:
    own = {"output": partial(_decode_each, decode=decode_item)} if body is Response else {}
    return {each.name: _decoder(each.type) for each in fields(body) if each.name != "rejected"} | own
