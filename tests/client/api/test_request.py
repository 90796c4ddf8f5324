"""Each call as a Request: paths, queries, headers, bodies. Pure."""

import json
from typing import Any

import pytest

from streamfold.client.api.arguments import check_batch_id, check_response_id, check_starting_after
from streamfold.client.api.request import Calls
from streamfold.errors import InvalidArgument
from streamfold.schema import MKA1, OPENAI, Response

KEY = "sk-very-secret"


def calls(**given: Any) -> Calls:
    settings: dict[str, Any] = {"api_key": KEY, "dialect": MKA1} | given
    return Calls.to(settings.pop("base_url", "http://stub"), **settings)


def test_a_stream_is_asked_for_as_a_stream() -> None:
    request = calls().follow("resp_1")
    assert request.url == "http://stub/api/v1/llm/responses/resp_1?stream=true"
    assert dict(request.headers)["accept"] == "text/event-stream"
    assert request.body is None


@pytest.mark.parametrize("number", [0, 7, 2**53 - 1])
def test_the_cursor_goes_into_the_query(number: int) -> None:
    assert calls().follow("resp_1", starting_after=number).url.endswith(f"?stream=true&starting_after={number}")


@pytest.mark.parametrize(("dialect", "name"), [(MKA1, "include"), (OPENAI, "include%5B%5D")], ids=["mka1", "openai"])
def test_each_include_is_a_query_of_its_own_as_the_dialect_spells_it(dialect: Any, name: str) -> None:
    request = calls(dialect=dialect).follow("resp_1", include=["a", "b"], include_obfuscation=True)
    assert request.url.endswith(f"/responses/resp_1?stream=true&{name}=a&{name}=b&include_obfuscation=true")


def test_a_query_is_escaped() -> None:
    assert calls().retrieve("resp_1", include=["a&b=c d/é"]).url.endswith("?include=a%26b%3Dc%20d%2F%C3%A9")


def test_a_create_says_whether_it_streams() -> None:
    for is_stream in (False, True):
        request = calls().create({"model": "toy", "input": "hi"}, stream=is_stream)
        assert json.loads(request.body or b"") == {"model": "toy", "input": "hi", "stream": is_stream}
        assert dict(request.headers)["content-type"] == "application/json"


def test_the_callers_own_stream_may_say_the_same_and_nothing_else() -> None:
    for is_stream in (False, True):
        request = calls().create({"model": "toy", "input": "hi", "stream": is_stream}, stream=is_stream)
        assert json.loads(request.body or b"")["stream"] is is_stream
        with pytest.raises(InvalidArgument, match=r"stream: must not be"):
            calls().create({"model": "toy", "input": "hi", "stream": not is_stream}, stream=is_stream)


def test_text_is_sent_as_it_is() -> None:
    request = calls().create({"model": "toy", "input": "Straße 🙂 \x00 \u2028"}, stream=False)
    assert json.loads(request.body or b"")["input"] == "Straße 🙂 \x00 \u2028"


def test_a_cancel_has_no_body() -> None:
    request = calls().cancel("resp_1")
    assert (request.method, request.body) == ("POST", b"")
    assert "content-type" not in dict(request.headers)


def test_patience_goes_with_every_request() -> None:
    request = calls(connect_seconds=1.0, idle_seconds=2.0).retrieve("resp_1")
    assert (request.connect_timeout_seconds, request.idle_timeout_seconds) == (1.0, 2.0)


def test_neither_key_nor_headers_are_shown() -> None:
    shown = repr(calls(headers={"x-secret": "hidden"}))
    assert KEY not in shown
    assert "hidden" not in shown


@pytest.mark.parametrize("value", ["resp_1", "resp-1", "A", "_" * 200, "a/b", "a b", "é=", "...", "%2F"])
def test_an_id_of_printable_characters_is_taken(value: str) -> None:
    assert check_response_id(value) == check_batch_id(value) == value


@pytest.mark.parametrize("value", ["", ".", "..", "a\n", "\x7f", "\u202e", None, 1])
def test_any_other_id_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_batch_id(value)
    assert caught.value.name == "batch_id"


def test_a_response_in_place_of_its_id_is_named_by_its_class_alone() -> None:
    with pytest.raises(InvalidArgument, match=r"got Response$"):
        check_response_id(Response(id="resp_1", model="secret"))


def test_no_cursor_is_the_whole_stream() -> None:
    assert check_starting_after(None) is None
    assert check_starting_after(0) == 0


def test_a_batch_is_made_listed_and_cancelled_under_its_own_path() -> None:
    here = calls()
    new = {"input_file_id": "file_1", "endpoint": "/v1/responses", "max_concurrency": 2}
    assert here.create_batch(new).url == "http://stub/api/v1/llm/batches"
    assert here.retrieve_batch("batch_1").url == "http://stub/api/v1/llm/batches/batch_1"
    assert here.cancel_batch("batch_1").url == "http://stub/api/v1/llm/batches/batch_1/cancel"
    assert here.list_batches(page={"limit": 3}).url == "http://stub/api/v1/llm/batches?limit=3"
