"""What many runs came to: counts of runs, faults met, repairs, outcomes, and of what must be none.

In      Runs, and what the audit found in each
Out     a Tally; its text is one line
Units   counts
Errors  none
Source  docs/explanation/simulation.md
"""

from collections import Counter
from collections.abc import Iterable

from streamfold.sim.complaint import Complaint, Kind
from streamfold.sim.shell import Run

__all__ = ["Tally"]


class Tally:
    """Counts that can be added up. raised: runs that ended in an exception, which no run may."""

    def __init__(self) -> None:
        self.runs: int = 0
        self.raised = 0
        self.events: int = 0
        self.compacted: int = 0
        self.faults: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.proofs: Counter[str] = Counter()
        self.cancels: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()

    def add(self, run: Run, complaints: Iterable[Complaint] = ()) -> None:
        """Count one run."""
        self.runs += 1
        self.events += len(run.applied)
        self.complaints.update(str(each.kind) for each in complaints)
        self.faults.update(run.gateway.met)
        outcome = run.outcome
        if outcome is not None:
            self.compacted += outcome.is_compacted
            self.repairs.update(str(each.kind) for each in outcome.repairs)
            self.outcomes[str(outcome.status)] += 1
            self.proofs[str(outcome.proof or "none")] += 1
            if outcome.cancel is not None:
                self.cancels[str(outcome.cancel)] += 1

    def join(self, other: "Tally") -> None:
        """Add what another one counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        """All counts, on one line."""
        none = self.complaints
        verdict = f"{none[Kind.LOST]} lost, {none[Kind.TWICE]} applied twice, {none[Kind.WRONG]} wrong outcomes, "
        ended = "every run ended" if not none[Kind.UNENDED] else f"{none[Kind.UNENDED]} runs did not end"
        return (
            f"{self.runs:,} runs, {self.events:,} events applied; faults: {_words(self.faults)}; "
            f"repairs: {_words(self.repairs)}; outcomes: {_words(self.outcomes)}; proven by: {_words(self.proofs)}; "
            f"cancels: {_words(self.cancels)}; {self.compacted:,} told as compacted; {verdict}{ended}"
            + f", {self.raised} raised"
            * (self.raised > 0)
        )


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"
