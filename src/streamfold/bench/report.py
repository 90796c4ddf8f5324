"""The rows of a comparison, and a report of them as a text table and as JSON."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

import msgspec
from attrs import asdict, frozen

from streamfold.bench.measure import Spread


@frozen
class Goal:
    """The bound for the median; a median equal to it is good.

    Attributes:
        unit: What the bound counts, as the table shows it.
    """

    sense: Literal["≤", "≥"]
    bound: float
    unit: str = "×"

    def is_met(self, median: float) -> bool:
        """Whether the median is within the bound."""
        return median <= self.bound if self.sense == "≤" else median >= self.bound

    def __str__(self) -> str:
        return f"{self.sense} {self.bound:g} {self.unit}"


@frozen
class Row:
    """One line of the table. Its ratio is judged by the goal, or `ours` if it has no ratio.

    Attributes:
        benchmark: The name under which it runs.
        name: What is compared.
        subject: Our variant.
        ours: What it cost, in `unit`.
        reference, theirs: The variant it is compared with, if any, and what that cost.
        ratio: Computed round by round: how many times as long ours took, or, if `is_faster`, theirs.
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
        """What the goal applies to."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool | None:
        """The verdict; None if there is no goal."""
        return None if self.goal is None else self.goal.is_met(self.judged.median)


@frozen
class Machine:
    """What a reader needs to compare figures. It holds neither the machine's name nor any path.

    Attributes:
        load_average: Over 1, 5 and 15 minutes, when the run began; empty if the system has none.
    """

    when: str
    python: str
    system: str
    cpus: int | None
    load_average: tuple[float, ...]
    libraries: dict[str, str]
    clock: str = "CPU time of the process (time.process_time)"
    collector: str = "collected before each sample, off during it"


@frozen
class Report:
    """One run: the machine, the rows of the table, more rows that only the JSON holds, and notes."""

    machine: Machine
    rows: tuple[Row, ...]
    details: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def describe_machine(libraries: Sequence[str] = ("streamfold", "msgspec")) -> Machine:
    """Describe the machine as it is now.

    Args:
        libraries: The distributions whose versions matter.
    """
    return Machine(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}",
        cpus=os.cpu_count(),
        load_average=tuple(round(each, 2) for each in os.getloadavg()) if hasattr(os, "getloadavg") else (),
        libraries={name: version(name) for name in libraries},
    )


# Text

HEADS = ("what", "ours", "reference", "", "ratio (quartiles)", "goal", "")
VERDICTS: Mapping[bool | None, str] = {True: "met", False: "MISSED", None: ""}


def as_text(report: Report) -> str:
    """Format the table by benchmark, with the machine above it and the notes below."""
    table = [HEADS, *map(_cells, report.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [*_facts(report.machine), "", _columns(HEADS, widths)]
    benchmark = ""
    for row, cells in zip(report.rows, table[1:], strict=True):
        if row.benchmark != benchmark:
            benchmark = row.benchmark
            lines += ["", benchmark]
        lines.append(_columns(cells, widths))
    verdicts = [row.is_met for row in report.rows if row.goal is not None]
    lines += ["", f"{sum(map(bool, verdicts))} of {len(verdicts)} goals met", *report.notes]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{_number(row.ours.median)} {row.unit}",
        row.reference,
        f"{_number(row.theirs.median)} {row.unit}" if row.theirs else "",
        _ratio(row),
        str(row.goal or ""),
        VERDICTS[row.is_met],
    )


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _facts(machine: Machine) -> list[str]:
    load = " ".join(f"{each:.2f}" for each in machine.load_average) or "unknown"
    return [
        f"{machine.when}  {machine.python}  {machine.system}  {machine.cpus} CPUs, load {load}",
        "  ".join(f"{name} {number}" for name, number in machine.libraries.items()),
        f"clock: {machine.clock}; garbage {machine.collector}",
    ]


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    ratio = row.ratio
    sense = " faster" if row.is_faster else ""
    return f"{_number(ratio.median)} ×{sense} ({_number(ratio.low)}–{_number(ratio.high)})"


def _number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# JSON


def as_json(report: Report) -> bytes:
    """Encode the whole report as one JSON object."""
    document = {
        "format": "streamfold.bench/1",
        "machine": asdict(report.machine),
        "rows": [_plain(row) for row in report.rows],
        "details": [_plain(row) for row in report.details],
        "notes": report.notes,
    }
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _plain(row: Row) -> dict[str, object]:
    return {**asdict(row), "is_met": row.is_met}
