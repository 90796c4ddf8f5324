"""A report says the same as text and as JSON, and nothing about whose machine it was."""

import json
import platform
import re
import sys
from pathlib import Path

import pytest

from streamfold.bench import Goal, Report, Row, Spread, as_json, as_text, describe_machine

EVENTS = Row(
    benchmark="stream-1000",
    name="bytes → events",
    subject="streamfold events",
    ours=Spread(0.4, 0.45, 0.5, 0.55, 0.6, 9),
    unit="µs/event",
    reference="msgspec, one by one",
    theirs=Spread.of([0.25]),
    ratio=Spread(1.8, 1.9, 2.0, 2.1, 2.2, 9),
    goal=Goal("≤", 2.0),
)
PEER = Row(
    benchmark="stream-1000",
    name="bytes → events",
    subject="streamfold events",
    ours=Spread.of([0.5]),
    unit="µs/event",
    reference="a slow peer",
    theirs=Spread.of([50.0]),
    ratio=Spread.of([100.0]),
    goal=Goal("≥", 120, "× faster"),
    is_faster=True,
)
MEMORY = Row("memory", "every state kept", "streamfold states", Spread.of([150.0]), "bytes/event")
REPORT = Report(describe_machine(), (EVENTS, PEER, MEMORY), details=(MEMORY,), notes=("a note",))


def test_a_line_gives_both_figures_the_ratio_with_its_spread_the_goal_and_the_verdict() -> None:
    (line,) = [line for line in as_text(REPORT).splitlines() if "msgspec, one by one" in line]
    cells = re.split(r"  +", line)
    assert cells == [
        "bytes → events",
        "0.50 µs/event",
        "msgspec, one by one",
        "0.25 µs/event",
        "2.00 × (1.90–2.10)",
        "≤ 2 ×",
        "met",
    ]


def test_a_missed_goal_is_told_in_its_line_and_counted() -> None:
    text = as_text(REPORT)
    (line,) = [line for line in text.splitlines() if "a slow peer" in line]
    assert line.endswith("100 × faster (100–100)  ≥ 120 × faster  MISSED")
    assert "1 of 2 goals met\na note\n" in text


def test_a_row_without_reference_or_goal_is_a_plain_figure() -> None:
    (line,) = [line for line in as_text(REPORT).splitlines() if line.startswith("every state kept")]
    assert line.split() == ["every", "state", "kept", "150", "bytes/event"]


def test_rows_stand_under_the_name_of_their_benchmark() -> None:
    lines = as_text(REPORT).splitlines()
    assert lines.count("stream-1000") == lines.count("memory") == 1


def test_json_holds_every_row_with_its_verdict() -> None:
    document = json.loads(as_json(REPORT))
    assert document["format"] == "streamfold.bench/1"
    assert [row["is_met"] for row in document["rows"]] == [True, False, None]
    assert document["rows"][0]["ratio"] == {
        "least": 1.8,
        "low": 1.9,
        "median": 2.0,
        "high": 2.1,
        "most": 2.2,
        "count": 9,
    }
    assert (len(document["details"]), document["notes"]) == (1, ["a note"])


def test_the_machine_is_described_without_its_name_or_any_path() -> None:
    machine = json.loads(as_json(REPORT))["machine"]
    assert machine["python"].endswith(platform.python_version())
    assert machine["cpus"]
    assert len(machine["load_average"]) in {0, 3}
    for text in (as_json(REPORT).decode(), as_text(REPORT)):
        assert str(Path.home()) not in text
        assert sys.prefix not in text
        assert platform.node() not in text.split()


def row(goal: Goal | None, *, ratio: float | None = None) -> Row:
    return Row(
        "any", "a row", "ours", Spread.of([3.0]), "µs", ratio=None if ratio is None else Spread.of([ratio]), goal=goal
    )


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        pytest.param(row(Goal("≤", 2.0), ratio=2.0), True, id="at its bound"),
        pytest.param(row(Goal("≤", 2.0), ratio=2.001), False, id="above an upper bound"),
        pytest.param(row(Goal("≥", 5.0), ratio=5.0), True, id="at a lower bound"),
        pytest.param(row(Goal("≥", 5.0), ratio=4.9), False, id="below a lower bound"),
        pytest.param(row(None, ratio=9.0), None, id="no goal"),
        pytest.param(row(Goal("≤", 3.0)), True, id="no ratio: the figure itself"),
    ],
)
def test_a_row_knows_its_verdict(each: Row, verdict: bool | None) -> None:
    assert each.is_met is verdict


def test_the_package_imports_neither_matplotlib_nor_another_library() -> None:
    import subprocess

    code = "import sys, streamfold.bench; print([n for n in ('matplotlib', 'openai', 'httpx_sse') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
