"""What no gateway would take is refused before anything is sent, and the error names the argument."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from streamfold.client import Gateway, Request
from streamfold.errors import InvalidArgument, UsageError
from streamfold.schema import OPENAI
from tests.client.stub import Stub, Told

pytestmark = pytest.mark.anyio


def nothing_is_sent(request: Request) -> Told:
    raise AssertionError(f"{request.method} {request.url} was sent")


def gateway(**given: Any) -> Gateway:
    settings = {"base_url": "http://stub", "api_key": "key", "http": Stub(nothing_is_sent)} | given
    return Gateway(settings.pop("base_url"), **settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "gateway.example.com"),
        ("base_url", "gateway.example.com:8080/v1"),
        ("base_url", "//gateway.example.com"),
        ("base_url", "ftp://gateway.example.com"),
        ("base_url", "http://gateway.example.com/v1 "),
        ("base_url", " http://gateway.example.com"),
        ("base_url", "http://gateway example.com"),
        ("base_url", "http://gateway.example.com/v1\r\nx: y"),
        ("base_url", "http://"),
        ("base_url", ""),
        ("base_url", None),
        ("base_url", b"http://gateway.example.com"),
        ("base_url", "http://user:word@gateway.example.com"),
        ("base_url", "http://gateway.example.com?key=1"),
        ("base_url", "http://gateway.example.com#part"),
        ("base_url", "http://gateway.example.com/v1/responses"),
        ("base_url", "http://gateway.example.com/v1/responses/"),
        ("base_url", "http://[::1"),
        ("base_url", "http://gateway.example.com:port"),
        ("api_key", ""),
        ("api_key", "  "),
        ("api_key", None),
        ("api_key", "Bearer "),
        ("api_key", "key\r\nx-other: 1"),
        ("api_key", "kéy"),
        ("on_behalf_of", ""),
        ("on_behalf_of", "user\n2"),
        ("on_behalf_of", 7),
        ("dialect", "gpt"),
        ("dialect", 7),
        ("timeout", 0),
        ("timeout", math.inf),
        ("timeout", "60"),
        ("timeout", True),
        ("connect_seconds", -1.0),
        ("connect_seconds", math.nan),
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", None),
        ("on_repair", "print"),
        ("patience", 60),
        ("headers", ["x-trace"]),
        ("http", "urllib"),
        ("http", 7),
        ("http", object()),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        gateway(**{name: value})
    assert caught.value.name == name
    assert str(caught.value).startswith(f"{name}: ")


def test_a_header_with_a_line_end_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidArgument) as caught:
        gateway(headers={"x-trace": "a\r\nb"})
    assert caught.value.name == "headers['x-trace']"


def test_an_unknown_dialect_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidArgument, match=r"unknown dialect 'gpt' \(expected mka1, openai or open-responses\)"):
        gateway(dialect="gpt")


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secrét"])
def test_a_key_is_not_repeated_in_its_error(key: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        gateway(api_key=key)
    assert "secr" not in f"{caught.value} {caught.value!r}"


def test_a_key_is_not_in_what_is_shown_of_the_calls() -> None:
    assert "sk-secret" not in repr(vars(gateway(api_key="sk-secret")))


BAD_IDS = [
    "",
    ".",
    "..",
    "resp\n1",
    "resp\x00",
    "resp\u2028",
    "resp\ud800",
    None,
    7,
    b"resp_1",
]
CALLS: dict[str, Callable[[Gateway, Any], Any]] = {
    "follow": lambda here, id: here.follow(id),
    "retrieve": lambda here, id: here.retrieve(id),
    "cancel": lambda here, id: here.cancel(id),
    "update": lambda here, id: here.update(id, metadata={}),
    "delete": lambda here, id: here.delete(id),
    "input_items": lambda here, id: here.input_items(id),
    "batches.retrieve": lambda here, id: here.batches.retrieve(id),
    "batches.cancel": lambda here, id: here.batches.cancel(id),
    "batches.follow": lambda here, id: here.batches.follow(id),
}


async def refused(call: Callable[[Gateway], Any], **settings: Any) -> InvalidArgument:
    """What the call is refused with."""
    with pytest.raises(InvalidArgument) as caught:
        result = call(gateway(**settings))
        if hasattr(result, "__await__"):
            await result
    return caught.value


@pytest.mark.parametrize("id", BAD_IDS, ids=repr)
@pytest.mark.parametrize("name", CALLS)
async def test_an_id_that_may_not_stand_in_a_url_is_refused(name: str, id: object) -> None:
    error = await refused(lambda here: CALLS[name](here, id))
    assert error.name == ("batch_id" if "batches" in name else "response_id")


@pytest.mark.parametrize("value", [-1, -(2**53), "7", "last", 1.0, 1.5, True, 2**53, math.nan, [1]], ids=repr)
async def test_a_cursor_that_is_no_whole_number_is_refused(value: Any) -> None:
    error = await refused(lambda here: here.follow("resp_1", starting_after=value))
    assert error.name == "starting_after"


@pytest.mark.parametrize("how", ["follow", "retrieve", "input_items"])
async def test_include_as_one_text_is_refused(how: str) -> None:
    error = await refused(lambda here: getattr(here, how)("resp_1", include="reasoning.encrypted_content"))
    assert error.name == "include"


BAD_CREATES: list[tuple[dict[str, Any], str]] = [
    ({"input": "hi"}, "model"),
    ({"model": "", "input": "hi"}, "model"),
    ({"model": 7, "input": "hi"}, "model"),
    ({"model": "toy", "input": 7}, "input"),
    ({"model": "toy", "input": ["hi"]}, "input[0]"),
    ({"model": "toy", "input": "hi", "background": "yes"}, "background"),
    ({"model": "toy", "input": "hi", "temperature": 3}, "temperature"),
    ({"model": "toy", "input": "hi", "temperature": "warm"}, "temperature"),
    ({"model": "toy", "input": "hi", "top_p": -0.1}, "top_p"),
    ({"model": "toy", "input": "hi", "top_logprobs": 21}, "top_logprobs"),
    ({"model": "toy", "input": "hi", "max_output_tokens": 0}, "max_output_tokens"),
    ({"model": "toy", "input": "hi", "tools": {"type": "function"}}, "tools"),
    ({"model": "toy", "input": "hi", "tools": [{"name": "x"}]}, "tools[0].type"),
    ({"model": "toy", "input": "hi", "include": "all"}, "include"),
    ({"model": "toy", "input": "hi", "include": [7]}, "include[0]"),
    ({"model": "toy", "input": "hi", "metadata": {"k": 1}}, "metadata.k"),
    ({"model": "toy", "input": "hi", "metadata": "k=1"}, "metadata"),
    ({"model": "toy", "input": "hi", "reasoning": {"effort": 7}}, "reasoning.effort"),
    ({"model": "toy", "input": "hi", "text": {"verbosity": 7}}, "text.verbosity"),
    ({"model": "toy", "input": "hi", "webhook_url": "nowhere"}, "webhook_url"),
    ({"model": "toy", "input": "hi", "webhook_url": "http://here", "webhook_secret": "short"}, "webhook_secret"),
    ({"model": "toy", "input": "hi", "background": True, "store": False}, "store"),
]


@pytest.mark.parametrize(("parameters", "name"), BAD_CREATES, ids=[name for _, name in BAD_CREATES])
@pytest.mark.parametrize("how", ["create", "stream"])
async def test_a_parameter_out_of_its_range_is_refused(how: str, parameters: dict[str, Any], name: str) -> None:
    error = await refused(lambda here: getattr(here, how)(**parameters))
    assert error.name == name


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800"], ids=["an object", "a large number", "half"])
async def test_what_json_cannot_say_is_refused(value: object) -> None:
    """A number beyond what JSON readers keep may be sent, or refused; never is anything else raised."""
    here = gateway()
    with pytest.raises((InvalidArgument, AssertionError)) as caught:
        await here.create(model="toy", input="hi", extra_body={"new": value})
    assert isinstance(caught.value, InvalidArgument) or value == 2**70


@pytest.mark.parametrize(
    ("name", "words"),
    [("temprature", "did you mean temperature?"), ("something_new", "in extra_body")],
)
@pytest.mark.parametrize("how", ["create", "stream"])
async def test_an_unknown_parameter_is_refused_with_what_to_do_instead(how: str, name: str, words: str) -> None:
    error = await refused(lambda here: getattr(here, how)(model="toy", input="hi", **{name: 1}))
    assert error.name == name
    assert words in error.reason


async def test_a_create_that_is_to_stream_is_sent_to_stream_and_the_other_way_round() -> None:
    error = await refused(lambda here: here.create(model="toy", input="hi", stream=True))
    assert (error.name, "gateway.stream" in error.reason) == ("stream", True)
    error = await refused(lambda here: here.stream(model="toy", input="hi", stream=False))
    assert (error.name, "gateway.create" in error.reason) == ("stream", True)


BAD_OPTIONS: list[tuple[str, Any]] = [
    ("timeout", 0),
    ("timeout", "1"),
    ("extra_headers", "x-trace: 1"),
    ("extra_headers['x trace']", {"x trace": "1"}),
    ("extra_headers['x-trace']", {"x-trace": "1\n"}),
    ("extra_headers['x-trace']", {"x-trace": 1}),
    ("extra_query", ["a"]),
    ("extra_query['a']", {"a": {"b": 1}}),
    ("extra_query", {"a": "\ud800"}),
    ("extra_body", [1]),
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS, ids=[f"{name} {value!r}" for name, value in BAD_OPTIONS])
async def test_an_option_that_cannot_be_is_refused_by_its_name(name: str, value: Any) -> None:
    option = {name.partition("[")[0]: value}
    error = await refused(lambda here: here.retrieve("resp_1", **option))
    assert error.name == name
    error = await refused(lambda here: here.stream(model="toy", input="hi", **option))
    assert error.name == name


async def test_an_option_that_no_call_has_is_refused_with_the_nearest() -> None:
    error = await refused(lambda here: here.retrieve("resp_1", timout=1))
    assert (error.name, "did you mean timeout?" in error.reason) == ("timout", True)


@pytest.mark.parametrize("how", ["stream", "follow"])
@pytest.mark.parametrize(
    ("name", "value"), [("on_exit", "cancle"), ("on_exit", None), ("on_repair", 7), ("log", "streams.db")]
)
async def test_what_is_to_happen_while_it_is_followed_is_checked_when_it_is_given(
    how: str, name: str, value: Any
) -> None:
    calls: dict[str, Callable[[Gateway], Any]] = {
        "stream": lambda here: here.stream(model="toy", input="hi", **{name: value}),
        "follow": lambda here: here.follow("resp_1", **{name: value}),
    }
    assert (await refused(calls[how])).name == name


async def test_a_state_that_is_none_is_refused() -> None:
    error = await refused(lambda here: here.follow("resp_1", state={"cursor": 7}))  # type: ignore[arg-type]
    assert error.name == "state"


@pytest.mark.parametrize(("name", "value"), [("max_retries", -1), ("idempotency_key", "a\nb")])
@pytest.mark.parametrize("how", ["create", "stream"])
async def test_how_often_a_creation_is_tried_is_checked_too(how: str, name: str, value: Any) -> None:
    error = await refused(lambda here: getattr(here, how)(model="toy", input="hi", **{name: value}))
    assert error.name == name


NEW_VALUES: list[dict[str, Any]] = [
    {"reasoning": {"effort": "extreme"}},
    {"text": {"verbosity": "loud"}},
    {"include": ["something.new"]},
    {"service_tier": "next"},
    {"tools": [{"type": "new_tool"}]},
]


@pytest.mark.parametrize("new", NEW_VALUES, ids=[next(iter(each)) for each in NEW_VALUES])
async def test_a_new_name_in_an_open_set_is_passed_on(new: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="was sent"):
        await gateway().create(model="toy", input="hi", **new)


BAD_BATCHES: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "/v1/responses", "completion_window": "24h"}, "input_file_id"),
    ({"input_file_id": 7, "endpoint": "/v1/responses", "completion_window": "24h"}, "input_file_id"),
    ({"input_file_id": "file_1", "endpoint": 7, "completion_window": "24h"}, "endpoint"),
    ({"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": 1}, "completion_window"),
]


@pytest.mark.parametrize(("parameters", "name"), BAD_BATCHES, ids=[str(place) for place in range(len(BAD_BATCHES))])
async def test_a_batch_that_cannot_be_is_refused(parameters: dict[str, Any], name: str) -> None:
    error = await refused(lambda here: here.batches.create(**parameters), dialect=OPENAI)
    assert error.name == name


@pytest.mark.parametrize("metadata", [None, "a=b", {"a": 1}, {"k" * 65: "v"}, ["a"]], ids=repr)
async def test_metadata_that_cannot_be_are_refused(metadata: Any) -> None:
    error = await refused(lambda here: here.update("resp_1", metadata=metadata))
    assert error.name.partition(".")[0] == "metadata"


@pytest.mark.parametrize("limit", [0, -1, 101, "10", 1.0, True], ids=repr)
@pytest.mark.parametrize("how", ["list", "input_items", "batches"])
async def test_a_limit_out_of_range_is_refused(how: str, limit: Any) -> None:
    calls: dict[str, Callable[[Gateway], Any]] = {
        "list": lambda here: here.list(limit=limit),
        "input_items": lambda here: here.input_items("resp_1", limit=limit),
        "batches": lambda here: here.batches.list(limit=limit),
    }
    assert (await refused(calls[how])).name == "limit"


@pytest.mark.parametrize(
    ("name", "value"), [("order", "newest"), ("order", 1), ("after", ".."), ("after", ""), ("before", "a\nb")]
)
async def test_a_page_that_cannot_be_asked_for_is_refused(name: str, value: Any) -> None:
    assert (await refused(lambda here: here.list(**{name: value}))).name == name


def test_direct_without_its_parser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.client.transport.resolve.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"streamfold\[direct\]"):
        gateway(http="direct")
