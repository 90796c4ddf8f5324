"""Every error that streamfold raises on purpose, by who broke the promise.

In      plain numbers and strings: never a frame, an event or a state
Out     StreamfoldError, and one flat family for each party: bytes, order, gateway, log, caller
Units   sequence numbers count events; limits are in bytes
Source  docs/reference/errors.md

The facts are attributes; the sentence is built from them and says what to do next. Every error survives
pickling, since its facts are its arguments.
"""

__all__ = [
    "FrameTooLarge",
    "GatewayError",
    "LogError",
    "MalformedBody",
    "MalformedCheckpoint",
    "NumberNotReached",
    "SequenceGap",
    "StreamfoldError",
    "UsageError",
    "WireError",
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
