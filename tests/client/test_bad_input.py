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
        ("base_url", "http://"),
        ("base_url", ""),
        ("base_url", None),
        ("base_url", b"http://gateway.example.com"),
        ("base_url", "http://user:word@gateway.example.com"),
        ("base_url", "http://gateway.example.com?key=1"),
        ("base_url", "http://gateway.example.com#part"),
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
    assert caught.value.name == "x-trace"


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secrét"])
def test_a_key_is_not_repeated_in_its_error(key: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        gateway(api_key=key)
    assert "secr" not in f"{caught.value} {caught.value!r}"


def test_a_key_is_not_in_what_is_shown_of_the_calls() -> None:
    assert "sk-secret" not in repr(vars(gateway(api_key="sk-secret")))


BAD_IDS = [
    "",
    "resp/1",
    "resp_1/cancel",
    "../admin",
    "resp 1",
    "resp?stream",
    "resp%2F1",
    "réponse",
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
    ({"model": "toy", "input": "hi", "include": ["all"]}, "include[0]"),
    ({"model": "toy", "input": "hi", "metadata": {"k": 1}}, "metadata.k"),
    ({"model": "toy", "input": "hi", "metadata": "k=1"}, "metadata"),
    ({"model": "toy", "input": "hi", "reasoning": {"effort": "much"}}, "reasoning.effort"),
    ({"model": "toy", "input": "hi", "text": {"verbosity": "loud"}}, "text.verbosity"),
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
        await here.create(model="toy", input="hi", unknown=value)
    assert isinstance(caught.value, InvalidArgument) or value == 2**70


async def test_an_unknown_parameter_of_a_known_dialect_is_passed_on() -> None:
    with pytest.raises(AssertionError, match="was sent"):
        await gateway().create(model="toy", input="hi", something_new=1)


BAD_BATCHES: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "/v1/responses", "completion_window": "24h"}, "input_file_id"),
    ({"input_file_id": 7, "endpoint": "/v1/responses", "completion_window": "24h"}, "input_file_id"),
    ({"input_file_id": "file_1", "endpoint": "/v1/poems", "completion_window": "24h"}, "endpoint"),
    ({"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": "1h"}, "completion_window"),
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
    ("name", "value"), [("order", "newest"), ("order", 1), ("after", "a/b"), ("after", ""), ("before", "a b")]
)
async def test_a_page_that_cannot_be_asked_for_is_refused(name: str, value: Any) -> None:
    assert (await refused(lambda here: here.list(**{name: value}))).name == name


def test_direct_without_its_parser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.client.transport.resolve.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"streamfold\[direct\]"):
        gateway(http="direct")
