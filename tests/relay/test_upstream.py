"""A relay that is a proxy: each request reaches the upstream as its caller sent it, with the caller's credentials."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest
from msgspec.json import decode, encode

from streamfold.client import Request, resolve_transport
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options, emulate
from streamfold.log import MemoryLog
from streamfold.relay import HeldStreams, ProxyUpstream, RelayApp, RelayOptions
from streamfold.relay.upstream import given_headers, passed_refusal, sent_headers
from streamfold.session import Answer
from streamfold.sse import FrameDecoder
from tests.relay.setting import PATIENCE, names
from tests.relay.test_app import Asked

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer the-key-of-somebody"}
OTHER = {"authorization": "Bearer the-key-of-another"}


class Proxy:
    """A relay in front of an emulator, without anything for the rest."""

    def __init__(self, app: RelayApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Asked:
        return await ask(AsgiTransport(self.app), f"http://relay{path}", method, body, headers or KEY)


async def ask(transport: AsgiTransport, url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Asked:
    request = Request(method=method, url=url, body=body, headers=tuple(headers.items()))
    async with transport.open(request) as reply:
        received = b"".join([chunk async for chunk in reply.chunks()])
        return Asked(reply.status, dict(reply.headers), received, is_whole=True)


@asynccontextmanager
async def proxy(behaviour: Options | None = None) -> AsyncGenerator[Proxy]:
    emulator = Emulator(behaviour or Options(tokens_per_second=None))
    transport, _ = resolve_transport(None)
    async with emulate(emulator) as url, MemoryLog() as log, HeldStreams(log, RelayOptions()) as streams:
        upstream = ProxyUpstream(url, transport=transport, patience=PATIENCE)
        yield Proxy(RelayApp(streams, upstream), emulator)
        await transport.aclose()


def create(**fields: object) -> bytes:
    return encode({"model": "toy", "input": "count to 9", "stream": True, **fields})


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1/llm"])
async def test_a_stream_is_held_in_both_dialects(prefix: str) -> None:
    async with proxy() as relay:
        answer = await relay.ask("POST", f"{prefix}/responses", create())
        frames = FrameDecoder().feed(answer.body)
        assert names(frames)[-1] == "response.completed"
        assert answer.headers["x-request-id"], "a header of the upstream's answer"
        response_id = decode(frames[0].data)["response"]["id"]
        again = await relay.ask("GET", f"{prefix}/responses/{response_id}?stream=true&starting_after=3")
        assert FrameDecoder().feed(again.body) == frames[4:]


async def test_another_key_finds_nothing() -> None:
    async with proxy() as relay:
        answer = await relay.ask("POST", "/v1/responses", create(background=True))
        response_id = decode(FrameDecoder().feed(answer.body)[0].data)["response"]["id"]
        for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
            asked = f"/v1/responses/{response_id}{path}"
            assert (await relay.ask(method, asked, headers=OTHER)).status == 404
            assert (await relay.ask(method, asked, headers={**KEY, "x-on-behalf-of": "me"})).status == 404
        assert (await relay.ask("GET", f"/v1/responses/{response_id}")).status == 200


async def test_a_stream_that_breaks_is_resumed_with_the_callers_key_and_query() -> None:
    async with proxy(Options(tokens_per_second=None, faults="drop:after_events=5", key="the-key-of-somebody")) as relay:
        answer = await relay.ask("POST", "/v1/responses?api-version=7", create(background=True))
        assert names(FrameDecoder().feed(answer.body))[-1] == "response.completed"
        visits = list(relay.emulator.journal.visits)
        assert len(visits) > 1
        assert all("api-version=7" in visit.query for visit in visits)
        assert relay.emulator.journal.counters["creates"] == 1


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [
        (Options(faults="refuse:status=429,retry_after=7"), create()),
        (Options(faults="refuse:status=500"), create()),
        (Options(faults="html:status=502"), create()),
        (Options(), create(temperature=99)),
        (Options(key="another"), create()),
    ],
)
async def test_what_the_upstream_answers_instead_of_a_stream_arrives_as_it_came(
    behaviour: Options, body: bytes
) -> None:
    async with proxy(behaviour) as relay:
        straight = await ask(AsgiTransport(relay.emulator), "http://straight/v1/responses", "POST", body, KEY)
        answer = await relay.ask("POST", "/v1/responses", body)
        assert (answer.status, answer.body) == (straight.status, straight.body)
        for name in ("content-type", "retry-after", "content-length"):
            assert answer.headers.get(name) == straight.headers.get(name)


@pytest.mark.parametrize("fault", ["drop:after_events=0", "html:status=200"])
async def test_a_success_without_a_stream_does_not_pass_for_an_answer(fault: str) -> None:
    async with proxy(Options(tokens_per_second=None, faults=fault)) as relay:
        answer = await relay.ask("POST", "/v1/responses", create())
        assert (answer.status, answer.headers["x-should-retry"]) == (502, "false")
        assert decode(answer.body)["error"]["message"]


def test_a_page_gets_one_answer_to_who_may_read_it() -> None:
    assert given_headers({"access-control-allow-origin": "*", "x-two": "2"}) == (("x-two", "2"),)


def test_headers_of_one_connection_stay_there() -> None:
    sent = dict(
        sent_headers(
            {"host": "a", "connection": "close, X-Mine", "x-mine": "1", "accept-encoding": "br", "authorization": "k"}
        )
    )
    assert sent == {"authorization": "k"}
    given = given_headers({"connection": "x-one", "x-one": "1", "x-two": "2", "transfer-encoding": "chunked"})
    assert given == (("x-two", "2"),)


def test_who_asks_is_a_digest_of_all_that_says_so() -> None:
    transport, _ = resolve_transport(None)
    upstream = ProxyUpstream("http://host", transport=transport)
    variants = [{}, KEY, OTHER, {**KEY, "x-on-behalf-of": "me"}, {"api-key": "k"}, {"x-api-key": "k"}]
    tenants = [upstream.tenant_of(headers) for headers in variants]
    assert len(set(map(str, tenants))) == len(variants)
    assert not any("key-of" in str(tenant) for tenant in tenants)


@pytest.mark.parametrize("status", [0, 99, 101, 600, 999])
def test_a_status_that_http_does_not_know_is_not_passed_on(status: int) -> None:
    assert passed_refusal(Answer(status=status, headers={}, body=b"x"), ()) is None


@pytest.mark.parametrize(("status", "body"), [(200, b"x"), (204, b""), (304, b""), (404, b"x"), (599, b"x")])
def test_a_refusal_has_a_body_only_where_http_has_one(status: int, body: bytes) -> None:
    reply = passed_refusal(Answer(status=status, headers={"content-type": "a\x1bb"}, body=b"x"), (("a", "b"),))
    assert reply is not None
    assert (reply.status, reply.body, reply.headers, reply.content_type) == (status, body, (("a", "b"),), "text/plain")


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "x"), ("", "x"), ("a", "x\r\ny: z"), ("a", "x\0"), ("a", "\u2028")]
)
def test_a_header_that_cannot_be_written_is_left_out(name: str, value: str) -> None:
    assert given_headers({name: value, "good": "é"}) == (("good", "é"),)
