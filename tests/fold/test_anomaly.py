"""Anomalies: one entry a kind, with how often and where first, in the order they were first met."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold.anomaly import Anomaly, AnomalyKind, noted

HOLE, MISFIT, MALFORMED = AnomalyKind.HOLE, AnomalyKind.MISFIT, AnomalyKind.MALFORMED


def note_all(kinds: list[AnomalyKind]) -> tuple[Anomaly, ...]:
    anomalies: tuple[Anomaly, ...] = ()
    for at, kind in enumerate(kinds):
        anomalies = noted(anomalies, kind, at)
    return anomalies


def test_the_first_of_a_kind_is_noted_with_its_number() -> None:
    assert noted((), HOLE, 7) == (Anomaly(HOLE, count=1, first=7),)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        pytest.param([HOLE, HOLE], (Anomaly(HOLE, 2, 0),), id="the same again"),
        pytest.param([HOLE, MISFIT], (Anomaly(HOLE, 1, 0), Anomaly(MISFIT, 1, 1)), id="another kind"),
        pytest.param([HOLE, MISFIT, HOLE], (Anomaly(HOLE, 2, 0), Anomaly(MISFIT, 1, 1)), id="the first again"),
        pytest.param([HOLE, MISFIT, MISFIT], (Anomaly(HOLE, 1, 0), Anomaly(MISFIT, 2, 1)), id="the last again"),
        pytest.param(
            [HOLE, MISFIT, MALFORMED, MISFIT],
            (Anomaly(HOLE, 1, 0), Anomaly(MISFIT, 2, 1), Anomaly(MALFORMED, 1, 2)),
            id="the middle one again",
        ),
    ],
)
def test_each_kind_has_one_entry_that_counts(kinds: list[AnomalyKind], expected: tuple[Anomaly, ...]) -> None:
    assert note_all(kinds) == expected


def test_noting_leaves_the_anomalies_before_as_they_were() -> None:
    before = noted((), HOLE, 1)
    noted(before, HOLE, 2)
    assert before == (Anomaly(HOLE, 1, 1),)


@pytest.mark.parametrize("kind", AnomalyKind)
def test_a_kind_is_known_by_its_word(kind: AnomalyKind) -> None:
    assert AnomalyKind(str(kind)) is kind


@given(st.lists(st.sampled_from(AnomalyKind), max_size=40))
def test_the_counts_are_those_of_what_was_noted(kinds: list[AnomalyKind]) -> None:
    assert {each.kind: (each.count, each.first) for each in note_all(kinds)} == {
        kind: (kinds.count(kind), kinds.index(kind)) for kind in kinds
    }
    assert [each.kind for each in note_all(kinds)] == list(dict.fromkeys(kinds))
