"""A key is hidden in every form in which a gateway or a library may repeat it, and nothing else is."""

import json
from urllib.parse import quote

import pytest

from streamfold.client import Request
from streamfold.client.api.credentials import Credentials
from streamfold.errors import Disconnected

KEY = 'sk-proj/+ab"=='


def credentials(*headers: tuple[str, str], query: str = "") -> Credentials:
    return Credentials(Request(method="GET", url=f"http://host/v1?{query}", headers=headers))


BEARER = credentials(("authorization", f"Bearer {KEY}"))


@pytest.mark.parametrize("form", [KEY, quote(KEY), quote(KEY, safe=""), json.dumps(KEY)[1:-1]])
def test_a_key_is_hidden_as_it_is_and_as_urls_and_json_write_it(form: str) -> None:
    assert BEARER.hide(f"no such key: {form}!") == "no such key: [hidden]!"
    assert BEARER.hide_bytes(f"é {form}\xff".encode("latin-1")) == b"\xe9 [hidden]\xff"


@pytest.mark.parametrize("length", [6, 8, len(KEY) - 1])
def test_a_key_that_is_cut_off_at_the_end_is_hidden_too(length: int) -> None:
    assert BEARER.hide(f"no such key: {KEY[:length]}") == "no such key: [hidden]"


@pytest.mark.parametrize("text", ["", "Bearer", "a Bearer token is missing", "sk-", "the key is wrong", "sk-proj/ is"])
def test_nothing_else_is_hidden(text: str) -> None:
    assert BEARER.hide(text) == text


@pytest.mark.parametrize(
    "header",
    [
        ("x-api-key", "abcdef123456"),
        ("Cookie", "a=1; session=abcdef123456; b=2"),
        ("proxy-authorization", "Basic abcdef123456"),
        ("x-goog-signature", "abcdef123456"),
    ],
    ids=lambda header: header[0],
)
def test_headers_whose_name_says_so_hold_a_key(header: tuple[str, str]) -> None:
    assert "abcdef123456" not in credentials(header).hide("your abcdef123456 is wrong")


def test_a_key_in_the_query_is_one_too() -> None:
    assert credentials(query="stream=true&api_key=abc%2Fdef123").hide("abc/def123 abc%2Fdef123 true") == (
        "[hidden] [hidden] true"
    )


@pytest.mark.parametrize(
    "header", [("x-trace", "abcdef123456"), ("idempotency-key", "abcdef123456"), ("authorization", "Bearer any")]
)
def test_other_headers_and_the_word_of_a_local_server_hold_none(header: tuple[str, str]) -> None:
    assert credentials(header).hide("any abcdef123456") == "any abcdef123456"


def test_it_is_hidden_in_an_exception_and_in_what_caused_it() -> None:
    error, cause = Disconnected(f"read {KEY}"), ValueError(f"illegal {KEY}", 7)
    error.__cause__ = cause
    BEARER.hide_in(error)
    assert (error.args, cause.args) == (("read [hidden]",), ("illegal [hidden]", 7))
