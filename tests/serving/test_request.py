"""A body or a query is read whole, in the forms of both SDKs, or refused with the field or parameter named."""

from typing import Any

import pytest
from msgspec.json import encode

from streamfold.schema.dialect import MKA1, OPEN_RESPONSES, OPENAI, Dialect
from streamfold.serving import (
    CreateRequest,
    Fields,
    PageQuery,
    Problem,
    RetrieveQuery,
    is_list,
    is_obfuscated,
    is_object,
    read_batch_create,
    read_compaction,
    read_create,
    read_metadata_update,
    read_page_query,
    read_retrieve_query,
    read_token_count,
    value_marks,
)
from tests.emulator.answers import DIALECTS, request


def read(fields: Fields, dialect: Dialect = MKA1) -> CreateRequest | Problem:
    return read_create(encode({"model": "toy-1", **fields}), dialect)


def refused(fields: Fields, dialect: Dialect = MKA1) -> Problem:
    problem = read(fields, dialect)
    assert isinstance(problem, Problem), problem
    return problem


# What is taken


@pytest.mark.parametrize("dialect", [*DIALECTS, pytest.param(OPEN_RESPONSES, id="open responses")])
def test_a_model_alone_is_a_request_with_the_defaults(dialect: Dialect) -> None:
    assert read({}, dialect) == CreateRequest(fields={"model": "toy-1"}, model="toy-1")


def test_what_the_body_says_is_in_the_request() -> None:
    body: Fields = {
        "input": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "background": True,
        "stream_events": True,
        "webhook_url": "https://example.com/hook",
        "webhook_secret": "s" * 16,
        "previous_response_id": "resp_1",
        "max_output_tokens": 7,
    }
    given: dict[str, Any] = body | {"include_obfuscation": False}
    del given["stream_options"]
    assert read(body) == CreateRequest(fields={"model": "toy-1", **body}, model="toy-1", **given)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unknown_fields_pass_and_are_kept(dialect: Dialect) -> None:
    request = read({"x_own": {"a": [1]}}, dialect)
    assert isinstance(request, CreateRequest)
    assert request.fields["x_own"] == {"a": [1]}


def test_null_is_the_same_as_not_given() -> None:
    request = read({"temperature": None, "store": None, "stream_options": None, "webhook_url": None})
    assert isinstance(request, CreateRequest)
    assert (request.store, request.webhook_url, request.include_obfuscation) == (True, None, None)


def test_neither_a_secret_nor_the_input_is_shown() -> None:
    body = {"background": True, "webhook_url": "https://example.com", "webhook_secret": "do-not-show-this"}
    assert "do-not-show-this" not in repr(read(body | {"input": "nor this do-not-show-this"}))


# What is refused


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "not valid JSON", id="nothing"),
        pytest.param(b"{", "not valid JSON", id="torn"),
        pytest.param(b"\xff", "not valid JSON", id="no UTF-8"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="too deep"),
        pytest.param(b"[]", "a JSON object", id="a list"),
        pytest.param(b'"model"', "a JSON object", id="a text"),
        pytest.param(b"null", "a JSON object", id="null"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, said: str) -> None:
    for problem in (read_create(body, MKA1), read_batch_create(body, MKA1), read_metadata_update(body, MKA1)):
        assert isinstance(problem, Problem)
        assert (problem.status, problem.param, problem.code) == (400, None, "invalid_json")
        assert said in problem.message


@pytest.mark.parametrize("fields", [{}, {"model": None}])
def test_a_model_is_required(fields: Fields) -> None:
    problem = read_create(encode(fields), MKA1)
    assert problem == Problem(400, "model is required.", "model", "missing_required_parameter")


def test_a_problem_names_the_field_and_the_range() -> None:
    problem = Problem(400, "temperature must be a number from 0 to 2, got 2.5.", "temperature", "invalid_value")
    assert refused({"temperature": 2.5}) == problem
    assert problem.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"stream_options": {"include_usage": True}}, "stream_options", id="stream options, no stream"),
        pytest.param({"stream_events": True}, "stream_events", id="stream events in the foreground"),
        pytest.param({"webhook_url": "https://example.com"}, "webhook_url", id="a webhook in the foreground"),
        pytest.param({"webhook_secret": "s" * 16}, "webhook_secret", id="a secret without a webhook"),
        pytest.param(
            {"webhook_secret": "s" * 16, "background": True}, "webhook_secret", id="a secret without a webhook, behind"
        ),
        pytest.param({"background": True, "store": False}, "store", id="in the background and not stored"),
    ],
)
def test_fields_of_mka1_that_do_not_go_together_are_refused(fields: Fields, param: str) -> None:
    assert refused(fields).param == param


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_in_the_background_must_be_stored(dialect: Dialect) -> None:
    found = read({"background": True, "store": False}, dialect)
    assert isinstance(found, Problem)
    assert (found.status, found.param) == (400, "store")


@pytest.mark.parametrize("window", ["2h", "8h"])
def test_openais_long_windows_cannot_be_streamed(window: str) -> None:
    fields: Fields = {"background": True, "background_options": {"completion_window": window}}
    assert isinstance(read(fields, OPENAI), CreateRequest)
    assert refused(fields | {"stream": True}, OPENAI).param == "background_options.completion_window"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("webhook_url", 5, "must be a string"),
        ("webhook_secret", [], "must be a string"),
        ("stream_events", 5, "must be true or false"),
    ],
)
def test_what_only_mka1_has_is_read_on_openai_too_and_must_have_its_type(name: str, value: Any, expected: str) -> None:
    found = read({name: value}, OPENAI)
    assert isinstance(found, Problem)
    assert (found.param, found.message) == (name, f"{name} {expected}.")
    assert isinstance(read({"webhook_url": "of any kind", "stream_events": True}, OPENAI), CreateRequest)


def test_a_model_may_be_missing_beside_a_prompt() -> None:
    found = read_create(b'{"prompt":{"id":"pmpt_1"}}', OPENAI)
    assert isinstance(found, CreateRequest)
    assert found.model == "toy"
    assert isinstance(read_create(b'{"input":"hi"}', OPENAI), Problem)


# What a small body could cost


@pytest.mark.parametrize(
    "read_it", [read_create, read_batch_create, read_metadata_update, read_compaction, read_token_count]
)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"x":' + b"[" * 101 + b"]" * 101 + b"}", 400, id="too deep"),
        pytest.param(b'{"x":' * 101 + b"1" + b"}" * 101, 400, id="objects too deep"),
        pytest.param(b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, id="deeper than any stack"),
        pytest.param(b'{"x":[' + b"[]," * 500_000 + b"[]]}", 413, id="too many values"),
        pytest.param(b"{", 400, id="no JSON"),
    ],
)
def test_a_body_that_costs_too_much_is_refused(read_it: Any, body: bytes, status: int) -> None:
    found = read_it(body, OPENAI)
    assert isinstance(found, Problem)
    assert found.status == status


def test_a_body_of_many_brackets_that_is_not_deep_is_read() -> None:
    body = b'{"model":"m","x":[' + b"[]," * 200 + b"{}]}"
    assert isinstance(read_create(body, OPENAI), CreateRequest)
    deep = b'{"model":"m","x":' + b"[" * 99 + b"]" * 99 + b"}"
    assert isinstance(read_create(deep, OPENAI), CreateRequest)


def test_marks_are_at_least_as_many_as_values() -> None:
    assert value_marks(b'{"a":[1,2,{}]}') >= 4


# Compaction and counting


def test_a_compaction_is_a_create_of_the_same_input() -> None:
    found = read_compaction(b'{"model":"m","input":"hi","instructions":null,"prompt_cache_key":5}', OPENAI)
    assert isinstance(found, CreateRequest)
    assert (found.model, found.input, found.previous_response_id) == ("m", "hi", None)


def test_a_compaction_needs_a_model_and_a_valid_input() -> None:
    for body, param in ((b'{"input":"hi"}', "model"), (b'{"model":"m","input":5}', "input")):
        found = read_compaction(body, OPENAI)
        assert isinstance(found, Problem)
        assert found.param == param


def test_tokens_are_counted_without_a_model() -> None:
    found = read_token_count(b'{"input":"hi","stream":true}', OPENAI)
    assert isinstance(found, CreateRequest)
    assert (found.input, found.stream) == ("hi", False)


# Every documented range, at its ends and just beyond; the rules themselves are tested where they stand, in the schema


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "low", "high", "step"),
    [
        ("temperature", 0, 2, 0.01),
        ("top_p", 0, 1, 0.01),
        ("top_logprobs", 0, 20, 1),
        ("presence_penalty", -2, 2, 0.01),
        ("frequency_penalty", -2, 2, 0.01),
        ("max_output_tokens", 1, 2**53 - 1, 1),
    ],
)
def test_a_range_holds_at_its_ends_and_not_beyond(
    name: str, low: int, high: int, step: float, dialect: Dialect
) -> None:
    for within in (low, high):
        assert isinstance(read({name: within}, dialect), CreateRequest)
    for beyond in (low - step, high + step):
        assert refused({name: beyond}, dialect).param == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"max_tool_calls": 0}, "max_tool_calls", id="no tool calls"),
        pytest.param({"max_tool_calls": 301}, "max_tool_calls", id="too many tool calls"),
        pytest.param({"model": 5}, "model", id="a model as number"),
        pytest.param({"input": 5}, "input", id="input as number"),
        pytest.param({"input": ["hi"]}, "input[0]", id="an item as text"),
        pytest.param({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type", id="a tool that MKA1 refuses"),
        pytest.param({"tools": [{"type": "function"}]}, "tools[0].name", id="a function without a name"),
        pytest.param({"include": ["all"]}, "include[0]", id="include"),
        pytest.param({"reasoning": {"effort": "huge"}}, "reasoning.effort", id="an effort"),
        pytest.param({"context_management": []}, "context_management", id="no context management"),
        pytest.param({"metadata": {str(n): "" for n in range(17)}}, "metadata", id="17 pairs"),
        pytest.param({"metadata": {"k": "v" * 513}}, "metadata.k", id="a long value"),
        pytest.param({"webhook_secret": "s" * 15}, "webhook_secret", id="a short secret"),
        pytest.param({"webhook_secret": "s" * 257}, "webhook_secret", id="a long secret"),
        pytest.param({"fallback_models": ["auto"]}, "fallback_models[0]", id="auto as a fallback"),
        pytest.param({"audio": {"voice": "echo"}}, "audio.voice", id="a voice"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(fields: Fields, param: str) -> None:
    assert refused(fields).param == param


def test_what_is_missing_inside_a_field_says_so_too() -> None:
    problem = refused({"tools": [{}]})
    assert (problem.param, problem.code) == ("tools[0].type", "missing_required_parameter")


# Batches

BATCH: Fields = {"input_file_id": "file_1", "endpoint": "/v1/responses"}


def test_a_batch_is_read_with_its_defaults() -> None:
    known: Fields = BATCH | {"completion_window": "24h", "metadata": None}
    assert read_batch_create(encode(BATCH), MKA1) == known | {"max_concurrency": 10}
    assert read_batch_create(encode(BATCH), OPENAI) == known


def test_a_batch_keeps_what_it_was_given() -> None:
    given: Fields = BATCH | {"completion_window": "24h", "metadata": {"a": "b"}, "max_concurrency": 3, "x": 1}
    known = {name: value for name, value in given.items() if name != "x"}
    assert read_batch_create(encode(given), MKA1) == known


@pytest.mark.parametrize("name", ["input_file_id", "endpoint"])
def test_a_batch_needs_its_file_and_its_endpoint(name: str) -> None:
    problem = read_batch_create(encode(BATCH | {name: None}), MKA1)
    assert problem == Problem(400, f"{name} is required.", name, "missing_required_parameter")


def test_a_batch_is_refused_with_the_field_named() -> None:
    problem = read_batch_create(encode(BATCH | {"endpoint": "/v1/nothing"}), OPENAI)
    assert isinstance(problem, Problem)
    assert problem.param == "endpoint"


# Updates


def test_an_update_gives_the_metadata() -> None:
    assert read_metadata_update(b'{"metadata":{"a":"b"}}', MKA1) == {"a": "b"}


@pytest.mark.parametrize("body", [b"{}", b'{"metadata":null}', b'{"metadata":{"a":1}}'])
def test_an_update_needs_good_metadata(body: bytes) -> None:
    problem = read_metadata_update(body, MKA1)
    assert isinstance(problem, Problem)
    assert problem.param in {"metadata", "metadata.a"}


# Padding and JSON


@pytest.mark.parametrize(
    ("body", "asked", "dialect", "expected"),
    [
        pytest.param({}, None, OPENAI, True, id="openai's default"),
        pytest.param({"background": True}, None, OPENAI, False, id="openai's background streams have none"),
        pytest.param({}, None, MKA1, False, id="mka1's default"),
        pytest.param({}, False, OPENAI, False, id="asked off"),
        pytest.param({}, True, MKA1, True, id="asked on"),
        pytest.param(
            {"stream": True, "stream_options": {"include_obfuscation": False}}, None, OPENAI, False, id="created off"
        ),
    ],
)
def test_who_asks_for_obfuscation(body: Fields, asked: bool | None, dialect: Dialect, expected: bool) -> None:
    assert is_obfuscated(request(body, dialect), asked, dialect) is expected


@pytest.mark.parametrize(("value", "answers"), [({}, (True, False)), ([], (False, True)), ("", (False, False))])
def test_a_decoded_value_is_an_object_a_list_or_neither(value: object, answers: tuple[bool, bool]) -> None:
    assert (is_object(value), is_list(value)) == answers


# Queries

A, B = "file_search_call.results", "message.output_text.logprobs"
MAX_SAFE = 2**53 - 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_asks_for_a_snapshot(dialect: Dialect) -> None:
    assert read_retrieve_query(b"", dialect) == RetrieveQuery()


def test_what_the_mka1_sdk_sends_is_read() -> None:
    query = f"include={A}&include={B}&include_obfuscation=false&starting_after=42&stream=false".encode()
    expected = RetrieveQuery(include=(A, B), include_obfuscation=False, starting_after=42, stream=False)
    assert read_retrieve_query(query, MKA1) == expected


def test_what_the_openai_sdk_sends_is_read() -> None:
    query = f"include%5B%5D={A}&include%5B%5D={B}&starting_after=5&stream=true".encode()
    assert read_retrieve_query(query, OPENAI) == RetrieveQuery(include=(A, B), starting_after=5, stream=True)


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_booleans(text: str, expected: bool) -> None:
    assert read_retrieve_query(f"stream={text}".encode(), MKA1) == RetrieveQuery(stream=expected)


def test_obfuscation_may_be_asked_for() -> None:
    assert read_retrieve_query(b"include_obfuscation=true", MKA1) == RetrieveQuery(include_obfuscation=True)


def test_unknown_parameters_are_passed_over() -> None:
    assert read_retrieve_query(b"colour=red&stream=true", MKA1) == RetrieveQuery(stream=True)


@pytest.mark.parametrize(
    ("dialect", "text", "cursor"),
    [
        pytest.param(MKA1, "0", 0, id="the first"),
        pytest.param(MKA1, "-1", -1, id="below the first"),
        pytest.param(MKA1, str(-MAX_SAFE), -MAX_SAFE, id="mka1's lowest"),
        pytest.param(MKA1, str(MAX_SAFE), MAX_SAFE, id="the highest"),
        pytest.param(OPENAI, "0", 0, id="openai's lowest"),
        pytest.param(OPENAI, "", None, id="none"),
    ],
)
def test_cursors(dialect: Dialect, text: str, cursor: int | None) -> None:
    read = read_retrieve_query(f"starting_after={text}".encode(), dialect)
    assert read == RetrieveQuery(starting_after=cursor)


@pytest.mark.parametrize(
    ("dialect", "query", "param"),
    [
        pytest.param(MKA1, "starting_after=x", "starting_after", id="a cursor as text"),
        pytest.param(MKA1, "starting_after=1.5", "starting_after", id="half a cursor"),
        pytest.param(MKA1, "starting_after=--1", "starting_after", id="two signs"),
        pytest.param(MKA1, "starting_after=%D9%A3", "starting_after", id="an Arabic digit"),
        pytest.param(MKA1, f"starting_after={MAX_SAFE + 1}", "starting_after", id="too high"),
        pytest.param(MKA1, f"starting_after={-MAX_SAFE - 1}", "starting_after", id="too low"),
        pytest.param(MKA1, "starting_after=" + "9" * 5000, "starting_after", id="far too high"),
        pytest.param(OPENAI, "starting_after=-1", "starting_after", id="below openai's first"),
        pytest.param(MKA1, "stream=yes", "stream", id="a boolean"),
        pytest.param(MKA1, "include_obfuscation=2", "include_obfuscation", id="another boolean"),
        pytest.param(MKA1, "include=x", "include[0]", id="include"),
        pytest.param(MKA1, f"include[]={A}&include=x", "include[1]", id="the other include"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(dialect: Dialect, query: str, param: str) -> None:
    problem = read_retrieve_query(query.encode(), dialect)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.param) == (400, param)


# Pages


def test_a_page_has_twenty_newest_first() -> None:
    assert read_page_query(b"", MKA1) == PageQuery(after=None, before=None, limit=20, order="desc")


def test_a_page_is_read() -> None:
    query = f"after=resp_1&before=resp_2&limit=100&order=asc&include={A}".encode()
    expected = PageQuery(after="resp_1", before="resp_2", limit=100, order="asc", include=(A,))
    assert read_page_query(query, MKA1) == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "1" * 5000, "limit"),
        ("order=up", "order"),
        ("include=x", "include[0]"),
    ],
)
def test_a_page_that_is_wrong_is_refused(query: str, param: str) -> None:
    problem = read_page_query(query.encode(), MKA1)
    assert isinstance(problem, Problem)
    assert problem.param == param


@pytest.mark.parametrize(("given", "shown"), [("0", ", got 0."), ("x", ", got x."), ("9" * 50, "to 100.")])
def test_a_limit_out_of_range_is_refused_with_the_value_if_it_is_short(given: str, shown: str) -> None:
    problem = read_page_query(f"limit={given}".encode(), MKA1)
    assert isinstance(problem, Problem)
    assert problem.message.startswith("limit must be a whole number from 1 to 100")
    assert problem.message.endswith(shown)
