"""Recorded streams through a relay: every reader gets the data of every event as it came, from every cursor."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.json import decode, encode

from streamfold.client import Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.errors import Disconnected
from streamfold.log import SqliteLog
from streamfold.relay import HeldStreams, ProxyUpstream, RelayApp, RelayOptions
from streamfold.serving import Message, Receive, SendMessage
from streamfold.sse import Frame, FrameDecoder
from tests.conftest import Recording, trio_is_thorough
from tests.relay.setting import PATIENCE

pytestmark = [pytest.mark.anyio, trio_is_thorough]

POST = encode({"model": "any", "input": "any", "stream": True})
PIECE = 1000  # bytes, in one write of the upstream
CURSORS = 6  # of each recording
# Cut by hand, without their beginning, or without the blank line that ends the last event.
INCOMPLETE = {
    "openai/ai-openai-phase-1.sse",
    "openai/dotnet-canstreambackgroundresponses-2.sse",
    "openai/gpt-oss-web-search-event-stream.sse",
    "openai/pydantic-ai-background-mode-streaming-starting-after-vcr-1.sse",
}
DONE = b"[DONE]"  # a marker of some gateways, which is no event


class Upstream:
    """Sends a recording, and knows nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        is_create = scope["method"] == "POST" and scope["path"].endswith("/responses")
        status, body = (200, self._data) if is_create else (404, b'{"error":{"message":"no such response"}}')
        kind = b"text/event-stream" if is_create else b"application/json"
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        for start in range(0, len(body), PIECE):
            await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def relay(data: bytes, path: Path) -> AsyncGenerator[RelayApp]:
    async with SqliteLog(path) as log, HeldStreams(log, RelayOptions(window_bytes=4000)) as streams:
        yield RelayApp(streams, ProxyUpstream("http://up", transport=AsgiTransport(Upstream(data)), patience=PATIENCE))


async def read(app: RelayApp, method: str, path: str, body: bytes | None = None) -> tuple[int, list[Frame]]:
    request = Request(method=method, url=f"http://relay{path}", body=body)
    received: list[bytes] = []
    async with AsgiTransport(app).open(request) as reply:
        with suppress(Disconnected):  # a stream that is lost is broken off
            async for chunk in reply.chunks():
                received.append(chunk)
    return reply.status, FrameDecoder().feed(b"".join(received))


async def test_every_event_of_a_recording_arrives_as_it_came_from_every_cursor(
    sampled_recordings: list[Recording], tmp_path: Path
) -> None:
    exact = 0
    for number, recording in enumerate(sampled_recordings):
        decoder = FrameDecoder(tolerant=True)
        came = [each.data for each in [*decoder.feed(recording.data), *decoder.close()] if each.data != DONE]
        path, prefix = tmp_path / f"{number}.db", recording_prefix(recording)
        async with relay(recording.data, path) as app:
            status, live = await read(app, "POST", f"{prefix}/responses", POST)
            assert status == 200, recording.name
            await check_cursors(app, live, prefix)
        async with relay(recording.data, path) as app:  # another process, with the log alone
            await check_cursors(app, live, prefix)
        if recording.name not in INCOMPLETE:
            assert [frame.data for frame in live] == came, recording.name
            exact += 1
    assert exact >= len(sampled_recordings) - len(INCOMPLETE)


async def check_cursors(app: RelayApp, live: list[Frame], prefix: str) -> None:
    response_id = next((known for frame in live if (known := read_id(frame.data))), None)
    if response_id is None:  # it was lost before its first event
        return
    for place in range(-1, len(live), 1 + len(live) // CURSORS):
        after = "" if place < 0 else f"&starting_after={live[place].id.decode()}"
        path = f"{prefix}/responses/{quote(response_id, safe='')}?stream=true{after}"
        assert await read(app, "GET", path) == (200, live[place + 1 :])


def recording_prefix(recording: Recording) -> str:
    return "/api/v1/llm" if recording.name.startswith("mka1") else "/v1"


def read_id(data: bytes) -> str | None:
    fields = decode(data)
    response = fields.get("response") if isinstance(fields, dict) else None
    return response.get("id") if isinstance(response, dict) else None
