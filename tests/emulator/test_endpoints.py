"""What every route answers to pages, WebSockets and HEAD; compaction, token counts, models, and the newest parameters."""

from typing import Any

import pytest

from streamfold.emulator import Emulator, Options
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, HandClock, ask, create, start

pytestmark = pytest.mark.anyio


@pytest.fixture
def app() -> Emulator:
    return Emulator(Options(tokens_per_second=None), clock=HandClock())


# Web pages, WebSockets, HEAD


@pytest.mark.parametrize("path", ["/v1/responses", "/api/v1/llm/responses/resp_1/cancel", "/nothing", "*"])
async def test_a_preflight_is_answered_everywhere_and_needs_no_key(path: str) -> None:
    app = Emulator(Options(key="right"), clock=HandClock())
    headers = {"origin": "http://localhost:3000", "access-control-request-headers": "authorization,x-stainless-lang"}
    answer = await ask(app, "OPTIONS", path, authorization="", **headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-stainless-lang"
    assert not {"content-length", "content-type"} & answer.headers.keys()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/responses", {}, 200),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/v1/responses", {}, 405),
        ("GET", "/v1/responses", {"authorization": ""}, 401),
        ("POST", "/v1/responses", {}, 400),
        ("POST", "/v1/responses", {"x_streamfold_fault": "refuse:status=503"}, 503),
    ],
)
async def test_a_page_sees_every_answer_refusals_too(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    app = Emulator(Options(cors_origins="http://localhost:3000"), clock=HandClock())
    for origin, seen in (("http://localhost:3000", "http://localhost:3000"), ("http://elsewhere", None)):
        answer = await ask(app, method, path, None, origin=origin, **headers)
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (status, seen)
        assert answer.headers["vary"] == "origin"


async def test_a_stream_is_seen_by_a_page_too(app: Emulator) -> None:
    assert (await create(app, stream=True)).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("prefix", BOTH)
async def test_an_upgrade_to_websocket_is_refused_with_what_to_do(app: Emulator, prefix: str) -> None:
    answer = await ask(app, "GET", f"{prefix}/responses", upgrade="WebSocket", connection="upgrade")
    assert (answer.status, answer.error["code"]) == (426, "websocket_not_supported")
    assert "stream: true" in answer.error["message"]
    assert answer.headers["upgrade"] == "HTTP/1.1"


@pytest.mark.parametrize(("extensions", "first"), [({}, "websocket.close"), ({"websocket.http.response": {}}, 426)])
async def test_a_server_that_speaks_websocket_is_told_the_same(
    app: Emulator, extensions: dict[str, Any], first: str | int
) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/v1/responses", "extensions": extensions}, receive, send)
    assert first in (sent[0]["type"], sent[0].get("status"))


@pytest.mark.parametrize("prefix", BOTH)
async def test_head_is_the_head_of_get_and_changes_nothing(app: Emulator, prefix: str) -> None:
    id = await start(app, prefix)
    for path in ("/responses", f"/responses/{id}", f"/responses/{id}/input_items", "/batches"):
        whole, head = [await ask(app, method, f"{prefix}{path}") for method in ("GET", "HEAD")]
        assert (head.status, head.body, head.is_complete) == (200, b"", True)
        for name in ("content-type", "content-length"):
            assert head.headers[name] == whole.headers[name]


async def test_head_of_a_stream_ends_at_once() -> None:
    app = Emulator(Options(tokens_per_second=1), clock=HandClock())
    id = await start(app, MKA1, stream_events=True)
    head = await ask(app, "HEAD", f"{MKA1}/responses/{id}?stream=true")
    assert (head.status, head.headers["content-type"], head.body) == (200, "text/event-stream", b"")


async def test_an_unknown_sub_route_names_the_endpoint(app: Emulator) -> None:
    for method, path in [
        ("POST", "/v1/responses/parse"),
        ("GET", "/v1/responses/search"),
        ("DELETE", "/v1/responses/all"),
    ]:
        answer = await ask(app, method, path, {"metadata": {}})
        assert answer.status == 404
        assert f"There is no endpoint {path.removeprefix('/v1')}" in answer.error["message"]
    answer = await ask(app, "POST", "/api/v1/llm/responses/input_tokens", {"input": "hi"})
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")


# Compaction, token counts, models


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_conversation_is_compacted_to_its_user_messages_and_one_item(app: Emulator, prefix: str) -> None:
    id = (await create(app, prefix, input="What is it?")).json["id"]
    given = [
        {"role": "user", "content": "And this?"},
        {"role": "assistant", "content": "That."},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
    ]
    body = {"model": "toy", "input": given, "previous_response_id": id}
    answer = await ask(app, "POST", f"{prefix}/responses/compact", body)
    assert (answer.status, answer.json["object"]) == (200, "response.compaction")
    assert [each["type"] for each in answer.json["output"]] == ["message", "message", "compaction"]
    assert [each["content"][0]["text"] for each in answer.json["output"][:2]] == ["What is it?", "And this?"]
    item = answer.json["output"][-1]
    assert item["id"].startswith("cmp_")
    assert ("content" in item) is (prefix == MKA1)
    assert answer.json["usage"]["total_tokens"] > 0
    again = await create(app, prefix, input=[*answer.json["output"], {"role": "user", "content": "Go on."}])
    assert again.json["status"] == "completed"


@pytest.mark.parametrize(
    "body", [{"input": "hi"}, {"model": "toy", "previous_response_id": "resp_none"}, {"model": "toy", "input": 5}]
)
async def test_a_compaction_of_nothing_is_refused(app: Emulator, body: dict[str, Any]) -> None:
    assert (await ask(app, "POST", f"{OPENAI}/responses/compact", body)).status == 400


async def test_counted_tokens_are_those_of_the_usage(app: Emulator) -> None:
    body = {"model": "toy", "input": "How many words is this?", "instructions": "Be short."}
    counted = (await ask(app, "POST", f"{OPENAI}/responses/input_tokens", body)).json
    made = (await ask(app, "POST", f"{OPENAI}/responses", body)).json
    assert counted == {"object": "response.input_tokens", "input_tokens": made["usage"]["input_tokens"]}


@pytest.mark.parametrize("prefix", BOTH)
async def test_every_name_is_a_model(app: Emulator, prefix: str) -> None:
    listed = (await ask(app, "GET", f"{prefix}/models")).json
    assert [each["id"] for each in listed["data"]] == ["toy"]
    for name in ("toy", "gpt-6", "meetkai/functionary"):
        found = (await ask(app, "GET", f"{prefix}/models/{name}")).json
        assert (found["id"], found["object"]) == (name, "model")


# What OpenAI's newest parameters change in the Response


@pytest.mark.parametrize("given", [{}, {"strict": None}, {"strict": True}, {"strict": False}])
async def test_strict_of_a_function_is_always_shown(app: Emulator, given: dict[str, Any]) -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, **given}, {"type": "web_search"}]
    for prefix in BOTH:
        [function, search] = (await create(app, prefix, tools=tools, tool_choice="none")).json["tools"]
        assert function == {**tools[0], "strict": given.get("strict") is not False}
        assert search == {"type": "web_search"}


async def test_openais_newest_parameters_are_shown_as_its_sdk_types_them(app: Emulator) -> None:
    asked = {
        "access_programs": {"cyber": "standard"},
        "moderation": {"model": "omni-moderation-latest"},
        "prompt_cache_options": {"ttl": "12h", "prewarm": True, "comparison_response_id": "resp_1"},
        "prompt_cache_retention": "24h",
        "image": {"context_compression": "auto"},
        "reasoning": {"effort": "max"},
    }
    events = (await create(app, OPENAI, stream=True, **asked)).events
    begun, ended = events[0]["response"], events[-1]["response"]
    for response in (begun, ended):
        assert response["access_programs"] == {"cyber": "standard"}
        assert response["prompt_cache_options"] == {
            "mode": "implicit",
            "ttl": "12h",
            "comparison_response_id": "resp_1",
        }
        assert response["prompt_cache_diagnostics"] == {"type": "unavailable"}
        assert response["prompt_cache_retention"] == "24h"
        assert response["image"] == {"context_compression": "disabled"}
        assert response["reasoning"]["effort"] == "max"
    assert "moderation" not in begun
    assert [ended["moderation"][side]["flagged"] for side in ("input", "output")] == [False, False]


async def test_what_is_not_asked_for_is_not_shown(app: Emulator) -> None:
    response = (await create(app, OPENAI)).json
    assert not {"access_programs", "moderation", "prompt_cache_options", "image"} & response.keys()


async def test_a_prompt_template_needs_no_model(app: Emulator) -> None:
    answer = await ask(app, "POST", f"{OPENAI}/responses", {"prompt": {"id": "pmpt_1"}, "input": "hi"})
    assert (answer.status, answer.json["model"], answer.json["prompt"]) == (200, "toy", {"id": "pmpt_1"})
