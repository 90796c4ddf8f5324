"""When a checkpoint is due: the distance grows with its size, so that all of them together take a part of the records."""

from hypothesis import given
from hypothesis import strategies as st

from streamfold.history import CHECKPOINT_EVERY, CheckpointPolicy
from streamfold.history.replay import RECORD_BYTES, WORK_PER_BYTE
from streamfold.log import Record

RECORD = Record(0, "response.output_text.delta", b"x" * 240)


def is_due_after(work: int, *, saved_bytes: int) -> bool:
    policy = CheckpointPolicy(saved_bytes=saved_bytes)
    policy.count(Record(0, "", b"x" * (work - RECORD_BYTES)))
    return policy.is_due


def test_the_first_is_due_after_the_least_work() -> None:
    assert not is_due_after(CHECKPOINT_EVERY - 1, saved_bytes=0)
    assert is_due_after(CHECKPOINT_EVERY, saved_bytes=0)


def test_after_a_large_one_the_next_is_further_away() -> None:
    assert not is_due_after(WORK_PER_BYTE * 10**6 - 1, saved_bytes=10**6)
    assert is_due_after(WORK_PER_BYTE * 10**6, saved_bytes=10**6)


def test_what_was_saved_begins_the_way_anew() -> None:
    policy = CheckpointPolicy()
    while not policy.is_due:
        policy.count(RECORD)
    policy.saved(b"")
    assert not policy.is_due


def test_a_text_of_usual_events_is_saved_every_few_thousand() -> None:
    policy = CheckpointPolicy()
    count = 0
    while not policy.is_due:
        policy.count(RECORD)
        count += 1
    assert 3_000 < count < 4_500


@given(
    st.integers(1, 40), st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)), min_size=1, max_size=2_000)
)
def test_all_checkpoints_take_a_part_of_the_records(scale: int, shape: list[tuple[int, int]]) -> None:
    """Whatever the records hold, and however much of it stays in the state; but for one checkpoint."""
    policy = CheckpointPolicy()
    held = work = saved = newest = 0
    for length, kept in shape:
        length, kept = length * scale, min(length, kept) * scale
        policy.count(Record(0, "", b"x" * length))
        work += length + RECORD_BYTES
        held += kept
        if policy.is_due:
            policy.saved(b"x" * held)
            saved, newest = saved + held, held
    assert (saved - newest) * WORK_PER_BYTE <= work
