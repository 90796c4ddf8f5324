"""diff: what differs between two snapshots; the changes, made to the one, give the other."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from streamfold import State, fold, snapshot_json, states
from streamfold.fold import with_response
from streamfold.history import Change, diff
from tests.conftest import Recording, on_every_recording
from tests.fold.recorded import events_of, start
from tests.fold.streams import Story, stories
from tests.history.made import events_of as decoded
from tests.history.made import said

KEYS = st.sampled_from(["id", "status", "a", "a/b", "~", "~1", "", "output_text"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["a", "ab", "abc"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
RESPONSES = st.dictionaries(KEYS, VALUES, max_size=5)


def showing(response: object) -> State:
    return with_response(State(), json.dumps(response).encode())


def applied(document: Any, changes: tuple[Change, ...]) -> Any:
    """The document with these changes made to it, one after the other."""
    whole = {"": msgspec.json.decode(msgspec.json.encode(document))}
    for change in changes:
        holder, key = held(whole, change.pointer)
        if change.added is not UNSET:
            holder[key] += change.added
        elif change.after is UNSET:
            del holder[key]
        elif isinstance(holder, list) and key == len(holder):
            holder.append(msgspec.json.decode(change.after))
        else:
            holder[key] = msgspec.json.decode(change.after)
    return whole[""]


def held(whole: Any, pointer: str) -> tuple[Any, Any]:
    *path, last = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")]
    for key in path:
        whole = whole[int(key) if isinstance(whole, list) else key]
    return whole, int(last) if isinstance(whole, list) else last


def shown(state: State) -> Any:
    return msgspec.json.decode(snapshot_json(state))


def identical(one: Any, other: Any) -> bool:
    """Equal, and of the same types: for Python 1 is True."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(RESPONSES)
def test_a_state_differs_in_nothing_from_itself(response: dict[str, Any]) -> None:
    assert diff(showing(response), showing(response)) == ()


@given(RESPONSES, RESPONSES)
def test_the_changes_made_to_the_one_give_the_other(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = showing(one), showing(other)
    assert identical(applied(shown(before), diff(before, after)), shown(after))


@given(RESPONSES, RESPONSES)
def test_there_is_a_change_only_where_something_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = showing(one), showing(other)
    assert bool(diff(before, after)) == (not identical(shown(before), shown(after)))


@given(stories())
def test_the_changes_of_all_events_are_those_of_the_stream(story: Story) -> None:
    document, before = shown(State()), State()
    for after in states(story.events):
        document = applied(document, diff(before, after))
        before = after
    assert identical(document, shown(before))


@on_every_recording
def test_the_changes_of_a_recording(recording: Recording) -> None:
    reached = list(states(events_of(recording), start(recording)))
    for before, after in ((reached[0], reached[len(reached) // 2]), (reached[len(reached) // 2], reached[-1])):
        assert identical(applied(shown(before), diff(before, after)), shown(after))


@pytest.mark.parametrize(
    ("one", "other", "change"),
    [
        pytest.param("", "a", Change("/x", added="a"), id="text that grew from nothing"),
        pytest.param("ab", "abc", Change("/x", added="c"), id="text that grew"),
        pytest.param("ab", "b", Change("/x", Raw(b'"ab"'), Raw(b'"b"')), id="text that is another"),
        pytest.param("ab", "", Change("/x", Raw(b'"ab"'), Raw(b'""')), id="text that went"),
        pytest.param(None, "a", Change("/x", Raw(b"null"), Raw(b'"a"')), id="null is a value"),
        pytest.param(1, True, Change("/x", Raw(b"1"), Raw(b"true")), id="one is not true"),
        pytest.param([1, 2], [1], Change("/x/1", before=Raw(b"2")), id="an element less"),
        pytest.param([1], [1, {}], Change("/x/1", after=Raw(b"{}")), id="an element more"),
        pytest.param({}, {"y": None}, Change("/x/y", after=Raw(b"null")), id="a field that is null"),
        pytest.param({"y": None}, {}, Change("/x/y", before=Raw(b"null")), id="null that went"),
        pytest.param({}, [], Change("/x", Raw(b"{}"), Raw(b"[]")), id="another kind of value"),
        pytest.param({"a/b~": 1}, {"a/b~": 2}, Change("/x/a~1b~0", Raw(b"1"), Raw(b"2")), id="an odd key"),
    ],
)
def test_a_change(one: object, other: object, change: Change) -> None:
    assert diff(showing({"x": one}), showing({"x": other})) == (change,)


def test_a_text_that_is_only_spelled_otherwise_is_no_change() -> None:
    assert diff(with_response(State(), b'{"x":"\\u0061"}'), with_response(State(), b'{"x":"a"}')) == ()


def test_text_of_a_stream_is_told_by_what_was_added() -> None:
    before, after = (fold(decoded(said("Hel", "lo", is_over=False)[:end])) for end in (3, 4))
    assert diff(before, after) == (Change("/output/0/content/0/text", added="lo"),)


def test_changes_come_in_the_order_of_the_document() -> None:
    one, other = ({"a": n, "b": {"c": n, "d": [n, n]}, "e": n} for n in (1, 2))
    pointers = [change.pointer for change in diff(showing(one), showing(other))]
    assert pointers == ["/a", "/b/c", "/b/d/0", "/b/d/1", "/e"]


def test_what_is_nested_deep_is_told_as_a_whole() -> None:
    one, other = (with_response(State(), b'{"x":%b%d%b}' % (b"[" * 400, n, b"]" * 400)) for n in (1, 2))
    (change,) = diff(one, other)
    assert change.pointer == "/x" + "/0" * 199
    assert isinstance(change.before, Raw)


def test_a_change_as_json_tells_absent_from_null() -> None:
    (change,) = diff(showing({}), showing({"x": None}))
    assert msgspec.json.encode(change) == b'{"pointer":"/x","after":null}'
