"""Answers of the toy model for tests, and the two real SDKs reading them without a network."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
import httpx2
import pytest
from msgspec.json import encode

from streamfold.emulator.model import answer
from streamfold.schema.dialect import MKA1, OPENAI, Dialect
from streamfold.serving import CreateRequest, Fields, event_data, read_create, shape_response
from streamfold.sse import Frame, encode_frame

RESPONSE_ID = "resp_0123456789abcdef"
CREATED_AT = 1_765_552_659
DIALECTS = [pytest.param(MKA1, id="mka1"), pytest.param(OPENAI, id="openai")]

LOOK_UP = {
    "type": "function",
    "name": "look_up",
    "strict": True,
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}, "limit": {"type": "integer"}}},
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1000}},
    "required": ["city", "people"],
}


def tool(kind: str, **more: Any) -> Fields:
    return {"input": "echo hi", "tools": [{"type": kind, **more}]}


# Every kind of answer, short: each event costs the MKA1 SDK 5 ms.
KINDS: Mapping[str, Fields] = {
    "text": {"input": "6 words"},
    "echo": {"input": "echo hello there"},
    "a citation": {"input": "cite 6 words"},
    "logprobs": {"input": "4 words", "include": ["message.output_text.logprobs"]},
    "json": {"input": "hi", "text": {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}}},
    "reasoning text": {"input": "4 words", "reasoning": {"effort": "minimal"}},
    "reasoning summary": {"input": "4 words", "reasoning": {"effort": "minimal", "summary": "auto"}},
    "encrypted": {"input": "think, 4 words", "include": ["reasoning.encrypted_content"]},
    "refusal": {"input": "refuse"},
    "failed": {"input": "fail, 8 words"},
    "an error event": {"input": "error event, 8 words"},
    "the content filter": {"input": "filter, 8 words"},
    "cut": {"input": "9 words", "max_output_tokens": 3},
    "cut in a thought": {"input": "think", "max_output_tokens": 3},
    "cut in a summary": {"input": "hi", "reasoning": {"summary": "auto"}, "max_output_tokens": 3},
    "cut in arguments": {"input": "hi", "tools": [LOOK_UP], "max_output_tokens": 3},
    "cut in code": tool("code_interpreter", container={"type": "auto"}) | {"max_output_tokens": 3},
    "cut in a command": tool("shell") | {"max_output_tokens": 1},
    "cut in mcp": tool("mcp", server_label="words") | {"max_output_tokens": 1},
    "a function": {"input": "hi", "tools": [LOOK_UP]},
    "a custom tool": tool("custom", name="note"),
    "a local shell": tool("local_shell"),
    "web search": tool("web_search") | {"include": ["web_search_call.action.sources"]},
    "file search": tool("file_search", vector_store_ids=["vs_1"]) | {"include": ["file_search_call.results"]},
    "code": tool("code_interpreter", container={"type": "auto"}) | {"include": ["code_interpreter_call.outputs"]},
    "an image": tool("image_generation", partial_images=1),
    "mcp": tool("mcp", server_label="words", server_url="https://example.com"),
    "a shell": tool("shell"),
}
OF_MKA1: Mapping[str, Fields] = {
    "audio": {"input": "echo hi", "modalities": ["text", "audio"]},
    "an agent": tool("agent", agent_id="agent_1"),
    "history": tool("history"),
    "a pause": tool("sleep"),
}
OF_OPENAI: Mapping[str, Fields] = {
    "a patch": tool("apply_patch"),
    "a computer": tool("computer_use_preview", display_width=1, display_height=1, environment="browser"),
}
ALL_KINDS = [
    *(pytest.param(body, MKA1, id=f"{name}, mka1") for name, body in {**KINDS, **OF_MKA1}.items()),
    *(pytest.param(body, OPENAI, id=f"{name}, openai") for name, body in {**KINDS, **OF_OPENAI}.items()),
]
KINDS_OF_MKA1 = [pytest.param(body, id=name) for name, body in {**KINDS, **OF_MKA1}.items()]
# Over a real connection an SDK reads these in `make test`, and all of them in `make test-all`.
SAMPLE = ("text", "refusal", "an error event", "web search", "code", "an image", "mcp", "an agent", "a patch")
KINDS_OF_OPENAI = [pytest.param(body, id=name) for name, body in {**KINDS, **OF_OPENAI}.items()]


def sampled(kinds: Iterable[Any]) -> list[Any]:
    """The same parameters, those outside the sample marked as thorough."""
    return [
        each if each.id in SAMPLE else pytest.param(*each.values, id=each.id, marks=pytest.mark.thorough)
        for each in kinds
    ]


NOT_COMPLETED = ("cut", "fail", "an error", "the content filter")
COMPLETED_KINDS_OF_OPENAI = [
    pytest.param(body, id=name) for name, body in {**KINDS, **OF_OPENAI}.items() if not name.startswith(NOT_COMPLETED)
]


def request(body: Fields, dialect: Dialect = MKA1) -> CreateRequest:
    """The request of a body, with a model."""
    read = read_create(encode({"model": "toy-1", **body}), dialect)
    assert isinstance(read, CreateRequest), read
    return read


def answered(body: Fields, dialect: Dialect = MKA1, *, seed: int = 0) -> tuple[list[Fields], Fields]:
    """The events of an answer, from created to the terminal one, without numbers; and the terminal Response."""
    script = answer(request(body, dialect), response_id=RESPONSE_ID, created_at=CREATED_AT, dialect=dialect, seed=seed)
    queued = script.begun | {"status": "queued"}
    events: list[Fields] = [{"type": "response.created", "response": queued}]
    events += [{"type": "response.queued", "response": queued}]
    events += [{"type": "response.in_progress", "response": script.begun}]
    events += [step.fields for step in script.steps]
    ended = script.ended | {"completed_at": CREATED_AT + 5}
    events.append({"type": f"response.{ended['status']}", "response": ended})
    return events, shape_response(ended, dialect)


def data_of(events: Iterable[Fields], dialect: Dialect, *, obfuscation: bool = False) -> list[bytes]:
    """The events as the wire has them, numbered from 0."""
    return [
        event_data(event, sequence_number=number, dialect=dialect, obfuscation=obfuscation)
        for number, event in enumerate(events)
    ]


def body_of(events: Sequence[Fields], dialect: Dialect) -> bytes:
    """The events as the body of a stream."""
    data = data_of(events, dialect, obfuscation=dialect is OPENAI)
    frames = [Frame(event["type"].encode(), each) for event, each in zip(events, data, strict=True)]
    return b"".join(map(encode_frame, frames))


def read_with_mka1(body: bytes) -> list[Any]:
    """The events that the MKA1 SDK makes of a stream."""
    from mka1 import SDK

    def reply(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    # Given neither, the SDK makes a client of each kind itself, and leaves closing the asynchronous one to chance.
    client, other = httpx.Client(transport=httpx.MockTransport(reply)), httpx.AsyncClient()
    with client, SDK(bearer_auth="key", server_url="http://test", client=client, async_client=other) as sdk:
        stream: Any = sdk.llm.responses.get(response_id="resp_1", stream=True)
        events = [event.data for event in stream]
    asyncio.run(other.aclose())
    return events


def openai_client(body: bytes) -> Any:
    """An openai client that gets this stream, whatever it asks for."""
    from openai import OpenAI

    def reply(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(reply))
    return OpenAI(api_key="key", base_url="http://test/v1", http_client=http)


def unknown_paths(value: Any, path: str = "$") -> list[str]:
    """Where the MKA1 SDK put something that it does not know, in a dumped value."""
    if isinstance(value, dict):
        own = [path] if value.get("type") == "UNKNOWN" or value.get("is_unknown") else []
        return own + [each for name, inside in value.items() for each in unknown_paths(inside, f"{path}.{name}")]
    if isinstance(value, list):
        return [each for index, inside in enumerate(value) for each in unknown_paths(inside, f"{path}[{index}]")]
    return []
