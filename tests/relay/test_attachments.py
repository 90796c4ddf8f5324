"""Attach over HTTP: a client that loses its connection and asks again gets one answer, for one create."""

from collections.abc import Callable, Mapping
from random import Random

import anyio
import pytest
from msgspec.json import decode, encode

from streamfold.client import Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Options
from streamfold.log import StreamKey
from streamfold.relay import RelayOptions
from streamfold.sse import FrameDecoder
from tests.relay.setting import Setting, open_setting
from tests.relay.test_app import URL, Asked, ask

pytestmark = pytest.mark.anyio

HOLDS = Options(tokens_per_second=None, hold_after_events=6)
BODY = {"model": "toy", "input": "count to 9", "stream": True, "store": False}
LAST = b"event: response.completed"
RETRY = {"x-stainless-retry-count": "1"}
CODEX = {"user-agent": "codex_exec/0.171.0", "x-codex-turn-metadata": '{"turn_id":"turn-1"}'}


async def post(at: Setting, headers: Mapping[str, str] | None = None, **fields: object) -> Asked:
    return await ask(at, "POST", URL, encode(BODY | fields), headers)


async def cut(
    at: Setting, headers: Mapping[str, str] | None = None, *, after_bytes: int = 1, **fields: object
) -> bytes:
    """Ask, and disconnect after some bytes, unless the last event is among them. Returns what was received."""
    request = Request(method="POST", url=URL, body=encode(BODY | fields), headers=tuple((headers or {}).items()))
    received = b""
    async with AsgiTransport(at.relay.app()).open(request) as reply:
        async for chunk in reply.chunks():
            received += chunk
            if len(received) >= after_bytes and LAST not in received:
                break
    return received


async def until(holds: Callable[[], int]) -> None:
    with anyio.fail_after(5):
        while not holds():
            await anyio.sleep(0.01)


def text_of(answer: Asked) -> str:
    deltas = [decode(frame.data).get("delta", "") for frame in answer.frames]
    return "".join(delta for delta in deltas if isinstance(delta, str))


def is_attached(answer: Asked) -> bool:
    return answer.headers.get("streamfold-attached") == "true"


# With a sign of retry


@pytest.mark.parametrize("seed", range(3))
async def test_a_client_that_is_cut_at_random_bytes_and_retries_gets_one_answer(seed: int) -> None:
    random, received, attempts = Random(seed), b"", 0
    async with open_setting(Options(tokens_per_second=100)) as at:
        while LAST not in received:
            limit = random.randrange(1, 3_000) if attempts < 5 else 10**9
            received = await cut(at, {"x-stainless-retry-count": str(attempts)}, after_bytes=limit)
            attempts += 1
        whole = Asked(200, {}, received, is_whole=True)
        assert text_of(whole) == "1, 2, 3, 4, 5, 6, 7, 8, 9"
        assert [int(frame.id) for frame in whole.frames] == list(range(len(whole.frames)))
        assert at.creates == at.relay.attach_counts.creates == 1
        assert at.relay.attach_counts.attaches == attempts - 1


async def test_a_request_that_is_repeated_without_a_sign_is_another_one() -> None:
    async with open_setting(Options(tokens_per_second=200)) as at:
        await cut(at)
        whole = await post(at)
        assert (whole.is_whole, is_attached(whole), at.creates) == (True, False, 2)


async def test_a_retry_with_another_body_is_another_request() -> None:
    async with open_setting(Options(tokens_per_second=200)) as at:
        await cut(at)
        assert not is_attached(await post(at, RETRY, input="count to 3"))
        assert at.creates == 2


async def test_a_retry_does_not_join_an_answer_that_somebody_reads() -> None:
    async with open_setting(HOLDS) as at, anyio.create_task_group() as tasks:
        tasks.start_soon(post, at)
        await until(lambda: at.relay.streams.readers)
        await cut(at, RETRY)
        assert at.creates == 2
        tasks.cancel_scope.cancel()


async def test_a_retry_waits_for_the_answer_that_is_being_created() -> None:
    async with open_setting(Options(tokens_per_second=None, faults="stall:seconds=0.5,times=1")) as at:
        with anyio.move_on_after(0.1):
            await post(at)
        whole = await post(at, RETRY)
        assert (whole.is_whole, is_attached(whole), at.creates) == (True, True, 1)


async def test_an_answer_that_was_cancelled_is_created_again() -> None:
    async with open_setting(HOLDS) as at:
        seen: list[str] = []
        async with AsgiTransport(at.relay.app()).open(Request(method="POST", url=URL, body=encode(BODY))) as reply:
            async for chunk in reply.chunks():
                seen.append(decode(FrameDecoder().feed(chunk)[0].data)["response"]["id"])
                break
        assert (await ask(at, "POST", f"{URL}/{seen[0]}/cancel")).status == 200
        await cut(at, RETRY)
        assert at.creates == 2


async def test_an_answer_that_the_relay_lost_is_created_again() -> None:
    async with open_setting(Options(tokens_per_second=None, faults="drop:after_events=7,times=1")) as at:
        assert not (await post(at)).is_whole
        again = await post(at, RETRY)
        assert (again.is_whole, is_attached(again), at.creates) == (True, False, 2)


async def test_a_codex_turn_is_created_once_even_if_its_last_bytes_were_lost() -> None:
    async with open_setting() as at:
        first = await post(at, CODEX)
        again = await post(at, CODEX)
        assert (first.is_whole, again.frames, is_attached(again), at.creates) == (True, first.frames, True, 1)
        next_turn = CODEX | {"x-codex-turn-metadata": '{"turn_id":"turn-2"}'}
        assert not is_attached(await post(at, next_turn))


# With a key


async def test_two_requests_of_one_key_at_the_same_moment_are_one() -> None:
    answers: list[Asked] = []

    async def one(at: Setting) -> None:
        answers.append(await post(at, {"idempotency-key": "k"}))

    async with open_setting() as at:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one, at)
        assert [answer.frames for answer in answers] == [answers[0].frames] * 5
        assert sum(is_attached(answer) for answer in answers) == 4
        assert (at.creates, at.relay.attach_counts.joined_by_key) == (1, 4)


async def test_one_that_waits_creates_what_the_first_could_not() -> None:
    statuses: list[int] = []

    async def one(at: Setting) -> None:
        statuses.append((await post(at, {"idempotency-key": "k"})).status)

    faults = "refuse:status=400,times=1"
    async with open_setting(Options(tokens_per_second=None, faults=faults)) as at:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one, at)
        assert sorted(statuses) == [200, 200, 400]
        assert at.relay.attach_counts.failed == 1


async def test_another_request_under_the_same_key_is_refused() -> None:
    async with open_setting() as at:
        await post(at, {"idempotency-key": "k"})
        refused = await post(at, {"idempotency-key": "k"}, input="count to 3")
        assert (refused.status, decode(refused.body)["error"]["code"]) == (422, "idempotency_key_reused")
        assert (at.creates, at.relay.attach_counts.refusals) == (1, 1)


async def test_an_answer_that_was_dropped_from_the_log_is_created_again() -> None:
    async with open_setting() as at:
        first = await post(at, {"idempotency-key": "k"})
        await at.log.drop(StreamKey("", decode(first.frames[0].data)["response"]["id"]))
        again = await post(at, {"idempotency-key": "k"})
        assert (again.is_whole, is_attached(again), at.creates) == (True, False, 2)


async def test_one_that_waits_and_leaves_is_nobody() -> None:
    async with open_setting(Options(tokens_per_second=None, faults="stall:seconds=0.5,times=1")) as at:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, at, {"idempotency-key": "k"})
            await until(lambda: at.relay.streams.following)
            with anyio.move_on_after(0.1):
                await post(at, {"idempotency-key": "k"})
        await until(lambda: at.relay.streams.readers == 0)
        assert (at.creates, at.relay.attach_counts.attaches) == (1, 0)


# Options


async def test_same_body_joins_without_a_sign() -> None:
    async with open_setting(Options(tokens_per_second=200), RelayOptions(attach="same-body")) as at:
        await cut(at)
        assert is_attached(await post(at))
        assert at.creates == 1


async def test_never_joins_nothing() -> None:
    async with open_setting(options=RelayOptions(attach="never")) as at:
        for _ in range(2):
            assert not is_attached(await post(at, RETRY | {"idempotency-key": "k"}))
        assert (at.creates, at.relay.attach_counts.creates) == (2, 2)


async def test_a_busy_relay_creates_nothing_and_forgets_the_attempt() -> None:
    async with open_setting(HOLDS, RelayOptions(max_streams=1)) as at:
        await cut(at)
        assert (await post(at, {"idempotency-key": "k"})).status == 503
        assert at.relay.attach_counts.failed == 1
