"""Servers that attack a client: each scenario is what one does with every connection, as bytes.

`SCENARIOS` names them `family: what`. A story is a function of its `Wire`; most only send bytes and hang up. `{key}` stands
in for the key that the client sent, since a hostile server repeats it wherever it can.
"""

import gzip
import json
import zlib
from collections.abc import Iterator

from streamfold.client.conformance.site import Story, Wire, chunk, head
from tests.attack.stories import (
    PIECE,
    RESPONSE,
    WHOLE,
    bomb,
    by_method,
    cancel_answers,
    completed,
    created,
    delta,
    dripped,
    endless,
    frame,
    plain,
    says,
    with_length,
)

# The families


def heads() -> Iterator[tuple[str, Story]]:
    """Heads that are not HTTP, or hardly."""
    lines = {
        "nothing": b"",
        "one byte": b"H",
        "text": b"hello\r\n\r\n",
        "HTTP/0.9 page": b"<html>hi</html>",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
        "HTTP/3.0": b"HTTP/3.0 200 OK\r\n\r\n",
        "SIP": b"SIP/2.0 200 OK\r\n\r\n",
        "no status": b"HTTP/1.1\r\n\r\n",
        "status 0": b"HTTP/1.1 0 X\r\n\r\n",
        "status 000": b"HTTP/1.1 000 X\r\n\r\n",
        "status 99": b"HTTP/1.1 99 X\r\n\r\n",
        "status 600": b"HTTP/1.1 600 X\r\n\r\n",
        "status 999": b"HTTP/1.1 999 X\r\n\r\n",
        "status 20000": b"HTTP/1.1 20000 X\r\n\r\n",
        "status -1": b"HTTP/1.1 -1 X\r\n\r\n",
        "status abc": b"HTTP/1.1 abc X\r\n\r\n",
        "status of 5000 digits": b"HTTP/1.1 " + b"2" * 5000 + b" X\r\n\r\n",
        "reason of 1 MB": b"HTTP/1.1 200 " + b"x" * (1 << 20) + b"\r\n\r\n",
        "reason with controls": b"HTTP/1.1 500 \x1b[2J\x07\r\ncontent-length: 0\r\n\r\n",
        "only line feeds": b"HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n" + WHOLE,
        "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        "204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "205": b"HTTP/1.1 205 Reset Content\r\n\r\n",
        "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
        "a thousand 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + plain() + WHOLE,
        "103 then nothing": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
    }
    for name, data in lines.items():
        yield f"head: {name}", says(data)
    for name, data in {"one byte": b"H", "half a head": plain()[:40], "103": b"HTTP/1.1 103 X\r\n\r\n"}.items():
        yield f"head: {name}, then silence", says(data, then="silence")
        yield f"head: {name}, then a reset", says(data, then="rst")
    yield "head: endless 100 Continue", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
    yield "head: dripped 100 Continue", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", drip=True)
    yield "head: endless header", endless(b"HTTP/1.1 200 OK\r\nx: ", b"y" * PIECE)
    yield "head: dripped header", endless(b"HTTP/1.1 200 OK\r\nx: ", b"y", drip=True)
    yield "head: endless headers", endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000)
    yield "head: endless status line", endless(b"HTTP/1.1 200 ", b"y" * PIECE)
    fields = {
        "no colon": b"nonsense",
        "empty name": b": x",
        "blank in the name": b"a b: x",
        "NUL in the value": b"a: x\0y",
        "lone CR in the value": b"a: x\ry",
        "folded": b"a: x\r\n  y",
        "first line folded": b" a: x",
        "not ASCII": "a: ü漢".encode(),
        "not UTF-8": b"a: \xff\xfe",
        "controls": b"a: \x1b[31m\x07\x00",
        "10,000 fields": b"\r\n".join(b"a%d: b" % each for each in range(10_000)),
        "1 MB": b"a: " + b"b" * (1 << 20),
        "two lengths": b"content-length: 5\r\ncontent-length: 6",
        "two equal lengths": b"content-length: 5\r\ncontent-length: 5",
        "length -1": b"content-length: -1",
        "length +5": b"content-length: +5",
        "length 0x5": b"content-length: 0x5",
        "length 1e3": b"content-length: 1e3",
        "length 2^64": b"content-length: 18446744073709551616",
        "length of 5000 digits": b"content-length: " + b"9" * 5000,
        "length in other digits": "content-length: ٥".encode(),
        "empty length": b"content-length:",
        "length and chunked": b"content-length: 5\r\ntransfer-encoding: chunked",
        "chunked twice": b"transfer-encoding: chunked, chunked",
        "chunked, then gzip": b"transfer-encoding: chunked, gzip",
        "unknown transfer": b"transfer-encoding: snappy",
        "xchunked": b"transfer-encoding: xchunked",
        "keep-alive of no seconds": b"keep-alive: timeout=0",
        "trailer named": b"trailer: x\r\ntransfer-encoding: chunked",
        "set-cookie": b"set-cookie: a=" + b"b" * 4000,
        "echoed key": b"x-your-key: {key}",
        "www-authenticate with the key": b'www-authenticate: Bearer realm="{key}"',
    }
    for name, field in fields.items():
        yield (
            f"field: {name}",
            says(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + field + b"\r\n\r\n" + WHOLE),
        )


def bodies() -> Iterator[tuple[str, Story]]:
    """Bodies whose framing lies."""
    begin = head()
    sizes = {
        "size that is no number": b"zz\r\n",
        "negative size": b"-5\r\n",
        "size with a sign": b"+5\r\nhello\r\n",
        "size 0x5": b"0x5\r\nhello\r\n",
        "size 2^64": b"10000000000000000\r\n",
        "size of 5000 digits": b"f" * 5000 + b"\r\n",
        "empty size": b"\r\n",
        "no CR LF behind": b"5\r\nhelloXX5\r\n",
        "line feed only": b"5\nhello\n0\n\n",
        "extension of 1 MB": b"5;" + b"x" * (1 << 20) + b"\r\nhello\r\n",
        "extension with quotes": b'5;a="\r\n"\r\nhello\r\n',
        "trailers of 1 MB": b"0\r\nx: " + b"y" * (1 << 20) + b"\r\n\r\n",
        "trailer that is a head": b"0\r\nHTTP/1.1 200 OK\r\n\r\n",
        "second answer behind": b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "end in the middle": chunk(created())[:-4],
        "reset in the middle": chunk(created())[:20],
    }
    for name, data in sizes.items():
        then = "rst" if name.startswith("reset") else "fin"
        yield f"chunk: {name}", says(begin + chunk(created()) + data, then=then)
    yield "chunk: endless extension", endless(begin + b"5;", b"x" * PIECE)
    yield "chunk: endless trailers", endless(begin + b"0\r\n", b"x: y\r\n" * 1000)
    yield (
        "chunk: a byte each",
        says(begin + b"".join(chunk(WHOLE[each : each + 1]) for each in range(len(WHOLE))) + chunk(b"")),
    )
    for name, length in {"longer than the body": len(WHOLE) + 5, "shorter than the body": 20, "0": 0}.items():
        yield f"length: {name}", says(head(transfer_encoding="", content_length=str(length)) + WHOLE)
    yield (
        "length: 10 GB, then silence",
        says(head(transfer_encoding="", content_length="10000000000") + created(), then="silence"),
    )
    kinds = ["", "text/html", "application/json", "application/x-ndjson", "text/plain", "application/octet-stream"]
    kinds += [
        "multipart/mixed; boundary=x",
        "text/event-streamx",
        "text/event-stream; charset=utf-16",
        "*/*",
        "a" * 10_000,
    ]
    for kind in kinds:
        yield f"type: {kind[:40] or 'none'}, with a stream", says(plain(kind=kind) + WHOLE)
        yield f"type: {kind[:40] or 'none'}, with text", says(plain(kind=kind) + b"Bad gateway {key}\n" * 50)
        yield f"type: {kind[:40] or 'none'}, endless", endless(plain(kind=kind), b"x" * PIECE)
        yield f"type: {kind[:40] or 'none'}, dripped blanks", endless(plain(kind=kind), b"\n", drip=True)


def encodings() -> Iterator[tuple[str, Story]]:
    """Compressed bodies: bombs, lies and ruins."""
    small = gzip.compress(WHOLE)
    for levels in (1, 2, 3):
        named = ", ".join(["gzip"] * levels)
        made = bomb(levels)
        yield f"encoding: bomb, {named}, a stream", says(plain(content_encoding=named) + made)
        yield f"encoding: bomb, {named}, JSON", says(plain(kind="application/json", content_encoding=named) + made)
        yield (
            f"encoding: bomb, {named}, an error",
            says(plain("400 Bad Request", "application/json", content_encoding=named) + made),
        )
    deflated = zlib.compress(b"data: " + bytes(64 << 20), 9)
    bare = zlib.compress(WHOLE)[2:-4]
    cases = {
        "deflate bomb": ("deflate", deflated),
        "deflate": ("deflate", zlib.compress(WHOLE)),
        "bare deflate": ("deflate", bare),
        "gzip": ("gzip", small),
        "x-gzip": ("x-gzip", small),
        "GZIP": ("GZIP", small),
        "gzip cut": ("gzip", small[:-9]),
        "gzip with a wrong sum": ("gzip", small[:-8] + bytes(8)),
        "gzip with rubbish behind": ("gzip", small + b"rubbish"),
        "gzip twice in a row": ("gzip", gzip.compress(created()) + gzip.compress(completed())),
        "gzip that is none": ("gzip", WHOLE),
        "gzip of nothing": ("gzip", b""),
        "deflate that is none": ("deflate", WHOLE),
        "br that is none": ("br", WHOLE),
        "zstd that is none": ("zstd", WHOLE),
        "compress": ("compress", WHOLE),
        "identity": ("identity", WHOLE),
        "none": ("none", WHOLE),
        "empty": (" ", WHOLE),
        "unknown": ("snappy", WHOLE),
        "unknown, with the key": ("{key}", WHOLE),
        "gzip, identity": ("gzip, identity", small),
        "forty times gzip": (", ".join(["gzip"] * 40), small),
        "a list of commas": (",,,,", WHOLE),
        "gzip of nothing, 50,000 times": ("gzip", gzip.compress(b"") * 50_000),
        "gzip of nothing, 50,000 times, in gzip": ("gzip, gzip", gzip.compress(gzip.compress(b"") * 50_000)),
        "gzip, gzip, of stored blocks of nothing": (
            "gzip, gzip",
            gzip.compress(small[:10] + b"\x00\x00\x00\xff\xff" * 5_000_000),
        ),
        "four times gzip, of one bomb": ("gzip, gzip, gzip, gzip", gzip.compress(bomb(3), 9)),
        "10 KB of name": ("x" * 10_000, WHOLE),
    }
    for name, (encoding, body) in cases.items():
        yield f"encoding: {name}", says(plain(content_encoding=encoding) + body)
    endless_gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    some = endless_gzip.compress(bytes(8 << 20)) + endless_gzip.flush(zlib.Z_FULL_FLUSH)
    more = endless_gzip.compress(bytes(8 << 20)) + endless_gzip.flush(zlib.Z_FULL_FLUSH)
    yield "encoding: gzip without end", endless(plain(content_encoding="gzip") + some, more)
    yield "encoding: rubbish behind gzip without end", endless(plain(content_encoding="gzip") + small, b"x" * PIECE)
    yield "encoding: gzip a byte at a time", dripped(plain(content_encoding="gzip") + small)


def frames() -> Iterator[tuple[str, Story]]:
    """Streams that are hardly SSE, or hardly JSON."""
    data = {
        "BOM": b"\xef\xbb\xbf" + WHOLE,
        "three BOMs": b"\xef\xbb\xbf" * 3 + WHOLE,
        "NULs": bytes(5000) + b"\n\n" + WHOLE,
        "not UTF-8": b"data: \xff\xfe\x80\n\n" + WHOLE,
        "half surrogates": created() + delta(1, delta="\ud83d") + completed(2),
        "CR only": WHOLE.replace(b"\n", b"\r"),
        "mixed line ends": WHOLE.replace(b"\n\n", b"\r\n\r"),
        "no blank line at the end": WHOLE[:-2],
        "[DONE] first": b"data: [DONE]\n\n" + WHOLE,
        "a thousand [DONE]": b"data: [DONE]\n\n" * 1000 + WHOLE,
        "retry of 10^12": b"retry: 1000000000000\n\n" + created(),
        "retry of 5000 digits": b"retry: " + b"9" * 5000 + b"\n\n" + created(),
        "retry -1": b"retry: -1\n\n" + created(),
        "id with NUL": b"id: a\0b\n" + WHOLE,
        "event of 1 MB": b"event: " + b"x" * (1 << 20) + b"\n" + WHOLE,
        "field of 1 MB": b"x" * (1 << 20) + b": y\n" + WHOLE,
        "100,000 data lines": b"data: x\n" * 100_000 + b"\n" + WHOLE,
        "100,000 empty data lines": b"data\n" * 100_000 + b"\n" + WHOLE,
        "100,000 comments": b": x\n" * 100_000 + WHOLE,
        "100,000 blank lines": b"\n" * 100_000 + WHOLE,
        "100,000 tiny events": b"data: {}\n\n" * 100_000 + WHOLE,
        "100,000 unknown events": b'data: {"type":"x"}\n\n' * 100_000 + WHOLE,
        "10 MB delta": created() + delta(1, delta="x" * (10 << 20)) + completed(2),
        "array of 100,000 levels": created() + b"data: " + b"[" * 100_000 + b"\n\n" + completed(),
        "object of 100,000 levels": created() + b"data: " + b'{"a":' * 100_000 + b"\n\n" + completed(),
        "response of 10,000 levels": b'data: {"type":"response.created","response":{"id":"resp_1","output":'
        + b"[" * 10_000
        + b"]" * 10_000
        + b"}}\n\n",
        "number of 10,000 digits": b'data: {"type":"response.created","sequence_number":' + b"9" * 10_000 + b"}\n\n",
        "1e999": b'data: {"type":"response.created","sequence_number":1e999,"response":{}}\n\n',
        "NaN": b'data: {"type":"response.created","sequence_number":NaN}\n\n' + WHOLE,
        "keys twice": b'data: {"type":"error","type":"response.created","sequence_number":0,"sequence_number":9}\n\n'
        + WHOLE,
        "no type": frame({"sequence_number": 0}) + WHOLE,
        "type of a list": frame({"type": ["response.created"]}) + WHOLE,
        "type of 1 MB": frame({"type": "x" * (1 << 20)}) + WHOLE,
        "type with controls": frame({"type": "\x1b]0;owned\x07"}) + WHOLE,
        "a scalar": b"data: 7\n\ndata: null\n\ndata: true\n\n" + WHOLE,
    }
    for name, body in data.items():
        yield f"frame: {name}", says(plain() + body)
    for name, again in {
        "line": b"x" * PIECE,
        "data line": b"data: " + b"x" * PIECE,
        "data lines": b"data: x\n" * 5000,
        "comments": b": x\n" * 5000,
        "blank lines": b"\n" * PIECE,
        "empty events": b"data\n\n" * 5000,
        "events": b"data: {}\n\n" * 5000,
        "keepalives": b'data: {"type":"keepalive"}\n\n' * 3000,
    }.items():
        yield f"frame: endless {name}", endless(plain() + created(), again)
        yield f"frame: dripped {name}", endless(plain() + created(), again[:64], drip=True)


ODD_NUMBERS: dict[str, object] = {
    "-1": -1,
    "-2^63": -(2**63),
    "2^53": 2**53,
    "2^63": 2**63,
    "2^64": 2**64,
    "10^300": 10**300,
    "1.5": 1.5,
    "1e300": 1e300,
    "text": "1",
    "a word": "x",
    "null": None,
    "true": True,
    "a list": [1],
    "an object": {"a": 1},
}


def numbers() -> Iterator[tuple[str, Story]]:
    """Numbers that are none, or far too large, wherever a number stands."""
    for name, value in ODD_NUMBERS.items():
        yield f"number: sequence_number {name}", says(plain() + created() + delta(value) + completed(2))
        yield f"number: of the end {name}", says(plain() + created() + completed(value))
        yield f"number: output_index {name}", says(plain() + created() + delta(1, output_index=value) + completed(2))
        yield f"number: content_index {name}", says(plain() + created() + delta(1, content_index=value) + completed(2))
    many = b"".join(delta(each, output_index=each * 1000) for each in range(1, 500))
    yield "number: 500 items far apart", says(plain() + created() + many + completed(500))
    yield "number: all 0", says(plain() + created() + delta(0) * 50 + completed(0))
    yield "number: counts down", says(plain() + created() + b"".join(map(delta, range(50, 0, -1))) + completed(51))
    yield "number: one missing, for ever", says(plain() + created() + delta(2) + completed(3))
    yield "number: another missing each time", _drifting()


def _drifting() -> Story:
    asked = iter(range(2, 1_000_000))

    async def story(wire: Wire) -> None:
        missing = next(asked)
        await wire.send(
            plain() + created() + b"".join(delta(each) for each in range(1, 40) if each % missing) + completed(41)
        )

    return story


IDS: dict[str, object] = {
    "empty": "",
    ".": ".",
    "..": "..",
    "../../x": "../../admin",
    "a URL": "http://127.0.0.1:1/steal",
    "a host": "//evil.example/x",
    "a query": "x?starting_after=0#y",
    "percent": "%2e%2e%2fadmin",
    "CR LF": "x\r\nx-injected: 1",
    "NUL": "x\0y",
    "ESC": "\x1b[2J",
    "bidi": "\u202ex",
    "blank": "a b",
    "unicode": "réponse-漢",
    "half a surrogate": "\ud800",
    "100 KB": "x" * 100_000,
    "equals": "cmVzcA==",
    "a number": 7,
    "null": None,
    "a list": ["resp_1"],
    "the key": "{key}",
}


def ids() -> Iterator[tuple[str, Story]]:
    """Ids that lead elsewhere, or are none."""
    for name, value in IDS.items():
        yield f"id: {name}", says(plain() + created(id=value) + delta(1))
        yield f"id: {name}, in JSON", says(with_length(json.dumps({**RESPONSE, "id": value}).encode()))
    yield "id: another in the end", says(plain() + created() + completed(1, id="resp_2"))
    yield (
        "id: two responses",
        says(plain() + created() + delta(1) + created(id="resp_2") + delta(1) + completed(2, id="resp_2")),
    )
    yield "id: another each time", _renamed()


def _renamed() -> Story:
    made = iter(range(1_000_000))

    async def story(wire: Wire) -> None:
        await wire.send(plain() + created(id=f"resp_{next(made)}") + delta(1))

    return story


def responses() -> Iterator[tuple[str, Story]]:
    """Responses whose fields are of other types than they should be."""
    odd: dict[str, object] = {
        "null": None,
        "a number": 7,
        "text": "x",
        "a list": [1, [2]],
        "an object": {"a": {"b": 1}},
    }
    for field in ("status", "output", "error", "usage", "incomplete_details", "background", "model"):
        for name, value in odd.items():
            yield (
                f"response: {field} {name}",
                says(plain() + created(**{field: value}) + completed(1, **{field: value})),
            )
    items: dict[str, object] = {
        "null": None,
        "of no type": {},
        "of an unknown type": {"type": "x" * 1000, "a": [1]},
        "with controls": {"type": "message", "role": "\x1b]0;x\x07", "content": "\x9b31m"},
        "content of text": {"type": "message", "content": "text"},
        "content of 10,000 parts": {"type": "message", "content": [{"type": "output_text", "text": "x"}] * 10_000},
        "arguments of a list": {"type": "function_call", "arguments": ["x"]},
    }
    for name, item in items.items():
        added = frame({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item})
        yield f"item: {name}", says(plain() + created() + added + delta(2) + completed(3))
        yield f"item: {name}, at the end", says(plain() + created() + delta(1) + completed(2, output=[item]))
    shapes: dict[str, object] = {
        "nested": {"type": "error", "error": {"message": "{key}", "code": 500}},
        "flat": {"type": "error", "message": "{key}", "code": "x"},
        "text": {"type": "error", "error": "{key}"},
        "untyped": {"error": {"message": "{key}"}},
        "detail": {"detail": "{key}"},
        "a list": {"type": "error", "error": ["{key}"]},
        "10 MB": {"type": "error", "message": "x" * (10 << 20)},
        "with controls": {"type": "error", "message": "\x1b[2J\u202e"},
    }
    for name, event in shapes.items():
        yield f"error event: {name}", says(plain() + created() + frame(event))
        yield (
            f"error event: {name}, after failed",
            says(plain() + created() + completed(1, status="failed") + frame(event)),
        )
    yield "end: twice", says(plain() + created() + completed(1) + completed(2, status="failed"))
    yield "end: then for ever", endless(plain() + created() + completed(1), delta(2) * 500)
    yield "end: then dripped", endless(plain() + created() + completed(1, status="failed"), b": x\n\n", drip=True)
    yield "end: none, for ever", says(plain() + created() + delta(1))
    yield "end: only [DONE]", says(plain() + created() + delta(1) + b"data: [DONE]\n\n")


def refusals() -> Iterator[tuple[str, Story]]:
    """Errors and redirects."""
    words: dict[str, bytes] = {
        "nothing": b"",
        "HTML": b"<!doctype html><title>{key}</title>" * 100,
        "an error": b'{"error":{"message":"no {key}","code":"x","type":"y"}}',
        "a numeric code": b'{"error":{"message":"no","code":12}}',
        "text": b'{"error":"no {key}"}',
        "detail": b'{"detail":"no {key}"}',
        "a list of details": b'{"detail":[{"msg":"no {key}"}]}',
        "not JSON": b"no {key}",
        "not UTF-8": b"\xff\xfe\x00",
        "deep": b'{"error":' * 50_000,
        "1 MB of words": b'{"error":{"message":"' + b"x" * (1 << 20) + b'"}}',
    }
    for status in (401, 403, 404, 409, 410, 413, 422, 429, 502, 503, 529):
        name, body = list(words.items())[status % len(words)]
        yield f"refusal: {status}, {name}", says(with_length(body, f"{status} X"))
    for name, body in words.items():
        yield f"refusal: 400, {name}", says(with_length(body, "400 X"))
        yield f"refusal: 500, {name}", says(with_length(body, "500 X"))
    for status in (400, 401, 404, 429, 500):
        begin = head(f"{status} X", content_type="application/json")
        yield f"refusal: {status}, endless", endless(begin, chunk(b"x" * PIECE))
        yield f"refusal: {status}, dripped", endless(begin, chunk(b"x"), drip=True)
        yield f"refusal: {status}, cut", says(begin + chunk(b'{"error":'))
        yield f"refusal: {status}, reset", says(begin + chunk(b'{"error":'), then="rst")
    for value in ("-1", "1e9", "nan", "inf", "1e999", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "٣"):
        yield f"retry-after: {value[:30]}", says(with_length(b"{}", "429 X", **{"retry-after": value}))
    places = {
        "itself": "",
        "another host": "http://127.0.0.1:9/steal",
        "another scheme": "https://127.0.0.1:9/",
        "file": "file:///etc/passwd",
        "javascript": "javascript:alert(1)",
        "no scheme": "//127.0.0.1:9/x",
        "credentials": "http://user:{key}@127.0.0.1:9/",
        "CR LF": "/x\ry",
        "not a URL": "http://[::1",
        "a port of 10 digits": "http://127.0.0.1:9999999999/",
        "100 KB": "/" + "x" * 100_000,
        "relative": "../other",
        "a backslash": "/\\127.0.0.1:9/steal",
        "a backslash before an at": "http://127.0.0.1\\@127.0.0.2:9/steal",
        "a user before an at": "http://127.0.0.1@127.0.0.2:9/steal",
        "a host with a dot behind": "http://127.0.0.1.:9/steal",
        "two places": "/other, http://127.0.0.1:9/steal",
        "the key": "/{key}?key={key}",
    }
    for name, place in places.items():
        for status in (302, 307, 308):
            yield (
                f"redirect: {status}, {name}",
                says(with_length(b"{}", f"{status} X", location=place or "/v1/responses/resp_1")),
            )
    yield "redirect: without a place", says(with_length(b"{}", "307 X"))


def connections() -> Iterator[tuple[str, Story]]:
    """Connections that end at every place, or bring too little."""
    answer = plain() + WHOLE
    for name, place in {"the head": 30, "the first event": len(plain()) + 30, "the end": len(answer) - 30}.items():
        yield f"connection: closed in {name}", says(answer[:place])
        yield f"connection: reset in {name}", says(answer[:place], then="rst")
        yield f"connection: silent in {name}", says(answer[:place], then="silence")
    yield "connection: reset at once", says(then="rst")
    yield "connection: silent at once", says(then="silence")
    yield "connection: a keepalive each", says(plain() + created() + frame({"type": "keepalive", "sequence_number": 1}))
    yield "connection: a comment each", says(plain() + b": x\n\n")
    yield "connection: dripped byte by byte", dripped(answer)
    open_for_ever = with_length(json.dumps(RESPONSE).encode())
    yield "GET: in_progress for ever", by_method(says(plain() + created() + delta(1)), says(open_for_ever))
    gets: dict[str, bytes] = {
        "not JSON": b"x",
        "null": b"null",
        "a list": b"[]",
        "of no status": b'{"id":"resp_1"}',
        "of an unknown status": b'{"id":"resp_1","status":"sleeping"}',
        "of another id": b'{"id":"resp_2","status":"completed","output":[]}',
        "deep": b'{"id":"resp_1","status":"completed","output":' + b"[" * 50_000,
        "half a surrogate": b'{"id":"resp_1","status":"completed","model":"\\ud800","output":[]}',
    }
    for name, body in gets.items():
        yield f"GET: {name}", by_method(says(plain() + created() + delta(1)), says(with_length(body)))
    yield (
        "GET: endless",
        by_method(says(plain() + created()), endless(head(content_type="application/json"), chunk(b" " * PIECE))),
    )
    yield (
        "GET: dripped",
        by_method(says(plain() + created()), endless(head(content_type="application/json"), chunk(b" "), drip=True)),
    )


def cancels() -> Iterator[tuple[str, Story]]:
    """Answers to a cancel."""
    answers = {
        "silence": says(then="silence"),
        "reset": says(then="rst"),
        "nothing": says(b""),
        "200, empty": says(with_length(b"")),
        "200, not JSON": says(with_length(b"x")),
        "200, deep": says(with_length(b'{"status":' * 50_000)),
        "200, an unknown status": says(with_length(b'{"id":"resp_1","status":"sleeping"}')),
        "200, another id": says(with_length(b'{"id":"resp_2","status":"cancelled"}')),
        "200, in_progress": says(with_length(json.dumps(RESPONSE).encode())),
        "200, cancelled": says(with_length(json.dumps({**RESPONSE, "status": "cancelled"}).encode())),
        "200, completed": says(with_length(json.dumps({**RESPONSE, "status": "completed"}).encode())),
        "204": says(b"HTTP/1.1 204 X\r\n\r\n"),
        "307 elsewhere": says(with_length(b"{}", "307 X", location="http://127.0.0.1:9/steal")),
        "400, synchronous": says(
            with_length(b'{"error":{"message":"Cannot cancel a synchronous response."}}', "400 X")
        ),
        "400, endless": endless(head("400 X", content_type="application/json"), chunk(b"x" * PIECE)),
        "400, dripped": endless(head("400 X", content_type="application/json"), chunk(b"x"), drip=True),
        "401": says(with_length(b"{}", "401 X")),
        "404": says(with_length(b"{}", "404 X")),
        "405": says(with_length(b"{}", "405 X")),
        "409": says(with_length(b"{}", "409 X")),
        "429, an hour": says(with_length(b"{}", "429 X", **{"retry-after": "3600"})),
        "500": says(with_length(b"{key}", "500 X")),
        "an event stream": says(plain() + WHOLE),
    }
    for name, answer in answers.items():
        yield f"cancel: {name}", cancel_answers(answer)


def scenarios() -> dict[str, Story]:
    """Every scenario by its name."""
    families = (heads, bodies, encodings, frames, numbers, ids, responses, refusals, connections, cancels)
    made = [pair for family in families for pair in family()]
    named = dict(made)
    if len(named) < len(made):
        raise ValueError("two scenarios have one name")
    return named
