"""Every documented range, at its ends and just beyond, and every name that is allowed."""

from typing import Any

import pytest

from streamfold.schema import check_batch, check_create, check_names
from streamfold.schema.dialect import MKA1, OPEN_RESPONSES, OPENAI, Dialect
from streamfold.schema.parameter import batch_rules, check, create_rules, is_list, is_object

DIALECTS = [pytest.param(MKA1, id="mka1"), pytest.param(OPENAI, id="openai")]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

MAX_SAFE = 2**53 - 1


def complaint(name: str, value: Any, dialect: Dialect = MKA1) -> tuple[str, str] | None:
    return check({name: value}, create_rules(dialect))


# Ranges

RANGES = [
    pytest.param("temperature", 0, 2, 0.01, id="temperature"),
    pytest.param("top_p", 0, 1, 0.01, id="top_p"),
    pytest.param("top_logprobs", 0, 20, 1, id="top_logprobs"),
    pytest.param("presence_penalty", -2, 2, 0.01, id="presence_penalty"),
    pytest.param("frequency_penalty", -2, 2, 0.01, id="frequency_penalty"),
    pytest.param("max_output_tokens", 1, MAX_SAFE, 1, id="max_output_tokens"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "low", "high", "step"), RANGES)
def test_a_range_holds_at_its_ends_and_not_beyond(
    name: str, low: int, high: int, step: float, dialect: Dialect
) -> None:
    assert [complaint(name, value, dialect) for value in (low, high)] == [None, None]
    for beyond in (low - step, high + step):
        found = complaint(name, beyond, dialect)
        assert found is not None
        assert found[0] == name
        is_unbounded = high == MAX_SAFE and beyond < low
        assert (f"of at least {low}" if is_unbounded else f"from {low} to {high}") in found[1]


@pytest.mark.parametrize(("name", "low", "high", "step"), RANGES)
def test_a_number_is_no_text_and_no_boolean(name: str, low: int, high: int, step: float) -> None:
    for value in ("1", True, [1], {}):
        assert complaint(name, value) is not None


@pytest.mark.parametrize("name", ["top_logprobs", "max_output_tokens", "max_tool_calls"])
def test_a_whole_number_has_no_fraction(name: str) -> None:
    assert complaint(name, 1.5) is not None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("temperature", "hot", "must be a number from 0 to 2, got 'hot'"),
        ("temperature", "h" * 39, "must be a number from 0 to 2"),
        ("temperature", [1], "must be a number from 0 to 2"),
        ("max_output_tokens", 0, "must be a whole number of at least 1, got 0"),
        ("max_output_tokens", 2.5, "must be a whole number of at least 1, got 2.5"),
        ("top_logprobs", 21, "must be a whole number from 0 to 20, got 21"),
        ("top_k", "few", "must be a whole number, got 'few'"),
        ("min_p", "low", "must be a number, got 'low'"),
        ("stream", 1, "must be true or false, got 1"),
    ],
)
def test_a_refusal_says_the_range_that_matters_and_a_short_value(name: str, value: Any, reason: str) -> None:
    assert complaint(name, value) == (name, reason)


def test_a_tool_of_chat_completions_is_told_apart() -> None:
    nested = {"type": "function", "function": {"name": "f"}}
    reason = "is required (the Responses API has no nested `function` object)"
    assert complaint("tools", [nested]) == ("tools[0].name", reason)
    assert complaint("tools", [nested | {"name": "f"}]) is None


def test_max_tool_calls_is_bounded_on_mka1() -> None:
    assert [complaint("max_tool_calls", value) for value in (1, 300)] == [None, None]
    for beyond in (0, 301):
        reason = f"must be a whole number from 1 to 300, got {beyond}"
        assert complaint("max_tool_calls", beyond) == ("max_tool_calls", reason)
    assert complaint("max_tool_calls", 301, OPENAI) is None


def test_open_responses_wants_sixteen_tokens_at_least() -> None:
    assert complaint("max_output_tokens", 16, OPEN_RESPONSES) is None
    assert complaint("max_output_tokens", 15, OPEN_RESPONSES) is not None


# Names

NAMES = [
    pytest.param("service_tier", ["auto", "default", "flex", "priority"], id="service_tier"),
    pytest.param("truncation", ["auto", "disabled"], id="truncation"),
    pytest.param("tool_choice", ["none", "auto", "required", {"type": "function", "name": "f"}], id="tool_choice"),
    pytest.param("include", [[], ["reasoning.encrypted_content", "file_search_call.results"]], id="include"),
    pytest.param("modalities", [["text"], ["text", "audio"]], id="modalities"),
    pytest.param("reasoning", [{"effort": "xhigh", "summary": "detailed"}, {"effort": "none"}, {}], id="reasoning"),
    pytest.param("text", [{"format": {"type": "text"}, "verbosity": "low"}, {"format": None}], id="text"),
    pytest.param("audio", [{"voice": "alloy", "format": "wav"}], id="audio"),
]


@pytest.mark.parametrize(("name", "good"), NAMES)
def test_documented_values_pass(name: str, good: list[Any]) -> None:
    assert [complaint(name, value) for value in good] == [None] * len(good)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        pytest.param("service_tier", "scale", "service_tier", id="a tier of openai"),
        pytest.param("truncation", "off", "truncation", id="truncation"),
        pytest.param("tool_choice", "some", "tool_choice", id="a choice"),
        pytest.param("tool_choice", {}, "tool_choice.type", id="a choice without a type"),
        pytest.param("include", ["reasoning"], "include[0]", id="include"),
        pytest.param("include", "reasoning.encrypted_content", "include", id="include as text"),
        pytest.param("modalities", ["text", "video"], "modalities[1]", id="a modality"),
        pytest.param("reasoning", {"effort": "huge"}, "reasoning.effort", id="an effort"),
        pytest.param("reasoning", {"summary": "long"}, "reasoning.summary", id="a summary"),
        pytest.param("reasoning", "high", "reasoning", id="reasoning as text"),
        pytest.param("text", {"format": {}}, "text.format.type", id="a format without a type"),
        pytest.param("text", {"format": {"type": "xml"}}, "text.format.type", id="a format"),
        pytest.param("text", {"format": {"type": "json_schema"}}, "text.format.name", id="a schema without a name"),
        pytest.param("text", {"format": "json_schema"}, "text.format", id="a format as text"),
        pytest.param("text", {"verbosity": "huge"}, "text.verbosity", id="a verbosity"),
        pytest.param("audio", {"voice": "echo"}, "audio.voice", id="a voice"),
        pytest.param("model", "", "model", id="an empty model"),
        pytest.param("model", 5, "model", id="a model as number"),
        pytest.param("input", 5, "input", id="input as number"),
        pytest.param("input", [5], "input[0]", id="an item as number"),
        pytest.param("input", [{"content": 5}], "input[0].content", id="content as number"),
        pytest.param("input", [{"content": ["x"]}], "input[0].content[0]", id="a part as text"),
        pytest.param("instructions", 5, "instructions", id="instructions"),
        pytest.param("conversation", {}, "conversation.id", id="a conversation without id"),
        pytest.param("conversation", 5, "conversation", id="a conversation as number"),
        pytest.param("prompt", {"version": "1"}, "prompt.id", id="a prompt without id"),
        pytest.param("stream", "true", "stream", id="a boolean as text"),
        pytest.param("stream", 1, "stream", id="a boolean as number"),
        pytest.param("stream_options", {"include_usage": 1}, "stream_options.include_usage", id="stream options"),
        pytest.param("tools", {}, "tools", id="tools as object"),
        pytest.param("tools", [{}], "tools[0].type", id="a tool without a type"),
        pytest.param("tools", ["web_search"], "tools[0]", id="a tool as text"),
        pytest.param("tools", [{"type": "function"}], "tools[0].name", id="a function without a name"),
        pytest.param(
            "tools", [{"type": "mcp"}, {"type": "custom"}], "tools[1].name", id="a custom tool without a name"
        ),
        pytest.param("tools", [{"type": "computer_use_preview"}], "tools[0].type", id="a tool that MKA1 refuses"),
        pytest.param("fallback_models", ["a", "auto"], "fallback_models[1]", id="auto as a fallback"),
        pytest.param("fallback_models", ["a"] * 6, "fallback_models", id="six fallbacks"),
        pytest.param("context_management", [], "context_management", id="no context management"),
        pytest.param(
            "context_management",
            [{"type": "compaction", "compact_threshold": 999}],
            "context_management[0].compact_threshold",
            id="a threshold too low",
        ),
        pytest.param(
            "context_management",
            [{"type": "compaction"}],
            "context_management[0].compact_threshold",
            id="no threshold",
        ),
        pytest.param("webhook_url", "example.com", "webhook_url", id="a URL without a scheme"),
        pytest.param("webhook_url", "ftp://example.com", "webhook_url", id="a URL of another scheme"),
        pytest.param("webhook_url", "https://", "webhook_url", id="a URL without a host"),
        pytest.param("webhook_url", 5, "webhook_url", id="a URL as number"),
        pytest.param("webhook_secret", "s" * 15, "webhook_secret", id="a short secret"),
        pytest.param("webhook_secret", "s" * 257, "webhook_secret", id="a long secret"),
        pytest.param("metadata", [], "metadata", id="metadata as list"),
        pytest.param("metadata", {str(n): "" for n in range(17)}, "metadata", id="17 pairs"),
        pytest.param("metadata", {"k" * 65: ""}, "metadata", id="a long key"),
        pytest.param("metadata", {1: "v"}, "metadata", id="a key as number"),
        pytest.param("metadata", {"k": "v" * 513}, "metadata.k", id="a long value"),
        pytest.param("metadata", {"k": 1}, "metadata.k", id="a value as number"),
        pytest.param("stop", 5, "stop", id="stop as number"),
        pytest.param("stop", [5], "stop[0]", id="a stop as number"),
        pytest.param("prefill_think", 5, "prefill_think", id="prefill as number"),
        pytest.param("extra_body", [], "extra_body", id="extra body as list"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(name: str, value: Any, where: str) -> None:
    found = complaint(name, value)
    assert found is not None
    assert found[0] == where


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("input", "hi", id="input as text"),
        pytest.param("input", [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], id="items"),
        pytest.param("conversation", "conv_1", id="a conversation's id"),
        pytest.param("conversation", {"id": "conv_1"}, id="a conversation"),
        pytest.param("prompt", {"id": "p", "version": "1", "variables": {"a": 1}}, id="a prompt"),
        pytest.param("tools", [{"type": "function", "name": "f", "parameters": {}}], id="a function"),
        pytest.param("tools", [{"type": "of_tomorrow"}], id="a tool of tomorrow"),
        pytest.param("text", {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}, id="a schema"),
        pytest.param("fallback_models", ["a"] * 5, id="five fallbacks"),
        pytest.param("context_management", [{"type": "compaction", "compact_threshold": 1000}], id="a threshold"),
        pytest.param("webhook_url", "http://127.0.0.1:8/hook", id="a URL"),
        pytest.param("webhook_secret", "s" * 16, id="a short secret"),
        pytest.param("webhook_secret", "s" * 256, id="a long secret"),
        pytest.param("metadata", {f"{n:064}": "v" * 512 for n in range(16)}, id="as much metadata as can be"),
        pytest.param("stop", ["a", "b"], id="stops"),
        pytest.param("prefill_think", False, id="prefill"),
        pytest.param("temperature", None, id="null"),
    ],
)
def test_what_is_good_passes(name: str, value: Any) -> None:
    assert complaint(name, value) is None


def test_openai_has_names_of_its_own() -> None:
    assert complaint("service_tier", "ultrafast", OPENAI) is None
    assert complaint("include", ["web_search_call.results"], OPENAI) is None
    assert complaint("include", ["web_search_call.results"], MKA1) is not None
    assert complaint("background_options", {"completion_window": "4h"}, OPENAI) is not None
    assert complaint("tools", [{"type": "computer_use_preview"}], OPENAI) is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_complaint_says_what_it_must_be(dialect: Dialect) -> None:
    for name, wanted in [
        ("model", "must be a non-empty string"),
        ("store", "must be true or false, got 5"),
        ("truncation", "must be one of auto, disabled"),
        ("input", "must be a string or a list of items"),
        ("user", "must be a string"),
        ("tools", "must be a list"),
        ("reasoning", "must be an object"),
        ("metadata", "must be an object of at most 16 pairs"),
    ]:
        assert complaint(name, 5 if name != "model" else "", dialect) == (name, wanted)
    assert complaint("context_management", [], dialect) == ("context_management", "must have at least one entry")


# Batches


def test_a_batch_has_rules_too() -> None:
    good = {"input_file_id": "file_1", "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {}}
    assert check(good | {"max_concurrency": 1}, batch_rules(MKA1)) is None
    for name, value in [("input_file_id", ""), ("endpoint", "/x"), ("completion_window", "1h"), ("metadata", 1)]:
        found = check(good | {name: value}, batch_rules(OPENAI))
        assert found is not None
        assert found[0] == name


def test_max_concurrency_is_mka1s() -> None:
    assert check({"max_concurrency": 0}, batch_rules(MKA1)) is not None
    assert check({"max_concurrency": 0}, batch_rules(OPENAI)) is None


# The whole of a create, and of a batch


@pytest.mark.parametrize(
    ("fields", "name", "reason"),
    [
        pytest.param({"model": None}, "model", "is required", id="no model"),
        pytest.param({"temperature": 3}, "temperature", "must be a number from 0 to 2, got 3", id="a range"),
        pytest.param({"stream_options": {}}, "stream_options", "is allowed only with stream true", id="no stream"),
        pytest.param({"stream_events": True}, "stream_events", "is allowed only with background true", id="events"),
        pytest.param(
            {"webhook_url": "http://a"}, "webhook_url", "is allowed only with background true", id="a webhook"
        ),
        pytest.param({"webhook_secret": "s" * 16}, "webhook_secret", "requires webhook_url", id="a secret alone"),
        pytest.param({"background": True, "store": False}, "store", "must be true with background true", id="store"),
    ],
)
def test_a_create_is_refused_with_a_reason(fields: dict[str, Any], name: str, reason: str) -> None:
    assert check_create({"model": "m", **fields}, MKA1) == (name, reason)


@pytest.mark.parametrize("dialect", [MKA1, OPENAI, OPEN_RESPONSES])
def test_a_good_create_passes(dialect: Dialect) -> None:
    assert check_create({"model": "m", "stream": True, "stream_options": {}, "x_own": 1, "user": None}, dialect) is None


def test_a_long_window_goes_without_a_stream() -> None:
    fields: dict[str, Any] = {"model": "m", "background_options": {"completion_window": "8h"}}
    assert check_create(fields, OPENAI) is None
    assert check_create(fields | {"stream": True}, OPENAI) is not None


def test_a_batch_needs_its_file_and_its_endpoint() -> None:
    assert check_batch({"endpoint": "/v1/responses"}, MKA1) == ("input_file_id", "is required")
    assert check_batch({"input_file_id": "f"}, MKA1) == ("endpoint", "is required")
    assert check_batch({"input_file_id": "f", "endpoint": "/v1/responses"}, MKA1) is None


@pytest.mark.parametrize("value", [None, True, 5, 0.5, "text", [], (), {}])
def test_a_value_is_an_object_a_list_or_neither(value: Any) -> None:
    assert (is_object(value), is_list(value)) == (value == {}, value in ([], ()))


# What a client passes on: names that a server may have added to an open set


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (OPENAI, {"reasoning": {"effort": "ultra", "summary": "haiku"}}),
        (OPENAI, {"service_tier": "warp"}),
        (OPENAI, {"include": ["of_tomorrow"]}),
        (OPENAI, {"truncation": "middle"}),
        (OPENAI, {"tool_choice": "some"}),
        (OPENAI, {"text": {"format": {"type": "grammar"}, "verbosity": "terse"}}),
        (OPENAI, {"context_management": [{"type": "summary"}]}),
        (OPENAI, {"background_options": {"completion_window": "24h"}}),
        (OPENAI, {"prompt_cache_retention": "week"}),
        (MKA1, {"modalities": ["video"], "audio": {"voice": "echo", "format": "mp3"}}),
        (MKA1, {"tools": [{"type": "computer_use_preview"}]}),
    ],
    ids=lambda value: value.name if isinstance(value, Dialect) else next(iter(value)),
)
def test_a_client_passes_on_names_that_only_a_strict_server_refuses(dialect: Dialect, fields: dict[str, Any]) -> None:
    assert check_create({"model": "m", **fields}, dialect, strict=False) is None
    assert check_create({"model": "m", **fields}, dialect) is not None


@pytest.mark.parametrize(
    ("fields", "name", "reason"),
    [
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "must be a string"),
        ({"temperature": 3}, "temperature", "must be a number from 0 to 2, got 3"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "is required"),
        ({"store": "no"}, "store", "must be true or false, got 'no'"),
        ({"stream_options": {}}, "stream_options", "is allowed only with stream true"),
        ({"model": None}, "model", "is required"),
    ],
)
def test_a_client_still_refuses_wrong_types_and_ranges(fields: dict[str, Any], name: str, reason: str) -> None:
    assert check_create({"model": "m", **fields}, OPENAI, strict=False) == (name, reason)


def test_a_client_passes_on_an_endpoint_of_a_batch_that_is_not_known() -> None:
    fields = {"input_file_id": "f", "endpoint": "/v1/videos"}
    assert check_batch(fields, OPENAI, strict=False) is None
    assert check_batch(fields, OPENAI) is not None


def test_a_tuple_is_a_list() -> None:
    assert check_create({"model": "m", "include": ("reasoning.encrypted_content",)}, OPENAI) is None


# Names


def test_names_of_any_dialect_are_known() -> None:
    assert check_names(["model", "webhook_url", "background_options", "stream", "extra_body"]) is None


def test_an_unknown_name_is_reported_with_the_nearest_one() -> None:
    assert check_names(["model", "temprature"]) == (
        "temprature",
        "is not a known parameter (did you mean temperature?); pass parameters newer than this version in extra_body",
    )


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("messages", "input"),
        ("max_tokens", "max_output_tokens"),
        ("max_completion_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning"),
        ("response_format", "text"),
        ("text_format", "text"),
    ],
)
def test_a_name_of_another_api_is_reported_with_the_one_that_replaces_it(name: str, here: str) -> None:
    complaint = check_names([name])
    assert complaint is not None
    assert f"(did you mean {here}?)" in complaint[1]


def test_an_unknown_name_that_is_like_no_other_is_reported_alone() -> None:
    found = check_names(["zzzz"])
    assert found == (
        "zzzz",
        "is not a known parameter; pass parameters newer than this version in extra_body",
    )
