"""The application: create, retrieve, list, update, delete, who may ask, and what every answer has."""

import json
from typing import Any

import anyio
import pytest

from streamfold.emulator import Emulator, Options
from streamfold.fold import fold
from streamfold.schema import decode_event
from streamfold.sse import FrameDecoder
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, HandClock, ask, begin, create, scope_of, start

pytestmark = pytest.mark.anyio

FAST = Options(tokens_per_second=None)


@pytest.fixture
def app() -> Emulator:
    return Emulator(FAST, clock=HandClock())


# Create


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_create_is_answered_with_the_finished_response(app: Emulator, prefix: str) -> None:
    answer = await create(app, prefix)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.json["status"], answer.json["background"]) == ("completed", False)
    assert answer.json["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_stream_goes_from_created_to_completed_without_a_hole(app: Emulator, prefix: str) -> None:
    answer = await create(app, prefix, stream=True)
    assert answer.types[:2] == ["created", "in_progress"]
    assert answer.types[-1] == "completed"
    assert answer.numbers == list(range(len(answer.numbers)))


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_background_stream_is_queued_first(app: Emulator, prefix: str) -> None:
    answer = await create(app, prefix, stream=True, background=True)
    assert answer.types[:3] == ["created", "queued", "in_progress"]
    assert [each["response"]["status"] for each in answer.events[:3]] == ["queued", "queued", "in_progress"]


async def test_each_event_is_one_write_with_its_name(app: Emulator) -> None:
    answer = await create(app, stream=True)
    assert [FrameDecoder().feed(write)[0].event.decode() for write in answer.writes] == [
        each["type"] for each in answer.events
    ]


async def test_no_end_marker_is_sent(app: Emulator) -> None:
    assert b"[DONE]" not in (await create(app, stream=True)).body


@pytest.mark.parametrize(
    ("prefix", "content_type"), [(MKA1, "text/event-stream"), (OPENAI, "text/event-stream; charset=utf-8")]
)
async def test_a_stream_says_what_it_is_and_that_nobody_may_hold_it_back(
    app: Emulator, prefix: str, content_type: str
) -> None:
    headers = (await create(app, prefix, stream=True)).headers
    assert headers["content-type"] == content_type
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-length" not in headers


@pytest.mark.parametrize(
    "accept", ["application/json", "text/event-stream", "application/json;q=1, text/event-stream;q=0"]
)
async def test_the_body_alone_says_whether_it_is_a_stream(app: Emulator, accept: str) -> None:
    asked = {"model": "toy", "input": "Hello"}
    whole = await ask(app, "POST", f"{MKA1}/responses", asked, accept=accept)
    stream = await ask(app, "POST", f"{MKA1}/responses", {**asked, "stream": True}, accept=accept)
    assert (whole.headers["content-type"], stream.headers["content-type"]) == ("application/json", "text/event-stream")


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_background_create_is_answered_at_once_and_queued(prefix: str) -> None:
    answer = await create(Emulator(Options(tokens_per_second=1), clock=HandClock()), prefix, background=True)
    assert (answer.json["status"], answer.json["background"], answer.json["output"]) == ("queued", True, [])


async def test_the_folded_stream_is_what_a_retrieve_gives(app: Emulator) -> None:
    stream = await create(app, stream=True, background=True)
    state = fold(decode_event(json.dumps(each).encode()) for each in stream.events)
    found = await ask(app, "GET", f"{MKA1}/responses/{stream.events[0]['response']['id']}")
    assert found.json["output_text"] == state.output_text
    assert found.json == stream.events[-1]["response"]


async def test_ids_and_texts_are_those_of_the_seed() -> None:
    one, same, other = [
        (await create(Emulator(Options(seed=seed, tokens_per_second=None), clock=HandClock()))).json
        for seed in (1, 1, 2)
    ]
    assert one == same
    assert one["id"] != other["id"]


async def test_an_id_is_as_the_api_has_it(app: Emulator) -> None:
    assert (await create(app)).json["id"].removeprefix("resp_").isalnum()


async def test_an_answer_goes_on_from_a_previous_one(app: Emulator) -> None:
    first = (await create(app)).json["id"]
    assert (await create(app, previous_response_id=first)).json["previous_response_id"] == first
    refused = await create(app, previous_response_id="resp_none")
    assert (refused.status, refused.error["param"]) == (400, "previous_response_id")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"temperature": 3}, "temperature", id="out of range"),
        pytest.param({"webhook_url": "http://x"}, "webhook_url", id="needs background"),
        pytest.param({"model": None}, "model", id="missing"),
    ],
)
async def test_a_bad_field_is_named(app: Emulator, fields: dict[str, Any], param: str) -> None:
    answer = await create(app, **fields)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert answer.error["type"] == "invalid_request_error"


async def test_a_bad_field_may_be_a_422() -> None:
    app = Emulator(Options(invalid_status=422), clock=HandClock())
    assert (await create(app, temperature=3)).status == 422
    assert (await ask(app, "GET", f"{MKA1}/responses/resp_none")).status == 404


async def test_a_body_that_is_no_json_is_refused(app: Emulator) -> None:
    assert (await ask(app, "POST", f"{MKA1}/responses", b"{")).status == 400


async def test_what_is_not_stored_is_not_found(app: Emulator) -> None:
    id = (await create(app, store=False)).json["id"]
    assert (await ask(app, "GET", f"{MKA1}/responses/{id}")).status == 404


# Time


async def test_tokens_come_at_their_speed() -> None:
    clock = HandClock(jumps=True)
    answer = await create(Emulator(Options(tokens_per_second=10), clock=clock), stream=True)
    tokens = answer.events[-1]["response"]["usage"]["output_tokens"]
    assert clock.time - 1_700_000_000.0 == pytest.approx(tokens / 10, rel=0.1)


async def test_a_speed_of_nothing_is_as_fast_as_can_be() -> None:
    clock = HandClock()
    assert (await create(Emulator(Options(tokens_per_second=0), clock=clock))).json["status"] == "completed"
    assert clock.waits == []


async def test_a_retrieve_shows_what_has_happened_by_now() -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=10, queue_seconds=1), clock=clock)
    id = await start(app)
    found = [(await ask(app, "GET", f"{MKA1}/responses/{id}")).json]
    for seconds in (1.5, 1.0, 100):
        clock.advance(seconds)
        found.append((await ask(app, "GET", f"{MKA1}/responses/{id}")).json)
    assert [each["status"] for each in found] == ["queued", "in_progress", "in_progress", "completed"]


async def test_silence_is_broken_by_comments() -> None:
    clock = HandClock(jumps=True)
    app = Emulator(Options(tokens_per_second=0.2, keepalive_seconds=2), clock=clock)
    answer = await create(app, stream=True, input="echo: one two")
    comments = [at for at, write in enumerate(answer.writes) if write == b":\n"]
    assert len(comments) >= 4
    assert max(wait for wait in clock.waits) <= 2
    assert answer.types[-1] == "completed"


async def test_a_held_response_stands_still() -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=None, hold_after_events=5), clock=clock)
    async with begin(app, "POST", f"{MKA1}/responses", {"model": "toy", "input": "Hi", "stream": True}) as exchange:
        await exchange.until(5)
        clock.advance(1.9)
        assert len(exchange.answer.writes) == 5


# What may be done with a Response


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_response_can_be_forgotten(app: Emulator, prefix: str) -> None:
    id = (await create(app, prefix)).json["id"]
    answer = await ask(app, "DELETE", f"{prefix}/responses/{id}")
    assert answer.json == {"id": id, "object": "response", "deleted": True}
    assert (await ask(app, "GET", f"{prefix}/responses/{id}")).status == 404
    assert (await ask(app, "DELETE", f"{prefix}/responses/{id}")).status == 404


async def test_metadata_can_be_changed(app: Emulator) -> None:
    id = (await create(app, metadata={"a": "1"})).json["id"]
    assert (await ask(app, "POST", f"{MKA1}/responses/{id}", {"metadata": {"b": "2"}})).json["metadata"] == {"b": "2"}
    assert (await ask(app, "GET", f"{MKA1}/responses/{id}")).json["metadata"] == {"b": "2"}
    refused = await ask(app, "POST", f"{MKA1}/responses/{id}", {"metadata": {"k" * 65: "v"}})
    assert refused.status == 400


async def test_a_list_has_the_newest_first_and_pages(app: Emulator) -> None:
    ids = [(await create(app)).json["id"] for _ in range(3)]
    first = (await ask(app, "GET", f"{MKA1}/responses?limit=2")).json
    assert [each["id"] for each in first["data"]] == ids[:0:-1]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, ids[2], ids[1])
    rest = (await ask(app, "GET", f"{MKA1}/responses?after={first['last_id']}")).json
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[:1], False)
    oldest = (await ask(app, "GET", f"{MKA1}/responses?order=asc&before={ids[2]}")).json
    assert [each["id"] for each in oldest["data"]] == ids[:2]


async def test_an_empty_list_has_no_ids(app: Emulator) -> None:
    found = (await ask(app, "GET", f"{MKA1}/responses")).json
    assert found == {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


async def test_input_items_are_what_was_asked(app: Emulator) -> None:
    id = (await create(app, input="What is it?")).json["id"]
    [item] = (await ask(app, "GET", f"{MKA1}/responses/{id}/input_items")).json["data"]
    assert (item["role"], item["content"][0]["text"]) == ("user", "What is it?")


@pytest.mark.parametrize("path", ["", "/resp_none/input_items", "/resp_none?stream=true"])
async def test_a_bad_query_is_named(app: Emulator, path: str) -> None:
    mark = "&" if "?" in path else "?"
    answer = await ask(app, "GET", f"{MKA1}/responses{path}{mark}limit=0&starting_after=x")
    assert answer.status == 400
    assert answer.error["param"] in ("limit", "starting_after")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/resp_none"),
        ("POST", "/resp_none"),
        ("DELETE", "/resp_none"),
        ("POST", "/resp_none/cancel"),
        ("GET", "/resp_none/input_items"),
    ],
)
async def test_an_unknown_id_is_not_found(app: Emulator, method: str, path: str) -> None:
    answer = await ask(app, method, f"{MKA1}/responses{path}", {"metadata": {}})
    assert (answer.status, answer.error["param"]) == (404, "response_id")


async def test_an_unknown_path_or_method_says_what_there_is(app: Emulator) -> None:
    nowhere, wrong = await ask(app, "GET", "/v2/responses"), await ask(app, "PUT", f"{OPENAI}/responses")
    assert (nowhere.status, wrong.status) == (404, 405)
    assert "/api/v1/llm/responses" in nowhere.error["message"]
    assert "POST or GET" in wrong.error["message"]


# Who may ask


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer", "Basic abc"])
async def test_a_request_without_a_key_is_refused(app: Emulator, authorization: str) -> None:
    assert (await ask(app, "GET", f"{MKA1}/responses", authorization=authorization)).status == 401


async def test_any_key_will_do_unless_one_is_asked_for() -> None:
    app = Emulator(Options(key="right"), clock=HandClock())
    assert (await ask(app, "GET", f"{MKA1}/responses", authorization="Bearer wrong")).status == 401
    assert (await ask(app, "GET", f"{MKA1}/responses", authorization="bearer right")).status == 200


@pytest.mark.parametrize("other", [{"authorization": "Bearer other"}, {"x_on_behalf_of": "ada"}])
async def test_another_tenant_sees_nothing(app: Emulator, other: dict[str, str]) -> None:
    id = (await create(app)).json["id"]
    for method, path in [("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")]:
        assert (await ask(app, method, f"{MKA1}/responses/{id}{path}", **other)).status == 404
    assert (await ask(app, "GET", f"{MKA1}/responses", **other)).json["data"] == []
    assert (await ask(app, "GET", f"{MKA1}/responses/{id}")).status == 200


ROUTES = [
    ("GET", "/v1/responses"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("POST", "/v1/responses/compact"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/api/v1/llm/batches"),
    ("GET", "/v1/models"),
    ("GET", "/_emulator/journal"),
    ("POST", "/_emulator/journal"),
    ("PUT", "/v1/responses"),
    ("GET", "/healthz/x"),
    ("POST", "/healthz"),
    ("GET", "/"),
]


@pytest.mark.parametrize("key", ["", "Bearer wrong"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_the_key_guards_every_route_before_a_body_is_read(method: str, path: str, key: str) -> None:
    app = Emulator(Options(key="right"), clock=HandClock())
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()  # the body never comes
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope_of(method, path, {"authorization": key}), receive, send)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_liveness_needs_no_key_and_says_nothing(method: str) -> None:
    app = Emulator(Options(key="right"), clock=HandClock())
    answer = await ask(app, method, "/healthz", authorization="")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}' if method == "GET" else b"")


# Every answer


async def test_every_answer_has_an_id_of_its_request(app: Emulator) -> None:
    answers = [
        await create(app),
        await create(app, stream=True),
        await ask(app, "GET", "/"),
        await create(app, model=3),
    ]
    ids = [each.headers["x-request-id"] for each in answers]
    assert len(set(ids)) == 4
    assert ids == [visit.request_id for visit in app.journal.visits]


async def test_the_journal_tells_what_was_asked_and_how_it_ended(app: Emulator) -> None:
    id = await start(app)
    await ask(app, "POST", f"{MKA1}/responses/{id}/cancel")
    await ask(app, "GET", f"{MKA1}/responses/{id}?stream=true")
    told = (await ask(app, "GET", "/_emulator/journal", authorization="")).json
    assert told["counters"] == {"requests": 4, "creates": 1, "cancels": 1, "resumes": 1}
    assert [(each["method"], each["status"], each["ended"]) for each in told["visits"]] == [
        ("POST", 200, "complete"),
        ("POST", 400, "complete"),
        ("GET", 200, "complete"),
        ("GET", 0, "open"),
    ]
    assert "key" not in json.dumps(told)


async def test_a_long_path_is_cut_in_the_journal(app: Emulator) -> None:
    await ask(app, "GET", f"{MKA1}/responses/{'a' * 5000}?{'b' * 5000}")
    [visit] = app.journal.visits
    assert len(visit.path) + len(visit.query) < 1100


# The client leaves


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_client_that_leaves_ends_its_stream_and_nothing_else(prefix: str) -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=10), clock=clock)
    asked = {"model": "toy", "input": "Hi", "stream": True, "background": True}
    async with begin(app, "POST", f"{prefix}/responses", asked) as exchange:
        await exchange.until(3)
        exchange.leave()
        await exchange.done.wait()
    assert not exchange.answer.is_complete
    assert (app.journal.counters["disconnects"], app.journal.counters["cancels"]) == (1, 0)
    clock.advance(100)
    id = exchange.answer.events[0]["response"]["id"]
    assert (await ask(app, "GET", f"{prefix}/responses/{id}")).json["status"] == "completed"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("prefix", "option", "status"),
    [
        pytest.param(MKA1, None, "completed", id="goes on, on MKA1"),
        pytest.param(OPENAI, None, "cancelled", id="is cancelled, on OpenAI"),
        pytest.param(MKA1, True, "cancelled", id="is cancelled, as the option says"),
        pytest.param(OPENAI, False, "completed", id="goes on, as the option says"),
    ],
)
async def test_a_foreground_response_whose_client_left(
    prefix: str, option: bool | None, status: str, stream: bool
) -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=10, cancels_on_disconnect=option), clock=clock)
    asked = {"model": "toy", "input": "Hi", "stream": stream}
    async with begin(app, "POST", f"{prefix}/responses", asked):
        await anyio.wait_all_tasks_blocked()
    clock.advance(100)
    [found] = (await ask(app, "GET", f"{prefix}/responses")).json["data"]
    assert found["status"] == status
    assert app.journal.counters["cancels"] == 0


async def test_a_client_that_leaves_before_it_asked_is_no_request(app: Emulator) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await app(scope_of("POST", "/v1/responses", {"authorization": "Bearer key"}), receive, send)
    assert not app.journal.visits


async def test_a_body_may_come_in_pieces(app: Emulator) -> None:
    # A server may say once more that the body has ended.
    parts = iter([(b'{"model":"toy",', True), (b'"input":"Hi"}', False), (b"", False)])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        part = next(parts, None)
        if part is None:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": part[0], "more_body": part[1]} if part else {}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer key")]
    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert sent[0]["status"] == 200


async def test_a_server_may_start_and_stop_it_by_the_lifespan_protocol(app: Emulator) -> None:
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return next(asked)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
