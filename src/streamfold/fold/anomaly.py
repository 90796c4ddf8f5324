"""What was tolerated while folding: each kind once, with how often and where first."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace


class AnomalyKind(StrEnum):
    """The ways in which a stream can be less than clean and still fold."""

    UNNUMBERED = "unnumbered"
    """An event had no sequence number, or none that can be right. It counted by order of arrival."""
    DUPLICATE_DIFFERS = "duplicate_differs"
    """An event had the number of one that was applied, but says something else. It was not applied."""
    HOLE = "hole"
    """Numbers were skipped, and the policy says that this gateway does so."""
    MALFORMED = "malformed"
    """An event of a known type, or bytes that are not an event, did not decode. Its content is not in the state."""
    ITEM_CREATED = "item_created"
    """An event named an item that was never added. The item was created."""
    PART_CREATED = "part_created"
    """An event named a part that was never added. The part was created."""
    INDEX_ASSUMED = "index_assumed"
    """An event named no item, or no part. It was applied to the one with its id, or the one that was opened last."""
    INDEX_REFUSED = "index_refused"
    """An index was negative or too large. The event was not applied."""
    MISFIT = "misfit"
    """An event did not fit what it named, such as an item of another type, or text for an array. It was not applied."""
    ITEM_REPLACED = "item_replaced"
    """An item was replaced by one of another type. The new one is in the state."""
    PART_REPLACED = "part_replaced"
    """A part was replaced by one of another type. The new one is in the state."""
    STATUS_ASSUMED = "status_assumed"
    """A Response had no status. It took the one that its event's name says."""
    OUTPUT_KEPT = "output_kept"
    """A Response had less output than was folded. What it lacked was kept."""
    TEXT_LOST = "text_lost"
    """An event that has the last word held less text than was folded. Its text is in the state."""
    OTHER_RESPONSE = "other_response"
    """Events of another response came in the same stream. They were not applied."""
    AFTER_TERMINAL = "after_terminal"
    """An event came after the terminal one. It was not applied, except that the words of an error were kept."""
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
