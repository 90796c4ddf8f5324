"""Which requests are for the stream of a response, and the requests that continue it."""

import pytest

from streamfold.client.transport.resumable import Resumable, continuing_headers, read_request
from streamfold.session import Connect, Retrieve

BASE = "https://api.openai.com/v1"
STREAM = b'{"stream":true,"model":"m"}'

NOT_RESUMABLE = [
    ("POST", "/responses", b'{"model":"m"}'),
    ("POST", "/responses", b'{"stream":false}'),
    ("POST", "/responses", b"not JSON"),
    ("POST", "/responses", b"[1]"),
    ("POST", "/responses", b"\xff"),
    ("POST", "/responses/resp_1/cancel", STREAM),
    ("POST", "/chat/completions", STREAM),
    ("PUT", "/responses", STREAM),
    ("GET", "/responses?stream=true", None),
    ("GET", "/responses/resp_1", None),
    ("GET", "/responses/resp_1?stream=false", None),
    ("GET", "/responses/resp_1?stream=true&starting_after=x", None),
    ("GET", "/responses/..?stream=true", None),
    ("GET", "/responses/resp_1/input_items?stream=true", None),
]


@pytest.mark.parametrize(("method", "path", "body"), NOT_RESUMABLE)
def test_other_requests_are_none_of_ours(method: str, path: str, body: bytes | None) -> None:
    assert read_request(method, BASE + path, body) is None


def of(method: str, url: str, body: bytes | None = None) -> Resumable:
    found = read_request(method, url, body)
    assert found is not None
    return found


@pytest.mark.parametrize("url", [f"{BASE}/responses", "http://h/any/prefix/responses/", "http://[::1]:8/responses"])
def test_a_create_is_known_under_any_prefix(url: str) -> None:
    found = of("POST", url, STREAM)
    assert found.url(Retrieve(), "resp_1") == f"{url.rstrip('/')}/resp_1"
    assert (found.response_id, found.is_sure, found.can_resume) == (None, True, False)


def test_a_create_in_the_background_can_be_resumed() -> None:
    found = of("POST", f"{BASE}/responses", b'{"stream": true, "background": true}')
    assert (found.is_background, found.can_resume) == (True, True)


def test_a_body_that_cannot_be_read_may_ask_for_a_stream() -> None:
    found = of("POST", f"{BASE}/responses")
    assert (found.is_background, found.is_sure, found.can_resume) == (None, False, False)


def test_what_the_first_request_includes_is_included_again() -> None:
    body = b'{"stream":true,"include":["a.b","c"],"stream_options":{"include_obfuscation":false}}'
    found = of("POST", f"{BASE}/responses?api-version=1", body)
    included = "api-version=1&include%5B%5D=a.b&include%5B%5D=c"
    assert found.url(Retrieve(), "r") == f"{BASE}/responses/r?{included}"
    streamed = f"{BASE}/responses/r?{included}&stream=true&include_obfuscation=false"
    assert found.url(Connect(), "r") == streamed
    assert found.url(Connect(7), "r") == f"{streamed}&starting_after=7"


def test_mka1_spells_include_without_brackets() -> None:
    found = of("POST", "https://apigw.mka1.com/api/v1/llm/responses", b'{"stream":true,"include":["a"]}')
    assert found.url(Retrieve(), "r").endswith("/r?include=a")


@pytest.mark.parametrize("include", [b"1", b'["a", 1]', b"null"])
def test_an_include_that_makes_no_sense_is_left_out(include: bytes) -> None:
    found = of("POST", f"{BASE}/responses", b'{"stream":true,"stream_options":3,"include":%b}' % include)
    assert found.url(Connect(), "r") == f"{BASE}/responses/r?stream=true"


def test_a_get_keeps_its_query_but_for_its_cursor() -> None:
    found = of("GET", f"{BASE}/responses/resp%2F1?stream=true&starting_after=3&include[]=a&include_obfuscation=false")
    assert (found.response_id, found.starting_after, found.can_resume) == ("resp/1", 3, True)
    assert found.url(Retrieve(), "resp/1") == f"{BASE}/responses/resp%2F1?include%5B%5D=a"
    asked = "include%5B%5D=a&stream=true&include_obfuscation=false&starting_after=9"
    assert found.url(Connect(9), "resp/1") == f"{BASE}/responses/resp%2F1?{asked}"


def test_headers_of_the_body_are_left_out() -> None:
    given = [("Authorization", "Bearer k"), ("Content-Type", "x"), ("IDEMPOTENCY-KEY", "1"), ("Accept", "y")]
    kept = [("Authorization", "Bearer k"), ("accept-encoding", "identity")]
    assert sorted(continuing_headers(given, Connect())) == sorted([*kept, ("accept", "text/event-stream")])
    assert sorted(continuing_headers(given, Retrieve())) == sorted([*kept, ("accept", "application/json")])
