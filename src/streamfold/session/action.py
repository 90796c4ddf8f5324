"""What a session asks its shell to do next.

In      nothing
Out     Connect, Retrieve, Cancel, Wait, Finish
Units   seconds; sequence numbers
Source  docs/reference/session.md

A shell carries these out, and tells the session what came of each. It makes no decision of its own.
"""

from typing import TypeAlias

from attrs import frozen

__all__ = ["Action", "Call", "Cancel", "Connect", "Finish", "Retrieve", "Wait"]


@frozen
class Connect:
    """Open the stream, after closing the one that is open.

    starting_after: the cursor to resume after; None for the whole stream.
    """

    starting_after: int | None = None


@frozen
class Retrieve:
    """GET the Response, without its stream."""


@frozen
class Cancel:
    """POST the cancel."""


@frozen
class Wait:
    """If nothing happens for so many seconds, say so with `receive_time`. What stands behind it is what comes then."""

    seconds: float


@frozen
class Finish:
    """Close what is open: the outcome is there."""


Call: TypeAlias = Connect | Retrieve | Cancel
Action: TypeAlias = Call | Wait | Finish
