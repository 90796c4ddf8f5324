"""Target: a path out of an event's own indexes, and the least that makes an item or a part."""

import json

import pytest
from msgspec import Raw

from streamfold.fold.target import (
    CODE,
    MAX_INDEX,
    OUTPUT_TEXT,
    PART,
    Target,
    are_within_bounds,
    is_another_type,
    skeleton,
    type_of,
)
from streamfold.fold.text import Text
from streamfold.fold.tree import Array, Node, Object, Path, encode
from streamfold.schema import OutputTextDelta, ShellCallCommandDelta

TEXT = OutputTextDelta(item_id="msg_1", output_index=3, content_index=5, delta="x")
COMMAND = ShellCallCommandDelta(output_index=3, command_index=7, delta="x")
CONTENT_INDEX, COMMAND_INDEX = "content_index", "command_index"


@pytest.mark.parametrize(
    ("target", "event", "path"),
    [
        pytest.param(Target("message"), TEXT, (3,), id="an item"),
        pytest.param(Target("function_call", tail=("arguments",)), TEXT, (3, "arguments"), id="a field of an item"),
        pytest.param(
            Target("apply_patch_call", tail=("operation", "diff")), TEXT, (3, "operation", "diff"), id="deeper"
        ),
        pytest.param(Target("message", ("content",), CONTENT_INDEX), TEXT, (3, "content", 5), id="a part"),
        pytest.param(
            Target("message", ("content",), CONTENT_INDEX, "output_text", ("text",)),
            TEXT,
            (3, "content", 5, "text"),
            id="a field of a part",
        ),
        pytest.param(
            Target("shell_call", ("action", "commands"), COMMAND_INDEX),
            COMMAND,
            (3, "action", "commands", 7),
            id="an element of a list deeper in the item",
        ),
    ],
)
def test_a_path_is_made_of_the_indexes_of_the_event(target: Target, event: object, path: Path) -> None:
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
        pytest.param((None,), False, id="an item that the event does not name"),
        pytest.param((0, "content", None, "text"), False, id="a part that the event does not name"),
    ],
)
def test_every_index_of_a_path_must_be_within_the_bounds(path: Path, expected: bool) -> None:
    assert are_within_bounds(path) is expected


@pytest.mark.parametrize("field", Target.__struct_fields__)
def test_a_target_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Target("message"), field, ())


ITEM = Object({"type": Raw(b'"message"')})
MESSAGE = Raw(b'{"id":"a","type":"message"}')


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param(None, "", id="nothing"),
        pytest.param(Raw(b'{"id":"a","type":"message"}'), "message", id="an object in bytes"),
        pytest.param(Raw(b'{"type": "message", "id": "a"}'), "message", id="with blanks"),
        pytest.param(
            Raw(b'{"content":[{"type":"output_text"}],"type":"message"}'), "message", id="the type comes last"
        ),
        pytest.param(
            Raw(b'{"id":"a\\",","type":"message","b":"\\"","type":"reasoning"}'), "reasoning", id="an id of quotes"
        ),
        pytest.param(Raw(b'{"type":"new"}'), "new", id="a type that is not known"),
        pytest.param(Raw(b'{"type":5}'), "", id="a type that is no text"),
        pytest.param(Raw(b"[]"), "", id="an array in bytes"),
        pytest.param(ITEM, "message", id="an object that was opened"),
        pytest.param(Object({"type": Raw(b"5")}), "", id="and its type is no text"),
        pytest.param(Object({"type": Text().push("message")}), "message", id="an object made here"),
        pytest.param(Object(), "", id="an object without a type"),
        pytest.param(Array(), "", id="an array"),
    ],
)
def test_the_type_of_a_node_is_read_without_opening_it(node: Node | None, expected: str) -> None:
    assert type_of(node) == expected


@pytest.mark.parametrize(
    ("target", "kind", "expected"),
    [
        (OUTPUT_TEXT, "message", True),
        (OUTPUT_TEXT, "reasoning", False),
        (OUTPUT_TEXT, "new_item", True),
        (OUTPUT_TEXT, "", True),
        (PART, "reasoning", True),
        (PART, "function_call", False),
    ],
)
def test_an_event_may_belong_to_an_item_of_its_type_or_of_one_that_is_not_known(
    target: Target, kind: str, expected: bool
) -> None:
    item = Object({"type": Text().push(kind)})
    assert target.fits_item(item) == target.fits(1, item) == expected


@pytest.mark.parametrize(
    ("target", "kind", "expected"),
    [
        (OUTPUT_TEXT, "output_text", True),
        (OUTPUT_TEXT, "refusal", False),
        (OUTPUT_TEXT, "new_part", True),
        (PART, "refusal", True),
    ],
)
def test_an_event_may_belong_to_a_part_of_its_type_or_of_one_that_is_not_known(
    target: Target, kind: str, expected: bool
) -> None:
    part = Object({"type": Text().push(kind)})
    assert target.fits_part(part) == target.fits(3, part) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(ITEM, MESSAGE, False, id="the same type"),
        pytest.param(MESSAGE, MESSAGE, False, id="both in bytes"),
        pytest.param(Object({"type": Text().push("message")}), MESSAGE, False, id="an object made here"),
        pytest.param(ITEM, Raw(b'{"type":"reasoning"}'), True, id="another one"),
        pytest.param(ITEM, Raw(b'{"type":"new"}'), True, id="one that is not known"),
        pytest.param(ITEM, Raw(b"{}"), False, id="none"),
        pytest.param(Object(), MESSAGE, False, id="none before"),
        pytest.param(Raw(b"5"), MESSAGE, False, id="no object before"),
    ],
)
def test_what_replaces_an_item_is_of_another_type_if_both_have_one(before: Node, after: Node, expected: bool) -> None:
    assert is_another_type(before, after) is expected


def test_the_index_of_a_target_is_read_from_the_event() -> None:
    assert OUTPUT_TEXT.part_depth == len(OUTPUT_TEXT.path(TEXT)) - 1
    assert [OUTPUT_TEXT.index_of(TEXT), PART.index_of(TEXT), CODE.index_of(TEXT)] == [5, 5, 3]
