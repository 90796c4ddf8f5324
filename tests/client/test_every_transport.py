"""What a gateway may answer, alike on httpx, httpx2, plain sockets and ASGI: ids, JSON, missing types, refusals, redirects."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import anyio
import pytest

from streamfold.client import Request
from streamfold.errors import ProtocolViolation, RequestRefused, TransportError, UnexpectedAnswer
from streamfold.session import OutcomeStatus, Patience
from tests.client.served import HELLO, KEY, MODEL, always, followed, json_told, on_every_transport, served, streamed
from tests.client.stub import EVENT_STREAM, JSON, Told, query_of, stream
from tests.conftest import sampled_product
from tests.session.made import added, body, created

pytestmark = pytest.mark.anyio

CUT = ConnectionError("cut")

# Ids

IDS = [
    "resp_YWJjZA==",
    "resp=1",
    "a/b",
    "../x",
    "a?b#c",
    "50%",
    "%2e%2e",
    "two words",
    " ",
    "p\xf6",
    "a+b&c=d",
    "\U0001f600",
]


def as_segment(id: str) -> str:
    return quote(id, safe="")


@on_every_transport
@pytest.mark.parametrize("id", IDS, ids=ascii)
async def test_an_id_of_any_printable_characters_is_sent_as_one_segment(kind: str, id: str) -> None:
    def answer(request: Request) -> Told:
        if request.method == "POST" and request.url.endswith("/cancel"):
            return json_told(body("completed", id=id))
        if request.method == "POST":
            return stream(created(0, id=id), added(1), CUT)
        if query_of(request).get("stream"):
            return stream(*HELLO[2:])
        return json_told(body("completed", "Hello", id=id))

    async with served(kind, answer) as site:
        text, outcome = await streamed(site)
        assert (text, outcome.response_id) == ("Hello", id)
        gateway = site.gateway()
        assert (await gateway.retrieve(id)).id == id
        await gateway.cancel(id)
        await gateway.batches.retrieve(id)
        paths = [each.partition("?")[0] for each in site.asked[1:]]
        assert paths == [
            f"GET /responses/{as_segment(id)}",
            f"GET /responses/{as_segment(id)}",
            f"POST /responses/{as_segment(id)}/cancel",
            f"GET /batches/{as_segment(id)}",
        ]
        assert all(unquote(path.split("/")[2]) == id for path in paths)


# No content type

ALL = b"".join(HELLO)
OPENINGS: dict[str, list[bytes]] = {
    "as it is": [ALL],
    "an event's name first": [b"event: response.created\n" + ALL],
    "a byte order mark": [b"\xef\xbb\xbf" + ALL],
    "a comment": [b": hello\n\n" + ALL],
    "an empty comment": [b":\n\n", ALL],
    "line ends": [b"\r\n\n", ALL],
    "white space": [b" \t\n", ALL],
    "a byte each": [ALL[at : at + 1] for at in range(40)] + [ALL[40:]],
    "retry": [b"retry: 10\n", ALL],
    "id": [b"id: 1\n", ALL],
}


@on_every_transport
@pytest.mark.parametrize("headers", [{}, {"content-type": ""}], ids=["none", "empty"])
@pytest.mark.parametrize("opening", OPENINGS)
async def test_a_body_without_type_that_begins_as_a_stream_is_one(
    kind: str, opening: str, headers: dict[str, str]
) -> None:
    async with served(kind, always(Told(OPENINGS[opening], 200, headers))) as site:
        text, outcome = await streamed(site)
        assert (text, outcome.is_compacted, len(site.requests)) == ("Hello", False, 1)


@on_every_transport
@pytest.mark.parametrize(
    "data", [b"<html>", b"event", b"", b"hello: world\n\n", b"\n" * 5000, b"database: x"], ids=ascii
)
async def test_another_body_without_type_is_refused(kind: str, data: bytes) -> None:
    async with served(kind, always(Told([data], 200, {}))) as site:
        with pytest.raises(UnexpectedAnswer, match="no content type"):
            await streamed(site)


@on_every_transport
@pytest.mark.parametrize("named", ["text/plain", "text/html", "application/octet-stream", "text/event-streams"])
async def test_a_stream_under_another_type_is_refused(kind: str, named: str) -> None:
    async with served(kind, always(Told([ALL], 200, {"content-type": named}))) as site:
        with pytest.raises(UnexpectedAnswer, match=named):
            await streamed(site)


# Refusals whose body is not there

BODIES: dict[str, tuple[list[Any], dict[str, str]]] = {
    "cut": ([b'{"error"', CUT], JSON),
    "cut before it begins": ([CUT], JSON),
    "too large": ([b"x" * 65_536] * 40, JSON),
    "an unknown encoding": ([b"x"], JSON | {"content-encoding": "br"}),
    "a false encoding": ([b"not gzip"], JSON | {"content-encoding": "gzip"}),
    "half of its encoding": ([gzip.compress(b'{"error":"no"}' * 99)[:30]], JSON | {"content-encoding": "gzip"}),
    "not JSON": ([b"\xff\xfe"], {}),
}


@on_every_transport
@pytest.mark.parametrize("name", BODIES)
async def test_a_refusal_whose_body_is_broken_keeps_its_status(kind: str, name: str) -> None:
    parts, headers = BODIES[name]
    async with served(kind, always(Told(parts, 400, headers))) as site:
        with pytest.raises(RequestRefused) as caught:
            await streamed(site)
        assert caught.value.status == 400
        with pytest.raises(RequestRefused):
            await site.gateway().retrieve("resp_1")


@on_every_transport
@pytest.mark.parametrize("name", BODIES)
async def test_it_is_final_for_a_follow_where_the_status_is(kind: str, name: str) -> None:
    parts, headers = BODIES[name]
    async with served(kind, always(Told(parts, 401, headers))) as site:
        outcome = await followed(site)
        assert (outcome.status, len(site.requests)) == (OutcomeStatus.LOST, 1)
        assert "401" in outcome.reason


@on_every_transport
@pytest.mark.parametrize("name", BODIES)
async def test_its_retry_after_is_obeyed(kind: str, name: str) -> None:
    parts, headers = BODIES[name]
    times: list[float] = []

    def answer(request: Request) -> Told:
        times.append(anyio.current_time())
        return Told(parts, 429, headers | {"retry-after-ms": "150"}) if len(times) == 1 else stream(*HELLO)

    async with served(kind, answer) as site:
        text, _ = await streamed(site)
        times[:] = []
        outcome = await followed(site)
    assert (text, outcome.status) == ("Hello", OutcomeStatus.COMPLETED)
    assert times[1] - times[0] >= 0.15


# Encodings


def zipped(data: bytes) -> bytes:
    return gzip.compress(data)


@on_every_transport
@pytest.mark.parametrize(
    "named", ["none", "identity", "IDENTITY", "", "utf-8", "aws-chunked", "identity, none", "new-one", "binary"]
)
async def test_a_name_that_is_no_coding_means_that_the_bytes_are_as_they_are(kind: str, named: str) -> None:
    async with served(kind, always(Told([ALL], 200, EVENT_STREAM | {"content-encoding": named}))) as site:
        text, _ = await streamed(site)
        assert (text, len(site.requests)) == ("Hello", 1)


@on_every_transport
@pytest.mark.parametrize(
    ("named", "encode"),
    [
        ("gzip", zipped),
        ("GZip", zipped),
        ("x-gzip", zipped),
        ("deflate", zlib.compress),
        ("gzip, gzip", lambda data: zipped(zipped(data))),
        ("deflate,identity , gzip", lambda data: zipped(zlib.compress(data))),
    ],
)
async def test_a_coding_is_undone(kind: str, named: str, encode: Callable[[bytes], bytes]) -> None:
    told = Told([encode(ALL)], 200, EVENT_STREAM | {"content-encoding": named})
    async with served(kind, always(told)) as site:
        text, _ = await streamed(site)
        assert (text, len(site.requests)) == ("Hello", 1)


@on_every_transport
@pytest.mark.parametrize("named", ["br", "zstd", "compress", "gzip, br", "ZSTD", ", ".join(["gzip"] * 5)])
async def test_a_coding_that_cannot_be_undone_in_bounds_is_refused(kind: str, named: str) -> None:
    async with served(kind, always(Told([ALL], 200, EVENT_STREAM | {"content-encoding": named}))) as site:
        with pytest.raises(ProtocolViolation, match="which was not requested"):
            await streamed(site)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("gzip", lambda: gzip.compress(b"data: " + b"A" * 40_000_000, 1)),
    "deflate": ("deflate", lambda: zlib.compress(b"[" * 40_000_000, 1)),
    "gzip, gzip": ("gzip, gzip", lambda: gzip.compress(gzip.compress(bytes(80_000_000), 1))),
    "only empty members": ("gzip, gzip", lambda: gzip.compress(gzip.compress(b"") * 200_000)),
}


@on_every_transport
@sampled_product("name", 2, BOMBS)
async def test_a_bomb_is_stopped_at_the_limit_and_others_run_meanwhile(kind: str, name: str) -> None:
    encoding, data = BOMBS[name][0], BOMBS[name][1]()
    limits = Patience(max_frame_bytes=1_000_000, max_body_bytes=1_000_000, max_attempts=1, total_seconds=0.5)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    for headers in (EVENT_STREAM, JSON):
        told = Told([data], 200, headers | {"content-encoding": encoding})
        async with served(kind, always(told)) as site, anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            if headers is JSON:
                with pytest.raises((TransportError, UnexpectedAnswer)):
                    await site.gateway(patience=limits).retrieve("resp_1")
            else:
                outcome = await followed(site, patience=limits)
                assert outcome.status is OutcomeStatus.LOST
            tasks.cancel_scope.cancel()
        assert turns > 10


@on_every_transport
async def test_an_answer_that_ends_inside_its_coding_is_whole_if_its_content_is(kind: str) -> None:
    data = gzip.compress(b'{"id": "resp_1", "model": "toy"}' * 9)
    once = gzip.compress(b'{"id": "resp_1", "model": "toy"}')
    for part, is_whole in ((once[:-4], True), (data[:-20], False)):
        async with served(kind, always(Told([part], 200, JSON | {"content-encoding": "gzip"}))) as site:
            call = site.gateway().retrieve("resp_1")
            if is_whole:
                assert (await call).model == "toy"
            else:
                with pytest.raises(UnexpectedAnswer):
                    await call


# Redirects


@on_every_transport
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("target", ["/other?stream=true", "ABSOLUTE/other?stream=true", "other?stream=true#part"])
async def test_one_redirect_of_a_get_within_its_origin_is_followed(kind: str, status: int, target: str) -> None:
    def answer(request: Request) -> Told:
        if "other" in request.url:
            return stream(*HELLO)
        return Told([], status, {"location": target.replace("ABSOLUTE", site.url)})

    async with served(kind, answer) as site:
        outcome = await followed(site)
        assert (outcome.status, len(site.requests)) == (OutcomeStatus.COMPLETED, 2)
        assert [dict(each.headers)["authorization"] for each in site.requests] == [f"Bearer {KEY}"] * 2


ELSEWHERE = [
    "http://elsewhere.invalid/x",
    "//elsewhere.invalid/x",
    "https://127.0.0.1/x",
    "http://127.0.0.1:1/x",
    "http://user:word@127.0.0.1/x?key=1",
    "http://127.0.0.1\\@elsewhere.invalid/",
    "/\\elsewhere.invalid/x",
    "file:///etc/passwd",
    "/with space",
]


@on_every_transport
@pytest.mark.parametrize("target", ELSEWHERE)
async def test_a_redirect_to_elsewhere_is_reported_and_nothing_is_sent_there(kind: str, target: str) -> None:
    async with served(kind, always(Told([], 307, {"location": target}))) as site:
        with pytest.raises(RequestRefused, match=r"answered 307: it redirects to .*, which is not followed") as caught:
            await site.gateway().retrieve("resp_1")
        assert len(site.requests) == 1
        assert not {"word", "key=1"} & set(
            str(caught.value).replace("@", " ").replace("?", " ").replace(":", " ").split()
        )


@on_every_transport
@pytest.mark.parametrize("target", ["http://[::1", "http://127.0.0.1:no/", "javascript:alert(1)", "/" + "x" * 70_000])
async def test_a_redirect_to_no_url_is_reported_too_and_sends_no_creation_again(kind: str, target: str) -> None:
    async with served(kind, always(Told([], 307, {"location": target}))) as site:
        # httpx looks at the header although it does not follow it, and takes the reply for something other than HTTP.
        reported = (RequestRefused, ProtocolViolation) if kind == "httpx" else RequestRefused
        with pytest.raises(reported):
            await streamed(site)
        assert site.asked == ["POST /responses"]


@on_every_transport
@pytest.mark.parametrize("status", [301, 302, 303, 304, 300])
async def test_every_other_redirect_is_reported(kind: str, status: int) -> None:
    async with served(kind, always(Told([], status, {"location": "/other"}))) as site:
        with pytest.raises(RequestRefused, match=f"answered {status}"):
            await site.gateway().retrieve("resp_1")
        assert len(site.requests) == 1


@on_every_transport
async def test_a_post_and_a_second_redirect_are_not_followed(kind: str) -> None:
    async with served(kind, always(Told([], 308, {"location": "/other"}))) as site:
        with pytest.raises(RequestRefused, match="it redirects to /other"):
            await streamed(site)
        assert len(site.requests) == 1
        with pytest.raises(RequestRefused, match="it redirects to /other"):
            await site.gateway().retrieve("resp_1")
        assert len(site.requests) == 3


# Heads


@on_every_transport
async def test_no_header_of_the_body_can_be_set_by_the_caller(kind: str) -> None:
    async with served(kind, always(json_told(body("completed")))) as site:
        for name in ("Content-Length", "transfer-encoding"):
            with pytest.raises(Exception, match="the client sends it as the body needs it"):
                await site.gateway().create(**MODEL, extra_headers={name: "5"})
        assert site.requests == []


@on_every_transport
async def test_a_host_header_of_the_caller_is_the_only_one(kind: str) -> None:
    async with served(kind, always(json_told(body("completed")))) as site:
        await site.gateway(headers={"Host": "tenant.example"}).retrieve("resp_1")
        hosts = [value for name, value in site.requests[0].headers if name.lower() == "host"]
        assert hosts == ["tenant.example"]


# Batches


@on_every_transport
async def test_a_batch_is_followed_by_the_same_rules(kind: str) -> None:
    def answer(request: Request) -> Told:
        if "moved" not in request.url:
            return Told([], 307, {"location": "/v1/moved"})
        return json_told({"id": "a/b", "status": "completed"})

    async with served(kind, answer) as site, site.gateway().batches.follow("a/b") as batch:
        outcome = await batch.outcome()
        assert (outcome.status, site.asked) == ("completed", ["GET /batches/a%2Fb", "GET /moved"])
