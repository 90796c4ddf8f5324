"""JSON to events: the decoder, built once, and what becomes an UnknownEvent.

Bad data has one of three results:

- Only characters are broken (invalid UTF-8, half of a surrogate pair): each becomes U+FFFD, as in a browser, and the
  event decodes.
- The JSON is whole, but not an event that we know, or not as we know it: an UnknownEvent keeps its name, number and
  bytes.
- Not even the JSON can be read: the number stays None. An event that was torn on its way is then a gap, which a
  resume can fill, and not a loss.
"""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from msgspec import MsgspecError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from streamfold.schema.event import EVENT_TYPES, NULL, Event, UnknownEvent

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


class _Envelope(Struct):
    type: Raw = NULL
    sequence_number: Raw = NULL


_decode_envelope = Decoder(_Envelope).decode
_decode_number = Decoder(int | None).decode


def decode_event(data: bytes) -> Event:
    """Return the event in the data of one frame: of its own class, or an UnknownEvent with the bytes.

    Never raises. `[DONE]` gives an UnknownEvent with `wire_type` `[DONE]`, which changes no state.
    """
    try:
        return decode_known_event(data)
    except UNDECODABLE as error:
        return _salvage_event(data, error)


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


def _salvage_event(data: bytes, error: Exception) -> Event:
    if is_end_marker(data):
        return UnknownEvent(END_MARKER.decode(), None, data)
    repaired = well_formed(data)
    if repaired != data:
        try:
            return decode_known_event(repaired)
        except UNDECODABLE as still:
            error = still
    return _unknown_event(data, repaired, error)


def _unknown_event(data: bytes, repaired: bytes, error: Exception) -> UnknownEvent:
    try:
        envelope = _decode_envelope(repaired)
        name = _decode_text(envelope.type)
    except UNDECODABLE as unreadable:
        return UnknownEvent("", None, data, _reason(data, unreadable))
    reason = _reason(data, error) if name in EVENT_TYPES else ""
    try:
        return UnknownEvent(name, _decode_number(envelope.sequence_number), data, reason)
    except ValidationError:
        return UnknownEvent(name, None, data, reason or "sequence_number is not a whole number")


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
