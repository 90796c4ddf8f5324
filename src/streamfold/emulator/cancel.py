"""What a cancel does, in each of the ways that servers were seen to do it.

In      the name of a dialect of cancels
Out     a CancelRule
Units   HTTP statuses
Errors  InvalidArgument for a name that is none
Source  docs/reference/emulator.md; the table of cancels in the protocol reference, section 6
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import frozen

from streamfold.errors import InvalidArgument

__all__ = ["CANCEL_RULES", "CancelRule", "Ending", "cancel_rule"]


class Ending(StrEnum):
    """How the stream of a cancelled Response ends."""

    CANCELLED_EVENT = "cancelled_event"  # `response.cancelled`
    FAILED_EVENT = "failed_event"  # `response.failed` that holds status cancelled
    SILENT = "silent"  # no terminal event, then or later
    HANG_UP = "hang_up"  # open streams just end; one that is opened afterwards goes on to `response.completed`
    GOES_ON = "goes_on"  # open streams go on to `response.completed`, and then the Response says completed


@frozen(kw_only=True)
class CancelRule:
    """One dialect of cancels. A cancel that is taken is answered with 200 and status cancelled, always at once.

    ending: what the stream then does. finished_status: the answer for a Response that is completed, failed or
    incomplete; 200 gives it as it is. again_status: the answer for one that is cancelled already.
    """

    ending: Ending
    finished_status: int = 400
    again_status: int = 200


CANCEL_RULES: Mapping[str, CancelRule] = MappingProxyType(
    {
        "mka1": CancelRule(ending=Ending.CANCELLED_EVENT),
        "openai": CancelRule(ending=Ending.HANG_UP),
        "conflict409": CancelRule(ending=Ending.CANCELLED_EVENT, finished_status=409, again_status=409),
        "ends-silently": CancelRule(ending=Ending.SILENT),
        "failed-holding-cancelled": CancelRule(ending=Ending.FAILED_EVENT),
        "completes-anyway": CancelRule(ending=Ending.GOES_ON),
        "finished200": CancelRule(ending=Ending.CANCELLED_EVENT, finished_status=200),
    }
)
"""The dialects of cancels by name. `mka1` is the default on `/api/v1/llm`, `openai` on `/v1`."""


def cancel_rule(name: str) -> CancelRule:
    """The rule of that name.

    Raises: InvalidArgument for a name that is none.
    """
    rule = CANCEL_RULES.get(name)
    if rule is None:
        raise InvalidArgument("cancel", f"must be one of {', '.join(CANCEL_RULES)}")
    return rule
