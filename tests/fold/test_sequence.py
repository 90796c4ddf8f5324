"""judge: next, duplicate or ahead, and how far each policy trusts the numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold.sequence import SequencePolicy, Verdict, judge

STRICT, RENUMBER, ARRIVAL = SequencePolicy.STRICT, SequencePolicy.RENUMBER, SequencePolicy.ARRIVAL
NUMBERS = st.integers()


@pytest.mark.parametrize(
    ("policy", "number", "expected", "verdict"),
    [
        pytest.param(STRICT, 7, 7, Verdict.NEXT, id="the next one"),
        pytest.param(STRICT, 6, 7, Verdict.DUPLICATE, id="the one before"),
        pytest.param(STRICT, -1, 7, Verdict.DUPLICATE, id="below zero"),
        pytest.param(STRICT, 8, 7, Verdict.AHEAD, id="one was left out"),
        pytest.param(STRICT, 7, None, Verdict.NEXT, id="the first may be any"),
        pytest.param(STRICT, None, 7, Verdict.NEXT, id="no number"),
        pytest.param(STRICT, None, None, Verdict.NEXT, id="no number in a stream without numbers"),
        pytest.param(RENUMBER, 7, 7, Verdict.NEXT, id="renumbered: the next one"),
        pytest.param(RENUMBER, 6, 7, Verdict.DUPLICATE, id="renumbered: the one before"),
        pytest.param(RENUMBER, 90, 7, Verdict.NEXT, id="renumbered: a hole is none"),
        pytest.param(ARRIVAL, 7, 7, Verdict.NEXT, id="by arrival: the next one"),
        pytest.param(ARRIVAL, 6, 7, Verdict.NEXT, id="by arrival: a duplicate cannot be told"),
        pytest.param(ARRIVAL, 90, 7, Verdict.NEXT, id="by arrival: nor a hole"),
    ],
)
def test_a_number_is_judged_by_the_policy(
    policy: SequencePolicy, number: int | None, expected: int | None, verdict: Verdict
) -> None:
    assert judge(number, expected=expected, policy=policy) is verdict


def test_numbers_are_trusted_unless_told_otherwise() -> None:
    assert judge(8, expected=7) is Verdict.AHEAD


@pytest.mark.parametrize("policy", SequencePolicy)
def test_a_policy_is_known_by_its_word(policy: SequencePolicy) -> None:
    assert SequencePolicy(str(policy)) is policy


@given(NUMBERS, NUMBERS)
def test_exactly_one_number_extends_a_strict_state(number: int, expected: int) -> None:
    order = {-1: Verdict.DUPLICATE, 0: Verdict.NEXT, 1: Verdict.AHEAD}
    assert judge(number, expected=expected) is order[(number > expected) - (number < expected)]


@given(NUMBERS, NUMBERS, st.sampled_from([RENUMBER, ARRIVAL]))
def test_only_the_strict_policy_knows_gaps(number: int, expected: int, policy: SequencePolicy) -> None:
    assert judge(number, expected=expected, policy=policy) is not Verdict.AHEAD
