"""JSON to events: the decoder, built once, and the results of data that it does not accept.

Such data has one of five results:

- Only characters are broken (invalid UTF-8, half of a surrogate pair): each becomes U+FFFD, as in a browser, and the
  event decodes.
- Only the sequence number is wrong, such as a text: the event has none.
- It reports an error in a shape of its own, such as `{"error": "text"}`: an ErrorEvent with its words.
- The JSON is whole, but not an event that we know, or not as we know it: an UnknownEvent keeps its name, number and
  bytes.
- Not even the JSON can be read: the number stays None. An event that was torn on its way is then a gap, which a
  resume can fill, and not a loss.
"""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder, encode

from streamfold.schema.event import EVENT_TYPES, NULL, ErrorEvent, Event, UnknownEvent

__all__ = ["UNDECODABLE", "decode_event", "decode_known_event", "is_end_marker", "read_text", "well_formed"]

UNDECODABLE = (MsgspecError, UnicodeDecodeError, RecursionError)
"""What a bare decoder raises for bytes that are not what was asked for; RecursionError for JSON nested too deeply."""

END_MARKER = b"[DONE]"
DEEP = 500  # openings; Python 3.11 gives up at about twice as many levels, less what the caller's stack has taken

_decode_text = Decoder(str).decode


def read_text(value: bytes | Raw | None) -> str | None:
    """Return the text of a JSON string; None if there is no value, or if it is not a string."""
    try:
        return None if value is None else _decode_text(value)
    except UNDECODABLE:
        return None


# Events


def _either(one: Any, other: Any) -> Any:
    return one | other


# The bare decoder, for the fast path of EventReader: raises where decode_event returns an UnknownEvent.
_any_known: Any = reduce(_either, EVENT_TYPES.values())
decode_known_event: Callable[[bytes], Event] = Decoder[Event](_any_known).decode


_decode_fields = Decoder(dict[str, Raw]).decode
_decode_number = Decoder(int | None).decode

ERROR = "error"
NUMBER = "sequence_number"


def decode_event(data: bytes, name: str = "") -> Event:
    """Return the event in the data of one frame: of its own class, or an UnknownEvent with the bytes.

    Never raises. `[DONE]` gives an UnknownEvent with `wire_type` `[DONE]`, which changes no state.

    Args:
        data: The data of the frame.
        name: The frame's `event:` name. It only counts if it is `error`: the data may then be plain text.
    """
    try:
        return decode_known_event(data)
    except UNDECODABLE as error:
        return _salvage_event(data, name, error)


def is_end_marker(data: bytes) -> bool:
    """Whether this is `[DONE]`, the data of the frame that ends a stream on some servers."""
    return data.strip() == END_MARKER


def well_formed(data: bytes) -> bytes:
    """Return the same JSON with U+FFFD for each character that no text can hold."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="replace").encode()
    repaired = _ESCAPE.sub(_replace_lone_surrogate, data) if b"\\u" in data else data
    return data if repaired == data else repaired


def _salvage_event(data: bytes, name: str, error: Exception) -> Event:
    if is_end_marker(data):
        return UnknownEvent(END_MARKER.decode(), None, data)
    repaired = well_formed(data)
    if repaired != data:
        try:
            return decode_known_event(repaired)
        except UNDECODABLE as still:
            error = still
    try:
        fields = _decode_fields(repaired)
    except UNDECODABLE as unreadable:
        if name == ERROR and not repaired.lstrip().startswith((b"{", b"[")):
            return ErrorEvent(message=_words(Raw(repaired)) if repaired.strip() else None)
        return UnknownEvent("", None, data, _reason(data, unreadable))
    return _salvage_fields(data, fields, name, error)


def _salvage_fields(data: bytes, fields: dict[str, Raw], name: str, error: Exception) -> Event:
    """The event of a whole JSON object that did not decode."""
    wire_type = read_text(fields.get("type"))
    number = _number(fields)
    if wire_type is None or wire_type not in EVENT_TYPES or wire_type == ERROR:
        reported = _reported_error(fields, wire_type, number, is_named=name == ERROR)
        if reported is not None:
            return reported
    elif number is None and fields.pop(NUMBER, NULL) != NULL:
        try:
            return decode_known_event(encode(fields))
        except UNDECODABLE as still:
            return UnknownEvent(wire_type, None, data, _reason(data, still))
    if wire_type is None:
        return UnknownEvent("", None, data, _reason(data, error))
    return UnknownEvent(wire_type, number, data, _reason(data, error) if wire_type in EVENT_TYPES else "")


def _number(fields: dict[str, Raw]) -> int | None:
    try:
        return _decode_number(fields.get(NUMBER, NULL))
    except UNDECODABLE:
        return None


# Errors. The `error` event is nested in the wire's own words and flat in the SDKs; gateways have more shapes.

WORDS = ("message", "detail")
NOTHING = (NULL, Raw(b"false"))


def _reported_error(
    fields: dict[str, Raw], wire_type: str | None, number: int | None, *, is_named: bool
) -> ErrorEvent | None:
    """The error that an object reports in whatever shape; None if it reports none.

    An object of an unknown type is one if its name says so. One without a type is one if it has any words at all.
    """
    nested, said = fields.get(ERROR, NULL), _said(fields)
    is_one = is_named or ERROR in (wire_type, read_text(fields.get("object")))
    if not is_one and (said is None or not (wire_type or ERROR).lower().endswith(ERROR)):
        return None
    if wire_type not in (None, ERROR) and said is not nested:  # the type is the error's own, such as "server_error"
        nested = Raw(encode({**fields, "message": said}))
    if bytes(nested).startswith(b"{"):
        return ErrorEvent(sequence_number=number, error=nested)
    code, param = (_words(fields.get(each)) for each in ("code", "param"))
    return ErrorEvent(sequence_number=number, code=code, message=_words(said), param=param)


def _said(fields: dict[str, Raw]) -> Raw | None:
    """What an error says, be it an object, a text or a list; None if it has no words."""
    return next((fields[each] for each in (ERROR, *WORDS) if fields.get(each, NULL) not in NOTHING), None)


def _words(value: Raw | None) -> str | None:
    """The text of a value, or its JSON if it is not text, such as a numeric code; None for nothing and null."""
    if value is None or value == NULL:
        return None
    text = read_text(value)
    return bytes(value).decode(errors="replace") if text is None else text


def _reason(data: bytes, error: Exception) -> str:
    """Why the data did not decode; the same words for deep nesting, whose limit depends on the caller's stack."""
    is_deep = data.count(b"[") + data.count(b"{") > DEEP
    return "nested too deeply" if is_deep or isinstance(error, RecursionError) else str(error)


# Every escape of a JSON string, left to right, so that an escaped backslash is never read as the start of another:
# a whole surrogate pair, one half alone (the group), or anything else.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]HH\\u[dD][c-fC-F]HH|(u[dD][89a-fA-F]HH)|.)".replace(b"H", b"[0-9a-fA-F]"), re.DOTALL
)


def _replace_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]
