"""Ladder: resume, replay, retrieve, none; what is exhausted comes back, what is refused does not."""

import pytest

from streamfold.session.ladder import Ladder
from streamfold.session.outcome import RepairKind

RESUME, REPLAY, RETRIEVE = RepairKind


def step(ladder: Ladder, *, can_resume: bool = True) -> RepairKind | None:
    return ladder.next(can_resume=can_resume)


def exhaust(ladder: Ladder, *kinds: RepairKind) -> None:
    for kind in kinds:
        while step(ladder) is kind:
            ladder.fail(kind)


def test_the_first_step_is_to_resume() -> None:
    assert step(Ladder(5)) is RESUME


def test_without_a_number_to_resume_after_the_first_step_is_to_replay() -> None:
    assert step(Ladder(5), can_resume=False) is REPLAY


def test_asking_for_the_next_step_takes_none() -> None:
    ladder = Ladder(1)
    assert [step(ladder), step(ladder)] == [RESUME, RESUME]


def test_a_step_is_tried_so_often_in_a_row_and_then_the_next_one_is() -> None:
    ladder, tried = Ladder(2), []
    while (kind := step(ladder)) is not None:
        tried.append(kind)
        ladder.fail(kind)
    assert tried == [RESUME, RESUME, REPLAY, REPLAY, RETRIEVE, RETRIEVE]


def test_the_attempts_count_those_of_the_present_step() -> None:
    ladder = Ladder(3)
    ladder.fail(RESUME)
    ladder.fail(RESUME)
    assert ladder.attempts(RESUME) == 2
    ladder.fail(RESUME)
    assert (ladder.attempts(REPLAY), step(ladder)) == (0, REPLAY)


def test_where_more_attempts_are_no_use_fewer_are_made() -> None:
    ladder = Ladder(5)
    ladder.fail(RESUME, most=2)
    assert step(ladder) is RESUME
    ladder.fail(RESUME, most=2)
    assert step(ladder) is REPLAY


def test_no_step_is_tried_more_often_than_allowed_whatever_may_be_of_use() -> None:
    ladder = Ladder(1)
    ladder.fail(RESUME, most=2)
    assert step(ladder) is REPLAY


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param([RESUME], REPLAY, id="a cursor"),
        pytest.param([RESUME, REPLAY], RETRIEVE, id="any stream"),
        pytest.param([REPLAY], RESUME, id="a replay"),
        pytest.param(list(RepairKind), None, id="everything"),
    ],
)
def test_a_refused_step_is_passed_over_for_good(refused: list[RepairKind], left: RepairKind | None) -> None:
    ladder = Ladder(5)
    ladder.refuse(*refused)
    assert step(ladder) is left
    ladder.progress()
    ladder.give_another_try()
    assert step(ladder) is left


def test_only_what_was_refused_is_known_as_refused() -> None:
    ladder = Ladder(1)
    ladder.refuse(REPLAY)
    ladder.fail(RESUME)
    assert [ladder.is_refused(kind) for kind in RepairKind] == [False, True, False]


def test_refusing_nothing_changes_nothing() -> None:
    ladder = Ladder(5)
    ladder.fail(RESUME)
    ladder.refuse()
    assert (step(ladder), ladder.attempts(RESUME)) == (RESUME, 1)


def test_progress_brings_back_every_exhausted_step_with_all_its_attempts() -> None:
    ladder = Ladder(2)
    exhaust(ladder, RESUME, REPLAY)
    ladder.fail(RETRIEVE)
    ladder.progress()
    assert (step(ladder), ladder.attempts(RESUME)) == (RESUME, 0)
    ladder.fail(RESUME)
    assert step(ladder) is RESUME


def test_another_try_is_one_attempt_for_each_exhausted_step() -> None:
    ladder, tried = Ladder(3), []
    exhaust(ladder, RESUME, REPLAY)
    ladder.give_another_try()
    while (kind := step(ladder)) in {RESUME, REPLAY}:
        assert kind is not None
        tried.append(kind)
        ladder.fail(kind)
    assert tried == [RESUME, REPLAY]


def test_another_try_takes_nothing_from_a_step_that_was_not_exhausted() -> None:
    ladder, tried = Ladder(3), 0
    ladder.give_another_try()
    while step(ladder) is RESUME:
        ladder.fail(RESUME)
        tried += 1
    assert tried == 3


def test_another_try_forgets_what_gets_failed_before() -> None:
    ladder = Ladder(3)
    ladder.refuse(RESUME, REPLAY)
    ladder.fail(RETRIEVE)
    ladder.give_another_try()
    assert (ladder.attempts(RETRIEVE), step(ladder)) == (0, RETRIEVE)
