"""Every error that streamfold raises on purpose.

There is one root, and one flat family for each source of errors: the bytes (`WireError`), the order of events
(`SequenceGap`), the gateway (`GatewayError`), the log (`LogError`), the caller (`UsageError`). `OutcomeError` is for a
response that did not complete. It is raised only by `raise_for_status()` and `text()`. The facts are attributes; the
message is built from them. No message holds a key or the text of an answer, and every error survives pickling.
"""

import re
from typing import Self

__all__ = [
    "ConnectFailed",
    "Disconnected",
    "FrameTooLarge",
    "GatewayError",
    "IdleTimeout",
    "InvalidArgument",
    "InvalidWebhook",
    "LeaseHeld",
    "LogClosed",
    "LogConflict",
    "LogError",
    "LogGap",
    "LogUnusable",
    "MalformedBody",
    "MalformedCheckpoint",
    "NumberNotReached",
    "OutcomeError",
    "ProtocolViolation",
    "RelayBusy",
    "RequestRefused",
    "ResponseCancelled",
    "ResponseFailed",
    "ResponseIncomplete",
    "ResponseLost",
    "SequenceGap",
    "StreamBroken",
    "StreamfoldError",
    "TextChanged",
    "TransportError",
    "UnexpectedAnswer",
    "UnknownStream",
    "UsageError",
    "WireError",
    "WriterFenced",
]


class StreamfoldError(Exception):
    """The root of all errors that streamfold raises on purpose."""


class WireError(StreamfoldError):
    """The bytes are not what the protocol says they are."""


class GatewayError(StreamfoldError):
    """The gateway answered with an error, or with something other than what was asked for.

    Attributes:
        method: The HTTP method of the failed call; None if it is not known.
        url: Its URL without query and credentials; None if it is not known.
    """

    method: str | None = None
    url: str | None = None

    def during(self, method: str, url: str) -> Self:
        """Record which call failed, unless that is known already, and return the error itself."""
        if self.method is None:
            self.method, self.url = method, without_credentials(url)
        return self

    def _message(self) -> str:
        return super().__str__()

    def __str__(self) -> str:
        return self._message() if self.method is None else f"{self.method} {self.url}: {self._message()}"

    def __repr__(self) -> str:
        # Not the arguments: the excerpt of a body is among them, and may be the text of an answer.
        return f"{type(self).__name__}({str(self)!r})"


_CREDENTIALS = re.compile("//[^/]*@")


def without_credentials(url: str) -> str:
    """A URL as it may be shown: without user, query and fragment."""
    return _CREDENTIALS.sub("//", re.split(r"[?#]", url, maxsplit=1)[0])


class LogError(StreamfoldError):
    """The log lacks a record, holds a different one, or cannot be written."""


class UsageError(StreamfoldError):
    """An argument that no call can accept."""


# Bytes, their order, and what a caller asks for


class FrameTooLarge(WireError):
    """One SSE block exceeded the limit before its blank line arrived."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"one frame is larger than {self.limit_bytes:,} bytes; raise max_frame_bytes if the server may send such frames"


class MalformedBody(WireError):
    """A body that should be one JSON object of the API is not.

    Attributes:
        kind: What was expected, such as "Response" or "Batch".
        reason: What the decoder found, and where.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind: str = kind
        self.reason: str = reason

    def __str__(self) -> str:
        return f"not a {self.kind}: {self.reason}; check the body that the server sent"


class MalformedCheckpoint(WireError):
    """Bytes that should be a saved state are not, or were written by another version."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a checkpoint: {self.reason}; fold again from the events"


class InvalidWebhook(WireError):
    """The gateway did not sign this webhook, or signed it too long ago: do not act on it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason

    def __str__(self) -> str:
        return f"webhook refused: {self.reason}; answer 400 and ignore its content"


class SequenceGap(StreamfoldError):
    """An event arrived ahead of the state: at least one event in between is missing.

    Attributes:
        expected: The sequence number that would extend the state.
        got: The one that arrived.
    """

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(expected, got)
        self.expected: int = expected
        self.got: int = got

    def __str__(self) -> str:
        where = f"resume after {self.expected - 1}" if self.expected > 0 else "read the stream from its start"
        return f"expected event {self.expected}, got {self.got}; {where}"


class NumberNotReached(UsageError):
    """The events hold no state at the sequence number that was asked for.

    Attributes:
        at: The number that was asked for.
        cursor: The number that the events lead to; None if there were no events.
    """

    def __init__(self, at: int, cursor: int | None) -> None:
        super().__init__(at, cursor)
        self.at: int = at
        self.cursor: int | None = cursor

    def __str__(self) -> str:
        if self.cursor is None:
            return f"no state at {self.at}: there are no events"
        verb = "skip it and continue at" if self.cursor > self.at else "end at"
        return f"no state at {self.at}: the events {verb} {self.cursor}"


class InvalidArgument(UsageError):
    """An argument was refused before anything was sent.

    Attributes:
        name: The argument, as the API or the call spells it.
        reason: What it must be.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name: str = name
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


# The gateway


class TransportError(GatewayError):
    """The connection failed. Everything that had arrived before was delivered first.

    Attributes:
        reason: What the HTTP client reported.
        advice: What to do next. A caller that knows more, such as the cursor to resume after, may replace it.
    """

    advice: str = "try again"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason

    def _message(self) -> str:
        return f"{self.reason}; {self.advice}"


class ConnectFailed(TransportError):
    """No connection could be made. Nothing was sent, so any request is safe to repeat."""

    advice = "check the base URL and the network"


class IdleTimeout(TransportError):
    """The gateway sent nothing for too long."""

    advice = "try again, or allow a longer silence"


class Disconnected(TransportError):
    """The connection closed before the answer was complete."""


class ProtocolViolation(TransportError):
    """The answer is not valid HTTP, or is larger than allowed."""

    advice = "check that the base URL is an HTTP gateway"


class RequestRefused(GatewayError):
    """The gateway answered with an error status.

    Attributes:
        status: The HTTP status.
        message: From the error body, as are `code` and `param`; None if it has none.
        request_id: The gateway's id for this request; None if it sent none.
        excerpt: The beginning of the body.
        reason: `message`, or else what can be said of the body.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(status, message, code, param, request_id, excerpt)
        self.status: int = status
        self.message: str | None = message
        self.code: str | None = code
        self.param: str | None = param
        self.request_id: str | None = request_id
        self.excerpt: str = excerpt

    @property
    def reason(self) -> str:
        return self.message or _in_words(self.excerpt) or "no reason given"

    def _message(self) -> str:
        facts = {"code": self.code, "param": self.param, "request id": self.request_id}
        known = "".join(f", {name} {value}" for name, value in facts.items() if value)
        is_no_such_path = self.status == 404 and self.method == "POST" and not (self.code or self.param)
        advice = (
            "; check the base URL" if is_no_such_path and (self.url or "").endswith(("/responses", "/batches")) else ""
        )
        return f"the gateway answered {self.status}{known}: {self.reason}{advice}"


class UnexpectedAnswer(GatewayError):
    """The gateway answered with success, but not as expected, for example with an HTML page instead of a stream.

    Attributes:
        expected: What was asked for.
        status: The HTTP status.
        content_type: What arrived; empty if the header is missing.
        request_id: The gateway's id for this request; None if it sent none.
        excerpt: The beginning of the body.
    """

    def __init__(
        self, expected: str, status: int, content_type: str, request_id: str | None = None, excerpt: str = ""
    ) -> None:
        super().__init__(expected, status, content_type, request_id, excerpt)
        self.expected: str = expected
        self.status: int = status
        self.content_type: str = content_type
        self.request_id: str | None = request_id
        self.excerpt: str = excerpt

    def _message(self) -> str:
        kind = self.content_type or "no content type"
        # JSON that comes with a success may be a Response, with text of the answer in it.
        body = "JSON of another kind" if self.excerpt.startswith(("{", "[")) else _in_words(self.excerpt)
        return f"expected {self.expected}, got {kind} with status {self.status}: {body or 'an empty body'}"


def _in_words(excerpt: str) -> str:
    """What to say of a body: its beginning, unless it is a page, which says nothing, or holds the text of an answer."""
    start = excerpt.lstrip("\ufeff ").lower()
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page, as from a proxy or a wrong base URL"
    return "an event stream" if start.startswith(("event:", "data:", "id:", "retry:", ":")) else excerpt


# How a response ended


class OutcomeError(StreamfoldError):
    """A response ended without a complete answer.

    Raised by `outcome.raise_for_status()` and, unless you pass `strict=False`, by `response.text()`. The outcome and
    the response keep all text that arrived; the message holds none of it.

    Attributes:
        response_id: The response's id; None if it never arrived.
        status: How it ended, such as "failed".
        reason: Why, as far as it is known; may be empty.
        code: The gateway's error code; None if it gave none.
    """

    verb: str = ""
    advice: str = ""

    def __init__(self, response_id: str | None, status: str, reason: str = "", code: str | None = None) -> None:
        super().__init__(response_id, status, reason, code)
        self.response_id: str | None = response_id
        self.status: str = status
        self.reason: str = reason
        self.code: str | None = code

    @staticmethod
    def of(response_id: str | None, status: str, reason: str = "", code: str | None = None) -> "OutcomeError":
        """Return the error for this status: its own class if it has one, otherwise a plain OutcomeError."""
        return _BY_STATUS.get(status, OutcomeError)(response_id, status, reason, code)

    def __str__(self) -> str:
        name = f"response {self.response_id}" if self.response_id else "the response"
        code = f" (code {self.code})" if self.code else ""
        reason = f": {self.reason}" if self.reason else ""
        advice = f"; {self.advice}" if self.advice else ""
        if advice:
            reason = reason.rstrip(".")  # a gateway's reason is often a sentence
        return f"{name} {self.verb or f'ended as {self.status}'}{code}{reason}{advice}"


class ResponseFailed(OutcomeError):
    """The gateway reports that the response failed."""

    verb = "failed"


class ResponseIncomplete(OutcomeError):
    """The response stopped at a limit. The text so far is usable, but incomplete."""

    verb = "is incomplete"
    advice = "raise the limit, or continue with previous_response_id"


class ResponseCancelled(OutcomeError):
    """The response was cancelled, by this client or by another one."""

    verb = "was cancelled"


class ResponseLost(OutcomeError):
    """The client can learn nothing more about the response, which may still be running at the gateway."""

    verb = "was lost"
    advice = "follow it again by its id, or create it again"


class TextChanged(OutcomeError):
    """The pieces of `text()` do not add up to the output text. `reason` says why."""

    verb = "has text that the pieces do not add up to"
    advice = "use the output_text of the final state instead of the pieces"


_BY_STATUS: dict[str, type[OutcomeError]] = {
    "failed": ResponseFailed,
    "incomplete": ResponseIncomplete,
    "cancelled": ResponseCancelled,
    "lost": ResponseLost,
}


# The log


class UnknownStream(LogError):
    """The log has no stream for this tenant and response."""

    def __init__(self, tenant: str, response_id: str) -> None:
        super().__init__(tenant, response_id)
        self.tenant: str = tenant
        self.response_id: str = response_id

    def __str__(self) -> str:
        return f"the log has no stream of {self.response_id}; acquire it before appending to it"


class LeaseHeld(LogError):
    """Another writer holds the stream's lease.

    Attributes:
        owner: That writer.
        seconds: How long its lease lasts unless it is renewed.
    """

    def __init__(self, owner: str, seconds: float) -> None:
        super().__init__(owner, seconds)
        self.owner: str = owner
        self.seconds: float = seconds

    def __str__(self) -> str:
        when = f"in {self.seconds:.1f} s, when its lease may have expired"
        return f"{self.owner} is writing this stream; try again {when}"


class WriterFenced(LogError):
    """Another writer took over the stream, and the log accepts nothing more from this one.

    Attributes:
        epoch: This writer's epoch.
        current: The stream's epoch now.
    """

    def __init__(self, epoch: int, current: int) -> None:
        super().__init__(epoch, current)
        self.epoch: int = epoch
        self.current: int = current

    def __str__(self) -> str:
        return f"this writer has epoch {self.epoch}, the stream has {self.current}; stop, another writer has taken over"


class LogGap(LogError):
    """The appended records begin ahead of the log's end and would leave a hole."""

    def __init__(self, next_number: int, got: int) -> None:
        super().__init__(next_number, got)
        self.next_number: int = next_number
        self.got: int = got

    def __str__(self) -> str:
        return f"the log needs record {self.next_number} next, got {self.got}; send again from {self.next_number}"


class LogConflict(LogError):
    """The log holds a different record with this number."""

    def __init__(self, sequence_number: int) -> None:
        super().__init__(sequence_number)
        self.sequence_number: int = sequence_number

    def __str__(self) -> str:
        return f"the log holds a different record {self.sequence_number}; two sources of one response disagree"


class LogClosed(LogError):
    """The stream is finished: no record may follow its last one."""

    def __init__(self, next_number: int, got: int) -> None:
        super().__init__(next_number, got)
        self.next_number: int = next_number
        self.got: int = got

    def __str__(self) -> str:
        return f"the stream was finished before record {self.next_number}; record {self.got} comes too late"


class LogUnusable(LogError):
    """The store cannot be opened, read or written.

    Attributes:
        where: The file or server.
        reason: Why, and what to do.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where: str = where
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


# The relay


class RelayBusy(StreamfoldError):
    """The relay holds as many streams, or has as many readers, as it may."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(what, limit)
        self.what: str = what
        self.limit: int = limit

    def __str__(self) -> str:
        return f"the relay has {self.limit:,} {self.what}, the most that it may; try again later, or raise the limit"


class StreamBroken(StreamfoldError):
    """A reader is let go before the end of its response, or a response was lost.

    The body of an answer that carries the stream must be broken off, because many clients take a clean end for a finished
    answer.

    Attributes:
        reason: Why, in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason

    def __str__(self) -> str:
        return f"the stream is broken off: {self.reason}"
