"""What the gateway answered to a call, and what a refusal means for what can be tried next.

In      status, headers and body of an HTTP answer
Out     the error's own words, how long to wait, and a Refusal
Units   seconds; HTTP status codes
Errors  none: a body that is no error body has no words
Source  protocol reference 6, 9, 10 and 13; docs/reference/session.md
"""

import re
from calendar import timegm
from collections.abc import Mapping
from email.utils import parsedate_tz
from enum import StrEnum, auto
from math import inf

from attrs import field, frozen
from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.schema import UNDECODABLE

__all__ = ["Answer", "ErrorWords", "Refusal", "is_event_stream", "refusal_of", "seconds_asked"]


@frozen
class Answer:
    """An HTTP answer, whole. headers: names in lower case."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the status says that the call was done."""
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is JSON."""
        return "json" in self.headers.get("content-type", "").lower()

    @property
    def request_id(self) -> str | None:
        """The gateway's own name for the request, where it gives one."""
        return self.headers.get("x-request-id")

    @property
    def excerpt(self) -> str:
        """The beginning of the body, on one line."""
        return " ".join(self.body[:EXCERPT_BYTES].decode(errors="replace").split())


EXCERPT_BYTES = 300


class ErrorWords(Struct, frozen=True):
    """What an error body says: `{"error": {...}}` on most servers, `{"error": "text"}` of MKA1's rate limit, or flat."""

    message: str | None = None
    code: str | None = None
    param: str | None = None

    @classmethod
    def of(cls, body: bytes) -> "ErrorWords":
        """The words of this body; none where it is no error body that we know."""
        fields = _fields(body)
        error = fields.get("error", Raw(b"null"))
        if bytes(error).startswith(b"{"):
            fields = _fields(error)
        elif (text := _text(error)) is not None:
            return cls(message=text)
        detail = _text(fields.get("message")) or _text(fields.get("detail"))
        return cls(message=detail, code=_text(fields.get("code")), param=_text(fields.get("param")))


_decode_fields = Decoder(dict[str, Raw]).decode
_decode_text = Decoder(str).decode


def _fields(data: bytes | Raw) -> Mapping[str, Raw]:
    try:
        return _decode_fields(data)
    except UNDECODABLE:
        return {}


def _text(value: Raw | None) -> str | None:
    try:
        return _decode_text(value) if value is not None else None
    except UNDECODABLE:
        return None


class Refusal(StrEnum):
    """Why a stream or a Response was not given."""

    BUSY = auto()
    """The gateway cannot just now: 408, 425, 429, 5xx. The same call may work later."""
    UNAUTHORIZED = auto()
    """The key is not taken: 401, 403. No later call will work."""
    UNKNOWN_ID = auto()
    """There is no such Response, or it is not ours: 404, 410."""
    CURSOR_REFUSED = auto()
    """It is the number to resume after that is not taken. The whole stream may be had."""
    NOT_STREAMABLE = auto()
    """It cannot be streamed again: it is too old, not in the background, or was not made with a stream."""
    UNRECOGNIZED = auto()
    """Refused, for no reason that we know."""


BUSY_STATUSES = frozenset({408, 425, 429})
# Words of the messages in protocol 13.6 and 13.7: OpenAI's, Azure's.
NOT_STREAMABLE = re.compile(
    r"no longer be streamed|cannot be streamed|not created with|minutes old|expired|synchronous", re.IGNORECASE
)
CURSOR = "starting_after"


def refusal_of(answer: Answer) -> Refusal:
    """What an answer that is no success means for the ladder of repairs."""
    if answer.status in {401, 403}:
        return Refusal.UNAUTHORIZED
    if answer.status in {404, 410}:
        return Refusal.UNKNOWN_ID
    if answer.status in BUSY_STATUSES or answer.status >= 500:
        return Refusal.BUSY
    words = ErrorWords.of(answer.body)
    message = words.message or ""
    if NOT_STREAMABLE.search(message):
        return Refusal.NOT_STREAMABLE
    if words.param == CURSOR or CURSOR in message:
        return Refusal.CURSOR_REFUSED
    return Refusal.UNRECOGNIZED


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer with this head is a stream of events, to be read as it comes."""
    return status == 200 and headers.get("content-type", "").lower().startswith("text/event-stream")


def seconds_asked(headers: Mapping[str, str]) -> float:
    """How long the gateway asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date; 0 if it does not.

    A date is read against the answer's own `date`, so that no clock of ours comes in.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
            return seconds if 0 <= seconds < inf else 0.0
        except (KeyError, ValueError):
            continue
    until, sent = _unix_seconds(headers.get("retry-after", "")), _unix_seconds(headers.get("date", ""))
    return max(0.0, until - sent) if until is not None and sent is not None else 0.0


def _unix_seconds(date: str) -> float | None:
    """A date of HTTP as Unix seconds; None for what is none."""
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        # A date without a zone is read as UTC: HTTP knows no other.
        return timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None
