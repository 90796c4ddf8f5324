"""Webhooks: each status told, signed, and again when it fails."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from streamfold.emulator import Emulator, Options, emulate, webhooks
from streamfold.emulator.webhooks import post
from streamfold.webhook import sign_mka1, sign_standard
from tests.attack.emulator_requests import BAD_URLS, GOOD_URLS
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, HandClock, ask, create
from tests.emulator.rawclient import ask as ask_url

pytestmark = pytest.mark.anyio

SECRET = "a secret of some length"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Notes what is posted, and answers with these statuses, the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.posted: list[tuple[str, Mapping[str, str], bytes]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.posted.append((url, headers, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.posted]

    @property
    def types(self) -> list[str]:
        return [each["type"].removeprefix("response.") for each in self.events]


@asynccontextmanager
async def bench(receiver: Receiver, clock: HandClock | None = None, **options: Any) -> AsyncGenerator[Emulator, None]:
    settings = Options(**{"tokens_per_second": None, **options})
    app = Emulator(settings, clock=clock or HandClock(jumps=True), post=receiver.post)
    async with app.running():
        yield app


async def told(
    receiver: Receiver, *, prefix: str = MKA1, options: Mapping[str, Any] | None = None, **fields: Any
) -> None:
    """A background Response is made, and its webhooks are sent."""
    async with bench(receiver, **(options or {})) as app:
        answer = await create(app, prefix, background=True, webhook_url="http://hook/x", **fields)
        assert answer.status == 200
        await anyio.wait_all_tasks_blocked()


async def test_every_status_is_told_in_order() -> None:
    receiver = Receiver()
    await told(receiver, options={"tokens_per_second": 10, "queue_seconds": 1})
    assert receiver.types == ["queued", "in_progress", "completed"]
    assert {url for url, _, _ in receiver.posted} == {"http://hook/x"}


async def test_a_webhook_says_which_response_and_how_it_stands() -> None:
    receiver = Receiver()
    await told(receiver)
    event = receiver.events[-1]
    assert (event["object"], event["type"]) == ("event", "response.completed")
    assert event["id"].startswith("evt_")
    assert (event["data"]["status"], event["data"]["object"]) == ("completed", "response")
    assert len({each["id"] for each in receiver.events}) == 3


@pytest.mark.parametrize(
    ("prompt", "last"), [("please fail", "failed"), ("a filter story", "incomplete"), ("Hello", "completed")]
)
async def test_however_it_ends_that_is_told(prompt: str, last: str) -> None:
    receiver = Receiver()
    await told(receiver, input=prompt)
    assert receiver.types[-1] == last


async def test_a_cancel_is_not_told_for_it_is_not_in_the_list() -> None:
    receiver = Receiver()
    clock = HandClock()
    async with bench(receiver, clock, tokens_per_second=1) as app:
        id = (await create(app, background=True, webhook_url="http://hook/x")).json["id"]
        await anyio.wait_all_tasks_blocked()
        await ask(app, "POST", f"{MKA1}/responses/{id}/cancel")
        await anyio.wait_all_tasks_blocked()
    assert receiver.types == ["queued", "in_progress"]


async def test_a_secret_signs_the_bytes_of_the_body() -> None:
    receiver = Receiver()
    await told(receiver, webhook_secret=SECRET)
    for _, headers, body in receiver.posted:
        assert sign_mka1(body, SECRET).items() <= headers.items()


async def test_without_a_secret_nothing_is_signed() -> None:
    receiver = Receiver()
    await told(receiver)
    assert dict(receiver.posted[0][1]) == {"content-type": "application/json"}


async def test_on_openai_the_payload_is_small_and_the_signature_standard() -> None:
    receiver = Receiver()
    await told(receiver, prefix=OPENAI, webhook_secret=STANDARD_SECRET)
    _, headers, body = receiver.posted[-1]
    assert list(json.loads(body)["data"]) == ["id"]
    signed = sign_standard(body, STANDARD_SECRET, message_id=headers["webhook-id"], timestamp=1_700_000_000)
    assert signed.items() <= headers.items()


async def test_on_openai_a_secret_that_cannot_sign_is_refused() -> None:
    async with bench(Receiver()) as app:
        fields = {"background": True, "webhook_url": "http://hook/x", "webhook_secret": "§ is no base64"}
        answer = await create(app, OPENAI, **fields)
    assert (answer.status, answer.error["param"]) == (400, "webhook_secret")


async def test_a_failure_is_tried_again_after_twice_the_wait() -> None:
    receiver, clock = Receiver(500, 0, 200), HandClock(jumps=True)
    async with bench(receiver, clock, webhook_backoff_seconds=0.5) as app:
        await create(app, background=True, webhook_url="http://hook/x")
        await anyio.wait_all_tasks_blocked()
    assert receiver.types == ["queued", "queued", "queued", "in_progress", "completed"]
    assert clock.waits == [0.5, 1.0]
    assert app.journal.counters["webhooks"] == 3
    assert app.journal.counters["webhook_failures"] == 2


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    receiver = Receiver(503)
    await told(receiver, options={"webhook_attempts": 2})
    assert receiver.types == ["queued"] * 2 + ["in_progress"] * 2 + ["completed"] * 2


async def test_who_leaves_gives_up_what_was_not_sent() -> None:
    receiver = Receiver()
    async with bench(receiver, HandClock(), tokens_per_second=1) as app:
        await create(app, background=True, webhook_url="http://hook/x")
        await anyio.wait_all_tasks_blocked()
    assert receiver.types == ["queued", "in_progress"]


async def test_where_nothing_runs_nothing_is_sent() -> None:
    receiver = Receiver()
    app = Emulator(Options(tokens_per_second=None), clock=HandClock(), post=receiver.post)
    await create(app, background=True, webhook_url="http://hook/x")
    assert receiver.posted == []


# By HTTP


async def test_webhooks_go_out_over_http() -> None:
    # The receiver is an emulator too: its journal tells what came, and 401 is its answer.
    hook = Emulator()
    sender = Emulator(Options(tokens_per_second=None, webhook_attempts=1))
    async with emulate(hook) as hook_url, emulate(sender) as url:
        asked = {"model": "toy", "input": "Hi", "background": True, "webhook_url": f"{hook_url}/hook"}
        await ask_url(url, "POST", f"{MKA1}/responses", asked)
        with anyio.fail_after(5):
            while sender.journal.counters["webhook_failures"] < 3:
                await checkpoint()
    assert [(visit.method, visit.path, visit.status) for visit in hook.journal.visits] == [("POST", "/hook", 401)] * 3


async def test_a_receiver_that_is_not_there_answers_with_nothing() -> None:
    async with emulate() as url:
        pass
    assert await post(f"{url}/hook", {}, b"") == 0


@pytest.mark.parametrize("url", [*GOOD_URLS, *(each for each in BAD_URLS if isinstance(each, str))])
async def test_no_url_makes_sending_raise(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.2)  # for hosts that swallow what they get
    assert await post(url, {}, b"") in range(600)  # where there is a proxy, it answers


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(HEAD + b"content-length: 1000000000000\r\n\r\nendless", 200, id="a body that never ends"),
        pytest.param(HEAD + b"content-encoding: gzip\r\n\r\nno gzip", 200, id="a body that cannot be decoded"),
        pytest.param(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302, id="a redirect"),
        pytest.param(b"no HTTP at all\r\n\r\n", 0, id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10**6, 0, id="a head without end"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 10, 0, id="nothing but continue"),
        pytest.param(b"", 0, id="silence"),
    ],
)  # fmt: skip
async def test_a_hostile_receiver_is_let_go(answer: bytes, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.3)

    async def receive(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()
                await stream.send(answer or b"")
                await anyio.sleep_forever()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, receive)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        assert await post(f"http://127.0.0.1:{port}/", {}, b"{}") == expected
        tasks.cancel_scope.cancel()


async def test_what_a_sender_of_ones_own_raises_ends_nothing() -> None:
    async def broken(url: str, headers: Mapping[str, str], body: bytes) -> int:
        raise ZeroDivisionError

    app = Emulator(Options(tokens_per_second=None), clock=HandClock(jumps=True), post=broken)
    async with app.running():
        for _ in range(2):
            assert (await create(app, background=True, webhook_url="http://hook/x")).status == 200
            await anyio.wait_all_tasks_blocked()
    assert app.journal.counters["webhook_failures"] == 2


async def test_only_so_many_responses_wait_for_their_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_UNSENT", 2)

    async def silent(url: str, headers: Mapping[str, str], body: bytes) -> int:
        await anyio.sleep_forever()
        raise AssertionError

    app = Emulator(Options(tokens_per_second=None), clock=HandClock(), post=silent)
    async with app.running():
        for _ in range(5):
            assert (await create(app, background=True, webhook_url="http://hook/x")).status == 200
    assert app.journal.counters["webhook_failures"] == 3


# At the API


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("url", GOOD_URLS)
async def test_a_url_that_can_be_sent_to_is_accepted_private_or_not(prefix: str, url: str) -> None:
    receiver = Receiver()
    async with bench(receiver) as app:
        assert (await create(app, prefix, background=True, webhook_url=url)).status == 200
        await anyio.wait_all_tasks_blocked()
    assert receiver.types == ["queued", "in_progress", "completed"]


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("url", BAD_URLS)
async def test_a_url_that_cannot_be_sent_to_is_refused_with_a_reason(prefix: str, url: Any) -> None:
    async with bench(Receiver()) as app:
        refused = await create(app, prefix, background=True, webhook_url=url)
    assert (refused.status, refused.error["param"], refused.error["code"]) == (400, "webhook_url", "invalid_value")
    assert refused.error["message"].startswith("webhook_url must ")


@pytest.mark.parametrize(
    ("prefix", "secret"),
    [
        (MKA1, "s" * 15),
        (MKA1, "s" * 257),
        (OPENAI, "whsec_" + base64.b64encode(b"s" * 15).decode()),
        (OPENAI, "s" * 300),
        (OPENAI, "whsec_"),
        (OPENAI, 5),
    ],
)
async def test_a_secret_that_can_be_guessed_is_refused(prefix: str, secret: Any) -> None:
    async with bench(Receiver()) as app:
        refused = await create(app, prefix, background=True, webhook_url="http://hook/x", webhook_secret=secret)
    assert (refused.status, refused.error["param"]) == (400, "webhook_secret")
