"""The benchmark of time travel runs, tiny, and gives its rows. Run, never judged by speed."""

from importlib import import_module

import pytest

from benchmarks.log.travel import FOLD, REPLAY, SAVE, TravelScale, measure_travel

TINY = TravelScale(deltas=60, replays=4, folds=2, rounds=2)


def test_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.history.replay"), "CHECKPOINT_EVERY", 10_000)
    any_number, slowest, saving = measure_travel(TINY)
    assert (any_number.subject, any_number.reference, any_number.unit) == (REPLAY, FOLD, "ms")
    assert any_number.ours.count == 4
    assert any_number.theirs is not None
    assert any_number.theirs.count == 2
    assert slowest.ours.median == any_number.ours.most
    assert (saving.subject, saving.is_met) == (SAVE, None)
    assert saving.ratio is not None
    assert saving.ratio.count == 2
