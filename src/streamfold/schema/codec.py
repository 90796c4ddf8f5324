"""An event's bytes as its type: the decoder, built once, and what becomes of data that does not decode.

In      the `data` of one frame: one JSON object in UTF-8
Out     an Event; never an exception, and never nothing
Units   one call, one event
Source  docs/reference/events.md; what each kind of bad data becomes stands in docs/reference/wire.md

Bad data has one of three answers. Where only characters are broken (invalid UTF-8, half of a surrogate pair), each
becomes U+FFFD, as in a browser, and the event decodes. Where the JSON is whole but the event is not one we know, or
not as we know it, an UnknownEvent keeps its type, number and bytes. Where not even the JSON can be read, the number
stays None: an event that was torn on the way is then a gap, which a resume can fill, and not a loss.
"""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from msgspec import MsgspecError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from streamfold.schema.event import EVENT_TYPES, NULL, Event, UnknownEvent

__all__ = ["UNDECODABLE", "decode_event", "decode_known_event", "is_end_marker", "well_formed"]

END_MARKER = b"[DONE]"


def _either(one: Any, other: Any) -> Any:
    return one | other


# The bare decoder, for the fast path of EventReader: raises where decode_event answers.
_any_known: Any = reduce(_either, EVENT_TYPES.values())
decode_known_event: Callable[[bytes], Event] = Decoder[Event](_any_known).decode

# What msgspec raises for bytes that are not what was asked; RecursionError for JSON nested too deep.
UNDECODABLE = (MsgspecError, UnicodeDecodeError, RecursionError)


class _Envelope(Struct):
    type: Raw = NULL
    sequence_number: Raw = NULL


DEEP = 500  # openings; Python 3.11 gives up at about twice as many levels, less what the caller's stack has taken

_decode_envelope = Decoder(_Envelope).decode
_decode_text = Decoder(str).decode
_decode_number = Decoder(int | None).decode


def decode_event(data: bytes) -> Event:
    """The event that one frame's data holds: of its own type, or an UnknownEvent with the bytes.

    Never raises. `[DONE]` gives an UnknownEvent of type `[DONE]`, which changes no state.
    """
    try:
        return decode_known_event(data)
    except UNDECODABLE as error:
        return _salvage(data, error)


def is_end_marker(data: bytes) -> bool:
    """Whether this is the data of the frame that ends a stream on some servers: no event, and no error."""
    return data.strip() == END_MARKER


def well_formed(data: bytes) -> bytes:
    """The same JSON with each character that no text can hold replaced by U+FFFD; the same object if there is none."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="replace").encode()
    mended = _ESCAPE.sub(_replace_lone_surrogate, data) if b"\\u" in data else data
    return data if mended == data else mended


def _salvage(data: bytes, error: Exception) -> Event:
    if is_end_marker(data):
        return UnknownEvent(END_MARKER.decode(), None, data)
    mended = well_formed(data)
    if mended != data:
        try:
            return decode_known_event(mended)
        except UNDECODABLE as still:
            error = still
    return _unknown(data, mended, error)


def _unknown(data: bytes, mended: bytes, error: Exception) -> UnknownEvent:
    try:
        envelope = _decode_envelope(mended)
        name = _decode_text(envelope.type)
    except UNDECODABLE as unreadable:
        return UnknownEvent("", None, data, _reason(data, unreadable))
    reason = _reason(data, error) if name in EVENT_TYPES else ""
    try:
        return UnknownEvent(name, _decode_number(envelope.sequence_number), data, reason)
    except ValidationError:
        return UnknownEvent(name, None, data, reason or "sequence_number is no whole number")


def _reason(data: bytes, error: Exception) -> str:
    """Why the data did not decode. How deep the decoder can go depends on the stack it is called from: the words do not."""
    is_deep = data.count(b"[") + data.count(b"{") > DEEP
    return "nested too deeply" if is_deep or isinstance(error, RecursionError) else str(error)


# Every escape of a JSON string, left to right, so that an escaped backslash is never read as the start of another:
# a whole surrogate pair, one half alone (the group), or anything else.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]HH\\u[dD][c-fC-F]HH|(u[dD][89a-fA-F]HH)|.)".replace(b"H", b"[0-9a-fA-F]"), re.DOTALL
)


def _replace_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]
