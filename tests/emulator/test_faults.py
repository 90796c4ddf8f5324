"""Every fault on a real socket: what a client that is nothing but a socket sees of it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from streamfold.chaos import (
    Corrupt,
    Drip,
    Drop,
    Duplicate,
    ErrorFlat,
    ErrorNested,
    Fault,
    FaultTarget,
    Gap,
    Gzip,
    How,
    Html,
    KeepaliveFirst,
    NoTerminal,
    Plan,
    Refuse,
    Renumber,
    Reorder,
    Stall,
    TwoTerminals,
    Where,
)
from streamfold.emulator import ConnectionCut, Emulator, Options, emulate
from tests.emulator import inprocess
from tests.emulator.rawclient import Raw, ask

pytestmark = pytest.mark.anyio

MKA1, OPENAI = "/api/v1/llm", "/v1"
ASKED: dict[str, Any] = {"model": "toy", "input": "Hello", "background": True, "stream": True}


async def stream_of(*faults: Fault, prefix: str = MKA1) -> Raw:
    """A background stream that meets these faults."""
    async with emulate(Options(tokens_per_second=None, faults=faults)) as url:
        return await ask(url, "POST", f"{prefix}/responses", ASKED)


@pytest.fixture(scope="module")
def whole() -> list[dict[str, Any]]:
    """The events of the same stream without faults."""

    async def read() -> list[dict[str, Any]]:
        return (await stream_of()).events

    return anyio.run(read)


def same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether they tell the same, but for the second that it is."""
    return [without_time(each) for each in ours] == [without_time(each) for each in theirs]


def without_time(event: dict[str, Any]) -> dict[str, Any]:
    response = {**event.get("response", {}), "created_at": 0, "completed_at": 0}
    return {**event, "response": response} if "response" in event else event


async def test_without_a_fault_each_event_is_a_chunk_of_its_own(whole: list[dict[str, Any]]) -> None:
    raw = await stream_of()
    assert (raw.end, raw.is_complete) == ("fin", True)
    assert len(raw.chunks()[0]) == len(whole) + 1


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("after", [0, 1, 4])
async def test_a_drop_between_events(how: How, after: int, whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Drop(after_events=after, how=how))
    assert (raw.end, raw.is_complete, raw.status) == (how, False, 200)
    assert same(raw.events, whole[:after])
    assert raw.chunks()[1] == b""


@pytest.mark.parametrize("how", How)
async def test_a_drop_inside_a_frame(how: How, whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Drop(after_events=3, where=Where.FRAME, how=how))
    assert raw.end == how
    assert same(raw.events, whole[:3])
    assert not raw.body.endswith(b"\n\n")


@pytest.mark.parametrize("how", How)
async def test_a_drop_inside_a_character(how: How) -> None:
    raw = await stream_of(Drop(after_events=0, where=Where.CHARACTER, how=how))
    assert raw.end == how
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        raw.body.decode()


@pytest.mark.parametrize("how", How)
async def test_a_drop_inside_a_chunk_header(how: How, whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Drop(after_events=2, where=Where.CHUNK, how=how))
    assert (raw.end, raw.chunks()[1]) == (how, b"1f")
    assert same(raw.events, whole[:2])


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("after", [0, 100, 1500])
async def test_a_drop_after_bytes(how: How, after: int) -> None:
    raw = await stream_of(Drop(after_bytes=after, how=how))
    assert (raw.end, len(raw.body)) == (how, after)


@pytest.mark.parametrize("how", How)
async def test_a_drop_before_the_head_comes_when_the_work_is_done(how: How) -> None:
    fault = Drop(where=Where.HEAD, how=how, on=FaultTarget.CANCEL)
    async with emulate(Options(tokens_per_second=1, faults=(fault,))) as url:
        made = await ask(url, "POST", f"{MKA1}/responses", {**ASKED, "stream": False})
        id = json.loads(made.body)["id"]
        raw = await ask(url, "POST", f"{MKA1}/responses/{id}/cancel")
        found = await ask(url, "GET", f"{MKA1}/responses/{id}")
    assert (raw.end, raw.data) == (how, b"")
    assert json.loads(found.body)["status"] == "cancelled"


async def test_a_drop_in_the_middle_of_a_json_answer() -> None:
    fault = Drop(after_bytes=50, on=FaultTarget.RETRIEVE)
    async with emulate(Options(tokens_per_second=None, faults=(fault,))) as url:
        made = await ask(url, "POST", f"{MKA1}/responses", {**ASKED, "stream": False})
        raw = await ask(url, "GET", f"{MKA1}/responses/{json.loads(made.body)['id']}")
    assert (raw.end, len(raw.body), raw.is_complete) == ("fin", 50, False)


async def test_a_drip_comes_in_small_writes_and_loses_nothing(whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Drip(bytes=64))
    assert max(map(len, raw.chunks()[0])) == 64
    assert same(raw.events, whole)


async def test_gzip_is_said_and_done(whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Gzip())
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.unpacked.count(b"\n\n") == len(whole)
    assert len(raw.chunks()[0]) == len(whole) + 2  # each event its own, the trailer, and the end


async def test_a_json_answer_may_be_compressed_too() -> None:
    async with emulate(Options(tokens_per_second=None, faults=(Gzip(on=FaultTarget.ALL),))) as url:
        raw = await ask(url, "GET", f"{MKA1}/responses")
    assert json.loads(raw.unpacked)["data"] == []
    assert "content-length" not in raw.headers


ORDER = [
    pytest.param(Duplicate(after_events=2), lambda n: [0, 1, 1, *n[2:]], id="duplicate"),
    pytest.param(Reorder(after_events=1), lambda n: [0, 2, 1, *n[3:]], id="reorder"),
    pytest.param(Gap(after_events=1, count=2), lambda n: [0, *n[3:]], id="gap"),
    pytest.param(Renumber(after_events=1, by=5), lambda n: [0, *[each + 5 for each in n[1:]]], id="renumber"),
    pytest.param(KeepaliveFirst(), lambda n: [*n, n[-1] + 1], id="keepalive"),
    pytest.param(NoTerminal(), lambda n: n[:-1], id="no terminal"),
    pytest.param(TwoTerminals(), lambda n: [*n, n[-1] + 1], id="two terminals"),
]


@pytest.mark.parametrize(("fault", "expected"), ORDER)
async def test_the_numbers_that_come(fault: Fault, expected: Any, whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(fault)
    assert raw.is_complete
    assert [each["sequence_number"] for each in raw.events] == expected([each["sequence_number"] for each in whole])


async def test_a_corrupt_event_is_no_utf8_and_the_others_are_whole(whole: list[dict[str, Any]]) -> None:
    raw = await stream_of(Corrupt(after_events=2))
    frames = raw.body.split(b"\n\n")
    assert [at for at, frame in enumerate(frames) if b"\xff" in frame] == [2]
    assert len(frames) == len(whole) + 1


async def test_two_terminals_say_the_same_twice() -> None:
    *_, first, second = (await stream_of(TwoTerminals())).events
    assert first == {**second, "sequence_number": first["sequence_number"]}


@pytest.mark.parametrize("prefix", [MKA1, OPENAI])
async def test_a_keepalive_has_the_first_number_for_every_reader(prefix: str) -> None:
    options = Options(tokens_per_second=None, hold_after_events=4, faults=(KeepaliveFirst(),))
    app = Emulator(options, clock=inprocess.HandClock())
    asked = {"model": "toy", "input": "Hi", "stream": True, "background": True}
    async with inprocess.begin(app, "POST", f"{prefix}/responses", asked) as first:
        await first.until(4)
    id = first.answer.events[1]["response"]["id"]
    async with inprocess.begin(app, "GET", f"{prefix}/responses/{id}?stream=true") as second:
        await second.until(4)
    assert first.answer.types == second.answer.types == ["keepalive", "created", "queued", "in_progress"]
    assert first.answer.numbers == second.answer.numbers == [0, 1, 2, 3]


@pytest.mark.parametrize("prefix", [MKA1, OPENAI])
@pytest.mark.parametrize("fault", [ErrorNested(after_events=4), ErrorFlat(after_events=4)], ids=str)
async def test_an_error_event_ends_in_a_response_that_failed(fault: Fault, prefix: str) -> None:
    async with emulate(Options(tokens_per_second=None, faults=(fault,))) as url:
        raw = await ask(url, "POST", f"{prefix}/responses", ASKED)
        id = raw.events[0]["response"]["id"]
        found = json.loads((await ask(url, "GET", f"{prefix}/responses/{id}")).body)
    error, failed = raw.events[4:]
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert ("error" in error) is isinstance(fault, ErrorNested)
    assert [each["sequence_number"] for each in raw.events] == [0, 1, 2, 3, 4, 5]
    assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


async def test_a_page_of_html_comes_instead_of_the_stream() -> None:
    raw = await stream_of(Html())
    assert (raw.status, raw.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert raw.body.startswith(b"<!doctype html>")
    assert (await stream_of(Html(status=502))).status == 502


@pytest.mark.parametrize("prefix", [MKA1, OPENAI])
@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 429, 500, 502, 503])
async def test_any_status_can_be_had(prefix: str, status: int) -> None:
    raw = await stream_of(Refuse(status=status), prefix=prefix)
    assert raw.status == status
    assert ("retry-after" in raw.headers) is (status in (429, 503))
    assert "error" in json.loads(raw.body)


async def test_the_rate_limit_is_said_as_each_dialect_does() -> None:
    fault = Refuse(status=429, retry_after=2.5)
    mka1, openai = [await stream_of(fault, prefix=prefix) for prefix in (MKA1, OPENAI)]
    assert json.loads(mka1.body) == {"error": "Rate limit exceeded"}
    assert json.loads(openai.body)["error"]["message"] == "Rate limit exceeded"
    assert mka1.headers["retry-after"] == openai.headers["retry-after"] == "2.5"


async def test_any_refusal_may_say_how_long_to_wait() -> None:
    assert (await stream_of(Refuse(status=500, retry_after=0.5))).headers["retry-after"] == "0.5"


async def test_a_fault_is_for_the_answers_it_names_and_as_often_as_it_says() -> None:
    fault = Refuse(on=FaultTarget.RESUME, status=500, times=2)
    async with emulate(Options(tokens_per_second=None, faults=(fault,))) as url:
        raw = await ask(url, "POST", f"{MKA1}/responses", ASKED)
        path = f"{MKA1}/responses/{raw.events[0]['response']['id']}"
        resumed = [(await ask(url, "GET", f"{path}?stream=true")).status for _ in range(3)]
        retrieved = (await ask(url, "GET", path)).status
    assert (raw.status, resumed, retrieved) == (200, [500, 500, 200], 200)


async def test_a_refused_create_makes_nothing() -> None:
    emulator = Emulator(Options(tokens_per_second=None, faults=(Refuse(on=FaultTarget.CREATE),)))
    async with emulate(emulator) as url:
        await ask(url, "POST", f"{MKA1}/responses", ASKED)
    assert emulator.journal.counters["creates"] == 0


# By a header, for one request


async def test_a_header_asks_for_a_fault_of_one_request(whole: list[dict[str, Any]]) -> None:
    async with emulate(Options(tokens_per_second=None)) as url:
        first = await ask(url, "POST", f"{MKA1}/responses", ASKED, x_streamfold_fault="drop:after_events=2,how=rst")
        second = await ask(url, "POST", f"{MKA1}/responses", ASKED)
    assert (first.end, len(first.events)) == ("rst", 2)
    assert len(second.events) > 2


async def test_a_header_is_for_its_request_whatever_the_fault_is_for_by_default() -> None:
    async with emulate(Options(tokens_per_second=None)) as url:
        raw = await ask(url, "GET", f"{MKA1}/responses", x_streamfold_fault="gzip;drip:bytes=8")
    assert json.loads(raw.unpacked)["object"] == "list"


async def test_a_header_that_names_no_fault_is_refused_with_its_name() -> None:
    async with emulate(Options(tokens_per_second=None)) as url:
        raw = await ask(url, "GET", f"{MKA1}/responses", x_streamfold_fault="explode")
    error = json.loads(raw.body)["error"]
    assert (raw.status, error["param"]) == (400, "x-streamfold-fault")
    assert "unknown fault 'explode'" in error["message"]


# By a plan


async def plan_journal(seed: int) -> list[str]:
    plan = Plan(seed=seed, rate=0.5, kinds=("drop", "gap", "gzip"))
    emulator = Emulator(Options(tokens_per_second=None, plan=plan))
    async with emulate(emulator) as url:
        for _ in range(12):
            await ask(url, "POST", f"{MKA1}/responses", ASKED)
        await ask(url, "GET", f"{MKA1}/responses")
    return [visit.faults for visit in emulator.journal.visits]


async def test_a_plan_is_the_same_for_the_same_seed_and_for_streams_alone() -> None:
    first = await plan_journal(3)
    assert first == await plan_journal(3)
    assert first != await plan_journal(4)
    assert 2 <= sum(bool(each) for each in first) <= 10
    assert first[-1] == ""


# Time, and the journal


@asynccontextmanager
async def stalled(clock: inprocess.HandClock, fault: Fault) -> AsyncGenerator[inprocess.Exchange, None]:
    app = Emulator(Options(tokens_per_second=None, faults=(fault,)), clock=clock)
    async with inprocess.begin(app, "POST", f"{MKA1}/responses", ASKED) as exchange:
        yield exchange


async def test_a_stall_is_silence_without_even_a_comment() -> None:
    clock = inprocess.HandClock()
    async with stalled(clock, Stall(after_events=2, seconds=30)) as exchange:
        await exchange.until(2)
        clock.advance(29)
        await anyio.wait_all_tasks_blocked()
        assert len(exchange.answer.writes) == 2
        clock.advance(1)
        await exchange.done.wait()
    assert exchange.answer.types[-1] == "completed"
    assert b":\n" not in exchange.answer.writes


async def test_a_slow_drip_waits_between_its_writes() -> None:
    clock = inprocess.HandClock(jumps=True)
    async with stalled(clock, Drip(bytes=1000, seconds=0.25)) as exchange:
        await exchange.done.wait()
    assert set(clock.waits) == {0.25}


async def test_the_journal_tells_cuts_from_disconnects() -> None:
    emulator = Emulator(Options(tokens_per_second=None, faults=(Drop(after_events=1, times=1),)))
    async with emulate(emulator) as url:
        await ask(url, "POST", f"{MKA1}/responses", ASKED)
        await ask(url, "POST", f"{MKA1}/responses", ASKED)
    assert [visit.ended for visit in emulator.journal.visits] == ["cut", "complete"]
    assert [visit.faults for visit in emulator.journal.visits] == ["drop:times=1,after_events=1", ""]
    assert (emulator.journal.counters["cuts"], emulator.journal.counters["disconnects"]) == (1, 0)


# In process, where there is no connection to cut


@pytest.mark.parametrize("fault", [Drop(after_events=2), Drop(where=Where.HEAD)], ids=str)
async def test_in_process_a_drop_is_an_exception(fault: Fault) -> None:
    app = Emulator(Options(tokens_per_second=None, faults=(fault,)), clock=inprocess.HandClock())
    answer = inprocess.Answer()
    with pytest.raises(ConnectionCut, match="fin"):
        await inprocess.call(app, "POST", f"{MKA1}/responses", ASKED, answer)
    assert (len(answer.writes), answer.is_complete) == (2 if fault == Drop(after_events=2) else 0, False)
    assert app.journal.visits[0].ended == "cut"
