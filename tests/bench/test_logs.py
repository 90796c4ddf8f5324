"""The benchmark of the log runs, tiny, and gives its rows. Run, never judged by speed."""

from benchmarks.logs import GROUPED, SINGLY, Logging, measure_logs

TINY = Logging(writers=3, appends=2, few=2, many=5, sample_appends=4, rounds=2)


def test_its_rows() -> None:
    alone, against, among = measure_logs(TINY)
    assert {row.benchmark for row in (alone, against, among)} == {"log"}
    assert (alone.subject, alone.ratio, alone.unit) == (GROUPED, None, "appends/s")
    assert (against.reference, against.ours) == (SINGLY, alone.ours)
    assert against.ratio is not None
    assert against.theirs is not None
    assert against.ratio.count == against.theirs.count == 2
    assert (among.ours.count, among.name) == (4, "SQLite: an append among 5 streams, against 2")
    assert all(row.ours.least > 0 for row in (alone, against, among))
