"""The actions: values, equal when they ask for the same, and never changed."""

from typing import Any, get_args

import pytest
from attrs.exceptions import FrozenInstanceError

from streamfold.session.action import Action, Call, Cancel, Connect, Finish, Retrieve, Wait


def test_a_connection_begins_at_the_first_event_unless_told_otherwise() -> None:
    assert Connect() == Connect(None)
    assert Connect(41).starting_after == 41


@pytest.mark.parametrize(("one", "other"), [(Connect(1), Connect(2)), (Retrieve(), Cancel()), (Wait(1.0), Wait(2.0))])
def test_actions_that_ask_for_different_things_differ(one: Action, other: Action) -> None:
    assert one != other


def test_the_calls_are_the_actions_that_are_answered() -> None:
    assert set(get_args(Call)) == {Connect, Retrieve, Cancel}
    assert set(get_args(Action)) == {Connect, Retrieve, Cancel, Wait, Finish}


def test_an_action_cannot_be_changed() -> None:
    wait: Any = Wait(1.0)
    with pytest.raises(FrozenInstanceError):
        wait.seconds = 2.0
