"""What users of openai's SDK know works here too: both make the same call, and the emulator's journal shows the same."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import anyio
import openai
import pytest

from streamfold import snapshot
from streamfold.client import Gateway
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options, Visit, emulate
from streamfold.errors import IdleTimeout, RequestRefused

pytestmark = pytest.mark.anyio

ASKED: Any = {"model": "toy", "input": "echo: hello"}
Make: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


async def with_openai(url: str, **given: Any) -> Any:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key") as client:
        return await client.responses.create(**ASKED, **given)


async def with_streamfold(url: str, **given: Any) -> Any:
    async with Gateway(f"{url}/v1", api_key="key") as here:
        return await here.create(**ASKED, **given)


async def with_streamfold_streamed(url: str, **given: Any) -> Any:
    async with Gateway(f"{url}/v1", api_key="key") as here, here.stream(**ASKED, **given) as response:
        return snapshot((await response.outcome()).state)


both = pytest.mark.parametrize("make", [with_openai, with_streamfold], ids=["openai", "streamfold"])
all_ways = pytest.mark.parametrize(
    "make", [with_openai, with_streamfold, with_streamfold_streamed], ids=["openai", "streamfold", "streamed"]
)


class SeesHeaders:
    """The emulator, with the headers of each request kept beside its journal, which holds none."""

    def __init__(self, options: Options) -> None:
        self.emulator = Emulator(options)
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await self.emulator(scope, receive, send)


async def visits(make: Make, options: Options | None = None, **given: Any) -> tuple[list[Visit], Any]:
    """What the journal has once the call is over, and what it gave."""
    emulator = Emulator(options or Options(tokens_per_second=None))
    async with emulate(emulator) as url:
        made = await make(url, **given)
    return list(emulator.journal.visits), made


@all_ways
async def test_output_text_is_the_joined_text(make: Make) -> None:
    _, made = await visits(make)
    assert made.output_text == "hello"


@all_ways
async def test_extra_query_is_in_the_query(make: Make) -> None:
    (visit, *_), _ = await visits(make, extra_query={"api-version": "2", "deep": True})
    assert visit.query == "api-version=2&deep=true"


@both
async def test_extra_headers_reach_the_gateway(make: Make) -> None:
    with pytest.raises((openai.APIStatusError, RequestRefused)) as caught:
        await visits(make, extra_headers={"X-Streamfold-Fault": "refuse:status=418"})
    error: Any = caught.value
    assert getattr(error, "status_code", None) == 418 or error.status == 418


@all_ways
async def test_extra_body_is_part_of_the_body(make: Make) -> None:
    _, made = await visits(make, extra_body={"metadata": {"from": "extra_body"}})
    assert made.metadata == {"from": "extra_body"}


@both
async def test_a_timeout_ends_the_call_and_the_gateway_sees_a_disconnect(make: Make) -> None:
    emulator = Emulator(Options(tokens_per_second=1.0))
    async with emulate(emulator) as url:
        with anyio.fail_after(10), pytest.raises((openai.APITimeoutError, IdleTimeout)):
            await make(url, timeout=0.2, **({"max_retries": 0} if make is with_streamfold else {}))
        is_seen = await anyio.to_thread.run_sync(
            lambda: emulator.journal.wait_for(lambda journal: journal.counters["disconnects"] >= 1, timeout_seconds=5)
        )
    assert is_seen


@all_ways
@pytest.mark.parametrize("status", [429, 503])
async def test_two_refusals_are_tried_again_and_three_are_not(make: Make, status: int) -> None:
    options = Options(tokens_per_second=None, faults=f"refuse:status={status},retry_after=0.01,times=2")
    seen, made = await visits(make, options)
    assert [visit.status for visit in seen][:3] == [status, status, 200]
    assert made.status == "completed"
    options = Options(tokens_per_second=None, faults=f"refuse:status={status},retry_after=0.01")
    with pytest.raises((openai.APIStatusError, RequestRefused)):
        await visits(make, options)


async def test_each_attempt_has_the_same_idempotency_key() -> None:
    app = SeesHeaders(Options(tokens_per_second=None, faults="refuse:status=503,retry_after=0.01,times=2"))
    async with Gateway("http://emulator/v1", api_key="key", http=AsgiTransport(app)) as here:
        await here.create(**ASKED)
        await here.create(**ASKED, idempotency_key="mine")
    keys = [headers["idempotency-key"] for headers in app.headers]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] == "mine"
    assert [visit.status for visit in app.emulator.journal.visits] == [503, 503, 200, 200]
