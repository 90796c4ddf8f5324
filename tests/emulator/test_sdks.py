"""The real SDKs against a running emulator: every documented call, synchronous and asynchronous, every event typed.

They block, or not, as they like: the emulator has a thread of its own.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import openai
import pytest
from mka1 import SDK

from streamfold.chaos import Refuse
from streamfold.emulator import Emulator, Options, emulate

pytestmark = pytest.mark.anyio

LONG = "a long story of 4000 tokens"


@pytest.fixture
def anyio_backend() -> str:
    """The asynchronous halves of both SDKs are written for asyncio."""
    return "asyncio"


@pytest.fixture
async def gateway() -> AsyncGenerator[str, None]:
    async with emulate(Options(tokens_per_second=1000)) as url:
        yield url


async def settled(value: Any) -> Any:
    """What a call gives, whether it has to be awaited or not."""
    return await value if inspect.isawaitable(value) else value


async def read(stream: Any, most: int = 10**6) -> list[Any]:
    """What a stream gives, of either kind, and no more than so many; it is closed then."""
    found: list[Any] = []
    if hasattr(stream, "__aenter__"):
        async with stream:
            async for each in stream:
                found.append(each)
                if len(found) == most:
                    break
    else:
        with stream:
            for each in stream:
                found.append(each)
                if len(found) == most:
                    break
    return found


class Mka1:
    """MKA1's SDK. `await call("get", ...)` is `get(...)`, or `get_async(...)`."""

    def __init__(self, url: str, *, is_async: bool) -> None:
        self.sdk = SDK(bearer_auth="key", server_url=url)
        self.suffix = "_async" if is_async else ""

    async def call(self, name: str, **arguments: Any) -> Any:
        return await settled(getattr(self.sdk.llm.responses, name + self.suffix)(**arguments))

    async def batch(self, name: str, **arguments: Any) -> Any:
        return await settled(getattr(self.sdk.llm.batches, name + self.suffix)(**arguments))

    async def events(self, name: str, *, most: int = 10**6, **arguments: Any) -> list[Any]:
        stream = await self.call(name, stream=True, **arguments)
        return [each.data for each in await read(stream, most)]


@pytest.fixture(params=["async", pytest.param("sync", marks=pytest.mark.thorough)])
async def mka1(gateway: str, request: pytest.FixtureRequest) -> AsyncGenerator[Mka1, None]:
    mka1 = Mka1(gateway, is_async=request.param == "async")
    async with mka1.sdk:
        with mka1.sdk:
            yield mka1


async def test_mka1_creates_and_retrieves(mka1: Mka1) -> None:
    made = await mka1.call("create", model="toy", input="What is the capital of France?")
    found = await mka1.call("get", response_id=made.id, stream=False)
    assert (
        (made.status, made.output_text)
        == (found.status, found.output_text)
        == (
            "completed",
            "The capital of France is Paris.",
        )
    )


PROMPTS: Mapping[str, Mapping[str, Any]] = {
    "text": {"input": "Hello"},
    "reasoning": {"input": "Hello", "reasoning": {"effort": "high", "summary": "auto"}},
    "a citation": {"input": "please cite something"},
    "a refusal": {"input": "please refuse"},
    "a failure": {"input": "please fail"},
    "an error event": {"input": "an error event, please"},
    "a filter": {"input": "a filter, please"},
    "a function call": {
        "input": "Hello",
        "tools": [{"type": "function", "name": "look", "strict": True, "parameters": {"type": "object"}}],
    },
    "a search": {"input": "Hello", "tools": [{"type": "web_search"}]},
    "too few tokens": {"input": "Hello", "max_output_tokens": 3},
}


@pytest.mark.parametrize(
    ("asked", "background", "mka1"),
    [
        # Every second prompt in one of the four ways, the others in `make test-all`.
        pytest.param(
            asked,
            place % 2 == 1,
            "async" if place % 4 < 2 else "sync",
            id=f"{name}, {'background' if place % 2 else 'foreground'}, {'async' if place % 4 < 2 else 'sync'}",
            marks=() if place // 4 == 0 and number % 2 == 0 else pytest.mark.thorough,
        )
        for number, (name, asked) in enumerate(PROMPTS.items())
        for turn in range(4)
        for place in [turn * 4 + (number + turn) % 4]
    ],
    indirect=["mka1"],
)
async def test_every_event_decodes_typed_in_mka1s_sdk(mka1: Mka1, asked: Mapping[str, Any], background: bool) -> None:
    events = await mka1.events("create", model="toy", background=background, **asked)
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert "UNKNOWN" not in {each.type for each in events}
    assert events[-1].type in ("response.completed", "response.failed", "response.incomplete")


async def test_mka1_follows_what_was_made_without_stream(mka1: Mka1) -> None:
    made = await mka1.call("create", model="toy", input=LONG, background=True, stream=False, stream_events=True)
    assert made.status == "queued"
    first = await mka1.events("get", response_id=made.id, most=5)
    rest = await mka1.events(
        "get",
        response_id=made.id,
        starting_after=4,
        include=["file_search_call.results"],
        include_obfuscation=False,
        most=5,
    )
    assert [each.sequence_number for each in first + rest] == list(range(10))
    assert "UNKNOWN" not in {each.type for each in first + rest}


async def test_mka1_compacts_and_lists_models(mka1: Mka1) -> None:
    made = await mka1.call("create", model="toy", input="What is the capital of France?")
    compacted = await mka1.call("compact", model="toy", input="And of Spain?", previous_response_id=made.id)
    assert [each.type for each in compacted.output] == ["message", "message", "compaction"]
    assert compacted.output[-1].content
    assert compacted.usage.total_tokens > 0
    items = [each.model_dump(mode="json", exclude_none=True) for each in compacted.output]
    assert (await mka1.call("create", model="toy", input=items)).status == "completed"
    models = mka1.sdk.llm.models
    listed = await settled(getattr(models, "list" + mka1.suffix)())
    found = await settled(getattr(models, "get" + mka1.suffix)(model_id="gpt-6"))
    assert ([each.id for each in listed.data], found.id) == (["toy"], "gpt-6")


@pytest.mark.parametrize("cancel", ["mka1", "failed-holding-cancelled"])
async def test_mka1_cancels_and_reads_the_end(cancel: str) -> None:
    async with emulate(Options(tokens_per_second=10, cancel=cancel)) as url:
        mka1 = Mka1(url, is_async=False)
        with mka1.sdk:
            made = await mka1.call("create", model="toy", input=LONG, background=True)
            answers = [await mka1.call("cancel", response_id=made.id) for _ in range(2)]
            [last] = await mka1.events("get", response_id=made.id)
    assert [each.status for each in answers] == ["cancelled", "cancelled"]
    assert last.type == {"mka1": "response.cancelled"}.get(cancel, "response.failed")
    assert last.response.status == "cancelled"


async def test_mka1_has_the_rest_too(mka1: Mka1) -> None:
    made = await mka1.call("create", model="toy", input="Hello", metadata={"a": "1"})
    assert (await mka1.call("update", response_id=made.id, metadata={"b": "2"})).metadata == {"b": "2"}
    assert [each.id for each in (await mka1.call("list", limit=5)).data] == [made.id]
    [item] = (await mka1.call("list_input_items", response_id=made.id)).data
    assert item.role == "user"
    assert (await mka1.call("delete", response_id=made.id)).deleted


async def test_mka1_cancels_a_batch(mka1: Mka1) -> None:
    made = await mka1.batch("create", endpoint="/v1/responses", input_file_id="file_1", max_concurrency=4)
    cancelled = await mka1.batch("cancel", batch_id=made.id)
    found = await mka1.batch("get", batch_id=made.id)
    assert (made.status, cancelled.status) == ("validating", "cancelling")
    assert found.status in ("cancelling", "cancelled")
    assert [each.id for each in (await mka1.batch("list")).data] == [made.id]


# OpenAI


@pytest.fixture(params=["sync", "async"])
async def oai(gateway: str, request: pytest.FixtureRequest) -> AsyncGenerator[Any, None]:
    kinds: dict[str, Callable[..., Any]] = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}
    client = kinds[request.param](base_url=f"{gateway}/v1", api_key="key", max_retries=0)
    yield client
    await settled(client.close())


async def test_openai_creates_and_retrieves(oai: Any) -> None:
    made = await settled(oai.responses.create(model="toy", input="What is the capital of France?"))
    found = await settled(oai.responses.retrieve(made.id))
    assert made.output_text == found.output_text == "The capital of France is Paris."


@pytest.mark.parametrize(
    "asked", [asked for name, asked in PROMPTS.items() if name not in ("a failure", "an error event")]
)
async def test_openai_reads_every_event(oai: Any, asked: Mapping[str, Any]) -> None:
    stream = await settled(oai.responses.create(model="toy", stream=True, background=True, **asked))
    events = await read(stream)
    assert [each.sequence_number for each in events] == list(range(len(events)))
    id = events[0].response.id
    replayed = await read(await settled(oai.responses.retrieve(id, stream=True, starting_after=5)))
    assert [each.model_dump() for each in replayed] == [each.model_dump() for each in events[6:]]


async def test_openais_stream_helper_has_a_final_response(oai: Any) -> None:
    manager = oai.responses.stream(model="toy", input="Hello")
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            final = await stream.get_final_response()
    else:
        with manager as stream:
            final = stream.get_final_response()
    assert final.status == "completed"
    assert final.output_text


async def test_openais_stream_helper_follows_by_id(gateway: str) -> None:
    client = openai.OpenAI(base_url=f"{gateway}/v1", api_key="key")
    events = list(client.responses.create(model="toy", input="Hello", stream=True, background=True))
    with client, client.responses.stream(response_id=events[0].response.id, starting_after=5) as stream:
        assert [each.sequence_number for each in stream][:2] == [6, 7]
        assert stream.get_final_response().status == "completed"


async def test_openai_cancels(oai: Any) -> None:
    made = await settled(oai.responses.create(model="toy", input=LONG, background=True))
    assert [(await settled(oai.responses.cancel(made.id))).status for _ in range(2)] == ["cancelled"] * 2
    done = await settled(oai.responses.create(model="toy", input="Hello"))
    with pytest.raises(openai.BadRequestError, match="synchronous") as caught:
        await settled(oai.responses.cancel(done.id))
    assert caught.value.request_id


async def test_openai_has_the_rest_too(oai: Any) -> None:
    made = await settled(oai.responses.create(model="toy", input="Hello"))
    items = await settled(oai.responses.input_items.list(made.id))
    assert [each.role for each in items.data] == ["user"]
    assert await settled(oai.responses.delete(made.id)) is None
    with pytest.raises(openai.NotFoundError):
        await settled(oai.responses.retrieve(made.id))


async def test_openai_compacts_a_conversation_and_continues_it(oai: Any) -> None:
    made = await settled(oai.responses.create(model="toy", input="What is the capital of France?"))
    compacted = await settled(oai.responses.compact(model="toy", input="And of Spain?", previous_response_id=made.id))
    assert (compacted.object, compacted.output[-1].type) == ("response.compaction", "compaction")
    assert compacted.output[-1].encrypted_content
    assert [each.content[0].text for each in compacted.output[:-1]] == [
        "What is the capital of France?",
        "And of Spain?",
    ]
    items = [each.model_dump(exclude_unset=True, warnings=False) for each in compacted.output]
    again = await settled(oai.responses.create(model="toy", input=[*items, {"role": "user", "content": "Go on."}]))
    assert again.status == "completed"


async def test_openai_counts_input_tokens(oai: Any) -> None:
    counted = await settled(oai.responses.input_tokens.count(model="toy", input="How many?", instructions="Be short."))
    made = await settled(oai.responses.create(model="toy", input="How many?", instructions="Be short."))
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", made.usage.input_tokens)


async def test_openai_lists_and_retrieves_models(oai: Any) -> None:
    listed = await settled(oai.models.list())
    assert [(each.id, each.object) for each in listed.data] == [("toy", "model")]
    for name in ("toy", "ft:gpt-6:me::1", "org/model"):
        assert (await settled(oai.models.retrieve(name))).id == name


async def test_openai_sees_its_newest_parameters_typed(oai: Any) -> None:
    made = await settled(
        oai.responses.create(
            prompt={"id": "pmpt_1"},
            input="Hello",
            reasoning={"effort": "max"},
            access_programs={"cyber": "standard"},
            moderation={"model": "omni-moderation-latest"},
            prompt_cache_options={"ttl": "12h"},
            prompt_cache_retention="24h",
            tools=[{"type": "function", "name": "f", "parameters": {}, "strict": None}],
        )
    )
    assert (made.reasoning.effort, made.access_programs.cyber) == ("max", "standard")
    assert (made.moderation.input.flagged, made.moderation.output.type) == (False, "moderation_result")
    assert (made.prompt_cache_options.mode, made.prompt_cache_options.ttl) == ("implicit", "12h")
    assert (made.prompt_cache_retention, made.tools[0].strict) == ("24h", True)


async def test_openai_is_told_why_a_background_response_must_be_stored(oai: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="store must be true"):
        await settled(oai.responses.create(model="toy", input="Hello", background=True, store=False))


async def test_openai_cancels_a_batch(oai: Any) -> None:
    asked = {"endpoint": "/v1/responses", "input_file_id": "file_1", "completion_window": "24h"}
    made = await settled(oai.batches.create(**asked))
    assert (await settled(oai.batches.cancel(made.id))).status == "cancelling"
    assert (await settled(oai.batches.retrieve(made.id))).status in ("cancelling", "cancelled")
    assert [each.id for each in (await settled(oai.batches.list())).data] == [made.id]


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500])
async def test_openai_knows_every_refusal(status: int) -> None:
    emulator = Emulator(Options(faults=(Refuse(status=status),)))
    async with emulate(emulator) as url, openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.responses.create(model="toy", input="Hello")
    assert caught.value.status_code == status
