"""The openai SDK and streamfold see the same: every kind of answer, read by both, from one emulator.

That each call of the SDK works against the emulator is tests/emulator/test_sdks.py; here the two readers are compared.
"""

import json
from typing import Any

import openai
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from streamfold import snapshot_json
from streamfold.client import Gateway
from streamfold.emulator import Emulator, Options, emulate
from streamfold.schema import OPENAI, CreateParams, Response
from streamfold.session import Outcome
from tests.emulator.answers import COMPLETED_KINDS_OF_OPENAI, KINDS_OF_OPENAI, sampled

pytestmark = pytest.mark.anyio


def sdk(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0)


async def follow(url: str, response_id: str, **given: Any) -> tuple[list[dict[str, Any]], Outcome]:
    """The events as JSON, and the outcome, as streamfold has them."""
    async with Gateway(url, api_key="key", dialect=OPENAI) as here, here.follow(response_id, **given) as response:
        events: list[dict[str, Any]] = []
        while applied := await response.next_applied():
            events += [json.loads(each.data) for each in applied]
        return events, await response.outcome()


def plain(model: Any) -> dict[str, Any]:
    """What the SDK made of it, without what it did not get."""
    return json.loads(model.model_dump_json(exclude_unset=True, by_alias=True))


def without_padding(event: dict[str, Any]) -> dict[str, Any]:
    """Its padding is made anew for each reader."""
    return {name: value for name, value in event.items() if name != "obfuscation"}


@pytest.mark.parametrize("asked", sampled(KINDS_OF_OPENAI))
async def test_both_read_the_same_events_and_the_same_response(url: str, asked: dict[str, Any]) -> None:
    async with sdk(url) as client:
        theirs: list[Any] = []
        async with await client.responses.create(model="toy", stream=True, background=True, **asked) as stream:
            try:
                async for event in stream:
                    theirs.append(event)
            except openai.APIError:  # the SDK raises what an `error` event says, and reads no further
                assert "error event" in asked["input"]
        response_id = theirs[0].response.id
        ours, outcome = await follow(url, response_id)
        final = json.loads(snapshot_json(outcome.state))
        assert plain(await client.responses.retrieve(response_id)) == final
    if "error event" in asked["input"]:
        ours = ours[: len(theirs)]
    else:
        assert plain(theirs[-1].response) == final
    assert [without_padding(plain(each)) for each in theirs] == [without_padding(each) for each in ours]


@pytest.mark.parametrize("asked", sampled(COMPLETED_KINDS_OF_OPENAI))
async def test_the_sdks_final_response_is_our_final_state(url: str, asked: dict[str, Any]) -> None:
    async with sdk(url) as client:
        async with client.responses.stream(model="toy", background=True, **asked) as stream:
            final = await stream.get_final_response()
        _, outcome = await follow(url, final.id)
    ours = json.loads(snapshot_json(outcome.state))
    assert (final.status, final.output_text) == (outcome.status, outcome.state.output_text)
    assert [each.type for each in final.output] == [each["type"] for each in ours["output"]]


async def test_a_response_of_the_sdk_is_gone_on_with_after_its_last_event(url: str) -> None:
    async with sdk(url) as client:
        seen: list[Any] = []
        async with await client.responses.create(model="toy", input="20 words", stream=True, background=True) as stream:
            async for event in stream:
                seen.append(event)
                if len(seen) == 7:
                    break
    ours, outcome = await follow(url, seen[0].response.id, starting_after=seen[-1].sequence_number)
    assert [each["sequence_number"] for each in ours] == list(range(7, 7 + len(ours)))
    assert outcome.status == "completed"


async def test_the_sdk_sees_the_cancel_that_streamfold_won() -> None:
    async with emulate(Emulator(Options(hold_after_events=6, tokens_per_second=None))) as url, sdk(url) as client:
        async with (
            Gateway(url, api_key="key", dialect=OPENAI) as here,
            here.stream(model="toy", input="5000 words", background=True) as response,
        ):
            await anext(response)
            await response.cancel()
            outcome = await response.outcome()
        found = await client.responses.retrieve(str(response.id))
    assert found.status == outcome.status == "cancelled"


@pytest.mark.parametrize("include_obfuscation", [True, False])
async def test_padding_comes_to_both_if_it_is_asked_for(url: str, include_obfuscation: bool) -> None:
    async with sdk(url) as client:
        made = await client.responses.create(model="toy", input="5 words", background=True, stream=True)
        async with made:
            events = [event async for event in made]
        response_id = events[0].response.id
        again = await client.responses.retrieve(response_id, stream=True, include_obfuscation=include_obfuscation)
        async with again:
            theirs = [plain(event) async for event in again]
    ours, _ = await follow(url, response_id, include_obfuscation=include_obfuscation)
    for events in (theirs, ours):
        assert any("obfuscation" in each for each in events) is include_obfuscation


async def test_a_batch_is_the_same_to_both(url: str) -> None:
    async with sdk(url) as client, Gateway(url, api_key="key", dialect=OPENAI) as here:
        made = await client.batches.create(
            input_file_id="file_1", endpoint="/v1/responses", completion_window="24h", metadata={"k": "v"}
        )
        ours = await here.batches.retrieve(made.id)
        assert (ours.id, ours.status, ours.metadata) == (made.id, made.status, made.metadata)
        assert (await client.batches.cancel(made.id)).status == (await here.batches.retrieve(made.id)).status


async def test_a_plain_create_is_the_same_to_both(url: str) -> None:
    async with sdk(url) as client, Gateway(url, api_key="key", dialect=OPENAI) as here:
        made = await client.responses.create(model="toy", input="echo hi there")
        ours = await here.retrieve(made.id)
        assert isinstance(ours, Response)
        assert (ours.id, ours.status) == (made.id, made.status)


def test_every_parameter_of_the_sdk_is_a_parameter_here() -> None:
    names = set(ResponseCreateParamsBase.__annotations__)
    assert names <= CreateParams.__annotations__.keys()
