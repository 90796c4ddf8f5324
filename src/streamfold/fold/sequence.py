"""Is this event the next one, one already applied, or one from beyond a hole?

In      an event's sequence number, the one that would extend the state, and how the gateway's numbers are to be read
Out     a Verdict; never raises
Units   whole numbers, step 1, one series per response
Source  `sequence_number` in docs/reference/wire.md
"""

from enum import Enum, StrEnum

__all__ = ["SequencePolicy", "Verdict", "judge"]


class SequencePolicy(StrEnum):
    """How far a gateway's sequence numbers are trusted.

    STRICT: they count by one, as every recorded gateway that has them does. A hole is a gap.
    RENUMBER: they rise, but not by one (a gateway that leaves events out): their order counts, their holes do not.
    ARRIVAL: they mean nothing: events are counted from 0 as they arrive, and a duplicate cannot be told.
    """

    STRICT = "strict"
    RENUMBER = "renumber"
    ARRIVAL = "arrival"


class Verdict(Enum):
    """What an event is to a state."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    AHEAD = "ahead"


def judge(number: int | None, *, expected: int | None, policy: SequencePolicy = SequencePolicy.STRICT) -> Verdict:
    """What an event with this number is to a state that expects that one.

    expected: the number that would extend the state; None before the first was read, for that one may be any.
    """
    if policy is SequencePolicy.ARRIVAL or number is None or expected is None:
        return Verdict.NEXT
    if number < expected:
        return Verdict.DUPLICATE
    return Verdict.NEXT if number == expected or policy is SequencePolicy.RENUMBER else Verdict.AHEAD
