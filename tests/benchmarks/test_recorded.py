"""What recording costs a client: small runs of the benchmark, so that it stays able to run."""

import pytest

from benchmarks.client.recorded import BEFORE, BEHIND, RecordedScale, measure_recorded

pytestmark = pytest.mark.thorough

TINY = RecordedScale(streams=(2,), seconds=0.3, rounds=1)


def test_each_way_to_record_is_compared_with_none() -> None:
    rows = list(measure_recorded(TINY))
    assert [row.name.rpartition(": ")[2] for row in rows] == [BEHIND, BEFORE]
    for row in rows:
        assert row.ratio is not None
        assert row.ratio.median > 0
        assert row.ours.median > 0
