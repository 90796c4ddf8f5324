"""A request as bytes and bytes as a reply, without a socket."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.client.conformance import chunk, head
from streamfold.client.transport.http1 import Destination, ReplyParser, destination_of, request_bytes
from streamfold.client.transport.transport import Request
from streamfold.errors import Disconnected, InvalidArgument, ProtocolViolation

WHOLE = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + head() + chunk(b"one") + chunk(b"two") + b"0\r\nx-t: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("http://host", Destination("host", 80, False, "/", "host")),
        ("https://host:8443/v1?a=1&b", Destination("host", 8443, True, "/v1?a=1&b", "host:8443")),
        ("http://[::1]:80/x", Destination("::1", 80, False, "/x", "[::1]:80")),
        ("https://HOST/#part", Destination("host", 443, True, "/", "HOST")),
    ],
)
def test_a_url_says_where_to_go(url: str, destination: Destination) -> None:
    assert destination_of(url) == destination


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1",
        "host/v1",
        "ftp://host/",
        "http://",
        "http://user:key@host/",
        "http://host:no/",
        "http://host/a b",
        "http://hôst/",
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        destination_of(url)
    assert caught.value.name == "url"


def test_a_request_is_written_with_what_every_request_needs() -> None:
    request = Request(method="POST", url="http://host/v1", headers=(("X-One", "1"), ("User-Agent", "mine")), body=b"{}")
    assert request_bytes(request, destination_of(request.url)).split(b"\r\n") == [
        b"POST /v1 HTTP/1.1",
        b"host: host",
        b"X-One: 1",
        b"User-Agent: mine",
        b"accept-encoding: identity",
        b"connection: close",
        b"content-length: 2",
        b"",
        b"{}",
    ]


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [("GET", "x", "1\r\nevil: 1"), ("GET", "x", "1\n"), ("GET", "x y", "1"), ("GET", "", "1"), ("GE T", "x", "1")],
)
def test_a_request_that_would_break_its_lines_is_refused(method: str, name: str, value: str) -> None:
    request = Request(method=method, url="http://host/", headers=((name, value),))
    with pytest.raises(InvalidArgument):
        request_bytes(request, destination_of(request.url))


@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=20))
def test_cutting_the_bytes_anywhere_gives_the_same_reply(cuts: list[int]) -> None:
    parser = ReplyParser()
    places = [0, *sorted(set(cuts)), len(WHOLE)]
    for start, end in pairwise(places):
        parser.feed(WHOLE[start:end])
    assert (parser.status, b"".join(parser.bodies), parser.is_over, parser.failure) == (200, b"onetwo", True, None)
    assert parser.headers == {"content-type": "text/event-stream", "transfer-encoding": "chunked"}


def test_headers_of_one_name_are_joined() -> None:
    parser = ReplyParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n")
    assert parser.headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        pytest.param(b"", Disconnected, id="nothing came"),
        pytest.param(b"HTTP/1.1 200 O", Disconnected, id="inside the head"),
        pytest.param(head() + chunk(b"one"), Disconnected, id="between chunks"),
        pytest.param(head(transfer_encoding="", content_length="9") + b"one", Disconnected, id="short of its length"),
        pytest.param(head(transfer_encoding="") + b"one", None, id="a body that ends so"),
        pytest.param(WHOLE, None, id="whole"),
        pytest.param(b"ICY 200 OK\r\n\r\n", ProtocolViolation, id="another protocol"),
    ],
)
def test_the_end_of_the_connection_ends_the_reply(data: bytes, failure: type[Exception] | None) -> None:
    parser = ReplyParser()
    parser.feed(data)
    if not parser.is_over:
        parser.feed_end()
    assert parser.is_over
    assert (type(parser.failure) if parser.failure else None) is failure


def test_what_comes_behind_a_whole_reply_changes_nothing() -> None:
    parser = ReplyParser()
    parser.feed(WHOLE + b"garbage\r\n\r\n")
    assert (parser.bodies, parser.failure) == ([b"one", b"two"], None)


def test_a_reply_to_head_has_no_body() -> None:
    parser = ReplyParser(method="HEAD")
    parser.feed(head(transfer_encoding="", content_length="9"))
    assert parser.is_over
