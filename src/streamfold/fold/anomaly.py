"""What was tolerated while folding: each kind once, with how often and where first."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace


class AnomalyKind(StrEnum):
    """The ways in which a stream can be less than clean and still fold."""

    UNNUMBERED = "unnumbered"
    """An event had no sequence number. It counted as the next one, by order of arrival."""
    HOLE = "hole"
    """Numbers were skipped, and the policy says that this gateway does so."""
    MALFORMED = "malformed"
    """An event of a known type, or bytes that are not an event, did not decode. Its content is not in the state."""
    ITEM_CREATED = "item_created"
    """An event named an item that was never added. The item was created."""
    PART_CREATED = "part_created"
    """An event named a part that was never added. The part was created."""
    INDEX_REFUSED = "index_refused"
    """An index was negative or too large. The event was not applied."""
    MISFIT = "misfit"
    """An event did not fit the value it named, such as text for an array. It was not applied."""
    OUTPUT_KEPT = "output_kept"
    """The terminal Response had no output although items were folded. The folded items were kept."""
    AFTER_TERMINAL = "after_terminal"
    """An event came after the terminal one. It was not applied."""
    TERMINAL_REPEATED = "terminal_repeated"
    """A second terminal event came. The last one counts."""


class Anomaly(Struct, frozen=True, gc=False):
    """One kind of anomaly in one stream, how often it occurred, and the sequence number at which it first did."""

    kind: AnomalyKind
    count: int
    first: int


def noted(anomalies: tuple[Anomaly, ...], kind: AnomalyKind, at: int) -> tuple[Anomaly, ...]:
    """The anomalies with one more of this kind; kinds stay in the order in which they first occurred."""
    for place, anomaly in enumerate(anomalies):
        if anomaly.kind is kind:
            return (*anomalies[:place], replace(anomaly, count=anomaly.count + 1), *anomalies[place + 1 :])
    return (*anomalies, Anomaly(kind, 1, at))
