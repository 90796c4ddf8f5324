"""What an endpoint answers, as values: a body, a stream of events, a body that is not ready yet, or a problem.

A stream holds its source of events and nothing else, so an emulator's timeline and a relay's log serve alike. Nothing
here is a coroutine: `wait` returns an awaitable that only the ASGI half awaits.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec
from attrs import field, frozen

from streamfold.errors import UsageError
from streamfold.schema import Dialect
from streamfold.sse import Frame

__all__ = [
    "BodyReply",
    "EventFeed",
    "FixedEvents",
    "Headers",
    "PendingReply",
    "Problem",
    "ReadyEvents",
    "ServerReply",
    "StreamReply",
    "invalid",
    "refusal",
]

Headers: TypeAlias = tuple[tuple[str, str], ...]

MISSING = "is required"


@frozen
class Problem:
    """Why a request is refused.

    status: the HTTP status. message: one sentence. param: the field it is about, as the API spells it. headers: that
    the refusal has.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"
    headers: Headers = ()


def invalid(param: str, reason: str) -> Problem:
    """The problem with one field; `reason` continues the sentence that starts with its name."""
    code = "missing_required_parameter" if reason == MISSING else "invalid_value"
    return Problem(400, f"{param} {reason}.", param, code)


@frozen
class BodyReply:
    """A whole answer, with a body of known length."""

    status: int
    body: bytes = field(repr=False)
    headers: Headers = ()
    content_type: str = "application/json"

    @classmethod
    def of(cls, value: Any, *, status: int = 200) -> "BodyReply":
        """The JSON answer that holds this value."""
        return cls(status, msgspec.json.encode(value))


class ReadyEvents(NamedTuple):
    """Events that are ready, oldest first, and the place to ask from next."""

    frames: Sequence[Frame | bytes]
    place: int


class EventFeed(Protocol):
    """Where a stream gets its events from. A place is a position in the source's own counting.

    A frame may be given as bytes, already encoded: then one encoding serves every reader of the same events.
    """

    def next_after(self, place: int, now: float) -> ReadyEvents | float | None:
        """The events after a place; or how many seconds until there may be more (inf: unknown); None at the end."""
        ...

    def wait(self, seconds: float) -> Awaitable[None]:
        """Return after so many seconds, or earlier once `next_after` may answer differently."""
        ...


class FixedEvents:
    """A source of events that are all known. A place is an index."""

    def __init__(self, *frames: Frame | bytes) -> None:
        self._frames = frames

    def next_after(self, place: int, now: float) -> ReadyEvents | None:
        """All that is left."""
        return ReadyEvents(self._frames[place:], len(self._frames)) if place < len(self._frames) else None

    def wait(self, seconds: float) -> Awaitable[None]:
        """Never asked for, because there is never anything to wait for."""
        raise UsageError("all events are known; there is nothing to wait for")


@frozen(kw_only=True)
class StreamReply:
    """A stream of events.

    place: where the source is read from. on_disconnect: called once if the client disconnects before the end.
    """

    events: EventFeed
    content_type: str
    place: int = 0
    headers: Headers = ()
    on_disconnect: Callable[[], None] | None = None


@frozen(kw_only=True)
class PendingReply:
    """A body that is not ready yet.

    poll: the answer, or how many seconds until it may be ready. wait: as of an EventFeed. on_disconnect: as of a
    StreamReply.
    """

    poll: Callable[[float], BodyReply | float]
    wait: Callable[[float], Awaitable[None]]
    on_disconnect: Callable[[], None] | None = None


ServerReply: TypeAlias = BodyReply | StreamReply | PendingReply


def refusal(
    problem: Problem, dialect: Dialect, *, invalid_status: int = 400, retry_after_seconds: float | None = None
) -> BodyReply:
    """The answer that reports a problem, with the body that the dialect gives it.

    Args:
        problem: What is wrong.
        dialect: MKA1 documents the rate limit's body alone: there `error` is the message itself.
        invalid_status: The status for a field with a value out of its range.
        retry_after_seconds: What the `retry-after` header asks for; None for no such header.
    """
    status = invalid_status if problem.status == 400 and problem.code == "invalid_value" else problem.status
    headers = problem.headers
    if retry_after_seconds is not None:
        headers = (*headers, ("retry-after", f"{retry_after_seconds:g}"))
    if problem.status == 429 and dialect.rate_limit_error_is_text:
        return BodyReply(status, msgspec.json.encode({"error": problem.message}), headers)
    facts = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return BodyReply(status, msgspec.json.encode({"error": facts}), headers)
