"""A response recorded: nothing is read of it that is not in the log, and another process goes on from the log alone."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from attrs import evolve

from streamfold import State, fold, snapshot_json
from streamfold.client import FollowedResponse, record
from streamfold.client.follow.recorder import MAX_WITHOUT_ID, Recorder, Recording
from streamfold.errors import InvalidArgument, LeaseHeld, LogUnusable, UsageError, WriterFenced
from streamfold.history import replay
from streamfold.log import EventLog, Lease, MemoryLog, Record, StreamKey
from streamfold.schema import decode_event
from streamfold.session import CancelResult, OutcomeStatus, Proof
from tests.client.follow.test_follow import CUT, QUICK, WHOLE, by_call, gateway, in_turn
from tests.client.stub import Stub, Told, forever, said, stream
from tests.session.made import RESPONSE_ID, added, body, created, delta, ended, keepalive

pytestmark = pytest.mark.anyio

KEY = StreamKey("", RESPONSE_ID)
REFUSED = said({"error": {"message": "no such response"}}, 404)


def recorded(log: EventLog, *answers: Told, **how: Any) -> tuple[FollowedResponse, Stub]:
    """A new response whose requests are answered so, recorded."""
    here, stub = gateway(in_turn(*answers))
    return record(here.stream(model="toy", input="hi"), log, **how), stub


def resumed(log: EventLog, *answers: Told, **how: Any) -> tuple[FollowedResponse, Stub]:
    """The same response, followed by another process."""
    here, stub = gateway(in_turn(*answers))
    return here.follow(RESPONSE_ID, log=log, **how), stub


async def leave_after(count: int, log: EventLog, *, chunks: Sequence[bytes] = WHOLE, **how: Any) -> None:
    """A process that read so many events, and is gone."""
    response, _ = recorded(log, stream(*chunks[:count], forever()), **how)
    async with response:
        for _ in range(count):
            await anext(response)


async def numbers(log: EventLog) -> list[int]:
    return [each.sequence_number for each in await log.read(KEY)]


async def kinds(log: EventLog) -> list[str]:
    return [each.kind for each in await log.notes(KEY)]


def data_of(*chunks: bytes) -> list[bytes]:
    return [each.removeprefix(b"data: ").rstrip() for each in chunks]


# Before the reader


async def test_every_event_is_in_the_log_before_it_is_read() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        async for event in response:
            assert (await numbers(log))[-1] >= (event.sequence_number or 0)
    info = await log.info(KEY)
    assert info is not None
    assert (info.status, info.owner) == ("completed", "")
    assert [(each.name, each.data) for each in await log.read(KEY)] == [
        (decode_event(each).type, each) for each in data_of(*WHOLE)
    ]
    assert [(each.kind, each.text) for each in await log.notes(KEY)] == [
        ("outcome", "completed, proven by terminal_event")
    ]


@pytest.mark.parametrize("how", ["states", "text", "next_applied", "outcome"])
async def test_however_it_is_read_it_is_recorded(how: str) -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        match how:
            case "states":
                assert [state.cursor async for state in response.states()] == [0, 1, 2, 3, 4]
            case "text":
                assert "".join([piece async for piece in response.text()]) == "Hello"
            case "next_applied":
                while applied := await response.next_applied():
                    assert (await numbers(log))[-1] >= (applied[-1].state.cursor or 0)
            case _:
                pass
        outcome = await response.outcome()
    assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.COMPLETED, "Hello")
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_the_log_may_be_a_few_events_behind_and_no_more() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE), max_behind=2)
    behind: list[int] = []
    async with response:
        async for event in response:
            behind.append((event.sequence_number or 0) + 1 - len(await log.read(KEY)))
        assert await numbers(log) == [0, 1, 2, 3, 4]
    assert max(behind) == 2


async def test_what_the_log_is_behind_is_written_when_the_response_is_left() -> None:
    log = MemoryLog()
    await leave_after(3, log, max_behind=100)
    info = await log.info(KEY)
    assert await numbers(log) == [0, 1, 2]
    assert info is not None
    assert (info.status, info.owner) == (None, "")


async def test_events_before_the_id_is_told_wait_for_it() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(keepalive(0), created(1), added(2), delta(3), ended(4, text="x")))
    async with response:
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_a_response_that_never_tells_its_id_is_not_recorded_and_that_is_said() -> None:
    log = MemoryLog()
    nameless = [each.replace(b'"resp_1"', b"null") for each in WHOLE]
    response, _ = recorded(log, stream(*nameless))
    async with response:
        with pytest.raises(LogUnusable, match="its id never arrived"):
            await anext(response)
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]


async def test_no_more_than_so_many_events_wait_for_an_id() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*[keepalive(number) for number in range(MAX_WITHOUT_ID + 1)], forever()))
    with pytest.raises(LogUnusable, match="1,000 events came, and none of them said its id"):
        async with response:
            await anext(response)


@pytest.mark.parametrize("wrong", [{"max_behind": -1}, {"lease_seconds": 0}, {"retain_seconds": -1}])
async def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        recorded(MemoryLog(), **wrong)


async def test_a_response_that_was_entered_is_not_recorded_any_more() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        with pytest.raises(UsageError, match="not been entered yet"):
            record(response, MemoryLog())


# Another process


@pytest.mark.parametrize("count", range(1, 5))
async def test_another_process_goes_on_where_the_log_ends(count: int) -> None:
    log = MemoryLog()
    await leave_after(count, log)
    response, stub = resumed(log, stream(*WHOLE[count:]))
    async with response:
        assert response.state == fold([decode_event(each) for each in data_of(*WHOLE[:count])])
        assert [event.sequence_number async for event in response] == list(range(count, 5))
        outcome = await response.outcome()
    assert stub.asked == [f"GET /resp_1 stream after {count - 1}"]
    assert outcome.state.output_text == "Hello"
    assert [each.data for each in await log.read(KEY)] == data_of(*WHOLE)
    assert await kinds(log) == ["outcome", "outcome"]


async def test_what_the_reader_lacks_comes_from_the_log_first() -> None:
    log = MemoryLog()
    await leave_after(3, log)
    response, stub = resumed(log, stream(*WHOLE[3:]), starting_after=0)
    async with response:
        assert response.cursor == 0
        seen = [(response.cursor, response.state.output_text) async for _ in response]
    assert [cursor for cursor, _ in seen] == [1, 2, 3, 4]
    assert seen[1][1] == "Hel"
    assert stub.asked == ["GET /resp_1 stream after 2"]


async def test_a_reader_that_has_nothing_gets_all_that_the_log_has_first() -> None:
    log = MemoryLog()
    await leave_after(3, log)
    response, stub = resumed(log, stream(*WHOLE[3:]), state=State())
    async with response:
        assert response.cursor is None
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
    assert stub.asked == ["GET /resp_1 stream after 2"]


async def test_what_the_reader_has_though_the_log_lacks_it_is_recorded_and_not_given_again() -> None:
    log = MemoryLog()
    await leave_after(2, log)
    response, stub = resumed(log, stream(*WHOLE[2:]), starting_after=3)
    async with response:
        assert [event.sequence_number async for event in response] == [4]
    assert stub.asked == ["GET /resp_1 stream after 1"]
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_a_response_that_is_finished_in_the_log_needs_no_gateway() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        await response.outcome()
    response, stub = resumed(log, starting_after=1)
    async with response:
        assert [event.sequence_number async for event in response] == [2, 3, 4]
        outcome = await response.outcome()
    assert (outcome.status, outcome.state.output_text, stub.asked) == (OutcomeStatus.COMPLETED, "Hello", [])


async def test_a_response_that_the_log_does_not_know_is_recorded_from_where_it_is_followed() -> None:
    log = MemoryLog()
    response, stub = resumed(log, stream(*WHOLE[3:]), starting_after=2)
    async with response:
        await response.outcome()
    assert stub.asked == ["GET /resp_1 stream after 2"]
    assert await numbers(log) == [3, 4]


async def test_behind_the_gateways_window_the_last_word_is_kept_beside_the_records() -> None:
    log = MemoryLog()
    await leave_after(3, log)
    expired = said({"error": {"message": "The stream has expired", "code": "stream_expired"}}, 400)
    here, _ = gateway(by_call(stream=expired, retrieve=said(body("completed", "Hello"))))
    async with here.follow(RESPONSE_ID, log=log) as response:
        outcome = await response.outcome()
    info = await log.info(KEY)
    assert (outcome.proof, outcome.state.output_text) == (Proof.RETRIEVED, "Hello")
    assert info is not None
    assert info.status == "completed"
    assert await numbers(log) == [0, 1, 2]
    assert snapshot_json(await replay(log, KEY)) == snapshot_json(outcome.state)


async def test_a_response_that_the_gateway_lost_is_still_what_the_log_has() -> None:
    log = MemoryLog()
    await leave_after(3, log)
    here, _ = gateway(lambda request: REFUSED)
    async with here.follow(RESPONSE_ID, log=log) as response:
        outcome = await response.outcome()
    info = await log.info(KEY)
    assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.LOST, "Hel")
    assert info is not None
    assert not info.is_finished


async def test_a_writer_that_died_is_waited_for_until_its_lease_ends() -> None:
    log = MemoryLog()
    lease = await log.acquire(KEY, owner="dead", seconds=0.02)
    await log.append(lease, [Record(0, "response.created", data_of(WHOLE[0])[0])])
    response, _ = resumed(log, stream(*WHOLE[1:]))
    async with response:
        await response.outcome()
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_an_owner_with_a_name_takes_over_at_once() -> None:
    log = MemoryLog()
    lease = await log.acquire(KEY, owner="worker 1", seconds=3600)
    await log.append(lease, [Record(0, "response.created", data_of(WHOLE[0])[0])])
    here, _ = gateway(in_turn(stream(*WHOLE[1:])))
    async with record(here.follow(RESPONSE_ID), log, owner="worker 1") as response:
        await response.outcome()
    assert await numbers(log) == [0, 1, 2, 3, 4]


async def test_whoever_was_taken_over_is_told_and_writes_nothing() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE), owner="one")
    with pytest.raises(WriterFenced):
        async with response:
            await anext(response)
            await log.acquire(KEY, owner="one", seconds=30)
            async for _ in response:
                pass
    assert await numbers(log) == [0]


# Cancels, notes, leases


async def test_a_cancel_that_the_log_is_asked_for_reaches_the_gateway() -> None:
    log = MemoryLog()
    here, stub = gateway(
        by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled")), retrieve=said(body("cancelled"))),
        evolve(QUICK, cancel_grace_seconds=0.0),
    )
    with anyio.fail_after(30):
        async with record(here.stream(model="toy", input="hi"), log) as response:
            await anext(response)
            await log.request_cancel(KEY)
            outcome = await response.outcome()
    info = await log.info(KEY)
    assert (outcome.status, outcome.cancel) == (OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON)
    assert "POST /resp_1/cancel" in stub.asked
    assert info is not None
    assert info.status == "cancelled"
    assert await kinds(log) == ["cancel", "outcome", "cancel"]


async def test_a_response_that_is_cancelled_on_exit_is_finished_in_the_log() -> None:
    log = MemoryLog()
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled"))))
    made = here.stream(model="toy", input="hi", on_exit="cancel")
    async with record(made, log) as response:
        await anext(response)
    info = await log.info(KEY)
    assert info is not None
    assert (info.status, info.next_number, info.owner) == ("cancelled", 1, "")
    assert (await replay(log, KEY)).status == "cancelled"


async def test_a_task_that_is_cancelled_writes_what_it_was_given_and_cancels_nothing() -> None:
    log = MemoryLog()
    response, stub = recorded(log, stream(*WHOLE[:3], forever()), max_behind=100)
    with anyio.CancelScope() as scope:
        async with response:
            for _ in range(3):
                await anext(response)
            scope.cancel()
            await anext(response)
    info = await log.info(KEY)
    assert info is not None
    assert (info.status, info.next_number, info.owner) == (None, 3, "")
    assert stub.asked == ["POST /"]


async def test_repairs_are_noted_where_they_were_made() -> None:
    log = MemoryLog()
    response, _ = recorded(log, stream(*WHOLE[:2], CUT), stream(*WHOLE[2:]))
    async with response:
        await response.outcome()
    notes = await log.notes(KEY)
    assert [(each.kind, each.text, each.after) for each in notes] == [
        ("repair", "resume: cut", 1),
        ("outcome", "completed, proven by terminal_event", 4),
    ]


class ReleasesAtTheThird(MemoryLog):
    """Fails to release a stream, so often."""

    failures = 2

    async def release(self, lease: Lease) -> None:
        if self.failures:
            self.failures -= 1
            raise LogUnusable("the log", "it is out of luck")
        await super().release(lease)


async def test_the_outcome_is_noted_once_however_often_finishing_is_tried() -> None:
    log = ReleasesAtTheThird()
    response, _ = recorded(log, stream(*WHOLE))
    async with response:
        for _ in range(2):
            with pytest.raises(LogUnusable):
                await response.outcome()
        await response.outcome()
    assert await kinds(log) == ["outcome"]
    info = await log.info(KEY)
    assert info is not None
    assert (info.status, info.owner) == ("completed", "")


async def test_a_finished_stream_is_retained_for_as_long_as_was_asked() -> None:
    log = MemoryLog(clock=lambda: 1_000_000.0)
    response, _ = recorded(log, stream(*WHOLE), retain_seconds=3600)
    async with response:
        await response.outcome()
    info = await log.info(KEY)
    assert info is not None
    assert info.expires_at is not None
    assert info.expires_at > 3600


def in_virtual_time(main: Callable[[], Any]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_lease_is_renewed_for_as_long_as_the_response_is_recorded() -> None:
    async def main() -> None:
        log = MemoryLog(clock=trio.current_time)
        here, _ = gateway(in_turn(stream(*WHOLE[:3], forever())))
        response = here.stream(model="toy", input="hi")
        response.record_with(Recorder(log, Recording(lease_seconds=6), clock=trio.current_time))
        async with response:
            await anext(response)
            await trio.sleep(100)
            info = await log.info(KEY)
            assert info is not None
            assert info.lease_expires_at > trio.current_time()
            with pytest.raises(LeaseHeld):
                await log.acquire(KEY, owner="another", seconds=1)

    in_virtual_time(main)


def test_a_log_that_forgot_the_stream_in_a_silence_is_told_it_again() -> None:
    class Forgetful(MemoryLog):
        may_forget = True

    async def main() -> None:
        log = Forgetful(clock=trio.current_time)
        here, _ = gateway(in_turn(stream(*WHOLE[:3], forever())))
        response = here.stream(model="toy", input="hi")
        response.record_with(Recorder(log, Recording(lease_seconds=6), clock=trio.current_time))
        async with response:
            for _ in range(3):
                await anext(response)
            await log.drop(KEY)
            await trio.sleep(100)
            assert await numbers(log) == [0, 1, 2]

    in_virtual_time(main)


def test_what_the_log_is_behind_is_written_within_a_third_of_the_lease() -> None:
    async def main() -> None:
        log = MemoryLog(clock=trio.current_time)
        response, _ = recorded(log, stream(*WHOLE[:3], forever()), max_behind=100)
        async with response:
            for _ in range(3):
                await anext(response)
            assert await numbers(log) == [0]  # which leases the stream: nobody else records it meanwhile
            await trio.sleep(3.4)
            assert await numbers(log) == [0, 1, 2]

    in_virtual_time(main)


def test_whoever_loses_the_lease_in_a_silence_is_told_by_the_next_read() -> None:
    async def main() -> None:
        log = MemoryLog(clock=trio.current_time)
        here, _ = gateway(in_turn(stream(*WHOLE[:3], forever())))
        response = here.stream(model="toy", input="hi")
        response.record_with(Recorder(log, Recording(lease_seconds=6, owner="one"), clock=trio.current_time))
        with pytest.raises(WriterFenced):
            async with response:
                await anext(response)
                await log.acquire(KEY, owner="one", seconds=30)
                await trio.sleep(100)
                await anext(response)

    in_virtual_time(main)


async def test_states_of_a_long_stream_are_checkpointed() -> None:
    log = MemoryLog()
    words = "word " * 600
    chunks = [created(0), added(1), *(delta(n, words) for n in range(2, 1000)), ended(1000, text=words * 998)]
    response, _ = recorded(log, stream(*chunks))
    async with response:
        await response.outcome()
    saved = await log.checkpoint(KEY, at=999)
    assert saved is not None
    assert saved.cursor > 100
    assert snapshot_json(await replay(log, KEY)) == snapshot_json(
        fold([decode_event(each) for each in data_of(*chunks)], State())
    )
