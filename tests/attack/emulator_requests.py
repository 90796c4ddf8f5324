"""Hostile requests to an emulator: a table of them for both dialects, and a runner that judges what came back.

Each is answered within a deadline, with success or a typed JSON error, or its connection is closed. `make attack` and
tests/emulator/test_hostile_requests.py run the same table; `python -m tests.attack.emulator_requests URL` runs it against an emulator
that runs already, such as one started with `streamfold emulator --key key --request-seconds 1`.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio

from streamfold.schema import DIALECTS
from streamfold.schema.parameter import create_rules
from tests.emulator.rawclient import Raw

KEY = "key"
DEADLINE_SECONDS = 10.0
PREFIXES = {"mka1": "/api/v1/llm", "openai": "/v1"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ANY = tuple(range(200, 600))
SOON = "a sentence"


@dataclass(frozen=True)
class Scenario:
    """One connection: what is sent on it, and which answers are right; nothing at all is right if it may be closed."""

    name: str
    sent: bytes
    statuses: tuple[int, ...] = (400,)
    may_close: bool = False
    ends_writing: bool = False


@dataclass(frozen=True)
class Verdict:
    """What came of a scenario. problem: what is wrong with it; None if it is right."""

    scenario: Scenario
    status: int
    problem: str | None


def request(
    method: str, path: str, body: bytes | Any = b"", *, length: int | None = None, key: str | None = KEY, **more: str
) -> bytes:
    """The bytes of a request. `more`: headers, their names with `_`; an empty one is left out."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"host": "localhost", "connection": "close", "content-length": str(len(content))}
    headers |= {} if key is None else {"authorization": f"Bearer {key}"}
    headers |= {} if length is None else {"content-length": str(length)}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + content


# Webhook URLs: of every scheme, port, alphabet and kind of host

GOOD_URLS = """http://127.0.0.1:1/ http://localhost:1/x?y=z#f http://[::1]:1/ http://10.255.255.1/ http://169.254.169.254/latest
    http://example.invalid/ https://127.0.0.1:1/ http://0.0.0.0:1/ http://127.1:1/ http://xn--bcher-kva.invalid/
    http://b\u00fccher.invalid/ http://127.0.0.1:65535/ http://2130706433:1/""".split()
BAD_URLS = [
    *"""http://127.0.0.1:99999/ http://127.0.0.1:0/ http://127.0.0.1:-1/ http://127.0.0.1:abc/ http://999.999.999.999/
    http://[::1 http://[:::]/ http:// https:// http:///path http://.. http://a..b/ http://xn--/ http://\u20ac.com/
    http://user:secret@127.0.0.1/ http://:@127.0.0.1/ ftp://127.0.0.1/ file:///etc/passwd gopher://127.0.0.1/ data:,x
    javascript:alert(1) //127.0.0.1/ 127.0.0.1 http:127.0.0.1 http://%41/ unix:///run/x ws://127.0.0.1/""".split(),
    "http://exa\nmple.com/",
    "http://127.0.0.1/\r\nx: y",
    "http://a b/",
    " http://127.0.0.1/",
    "http://127.0.0.1/\x00",
    "http://\u202e/",
    "http://" + "a" * 64 + ".com/",
    "http://127.0.0.1/" + "a" * 10_000,
    "http://127.0.0.1:" + "9" * 5000 + "/",
    "",
    5,
    ["http://127.0.0.1/"],
    {"url": "http://127.0.0.1/"},
    True,
]


def webhooks(prefix: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    for url in (*GOOD_URLS, *BAD_URLS):
        body = {"model": "m", "input": SOON, "background": True, "webhook_url": url}
        yield (
            f"webhook {str(url)[:40]!r}",
            request("POST", f"{prefix}/responses", body),
            (200,) if url in GOOD_URLS else (400,),
        )
    for secret in ("short", "whsec_", "whsec_c2hvcnQ=", "\u00e9" * 7, 5, [], "s" * 10_000):
        body = {"model": "m", "background": True, "webhook_url": "http://127.0.0.1:1/", "webhook_secret": secret}
        yield f"secret {str(secret)[:20]!r}", request("POST", f"{prefix}/responses", body), (400,)


# Bodies


def nested(opening: str, inside: str, closing: str, depth: int) -> bytes:
    return (opening * depth + inside + closing * depth).encode()


def create_with(name: str, value: bytes) -> bytes:
    return b'{"model":"m","' + name.encode() + b'":' + value + b"}"


BODIES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "nothing": (b"", (400,)),
    "no JSON": (b"{", (400,)),
    "a number": (b"5", (400,)),
    "a list": (b"[]", (400,)),
    "null": (b"null", (400,)),
    "a byte order mark": (b"\xef\xbb\xbf{}", (400,)),
    "UTF-16": ('{"model":"m"}'.encode("utf-16"), (400,)),
    "invalid UTF-8": (b'{"model":"\xff"}', (400,)),
    "an overlong character": (b'{"model":"\xc0\x80"}', (400,)),
    "half a surrogate": (b'{"model":"\\ud800"}', (400,)),
    "NaN": (create_with("temperature", b"NaN"), (400,)),
    "Infinity": (create_with("temperature", b"-Infinity"), (400,)),
    "a number beyond floats": (create_with("temperature", b"1e999"), (400,)),
    "NUL": (b"\x00" * 1000, (400,)),
    "lists in lists": (nested("[", "", "]", 100_000), (400,)),
    "objects in objects": (nested('{"a":', "1", "}", 100_000), (400,)),
    "lists that never end": (b"[" * 100_000, (400,)),
    "a deep input": (create_with("input", nested("[", "", "]", 500)), (400,)),
    "a deep content": (create_with("input", b'[{"role":"user","content":' + nested("[", "", "]", 900) + b"}]"), (400,)),
    "a deep schema": (
        create_with(
            "text", b'{"format":{"type":"json_schema","name":"n","schema":' + nested('{"items":', "1", "}", 900) + b"}}"
        ),
        (400,),
    ),
    "deep metadata": (create_with("metadata", nested('{"a":', '""', "}", 400)), (400,)),
    "a deep unknown field": (create_with("x", nested("[", "", "]", 900)), (400,)),
    "more lists than fit": (create_with("x", b"[" + b"[]," * 200_000 + b"[]]"), (200, 413, 429)),
    "the same key often": (b'{"model":"m",' + b'"input":"a",' * 20_000 + b'"input":"b"}', (200,)),
    "a long model": (create_with("user", b'"' + b"u" * 200_000 + b'"'), (200, 413)),
    "much metadata": (create_with("metadata", json.dumps({f"{n:064}": "v" * 512 for n in range(17)}).encode()), (400,)),
    "long metadata": (create_with("metadata", b'{"k":"' + b"v" * 100_000 + b'"}'), (400,)),
    "metadata of numbers": (create_with("metadata", b'{"k":1}'), (400,)),
    "many tools": (create_with("tools", b"[" + b'{"type":"mcp"},' * 5000 + b'{"type":"mcp"}]'), (400,)),
    "many functions": (
        create_with("tools", b"[" + b'{"type":"function","name":"f"},' * 500 + b'{"type":"mcp"}]'),
        (400,),
    ),
    "many includes": (
        create_with("include", b'["file_search_call.results"' + b',"file_search_call.results"' * 5000 + b"]"),
        (400,),
    ),
    "many allowed tools": (
        create_with("tool_choice", b'{"type":"allowed_tools","tools":[' + b"{}," * 5000 + b"{}]}"),
        (400,),
    ),
    "allowed tools that are none": (
        b'{"model":"m","tools":[{"type":"mcp"}],"tool_choice":{"type":"allowed_tools","tools":5}}',
        (200, 400),
    ),
    "allowed tools in allowed tools": (
        b'{"model":"m","tools":[{"type":"mcp"}],"tool_choice":{"type":"allowed_tools","tools":[5,{"type":"allowed_tools","tools":5}]}}',
        (200, 400),
    ),
    "modalities that are none": (create_with("modalities", b"5"), (200, 400)),
    "a wide schema": (
        create_with(
            "text",
            b'{"format":{"type":"json_schema","name":"n","schema":{"properties":{'
            + b",".join(b'"p%d":{"type":"string"}' % n for n in range(5000))
            + b"}}}}",
        ),
        (200,),
    ),
    "a minimum beyond numbers": (
        create_with("text", b'{"format":{"type":"json_schema","name":"n","schema":{"type":"number","minimum":1e308}}}'),
        (200,),
    ),
    "a minimum of 4,000 digits": (
        create_with(
            "text",
            b'{"format":{"type":"json_schema","name":"n","schema":{"type":"integer","minimum":' + b"9" * 4000 + b"}}}",
        ),
        (200, 400),
    ),
    "an item that is none": (create_with("input", b"[5]"), (400,)),
    "an item without anything": (create_with("input", b"[{}]"), (200,)),
    "background, not stored": (b'{"model":"m","background":true,"store":false}', (400,)),
    "no model": (b"{}", (400,)),
    "a previous one that is not there": (create_with("previous_response_id", b'"' + b"r" * 50_000 + b'"'), (400,)),
}
LONG_NUMBERS = [b"9" * 25, b"9" * 4299, b"9" * 4301, b"9" * 5000, b"-" + b"9" * 5000, b"0." + b"9" * 5000, b"1e5000"]
COUNTED = ("max_output_tokens", "top_logprobs", "temperature", "max_tool_calls", "top_k")


def bodies(prefix: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    path = f"{prefix}/responses"
    for name, (body, statuses) in BODIES.items():
        yield f"body: {name}", request("POST", path, body), statuses
    for number in LONG_NUMBERS:
        for name in COUNTED:
            yield (
                f"{name} of {number[:6]!r}, {len(number)} digits",
                request("POST", path, create_with(name, number)),
                (200, 400),
            )
    for endpoint in ("/responses/compact", "/responses/input_tokens", "/batches", "/responses/resp_1"):
        for name in ("no JSON", "lists in lists", "a deep content", "invalid UTF-8", "a number"):
            yield f"{endpoint}: {name}", request("POST", prefix + endpoint, BODIES[name][0]), (400, 404)
    yield (
        "a batch of a long file",
        request("POST", f"{prefix}/batches", {"input_file_id": "f" * 100_000, "endpoint": "/v1/responses"}),
        (200, 413),
    )
    yield (
        "a wrong batch",
        request("POST", f"{prefix}/batches", {"input_file_id": [], "endpoint": {}, "max_concurrency": 10**30}),
        (400,),
    )


def wrong_types(prefix: str, dialect: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    """Every parameter of a create with a value of each kind of JSON."""
    for name in create_rules(DIALECTS[dialect]):
        for value in (5, -1.5, "x", [], [5], {}, {"a": None}, True):
            body = {"model": "m", "input": SOON, "max_output_tokens": 5} | {name: value}
            yield f"{name} is {json.dumps(value)}", request("POST", f"{prefix}/responses", body), (200, 400)


# Prompts that ask for too much

PROMPTS = [
    "count to 1000000000000",
    "count to " + "9" * 5000,
    "count to 1" + ",000" * 2000,
    "9" * 5000 + " tokens",
    "999,999,999,999 pages",
    "echo: " + "a " * 30_000,
    "1," * 50_000 + "1 pages",
    "1" * 100_000,
    "count " * 5_000,
    "echo " * 3_000,
    "count to 1000000000000, fail",
    "a story of 1000000000 sentences, cite, think, filter, error event",
]


def prompts(prefix: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    for prompt in PROMPTS:
        for more in ({}, {"stream": True}, {"background": True}, {"max_output_tokens": 3}):
            body = {"model": "m", "input": prompt, **more}
            yield f"prompt {prompt[:25]!r} {more}", request("POST", f"{prefix}/responses", body), (200, 400)


# Faults

FAULTS = [
    *(
        f"{kind}:status={status}"
        for kind in ("refuse", "html")
        for status in ("99999", "0", "-1", "99", "600", "9" * 5000)
    ),
    *(f"html:status={status}" for status in (100, 101, 204, 205, 304)),
    "refuse:retry_after=" + "9" * 400,
    "refuse:retry_after=inf",
    "refuse:retry_after=nan",
    "stall:seconds=1e300",
    "stall:seconds=inf",
    "drop:after_events=" + "9" * 5000,
    "drop:after_bytes=1" + "0" * 4000,
    "renumber:by=" + "9" * 4299,
    "renumber:by=-" + "9" * 4299,
    "duplicate:count=1" + "0" * 4000,
    "duplicate:count=99999999999999999999",
    "explode",
    "explode" * 1000,
    "drop:" + "x" * 1000 + "=1",
    "drop:how=" + "x" * 1000,
    ";".join(["gzip"] * 1000),
    "drop:after_events=\u0663",
    "\u00e9",
]


def faults(prefix: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    for fault in FAULTS:
        sent = request("POST", f"{prefix}/responses", {"model": "m", "input": "hi"}, x_streamfold_fault=fault)
        yield f"fault {fault[:30]!r}", sent, (200, 400) if fault == "drop:after_events=\u0663" else (400,)


# Paths, queries, methods

PATHS = [
    "/", "/v1", "/v1/", "//v1/responses", "/v1/responses/../../etc/passwd", "/v1/responses/%2e%2e", "/v1/responses/a/b/c",
    "/v1/responses/resp_1/cancel/x", "/v1/responses/resp_1/%00", "/v1/responses/%ff%fe", "/v1/responses/%0d%0ax:%20y",
    "/v1/responses/" + "a" * 20_000, "/v1/chat/completions", "/v1/responses/wake", "/_emulator", "/_emulator/journal/x",
    "/api/v1/llm/responses/input_tokens/x", "/v1/batches/../responses/x/y", "/%2fv1/responses/x/y", "/v1/files", "/favicon.ico",
]  # fmt: skip
QUERIES = [
    "limit=" + "9" * 5000,
    "limit=000000001" + "9" * 5000,
    "limit=-1",
    "limit=1e9",
    "limit=%00",
    "limit=%d9%a3",
    "order=%27;drop",
    "include=" + "&include[]=".join(["x"] * 1000),
    "include[]=file_search_call.results" * 2,
    "starting_after=" + "9" * 5000,
    "after=" + "a" * 20_000,
    "=" * 5000,
    "&" * 20_000,
    "%" * 5000,
    "stream=true&starting_after=" + "9" * 30,
]
ROUTES = [
    "/responses", "/responses/resp_1", "/responses/resp_1/cancel", "/responses/resp_1/input_items", "/responses/compact",
    "/responses/input_tokens", "/batches", "/batches/batch_1", "/batches/batch_1/cancel", "/models", "/models/toy",
]  # fmt: skip
METHODS = ["PUT", "PATCH", "TRACE", "HEAD", "OPTIONS", "PROPFIND", "SEARCH"]


def addresses(prefix: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    for query in QUERIES:
        for path in ("/responses", "/responses/resp_1", "/responses/resp_1/input_items", "/batches"):
            yield f"{path}?{query[:25]}", request("GET", f"{prefix}{path}?{query}"), (200, 400, 404)
    for route in ROUTES:
        for method in METHODS:
            known = {"HEAD": (200, 404, 405), "OPTIONS": (204,)}.get(method, (404, 405))
            yield f"{method} {route}", request(method, prefix + route), known
        for key, name in (
            (None, "no"),
            ("wrong", "a wrong"),
            ("\u043a\u043b\u044e\u0447", "a foreign"),
            ("k" * 50_000, "a long"),
            ("", "an empty"),
        ):
            yield f"{route} with {name} key", request("POST", prefix + route, b'{"model":"m"}', key=key), (401,)
    yield "an upgrade to WebSocket", request("GET", f"{prefix}/responses", connection="upgrade", upgrade="websocket", sec_websocket_key="x" * 22 + "==", sec_websocket_version="13"), (426,)  # fmt: skip


def others() -> Iterator[Scenario]:
    for path in PATHS:
        yield Scenario(f"path {path[:40]!r}", request("GET", path), (404, 405, 400))
    for key in (None, "wrong"):
        yield Scenario(f"the journal with key {key}", request("GET", "/_emulator/journal", key=key), (401,))
        yield Scenario(f"an unknown path with key {key}", request("GET", "/nothing", key=key), (401,))
    yield Scenario("liveness needs no key", request("GET", "/healthz", key=None), (200,))


# Bytes that are not a request, or one that never ends

POST = b"POST /v1/responses HTTP/1.1\r\nhost: a\r\nauthorization: Bearer key\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
PIPELINED = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
RAW: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200, (400,)),
    "noise": (bytes(range(256)) * 4, (400,)),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\n\r\n", (400,)),
    "no version": (b"GET /\r\n\r\n", (400, 401)),
    "an unknown method": (b"EAT / HTTP/1.1\r\n\r\n", (400,)),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", (400, 401, 404)),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", (204,)),
    "an absolute URL": (request("GET", "http://evil.example/v1/responses/x/y"), (400, 404)),
    "a URL without a path": (request("GET", "http://evil.example"), (400, 404)),
    "a path that is not ASCII": (b"GET /v1/\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n", (400,)),
    "a header without a colon": (b"GET / HTTP/1.1\r\nhost a\r\n\r\n", (400,)),
    "NUL in a header": (b"GET / HTTP/1.1\r\na: b\x00c\r\n\r\n", (400,)),
    "a folded header": (b"GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", (400,)),
    "bare line feeds": (b"GET / HTTP/1.1\na: b\n\n", (400,)),
    "1,000 headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n", (431,)),
    "a header of a megabyte": (b"GET / HTTP/1.1\r\na: " + b"b" * 2**20 + b"\r\n\r\n", (431,)),
    "a URL of a megabyte": (b"GET /" + b"b" * 2**20 + b" HTTP/1.1\r\n\r\n", (431,)),
    "a method of a megabyte": (b"G" * 2**20, (400, 431)),
    "two lengths": (POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", (400,)),
    "a length and chunks": (POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    "a length beyond numbers": (POST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n", (400,)),
    "a length below zero": (POST + b"content-length: -5\r\n\r\n", (400,)),
    "a chunk beyond numbers": (CHUNKED + b"ffffffffffffffffff\r\n", (400,)),
    "a chunk that is none": (CHUNKED + b"xyz\r\n", (400,)),
    "a chunk with a long name": (CHUNKED + b"5;" + b"x" * 2**20 + b"\r\n", (400, 431)),
    "trailers without end": (CHUNKED + b"5\r\nhello\r\n0\r\n" + b"a: b\r\n" * 50_000, (400, 431)),
    "a trailer of a megabyte": (CHUNKED + b"5\r\nhello\r\n0\r\na: " + b"b" * 2**20, (400, 431)),
    "1,000 requests at once": (PIPELINED * 1000, (200, 400)),
    "1,000 requests without a key": (b"GET /v1/responses HTTP/1.1\r\nhost: a\r\n\r\n" * 1000, (401, 400)),
    "noise after a request": (PIPELINED + b"\x00\xff" * 100, (200, 400)),
    "a head that stops": (b"GET /v1/responses HTTP/1.1\r\nhost: a\r\n", (408,)),
    "a first line that stops": (b"GE", (408,)),
    "nothing": (b"", (408,)),
    "a body that stops": (POST + b"content-length: 100\r\n\r\n{", (408,)),
    "a body that never begins": (POST + b"content-length: 100\r\n\r\n", (408,)),
    "chunks that stop": (CHUNKED + b"5\r\nhello\r\n", (408,)),
    "a chunk that stops": (CHUNKED + b"5\r\nhe", (408,)),
    "a body that the head promises to be huge": (POST + b"content-length: 999999999999\r\n\r\n{", (408, 413)),
    "a body that is too long": (POST + b"content-length: 8388608\r\n\r\n" + b" " * 2**23, (413,)),
    "chunks that are too long": (CHUNKED + (b"10000\r\n" + b" " * 2**16 + b"\r\n") * 128, (413,)),
    "one byte a chunk": (CHUNKED + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n", (400,)),
    "a body without the key": (request("POST", "/v1/responses", b" " * 2**22, key="wrong"), (401,)),
    "an endless body without the key": (request("POST", "/v1/responses", b" " * 2**16, length=10**12, key="wrong"), (401,)),
    "an expectation without the key": (request("POST", "/v1/responses", length=100, key="wrong", expect="100-continue"), (401,)),
    "an expectation that is never met": (request("POST", "/v1/responses", length=100, expect="100-continue"), (408,)),
    "an upgrade to HTTP/2": (request("GET", "/healthz", connection="upgrade, http2-settings", upgrade="h2c", http2_settings="x"), (200,)),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", (200,)),
}  # fmt: skip


def scenarios() -> list[Scenario]:
    """All of them."""
    found = [*others()]
    for dialect, prefix in PREFIXES.items():
        rows = [webhooks, bodies, prompts, faults, addresses]
        made = [row for rows_of in rows for row in rows_of(prefix)] + [*wrong_types(prefix, dialect)]
        found += [Scenario(f"{dialect}, {name}", sent, statuses) for name, sent, statuses in made]
    for name, (sent, statuses) in RAW.items():
        found.append(Scenario(f"bytes: {name}", sent, statuses, may_close=True))
        # The same, and then the client says that it will send no more.
        found.append(Scenario(f"bytes: {name}, half closed", sent, ANY, may_close=True, ends_writing=True))
    return found


# The runner


async def judge(url: str, scenario: Scenario, *, deadline_seconds: float = DEADLINE_SECONDS) -> Verdict:
    """Send it, and judge what came back."""
    came = bytearray()
    host, _, port = url.removeprefix("http://").partition(":")
    with anyio.move_on_after(deadline_seconds) as scope:
        async with await anyio.connect_tcp(host, int(port)) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(_send, stream, scenario)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    came += await stream.receive()
            tasks.cancel_scope.cancel()
    raw = Raw(bytes(came).removeprefix(CONTINUE))
    is_late = scope.cancelled_caught and not (raw.data and raw.is_complete)
    return Verdict(scenario, raw.status, "neither answered nor closed in time" if is_late else _wrong(scenario, raw))


async def _send(stream: anyio.abc.SocketStream, scenario: Scenario) -> None:
    with suppress(anyio.BrokenResourceError, OSError):  # the server need not read on: what it answered is judged
        await stream.send(scenario.sent)
        if scenario.ends_writing:
            await stream.send_eof()


def _wrong(scenario: Scenario, raw: Raw) -> str | None:
    if not raw.data:
        return None if scenario.may_close else "closed without an answer"
    if raw.status not in scenario.statuses:
        return f"answered {raw.status}: {raw.payload[:200]!r}"
    if raw.status < 400 or scenario.sent.startswith(b"HEAD"):
        return None
    if not raw.headers.get("content-type", "").startswith("application/json"):
        return f"{raw.status} with content type {raw.headers.get('content-type')}"
    try:
        error = json.JSONDecoder().raw_decode(raw.body.decode())[0]["error"]
    except (ValueError, KeyError, TypeError):
        return f"{raw.status} with a body that is no error: {raw.body[:200]!r}"
    if raw.status == 429 and isinstance(error, str):
        return None  # as MKA1 has it
    is_typed = isinstance(error, dict) and isinstance(error.get("message"), str) and isinstance(error.get("type"), str)
    return None if is_typed else f"an error without a type: {error!r}"


async def run(
    url: str, chosen: Iterable[Scenario] | None = None, *, at_once: int = 32, deadline_seconds: float = DEADLINE_SECONDS
) -> list[Verdict]:
    """Judge them all, several at a time; then that the emulator still answers."""
    waiting = list(scenarios() if chosen is None else chosen)
    verdicts: list[Verdict] = []
    places = count()

    async def work() -> None:
        while (place := next(places)) < len(waiting):
            verdicts.append(await judge(url, waiting[place], deadline_seconds=deadline_seconds))

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(work)
    body = {"model": "m", "input": "echo: still here"}
    for prefix in PREFIXES.values():
        after = Scenario(f"{prefix} afterwards", request("POST", f"{prefix}/responses", body), (200,))
        verdicts.append(await judge(url, after, deadline_seconds=deadline_seconds))
    return verdicts


def main() -> None:
    verdicts = anyio.run(run, sys.argv[1])
    bad = [each for each in verdicts if each.problem]
    for each in bad:
        print(f"{each.scenario.name}: {each.problem}")
    print(f"{len(verdicts)} hostile requests, {len(bad)} answered wrongly")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
