"""Bodies, items, parts and annotations from their bytes: the decoders, built once, when first needed.

In      the bytes of one JSON value
Out     a typed value. What does not fit is kept beside it: a bad item, part or annotation as its Unknown type with
        its bytes, a bad field by its name in `rejected`
Errors  MalformedBody, from decode_response and decode_batch alone, when the bytes are no JSON object
Source  docs/reference/bodies.md

One typed decode of the whole comes first and nearly always does. Only where it fails is the value taken apart,
one level at a time, so that what is wrong costs no more than the smallest piece that holds it.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode
from msgspec.structs import fields, replace

from streamfold.errors import MalformedBody
from streamfold.schema.batch import Batch
from streamfold.schema.codec import UNDECODABLE
from streamfold.schema.item import Annotation, Item, Part, UnknownAnnotation, UnknownItem, UnknownPart
from streamfold.schema.response import Response

__all__ = ["decode_annotation", "decode_batch", "decode_item", "decode_part", "decode_response"]

Data: TypeAlias = bytes | Raw
Known = TypeVar("Known", bound=Struct)
Unknown = TypeVar("Unknown")
Body = TypeVar("Body", bound=Struct)

_decode_raw_fields = Decoder(dict[str, Raw]).decode
_decode_raw_list = Decoder(list[Raw]).decode
_decode_text = Decoder(str).decode


@cache  # built when first needed: to build them all would be a tenth of `import streamfold`
def _decoder(kind: Any) -> Callable[[Data], Any]:
    return Decoder[Any](kind).decode


# Values in a tagged union: never an exception


def decode_annotation(data: Data) -> Annotation | UnknownAnnotation:
    """The annotation that these bytes hold, or an UnknownAnnotation with the bytes. Never raises."""
    return _decode_or_salvage(data, Annotation, UnknownAnnotation, lists={})


def decode_part(data: Data) -> Part | UnknownPart:
    """The content part that these bytes hold, or an UnknownPart with the bytes. Never raises.

    One annotation that does not decode leaves the part typed, with an UnknownAnnotation in it.
    """
    return _decode_or_salvage(data, Part, UnknownPart, lists=LISTS_IN_PARTS)


def decode_item(data: Data) -> Item | UnknownItem:
    """The output item that these bytes hold, or an UnknownItem with the bytes. Never raises.

    One part that does not decode leaves the item typed, with an UnknownPart in it.
    """
    return _decode_or_salvage(data, Item, UnknownItem, lists=LISTS_IN_ITEMS)


Lists: TypeAlias = Mapping[str, Mapping[str, Callable[[Raw], object]]]

# For each type, the fields that hold a list of values which are decoded one by one.
LISTS_IN_PARTS: Lists = MappingProxyType({"output_text": {"annotations": decode_annotation}})
LISTS_IN_ITEMS: Lists = MappingProxyType(
    {"message": {"content": decode_part}, "reasoning": {"content": decode_part, "summary": decode_part}}
)


def _decode_or_salvage(
    data: Data, known: Any, unknown: Callable[[str, bytes, str], Unknown], *, lists: Lists
) -> Any | Unknown:
    try:
        return _decoder(known)(data)
    except UNDECODABLE as error:
        return _salvage(data, error, _decoder(known), unknown, lists=lists)


def _salvage(
    data: Data,
    error: Exception,
    decode: Callable[[Data], Known],
    unknown: Callable[[str, bytes, str], Unknown],
    *,
    lists: Lists,
) -> Known | Unknown:
    """The value without its lists, then the lists one by one; unknown if even so it does not decode."""
    name = ""
    try:
        parts = _decode_raw_fields(data)
        name = _decode_text(parts["type"]) if "type" in parts else ""
        listed = {key: one for key, one in lists.get(name, {}).items() if bytes(parts.get(key, b"")).startswith(b"[")}
        opened = {key: _decode_each(parts.pop(key), one) for key, one in listed.items()}
        if not opened:
            return unknown(name, bytes(data), str(error))
        return replace(decode(encode(parts)), **opened)
    except UNDECODABLE as still:
        return unknown(name, bytes(data), str(still))


def _decode_each(data: Data, decode: Callable[[Raw], object]) -> tuple[object, ...]:
    return tuple(map(decode, _decode_raw_list(data)))


# Bodies: one JSON object, or MalformedBody


def decode_response(data: Data) -> Response:
    """The Response that these bytes hold; a field that does not validate is named in its `rejected`.

    Raises: MalformedBody if the bytes are no JSON object.
    """
    return _decode_body(Response, data)


def decode_batch(data: Data) -> Batch:
    """The Batch that these bytes hold; a field that does not validate is named in its `rejected`.

    Raises: MalformedBody if the bytes are no JSON object.
    """
    return _decode_body(Batch, data)


def _decode_body(body: type[Body], data: Data) -> Body:
    try:
        bytes(data).decode()  # msgspec passes over fields that no type has unread, so what is no UTF-8 there too
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
    own = {"output": _decode_output} if body is Response else {}
    return {each.name: _decoder(each.type) for each in fields(body) if each.name != "rejected"} | own


def _decode_output(data: Raw) -> tuple[object, ...]:
    return _decode_each(data, decode_item)
