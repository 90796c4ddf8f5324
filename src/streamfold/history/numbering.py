"""The number of each event's record, where events come from a stream and not from a log.

In      events in the order in which they came
Out     the number of each
Units   sequence numbers
Errors  SequenceGap
Source  docs/reference/history.md
"""

from streamfold.errors import SequenceGap
from streamfold.fold import SequencePolicy
from streamfold.schema import Event

__all__ = ["Numbering"]

MAX_HOLE = 1_000
"""How many numbers a gateway may leave out at once; more are a mistake, and each would be a record."""


class Numbering:
    """Ask it for one number after the other. next_number: what an event without one gets; None before the first."""

    def __init__(self, policy: SequencePolicy) -> None:
        self._policy = policy
        self.next_number: int | None = None

    def number(self, event: Event) -> int:
        """The event's number: below `next_number` for a duplicate, beyond it where the policy believes in holes.

        Raises: SequenceGap for an event from beyond a hole.
        """
        own, expected = event.sequence_number, self.next_number
        number = (expected or 0) if own is None or self._policy is SequencePolicy.ARRIVAL else own
        most = MAX_HOLE if self._policy is SequencePolicy.RENUMBER else 0
        if expected is not None and number - expected > most:
            raise SequenceGap(expected, number)
        self.next_number = number + 1 if expected is None else max(expected, number + 1)
        return number
