"""A client with a ResumingTransport gets every event once, or the error of the drop: both libraries, sync and async."""

import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import aclosing
from types import ModuleType
from typing import Any

import anyio
import httpx
import httpx2
import openai
import pytest

from streamfold.client import Request, ResumingTransport
from streamfold.errors import InvalidArgument, UsageError
from streamfold.session import Backoff, Patience
from tests.client.inner import BACKGROUND, QUICK, URL, Inner, passed
from tests.client.stub import EVENT_STREAM, Told, forever, said, stream
from tests.session.made import added, body, created, delta, ended, frame

pytestmark = pytest.mark.anyio
every_client = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
both_ways = pytest.mark.parametrize("how", ["async", "sync"])

HELLO = (created(0), added(1), delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello"))
WHOLE = b"".join(HELLO)
DONE = b"data: [DONE]\n\n"


def named(*blocks: bytes) -> bytes:
    """Blocks as they are framed again: with their names."""
    names = [block.partition(b'"type": "')[2].partition(b'"')[0] for block in blocks]
    return b"".join(b"event: %b\n%b" % pair for pair in zip(names, blocks, strict=True))


def in_turn(*answers: Told) -> Callable[[Request], Told]:
    """The first answer to the first request, and so on; then the last one again and again."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def read_error(library: ModuleType) -> Any:
    return library.ReadError("reset")


@every_client
@both_ways
async def test_a_stream_without_trouble_passes_byte_for_byte(library: ModuleType, how: str) -> None:
    raw = b"\xef\xbb\xbf: hi\n\n" + WHOLE.replace(b"\n", b"\r\n") + DONE
    inner = Inner(library, in_turn(stream(raw[:100], raw[100:101], raw[101:])))
    assert await passed(how, inner) == raw
    assert inner.asked == ["POST /"]
    assert inner.open_bodies == 0
    assert inner.is_closed


@every_client
@both_ways
async def test_a_broken_stream_is_resumed_after_its_last_whole_event(library: ModuleType, how: str) -> None:
    first = stream(*HELLO[:2], HELLO[2][:30], read_error(library))
    inner = Inner(library, in_turn(first, stream(*HELLO[2:])))
    assert await passed(how, inner) == WHOLE
    assert inner.asked == ["POST /", "GET /resp_1 stream after 1"]
    assert inner.open_bodies == 0


@every_client
@both_ways
async def test_a_clean_end_without_a_terminal_event_is_resumed(library: ModuleType, how: str) -> None:
    inner = Inner(library, in_turn(stream(*HELLO[:3]), stream(*HELLO[3:])))
    assert await passed(how, inner) == WHOLE


@every_client
@both_ways
async def test_doubled_events_are_dropped_and_the_others_framed_again(library: ModuleType, how: str) -> None:
    inner = Inner(library, in_turn(stream(HELLO[0], HELLO[0] + HELLO[1] + HELLO[2], *HELLO[2:])))
    assert await passed(how, inner) == HELLO[0] + named(*HELLO[1:3]) + b"".join(HELLO[3:])


@every_client
@both_ways
async def test_a_replay_passes_what_is_new(library: ModuleType, how: str) -> None:
    refused = said({"error": {"message": "no such cursor", "param": "starting_after"}}, 400)
    inner = Inner(library, in_turn(stream(*HELLO[:2], read_error(library)), refused, stream(WHOLE)))
    assert await passed(how, inner) == b"".join(HELLO[:2]) + named(*HELLO[2:])
    assert inner.asked == ["POST /", "GET /resp_1 stream after 1", "GET /resp_1 stream"]


@every_client
@both_ways
async def test_what_cannot_be_resumed_ends_with_the_error_of_the_drop(library: ModuleType, how: str) -> None:
    gone = said({"error": {"message": "not found"}}, 404)
    inner = Inner(library, in_turn(stream(*HELLO[:2], read_error(library)), gone))
    with pytest.raises(library.ReadError, match="reset") as caught:
        await passed(how, inner, json={**BACKGROUND, "background": False})
    assert "could not continue" in caught.value.__notes__[0]
    assert inner.open_bodies == 0


@every_client
@both_ways
async def test_a_clean_end_that_cannot_be_resumed_is_an_error(library: ModuleType, how: str) -> None:
    inner = Inner(library, in_turn(stream(*HELLO[:2]), said({"error": {"message": "not found"}}, 404)))
    with pytest.raises(library.RemoteProtocolError, match="before its terminal event"):
        await passed(how, inner)


@every_client
@both_ways
async def test_a_gap_that_cannot_be_filled_is_an_error(library: ModuleType, how: str) -> None:
    gone = said({"error": {"message": "not found"}}, 404)
    inner = Inner(library, in_turn(stream(*HELLO[:2], HELLO[3], ended(4, text="lo")), gone))
    with pytest.raises(library.RemoteProtocolError):
        await passed(how, inner)


@both_ways
async def test_a_stream_that_breaks_before_its_id_ends_with_the_error_of_the_drop(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(b": hi\n\n", read_error(httpx2))))
    with pytest.raises(httpx2.ReadError):
        await passed(how, inner)
    assert inner.asked == ["POST /"]


# The end


@both_ways
async def test_an_end_that_hides_events_is_the_error_of_the_drop(how: str) -> None:
    alone = stream(ended(3, text="Hello"))
    inner = Inner(httpx2, in_turn(stream(*HELLO[:3], read_error(httpx2)), alone))
    with pytest.raises(httpx2.ReadError) as caught:
        await passed(how, inner)
    assert "no longer has all of its events" in caught.value.__notes__[0]


@both_ways
async def test_an_end_that_hides_nothing_passes(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:4], read_error(httpx2)), stream(HELLO[4])))
    assert await passed(how, inner) == WHOLE


@both_ways
async def test_an_end_that_a_get_reports_passes_if_its_output_is_known(how: str) -> None:
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello"}],
    }
    done = frame("response.output_item.done", 4, output_index=0, item=item)

    def answer(request: Request) -> Told:
        if request.method == "POST":
            return stream(*HELLO[:4], done, read_error(httpx2))
        if "stream=true" in request.url:
            return said({"error": {"message": "it cannot be streamed"}}, 400)
        return said(body("completed", output=[item]))

    found = await passed(how, Inner(httpx2, answer))
    head = b"".join((*HELLO[:4], done))
    assert found.startswith(
        head + b'event: response.completed\ndata: {"type":"response.completed","sequence_number":5,'
    )


@both_ways
async def test_what_follows_the_terminal_event_passes_and_a_drop_there_is_none(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO, DONE, read_error(httpx2))))
    assert await passed(how, inner) == WHOLE + DONE
    assert inner.open_bodies == 0


# What else passes


@every_client
@both_ways
async def test_other_answers_pass_untouched(library: ModuleType, how: str) -> None:
    broken = [b"data: half", read_error(library)]
    inner = Inner(library, in_turn(Told(broken)))
    for method, url, given in (
        ("POST", "http://gateway/v1/chat/completions", {"json": {"stream": True}}),
        ("GET", f"{URL}/resp_1", {}),
        ("GET", f"{URL}/resp_1/input_items?stream=true", {}),
        ("POST", URL, {"json": {"stream": False}}),
    ):
        with pytest.raises(library.ReadError):
            await passed(how, inner, method, url, **given)
    assert len(inner.requests) == 4


@both_ways
async def test_an_error_status_passes_untouched(how: str) -> None:
    inner = Inner(httpx2, in_turn(said({"error": {"message": "slow down"}}, 429)))
    assert await passed(how, inner) == b'{"error": {"message": "slow down"}}'
    assert len(inner.requests) == 1


@both_ways
async def test_an_upload_is_sent_as_it_comes_and_its_stream_is_continued(how: str) -> None:
    async def pieces() -> Any:
        yield b'{"stream":'
        yield b" true}"

    content: Any = pieces() if how == "async" else iter([b'{"stream":', b" true}"])
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], read_error(httpx2)), stream(*HELLO[2:])))
    assert await passed(how, inner, content=content) == WHOLE
    assert inner.requests[0].body == b'{"stream": true}'
    assert dict(inner.requests[0].headers)["accept-encoding"] != "identity"


# Requests


@every_client
@both_ways
async def test_the_requests_that_continue_have_the_headers_and_the_query_of_the_first(
    library: ModuleType, how: str
) -> None:
    inner = Inner(library, in_turn(stream(*HELLO[:2], read_error(library)), stream(*HELLO[2:])))
    headers = {"authorization": "Bearer key", "idempotency-key": "once", "x-stainless-lang": "python"}
    await passed(how, inner, url=f"{URL}?api-version=1", headers=headers)
    first, second = inner.requests
    assert second.url == f"{URL}/resp_1?api-version=1&stream=true&starting_after=1"
    sent = dict(second.headers)
    assert (sent["authorization"], sent["x-stainless-lang"], sent["host"]) == ("Bearer key", "python", "gateway")
    assert (sent["accept"], sent["accept-encoding"]) == ("text/event-stream", "identity")
    assert not {"content-length", "content-type", "idempotency-key"} & sent.keys()
    assert dict(first.headers)["accept-encoding"] == "identity"
    assert dict(first.headers)["idempotency-key"] == "once"


@both_ways
async def test_a_stream_that_can_be_resumed_bears_no_more_silence_than_patience_allows(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], read_error(httpx2)), stream(*HELLO[2:])))
    await passed(how, inner, timeout=httpx2.Timeout(600, connect=2))
    assert [(each["read"], each["connect"]) for each in inner.timeouts] == [(60, 2), (60, 2)]


@both_ways
async def test_a_stream_that_cannot_be_resumed_keeps_the_timeouts_of_the_sdk(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(WHOLE)))
    await passed(how, inner, timeout=600, json={**BACKGROUND, "background": False})
    assert inner.timeouts[0]["read"] == 600


@both_ways
async def test_a_stream_that_is_asked_for_by_its_id_is_resumed(how: str) -> None:
    inner = Inner(httpx2, in_turn(stream(HELLO[2], read_error(httpx2)), stream(*HELLO[3:])))
    found = await passed(how, inner, "GET", f"{URL}/resp_1?stream=true&starting_after=1&include[]=a")
    assert found == b"".join(HELLO[2:])
    assert inner.requests[1].url == f"{URL}/resp_1?include%5B%5D=a&stream=true&starting_after=2"


# Bodies that are compressed


def compressed(data: bytes) -> bytes:
    """Flushed after every block, as a server does it that compresses a stream."""
    packer = zlib.compressobj(wbits=31)
    blocks = [packer.compress(part + b"\n\n") + packer.flush(zlib.Z_SYNC_FLUSH) for part in data.split(b"\n\n")[:-1]]
    return b"".join(blocks)


@both_ways
async def test_a_compressed_body_is_decoded_and_resumed_where_it_is_damaged(how: str) -> None:
    head = EVENT_STREAM | {"content-encoding": "gzip", "content-length": "7"}
    damaged = Told([compressed(b"".join(HELLO[:3])), b"\xff" * 50], headers=head)
    rest = Told([gzip.compress(b"".join(HELLO[3:]))], headers=head)
    assert await passed(how, Inner(httpx2, in_turn(damaged, rest))) == WHOLE


@both_ways
async def test_an_encoding_that_we_cannot_decode_passes_untouched(how: str) -> None:
    head = EVENT_STREAM | {"content-encoding": "compress"}
    inner = Inner(httpx2, in_turn(Told([b"data: half"], headers=head)))
    assert await passed(how, inner) == b"data: half"


@both_ways
async def test_a_block_beyond_the_limit_is_an_error_and_bounded(how: str) -> None:
    patience = Patience(backoff=Backoff(first_seconds=0.0), max_frame_bytes=1000, max_attempts=1, stalled_seconds=1)
    huge = stream(HELLO[0], *[b"data: " + b"x" * 500] * 5, *[b"x" * 500] * 5)
    inner = Inner(httpx2, in_turn(huge, said({"error": {"message": "not found"}}, 404)))
    with pytest.raises(httpx2.RemoteProtocolError) as caught:
        await passed(how, inner, patience=patience)
    assert "not found" in caught.value.__notes__[0]


# Leaving, waiting, several at once


async def test_leaving_early_closes_the_connection() -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], forever())))
    async with httpx2.AsyncClient(transport=ResumingTransport(inner, patience=QUICK)) as client:
        async with client.stream("POST", URL, json=BACKGROUND) as response, aclosing(response.aiter_bytes()) as chunks:
            await anext(chunks)
        assert inner.open_bodies == 0
    assert inner.asked == ["POST /"]


async def test_a_cancelled_read_closes_the_connection_and_asks_for_nothing() -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], forever())))
    async with httpx2.AsyncClient(transport=ResumingTransport(inner, patience=QUICK)) as client:
        with anyio.move_on_after(0.05) as scope:
            async with client.stream("POST", URL, json=BACKGROUND) as response:
                async for _ in response.aiter_bytes():
                    pass
        assert scope.cancelled_caught
        assert inner.open_bodies == 0
    assert inner.asked == ["POST /"]


async def test_a_gap_is_asked_for_while_the_connection_is_silent() -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], HELLO[3], forever()), stream(*HELLO[2:])))
    with anyio.fail_after(5):
        assert await passed("async", inner) == WHOLE
    assert inner.asked == ["POST /", "GET /resp_1 stream after 1"]


async def test_a_server_that_never_answers_again_is_given_up_in_time() -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], read_error(httpx2)), Told(opening=httpx2.ReadTimeout("silence"))))
    patience = Patience(backoff=Backoff(first_seconds=0.01, max_seconds=0.01), stalled_seconds=0.1)
    with anyio.fail_after(5), pytest.raises(httpx2.ReadError):
        await passed("async", inner, patience=patience)


async def test_many_streams_of_one_client_do_not_mix() -> None:
    def answer(request: Request) -> Told:
        if request.method == "POST":
            return stream(*HELLO[:3], read_error(httpx2))
        return stream(*HELLO[3:])

    inner = Inner(httpx2, answer)
    found: list[bytes] = []
    async with httpx2.AsyncClient(transport=ResumingTransport(inner, patience=QUICK)) as client:

        async def read() -> None:
            async with client.stream("POST", URL, json=BACKGROUND) as response:
                found.append(b"".join([chunk async for chunk in response.aiter_bytes()]))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(read)
    assert found == [WHOLE] * 20
    assert inner.open_bodies == 0


async def test_a_closed_stream_that_is_read_by_another_task_ends_with_an_error() -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], forever())))
    async with httpx2.AsyncClient(transport=ResumingTransport(inner, patience=QUICK)) as client:
        async with client.stream("POST", URL, json=BACKGROUND) as response:

            async def read() -> None:
                with pytest.raises(httpx2.ReadError):
                    async for _ in response.aiter_bytes():
                        pass

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                await response.aclose()
    assert inner.asked == ["POST /"]


# Arguments


def test_an_inner_that_is_no_transport_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="inner"):
        ResumingTransport("http://proxy")


async def test_a_request_of_another_library_is_refused() -> None:
    with pytest.raises(UsageError, match="httpx"):
        await ResumingTransport().handle_async_request(object())


# Promoting


FOREGROUND = {"model": "toy", "input": "hi", "stream": True, "store": False}
UNASKED = b"".join(HELLO).replace(b'"background": true', b'"background": false')


@every_client
@both_ways
async def test_a_promoted_create_is_resumed_and_its_reader_sees_what_it_asked_for(
    library: ModuleType, how: str
) -> None:
    inner = Inner(library, in_turn(stream(*HELLO[:2], HELLO[2][:9], read_error(library)), stream(*HELLO[2:])))
    assert await passed(how, inner, json=FOREGROUND, promote="always") == UNASKED
    sent = json.loads(inner.requests[0].body or b"")
    assert sent == {"model": "toy", "input": "hi", "stream": True, "store": True, "background": True}
    assert dict(inner.requests[0].headers)["content-length"] == str(len(inner.requests[0].body or b""))
    assert inner.timeouts[0]["read"] is not None


@both_ways
@pytest.mark.parametrize("promote", ["never", "if-stored"])
async def test_a_create_that_says_store_false_is_only_promoted_always(how: str, promote: str) -> None:
    inner = Inner(httpx2, in_turn(stream(WHOLE)))
    assert await passed(how, inner, json=FOREGROUND, promote=promote) == WHOLE
    assert json.loads(inner.requests[0].body or b"") == FOREGROUND


@both_ways
@pytest.mark.parametrize(("promote", "asked"), [("always", ["POST /", "POST /resp_1/cancel"]), ("never", ["POST /"])])
async def test_a_promoted_response_that_is_left_early_is_cancelled(how: str, promote: Any, asked: list[str]) -> None:
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], *HELLO[2:]), said(body("cancelled"))))
    transport = ResumingTransport(inner, patience=QUICK, promote=promote)
    if how == "sync":
        with httpx2.Client(transport=transport) as client, client.stream("POST", URL, json=FOREGROUND) as answer:
            next(answer.iter_bytes())
    else:
        async with httpx2.AsyncClient(transport=transport) as client:
            async with client.stream("POST", URL, json=FOREGROUND) as answer, aclosing(answer.aiter_bytes()) as chunks:
                await anext(chunks)
    assert inner.asked == asked
    assert inner.open_bodies == 0


async def test_a_promoted_response_that_has_ended_is_not_cancelled() -> None:
    inner = Inner(httpx2, in_turn(stream(WHOLE)))
    assert await passed("async", inner, json=FOREGROUND, promote="always") == UNASKED
    assert inner.asked == ["POST /"]


def test_another_way_to_promote_is_refused() -> None:
    wrong: Any = "sometimes"
    with pytest.raises(InvalidArgument, match="promote"):
        ResumingTransport(promote=wrong)


# Above the transport


async def test_a_create_that_is_redirected_is_resumed_where_it_was_answered() -> None:
    moved = Told([], 307, {"location": "http://other/v1/responses"})
    inner = Inner(httpx2, in_turn(moved, stream(*HELLO[:2], read_error(httpx2)), stream(*HELLO[2:])))
    assert await passed("async", inner, follow_redirects=True, headers={"authorization": "Bearer key"}) == WHOLE
    assert [each.url for each in inner.requests][1:] == [
        "http://other/v1/responses",
        "http://other/v1/responses/resp_1?stream=true&starting_after=1",
    ]
    assert "authorization" not in dict(inner.requests[2].headers)  # httpx leaves it out for another host


async def test_a_redirect_of_a_repair_is_not_followed() -> None:
    moved = Told([], 307, {"location": "http://other/v1/responses/resp_1"})
    inner = Inner(httpx2, in_turn(stream(*HELLO[:2], read_error(httpx2)), moved, stream(*HELLO[2:])))
    assert await passed("async", inner, follow_redirects=True) == WHOLE
    assert {each.url.partition("/v1")[0] for each in inner.requests} == {"http://gateway"}


@both_ways
async def test_an_sdk_that_retries_gets_a_stream_that_is_resumed(how: str) -> None:
    busy = said({"error": {"message": "busy"}}, 503, retry_after="0.01")
    inner = Inner(httpx2, in_turn(busy, stream(*HELLO[:2], read_error(httpx2)), stream(*HELLO[2:])))
    transport = ResumingTransport(inner, patience=QUICK)
    asked: Any = {"model": "toy", "input": "hi", "stream": True, "background": True}
    if how == "sync":
        with openai.OpenAI(
            base_url="http://h/v1", api_key="k", http_client=httpx2.Client(transport=transport)
        ) as client:
            numbers = [event.sequence_number for event in client.responses.create(**asked)]
    else:
        http = httpx2.AsyncClient(transport=transport)
        async with openai.AsyncOpenAI(base_url="http://h/v1", api_key="k", http_client=http) as client:
            numbers = [event.sequence_number async for event in await client.responses.create(**asked)]
    assert numbers == [0, 1, 2, 3, 4]
    assert inner.asked == ["POST /", "POST /", "GET /resp_1 stream after 1"]
