"""A glance at a Response: its status and output where they are what they should be, and nothing else."""

from typing import Any

import pytest
from msgspec import Raw

from streamfold.fold.glance import Glance, glance_at
from streamfold.fold.tree import Array
from streamfold.schema import UNDECODABLE
from tests.fold.made import raw


@pytest.mark.parametrize(
    ("response", "status", "output"),
    [
        pytest.param({"status": "completed", "output": [1, {"a": 2}], "new": 1}, "completed", [1, {"a": 2}], id="both"),
        pytest.param({"status": "queued"}, "queued", [], id="no output"),
        pytest.param({"status": "queued", "output": None}, "queued", [], id="output null"),
        pytest.param({"status": "queued", "output": {"a": 1}}, "queued", [], id="output that is no array"),
        pytest.param({"output": [1]}, None, [1], id="no status"),
        pytest.param({"status": "", "output": [1]}, None, [1], id="an empty status"),
        pytest.param({"status": 5, "output": [1]}, None, [1], id="a status that is no text"),
        pytest.param({"status": 5, "output": "words"}, None, [], id="neither"),
    ],
)
def test_each_is_read_where_it_is_of_its_type(response: dict[str, Any], status: str | None, output: list[Any]) -> None:
    assert glance_at(raw(response)) == Glance(status, Array(enumerate(map(raw, output))))


def test_what_stands_beside_them_is_not_read() -> None:
    assert glance_at(Raw(b'{"status":"queued","size":1E400}')).status == "queued"


@pytest.mark.parametrize("response", [b"[]", b'"words"', b"null", b'{"status":', b""])
def test_what_is_no_object_raises(response: bytes) -> None:
    with pytest.raises(UNDECODABLE):
        glance_at(Raw(response))
