"""Patience: every limit has a default, each may be set, none is changed later."""

import pytest
from attrs import fields
from attrs.exceptions import FrozenInstanceError

from streamfold.fold import SequencePolicy
from streamfold.session.backoff import Backoff
from streamfold.session.patience import Patience

DEFAULTS = {
    "sequence_policy": SequencePolicy.STRICT,
    "backoff": Backoff(first_seconds=0.5, most_seconds=8.0, most_asked_seconds=120.0),
    "max_attempts": 5,
    "total_seconds": None,
    "stalled_seconds": 600.0,
    "idle_seconds": 60.0,
    "poll_seconds": 2.0,
    "gap_seconds": 0.5,
    "window_events": 256,
    "window_bytes": 8 * 1024 * 1024,
    "cancel_grace_seconds": 5.0,
    "cancel_seconds": 30.0,
    "batch_cancel_seconds": 900.0,
    "max_frame_bytes": 64 * 1024 * 1024,
    "max_body_bytes": 64 * 1024 * 1024,
}


def test_every_limit_has_this_default() -> None:
    assert {each.name: getattr(Patience(), each.name) for each in fields(Patience)} == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_limit_cannot_be_changed_later(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(Patience(), name, 1)


def test_limits_are_given_by_name() -> None:
    assert Patience(max_attempts=1, total_seconds=9.0) == Patience(total_seconds=9.0, max_attempts=1) != Patience()
