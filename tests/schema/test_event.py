"""The event types against the facts of the wire: the same names, the same fields, the same types, nothing more."""

import json
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest
from msgspec import NODEFAULT, Raw
from msgspec.structs import fields

from streamfold.schema import event as wire
from streamfold.schema.codec import decode_event
from streamfold.schema.event import EVENT_TYPES, HoldsObjects, KnownEvent, UnknownEvent
from tests.conftest import for_every

EACH_TYPE = for_every("name,kind", EVENT_TYPES.items())

# What a field of this JSON type is in Python; `| None` is added to all but objects where it may be absent.
PYTHON_TYPES: dict[str, Any] = {"string": str, "integer": int, "object": Raw, "array": tuple[Raw, ...]}

# Required on the wire, and may be absent here. The reasons stand at the head of schema/event.py.
MAY_BE_ABSENT = {
    "sequence_number": "recorded streams of 2025 have none",
    "item_id": "some gateways leave it out, and it is an address only where an index is missing",
    **dict.fromkeys(
        ["output_index", "content_index", "summary_index", "annotation_index", "command_index", "partial_image_index"],
        "some gateways leave indexes out",
    ),
}
# Not in the facts of the wire: fields that only the newest SDK has (openai 3.57), for several agents in one response.
NEWER = {"agent": Any}
# Optional on the wire and never null there, so that null can mean nothing but absence: here both are None, or NULL.
NULL_IS_ABSENCE = {"message", "name", "obfuscation", "response_id", "error"}
# Never null on the wire, and may be null here: the `error` event may have none, and one rule serves every `error`.
NULL_FOR_AN_OBJECT = {("response.inject.failed", "error"), ("response.steer.failed", "error")}

RIGHT: dict[Any, list[Any]] = {
    str: ["text"],
    int: [3],
    Raw: [{"a": 1}],
    tuple[Raw, ...]: [[{"a": 1}, 2]],
    str | None: ["text"],
    int | None: [3],
    tuple[Raw, ...] | None: [[{"a": 1}, 2]],
    Any: [{"agent_name": "a"}],
}
WRONG: dict[Any, list[Any]] = {
    str: [5, None, ["a"], {"a": 1}, True],
    int: ["5", None, [5], 1.5, True],
    Raw: ["a", 5, [{}], False],
    tuple[Raw, ...]: [{}, "a", 5, None],
    str | None: [5, ["a"], {"a": 1}, True],
    int | None: ["5", [5], 1.5, True],
    tuple[Raw, ...] | None: [{}, "a", 5],
    Any: [],
}


def hints(kind: type[KnownEvent]) -> dict[str, Any]:
    """The fields of a type with their Python types."""
    return {name: hint for name, hint in get_type_hints(kind).items() if name in kind.__struct_fields__}


def required(kind: type[KnownEvent]) -> set[str]:
    return {each.name for each in fields(kind) if each.default is NODEFAULT and each.default_factory is NODEFAULT}


def full(kind: type[KnownEvent]) -> dict[str, Any]:
    """A payload with every field."""
    return {name: RIGHT[hint][0] for name, hint in hints(kind).items()}


def minimal(kind: type[KnownEvent]) -> dict[str, Any]:
    """A payload with no field that may be absent."""
    return {name: value for name, value in full(kind).items() if name in required(kind)}


def decode(name: str, payload: dict[str, Any]) -> Any:
    return decode_event(json.dumps({"type": name, **payload}).encode())


def plain(value: Any) -> Any:
    """A field's value as Python's json would have it."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return json.loads(bytes(value)) if isinstance(value, Raw) else value


def facts_of(protocol_events: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """The wire's fields of one type, but for `type`, which is the tag."""
    (event,) = (each for each in protocol_events if each["type"] == name)
    return {field: facts for field, facts in event["fields"].items() if field != "type"}


def may_be_null(facts: dict[str, Any]) -> bool:
    return "null" in facts["json"].split("|")


# The facts of the wire


def test_the_types_are_exactly_those_of_the_wire(protocol_events: list[dict[str, Any]]) -> None:
    assert set(EVENT_TYPES) == {event["type"] for event in protocol_events}
    assert len(EVENT_TYPES) == len(protocol_events) == 92


@EACH_TYPE
def test_a_type_has_exactly_the_fields_of_the_wire(
    name: str, kind: type[KnownEvent], protocol_events: list[dict[str, Any]]
) -> None:
    assert set(kind.__struct_fields__) - set(NEWER) == set(facts_of(protocol_events, name))


@EACH_TYPE
def test_each_field_is_of_the_type_of_the_wire(
    name: str, kind: type[KnownEvent], protocol_events: list[dict[str, Any]]
) -> None:
    expected = {field: hint for field, hint in NEWER.items() if field in kind.__struct_fields__}
    for field, facts in facts_of(protocol_events, name).items():
        hint = PYTHON_TYPES[facts["json"].split("|")[0]]
        is_required = facts["required"] and field not in MAY_BE_ABSENT
        expected[field] = hint if is_required or hint is Raw else hint | None
    assert hints(kind) == expected


@EACH_TYPE
def test_a_field_is_required_where_it_is_on_the_wire(
    name: str, kind: type[KnownEvent], protocol_events: list[dict[str, Any]]
) -> None:
    on_the_wire = {field for field, facts in facts_of(protocol_events, name).items() if facts["required"]}
    assert required(kind) == on_the_wire - set(MAY_BE_ABSENT)


@EACH_TYPE
def test_null_is_taken_where_the_wire_has_it(
    name: str, kind: type[KnownEvent], protocol_events: list[dict[str, Any]]
) -> None:
    for field, facts in facts_of(protocol_events, name).items():
        is_taken = isinstance(decode(name, full(kind) | {field: None}), kind)
        may_be_absent = field in MAY_BE_ABSENT or (field in NULL_IS_ABSENCE and not facts["required"])
        assert is_taken == (may_be_null(facts) or may_be_absent or (name, field) in NULL_FOR_AN_OBJECT), field


def test_no_relaxation_is_listed_that_the_types_do_not_need(protocol_events: list[dict[str, Any]]) -> None:
    optional = {
        field
        for event in protocol_events
        for field, facts in event["fields"].items()
        if not facts["required"] and not may_be_null(facts)
    }
    assert optional == NULL_IS_ABSENCE


# Every type, from the wire and back


@EACH_TYPE
def test_a_full_payload_gives_every_field_back(name: str, kind: type[KnownEvent]) -> None:
    event = decode(name, full(kind))
    assert type(event) is kind
    assert {field: plain(getattr(event, field)) for field in kind.__struct_fields__} == full(kind)


@EACH_TYPE
def test_a_minimal_payload_leaves_the_rest_empty(name: str, kind: type[KnownEvent]) -> None:
    event = decode(name, minimal(kind))
    assert type(event) is kind
    rest = {field: plain(getattr(event, field)) for field in set(kind.__struct_fields__) - required(kind)}
    assert rest == dict.fromkeys(rest)


@EACH_TYPE
def test_an_event_gives_back_its_type(name: str, kind: type[KnownEvent]) -> None:
    event = decode(name, minimal(kind))
    assert event.type == event.wire_type == kind.type == name


@EACH_TYPE
def test_an_event_cannot_be_changed(name: str, kind: type[KnownEvent]) -> None:
    event = decode(name, full(kind))
    for field in kind.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(event, field, None)


@EACH_TYPE
def test_without_a_required_field_an_event_is_unknown_and_says_so(name: str, kind: type[KnownEvent]) -> None:
    for field in required(kind):
        event = decode(name, {key: value for key, value in full(kind).items() if key != field})
        assert (type(event), event.wire_type, event.sequence_number) == (UnknownEvent, name, 3)
        assert f"`{field}`" in event.error


@EACH_TYPE
def test_a_field_of_another_type_makes_an_event_unknown(name: str, kind: type[KnownEvent]) -> None:
    for field, hint in hints(kind).items():
        for value in WRONG[hint] if (field != "sequence_number" and name != "error") else ():
            event = decode(name, full(kind) | {field: value})
            assert (type(event), event.wire_type) == (UnknownEvent, name), (field, value)
            assert event.sequence_number == 3
            assert f"$.{field}" in event.error


@EACH_TYPE
def test_a_number_of_another_type_counts_as_missing(name: str, kind: type[KnownEvent]) -> None:
    for value in WRONG[int | None]:
        event = decode(name, full(kind) | {"sequence_number": value})
        assert name == "error" or event == decode(name, full(kind) | {"sequence_number": None})
        assert (type(event), event.sequence_number) == (kind, None)


def test_an_error_whose_fields_are_of_another_type_is_an_error_all_the_same() -> None:
    kind = EVENT_TYPES["error"]
    for field, hint in hints(kind).items():
        for value in WRONG[hint]:
            assert type(decode("error", full(kind) | {field: value})) is kind, (field, value)


@EACH_TYPE
def test_an_unknown_field_is_no_fault(name: str, kind: type[KnownEvent]) -> None:
    assert type(decode(name, full(kind) | {"model": "new", "new": [{}]})) is kind


# Where an object is required


def test_an_object_stays_the_bytes_that_came() -> None:
    data = b'{"type": "response.created", "response": {"b" : 1E2, "a":"\\u0041"}}'
    assert bytes(getattr(decode_event(data), "response", b"")) == b'{"b" : 1E2, "a":"\\u0041"}'


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param(wire.OutputItemDone, {"output_index": 0, "item": Raw(b"null")}, id="an item may be null"),
        pytest.param(wire.ErrorEvent, {"error": Raw(b"null")}, id="an error that is not nested"),
        pytest.param(wire.ErrorEvent, {}, id="an error that says nothing"),
        pytest.param(wire.ShellCallInProgress, {"output_index": 0, "args": Raw(b"null")}, id="arguments may be null"),
        pytest.param(wire.ResponseCreated, {"response": Raw(b"{}")}, id="an object with nothing in it"),
        pytest.param(wire.ResponseCreated, {"response": Raw('{"a": "\u20ac"}'.encode())}, id="beyond ASCII"),
    ],
)
def test_an_object_or_an_allowed_null_passes(kind: type[KnownEvent], values: dict[str, Any]) -> None:
    assert isinstance(kind(**values), HoldsObjects)


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        pytest.param(wire.ResponseCreated, {"response": Raw(b"null")}, "response", id="no Response"),
        pytest.param(wire.ResponseCompleted, {"response": Raw(b'"done"')}, "response", id="a string"),
        pytest.param(wire.OutputItemAdded, {"output_index": 0, "item": Raw(b"[]")}, "item", id="an array"),
        pytest.param(wire.OutputItemAdded, {"output_index": 0, "item": Raw(b"")}, "item", id="no bytes"),
        pytest.param(wire.ErrorEvent, {"error": Raw(b'"overloaded"')}, "error", id="words for an error"),
        pytest.param(wire.SteerAccepted, {"steer": Raw(b"null")}, "steer", id="no steer"),
        pytest.param(
            wire.ContentPartDone, {"output_index": 0, "content_index": 0, "part": Raw(b"null")}, "part", id="no part"
        ),
        pytest.param(
            wire.SteerFailed, {"error": Raw(b"5"), "steer": Raw(b"{}")}, "error", id="the first of two objects"
        ),
        pytest.param(
            wire.SteerFailed, {"error": Raw(b"{}"), "steer": Raw(b"5")}, "steer", id="the second of two objects"
        ),
    ],
)
def test_anything_else_is_refused_by_the_name_of_its_field(
    kind: type[KnownEvent], values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=rf"^Expected `object`.* - at `\$\.{field}`$"):
        kind(**values)


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("length", [1, 8_190, 20_000])
def test_an_object_of_any_length_may_hold_characters_of_many_bytes(offset: int, length: int) -> None:
    response = Raw(b'{"a": "' + b"x" * offset + "\U0001f600".encode() * length + b'"}')
    assert wire.ResponseCreated(response=response).response is response


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\xff", id="a byte that is in no UTF-8"),
        pytest.param(b"\xf0\x9f\x98", id="a character cut short"),
        pytest.param(b"\xed\xa0\xbd", id="half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("before", [0, 8_170, *range(8_180, 8_194), 20_000])
def test_an_object_that_is_no_utf8_anywhere_is_refused(before: int, broken: bytes) -> None:
    for behind in (b'"}', b""):
        with pytest.raises(ValueError, match=r"UTF-8|utf-8"):
            wire.ResponseCreated(response=Raw(b'{"a":"' + b"x" * before + broken + behind))


# The names


def test_every_type_is_offered_by_its_name() -> None:
    assert {kind.__name__ for kind in EVENT_TYPES.values()} <= set(wire.__all__)
    assert len(set(wire.__all__)) == len(wire.__all__)
    assert all(hasattr(wire, name) for name in wire.__all__)


def test_the_types_cannot_be_changed() -> None:
    assert isinstance(EVENT_TYPES, MappingProxyType)


def test_an_unknown_event_is_no_error_unless_it_says_why() -> None:
    assert UnknownEvent("new", 3, b"{}") == UnknownEvent("new", 3, b"{}", error="")
