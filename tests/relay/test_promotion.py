"""Promote over HTTP: the upstream hop breaks, and the reader of a foreground response gets it whole, for one create."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from msgspec.json import decode, encode

from streamfold.client import Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.client.transport.resolve import resolve_transport
from streamfold.emulator import Emulator, Options, emulate
from streamfold.log import EventLog, MemoryLog
from streamfold.relay import HeldStreams, ProxyUpstream, RelayApp, RelayOptions
from streamfold.schema.promotion import PromoteMode
from streamfold.serving import Message, Receive, SendMessage
from streamfold.sse import Frame, FrameDecoder
from tests.relay.setting import PATIENCE, names, open_setting, read_all
from tests.relay.test_app import Asked
from tests.relay.test_upstream import Proxy

pytestmark = pytest.mark.anyio

TEXT = "1, 2, 3, 4, 5, 6, 7, 8, 9"


@asynccontextmanager
async def proxy(
    faults: str = "", mode: PromoteMode = "if-stored", *, log: EventLog | None = None, emulator: Emulator | None = None
) -> AsyncGenerator[Proxy]:
    emulator = emulator or Emulator(Options(tokens_per_second=None, faults=faults))
    transport, _ = resolve_transport(None)
    options = RelayOptions(promote=mode)
    async with emulate(emulator) as url, log or MemoryLog() as kept, HeldStreams(kept, options) as streams:
        yield Proxy(RelayApp(streams, ProxyUpstream(url, transport=transport, patience=PATIENCE)), emulator)
        await transport.aclose()


async def post(relay: Proxy, prefix: str = "/v1", **fields: object) -> Asked:
    body = encode({"model": "toy", "input": "count to 9", "stream": True, **fields})
    return await relay.ask("POST", f"{prefix}/responses", body)


def responses_of(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    return [event["response"] for event in map(decode, (frame.data for frame in frames)) if "response" in event]


def text_of(answer: Asked) -> str:
    deltas = [decode(frame.data).get("delta", "") for frame in answer.frames]
    return "".join(delta for delta in deltas if isinstance(delta, str))


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(4, 40))]
)
async def test_an_upstream_that_is_cut_at_random_bytes_is_resumed(seed: int) -> None:
    random = Random(seed)
    cuts = [f"drop:on=create,after_bytes={random.randrange(1_500, 6_000)},times=1"]
    cuts += [f"drop:on=resume,after_bytes={random.randrange(6_000)},times=1" for _ in range(3)]
    async with proxy(";".join(cuts)) as relay:
        answer = await post(relay)
        assert (text_of(answer), answer.is_whole, names(answer.frames)[-1]) == (TEXT, True, "response.completed")
        assert [int(frame.id) for frame in answer.frames] == list(range(len(answer.frames)))
        assert relay.emulator.journal.counters["creates"] == 1
        assert not any(each["background"] for each in responses_of(answer.frames))


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1/llm"])
async def test_a_reader_sees_what_it_asked_for_by_every_way(prefix: str) -> None:
    log = MemoryLog()
    async with proxy("drop:on=create,after_events=5", "always", log=log) as relay:
        answer = await post(relay, prefix, store=False)
        known = responses_of(answer.frames)
        assert {(each["background"], each["store"]) for each in known} == {(False, False)}
        stored = await relay.ask("GET", f"{prefix}/responses/{known[0]['id']}")
        assert (decode(stored.body)["background"], decode(stored.body)["store"]) == (False, False)
        again = await relay.ask("GET", f"{prefix}/responses/{known[0]['id']}?stream=true")
        assert FrameDecoder().feed(again.body) == answer.frames


async def test_a_cancel_of_a_promoted_response_shows_it_too() -> None:
    passed_on: list[str] = []

    async def elsewhere(scope: Message, receive: Receive, send: SendMessage) -> None:
        passed_on.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})

    emulator = Emulator(Options(tokens_per_second=None, hold_after_events=6))
    transport, _ = resolve_transport(None)
    async with (
        emulate(emulator) as url,
        MemoryLog() as log,
        HeldStreams(log, RelayOptions(promote="always")) as streams,
    ):
        app = RelayApp(streams, ProxyUpstream(url, transport=transport, patience=PATIENCE), elsewhere)
        relay = Proxy(app, emulator)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, relay)
            with anyio.fail_after(5):
                while not (known := await log.list(await tenant_of(log))):
                    await anyio.sleep(0.01)
            answer = await relay.ask("POST", f"/v1/responses/{known[0].key.response_id}/cancel")
            tasks.cancel_scope.cancel()
        assert (answer.status, decode(answer.body)["status"]) == (200, "cancelled")
        assert (decode(answer.body)["background"], passed_on) == (False, [])
        await transport.aclose()


async def test_a_restarted_relay_shows_it_too() -> None:
    async with MemoryLog() as log, emulate(emulator := Emulator(Options(tokens_per_second=None))) as url:
        seen: list[list[Frame]] = []
        path = "/v1/responses"
        for _ in range(2):
            transport, _ = resolve_transport(None)
            async with HeldStreams(log, RelayOptions(promote="if-stored")) as streams:
                relay = Proxy(RelayApp(streams, ProxyUpstream(url, transport=transport, patience=PATIENCE)), emulator)
                if seen:
                    answer = await relay.ask("GET", f"{path}/{responses_of(seen[0])[0]['id']}?stream=true")
                else:
                    answer = await post(relay)
                seen.append(FrameDecoder().feed(answer.body))
            await transport.aclose()
        assert seen[0] == seen[1]
        assert emulator.journal.counters["creates"] == 1


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("never", {}),
        ("if-stored", {"store": False}),
        ("always", {"background": True}),
        ("if-stored", {"background": True}),
    ],
)
async def test_what_is_not_promoted_is_shown_as_it_is(mode: PromoteMode, fields: dict[str, object]) -> None:
    async with proxy(mode=mode) as relay:
        known = responses_of((await post(relay, "/v1", **fields)).frames)
        assert {each["background"] for each in known} == {fields.get("background", False)}


async def test_an_upstream_that_refuses_the_background_gets_the_create_as_it_was() -> None:
    async with proxy("refuse:status=400,times=1") as relay:
        answer = await post(relay)
        assert (answer.status, text_of(answer)) == (200, TEXT)


async def test_another_refusal_is_the_answer() -> None:
    async with proxy("refuse:status=429,times=1") as relay:
        assert (await post(relay)).status == 429


async def test_an_embedded_relay_promotes_what_it_creates() -> None:
    behaviour = Options(tokens_per_second=None, faults="drop:on=create,after_events=5")
    async with open_setting(behaviour, RelayOptions(promote="always")) as at:
        held = await at.relay.create(model="toy", input="count to 9", store=False)
        frames = await read_all(at.relay.read(held.id))
        assert names(frames)[-1] == "response.completed"
        assert {(each["background"], each["store"]) for each in responses_of(frames)} == {(False, False)}
        assert at.creates == 1


async def ask_until_whole(relay: Proxy, random: Random, *, headers: dict[str, str], last: int) -> tuple[str, int]:
    """Ask as a client does that is cut at random bytes and retries. Returns the text that it ends with, and its cuts."""
    body = encode({"model": "toy", "input": f"count to {last}", "stream": True})
    for cuts in range(100):
        sent = {**headers, "x-stainless-retry-count": str(cuts)}
        request = Request(method="POST", url="http://relay/v1/responses", body=body, headers=tuple(sent.items()))
        received, limit = b"", random.randrange(3_000) if cuts < 3 else 10**9
        async with AsgiTransport(relay.app).open(request) as reply:
            assert reply.status == 200
            async for chunk in reply.chunks():
                received += chunk
                if len(received) > limit and b"response.completed" not in received:
                    break
            else:
                return text_of(Asked(200, {}, received, is_whole=True)), cuts
    raise AssertionError("it never ends")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 20))])
async def test_both_hops_are_cut_and_each_client_gets_its_own_answer_once(seed: int) -> None:
    random = Random(seed)
    faults = ";".join(f"drop:on=resume,after_bytes={random.randrange(500, 6_000)},times=3" for _ in range(6))
    done: list[tuple[str, int]] = []
    expected: list[str] = []
    faults = f"drop:on=create,after_bytes=2500,times=4;{faults}"
    emulator = Emulator(Options(tokens_per_second=150, faults=faults))
    async with proxy(emulator=emulator) as relay, anyio.create_task_group() as tasks:

        async def client(tenant: str, last: int) -> None:
            headers = {"authorization": f"Bearer key-of-{tenant}"}
            if last % 2:
                headers["idempotency-key"] = f"request {last}"
            done.append(await ask_until_whole(relay, random, headers=headers, last=last))

        for tenant in ("one", "another"):
            for last in range(4, 12):
                expected.append(", ".join(map(str, range(1, last + 1))))
                tasks.start_soon(client, tenant, last)
    assert sorted(text for text, _ in done) == sorted(expected)
    assert sum(cuts for _, cuts in done) > 0
    assert relay.emulator.journal.counters["creates"] == len(expected)


async def test_a_process_that_reads_along_shows_it_too() -> None:
    emulator = Emulator(Options(tokens_per_second=100))
    transport, _ = resolve_transport(None)
    options = RelayOptions(promote="if-stored")
    async with (
        MemoryLog() as log,
        emulate(emulator) as url,
        HeldStreams(log, options) as writing,
        HeldStreams(log, options) as reading,
    ):
        upstream = ProxyUpstream(url, transport=transport, patience=PATIENCE)
        one, other = (Proxy(RelayApp(streams, upstream), emulator) for streams in (writing, reading))
        answers: list[Asked] = []

        async def ask_the_first() -> None:
            answers.append(await post(one))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask_the_first)
            with anyio.fail_after(5):
                while not (known := await log.list(await tenant_of(log))):
                    await anyio.sleep(0.01)
            path = f"/v1/responses/{known[0].key.response_id}"
            answers.append(await other.ask("GET", f"{path}?stream=true"))
        assert answers[0].frames == answers[1].frames
        assert {each["background"] for each in responses_of(answers[0].frames)} == {False}
        assert emulator.journal.counters["creates"] == 1
        await transport.aclose()


async def tenant_of(log: EventLog) -> str:
    return next(iter(await log.tenants()), "")
