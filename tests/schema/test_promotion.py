"""Promotion: which creates are sent in the background, what their readers see, and that no other byte changes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamfold.schema.dialect import DIALECTS, MKA1, OPEN_RESPONSES, OPENAI
from streamfold.schema.promotion import (
    MAX_FIELDS,
    Promoted,
    PromoteMode,
    demote_event,
    demote_response,
    promote_create,
)
from tests.conftest import Recording, for_every, on_sampled_recordings

BOTH = Promoted.BACKGROUND_AND_STORE
KEEPS_UNSTORED = replace(OPENAI, background_needs_store=False)


def promoted(body: bytes, mode: PromoteMode = "always") -> bytes | None:
    promotion = promote_create(body, mode, OPENAI)
    return promotion and promotion.body


# Which creates are promoted

CREATES: list[tuple[bytes, PromoteMode, bytes | None]] = [
    (b'{"stream":true}', "never", None),
    (b'{"stream":true}', "if-stored", b'{"background":true,"stream":true}'),
    (b'{"stream":true}', "always", b'{"background":true,"stream":true}'),
    (b'{"stream":true,"store":true}', "if-stored", b'{"background":true,"stream":true,"store":true}'),
    (b'{"stream":true,"store":null}', "if-stored", b'{"background":true,"stream":true,"store":null}'),
    (b'{"stream":true,"store":false}', "if-stored", None),
    (b'{"stream":true,"store":false}', "always", b'{"background":true,"stream":true,"store":true}'),
    (
        b'{"store": false, "stream":true, "background":false}',
        "always",
        b'{"store": true, "stream":true, "background":true}',
    ),
    (b'{"stream":true,"background":false}', "if-stored", b'{"stream":true,"background":true}'),
    (b'{"stream":true,"background" : null }', "if-stored", b'{"stream":true,"background" : true }'),
    (b'{"stream":true,"background":true}', "always", None),
    (b'{"stream":false}', "always", None),
    (b'{"stream":null}', "always", None),
    (b'{"model":"gpt"}', "always", None),
    (b"{}", "always", None),
]


@for_every("body,mode,expected", CREATES)
def test_a_create_that_streams_in_the_foreground_is_promoted(
    body: bytes, mode: PromoteMode, expected: bytes | None
) -> None:
    assert promoted(body, mode) == expected


@for_every(
    "body",
    [
        b'{"stream":"yes"}',
        b'{"stream":1}',
        b'{"stream":true,"background":"no"}',
        b'{"stream":true,"background":0}',
        b'{"stream":true,"store":"no"}',
        b'{"stream":true,"store":0}',
        b'{"stream":true,"webhook_url":"https://example.com"}',
        b'{"stream":true,"stream_events":true}',
        b'{"stream":true,"background_options":{}}',
    ],
)
def test_what_the_upstream_refuses_is_sent_as_it_is(body: bytes) -> None:
    assert promoted(body) is None


@for_every(
    "body",
    [
        b"",
        b"stream",
        b"[true]",
        b'"stream"',
        b'{"stream":true',
        b'{"stream":true}}',
        b'{"stream":True}',
        b"{'stream':true}",
        b'\xef\xbb\xbf{"stream":true}',
        b'{"stream":true,"\xff":1}',
        b'{"stream":true}'.decode().encode("utf-16"),
        b'{"stream":true,"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_a_json_object_is_sent_as_it_is(body: bytes) -> None:
    assert promoted(body) is None


@for_every(
    "body",
    [
        b'{"stream":true,"stream":true}',
        b'{"stream":false,"stream":true}',
        b'{"background":true,"stream":true,"background":false}',
        b'{"background":false,"stream":true,"b\\u0061ckground":false}',
        b'{"stream":true,"a":1,"a":12}',
        b'{"stream":true,"a":12,"a":1}',
        b'{"a":"\\",\\"b\\":1","stream":true,"a":1}',
    ],
)
def test_a_create_with_a_key_twice_is_sent_as_it_is(body: bytes) -> None:
    assert promoted(body) is None


@for_every(
    "body,expected",
    [
        (b'{"str\\u0065am":true}', b'{"background":true,"str\\u0065am":true}'),
        (b'{"\\u0062ackground":false,"stream":true}', b'{"\\u0062ackground":true,"stream":true}'),
        (b'\r\n\t {\n  "stream" :\ttrue\n}\n', b'\r\n\t {"background":true,\n  "stream" :\ttrue\n}\n'),
        (b'{"x":{"background":true},"stream":true}', b'{"background":true,"x":{"background":true},"stream":true}'),
        (b'{"x":"\\"background\\":1","stream":true}', b'{"background":true,"x":"\\"background\\":1","stream":true}'),
        (b'{"a\\"}":1.50,"stream":true}', b'{"background":true,"a\\"}":1.50,"stream":true}'),
        (b'{"Background":1,"stream":true}', b'{"background":true,"Background":1,"stream":true}'),
        (b'{"input":"\xff\xc3\xa9\\ud83d","stream":true}', None),
        (
            b'{"input":"\xc3\xa9\\ud83d\\ude00","stream":true}',
            b'{"background":true,"input":"\xc3\xa9\\ud83d\\ude00","stream":true}',
        ),
    ],
)
def test_only_the_field_is_edited(body: bytes, expected: bytes | None) -> None:
    assert promoted(body) == expected


def test_a_create_of_too_many_fields_is_sent_as_it_is() -> None:
    names = [f'"n{number}":0' for number in range(MAX_FIELDS)]
    assert promoted(b'{"stream":true,%s}' % ",".join(names[1:]).encode()) is not None
    assert promoted(b'{"stream":true,%s}' % ",".join(names).encode()) is None


def test_a_dialect_that_cannot_retrieve_a_response_promotes_nothing() -> None:
    assert promote_create(b'{"stream":true}', "always", OPEN_RESPONSES) is None


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OPENAI, b'{"background":true,"stream":true,"store":true}'),
        (MKA1, b'{"background":true,"stream":true,"store":true}'),
        (KEEPS_UNSTORED, b'{"background":true,"stream":true,"store":false}'),
    ],
)
def test_a_response_is_stored_only_where_the_background_needs_it(dialect: Any, body: bytes) -> None:
    promotion = promote_create(b'{"stream":true,"store":false}', "always", dialect)
    assert promotion is not None
    assert (promotion.body, promotion.promoted is BOTH) == (body, dialect is not KEEPS_UNSTORED)


# What the reader sees


@for_every(
    "raw,expected",
    [
        (b'{"id":"r","background":true,"store":true}', b'{"id":"r","background":false,"store":false}'),
        (b'{ "background" : true }', b'{ "background" : false }'),
        (b'{"b\\u0061ckground":true}', b'{"b\\u0061ckground":false}'),
        (b'{"background":null}', b'{"background":null}'),
        (b'{"background":"true"}', b'{"background":"true"}'),
        (b'{"id":"r"}', b'{"id":"r"}'),
        (b'{"output":[{"background":true}]}', b'{"output":[{"background":true}]}'),
        (b'{"background":true,"background":true}', b'{"background":true,"background":true}'),
        (b'{"background":true', b'{"background":true'),
        (b"null", b"null"),
    ],
)
def test_a_response_is_shown_as_it_was_asked_for(raw: bytes, expected: bytes) -> None:
    assert demote_response(raw, BOTH) == expected


def test_store_is_shown_as_it_is_unless_it_was_changed() -> None:
    raw = b'{"store":true,"background":true}'
    assert demote_response(raw, Promoted.BACKGROUND) == b'{"store":true,"background":false}'


@for_every(
    "data,expected",
    [
        (
            b'{"type":"response.created","response":{"background":true}}',
            b'{"type":"response.created","response":{"background":false}}',
        ),
        (b'{"response" : { "background":true } , "n":1}', b'{"response" : { "background":false } , "n":1}'),
        (b'{"background":true,"response":{}}', b'{"background":true,"response":{}}'),
        (b'{"item":{"response":{"background":true}}}', b'{"item":{"response":{"background":true}}}'),
        (
            b'{"type":"response.output_text.delta","delta":"response"}',
            b'{"type":"response.output_text.delta","delta":"response"}',
        ),
        (b'{"delta":"\\"response\\":{\\"background\\":true}"}', b'{"delta":"\\"response\\":{\\"background\\":true}"}'),
        (b'{"response":[{"background":true}]}', b'{"response":[{"background":true}]}'),
        (b'{"response":{"background":true}', b'{"response":{"background":true}'),
        (b"[DONE]", b"[DONE]"),
        (b"", b""),
    ],
)
def test_an_event_shows_its_response_as_it_was_asked_for(data: bytes, expected: bytes) -> None:
    assert demote_event(data, BOTH) == expected


@on_sampled_recordings
def test_the_events_of_a_recorded_stream_are_shown_in_the_foreground(recording: Recording) -> None:
    for line in recording.data.splitlines():
        data = line.removeprefix(b"data:").strip()
        expected = re.sub(rb'("background": ?)true', rb"\1false", data)
        assert demote_event(data, Promoted.BACKGROUND) == expected


# Laws, over JSON written in any way

BLANK = st.text(" \t\r\n", max_size=2)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
FIELD = st.sampled_from(["background", "store", "stream", "response"])
NAME = st.sampled_from(["input", "output", "Background"]) | st.text(max_size=4)
VALUE = st.recursive(
    SCALAR,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(FIELD | NAME, inside, max_size=3),
    max_leaves=8,
)
LITERAL = st.sampled_from([True, False, None])
CREATE = st.fixed_dictionaries({}, optional={"background": LITERAL, "store": LITERAL})
RESPONSE = st.fixed_dictionaries({}, optional={"background": SCALAR, "store": SCALAR})


class Mark(str):
    """The name of a field. Its value is written as a character that JSON escapes, so that nothing else looks like it."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"\0{super().__str__()}\0"


@dataclass(frozen=True)
class Written:
    """An object as a client or a server might write it, with marks in place of the fields that may be edited."""

    fields: dict[str, Any]
    template: str

    def with_values(self, **values: Any) -> bytes:
        text = self.template
        for name, value in (self.fields | values).items():
            text = text.replace(str(Mark(name)), json.dumps(value))
        return text.encode()

    def with_first(self, field: str) -> "Written":
        """With a field that it does not have, right after the brace."""
        return Written(self.fields, self.template.replace("{", "{" + field + ",", 1))


def write(value: Any, blank: Callable[[], str], is_escaped: Callable[[], bool]) -> str:
    """JSON with blanks and escaped letters, where `blank` and `is_escaped` say so."""

    def text(raw: str) -> str:
        letters = (f"\\u{ord(c):04x}" if c in "background" and is_escaped() else json.dumps(c)[1:-1] for c in raw)
        return f'"{"".join(letters)}"'

    def padded(inside: Any) -> str:
        return blank() + write(inside, blank, is_escaped) + blank()

    match value:
        case Mark():
            return str(value)
        case dict():
            pairs = (f"{blank()}{text(key)}{blank()}:{padded(each)}" for key, each in value.items())
            return "{" + (",".join(pairs) or blank()) + "}"
        case list():
            return "[" + ",".join(map(padded, value)) + "]"
        case str():
            return text(value)
        case _:
            return json.dumps(value)


@st.composite
def written(
    draw: st.DrawFn, values: st.SearchStrategy[dict[str, Any]], *, around: Callable[[Any], Any] = lambda fields: fields
) -> Written:
    """These fields among others, in any order."""
    fields = draw(values)
    others = draw(st.dictionaries(NAME, VALUE, max_size=3))
    every = draw(st.permutations([*others.items(), *((name, Mark(name)) for name in fields)]))
    padding = draw(st.lists(BLANK, min_size=1, max_size=5))
    escaping = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    pads, escapes = cycle(padding), cycle(escaping)
    text = write(around(dict(every)), lambda: next(pads), lambda: next(escapes))
    return Written(fields, f"{padding[0]}{text}{padding[-1]}")


WRITTEN_CREATE = written(CREATE.map(lambda fields: {**fields, "stream": True}))
DIALECT = st.sampled_from([OPENAI, KEEPS_UNSTORED])


@given(WRITTEN_CREATE, DIALECT)
def test_a_create_differs_from_its_promotion_in_no_byte_but_the_fields(create: Written, dialect: Any) -> None:
    body = create.with_values()
    promotion = promote_create(body, "always", dialect)
    if create.fields.get("background"):
        assert promotion is None
        return
    is_stored = create.fields.get("store") is not False
    expected = create if "background" in create.fields else create.with_first('"background":true')
    values = {} if is_stored or dialect is KEEPS_UNSTORED else {"store": True}
    assert promotion is not None
    assert promotion.body == expected.with_values(background=True, **values)
    assert (promotion.promoted is BOTH) == bool(values)


@given(WRITTEN_CREATE, DIALECT)
def test_a_promoted_create_decodes_to_the_same_but_for_the_fields(create: Written, dialect: Any) -> None:
    body = create.with_values()
    if promotion := promote_create(body, "if-stored", dialect):
        assert json.loads(promotion.body) == json.loads(body) | {"background": True}


@given(WRITTEN_CREATE, st.sampled_from(["if-stored", "always"]), DIALECT)
def test_a_promoted_create_is_not_promoted_again(create: Written, mode: PromoteMode, dialect: Any) -> None:
    promotion = promote_create(create.with_values(), mode, dialect)
    assert promotion is None or promote_create(promotion.body, mode, dialect) is None


@given(st.binary(max_size=40) | WRITTEN_CREATE.map(Written.with_values), st.sampled_from(sorted(DIALECTS)))
def test_always_promotes_what_if_stored_promotes_in_the_same_way(body: bytes, name: str) -> None:
    stored, always = (promote_create(body, mode, DIALECTS[name]) for mode in ("if-stored", "always"))
    assert stored is None or stored == always


def shown(response: Written, promoted: Promoted) -> bytes:
    changed = {name for name in promoted.split(",") if response.fields.get(name) is True}
    return response.with_values(**dict.fromkeys(changed, False))


@given(written(RESPONSE), st.sampled_from(Promoted))
def test_a_response_differs_from_what_is_shown_in_no_byte_but_the_fields(response: Written, promoted: Promoted) -> None:
    assert demote_response(response.with_values(), promoted) == shown(response, promoted)


@given(
    written(RESPONSE, around=lambda fields: {"n": 1, "response": fields, "background": True}), st.sampled_from(Promoted)
)
def test_an_event_differs_from_what_is_shown_in_no_byte_but_the_fields(event: Written, promoted: Promoted) -> None:
    data = event.with_values()
    is_found = b'"response"' in data  # an escaped key is not looked for
    assert demote_event(data, promoted) == (shown(event, promoted) if is_found else data)


@given(written(RESPONSE, around=lambda fields: {"response": fields}), st.sampled_from(Promoted))
def test_what_is_shown_is_shown_as_it_is(event: Written, promoted: Promoted) -> None:
    once = demote_event(event.with_values(), promoted)
    assert demote_event(once, promoted) is once


@given(st.binary(max_size=60))
def test_bytes_that_are_not_an_event_are_shown_as_they_are(data: bytes) -> None:
    assert demote_event(data, BOTH) is data
