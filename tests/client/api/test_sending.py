"""A creation is sent again while nothing can have come of it, with the same key; nothing else is. On trio's clock too."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from streamfold.client import Gateway, Reply, Request
from streamfold.errors import ConnectFailed, Disconnected, GatewayError, IdleTimeout, RequestRefused
from streamfold.session import Backoff, Patience
from tests.client.stub import EVENT_STREAM, Stub, Told, said, stream
from tests.session.made import body, created, ended

pytestmark = pytest.mark.anyio

AT_ONCE = Patience(backoff=Backoff(first_seconds=0.0))
NO_CONNECTION = Told(opening=ConnectFailed("refused"))
MADE = said(body("completed"))
STREAMED = stream(created(0), ended(1, text="hi"))

Create = Callable[[Gateway], Any]


async def create(here: Gateway, **given: Any) -> None:
    await here.create(model="toy", input="hi", **given)


async def create_streamed(here: Gateway, **given: Any) -> None:
    async with here.stream(model="toy", input="hi", **given) as response:
        await response.outcome()


async def create_batch(here: Gateway, **given: Any) -> None:
    await here.batches.create(input_file_id="file_1", endpoint="/v1/responses", **given)


WAYS: dict[str, tuple[Any, Told]] = {
    "create": (create, MADE),
    "stream": (create_streamed, STREAMED),
    "batches.create": (create_batch, said({"id": "batch_1", "status": "validating"})),
}
every_creation = pytest.mark.parametrize("way", WAYS)


def gateway(*answers: Told, **settings: Any) -> tuple[Gateway, Stub]:
    """Each request gets the next answer, and the last one again and again."""
    left = list(answers)
    stub = Stub(lambda request: left.pop(0) if len(left) > 1 else left[0])
    return Gateway("http://stub", api_key="key", dialect="openai", http=stub, **{"patience": AT_ONCE} | settings), stub


def keys(stub: Stub) -> list[str]:
    return [dict(each.headers)["idempotency-key"] for each in stub.requests]


@every_creation
@pytest.mark.parametrize(
    "first",
    [NO_CONNECTION, said({}, 429), said({}, 503), Told(["x"], 503, EVENT_STREAM)],
    ids=["none", "429", "503", "cut"],
)
async def test_what_the_gateway_has_not_taken_is_sent_again_with_the_same_key(way: str, first: Told) -> None:
    call, good = WAYS[way]
    here, stub = gateway(first, first, good)
    await call(here)
    assert len(stub.requests) == 3
    assert len(set(keys(stub))) == 1
    assert {each.body for each in stub.requests} == {stub.requests[0].body}
    assert stub.is_open == 0


@every_creation
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Told(opening=Disconnected("cut")), Disconnected),
        (Told(opening=IdleTimeout("silence")), IdleTimeout),
        (said({}, 500), RequestRefused),
        (said({}, 400), RequestRefused),
        (said({}, 429, x_should_retry="false"), RequestRefused),
        (said({}, 503, retry_after="3600"), RequestRefused),
    ],
    ids=["cut", "silence", "500", "400", "told not to", "too long a wait"],
)
async def test_what_the_gateway_may_have_taken_or_never_will_is_sent_once(
    way: str, answer: Told, kind: type[GatewayError]
) -> None:
    here, stub = gateway(answer)
    with pytest.raises(kind):
        await WAYS[way][0](here)
    assert len(stub.requests) == 1


@every_creation
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_after_the_last_attempt_the_failure_is_raised_and_names_the_call(way: str, retries: int) -> None:
    for answer, kind in ((NO_CONNECTION, ConnectFailed), (said({}, 429), RequestRefused)):
        here, stub = gateway(answer, max_retries=retries)
        with pytest.raises(kind) as caught:
            await WAYS[way][0](here)
        assert len(stub.requests) == retries + 1
        assert str(caught.value).startswith("POST http://stub/v1/")


@every_creation
async def test_a_call_may_have_its_own_number_of_retries_and_its_own_key(way: str) -> None:
    here, stub = gateway(said({}, 503), max_retries=0)
    with pytest.raises(RequestRefused):
        await WAYS[way][0](here, max_retries=1, idempotency_key="mine")
    assert keys(stub) == ["mine", "mine"]


async def test_a_key_in_extra_headers_counts_and_goes_with_no_later_request() -> None:
    here, stub = gateway(stream(created(0), Disconnected("cut")), stream(ended(1, text="hi")))
    await create_streamed(here, extra_headers={"Idempotency-Key": "mine", "x-own": "1"})
    post, get = stub.requests
    assert dict(post.headers)["idempotency-key"] == "mine"
    assert "idempotency-key" not in dict(get.headers)
    assert dict(get.headers)["x-own"] == "1"


async def test_each_creation_has_a_key_of_its_own() -> None:
    here, stub = gateway(MADE)
    await create(here)
    await create(here)
    assert len(set(keys(stub))) == 2


async def test_an_error_after_which_the_response_may_exist_says_how_to_ask_again() -> None:
    here, _ = gateway(Told(opening=Disconnected("cut")))
    with pytest.raises(Disconnected, match="call again with idempotency_key='mine'"):
        await create(here, idempotency_key="mine")


async def test_what_only_reads_is_never_sent_again() -> None:
    here, stub = gateway(NO_CONNECTION)
    with pytest.raises(ConnectFailed):
        await here.retrieve("resp_1")
    assert len(stub.requests) == 1


async def test_an_error_of_the_reader_is_its_own_and_nothing_is_sent_again() -> None:
    here, stub = gateway(STREAMED)
    with pytest.raises(ConnectFailed, match="mine"):
        async with here.stream(model="toy", input="hi"):
            raise ConnectFailed("mine")
    assert len(stub.requests) == 1


def waits_of(*answers: Told, patience: Patience | None = None, timeout: float = 600.0) -> list[float]:
    """When each attempt was made, on a clock that jumps."""
    times: list[float] = []
    left = list(answers)

    async def main() -> None:
        began = trio.current_time()

        def answer(request: Request) -> Told:
            times.append(round(trio.current_time() - began, 3))
            return left.pop(0)

        here = Gateway(
            "http://stub", api_key="key", http=Stub(answer), patience=patience, timeout=timeout, max_retries=5
        )
        await create(here)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return times


def test_the_gateways_retry_after_is_waited_for() -> None:
    assert waits_of(said({}, 429, retry_after="7"), said({}, 503, retry_after_ms="500"), MADE, patience=AT_ONCE) == [
        0.0,
        7.0,
        7.5,
    ]


def test_without_one_the_waits_grow_from_half_a_second() -> None:
    first, second, third = waits_of(NO_CONNECTION, NO_CONNECTION, MADE)
    assert first == 0.0
    assert second <= 0.5
    assert third - second <= 1.0


def test_the_waits_count_in_the_time_of_the_call() -> None:
    with pytest.raises(IdleTimeout, match="no complete answer within 10 seconds"):
        waits_of(said({}, 429, retry_after="7"), said({}, 429, retry_after="7"), timeout=10.0)


async def test_each_further_attempt_is_logged_without_key_and_payload(caplog: pytest.LogCaptureFixture) -> None:
    here, _ = gateway(said({}, 503), NO_CONNECTION, MADE)
    with caplog.at_level("INFO", logger="streamfold.client"):
        await create(here, extra_query={"token": "secret"})
    assert caplog.messages == [
        "POST http://stub/v1/responses: not taken (status 503); attempt 2 in 0.0 s",
        "POST http://stub/v1/responses: not taken (refused); attempt 3 in 0.0 s",
    ]


async def test_a_cancellation_while_it_waits_ends_it() -> None:
    here, stub = gateway(said({}, 429, retry_after="30"))
    with anyio.move_on_after(0.05):
        await create(here)
    assert len(stub.requests) == 1
    assert stub.is_open == 0


class HoldsATaskGroup:
    """A transport as others write it: a task of its own runs while a reply is open."""

    def __init__(self, inner: Stub) -> None:
        self.inner = inner

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            async with self.inner.open(request) as reply:
                yield reply
            tasks.cancel_scope.cancel()

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("call", [create, create_streamed])
async def test_a_transport_may_hold_a_task_group_of_its_own(call: Create) -> None:
    stub = Stub(lambda request: STREAMED if call is create_streamed else MADE)
    await call(Gateway("http://stub", api_key="key", dialect="openai", http=HoldsATaskGroup(stub), patience=AT_ONCE))
    assert (len(stub.requests), stub.is_open) == (1, 0)


@pytest.mark.parametrize("holds", [False, True])
async def test_an_opening_that_never_ends_is_left_by_any_transport(holds: bool) -> None:
    stub = Stub(lambda request: Told(opening=anyio.Event()))
    http = HoldsATaskGroup(stub) if holds else stub
    limits = Patience(idle_seconds=0.05)
    here = Gateway("http://stub", api_key="key", dialect="openai", http=http, patience=limits, connect_seconds=0.05)
    words = r"POST http://stub/v1/responses: no answer within 0\.05\d* seconds; .* idempotency_key='mine'"
    with pytest.raises(IdleTimeout, match=words):
        await create_streamed(here, idempotency_key="mine")
    with pytest.raises(IdleTimeout, match=r"no (stream|answer) within 0\.01\d* seconds; .* idempotency_key='mine'"):
        await create_streamed(here, timeout=0.01, idempotency_key="mine")
    assert stub.is_open == 0
