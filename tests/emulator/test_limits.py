"""What an emulator keeps, how long an answer may be, and that no request makes it do more at once."""

import gc
import tracemalloc
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec.json import encode

from streamfold.emulator import Emulator, Options, Timeline
from streamfold.emulator.model import answer_tokens
from streamfold.emulator.responses import _size
from streamfold.schema import OPENAI as SCHEMA_OF_OPENAI
from streamfold.serving import CreateRequest, read_create
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, HandClock, ask, begin, create, scope_of, start

pytestmark = pytest.mark.anyio


def emulator(**options: Any) -> Emulator:
    return Emulator(Options(**{"tokens_per_second": None, **options}), clock=HandClock())


# What is kept


@pytest.mark.parametrize("prefix", BOTH)
async def test_the_oldest_finished_response_makes_room(prefix: str) -> None:
    app = emulator(keep_responses=2)
    ids = [(await create(app, prefix)).json["id"] for _ in range(3)]
    statuses = [(await ask(app, "GET", f"{prefix}/responses/{id}")).status for id in ids]
    assert statuses == [404, 200, 200]
    assert [each["id"] for each in (await ask(app, "GET", f"{prefix}/responses")).json["data"]] == ids[:0:-1]


async def test_a_request_for_one_that_made_room_says_so() -> None:
    app = emulator(keep_responses=1)
    first, _ = [(await create(app)).json["id"] for _ in range(2)]
    for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
        gone = await ask(app, method, f"{MKA1}/responses/{first}{path}")
        assert (gone.status, gone.error["code"]) == (404, "not_found")
        assert "newer ones replaced it: this emulator keeps 1 Responses" in gone.error["message"]
    unknown = await ask(app, "GET", f"{MKA1}/responses/resp_none")
    assert "replaced" not in unknown.error["message"]
    foreign = await ask(app, "GET", f"{MKA1}/responses/{first}", authorization="Bearer other")
    assert "replaced" not in foreign.error["message"]


async def test_one_that_nobody_read_makes_room_as_well_once_it_is_over() -> None:
    app = emulator(keep_responses=1)
    first = await start(app, input="600 tokens")
    assert [(await create(app)).status for _ in range(3)] == [429, 200, 200]  # 500 events are looked at each time
    assert (await ask(app, "GET", f"{MKA1}/responses/{first}")).status == 404


async def test_only_so_many_are_looked_at_for_one_create(monkeypatch: pytest.MonkeyPatch) -> None:
    app = emulator(keep_responses=50)
    for _ in range(50):
        await start(app, input="9000 tokens")
    looks: list[float] = []
    catch_up = Timeline.catch_up
    monkeypatch.setattr(Timeline, "catch_up", lambda line, now: looks.append(now) or catch_up(line, now))
    assert (await create(app)).status == 429
    assert len(looks) == 20


async def test_one_that_runs_is_never_dropped_so_the_emulator_can_be_full() -> None:
    app = emulator(keep_responses=2, tokens_per_second=1)
    first, second = [await start(app) for _ in range(2)]
    refused = await create(app, background=True)
    assert (refused.status, "retry-after" in refused.headers) == (429, True)
    await ask(app, "POST", f"{MKA1}/responses/{second}/cancel")
    assert (await create(app, background=True)).status == 200
    assert (await ask(app, "GET", f"{MKA1}/responses/{first}")).status == 200
    assert (await ask(app, "GET", f"{MKA1}/responses/{second}")).status == 404


async def test_memory_is_a_limit_too_and_a_deleted_response_gives_it_back() -> None:
    app = emulator(keep_bytes=350_000, tokens_per_second=1)
    ids = [await start(app, input="100 tokens") for _ in range(3)]
    assert (await create(app, background=True, input="100 tokens")).status == 429
    await ask(app, "DELETE", f"{MKA1}/responses/{ids[0]}")
    assert (await create(app, background=True, input="100 tokens")).status == 200


SCHEMA = {"properties": {f"p{n}": {"type": "string"} for n in range(100)}}
COSTLY: dict[str, dict[str, Any]] = {
    "tokens": {"input": "1000 tokens"},
    "logprobs": {"input": "300 tokens", "top_logprobs": 5},
    "instructions": {"input": "5 tokens", "instructions": "i" * 100_000},
    "items": {"input": [{"role": "user", "content": "a"}] * 1000},
    "values": {"input": "5 tokens", "x": [[]] * 10_000},
    "tools": {"input": "5 tokens", "tools": [{"type": "code_interpreter"}] * 20},
    "images": {"input": "5 tokens", "tools": [{"type": "image_generation", "partial_images": 3}] * 20},
    "functions": {"input": "f", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
    "a schema": {"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    "long words": {"input": "echo: " + ("w" * 1000 + " ") * 100},
    "thoughts": {"input": "5 tokens", "reasoning": {"effort": "max", "summary": "auto"}},
}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(fields, id=name, marks=() if name in {"tokens", "items", "images"} else pytest.mark.thorough)
        for name, fields in COSTLY.items()
    ],
)
async def test_a_response_takes_no_more_memory_than_it_is_counted_for(fields: dict[str, Any]) -> None:
    app, counted = emulator(), 0
    body = encode({"model": "toy", "background": True, "stream": True, **fields})
    request = read_create(body, SCHEMA_OF_OPENAI)
    assert isinstance(request, CreateRequest)
    await create(app, OPENAI, **fields)  # what is made once is made
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2):
            id = await start(app, OPENAI, stream=True, **fields)
            for prefix in BOTH:  # each in its own form
                await ask(app, "GET", f"{prefix}/responses/{id}?stream=true")
            await ask(app, "GET", f"{OPENAI}/responses/{id}")
            counted += _size(request, body, answer_tokens(request, 100_000), most_tokens=100_000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < counted
    finally:
        tracemalloc.stop()


async def test_a_response_that_is_not_stored_takes_memory_but_cannot_be_had() -> None:
    app = emulator(keep_responses=1, tokens_per_second=1)
    asked = {"model": "toy", "input": "hi", "stream": True, "store": False}
    async with begin(app, "POST", f"{MKA1}/responses", asked) as exchange:
        await exchange.until(2)
        assert (await create(app, background=True)).status == 429
        id = exchange.answer.events[0]["response"]["id"]
        assert (await ask(app, "GET", f"{MKA1}/responses/{id}")).status == 404
        assert (await ask(app, "GET", f"{MKA1}/responses")).json["data"] == []
        assert (await create(app, previous_response_id=id)).status == 400


async def test_a_response_that_could_never_be_kept_is_too_large() -> None:
    app = emulator(keep_bytes=50_000)
    refused = await create(app, input="100 tokens")
    assert (refused.status, refused.error["code"]) == (413, "request_too_large")
    assert (await create(app, input="10 tokens")).status == 200


@pytest.mark.parametrize(("count", "status"), [(16, 200), (17, 400)])
async def test_one_request_may_ask_for_so_many_faults(count: int, status: int) -> None:
    faults = ";".join(["renumber:by=1"] * count)
    assert (await create(emulator(), x_streamfold_fault=faults)).status == status


async def test_batches_are_bounded_alike() -> None:
    app = emulator(keep_responses=1, batch_stage_seconds=10)
    asked = {"input_file_id": "file_1", "endpoint": "/v1/responses"}
    first = (await ask(app, "POST", f"{OPENAI}/batches", asked)).json["id"]
    assert (await ask(app, "POST", f"{OPENAI}/batches", asked)).status == 429
    app._clock.advance(100)  # pyright: ignore
    assert (await ask(app, "POST", f"{OPENAI}/batches", asked)).status == 200
    gone = await ask(app, "GET", f"{OPENAI}/batches/{first}")
    assert (gone.status, "replaced" in gone.error["message"]) == (404, True)


async def test_a_page_of_long_responses_ends_early_and_says_that_there_are_more() -> None:
    app = emulator()
    ids = [(await create(app, OPENAI, instructions="i" * 3_000_000)).json["id"] for _ in range(3)]
    first = (await ask(app, "GET", f"{OPENAI}/responses")).json
    assert ([each["id"] for each in first["data"]], first["has_more"]) == ([ids[2]], True)
    rest = (await ask(app, "GET", f"{OPENAI}/responses?after={first['last_id']}")).json
    assert rest["data"][0]["id"] == ids[1]


# How long an answer is


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize(
    "prompt", ["count to 1000000000000", "count to 1" + "0" * 5000, "101 tokens", "echo: " + "a " * 101]
)
async def test_an_answer_that_is_too_long_is_refused_with_the_limit(prefix: str, prompt: str) -> None:
    for more in ({}, {"stream": True}, {"background": True}, {"max_output_tokens": 101}):
        refused = await create(emulator(max_answer_tokens=100), prefix, input=prompt, **more)
        assert (refused.status, refused.error["param"], refused.error["code"]) == (400, "input", "answer_too_long")
        assert "more than 100 tokens" in refused.error["message"]


async def test_its_beginning_is_given_if_max_output_tokens_asks_for_no_more() -> None:
    answer = await create(emulator(max_answer_tokens=100), OPENAI, input="count to 1000000000000", max_output_tokens=3)
    assert answer.json["output"][0]["content"][0]["text"] == "1, 2, 3, "
    assert answer.json["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_what_no_prompt_announces_is_cut_at_the_limit() -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(100)}}
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    answer = await create(emulator(max_answer_tokens=100), OPENAI, text=form)
    assert (answer.json["status"], answer.json["usage"]["output_tokens"]) == ("incomplete", 100)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "mcp"}] * 129}, "tools"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}] * 129}}, "tool_choice.tools"),
        ({"include": ["file_search_call.results"] * 129}, "include"),
    ],
)
async def test_a_list_that_every_answer_goes_through_is_short(fields: dict[str, Any], param: str) -> None:
    refused = await create(emulator(), OPENAI, **fields)
    assert (refused.status, refused.error["param"]) == (400, param)


@pytest.mark.parametrize("tools", [5, [5], [{"type": "allowed_tools", "tools": 5}], None])
async def test_allowed_tools_of_any_shape_allow_what_they_name(tools: Any) -> None:
    choice = {"type": "allowed_tools", "tools": tools}
    answer = await create(emulator(), OPENAI, tools=[{"type": "mcp", "server_label": "a"}], tool_choice=choice)
    assert (answer.status, [each["type"] for each in answer.json["output"]]) == (200, ["message"])


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_long_answer_that_is_due_at_once_is_made_in_slices(prefix: str) -> None:
    app = emulator()
    id = await start(app, prefix, input="3000 tokens")
    found = await ask(app, "GET", f"{prefix}/responses/{id}")
    assert (found.json["status"], found.json["usage"]["output_tokens"]) == ("completed", 3000)
    whole = await create(app, prefix, input="3000 tokens")
    assert whole.json["usage"]["output_tokens"] == 3000


# Bodies


async def test_a_body_that_is_too_long_is_refused() -> None:
    app = emulator(max_body_bytes=100)
    assert (await create(app, input="a" * 100)).status == 413
    assert (await ask(app, "POST", f"{OPENAI}/responses", b'{"model":"m"}')).status == 200


async def test_bodies_and_long_answers_share_a_budget() -> None:
    app = emulator(max_buffered_bytes=100_000)
    assert (await create(app, instructions="a" * 100_000)).status == 503
    made = await create(app, OPENAI, instructions="a" * 80_000, background=True)
    assert made.status == 200
    for _ in range(3):  # it is given back
        assert (await ask(app, "GET", f"{OPENAI}/responses/{made.json['id']}")).status == 200
    listed = [await create(app, OPENAI, instructions="a" * 80_000, background=True) for _ in range(2)]
    assert [each.status for each in listed] == [200, 200]
    assert (await ask(app, "GET", f"{OPENAI}/responses")).status == 503
    assert (await ask(app, "GET", f"{OPENAI}/responses?limit=1")).status == 200


# Nobody waits for another's answer


@pytest.mark.parametrize("path", ["", "/cancel", "?limit=5"])
async def test_another_request_is_answered_while_a_long_answer_is_made(path: str) -> None:
    app = emulator()
    id = await start(app, input="50000 tokens")
    target = f"{MKA1}/responses{path}" if path.startswith("?") else f"{MKA1}/responses/{id}{path}"
    async with begin(app, "POST" if path == "/cancel" else "GET", target) as long:
        await checkpoint()
        answer = await ask(app, "GET", "/healthz")
        assert (answer.status, long.done.is_set()) == (200, False)
        await long.done.wait()
    assert long.answer.status in (200, 400)


async def test_a_webhook_of_a_long_answer_holds_nobody_up() -> None:
    async def post(url: str, headers: Any, body: bytes) -> int:
        return 200

    app = Emulator(Options(tokens_per_second=None), clock=HandClock(), post=post)
    async with app.running():
        await start(app, input="50000 tokens", webhook_url="http://hook/x")
        answered = 0
        while app.journal.counters["webhooks"] < 3:
            await ask(app, "GET", "/healthz")
            answered += 1
    assert answered > 3


async def test_a_client_that_leaves_a_long_answer_holds_nobody_up() -> None:
    app = emulator(cancels_on_disconnect=True)
    asked = {"model": "toy", "input": "50000 tokens", "stream": True}
    async with begin(app, "POST", f"{MKA1}/responses", asked) as exchange:
        await exchange.until(3)
    [visit] = app.journal.visits
    assert visit.ended == "disconnected"
    [found] = (await ask(app, "GET", f"{MKA1}/responses")).json["data"]
    assert found["status"] == "cancelled"


async def test_a_server_that_takes_all_at_once_is_left_for_others_now_and_then() -> None:
    """A server's `send` returns without yielding while its buffer has space."""
    sent: list[Any] = []
    turns = 0

    async def receive() -> dict[str, Any]:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b'{"model":"m","input":"hi","stream":true}', "more_body": False}
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    asked: list[bool] = []
    app = emulator()
    headers = {"authorization": "Bearer k", "x-streamfold-fault": "duplicate:count=9007199254740991"}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app, scope_of("POST", "/v1/responses", headers), receive, send)
        while len(sent) < 1000:
            turns += 1
            await checkpoint()
        tasks.cancel_scope.cancel()
    assert turns > 20


@pytest.mark.parametrize("fault", ["duplicate:count=9007199254740991", "drip:bytes=1"])
async def test_a_fault_that_repeats_without_end_lets_others_in(fault: str) -> None:
    app = emulator()
    asked = {"model": "toy", "input": "20000 tokens", "stream": True}
    async with begin(app, "POST", f"{MKA1}/responses", asked, x_streamfold_fault=fault) as exchange:
        await exchange.until(200)
        assert (await ask(app, "GET", "/healthz")).status == 200
    assert not exchange.answer.is_complete
