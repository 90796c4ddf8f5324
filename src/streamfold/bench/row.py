"""One line of the table: what was measured, against what, and whether it is good enough.

In      spreads of what ours and the reference cost, and of their ratio; a goal, where there is one
Out     a Row, which knows its verdict
Units   each row names its own: µs an event, bytes an event, ms; a ratio has none
"""

from typing import Literal

from attrs import frozen

from streamfold.bench.measure import Spread

__all__ = ["Goal", "Row"]


@frozen
class Goal:
    """The bound that the median must keep. unit: what the bound counts, as the table shows it."""

    sense: Literal["≤", "≥"]
    bound: float
    unit: str = "×"

    def is_met(self, median: float) -> bool:
        """Whether the median keeps the bound, which is within it."""
        return median <= self.bound if self.sense == "≤" else median >= self.bound

    def __str__(self) -> str:
        return f"{self.sense} {self.bound:g} {self.unit}"


@frozen
class Row:
    """One line of the table.

    benchmark: the name it is asked for by. name: what is compared. subject, ours: our variant, and what it cost.
    reference, theirs: the variant it is held against, if any. ratio: of the two, round by round; how many times as
    long ours took, or, where the goal is a `≥`, how many times as long theirs took. What is judged is the ratio, or
    ours where there is none.
    """

    benchmark: str
    name: str
    subject: str
    ours: Spread
    unit: str
    reference: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None
    goal: Goal | None = None
    is_faster: bool = False

    @property
    def judged(self) -> Spread:
        """What the goal speaks of."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool | None:
        """The verdict; None where there is no goal."""
        return None if self.goal is None else self.goal.is_met(self.judged.median)
