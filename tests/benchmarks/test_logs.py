"""The benchmark of the log runs, tiny, and gives its rows. Run, never judged by speed."""

import pytest

from benchmarks.log.sqlite import AWAITED, CONTRACT, DIRECT, GROUPED, LOOSELY, RAW, SINGLY, LogScale, measure_logs
from benchmarks.log.tails import TailScale

pytestmark = pytest.mark.thorough

TINY = LogScale(
    writers=3,
    appends=2,
    few=2,
    many=5,
    sample_appends=4,
    batches=2,
    processes=2,
    seconds=0.2,
    rounds=2,
    tailing=TailScale(records=15, processes=1, tails=2, rounds=1),
)


def test_its_rows() -> None:
    rows = list(measure_logs(TINY))
    assert {row.benchmark for row in rows} == {"log"}
    # What a tail costs beside its append is a difference, which the machine can make negative; the tail takes longer.
    (less,) = [row for row in rows if "less the append" in row.name]
    (whole,) = [row for row in rows if row.name.startswith("SQLite: a tail in another process")]
    assert less.ours.median < whole.ours.median
    assert all(row.ours.least > 0 for row in rows if row is not less)
    assert all(row.goal is not None for row in rows)
    assert [(row.subject, row.reference) for row in rows[:7]] == [
        (CONTRACT, RAW),
        (CONTRACT, RAW),
        (GROUPED, ""),
        (GROUPED, SINGLY),
        (GROUPED, LOOSELY),
        (AWAITED, DIRECT),
        (GROUPED, "among 2"),
    ]
    assert (rows[3].ours, rows[6].ours.count) == (rows[2].ours, 4)
    assert [row.name.removeprefix("SQLite: ") for row in rows[7:]] == [
        "2 processes write for 0.2 s, 16 records an append",
        "2 processes write for 0.2 s, 16 records an append: the longest wait",
        "a tail in another process, 200 records/s",
        "the same, less the append itself",
        "2 tails in 1 processes, 50 records/s",
        "2 tails in 1 processes, 50 records/s",
    ]
