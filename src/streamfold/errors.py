"""Every error that streamfold raises on purpose, by who broke the promise.

In      plain numbers and strings: never a frame, an event or a state
Out     StreamfoldError, and one flat family for each party: bytes, order, gateway, log, caller
Units   sequence numbers count events; limits are in bytes
Source  docs/reference/errors.md

The facts are attributes; the sentence is built from them and says what to do next. Every error survives
pickling, since its facts are its arguments.
"""

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
    "ProtocolViolation",
    "RequestRefused",
    "SequenceGap",
    "StreamfoldError",
    "TransportError",
    "UnexpectedAnswer",
    "UnknownStream",
    "UsageError",
    "WireError",
    "WriterFenced",
]


class StreamfoldError(Exception):
    """The root: whatever streamfold raises on purpose is one of these."""


class WireError(StreamfoldError):
    """Bytes broke the promise: they are not what the protocol says they are."""


class GatewayError(StreamfoldError):
    """The gateway broke the promise: it answered with an error, or with something else than was asked."""


class LogError(StreamfoldError):
    """The log broke the promise: a record is missing, differs, or cannot be written."""


class UsageError(StreamfoldError):
    """The caller broke the promise: an argument that no call could honour."""


class FrameTooLarge(WireError):
    """One SSE block grew beyond the limit before its blank line came."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"one frame is larger than {self.limit_bytes:,} bytes; if the server may send such frames, raise max_frame_bytes"


class MalformedBody(WireError):
    """A body that should be one JSON object of the API is not.

    kind: what was expected, "Response" or "Batch". reason: what the decoder met, with its place.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind: str = kind
        self.reason: str = reason

    def __str__(self) -> str:
        return f"not a {self.kind}: {self.reason}; look at the body that the server sent"


class MalformedCheckpoint(WireError):
    """Bytes that should be a saved state are not, or were written by another version."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a checkpoint: {self.reason}; fold again from the events"


class InvalidWebhook(WireError):
    """A webhook that the gateway did not sign, or signed too long ago: what it says is not to be believed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason

    def __str__(self) -> str:
        return f"webhook refused: {self.reason}; answer it with 400, and believe nothing in it"


class SequenceGap(StreamfoldError):
    """An event arrived ahead of the state, so some event between was never seen."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(expected, got)
        self.expected: int = expected
        self.got: int = got

    def __str__(self) -> str:
        where = f"resume after {self.expected - 1}" if self.expected > 0 else "read the stream from its start"
        return f"expected event {self.expected}, got {self.got}; {where}"


class NumberNotReached(UsageError):
    """A state was asked for at a sequence number that the events do not hold.

    at: what was asked. cursor: the number that the events led to; None if there were none.
    """

    def __init__(self, at: int, cursor: int | None) -> None:
        super().__init__(at, cursor)
        self.at: int = at
        self.cursor: int | None = cursor

    def __str__(self) -> str:
        if self.cursor is None:
            return f"no state at {self.at}: there are no events"
        where = "pass over it, to" if self.cursor > self.at else "end at"
        return f"no state at {self.at}: the events {where} {self.cursor}"


class InvalidArgument(UsageError):
    """An argument that no gateway would take: refused before anything was sent.

    name: the argument, as the API or the call spells it. reason: what it must be.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name: str = name
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class TransportError(GatewayError):
    """The connection broke the promise. What was received before is not lost: it was handed over first.

    reason: what the HTTP client said.
    """

    advice = "try again"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.reason}; {self.advice}"


class ConnectFailed(TransportError):
    """No connection: nothing was sent, so that any request may be sent again."""

    advice = "check the base URL and the network"


class IdleTimeout(TransportError):
    """The gateway was silent for too long."""

    advice = "resume after the cursor, or allow a longer silence"


class Disconnected(TransportError):
    """The connection ended before the answer did."""

    advice = "resume after the cursor"


class ProtocolViolation(TransportError):
    """What came is no HTTP, or breaks its own framing."""

    advice = "check that the base URL is an HTTP gateway"


class RequestRefused(GatewayError):
    """The gateway answered with an error status.

    status: the HTTP status. message, code, param: the error body's own words, None where it has none.
    request_id: the gateway's name for this request. excerpt: the beginning of the body.
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

    def __str__(self) -> str:
        said = self.message or self.excerpt or "no reason given"
        facts = {"code": self.code, "param": self.param, "request id": self.request_id}
        known = "".join(f", {name} {value}" for name, value in facts.items() if value)
        return f"the gateway answered {self.status}{known}: {said}"


class UnexpectedAnswer(GatewayError):
    """The gateway answered well, but not with what was asked for, as an HTML page where a stream should be.

    expected: what was asked for. content_type: what came. excerpt: the beginning of the body.
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

    def __str__(self) -> str:
        came = self.content_type or "no content type"
        return f"expected {self.expected}, got {came} with status {self.status}: {self.excerpt or 'an empty body'}"


class UnknownStream(LogError):
    """The log has no stream of this tenant and response."""

    def __init__(self, tenant: str, response_id: str) -> None:
        super().__init__(tenant, response_id)
        self.tenant: str = tenant
        self.response_id: str = response_id

    def __str__(self) -> str:
        return f"the log has no stream of {self.response_id}; acquire it before appending to it"


class LeaseHeld(LogError):
    """Another writer has the stream. seconds: how long it may still go without a sign of life."""

    def __init__(self, owner: str, seconds: float) -> None:
        super().__init__(owner, seconds)
        self.owner: str = owner
        self.seconds: float = seconds

    def __str__(self) -> str:
        return f"{self.owner} writes this stream; try again in {self.seconds:.1f} s, when its lease may have ended"


class WriterFenced(LogError):
    """Another writer took the stream over: nothing of this one is appended any more. epoch: ours. current: the other's."""

    def __init__(self, epoch: int, current: int) -> None:
        super().__init__(epoch, current)
        self.epoch: int = epoch
        self.current: int = current

    def __str__(self) -> str:
        return f"this writer has epoch {self.epoch}, the stream has {self.current}; stop, for another writer goes on"


class LogGap(LogError):
    """The records begin ahead of what the log holds: appended, they would leave a hole."""

    def __init__(self, next_number: int, got: int) -> None:
        super().__init__(next_number, got)
        self.next_number: int = next_number
        self.got: int = got

    def __str__(self) -> str:
        return f"the log needs record {self.next_number} next, got {self.got}; send again from {self.next_number}"


class LogConflict(LogError):
    """The log holds another record with this number."""

    def __init__(self, sequence_number: int) -> None:
        super().__init__(sequence_number)
        self.sequence_number: int = sequence_number

    def __str__(self) -> str:
        return f"the log holds another record {self.sequence_number}; two sources of one response disagree"


class LogClosed(LogError):
    """The stream is finished: nothing follows its last record."""

    def __init__(self, next_number: int, got: int) -> None:
        super().__init__(next_number, got)
        self.next_number: int = next_number
        self.got: int = got

    def __str__(self) -> str:
        return f"the stream was finished before record {self.next_number}; record {self.got} comes too late"


class LogUnusable(LogError):
    """The store cannot be opened, read or written. where: which. reason: why, and what to do."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where: str = where
        self.reason: str = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
