"""What an HTTP answer says: the error in it, how long to wait, and what it means for the repair ladder."""

import re
from calendar import timegm
from collections.abc import Callable, Mapping
from email.utils import parsedate_tz
from enum import StrEnum, auto
from math import inf
from typing import TypeAlias

from attrs import field, frozen
from msgspec import Raw, Struct

from streamfold.errors import MalformedBody, without_credentials
from streamfold.fold import State, snapshot_json, with_response
from streamfold.schema import read_head, read_text
from streamfold.session.outcome import STREAMS, RepairKind
from streamfold.session.policy import fields_of

# Servers refuse in their own words (protocol reference 6, 9, 10 and 13), so a refusal is read from the status first and
# from the words of the body second. Nothing here raises for what a server sent: an unreadable body just says nothing.
#
# Reasons are shown to people and kept in logs, so they quote nothing of a body but the message of its error, in one
# short line (`in_short`).


@frozen
class Answer:
    """A whole HTTP answer. headers: Names in lower case."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        """Whether the content type is JSON, or missing where the body looks like an object. JSON lines do not count."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json") if kind else self.body.lstrip().startswith(b"{")

    @property
    def error(self) -> "ErrorWords":
        """The gateway's words for an error; for a redirect without words, where it points."""
        words = ErrorWords.of(self.body)
        target = self.headers.get("location")
        if words.message is None and target and 300 <= self.status < 400:
            shown = without_credentials(target)[:EXCERPT_BYTES]
            return ErrorWords(f"it redirects to {shown}, which is not followed", words.code, words.param)
        return words

    @property
    def is_page(self) -> bool:
        """Whether the body is of a type that no gateway answers with, such as HTML: a proxy in front of it speaks."""
        kind = self.headers.get("content-type", "")
        return bool(kind) and not self.is_json

    @property
    def request_id(self) -> str | None:
        """The gateway's id of the request, if it gives one."""
        return self.headers.get("x-request-id")

    @property
    def excerpt(self) -> str:
        """The beginning of the body, on one line."""
        return " ".join(self.body[:EXCERPT_BYTES].decode(errors="replace").split())


EXCERPT_BYTES = 300
WORDS_CHARACTERS = 300
SECRET = re.compile(r"(\bbearer\s+|\bsk-)[^\s\"',;]+", re.IGNORECASE)


def in_short(words: str) -> str:
    """Return a gateway's words as one short line, without a key that it may repeat."""
    line = " ".join("".join(each if each.isprintable() else " " for each in words[: 2 * WORDS_CHARACTERS]).split())
    line = SECRET.sub(r"\1...", line)
    return line if len(line) <= WORDS_CHARACTERS else line[: WORDS_CHARACTERS - 3] + "..."


class ErrorWords(Struct, frozen=True):
    """The words of an error body: `{"error": {...}}` on most servers, `{"error": "text"}` for MKA1's rate limit, or flat."""

    message: str | None = None
    code: str | None = None
    param: str | None = None

    @classmethod
    def of(cls, body: bytes) -> "ErrorWords":
        """Read the words of a body; all None if it is not an error body of a known shape."""
        fields = fields_of(body)
        error = fields.get("error", Raw(b"null"))
        if bytes(error).startswith(b"{"):
            fields = fields_of(error)
        elif (text := read_text(error)) is not None:
            return cls(message=text)
        detail = read_text(fields.get("message")) or read_text(fields.get("detail"))
        code = fields.get("code", Raw(b"null"))
        number = bytes(code).decode() if NUMBER.fullmatch(code) else None
        return cls(message=detail, code=read_text(code) or number, param=read_text(fields.get("param")))


NUMBER = re.compile(rb"-?[0-9.]{1,20}")


def error_words(state: State, *, hide: Callable[[str], str] = str) -> ErrorWords:
    """Return what the server said went wrong, and the code: in an `error` event, or else in the Response.

    A key is hidden before the words are cut, because `hide` does not know a part of it.
    """
    error, response = state.error, snapshot_json(state)
    said = (error.message or error.code) if error is not None else None
    words = ErrorWords.of(response)
    limit = read_text(fields_of(fields_of(response).get("incomplete_details", Raw(b""))).get("reason"))
    code = words.code if error is None or error.code is None else str(error.code)
    return ErrorWords(in_short(hide(said or words.message or limit or "")), code and in_short(hide(code)))


class Refusal(StrEnum):
    """Why the gateway did not send a stream or a Response."""

    BUSY = auto()
    """408, 425, 429 or 5xx: an outage, which says nothing about whether the call works."""
    UNAUTHORIZED = auto()
    """401 or 403: the key is refused, and no later call will work."""
    UNKNOWN_ID = auto()
    """404 or 410: there is no such Response, or it belongs to another tenant."""
    CURSOR_REFUSED = auto()
    """The number to resume after is refused. The whole stream may still be available."""
    NOT_STREAMABLE = auto()
    """It cannot be streamed again: it is too old, in the foreground, or was created without a stream."""
    NOT_THE_GATEWAY = auto()
    """A redirect, or a page of a proxy: it refuses nothing."""
    UNRECOGNIZED = auto()
    """Refused for an unknown reason."""


BUSY_STATUSES = frozenset({408, 425, 429})
# Words of the messages in protocol 13.6 and 13.7: OpenAI's, Azure's.
NOT_STREAMABLE = re.compile(
    r"no longer be streamed|cannot be streamed|not created with|minutes old|expired|synchronous", re.IGNORECASE
)
# Only the number is refused: `stream_cursor_expired` and the like. A message about both is about the stream.
CURSOR = re.compile(r"cursor|starting_after|last.event.id", re.IGNORECASE)


def refusal_of(answer: Answer) -> Refusal:
    """Classify an answer that is not a success."""
    if answer.status in {401, 403}:
        return Refusal.UNAUTHORIZED
    if answer.status in BUSY_STATUSES or answer.status >= 500:
        return Refusal.BUSY
    if answer.is_page or answer.status < 400:
        return Refusal.NOT_THE_GATEWAY
    return _refusal_in_words(answer, answer.error)


def _refusal_in_words(answer: Answer, words: ErrorWords) -> Refusal:
    message = words.message or ""
    if CURSOR.search(f"{words.code} {words.param}") or answer.status == 416:
        return Refusal.CURSOR_REFUSED
    if answer.status in {404, 410}:
        return Refusal.UNKNOWN_ID
    if NOT_STREAMABLE.search(message) and not CURSOR.search(message):
        return Refusal.NOT_STREAMABLE
    return Refusal.CURSOR_REFUSED if CURSOR.search(message) else Refusal.UNRECOGNIZED


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer with this head is an event stream."""
    kind = re.split("[;,]", headers.get("content-type", ""), maxsplit=1)[0]  # a repeated header is joined by a comma
    return status == 200 and kind.strip().lower() == "text/event-stream"


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Return how long the gateway asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date; else 0.

    A date is read against the answer's own `date`, so a wrong clock on this machine does not matter.
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
    """An HTTP date as Unix seconds; None if it is not a date."""
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        # HTTP dates are UTC, so a date without a zone is read as UTC.
        return timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None


# What an answer means for the repair ladder


@frozen
class CallFailure:
    """A call failed.

    Attributes:
        reason: Why, in a few words.
        refused: The repair steps that will therefore never work.
        retry_after_seconds: How long the gateway asks to wait.
        max_attempts: A lower limit for this step, for failures that a retry rarely fixes.
        is_outage: Whether it says nothing about the step: no answer came, or one that only says "later".
    """

    reason: str
    refused: frozenset[RepairKind] = frozenset()
    retry_after_seconds: float = 0.0
    max_attempts: int | None = None
    is_outage: bool = False


@frozen
class Ended:
    """The Response has ended. state: The state that shows it. body: Its bytes."""

    state: State
    body: bytes


@frozen
class StillOpen:
    """The Response is still running. state: The state that shows it. is_background: None if it does not say."""

    status: str
    is_background: bool | None
    state: State


Retrieved: TypeAlias = Ended | StillOpen | CallFailure


def read_no_stream(answer: Answer | CallFailure, *, trying: RepairKind) -> CallFailure:
    """Return what an answer without a stream means. trying: The step that asked for it."""
    if isinstance(answer, CallFailure):
        return answer
    if not answer.is_success:
        return read_refusal("the stream", answer, trying)
    if not answer.body:
        return CallFailure(f"the stream was empty, with status {answer.status}", max_attempts=2)
    # A page of HTML comes from a proxy in front of the gateway, which may be gone a moment later: it refuses nothing.
    return CallFailure(f"expected an event stream, got {_kind_of(answer)} with status {answer.status}")


def read_retrieved(answer: Answer | CallFailure, state: State) -> Retrieved:
    """Return what the answer to a GET says. state: The state that its Response is adopted into."""
    if isinstance(answer, CallFailure):
        return answer
    if not answer.is_success:
        return read_refusal("the Response", answer, RepairKind.RETRIEVE)
    try:
        adopted = with_response(state, answer.body)
    except MalformedBody as error:
        return CallFailure(str(error))
    if adopted.is_terminal:
        return Ended(adopted, answer.body)
    if not adopted.status:
        words = answer.error.message
        said = f"it is an error: {in_short(words)}" if words else "it has no status"
        return CallFailure(f"the body is not a Response: {said}")
    head = read_head(answer.body)
    return StillOpen(adopted.status, head.background if head else None, adopted)


def read_refusal(what: str, answer: Answer, trying: RepairKind) -> CallFailure:
    """Return what a refusal of `what` means. trying: The step that asked for it."""
    words = answer.error
    said = in_short(words.message or words.code or "") or (_kind_of(answer) if answer.is_page else "no reason given")
    reason = f"{what} was refused with {answer.status}: {said}"
    match refusal_of(answer):
        case Refusal.BUSY:
            return CallFailure(reason, retry_after_seconds=retry_after_seconds(answer.headers), is_outage=True)
        case Refusal.NOT_THE_GATEWAY:
            return CallFailure(reason, retry_after_seconds=retry_after_seconds(answer.headers))
        case Refusal.UNAUTHORIZED:
            return CallFailure(reason, frozenset(RepairKind))
        case Refusal.UNKNOWN_ID | Refusal.NOT_STREAMABLE if trying in STREAMS:
            return CallFailure(reason, STREAMS)
        case Refusal.CURSOR_REFUSED:
            return CallFailure(reason, frozenset({RepairKind.RESUME, trying}))
        case _:
            return CallFailure(reason, frozenset({trying}))


def _kind_of(answer: Answer) -> str:
    kind = in_short(answer.headers.get("content-type", "").partition(";")[0])
    return "an HTML page" if kind == "text/html" else kind or "no content type"
