"""What was tolerated while folding, by kind, with how often and where first.

In      a kind, and the number of the event that showed it
Out     a tuple of Anomaly, one for each kind that was met, in the order they were first met
Units   counts of events; sequence numbers
Source  docs/reference/anomalies.md
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Anomaly", "AnomalyKind", "noted"]


class AnomalyKind(StrEnum):
    """Each way in which a stream can be less than clean and still fold."""

    UNNUMBERED = "unnumbered"
    """An event had no sequence number: it was taken as the next, by order of arrival."""
    HOLE = "hole"
    """Numbers were left out, and the policy says that this gateway does so."""
    MALFORMED = "malformed"
    """An event of a known type, or bytes that are no event, did not decode: what it said is not in the state."""
    ITEM_CREATED = "item_created"
    """An event spoke of an item that was never added: it was created."""
    PART_CREATED = "part_created"
    """An event spoke of a part that was never added: it was created."""
    INDEX_REFUSED = "index_refused"
    """An index was negative or beyond the bound: the event was not applied."""
    MISFIT = "misfit"
    """An event did not fit the value it spoke of, as text for an array: it was not applied."""
    OUTPUT_KEPT = "output_kept"
    """The terminal Response had no output although items were folded: the folded ones were kept."""
    AFTER_TERMINAL = "after_terminal"
    """An event came after the terminal one: it was not applied."""
    TERMINAL_REPEATED = "terminal_repeated"
    """A second terminal event came: the last one counts."""


class Anomaly(Struct, frozen=True, gc=False):
    """One kind of anomaly in one stream. first: the sequence number it was first met at."""

    kind: AnomalyKind
    count: int
    first: int


def noted(anomalies: tuple[Anomaly, ...], kind: AnomalyKind, at: int) -> tuple[Anomaly, ...]:
    """The anomalies with one more of this kind."""
    for place, anomaly in enumerate(anomalies):
        if anomaly.kind is kind:
            return (*anomalies[:place], replace(anomaly, count=anomaly.count + 1), *anomalies[place + 1 :])
    return (*anomalies, Anomaly(kind, 1, at))
