"""Counts of many runs."""

from collections import Counter
from collections.abc import Iterable

from streamfold.sim import Kind, Run, Violation


class Summary:
    """Counts of runs, which can be added up. `raised` counts runs that ended in an exception, which none may."""

    def __init__(self) -> None:
        self.runs = self.raised = self.events = self.compacted = 0
        self.faults, self.repairs, self.outcomes = Counter[str](), Counter[str](), Counter[str]()
        self.proofs, self.cancels, self.violations = Counter[str](), Counter[str](), Counter[str]()

    def add(self, run: Run, violations: Iterable[Violation] = ()) -> None:
        """Count one run."""
        self.runs += 1
        self.events += len(run.applied)
        self.violations.update(str(each.kind) for each in violations)
        self.faults.update(run.gateway.met)
        if (outcome := run.outcome) is not None:
            self.compacted += outcome.is_compacted
            self.repairs.update(str(each.kind) for each in outcome.repairs)
            self.outcomes[str(outcome.status)] += 1
            self.proofs[str(outcome.proof or "none")] += 1
            self.cancels.update([] if outcome.cancel is None else [str(outcome.cancel)])

    def join(self, other: "Summary") -> None:
        """Add the counts of another summary."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        """All counts, on one line."""
        found = self.violations
        verdict = f"{found[Kind.LOST]} lost, {found[Kind.TWICE]} applied twice, {found[Kind.WRONG]} wrong outcomes, "
        verdict += f"{found[Kind.UNENDED]} runs did not end" if found[Kind.UNENDED] else "every run ended"
        verdict += f", {self.raised} raised" if self.raised else ""
        return (
            f"{self.runs:,} runs, {self.events:,} events applied; faults: {_listed(self.faults)}; "
            f"repairs: {_listed(self.repairs)}; outcomes: {_listed(self.outcomes)}; proven by: {_listed(self.proofs)}; "
            f"cancels: {_listed(self.cancels)}; {self.compacted:,} reported as compacted; {verdict}"
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"
