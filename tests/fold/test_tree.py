"""The tree: bytes until touched, edits that share all but the path, and JSON again with the same meaning."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from streamfold.fold.text import Text
from streamfold.fold.tree import NULL, Array, Elements, Node, Object, Path, being, edit, encode, find, opened, text_of
from tests.fold.made import raw

DEEP = b"[" * 100_000 + b"]" * 100_000
MESSAGE = raw({"type": "message", "content": [{"text": "a"}, {"text": "b"}]})


def text(value: str) -> Text:
    return Text().push(value)


def put(value: Node) -> Any:
    return lambda _: value


# opened


def test_an_object_is_opened_to_its_fields_still_bytes() -> None:
    assert opened(Raw(b'{"b": 1e400, "a": {"c": 1 }}')) == Object(b=Raw(b"1e400"), a=Raw(b'{"c": 1 }'))


def test_an_array_is_opened_to_its_values_by_index() -> None:
    assert opened(Raw(b'[1, "a"]')) == Array({0: Raw(b"1"), 1: Raw(b'"a"')})


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(None, id="nothing"),
        pytest.param(Raw(b'"a"'), id="a string"),
        pytest.param(Raw(b"1"), id="a number"),
        pytest.param(NULL, id="null"),
        pytest.param(Raw(b""), id="no bytes"),
        pytest.param(Raw(b'{"a": '), id="half an object"),
        pytest.param(Raw(b"[1, "), id="half an array"),
        pytest.param(Raw(b'{"\xff": 1}'), id="a key that is no UTF-8"),
        pytest.param(Raw(DEEP[:100_000]), id="half an array, nested without end"),
        pytest.param(text("a"), id="a text"),
        pytest.param(Elements(text("1")), id="elements"),
        pytest.param(Object(a=NULL), id="an object opened before"),
        pytest.param(Array({0: NULL}), id="an array opened before"),
    ],
)
def test_whatever_cannot_be_opened_is_given_back(node: Node | None) -> None:
    assert opened(node) is node


# find


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param((), MESSAGE, id="itself"),
        pytest.param(("type",), Raw(b'"message"'), id="a field"),
        pytest.param(("content", 1, "text"), Raw(b'"b"'), id="a field of a part"),
        pytest.param(("content", 2), None, id="an index beyond the end"),
        pytest.param(("content", -1), None, id="an index is never counted from the end"),
        pytest.param(("summary", 0, "text"), None, id="a field that is not there"),
        pytest.param(("content", "text"), None, id="a key in an array"),
        pytest.param((0,), None, id="an index in an object"),
        pytest.param(("type", 0), None, id="an index in a string"),
    ],
)
def test_a_path_finds_what_stands_there(path: Path, found: Node | None) -> None:
    assert find(MESSAGE, path) == found


@pytest.mark.parametrize("node", [None, NULL, text("a"), Elements(text("1"))])
def test_nothing_is_found_in_what_has_no_fields(node: Node | None) -> None:
    assert find(node, (0,)) is None
    assert find(node, ("a",)) is None


# edit


@pytest.mark.parametrize(
    ("node", "path", "expected"),
    [
        pytest.param(raw({"a": 1}), ("a",), {"a": 9}, id="over a field"),
        pytest.param(raw({"a": 1}), ("b",), {"a": 1, "b": 9}, id="a new field"),
        pytest.param(raw([1, 2, 3]), (1,), [1, 9, 3], id="over an element"),
        pytest.param(raw({"a": [{"b": 1}]}), ("a", 0, "b"), {"a": [{"b": 9}]}, id="deep inside"),
        pytest.param(None, ("a", 0, "b"), {"a": [{"b": 9}]}, id="all on the way is created"),
        pytest.param(NULL, (0, "a"), [{"a": 9}], id="null counts as nothing"),
        pytest.param(raw({"a": None}), ("a", 0), {"a": [9]}, id="a null field counts as nothing"),
        pytest.param(raw([1]), (3,), [1, 9], id="a hole is left out when shown"),
        pytest.param(None, (), 9, id="no path is the value itself"),
    ],
)
def test_an_edit_puts_a_value_at_the_path(node: Node | None, path: Path, expected: object) -> None:
    edited = edit(node, path, put(Raw(b"9")))
    assert edited is not None
    assert json.loads(encode(edited)) == expected


@pytest.mark.parametrize(
    ("node", "path"),
    [
        pytest.param(raw({"a": 1}), (0,), id="an index into an object"),
        pytest.param(raw([1]), ("a",), id="a key into an array"),
        pytest.param(raw("abc"), (0,), id="an index into a string"),
        pytest.param(raw({"a": 5}), ("a", "b"), id="a key into a number"),
        pytest.param(raw({"a": {"b": False}}), ("a", "b", "c", 0), id="deep inside"),
        pytest.param(text("a"), ("a",), id="a key into a growing text"),
        pytest.param(Elements(text("1")), (0,), id="an index into elements"),
        pytest.param(Raw(b"{"), ("a",), id="a key into half an object"),
    ],
)
def test_an_edit_that_does_not_fit_is_answered_with_none(node: Node, path: Path) -> None:
    assert edit(node, path, put(NULL)) is None


def test_a_change_that_refuses_refuses_the_whole_edit() -> None:
    assert edit(MESSAGE, ("content", 0, "text"), lambda _: None) is None


def test_a_change_is_shown_what_stands_there() -> None:
    met: list[Node | None] = []
    edit(MESSAGE, ("type",), met.append)
    edit(MESSAGE, ("new",), met.append)
    assert met == [Raw(b'"message"'), None]


def test_an_edit_leaves_the_tree_before_as_it_was() -> None:
    before = Object(a=Array({0: Object(b=NULL)}))
    edit(before, ("a", 0, "b"), put(text("new")))
    edit(before, ("c",), put(text("new")))
    assert before == Object(a=Array({0: Object(b=NULL)}))


def test_an_edit_shares_all_that_is_beside_the_path() -> None:
    before = Object(a=Object(x=NULL), b=Object(y=NULL))
    after = edit(before, ("a", "x"), put(text("new")))
    assert isinstance(after, Object)
    assert after["b"] is before["b"]
    assert after["a"] is not before["a"]


def test_what_is_known_of_the_missing_is_put_there_first() -> None:
    known = {1: raw({"id": "made"}), 3: raw({"type": "part"})}
    edited = edit(Array(), (0, "content", 0, "text"), put(text("a")), known.get)
    assert edited is not None
    assert json.loads(encode(edited)) == [{"id": "made", "content": [{"type": "part", "text": "a"}]}]


def test_only_what_is_missing_is_asked_for() -> None:
    asked: list[int] = []
    edit(MESSAGE, ("content", 1, "annotations", 0), put(NULL), asked.append)
    assert asked == [3, 4]


def test_a_field_keeps_its_place_among_the_others_when_it_changes() -> None:
    edited = edit(raw({"b": 1, "a": 2, "c": 3}), ("a",), put(Raw(b"9")))
    assert edited is not None
    assert encode(edited) == b'{"b":1,"a":9,"c":3}'


# text_of


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param(None, "", id="nothing is empty"),
        pytest.param(NULL, "", id="null is empty"),
        pytest.param(Raw(b'""'), "", id="empty"),
        pytest.param(Raw(b'"a\\n\\ud83d\\ude00"'), "a\n\U0001f600", id="with escapes"),
    ],
)
def test_a_string_is_a_text_that_can_grow(node: Node | None, expected: str) -> None:
    assert text_of(node) == text(expected)


def test_a_text_is_its_own_text() -> None:
    grown = text("a")
    assert text_of(grown) is grown


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(Raw(b"5"), id="a number"),
        pytest.param(Raw(b'["a"]'), id="an array"),
        pytest.param(Raw(b'{"a": "b"}'), id="an object"),
        pytest.param(Raw(b"false"), id="false"),
        pytest.param(Raw(b'"\xff"'), id="no UTF-8"),
        pytest.param(Raw(b'"\\ud800"'), id="half of a surrogate pair"),
        pytest.param(Object(), id="an opened object"),
        pytest.param(Array(), id="an opened array"),
        pytest.param(Elements(text('"a"')), id="elements"),
    ],
)
def test_what_is_no_string_has_no_text(node: Node) -> None:
    assert text_of(node) is None


# encode


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param(Raw(b'{"a" : 1E+2}'), b'{"a" : 1E+2}', id="bytes stay bytes"),
        pytest.param(text('a"b'), b'"a\\"b"', id="text"),
        pytest.param(Elements(text('1,{"a" : 2}')), b'[1,{"a" : 2}]', id="elements"),
        pytest.param(Object(), b"{}", id="an empty object"),
        pytest.param(Array(), b"[]", id="an empty array"),
        pytest.param(Array({5: Raw(b"5"), 1: Raw(b"1")}), b"[1,5]", id="an array with holes, in order"),
        pytest.param(Object(b=text("x"), a=Array({0: NULL})), b'{"b":"x","a":[null]}', id="nested"),
        pytest.param(Object({"\u20ac": NULL}), '{"\u20ac":null}'.encode(), id="a key beyond ASCII"),
        pytest.param(text("a\ud800"), '"a\ufffd"'.encode(), id="half of a surrogate pair"),
        pytest.param(text("\ud83d\ude00"), '"\U0001f600"'.encode(), id="two halves that meet"),
        pytest.param(
            Object(a=Array({0: text("\udc00")}), b=Elements(text('"\ud800"'))),
            '{"a":["\ufffd"],"b":["\ufffd"]}'.encode(),
            id="halves deep inside",
        ),
    ],
)
def test_a_tree_is_shown_as_json(node: Node, expected: bytes) -> None:
    assert encode(node) == expected


# Laws

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=10,
)
PATHS = st.lists(st.integers(0, 3) | st.sampled_from(["a", "b"]), max_size=4).map(tuple)


def opened_throughout(node: Node) -> Node:
    match opened(node):
        case Object() as fields:
            return Object({key: opened_throughout(value) for key, value in fields.items()})
        case Array() as values:
            return Array({index: opened_throughout(value) for index, value in values.items()})
        case _:
            return text_of(node) or node if node != NULL else node


@given(VALUES)
def test_opening_changes_no_value(value: object) -> None:
    assert json.loads(encode(opened_throughout(raw(value)))) == value


@given(PATHS)
def test_what_was_put_on_nothing_is_found_again(path: Path) -> None:
    node = edit(None, path, put(text("here")))
    assert find(node, path) == text("here")


@given(VALUES, PATHS)
def test_an_edit_is_found_again_or_refused(value: object, path: Path) -> None:
    node = edit(raw(value), path, put(text("here")))
    assert node is None or find(node, path) == text("here")


@given(VALUES, PATHS)
def test_an_edit_changes_no_other_value(value: Any, path: Path) -> None:
    node = edit(raw(value), path, lambda before: before or NULL)
    if node is not None and find(raw(value), path) is not None:
        assert json.loads(encode(node)) == value


# What does not fit


def test_an_object_on_the_way_that_does_not_fit_is_neither_found_nor_changed() -> None:
    root = Array({0: Raw(b'{"a":{"b":1}}')})
    asked: list[int] = []

    def fits(depth: int, node: Object) -> bool:
        asked.append(depth)
        return "b" not in node

    assert find(root, (0, "a"), fits) == Raw(b'{"b":1}')
    assert find(root, (0, "a", "b"), fits) is None
    assert edit(root, (0, "a", "b"), being(Raw(b"2")), fits=fits) is None
    assert edit(root, (0, "a"), being(Raw(b"2")), fits=fits) == Array({0: Object({"a": Raw(b"2")})})
    assert asked == [1, 1, 2, 1, 2, 1]
