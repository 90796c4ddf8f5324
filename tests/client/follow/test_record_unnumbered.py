"""Events without numbers, some or all, in a recorded response: killed and resumed anywhere, nothing is lost or repeated."""

import logging
from collections.abc import Callable, Sequence
from json import dumps as encode_ascii
from math import inf, nan
from typing import Any

import anyio
import pytest
from attrs import evolve
from msgspec.json import decode

from streamfold import State, fold
from streamfold.client import FollowedResponse, Request, record
from streamfold.errors import InvalidArgument
from streamfold.fold import SequencePolicy
from streamfold.history import import_stream, replay, states, verify
from streamfold.log import EventLog, MemoryLog, Record, StreamKey
from streamfold.schema import decode_event
from streamfold.session import OutcomeStatus
from tests.client.follow.test_follow import QUICK, gateway
from tests.client.stub import Told, forever, said, stream
from tests.history.made import facts
from tests.session.made import RESPONSE_ID, added, body, created, delta, ended, keepalive

pytestmark = pytest.mark.anyio

KEY = StreamKey("", RESPONSE_ID)
POLICY = SequencePolicy.RENUMBER  # a gateway that leaves numbers out is believed at once
PATIENCE = evolve(QUICK, sequence_policy=POLICY, stalled_seconds=2.0, poll_seconds=0.05)
K = keepalive(None)
TEXT = "abcd"

# Each a stream as the first connection brings it. What a later connection brings has no keepalives: they come by the clock.
STREAMS: dict[str, list[bytes]] = {
    "keepalives among numbers": [
        created(0), K, K, added(1), K, delta(2, "a"), K, K, delta(3, "b"), delta(4, "c"), K, delta(5, "d"), ended(6, text=TEXT)
    ],
    "numbers that begin late": [K, K, created(0), added(1), delta(2, "a"), K, delta(3, "b"), delta(4, "cd"), ended(5, text=TEXT)],
    "no numbers": [created(None), added(None), *(delta(None, each) for each in TEXT), ended(None, text=TEXT)],
    "no numbers, and keepalives": [
        created(None), K, added(None), K, K, delta(None, "a"), delta(None, "b"), K, delta(None, "cd"), ended(None, text=TEXT)
    ],
    "numbers far away": [created(2**53), K, added(2**53 + 1), delta(2**53 + 2, "ab"), delta(2**53 + 3, "cd"), ended(2**53 + 4, text=TEXT)],
    "a hole among keepalives": [created(0), K, added(1), K, delta(2, "ab"), K, delta(9, "cd"), ended(10, text=TEXT)],
}  # fmt: skip


def number_of(event: bytes) -> int | None:
    data = decode(event.removeprefix(b"data: "))
    return data.get("sequence_number") if isinstance(data, dict) else None


def server(events: Sequence[bytes], *, dies_after: int) -> Callable[[Request], Told]:
    """A gateway that keeps the events but for keepalives. dies_after: how many the first connection brings."""
    kept = [each for each in events if each != K]

    def answer(request: Request) -> Told:
        if request.method == "POST":
            return stream(*events[:dies_after], forever())
        _, asks_after, number = request.url.partition("starting_after=")
        if asks_after:
            after = int(number.partition("&")[0])
            return stream(*(each for each in kept if (number_of(each) or 0) > after))
        return stream(*kept) if "stream=true" in request.url else said(body("in_progress"))

    return answer


def data_of(events: Sequence[bytes]) -> list[bytes]:
    return [each.removeprefix(b"data: ").rstrip() for each in events]


async def recorded_data(log: EventLog) -> list[bytes]:
    """The events in the log, without keepalives."""
    return [each.data for each in await log.read(KEY) if each.data and b"keepalive" not in each.data]


async def killed_after(count: int, log: EventLog, events: Sequence[bytes]) -> State:
    """A process that records so many events, and is gone. Returns the state that it had."""
    here, _ = gateway(server(events, dies_after=count), PATIENCE)
    async with record(here.stream(model="toy", input="hi", background=True), log) as response:
        for _ in range(count):
            await anext(response)
        return response.state


def resumed(log: EventLog, events: Sequence[bytes], **how: Any) -> FollowedResponse:
    here, _ = gateway(server(events, dies_after=0), PATIENCE)
    return here.follow(RESPONSE_ID, log=log, **how)


@pytest.mark.parametrize("name", STREAMS)
async def test_it_is_killed_anywhere_and_resumed_and_the_log_has_every_event_once(name: str) -> None:
    events = STREAMS[name]
    whole = data_of([each for each in events if each != K])
    for count in range(events.index(next(each for each in events if b"created" in each)) + 1, len(events)):
        log = MemoryLog()
        left = await killed_after(count, log, events)
        assert facts(await replay(log, KEY)) == facts(left), count
        with anyio.fail_after(5):
            async with resumed(log, events) as response:
                assert facts(response.state) == facts(left)
                outcome = await response.outcome()
        assert (outcome.status, outcome.is_compacted) == (OutcomeStatus.COMPLETED, False), count
        assert outcome.state.output_text == TEXT, count
        assert await recorded_data(log) == whole, count
        assert facts(await replay(log, KEY)) == facts(outcome.state), count


@pytest.mark.parametrize("name", STREAMS)
async def test_the_log_has_the_servers_numbers_next_to_its_own(name: str) -> None:
    events = STREAMS[name]
    log = MemoryLog()
    await killed_after(len(events) - 1, log, events)
    records = [each for each in await log.read(KEY) if each.data]
    assert [each.data for each in records] == data_of(events[:-1])
    for place, each in enumerate(records):
        before = fold([decode_event(data) for data in data_of(events[: place + 1])], State.under(POLICY))
        reached = await replay(log, KEY, at=each.sequence_number)
        assert (facts(reached), reached.is_numbered, reached.counted) == (
            facts(before),
            before.is_numbered,
            before.counted,
        )


@pytest.mark.parametrize("name", STREAMS)
async def test_a_reader_that_has_a_part_of_it_gets_the_rest_from_the_log(name: str) -> None:
    events = STREAMS[name]
    log = MemoryLog()
    await killed_after(len(events) - 1, log, events)
    for count in range(1, len(events)):
        had = fold([decode_event(each) for each in data_of(events[:count])], State.under(POLICY))
        async with resumed(log, events, state=had) as response:
            text = "".join([piece async for piece in response.text()])
        assert had.output_text + text == TEXT, count


@pytest.mark.parametrize("name", STREAMS)
async def test_an_import_stores_what_a_recorder_stores(name: str) -> None:
    events = STREAMS[name]
    recorded, imported = MemoryLog(), MemoryLog()
    here, _ = gateway(server(events, dies_after=len(events)), PATIENCE)
    async with record(here.stream(model="toy", input="hi", background=True), recorded) as response:
        await response.outcome()
    await import_stream(imported, "", events, policy=POLICY)
    assert await imported.read(KEY) == await recorded.read(KEY)
    assert facts(await replay(imported, KEY)) == facts(await replay(recorded, KEY))


# No events at all


async def test_a_response_of_which_no_event_came_is_in_the_log_with_its_end() -> None:
    log = MemoryLog()
    final = body("completed", TEXT)
    here, stub = gateway(lambda request: said(final), PATIENCE)
    with anyio.fail_after(5):
        async with here.follow(RESPONSE_ID, log=log) as response:
            outcome = await response.outcome()
        assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.COMPLETED, TEXT)
        assert facts(await replay(log, KEY)) == facts(outcome.state)
        assert [each.is_whole async for each in verify(log)] == [True]
        asked = len(stub.requests)
        async with here.follow(RESPONSE_ID, log=log) as response:
            assert (await response.outcome()).state.output_text == TEXT
    assert len(stub.requests) == asked, "the second one needs the log alone"
    info = await log.require(KEY)
    assert (info.status, info.owner) == ("completed", "")


# What a gateway may name its events


@pytest.mark.parametrize("kind", ["a\nb", "\0", "x" * 5_000], ids=["a line end", "NUL", "long"])
async def test_an_event_whose_type_cannot_be_a_name_is_recorded_without_one(kind: str) -> None:
    log = MemoryLog()
    odd = b'data: {"type":%b,"sequence_number":1}\n\n' % encode_ascii(kind).encode()
    events = [created(0), odd, added(2), delta(3, TEXT), ended(4, text=TEXT)]
    here, _ = gateway(server(events, dies_after=len(events)), PATIENCE)
    async with record(here.stream(model="toy", input="hi", background=True), log) as response:
        assert (await response.outcome()).state.output_text == TEXT
    records = await log.read(KEY)
    assert [each.data for each in records] == data_of(events)
    assert records[1].name == ""


@pytest.mark.parametrize(
    "how",
    [{"tenant": "a\0b"}, {"owner": "\ud800"}, {"lease_seconds": nan}, {"lease_seconds": inf}, {"retain_seconds": nan}],
)
async def test_what_no_log_can_hold_is_refused_before_anything_is_sent(how: dict[str, Any]) -> None:
    here, stub = gateway(lambda request: said(body()), PATIENCE)
    with pytest.raises(InvalidArgument):
        record(here.stream(model="toy", input="hi"), MemoryLog(), **how)
    assert stub.requests == []


# What a process waits for


async def test_what_a_process_waits_for_is_in_the_log_of_the_library(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    lease = await log.acquire(KEY, owner="another process", seconds=0.2)
    events = STREAMS["keepalives among numbers"]
    await log.append(lease, [Record(0, "response.created", data_of(events)[0])])
    with caplog.at_level(logging.INFO, "streamfold.client"), anyio.fail_after(5):
        async with resumed(log, events) as response:
            assert (await response.outcome()).state.output_text == TEXT
    told = [each.getMessage() for each in caplog.records if "record" in each.getMessage()]
    assert told == [
        "response resp_1: another process records it; its lease ends in 0.2 s unless it is renewed",
        "response resp_1: this process records it now",
    ]


async def test_an_error_in_plain_text_is_an_error_in_the_log_too() -> None:
    log = MemoryLog()
    error = b"event: error\ndata: the engine ran out of memory\n\n"
    await import_stream(log, "", [created(0), added(1), error])
    steps = [step.after async for step in states(log, KEY)]
    for state in (await replay(log, KEY), steps[-1]):
        assert state.error is not None
        assert state.error.message == "the engine ran out of memory"
