"""The benchmark of the log on Valkey runs, and each row says what is held against what."""

import pytest

from benchmarks.log.valkey import GROUPED, OURS, RAW, SINGLY, XREAD, ValkeyScale, measure_valkey
from tests.log.valkeys import find_server

pytestmark = pytest.mark.thorough

TINY = ValkeyScale(writers=4, appends=3, records=300, streams=3, busy=1, seconds=0.2, rounds=1)


def test_what_is_measured_of_the_log_on_valkey() -> None:
    find_server()
    rows = list(measure_valkey(TINY))
    assert [(row.subject, row.reference) for row in rows] == [
        (GROUPED, SINGLY),
        (GROUPED, SINGLY),
        ("always", "everysec"),
        (GROUPED, RAW),
        (GROUPED, RAW),
        (OURS, XREAD),
        (OURS, XREAD),
    ]
    assert all(row.ours.median > 0 for row in rows)
