"""MKA1's SDK and streamfold see the same: every kind of answer, read by both, from one emulator; nothing is UNKNOWN.

That each call of the SDK works against the emulator is tests/emulator/test_sdks.py; here the two readers are compared.
"""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from mka1 import SDK
from mka1.models import ResponsesCreateRequest

from streamfold import snapshot_json
from streamfold.client import Gateway
from streamfold.emulator import Options, emulate
from streamfold.schema import CreateParams
from streamfold.session import Outcome
from tests.emulator.answers import KINDS_OF_MKA1, sampled, unknown_paths

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slow_url() -> AsyncGenerator[str, None]:
    """An emulator whose responses stand still after six events, until they are cancelled."""
    async with emulate(Options(tokens_per_second=None, hold_after_events=6)) as url:
        yield url


class Mka1:
    """The SDK, with clients that are closed."""

    def __init__(self, url: str) -> None:
        self.client, self.other = httpx.AsyncClient(), httpx.Client()
        self.sdk = SDK(bearer_auth="key", server_url=url, async_client=self.client, client=self.other)

    async def __aenter__(self) -> Any:
        await self.sdk.__aenter__()
        return self.sdk.llm

    async def __aexit__(self, *error: Any) -> None:
        await self.sdk.__aexit__(*error)
        await self.client.aclose()
        self.other.close()


async def follow(url: str, response_id: str, **given: Any) -> tuple[list[dict[str, Any]], Outcome]:
    async with Gateway(url, api_key="key") as here, here.follow(response_id, **given) as response:
        events: list[dict[str, Any]] = []
        while applied := await response.next_applied():
            events += [json.loads(each.data) for each in applied]
        return events, await response.outcome()


@pytest.mark.parametrize("asked", sampled(KINDS_OF_MKA1))
async def test_every_event_is_typed_and_both_have_the_same_end(url: str, asked: dict[str, Any]) -> None:
    async with Mka1(url) as llm:
        stream = await llm.responses.create_async(model="toy", stream=True, background=True, **asked)
        async with stream:
            theirs = [event.data async for event in stream]
        response_id = theirs[0].response.id
        found = await llm.responses.get_async(response_id=response_id, stream=False)
        ours, outcome = await follow(url, response_id)
    assert [each.sequence_number for each in theirs] == list(range(len(theirs)))
    assert [path for each in theirs for path in unknown_paths(each.model_dump())] == []
    # Of a response that is over MKA1 streams its terminal event alone.
    assert [each["type"] for each in ours] in ([], [theirs[-1].type])
    final = json.loads(snapshot_json(outcome.state))
    assert found.status == theirs[-1].response.status == final["status"] == outcome.status
    assert found.output_text == outcome.state.output_text
    assert [each.type for each in found.output] == [each["type"] for each in final["output"]]


async def test_a_response_of_the_sdk_is_gone_on_with_and_cancelled(slow_url: str) -> None:
    async with Mka1(slow_url) as llm:
        made = await llm.responses.create_async(model="toy", input="5000 words", background=True)
        async with Gateway(slow_url, api_key="key") as here, here.follow(made.id) as response:
            numbers = [(await anext(response)).sequence_number for _ in range(6)]
            await response.cancel()
            outcome = await response.outcome()
        found = await llm.responses.get_async(response_id=made.id, stream=False)
        [last] = [event.data async for event in await llm.responses.get_async(response_id=made.id, stream=True)]
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert found.status == outcome.status == last.response.status == "cancelled"
    assert last.type == "response.cancelled"


async def test_the_sdk_goes_on_where_streamfold_stopped(slow_url: str) -> None:
    async with (
        Gateway(slow_url, api_key="key") as here,
        here.stream(model="toy", input="5000 words", background=True) as response,
    ):
        for _ in range(3):
            await anext(response)
        cursor, response_id = response.cursor, response.id
    async with Mka1(slow_url) as llm:
        stream = await llm.responses.get_async(
            response_id=response_id, stream=True, starting_after=cursor, include=["file_search_call.results"]
        )
        numbers: list[int] = []
        async with stream:
            async for event in stream:
                numbers.append(event.data.sequence_number)
                if len(numbers) == 3:
                    break
    assert numbers == [3, 4, 5]


async def test_a_batch_is_the_same_to_both(url: str) -> None:
    async with Mka1(url) as llm, Gateway(url, api_key="key") as here:
        made = await llm.batches.create_async(input_file_id="file_1", endpoint="/v1/responses", max_concurrency=2)
        ours = await here.batches.retrieve(made.id)
        assert (ours.id, ours.status) == (made.id, made.status)
        assert (await here.batches.cancel(made.id)).status == "cancelling"
        assert (await llm.batches.get_async(batch_id=made.id)).status in {"cancelling", "cancelled"}


def test_every_parameter_of_the_sdk_is_a_parameter_here() -> None:
    names = set(ResponsesCreateRequest.model_fields)
    assert names - {"stream", "extra_body"} <= CreateParams.__annotations__.keys()
