"""Results as a text table, and as JSON.

In      Rows; what the machine was
Out     text for a terminal; JSON bytes
Units   as each row says
Source  docs/reference/benchmarks.md
"""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

import msgspec
from attrs import asdict, frozen

from streamfold.bench.measure import Spread

__all__ = ["Goal", "Machine", "Report", "Row", "as_json", "as_text", "describe_machine"]


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


@frozen
class Machine:
    """What a reader must know to compare figures: no name of the machine, and no path.

    load_average: of 1, 5 and 15 minutes, when the run began; empty where the system has none.
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
    """One run: what the machine was like, the rows of the table, details that only the JSON holds, and notes."""

    machine: Machine
    rows: tuple[Row, ...]
    details: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def describe_machine(libraries: Sequence[str] = ("streamfold", "msgspec")) -> Machine:
    """The machine as it is now, with the versions of these distributions."""
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
    """The table, benchmark by benchmark, with the machine above it and the notes below."""
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
    """Three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# JSON


def as_json(report: Report) -> bytes:
    """The whole report as one JSON object."""
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
