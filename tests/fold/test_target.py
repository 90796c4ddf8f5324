"""Target: a path out of an event's own indexes, and the least that makes an item or a part."""

import json

import pytest

from streamfold.fold.target import MAX_INDEX, Target, are_within_bounds, skeleton
from streamfold.fold.tree import Path, encode
from streamfold.schema import OutputTextDelta, ShellCallCommandDelta

TEXT = OutputTextDelta(item_id="msg_1", output_index=3, content_index=5, delta="x")
COMMAND = ShellCallCommandDelta(output_index=3, command_index=7, delta="x")
CONTENT_INDEX, COMMAND_INDEX = "content_index", "command_index"


@pytest.mark.parametrize(
    ("target", "event", "part_path", "path"),
    [
        pytest.param(Target("message"), TEXT, (3,), (3,), id="an item"),
        pytest.param(
            Target("function_call", tail=("arguments",)), TEXT, (3,), (3, "arguments"), id="a field of an item"
        ),
        pytest.param(
            Target("apply_patch_call", tail=("operation", "diff")), TEXT, (3,), (3, "operation", "diff"), id="deeper"
        ),
        pytest.param(
            Target("message", ("content",), CONTENT_INDEX), TEXT, (3, "content", 5), (3, "content", 5), id="a part"
        ),
        pytest.param(
            Target("message", ("content",), CONTENT_INDEX, "output_text", ("text",)),
            TEXT,
            (3, "content", 5),
            (3, "content", 5, "text"),
            id="a field of a part",
        ),
        pytest.param(
            Target("shell_call", ("action", "commands"), COMMAND_INDEX),
            COMMAND,
            (3, "action", "commands", 7),
            (3, "action", "commands", 7),
            id="an element of a list deeper in the item",
        ),
    ],
)
def test_a_path_is_made_of_the_indexes_of_the_event(target: Target, event: object, part_path: Path, path: Path) -> None:
    assert target.part_path(event) == part_path
    assert target.path(event) == path


@pytest.mark.parametrize(
    ("kind", "item_id", "expected"),
    [
        pytest.param("reasoning", "rs_1", {"type": "reasoning", "id": "rs_1"}, id="an item"),
        pytest.param("shell_call", None, {"type": "shell_call"}, id="an item whose id is not known"),
        pytest.param("output_text", None, {"type": "output_text"}, id="a part"),
        pytest.param("message", "m", {"type": "message", "id": "m", "role": "assistant"}, id="who speaks is known"),
    ],
)
def test_a_skeleton_is_the_least_that_makes_it_one(kind: str, item_id: str | None, expected: dict[str, str]) -> None:
    assert json.loads(encode(skeleton(kind, item_id=item_id))) == expected


def test_ten_thousand_items_are_enough_for_anyone() -> None:
    assert MAX_INDEX == 9_999


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param((0,), True, id="the first"),
        pytest.param((MAX_INDEX,), True, id="the last"),
        pytest.param((0, "content", MAX_INDEX, "text"), True, id="both"),
        pytest.param((-1,), False, id="below the first"),
        pytest.param((MAX_INDEX + 1,), False, id="beyond the last"),
        pytest.param((0, "content", -1), False, id="a part below the first"),
        pytest.param((0, "content", MAX_INDEX + 1, "text"), False, id="a part beyond the last"),
        pytest.param((-1, "content", 0), False, id="an item below the first, though its part is right"),
        pytest.param((10**30,), False, id="far beyond"),
    ],
)
def test_every_index_of_a_path_must_be_within_the_bounds(path: Path, expected: bool) -> None:
    assert are_within_bounds(path) is expected


@pytest.mark.parametrize("field", Target.__struct_fields__)
def test_a_target_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Target("message"), field, ())
