"""How an emulator behaves: its settings, each with a default and a range, checked when they are given."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from attrs import Attribute, field, frozen

from streamfold.chaos import Fault, Plan, parse_faults, parse_plan
from streamfold.emulator.timeline import CANCEL_RULES
from streamfold.errors import InvalidArgument

Check: TypeAlias = Callable[[Any, "Attribute[Any]", Any], None]


def _read_faults(value: str | Fault | Iterable[Fault]) -> tuple[Fault, ...]:
    if isinstance(value, str):
        try:
            return parse_faults(value)
        except InvalidArgument as error:
            raise InvalidArgument("faults", error.reason if error.name == "fault" else str(error)) from error
    given: Any = value
    faults: tuple[Any, ...] = tuple(given) if hasattr(given, "__iter__") else (given,)
    if wrong := [each for each in faults if not isinstance(each, Fault)]:
        raise InvalidArgument("faults", f"must be Faults, or text such as 'drop:after_events=3;gzip', not {wrong[0]!r}")
    return faults


def _read_plan(value: str | Plan | None) -> Plan | None:
    plan: Any = parse_plan(value) if isinstance(value, str) else value
    if plan is None or isinstance(plan, Plan):
        return plan
    raise InvalidArgument("plan", f"must be a Plan, or text such as 'seed=7,rate=0.3', not {plan!r}")


def _read_playback(value: str | Path | bytes | None) -> Path | bytes | None:
    playback: Any = Path(value) if isinstance(value, str) else value
    if playback is None or isinstance(playback, Path | bytes):
        return playback
    raise InvalidArgument("playback", f"must be the path of a recorded stream, or its bytes, not {playback!r}")


def _must_be(expected: str, is_valid: Callable[[Any], bool]) -> Check:
    def check(_: Any, attribute: "Attribute[Any]", value: object) -> None:
        if not is_valid(value):
            raise InvalidArgument(attribute.name, f"must be {expected}, not {value!r}")

    return check


def _number(lowest: float, *, kind: Any = (int, float), is_optional: bool = False) -> Check:
    """A number of at least `lowest`. kind: int for whole numbers only. is_optional: whether None is accepted too."""

    def is_valid(value: Any) -> bool:
        if value is None:
            return is_optional
        return isinstance(value, kind) and not isinstance(value, bool) and value >= lowest

    return _must_be(f"{'a whole number' if kind is int else 'a number'} of {lowest:g} or more", is_valid)


def _is_key(_: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InvalidArgument(attribute.name, "must be text that is not empty")  # never shows the value


def _are_origins(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    each = [origin.strip() for origin in value.split(",")] if isinstance(value, str) else [None]
    if value not in ("", "*") and not all(origin and _ORIGIN.fullmatch(origin) for origin in each):
        raise InvalidArgument(
            attribute.name,
            f"must be '*', '' or origins such as http://localhost:3000, separated by commas, not {value!r}",
        )


_IS_FLAG = _must_be("True or False", lambda value: value in (True, False))
_SECONDS = _number(0)
_POSITIVE_SECONDS = _must_be("a number greater than 0", lambda value: isinstance(value, int | float) and value > 0)
_COUNT = _number(1, kind=int)
# As a browser sends them: a scheme, a host, perhaps a port; nothing that could end a header.
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[!-~]+")


@frozen(kw_only=True)
class Options:
    """The settings of an emulator.

    Args:
        tokens_per_second: How fast the model answers; 0 or None for no delay.
        seed: A number or any text. It decides ids and the words of answers.
        playback: A recorded stream to answer with instead of the model: the path of a file, or its bytes.
        queue_seconds: How long a background Response stays queued.
        hold_after_events: After this many events a Response pauses until it is cancelled.
        key: The only bearer token that is accepted; None for any that is not empty.
        keepalive_seconds: After this much silence a stream gets a `:` comment.
        resume_window_seconds: A Response older than this can no longer be streamed; None for the dialect's limit.
        numbers_finished_next: Whether the single event that a finished Response is streamed as has the number after
            the reader's cursor, instead of its own.
        cancels_on_disconnect: Whether a foreground Response is cancelled when its client disconnects; None for what the
            dialect does.
        cancel: The name of one of CANCEL_RULES; None for that of the path.
        batch_stage_seconds: How long a batch is validating, in progress and finalizing, each.
        batch_cancel_seconds: How long a batch stays `cancelling`.
        batch_requests: The number of requests in each batch.
        invalid_status: The status for a field that is out of range: 400 or 422.
        retry_after_seconds: The `retry-after` of a 429 or 503, unless the fault names one.
        webhook_attempts: How often a webhook is sent, at most.
        webhook_backoff_seconds: The wait after its first failure; it doubles with each.
        cors_origins: The web pages that may read the answers: `*` for all, or origins separated by commas; empty for none.
        keep_responses: How many Responses are kept, and how many batches. New ones replace finished ones, the oldest first.
        keep_bytes: How much memory the kept Responses may take, estimated from above.
        max_answer_tokens: The longest answer; an input that asks for more is refused.
        max_body_bytes: The longest body of a request.
        max_buffered_bytes: What all bodies being read and all long answers being sent may take of the memory.
        max_connections: How many connections may be open; one more is answered with 503 and closed.
        request_seconds: How long a client may take to send a request, head and body.
        unread_seconds: How long a client may leave what was sent to it unread; then its connection is cut.
        faults: What goes wrong: Faults, or text such as `drop:after_events=3;gzip`.
        plan: A seeded schedule of more: a Plan, or text such as `seed=7,rate=0.3,kinds=drop+stall`.

    Raises:
        InvalidArgument: A setting is not valid; the message names it and says what is expected.
    """

    tokens_per_second: float | None = field(default=50.0, validator=_number(0, is_optional=True))
    seed: int | str = field(
        default=0, validator=_must_be("a whole number or text", lambda value: isinstance(value, int | str))
    )
    playback: Path | bytes | None = field(default=None, converter=_read_playback, repr=False)
    queue_seconds: float = field(default=0.0, validator=_SECONDS)
    hold_after_events: int | None = field(default=None, validator=_number(0, kind=int, is_optional=True))
    key: str | None = field(default=None, repr=False, validator=_is_key)
    keepalive_seconds: float = field(default=2.0, validator=_POSITIVE_SECONDS)
    resume_window_seconds: float | None = field(default=None, validator=_number(0, is_optional=True))
    numbers_finished_next: bool = field(default=False, validator=_IS_FLAG)
    cancels_on_disconnect: bool | None = field(
        default=None, validator=_must_be("True, False or None", lambda value: value in (True, False, None))
    )
    cancel: str | None = field(
        default=None,
        validator=_must_be(f"one of {', '.join(CANCEL_RULES)}", lambda value: value is None or value in CANCEL_RULES),
    )
    batch_stage_seconds: float = field(default=1.0, validator=_SECONDS)
    batch_cancel_seconds: float = field(default=1.0, validator=_SECONDS)
    batch_requests: int = field(default=3, validator=_number(0, kind=int))
    invalid_status: int = field(default=400, validator=_must_be("400 or 422", lambda value: value in (400, 422)))
    retry_after_seconds: float = field(default=1.0, validator=_SECONDS)
    webhook_attempts: int = field(default=5, validator=_number(1, kind=int))
    webhook_backoff_seconds: float = field(default=0.5, validator=_SECONDS)
    cors_origins: str = field(default="*", validator=_are_origins)
    keep_responses: int = field(default=10_000, validator=_COUNT)
    keep_bytes: int = field(default=2**30, validator=_COUNT)
    max_answer_tokens: int = field(default=100_000, validator=_COUNT)
    max_body_bytes: int = field(default=16 * 2**20, validator=_COUNT)
    max_buffered_bytes: int = field(default=2**28, validator=_COUNT)
    max_connections: int = field(default=1000, validator=_COUNT)
    request_seconds: float = field(default=30.0, validator=_POSITIVE_SECONDS)
    unread_seconds: float = field(default=120.0, validator=_POSITIVE_SECONDS)
    faults: tuple[Fault, ...] = field(default=(), converter=_read_faults)
    plan: Plan | None = field(default=None, converter=_read_plan)
