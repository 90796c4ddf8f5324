"""The relay over HTTP: streamfold's own client, and raw requests, against its ASGI application."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.json import decode, encode

from streamfold.client import Gateway, Request
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Options
from streamfold.errors import Disconnected, RequestRefused
from streamfold.log import StreamKey
from streamfold.relay import RelayOptions
from streamfold.session import CancelResult, OutcomeStatus
from streamfold.sse import Frame, FrameDecoder
from tests.relay.setting import PATIENCE, Setting, names, open_setting

pytestmark = pytest.mark.anyio

SLOWLY = Options(tokens_per_second=400)
HOLDS = Options(tokens_per_second=None, hold_after_events=6)
URL = "http://relay/v1/responses"


class Asked:
    """An answer of the relay. is_whole: whether its body ended in order."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, *, is_whole: bool) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.is_whole = is_whole

    @property
    def frames(self) -> list[Frame]:
        return FrameDecoder().feed(self.body)


async def ask(
    at: Setting, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Asked:
    request = Request(method=method, url=url, body=body, headers=tuple((headers or {}).items()))
    async with AsgiTransport(at.relay.app()).open(request) as reply:
        parts: list[bytes] = []
        is_whole = False
        try:
            async for chunk in reply.chunks():
                parts.append(chunk)
            is_whole = True
        except Disconnected:
            pass
        return Asked(reply.status, dict(reply.headers), b"".join(parts), is_whole=is_whole)


async def create(at: Setting, **fields: object) -> Asked:
    body = encode({"model": "toy", "input": "count to 9", "stream": True, **fields})
    return await ask(at, "POST", URL, body)


@asynccontextmanager
async def client_of(at: Setting) -> AsyncGenerator[Gateway]:
    transport = AsgiTransport(at.relay.app())
    async with Gateway("http://relay/v1", api_key="any", http=transport, patience=PATIENCE) as gateway:
        yield gateway


async def test_a_client_of_the_relay_streams_resumes_retrieves_and_cancels() -> None:
    async with open_setting(SLOWLY) as at, client_of(at) as client:
        async with client.stream(model="toy", input="count to 9") as response:
            text = "".join([piece async for piece in response.text()])
            assert (await response.outcome()).status is OutcomeStatus.COMPLETED
        assert text == "1, 2, 3, 4, 5, 6, 7, 8, 9"
        assert response.id is not None
        async with client.follow(response.id, starting_after=8) as again:
            rest = [event.sequence_number async for event in again]
        assert rest == list(range(9, len(rest) + 9))
        assert (await client.retrieve(response.id)).output_text == text
        async with client.follow(response.id) as ended:
            assert await ended.cancel() is CancelResult.ALREADY_TERMINAL
        assert at.creates == 1


@pytest.mark.parametrize("background", [True, False])
async def test_a_cancel_over_http_ends_the_stream_of_every_reader(background: bool) -> None:
    async with open_setting(HOLDS) as at, client_of(at) as client:
        async with client.stream(model="toy", input="count to 9", background=background) as response:
            await anext(response)
            assert await response.cancel() is CancelResult.CANCEL_WON
            assert (await response.outcome()).status is OutcomeStatus.CANCELLED


async def test_events_come_as_they_came_with_their_number_as_the_id() -> None:
    async with open_setting() as at:
        answer = await create(at)
        assert (answer.status, answer.is_whole) == (200, True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        numbers = [int(frame.id) for frame in answer.frames]
        assert numbers == [decode(frame.data)["sequence_number"] for frame in answer.frames]
        held = decode(answer.frames[0].data)["response"]["id"]
        stored = await at.log.read(StreamKey("", held))
        assert [frame.data for frame in answer.frames] == [record.data for record in stored]


@pytest.mark.parametrize("how", ["starting_after", "last-event-id"])
async def test_both_cursors_are_one_coordinate(how: str) -> None:
    async with open_setting() as at:
        frames = (await create(at)).frames
        response_id = decode(frames[0].data)["response"]["id"]
        for number in (0, 5, len(frames) - 1, len(frames) + 9):
            query, headers = f"?stream=true&starting_after={number}", {}
            if how == "last-event-id":
                query, headers = "?stream=true", {"last-event-id": str(number)}
            rest = await ask(at, "GET", f"{URL}/{response_id}{query}", headers=headers)
            assert rest.frames == (frames[number + 1 :] if number < len(frames) else frames[-1:])
            assert rest.is_whole


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "9" * 40])
async def test_a_cursor_that_is_no_number_is_refused(number: str) -> None:
    async with open_setting() as at:
        response_id = decode((await create(at)).frames[0].data)["response"]["id"]
        answer = await ask(at, "GET", f"{URL}/{response_id}?stream=true&starting_after={number}")
        assert answer.status == 400
        assert decode(answer.body)["error"]["param"] == "starting_after"


async def test_a_lost_upstream_is_told_and_the_body_is_broken_off() -> None:
    async with open_setting(Options(tokens_per_second=None, faults="drop:after_events=7")) as at:
        answer = await create(at, store=False)
        assert names(answer.frames)[-1] == "response.failed"
        assert not answer.is_whole
        response_id = decode(answer.frames[0].data)["response"]["id"]
        again = await ask(at, "GET", f"{URL}/{response_id}?stream=true")
        assert (again.frames, again.is_whole) == (answer.frames, False)
        known = decode((await ask(at, "GET", f"{URL}/{response_id}")).body)
        assert (known["status"], known["error"]["code"]) == ("failed", "upstream_lost")


async def test_an_upstream_that_repeats_its_ids_is_served_from_memory(tmp_path: Path) -> None:
    behaviour = Options(tokens_per_second=None, playback=tmp_path / "always.sse")
    async with open_setting() as at:
        (tmp_path / "always.sse").write_bytes((await create(at)).body)
    async with open_setting(behaviour) as at:  # each of its responses has the id of the recording
        first, second, third = [await create(at, input=f"count to {number}") for number in (3, 5, 9)]
        assert first.is_whole
        for again in (second, third):
            assert (again.frames, again.is_whole) == (first.frames, True)
        response_id = decode(first.frames[0].data)["response"]["id"]
        assert (await ask(at, "GET", f"{URL}/{response_id}?stream=true")).frames == first.frames


async def test_an_upstream_without_a_terminal_event_gets_one_that_is_true() -> None:
    async with open_setting(Options(tokens_per_second=None, faults="no_terminal")) as at:
        answer = await create(at, background=True)
        assert (names(answer.frames)[-1], answer.is_whole) == ("response.completed", True)
        assert [int(frame.id) for frame in answer.frames] == list(range(len(answer.frames)))
        response_id = decode(answer.frames[0].data)["response"]["id"]
        assert (await ask(at, "GET", f"{URL}/{response_id}?stream=true")).frames == answer.frames


@pytest.mark.parametrize("fault", ["duplicate:after_events=6,count=2", "gap:after_events=6,count=2"])
async def test_events_that_come_twice_or_not_at_all_upstream_come_once(fault: str) -> None:
    async with open_setting(Options(tokens_per_second=None, faults=fault)) as at:
        frames = (await create(at, background=True)).frames
        assert [int(frame.id) for frame in frames] == list(range(len(frames)))
        pieces = [decode(frame.data).get("delta", "") for frame in frames]
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == "1, 2, 3, 4, 5, 6, 7, 8, 9"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/responses", None, 404),
        ("POST", "/v1/responses", b'{"model":"toy","input":"hi"}', 404),  # not a stream: an embedded relay holds none
        ("POST", "/v1/responses", b"{", 404),
        ("POST", "/v1/responses", b"[1]", 404),
        ("POST", "/v1/responses", b'{"stream":true,"model":"toy","input":"hi","temperature":99}', 400),
        ("POST", "/v1/responses", b'{"stream":true,"input":"hi"}', 400),
        ("GET", "/v1/responses/resp_none?stream=true", None, 404),
        ("GET", "/v1/responses/resp_none", None, 404),
        ("POST", "/v1/responses/resp_none/cancel", None, 404),
        ("DELETE", "/v1/responses/resp_none", None, 404),
        ("POST", "/v1/responses/resp_none", b"{}", 404),
        ("PUT", "/v1/responses", None, 404),
        ("GET", "/v1/models", None, 404),
    ],
)
async def test_what_an_embedded_relay_does_not_have_is_refused(
    method: str, path: str, body: bytes | None, status: int
) -> None:
    async with open_setting() as at:
        answer = await ask(at, method, f"http://relay{path}", body)
        assert answer.status == status
        assert decode(answer.body)["error"]["message"]


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with open_setting(options=RelayOptions(max_body_bytes=100)) as at:
        assert (await create(at, input="x" * 200)).status == 413


async def test_what_the_upstream_refuses_is_refused_in_its_words() -> None:
    async with open_setting(Options(faults="refuse:status=429")) as at, client_of(at) as client:
        with pytest.raises(RequestRefused, match="429") as refused:
            await client.stream(model="toy", input="hi", max_retries=0).__aenter__()
        assert refused.value.message is not None


async def test_deleting_a_response_drops_the_copy_of_the_relay() -> None:
    async with open_setting() as at:
        response_id = decode((await create(at)).frames[0].data)["response"]["id"]
        answer = await ask(at, "DELETE", f"{URL}/{response_id}")
        assert (answer.status, decode(answer.body)["deleted"]) == (200, True)
        assert await at.log.info(StreamKey("", response_id)) is None


async def test_a_page_may_ask() -> None:
    async with open_setting() as at:
        headers = {"origin": "http://page", "access-control-request-method": "GET"}
        answer = await ask(at, "OPTIONS", f"{URL}/resp_1", headers=headers)
        assert answer.status == 204
        assert "last-event-id" in answer.headers["access-control-allow-headers"]
        assert (await create(at)).headers["access-control-allow-origin"] == "*"
