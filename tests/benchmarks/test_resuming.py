"""What a ResumingTransport costs an SDK: a small run of the benchmark, so that it stays able to run."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.client import resuming
from benchmarks.client.resuming import ResumingScale, measure_resuming
from streamfold.bench import Variant, measure

pytestmark = pytest.mark.thorough

TINY = ResumingScale(deltas=20, paced_deltas=5, rounds=1, sample_seconds=0)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def measure_here(variants: list[Variant], **how: Any) -> Any:
        return measure(variants, **how)

    monkeypatch.setattr(resuming, "measure_apart", measure_here)
    yield
    resuming.close()


def test_each_sdk_is_compared_with_itself() -> None:
    rows = list(measure_resuming(TINY))
    assert [str(row.goal) for row in rows if row.goal] == ["≤ 1.05 ×"] * 5
    assert all(row.ratio is not None and row.ratio.median > 0 for row in rows)
    assert sum(row.name.startswith("noise") for row in rows) == 5
