"""What the toy model says is words, the same for the same seed, and whatever it is asked for fits the schema."""

import re
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.emulator.model.textgen import counting, example, identifier, sentences, tokens_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=10), inside, max_size=3),
    max_leaves=10,
)
WORDS_OF_SCHEMAS = ["type", "properties", "items", "enum", "anyOf", "oneOf", "const", "minimum"]


def said(seed: int, tokens: int) -> str:
    return "".join(islice(sentences(Random(seed)), tokens))


def test_the_same_seed_says_the_same() -> None:
    assert said(1, 300) == said(1, 300) != said(2, 300)


def test_sentences_begin_with_a_capital_and_end_with_a_full_stop() -> None:
    text = said(4, 2000).rpartition(".")[0]
    assert text.count("\n\n") > 10
    for sentence in re.split(r"\.\s+", text):
        assert sentence[0].upper() == sentence[0]
        assert "  " not in sentence


def test_the_words_hold_what_json_escapes_and_what_utf_8_spells_in_bytes() -> None:
    text = said(3, 5000)
    for rare in ('"', "\\", "\n", "ü", "東", "🌍", "П"):
        assert rare in text


@given(st.text())
def test_tokens_joined_give_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


def test_a_token_is_a_word_or_a_mark_with_the_space_before_it() -> None:
    assert tokens_of("Paris is big, no? ") == ["Paris", " is", " big", ",", " no", "?", " "]


@pytest.mark.parametrize(("last", "expected"), [(1, ["1"]), (3, ["1, ", "2, ", "3"])])
def test_counting(last: int, expected: list[str]) -> None:
    assert list(counting(last)) == expected


def test_an_id_has_a_prefix_and_48_digits() -> None:
    random = Random(1)
    first, second = identifier(random, "msg"), identifier(random, "msg")
    assert re.fullmatch(r"msg_[0-9a-f]{48}", first)
    assert first != second


# Values that fit a schema


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        pytest.param({"type": "string"}, str, id="text"),
        pytest.param({"type": "integer"}, int, id="a whole number"),
        pytest.param({"type": "number"}, int, id="a number"),
        pytest.param({"type": "boolean"}, bool, id="a boolean"),
        pytest.param({"type": ["string", "null"]}, str, id="the first of several types"),
        pytest.param({"anyOf": [{"type": "string"}, {"type": "null"}]}, str, id="any of"),
        pytest.param({"oneOf": [{"type": "boolean"}]}, bool, id="one of"),
        pytest.param({"type": "array", "items": {"type": "string"}}, list, id="a list"),
        pytest.param({"type": "object"}, dict, id="an object"),
        pytest.param({"properties": {"a": {}}}, dict, id="an object that does not say so"),
    ],
)
def test_a_value_fits_its_schema(schema: Any, kind: type) -> None:
    assert type(example(schema, Random(1))) is kind


def test_an_object_has_all_its_properties() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"enum": ["x", "y"]}}, "b": {"const": 5}},
    }
    assert example(schema, Random(1)) == {"a": ["x"], "b": 5}


@pytest.mark.parametrize("low", [7, 6.5])
def test_a_number_is_not_below_its_minimum(low: float) -> None:
    assert all(example({"type": "integer", "minimum": low}, Random(seed)) >= low for seed in range(50))


@pytest.mark.parametrize(
    "schema", [None, 5, "string", [], {}, {"type": "null"}, {"type": []}, {"type": 5}, {"enum": []}, {"anyOf": 5}]
)
def test_what_says_nothing_is_null(schema: Any) -> None:
    assert example(schema, Random(1)) is None


def test_a_schema_without_end_has_an_example_that_ends() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    assert str(example(schema, Random(1))).count("[") == 7


@pytest.mark.parametrize("schema", [{"type": "object", "properties": 5}, {"type": "integer", "minimum": "a"}])
def test_what_is_no_schema_is_borne(schema: Any) -> None:
    assert example(schema, Random(1)) is not None


@given(JSON, st.sampled_from(WORDS_OF_SCHEMAS))
def test_no_schema_makes_it_raise(value: Any, name: str) -> None:
    for schema in (value, {name: value}, {"type": "object", name: value}, {"type": "integer", name: value}):
        example(schema, Random(1))
