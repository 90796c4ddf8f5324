"""Words in the input choose what the toy model does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.emulator.model.prompt import LONG_TOKENS, Wish, input_tokens, read_wish, user_text
from streamfold.serving import Fields
from tests.emulator.answers import SCHEMA, request


def wish(prompt: str | list[Any] | None, **more: Any) -> Wish:
    return read_wish(request({"input": prompt, **more}))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        pytest.param("What is a stream?", Wish(), id="nothing special"),
        pytest.param(None, Wish(), id="nothing at all"),
        pytest.param("7 tokens", Wish(tokens=7), id="tokens"),
        pytest.param("Write 1,500 words about it", Wish(tokens=1500), id="words"),
        pytest.param("a 20_000-token answer", Wish(tokens=20_000), id="a token answer"),
        pytest.param("0 tokens", Wish(tokens=1), id="at least one"),
        pytest.param("9" * 5000 + " tokens", Wish(tokens=10_000_000), id="not without end"),
        pytest.param("Write a LONG answer", Wish(tokens=LONG_TOKENS), id="long"),
        pytest.param("an essay on rivers", Wish(tokens=LONG_TOKENS), id="an essay"),
        pytest.param("Tell me a story.", Wish(tokens=LONG_TOKENS), id="a story"),
        pytest.param("ten thousand words", Wish(tokens=LONG_TOKENS), id="thousand"),
        pytest.param("a 3-page essay", Wish(tokens=1500), id="pages"),
        pytest.param("2 Paragraphs", Wish(tokens=160), id="paragraphs"),
        pytest.param("10000000 pages", Wish(tokens=10_000_000), id="no pages without end"),
        pytest.param("a long text on the capital of France", Wish(tokens=LONG_TOKENS), id="a long text on Paris"),
        pytest.param("Count slowly, one by one, up to 7", Wish(counts_to=7), id="count slowly"),
        pytest.param("longing for belongings", Wish(), id="words that only hold the word"),
        pytest.param("Count to 12.", Wish(counts_to=12), id="count"),
        pytest.param("count from 1 to 3", Wish(counts_to=3), id="count from one"),
        pytest.param("echo: Hello, you!", Wish(says="Hello, you!"), id="echo"),
        pytest.param("Please repeat after\nme", Wish(says="after\nme"), id="repeat"),
        pytest.param(
            "What is the capital of France?", Wish(says="The capital of France is Paris."), id="the API's example"
        ),
        pytest.param("cite your sources", Wish(has_citation=True), id="cite"),
        pytest.param("I want you to refuse", Wish(is_refused=True), id="refuse"),
        pytest.param("please fail now", Wish(is_failing=True), id="fail"),
        pytest.param("failure", Wish(), id="not fail"),
        pytest.param("an error event, please", Wish(is_failing=True, has_error_event=True), id="an error event"),
        pytest.param("what is an error?", Wish(), id="not an error event"),
        pytest.param("filter this", Wish(is_filtered=True), id="filter"),
        pytest.param("think about it", Wish(thinks=True), id="think"),
        pytest.param("think, cite, 9 words", Wish(thinks=True, has_citation=True, tokens=9), id="several"),
    ],
)
def test_words_choose(prompt: str | None, expected: Wish) -> None:
    assert wish(prompt) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"reasoning": {"effort": "low"}}, Wish(thinks=True), id="effort"),
        pytest.param({"reasoning": {"summary": "auto"}}, Wish(thinks=True), id="summary"),
        pytest.param({"reasoning": {"effort": "none"}}, Wish(), id="no effort"),
        pytest.param({"reasoning": {"effort": None}}, Wish(), id="effort not given"),
        pytest.param({"reasoning": {}}, Wish(), id="nothing of reasoning"),
        pytest.param({"text": {"format": {"type": "text"}}}, Wish(), id="text"),
        pytest.param({"text": {"verbosity": "low"}}, Wish(), id="no format"),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
            Wish(schema=SCHEMA),
            id="a schema",
        ),
    ],
)
def test_fields_choose(fields: Fields, expected: Wish) -> None:
    assert wish("hi", **fields) == expected


def test_a_json_object_has_a_schema_of_the_models_own() -> None:
    schema = wish("hi", text={"format": {"type": "json_object"}}).schema
    assert schema is not None
    assert schema["type"] == "object"


# Which text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("hi", "hi", id="a text"),
        pytest.param([], "", id="no items"),
        pytest.param([{"role": "user", "content": "hi"}], "hi", id="a message"),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image"}]}],
            "a",
            id="parts",
        ),
        pytest.param([{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "1", id="the user's"),
        pytest.param([{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "2", id="the last"),
        pytest.param([{"role": "system", "content": "fail"}], "", id="no user"),
    ],
)
def test_the_text_is_the_last_of_the_user(given: str | list[Any], expected: str) -> None:
    assert user_text(given) == expected


# How many tokens


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        pytest.param({}, 8, id="nothing"),
        pytest.param({"input": "one two"}, 10, id="a text"),
        pytest.param({"input": "one two", "instructions": "be short"}, 12, id="instructions"),
        pytest.param({"input": [{"role": "user", "content": "one"}, {"output": "two three"}]}, 11, id="items"),
    ],
)
def test_input_tokens_count_what_is_given(body: Fields, tokens: int) -> None:
    assert input_tokens(request(body)) == tokens


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(wish(text.encode(errors="replace").decode()), Wish)
