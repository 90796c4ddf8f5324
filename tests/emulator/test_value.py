"""Objects and lists are told from all other values."""

from typing import Any

import pytest

from streamfold.emulator.value import is_list, is_object


@pytest.mark.parametrize("value", [None, True, 5, 0.5, "text", [], {}])
def test_a_value_is_an_object_a_list_or_neither(value: Any) -> None:
    assert (is_object(value), is_list(value)) == (value == {}, value == [])
