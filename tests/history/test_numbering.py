"""The number that an event's record gets, under each policy."""

import pytest

from streamfold.errors import SequenceGap
from streamfold.fold import SequencePolicy
from streamfold.history.transfer import MAX_HOLE, Numbering
from tests.fold.made import keepalive

STRICT, RENUMBER, ARRIVAL = SequencePolicy


@pytest.mark.parametrize(
    ("policy", "own", "numbers"),
    [
        pytest.param(STRICT, [0, 1, 2], [0, 1, 2], id="good numbers"),
        pytest.param(STRICT, [7, 8], [7, 8], id="from the middle"),
        pytest.param(STRICT, [None, None], [0, 1], id="no numbers"),
        pytest.param(STRICT, [0, None, 2], [0, 1, 2], id="one without a number takes its place"),
        pytest.param(STRICT, [0, 1, 1, 0, 2], [0, 1, 1, 0, 2], id="duplicates keep theirs"),
        pytest.param(RENUMBER, [0, 5, 6], [0, 5, 6], id="a hole that is believed"),
        pytest.param(ARRIVAL, [9, 9, 3], [0, 1, 2], id="by arrival"),
    ],
)
def test_numbers(policy: SequencePolicy, own: list[int | None], numbers: list[int]) -> None:
    numbering = Numbering(policy)
    assert [numbering.number(keepalive(each)) for each in own] == numbers


@pytest.mark.parametrize(("policy", "ahead"), [(STRICT, 3), (RENUMBER, MAX_HOLE + 3)])
def test_a_hole_that_is_not_believed(policy: SequencePolicy, ahead: int) -> None:
    numbering = Numbering(policy)
    numbering.number(keepalive(1))
    with pytest.raises(SequenceGap, match=f"expected event 2, got {ahead}"):
        numbering.number(keepalive(ahead))
    assert numbering.next_number == 2
