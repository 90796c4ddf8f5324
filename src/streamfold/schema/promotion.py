"""Promote a foreground create: send it upstream with `background: true`, and show its reader what it asked for.

A background response outlives its connection, so that a client can resume it. Both directions edit raw JSON: only the
values of `background` and `store` change, and every other byte stays as it was sent. JSON that cannot be edited
safely is returned as it is: invalid JSON, a key that is there twice, or more than MAX_FIELDS fields.

Three differences stay visible to the reader of a promoted response. OpenAI begins a background stream with the status
`queued`, may send `response.queued`, and pads no deltas (`obfuscation`).
"""

import re
from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.schema.codec import UNDECODABLE
from streamfold.schema.dialect import Dialect

__all__ = ["PromoteMode", "Promoted", "Promotion", "changed_by", "demote_event", "demote_response", "promote_create"]

PromoteMode: TypeAlias = Literal["never", "if-stored", "always"]
"""Which creates are promoted.

- `never`: none.
- `if-stored`: those that do not say `store: false`.
- `always`: those too. Unless the dialect accepts a background response that is not stored, the upstream is asked to
  store it. The provider then keeps input and output although the client asked it not to, for as long as it keeps any
  stored response.
"""

MAX_FIELDS = 1_000
# Allowed only with `background: true`: a foreground create that has one is refused upstream, as it should be.
NEEDS_BACKGROUND = ("background_options", "stream_events", "webhook_url")
TRUE, FALSE, NULL = Raw(b"true"), Raw(b"false"), Raw(b"null")


class Promoted(StrEnum):
    """The fields of a create that were changed, and so are changed back in each Response. A log can keep the text."""

    BACKGROUND = "background"
    BACKGROUND_AND_STORE = "background,store"


class Promotion(Struct, frozen=True, kw_only=True):
    """The result of a promotion.

    Attributes:
        body: The create to send upstream.
        promoted: What was changed. Pass it to `demote_event` and `demote_response` for every reader.
    """

    body: bytes
    promoted: Promoted


def changed_by(promoted: Promoted | None) -> dict[str, bool]:
    """The fields that a promotion changed, as they go to the upstream."""
    return dict.fromkeys(promoted.split(","), True) if promoted else {}


def promote_create(body: bytes, mode: PromoteMode, dialect: Dialect) -> Promotion | None:
    """Decide whether a create goes upstream in the background, and edit it if so.

    Promoted are creates that stream and do not ask for the background themselves, on a dialect that can retrieve a
    response. A create with a value of the wrong type is not promoted: the upstream refuses it.

    Args:
        body: The JSON of the create, as the client sent it.
        mode: Which creates are promoted.
        dialect: The upstream's. Its `background_needs_store` decides whether `always` may keep `store: false`.

    Returns:
        What to send instead; None to send the body as it is.
    """
    if mode == "never" or not dialect.can_retrieve or (found := _locate(body)) is None:
        return None
    fields, places = found
    is_unstored = fields.get("store") == FALSE
    if (is_unstored and mode != "always") or not _is_promotable(fields):
        return None
    if is_unstored and dialect.background_needs_store is not False:  # not known is taken for yes, as in check_create
        edits, promoted = {"background": TRUE, "store": TRUE}, Promoted.BACKGROUND_AND_STORE
    else:
        edits, promoted = {"background": TRUE}, Promoted.BACKGROUND
    return Promotion(body=_edit(body, places, edits), promoted=promoted)


def _is_promotable(fields: dict[str, Raw]) -> bool:
    return (
        fields.get("stream") == TRUE
        and fields.get("background", NULL) in (NULL, FALSE)
        and fields.get("store", NULL) in (NULL, FALSE, TRUE)
        and all(fields.get(name, NULL) in (NULL, FALSE) for name in NEEDS_BACKGROUND)
    )


def demote_event(data: bytes, promoted: Promoted) -> bytes:
    """Return the data of an event as its reader asked for it: not in the background.

    Data without a Response costs one search of its bytes, and is returned as it is.

    Args:
        data: The JSON of one event, as the upstream sent it.
        promoted: What was changed in the create.
    """
    # Inside a text, quotation marks are escaped: this finds keys, and texts that are this word alone.
    if b'"response"' not in data or (found := _locate(data)) is None or "response" not in found[0]:
        return data
    raw = bytes(found[0]["response"])
    shown = demote_response(raw, promoted)
    return data if shown is raw else _edit(data, found[1], {"response": Raw(shown)})


def demote_response(raw: bytes, promoted: Promoted) -> bytes:
    """Return a Response as its reader asked for it: `true` becomes `false`; null and a missing field stay.

    Args:
        raw: The JSON of a Response, as the upstream sent it.
        promoted: What was changed in the create.
    """
    if (found := _locate(raw)) is None:
        return raw
    fields, places = found
    edits = {name: FALSE for name in changed_by(promoted) if fields.get(name) == TRUE}
    return _edit(raw, places, edits) if edits else raw


# The places of an object's values

_decode_fields = Decoder(dict[str, Raw]).decode
_BLANK = rb"[ \t\n\r]*+"
_KEY = re.compile(_BLANK + b",?" + _BLANK + rb'"(?:[^"\\]++|\\.)*+"' + _BLANK + b":" + _BLANK, re.DOTALL)
_END = re.compile(_BLANK + rb"\}")

_Places: TypeAlias = dict[str, tuple[int, int]]


def _locate(data: bytes) -> tuple[dict[str, Raw], _Places] | None:
    """The fields of an object, and where each value begins and ends; None if it cannot be edited safely.

    The decoder reads keys and values, and a walk from key to key finds them again. So an escaped key is read as every
    parser reads it, and the walk never looks inside a value. If a key is there twice, the decoder keeps one value for
    both, and the walk does not arrive at the end.
    """
    try:
        fields = _decode_fields(data)
    except UNDECODABLE:
        return None
    if len(fields) > MAX_FIELDS:
        return None
    places, place = _Places(), data.index(b"{") + 1
    for name, raw in fields.items():
        key, value = _KEY.match(data, place), bytes(raw)
        if key is None or not data.startswith(value, key.end()):
            return None
        place = key.end() + len(value)
        places[name] = key.end(), place
    return (fields, places) if _END.match(data, place) else None


def _edit(data: bytes, places: _Places, edits: dict[str, Raw]) -> bytes:
    """Put new values in their places. A field that is not there becomes the first of a non-empty object."""
    first = data.index(b"{") + 1
    for name, value in sorted(edits.items(), key=lambda edit: places.get(edit[0], (0, 0)), reverse=True):
        start, end = places.get(name, (first, first))
        written = bytes(value) if name in places else b'"%s":%s,' % (name.encode(), bytes(value))
        data = data[:start] + written + data[end:]
    return data
