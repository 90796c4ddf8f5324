"""What a file holds that gave no event: told in words, for the one who thought it was a stream.

In      its first bytes
Out     one clause, as "an HTML page (502 Bad Gateway), not an event stream"; never raises
Units   bytes
"""

import re
from typing import Any, cast

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

__all__ = ["HEAD_BYTES", "describe"]

HEAD_BYTES = 1024 * 1024
"""How much is looked at: a JSON body is read whole up to here."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_WORDS = 200  # characters of a server's own words
HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
FIELD = re.compile(rb"^(?::|(?:data|event|id|retry):)", re.MULTILINE)
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class _Body(Struct):
    """What tells JSON bodies apart. A server may have put anything here."""

    object: Any = None
    status: Any = None
    error: Any = None
    detail: Any = None
    message: Any = None


_decode_body = Decoder(_Body).decode


def describe(head: bytes) -> str:
    """What these first bytes are the beginning of."""
    text = head.removeprefix(BYTE_ORDER_MARK).strip()
    if not text:
        return "empty: there is nothing to fold"
    if HTML.match(text):
        return f"an HTML page{_in_brackets(_title(text))}, not an event stream"
    if text[:1] in b"{[":
        return _json(text)
    if BINARY.search(text) or not _is_utf8(text):
        return "binary data, not an event stream"
    if FIELD.search(text):
        return "an event stream without a single event"
    return "text without a single event: not an event stream"


def _title(page: bytes) -> str:
    found = TITLE.search(page)
    return found[1].decode(errors="replace") if found else ""


def _json(text: bytes) -> str:
    try:
        body = _decode_body(text)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return "JSON that is no whole object, not an event stream"
    if body.object == "response":
        return f"a whole Response as JSON{_in_brackets(body.status)}, not an event stream to fold"
    words = body.error or body.detail or body.message
    if not words:
        return "a JSON body, not an event stream"
    return f"a JSON error body{_in_brackets(_words(words))}, not an event stream"


def _words(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    fields = cast(dict[str, object], error)
    said = (fields.get("code") or fields.get("type"), fields.get("message"))
    return ": ".join(str(each) for each in said if each)


def _in_brackets(words: object) -> str:
    short = " ".join(str(words or "").split())[:MAX_WORDS]
    return f" ({short})" if short else ""


def _is_utf8(text: bytes) -> bool:
    try:
        text[:-4].decode()  # the last character may be cut
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
