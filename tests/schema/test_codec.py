"""decode_event: an event out of any bytes, and for each kind of bad data the one answer that it has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.json import encode

from streamfold.schema.codec import (
    END_MARKER,
    UNDECODABLE,
    decode_event,
    decode_known_event,
    read_text,
    well_formed,
)
from streamfold.schema.event import (
    EVENT_TYPES,
    Keepalive,
    KnownEvent,
    OutputItemDone,
    OutputTextDelta,
    UnknownEvent,
)
from tests.conftest import for_every

NAME = "response.output_text.delta"
DELTA = (
    b'{"type":"response.output_text.delta","sequence_number":7,"item_id":"m",'
    b'"output_index":0,"content_index":0,"delta":"a","obfuscation":"x"}'
)
ITEM = b'{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"a":1}}'
UNKNOWN = b'{"type":"new","sequence_number":7,"a":1}'
REPLACEMENT = "\ufffd"
TEN_THOUSAND_LEVELS = b"[" * 10_000 + b"]" * 10_000


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """The data with one thing replaced, which stands there once."""
    assert data.count(old) == 1
    return data.replace(old, new)


def with_text(text: bytes) -> bytes:
    """The delta with this between the quotes."""
    return changed(DELTA, b'"a"', b'"' + text + b'"')


def with_number(number: bytes) -> bytes:
    return changed(DELTA, b'"sequence_number":7', b'"sequence_number":' + number)


def with_field(field: bytes) -> bytes:
    return DELTA[:-1] + b"," + field + b"}"


def with_item(item: bytes) -> bytes:
    return changed(ITEM, b'{"a":1}', item)


def an_unknown(data: bytes) -> UnknownEvent:
    event = decode_event(data)
    assert isinstance(event, UnknownEvent)
    assert event.data is data
    return event


def test_a_good_event_is_decoded_to_its_type() -> None:
    event = OutputTextDelta(sequence_number=7, item_id="m", output_index=0, content_index=0, delta="a", obfuscation="x")
    assert decode_event(DELTA) == decode_known_event(DELTA) == event


# The JSON is whole, and no event


@pytest.mark.parametrize(
    ("data", "name", "number"),
    [
        pytest.param(UNKNOWN, "new", 7, id="a type that is not modelled"),
        pytest.param(b'{"type":"new"}', "new", None, id="and no number"),
        pytest.param(b'{"type":"new","sequence_number":null}', "new", None, id="and null for a number"),
        pytest.param(b'{"sequence_number":7,"type":"new"}', "new", 7, id="its type comes last"),
        pytest.param(b'{"type":"","sequence_number":7}', "", 7, id="an empty type"),
        pytest.param(b'{"type":"a","type":"b","sequence_number":7}', "b", 7, id="its type comes twice"),
        pytest.param(b'{"type":"new","sequence_number":-7}', "new", -7, id="a number below zero"),
        pytest.param(b'{"type":"\xff","sequence_number":7}', REPLACEMENT, 7, id="its type is no UTF-8"),
        pytest.param(b'{"type":"\\ud800","sequence_number":7}', REPLACEMENT, 7, id="its type is half a pair"),
        pytest.param(changed(UNKNOWN, b"1", b'"\xff"'), "new", 7, id="a field is no UTF-8"),
        pytest.param(changed(UNKNOWN, b"1", b"1e400"), "new", 7, id="a number beyond all numbers"),
        pytest.param(b" " + UNKNOWN + b"\n", "new", 7, id="with spaces around"),
    ],
)
def test_an_unknown_type_is_kept_with_its_name_and_number(data: bytes, name: str, number: int | None) -> None:
    assert an_unknown(data) == UnknownEvent(name, number, data)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(b'"7"', id="a string"),
        pytest.param(b"7.5", id="half a number"),
        pytest.param(b"7.0", id="a float"),
        pytest.param(b"7e0", id="an exponent"),
        pytest.param(b"1e400", id="beyond all numbers"),
        pytest.param(b"9" * 5_000, id="more digits than anyone reads"),
        pytest.param(b"true", id="a boolean"),
        pytest.param(b"[7]", id="an array"),
    ],
)
def test_a_number_that_is_none_counts_as_missing(number: bytes) -> None:
    unknown = changed(UNKNOWN, b"7", number)
    assert an_unknown(unknown) == UnknownEvent("new", None, unknown)
    assert decode_event(with_number(number)) == decode_event(with_number(b"null"))
    assert decode_event(with_number(number).replace(b'"a"', b'"\xff"')).wire_type == NAME


def test_an_event_with_a_wrong_number_and_another_fault_says_the_other_fault() -> None:
    event = an_unknown(changed(with_number(b'"7"'), b'"delta":"a"', b'"delta":5'))
    assert (event.wire_type, event.sequence_number) == (NAME, None)
    assert event.error == "Expected `str`, got `int` - at `$.delta`"


@pytest.mark.parametrize(
    ("data", "number", "error"),
    [
        pytest.param(changed(DELTA, b'"a"', b"5"), 7, "Expected `str`, got `int` - at `$.delta`", id="no text"),
        pytest.param(changed(DELTA, b'"a"', b"null"), 7, "Expected `str`, got `null` - at `$.delta`", id="null"),
        pytest.param(
            changed(DELTA, b'"delta":"a",', b""), 7, "Object missing required field `delta`", id="a field is missing"
        ),
        pytest.param(
            changed(DELTA, b'"content_index":0', b'"content_index":0.5'),
            7,
            "Expected `int | null`, got `float` - at `$.content_index`",
            id="an index between two",
        ),
        pytest.param(
            changed(DELTA, b'"content_index":0', b'"content_index":1e400'),
            7,
            "Number out of range - at `$.content_index`",
            id="an index beyond all numbers",
        ),
    ],
)
def test_a_known_type_that_does_not_validate_says_why(data: bytes, number: int | None, error: str) -> None:
    assert an_unknown(data) == UnknownEvent(NAME, number, data, error)


@pytest.mark.parametrize("item", [b'"a"', b"[]", b"5", b"true", b'"{}"'])
def test_what_should_be_an_object_and_is_not_says_so(item: bytes) -> None:
    event = an_unknown(with_item(item))
    assert (event.wire_type, event.sequence_number) == ("response.output_item.done", 7)
    assert event.error.startswith("Expected `object`")
    assert event.error.endswith("- at `$.item`")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        pytest.param(with_field(b'"type":"keepalive"'), "keepalive", id="another type at the end"),
        pytest.param(b'{"type":"keepalive",' + DELTA[1:], NAME, id="another type at the beginning"),
    ],
)
def test_two_types_in_one_event_are_no_type(data: bytes, name: str) -> None:
    event = an_unknown(data)
    assert (event.wire_type, event.sequence_number) == (name, 7)
    assert event.error == f"Invalid value '{name}' - at `$.type`"


# The JSON is not whole, or no object: the number stays None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"1", id="a number"),
        pytest.param(b'"a"', id="a string"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"true", id="true"),
        pytest.param(b"[" + DELTA + b"]", id="an event in an array"),
        pytest.param(b"{}", id="an object with no type"),
        pytest.param(b'{"sequence_number":7}', id="a number alone"),
        pytest.param(b'{"type":null,"sequence_number":7}', id="type null"),
        pytest.param(b'{"type":5,"sequence_number":7}', id="type 5"),
        pytest.param(b'{"type":["keepalive"],"sequence_number":7}', id="type in an array"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"  ", id="spaces"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[DONE", id="half of the end marker"),
        pytest.param(b"[DONE] [DONE]", id="two end markers"),
        pytest.param(b"\xef\xbb\xbf" + DELTA, id="a byte order mark"),
        pytest.param(b"\0" + DELTA, id="NUL before"),
        pytest.param(DELTA + b"\0", id="NUL behind"),
        pytest.param(DELTA + b"x", id="rubbish behind"),
        pytest.param(DELTA + DELTA, id="two events"),
        pytest.param(with_text(b"\0"), id="NUL in a text"),
        pytest.param(with_text(b"\n"), id="a bare line feed in a text"),
        pytest.param(with_text(b"\\x"), id="an escape that is none"),
        pytest.param(with_number(b"07"), id="a number with a zero before"),
        pytest.param(with_number(b"NaN"), id="NaN for a number"),
        pytest.param(with_number(b"-Infinity"), id="infinity for a number"),
        pytest.param(with_field(b'"new":NaN'), id="NaN where nobody looks"),
        pytest.param(with_item(b'{"a":Infinity}'), id="infinity in an item"),
        pytest.param(changed(DELTA, b'"type"', b"'type'"), id="quotes that are none"),
        pytest.param(b"{\xff" + DELTA[1:], id="no UTF-8 between the fields"),
    ],
)
def test_what_is_no_json_object_with_a_type_has_neither_type_nor_number(data: bytes) -> None:
    event = an_unknown(data)
    assert (event.wire_type, event.sequence_number) == ("", None)
    assert event.error


@for_every("length", range(len(DELTA)))
def test_an_event_cut_short_anywhere_has_neither_type_nor_number(length: int) -> None:
    event = an_unknown(DELTA[:length])
    assert (event.wire_type, event.sequence_number) == ("", None)
    assert event.error


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(with_field(b'"new":' + TEN_THOUSAND_LEVELS), OutputTextDelta, id="in a field nobody knows"),
        pytest.param(with_item(b'{"a":' + TEN_THOUSAND_LEVELS + b"}"), OutputItemDone, id="in an item"),
        pytest.param(changed(UNKNOWN, b"1", TEN_THOUSAND_LEVELS), None, id="in an unknown type"),
        pytest.param(b'{"new":' + TEN_THOUSAND_LEVELS + b"," + DELTA[1:], OutputTextDelta, id="before the type"),
        pytest.param(TEN_THOUSAND_LEVELS, None, id="and nothing else"),
    ],
)
def test_nesting_too_deep_is_read_or_is_no_json(data: bytes, kind: type[KnownEvent] | None) -> None:
    """How deep is too deep is for Python to say: 1,000 levels on 3.11, ten times that on 3.13."""
    event = decode_event(data)
    if isinstance(event, UnknownEvent):
        assert (event.wire_type, event.sequence_number) in [("", None), ("new", 7)]
        assert event.wire_type or event.error
    else:
        assert (type(event), event.sequence_number) == (kind, 7)


@pytest.mark.parametrize("data", [b"[DONE]", b" [DONE]", b"[DONE] ", b"\t[DONE]\r\n"])
def test_the_end_marker_is_no_event_and_no_error(data: bytes) -> None:
    assert an_unknown(data) == UnknownEvent("[DONE]", None, data, error="")


def test_the_end_marker_is_the_one_of_open_responses() -> None:
    assert END_MARKER == b"[DONE]"


@pytest.mark.parametrize("data", [b"", b"5", b'{"type":"new"}', with_text(b"\xff"), TEN_THOUSAND_LEVELS[:10_000]])
def test_the_bare_decoder_raises_what_it_says(data: bytes) -> None:
    with pytest.raises(UNDECODABLE):
        decode_known_event(data)


# Odd, and an event all the same


@pytest.mark.parametrize(
    ("data", "number", "text"),
    [
        pytest.param(with_number(b"-7"), -7, "a", id="a number below zero"),
        pytest.param(with_number(b"-0"), 0, "a", id="minus zero"),
        pytest.param(with_number(b"9" * 30), 10**30 - 1, "a", id="a number larger than 64 bits"),
        pytest.param(with_number(b"null"), None, "a", id="null for a number"),
        pytest.param(changed(DELTA, b',"sequence_number":7', b""), None, "a", id="no number"),
        pytest.param(with_field(b'"sequence_number":8'), 8, "a", id="two numbers: the last one counts"),
        pytest.param(with_field(b'"delta":"b"'), 7, "b", id="two texts: the last one counts"),
        pytest.param(with_field(b'"new":1e400'), 7, "a", id="a number beyond all numbers where nobody looks"),
        pytest.param(with_field(b'"new":' + b"9" * 5_000), 7, "a", id="thousands of digits where nobody looks"),
        pytest.param(b"\n " + DELTA + b"\t\r\n", 7, "a", id="spaces around"),
        pytest.param(
            b'{"delta":"a","content_index":0,"output_index":0,"sequence_number":7,"type":"%b"}' % NAME.encode(),
            7,
            "a",
            id="the type comes last",
        ),
        pytest.param(changed(DELTA, b"response.", b"response\\u002e"), 7, "a", id="the type is written with an escape"),
        pytest.param(with_text(b"\\u0000"), 7, "\0", id="NUL as an escape"),
        pytest.param(with_text(b""), 7, "", id="an empty text"),
    ],
)
def test_odd_but_whole_data_is_an_event(data: bytes, number: int | None, text: str) -> None:
    event = decode_event(data)
    assert isinstance(event, OutputTextDelta)
    assert (event.sequence_number, event.delta) == (number, text)


@pytest.mark.parametrize("item", [b'{"a":1e400}', b'{"a":' + b"9" * 5_000 + b"}", b"null", b"{}", b'{"a":1,"a":2}'])
def test_an_item_is_not_looked_into(item: bytes) -> None:
    event = decode_event(with_item(item))
    assert isinstance(event, OutputItemDone)
    assert bytes(event.item) == item


# Only characters are broken: each becomes U+FFFD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"a\xff", "a\ufffd", id="a byte that is in no UTF-8"),
        pytest.param(b"\xe2\x82", "\ufffd", id="a character cut short"),
        pytest.param(b"\xe2\x82a", "\ufffda", id="a character cut short, and more"),
        pytest.param(b"\xc0\xaf", "\ufffd\ufffd", id="a character written too long"),
        pytest.param(b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd", id="half of a surrogate pair as bytes"),
        pytest.param(b"\xf4\x90\x80\x80", "\ufffd" * 4, id="beyond the last character"),
        pytest.param(b"\\ud83d", "\ufffd", id="the high half alone"),
        pytest.param(b"\\ude00", "\ufffd", id="the low half alone"),
        pytest.param(b"\\uD83D", "\ufffd", id="in capitals"),
        pytest.param(b"\\ude00\\ud83d", "\ufffd\ufffd", id="the halves swapped"),
        pytest.param(b"\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600", id="a half before a whole pair"),
        pytest.param(b"\\ud83d\\ude00\\ude00", "\U0001f600\ufffd", id="a half behind a whole pair"),
        pytest.param(b"\\ud83d \\ude00", "\ufffd \ufffd", id="the halves with a space between"),
        pytest.param(b"\\ud83d\\u0041", "\ufffdA", id="a half before another escape"),
        pytest.param(b"\\ud83d\\n", "\ufffd\n", id="a half before a line feed"),
        pytest.param(b"\\\\\\ud83d", "\\\ufffd", id="a half behind an escaped backslash"),
        pytest.param(b"\\\\ud83d", "\\ud83d", id="an escaped backslash, and no half at all"),
        pytest.param(b"\\\\ud83d\\ud83d", "\\ud83d\ufffd", id="the looks of a half, and a half"),
        pytest.param(b"\\ud83d\xff", "\ufffd\ufffd", id="a half before a broken byte"),
    ],
)
def test_a_broken_character_in_a_text_is_replaced(text: bytes, expected: str) -> None:
    event = decode_event(with_text(text))
    assert isinstance(event, OutputTextDelta)
    assert (event.sequence_number, event.delta) == (7, expected)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(b'{"a":"\xff"}', '{"a":"\ufffd"}', id="no UTF-8"),
        pytest.param(b'{"\xff":1}', '{"\ufffd":1}', id="no UTF-8 in a key"),
        pytest.param(b'{"a":"\\ud800"}', '{"a":"\\ufffd"}', id="half of a surrogate pair"),
        pytest.param(b'{"\\udc00":1}', '{"\\ufffd":1}', id="half of a surrogate pair in a key"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', '{"a":"\\ud83d\\ude00"}', id="a whole pair stays"),
        pytest.param(b'{"a":"\xff\\ud800"}', '{"a":"\ufffd\\ufffd"}', id="both ways"),
    ],
)
def test_a_broken_character_in_an_item_is_replaced_and_nothing_else(item: bytes, expected: str) -> None:
    event = decode_event(with_item(item))
    assert isinstance(event, OutputItemDone)
    assert bytes(event.item).decode() == expected


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b'"new":"\xff"', id="no UTF-8"),
        pytest.param(b'"\xff":1', id="no UTF-8 in a key"),
        pytest.param(b'"new":"\\ud800"', id="half of a surrogate pair"),
        pytest.param(b'"\\ud800":1', id="half of a surrogate pair in a key"),
    ],
)
def test_a_broken_character_where_nobody_looks_is_no_fault(field: bytes) -> None:
    assert decode_event(with_field(field)) == decode_event(DELTA)


def test_a_broken_character_in_an_event_that_is_broken_too_leaves_that_fault() -> None:
    data = changed(with_field(b'"new":"\xff"'), b'"a"', b"5")
    assert an_unknown(data) == UnknownEvent(NAME, 7, data, "Expected `str`, got `int` - at `$.delta`")


# Laws


def json_text(text: str) -> bytes:
    return json.dumps(text).encode()


WIRE_NAMES = st.sampled_from([*EVENT_TYPES, "new", "", NAME])
ANY_TEXT = st.text(st.characters(categories=["L", "N", "P", "Cs", "Cc"]), max_size=6)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(ANY_TEXT, values, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({name for kind in EVENT_TYPES.values() for name in kind.__struct_fields__})
NEARLY_EVENTS: st.SearchStrategy[Any] = st.builds(
    lambda name, fields: {"type": name, **fields}, WIRE_NAMES, st.dictionaries(st.sampled_from(FIELDS), VALUES)
)


@st.composite
def damaged_events(draw: st.DrawFn) -> bytes:
    """An event of which a stretch was replaced by other bytes."""
    data = draw(st.sampled_from([DELTA, ITEM, UNKNOWN]))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 8)))
    other = st.binary(max_size=6) | st.sampled_from([b"\\ud83d", b"\\", b'"', b"\xff", b"null", b"1e400", b"[", b"{}"])
    return data[:start] + draw(other) + data[end:]


@given(st.binary() | damaged_events())
def test_any_bytes_are_an_event(data: bytes) -> None:
    event = decode_event(data)
    assert isinstance(event, KnownEvent) or (type(event) is UnknownEvent and event.data == data)


@given(VALUES | NEARLY_EVENTS)
def test_any_json_is_an_event(value: Any) -> None:
    event = decode_event(json.dumps(value).encode())
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        assert event.wire_type == value["type"].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    else:
        assert (event.wire_type, event.sequence_number) == ("", None)


@given(NEARLY_EVENTS)
def test_an_event_that_decoded_reads_the_same_when_encoded(value: Any) -> None:
    event = decode_event(json.dumps(value).encode())
    if isinstance(event, KnownEvent):
        assert encode(decode_event(encode(event))) == encode(event)


@given(st.binary() | damaged_events() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_what_is_well_formed_stays_so(data: bytes) -> None:
    mended = well_formed(data)
    assert well_formed(mended) == mended
    assert mended.decode().encode() == mended


@given(VALUES.filter(lambda value: "\\ud" not in json.dumps(value)))
def test_valid_json_stays_as_it_is(value: Any) -> None:
    for data in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert well_formed(data) == data


@pytest.mark.parametrize("data", [DELTA, ITEM, b'"\\n"', '"\u20ac"'.encode(), b"", b"rubbish"])
def test_without_such_escapes_it_is_not_even_copied(data: bytes) -> None:
    assert well_formed(data) is data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'"\\u0041"', id="a letter"),
        pytest.param(b'"\\ud83d\\ude00"', id="a pair"),
        pytest.param(b'"\\uD800\\uDC00"', id="the first pair"),
        pytest.param(b'"\\uDBFF\\uDFFF"', id="the last pair"),
        pytest.param(b'"\\udabc\\uDdEf\\uDABC\\udDeF"', id="two pairs in mixed capitals"),
        pytest.param(b'"\\ud7ff\\ue000"', id="what stands around the pairs"),
        pytest.param(b'"\\\\ud83d"', id="an escaped backslash"),
        pytest.param(b'"\\\\\\\\ud83d"', id="two escaped backslashes"),
        pytest.param(b"\\u0041", id="an escape that is in no string"),
    ],
)
def test_escapes_that_are_whole_stay_as_they_are(data: bytes) -> None:
    assert well_formed(data) == data


@given(ANY_TEXT)
def test_each_half_of_a_pair_is_replaced_and_nothing_else(text: str) -> None:
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(well_formed(json_text(text))) == expected


def test_the_smallest_event_is_its_type() -> None:
    assert decode_event(b'{"type":"keepalive"}') == Keepalive()
    assert Raw(encode(Keepalive(sequence_number=3))) == Raw(b'{"type":"keepalive","sequence_number":3}')


def test_a_torn_escape_is_no_character_but_torn() -> None:
    where = b'"sequence_number":0,"output_index":0,"content_index":0'
    event = decode_event(b'{"type":"response.output_text.delta",%b,"delta":"\\ud8zz"}' % where)
    assert isinstance(event, UnknownEvent)
    assert event.sequence_number is None


def test_well_formed_gives_whole_escapes_back_as_they_are() -> None:
    data = b'"\\u0041\\ud83d\\ude00"'
    assert well_formed(data) is data


@pytest.mark.parametrize(
    ("value", "text"),
    [(b'"words"', "words"), (b'""', ""), (b"null", None), (b"5", None), (b"[", None), (b'"\xff"', None), (None, None)],
    ids=["a string", "an empty one", "null", "a number", "no JSON", "no UTF-8", "nothing"],
)
def test_a_text_is_read_only_from_a_json_string(value: bytes | None, text: str | None) -> None:
    assert read_text(value) == text
