"""How an emulator behaves: its settings, each with a default and a range.

In      keyword arguments
Out     Options
Units   seconds, tokens; as each name says
Errors  InvalidArgument that names the option
Source  docs/reference/emulator.md
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from attrs import Attribute, field, frozen

from streamfold.chaos import Fault, Plan
from streamfold.emulator.cancel import cancel_rule
from streamfold.errors import InvalidArgument

__all__ = ["Options"]

Check: TypeAlias = Callable[[Any, "Attribute[Any]", Any], None]


def _at_least(lowest: float) -> Check:
    def check(_: Any, attribute: "Attribute[Any]", value: float | None) -> None:
        if value is not None and not value >= lowest:
            raise InvalidArgument(attribute.name, f"must be {lowest:g} or more")

    return check


def _above_zero(_: Any, attribute: "Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise InvalidArgument(attribute.name, "must be more than 0")


def _known_cancel(_: Any, __: "Attribute[Any]", value: str | None) -> None:
    if value is not None:
        cancel_rule(value)


def _not_empty(_: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    if value == "":
        raise InvalidArgument(attribute.name, "must not be empty")


def _is_for_invalid(_: Any, attribute: "Attribute[Any]", value: int) -> None:
    if value not in (400, 422):
        raise InvalidArgument(attribute.name, "must be 400 or 422")


_POSITIVE = _at_least(0)


@frozen(kw_only=True)
class Options:
    """The settings of an emulator.

    The model
        tokens_per_second       how fast it answers; 0 or None: as fast as it can
        seed                    chooses ids, texts, and the draws of `plan`
        playback                a recorded stream to answer with, instead of the model: a file, or its bytes
        queue_seconds           how long a background Response is queued
        hold_after_events       how many events a Response gives before it stands still, until it is cancelled

    Who may ask
        key                     the only bearer token that is taken; None: any that is not empty

    Streams
        keepalive_seconds       the silence after which a `:` comment is sent
        resume_window_seconds   the age of a Response after which it can no longer be streamed; None: the dialect's
        numbers_finished_next   whether the single event that a finished Response is streamed as has the number that
                                follows the reader's cursor, instead of its own
        cancels_on_disconnect   whether a foreground Response is cancelled when its client leaves; None: the dialect's

    Cancels and batches
        cancel                  the dialect of cancels; None: that of the path
        batch_stage_seconds     how long a batch is validating, in progress and finalizing, each
        batch_cancel_seconds    how long a batch is cancelling
        batch_requests          how many requests each batch has

    Errors
        invalid_status          400 or 422, for a request that is not valid
        retry_after_seconds     what a 429 or 503 asks for, where the fault does not say

    Webhooks
        webhook_attempts        how often a webhook is sent, at most
        webhook_backoff_seconds the wait after the first failure; it doubles with each

    Faults
        faults                  what goes wrong with each request
        plan                    a seeded schedule of more
    """

    tokens_per_second: float | None = field(default=50.0, validator=_POSITIVE)
    seed: int = 0
    playback: Path | bytes | None = field(default=None, repr=False)
    queue_seconds: float = field(default=0.0, validator=_POSITIVE)
    hold_after_events: int | None = field(default=None, validator=_POSITIVE)

    key: str | None = field(default=None, repr=False, validator=_not_empty)

    keepalive_seconds: float = field(default=2.0, validator=_above_zero)
    resume_window_seconds: float | None = field(default=None, validator=_POSITIVE)
    numbers_finished_next: bool = False
    cancels_on_disconnect: bool | None = None

    cancel: str | None = field(default=None, validator=_known_cancel)
    batch_stage_seconds: float = field(default=1.0, validator=_POSITIVE)
    batch_cancel_seconds: float = field(default=1.0, validator=_POSITIVE)
    batch_requests: int = field(default=3, validator=_POSITIVE)

    invalid_status: int = field(default=400, validator=_is_for_invalid)
    retry_after_seconds: float = field(default=1.0, validator=_POSITIVE)

    webhook_attempts: int = field(default=5, validator=_at_least(1))
    webhook_backoff_seconds: float = field(default=0.5, validator=_POSITIVE)

    faults: tuple[Fault, ...] = ()
    plan: Plan | None = None
