"""Requests that two servers could read differently, and those that no two can."""

import pytest

from streamfold.serving import smuggling, written_refusal

HOST = (b"host", b"a")
LENGTH = (b"content-length", b"5")
CHUNKED = (b"transfer-encoding", b"chunked")

REFUSED = [
    pytest.param([HOST, LENGTH, CHUNKED], "both Content-Length and Transfer-Encoding", id="both"),
    pytest.param([HOST, LENGTH, LENGTH], "at most one Content-Length", id="two equal lengths"),
    pytest.param([HOST, LENGTH, (b"content-length", b"6")], "at most one Content-Length", id="two lengths"),
    pytest.param([HOST, (b"content-length", b"+5")], "digits alone", id="a sign"),
    pytest.param([HOST, (b"content-length", b"5, 5")], "digits alone", id="a list"),
    pytest.param([HOST, (b"content-length", b"0x5")], "digits alone", id="hexadecimal"),
    pytest.param([HOST, (b"content-length", b"")], "digits alone", id="no digits"),
    pytest.param([HOST, (b"content-length", b"9" * 19)], "digits alone", id="too many digits"),
    pytest.param([HOST, CHUNKED, CHUNKED], "The only Transfer-Encoding", id="chunked twice"),
    pytest.param([HOST, (b"transfer-encoding", b"gzip, chunked")], "The only Transfer-Encoding", id="a coding more"),
    pytest.param([HOST, (b"transfer-encoding", b"xchunked")], "The only Transfer-Encoding", id="another coding"),
    pytest.param([HOST, (b"transfer-encoding", b"chunked;q=1")], "The only Transfer-Encoding", id="a parameter"),
    pytest.param([HOST, HOST], "exactly one Host", id="two hosts"),
    pytest.param([], "exactly one Host", id="no host"),
    pytest.param([HOST, (b"connection", b"close, Authorization")], "must not name authorization", id="the key"),
    pytest.param([HOST, (b"connection", b"x"), (b"connection", b"content-length")], "must not name", id="the length"),
    pytest.param([HOST, (b"x", b"a\rb")], "control character", id="CR"),
    pytest.param([HOST, (b"x", b"a\nb")], "control character", id="LF"),
    pytest.param([HOST, (b"x", b"a\0b")], "control character", id="NUL"),
    pytest.param([HOST, (b"x", b"a\x7fb")], "control character", id="DEL"),
]
TAKEN = [
    pytest.param([HOST], id="no body"),
    pytest.param([HOST, LENGTH], id="a length"),
    pytest.param([HOST, (b"content-length", b" 5\t")], id="a length among blanks"),
    pytest.param([HOST, CHUNKED], id="chunked"),
    pytest.param([HOST, (b"transfer-encoding", b"Chunked")], id="chunked in capitals"),
    pytest.param([HOST, (b"connection", b"keep-alive, x-mine")], id="a header of the hop"),
    pytest.param([HOST, (b"x", "ü\t".encode())], id="bytes beyond ASCII"),
]


@pytest.mark.parametrize(("headers", "why"), REFUSED)
def test_a_request_that_can_be_read_in_two_ways_is_refused(headers: list[tuple[bytes, bytes]], why: str) -> None:
    assert why in smuggling(b"/v1", "1.1", headers)


@pytest.mark.parametrize("headers", TAKEN)
def test_any_other_is_not(headers: list[tuple[bytes, bytes]]) -> None:
    assert smuggling(b"/v1/%2e%2e//x?a=b", "1.1", headers) == ""


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a\rb", b"/a\x00", "/ü".encode()])
def test_a_target_is_of_visible_characters(target: bytes) -> None:
    assert "percent-encoded" in smuggling(target, "1.1", [HOST])


def test_the_first_version_of_http_has_neither_chunks_nor_needs_a_host() -> None:
    assert smuggling(b"/", "1.0", []) == ""
    assert "The only Transfer-Encoding" in smuggling(b"/", "1.0", [CHUNKED])


@pytest.mark.parametrize(("status", "kind"), [(400, b"invalid_request_error"), (503, b"server_error")])
def test_a_refusal_is_a_whole_answer_that_ends_the_connection(status: int, kind: bytes) -> None:
    head, _, body = written_refusal(status, "No.").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert [part in head for part in (b"connection: close", b"content-length: %d" % len(body))] == [True, True]
    assert [part in body for part in (b'"No."', kind)] == [True, True]
