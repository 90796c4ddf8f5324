"""What a followed response leaves in the stdlib's log; tasks that belong to no scope; a signal."""

import asyncio
import logging

import anyio
import pytest

from streamfold.client.follow.runner import Signal, Tasks
from streamfold.errors import Disconnected
from streamfold.session import Backoff, Patience
from tests.client.follow.test_follow import CUT, KEY, WHOLE, by_call, gateway, in_turn
from tests.client.stub import Told, forever, said, stream
from tests.session.made import RESPONSE_ID, body

pytestmark = pytest.mark.anyio

LOGGER = "streamfold.client"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.name == LOGGER]


async def test_a_response_without_trouble_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        await response.outcome()
    assert lines(caplog) == [("INFO", f"response {RESPONSE_ID}: completed (terminal_event, repairs: 0)")]


def test_without_a_configuration_nothing_is_printed() -> None:
    assert any(isinstance(each, logging.NullHandler) for each in logging.getLogger(LOGGER).handlers)


async def test_each_repair_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=stream(*WHOLE[3:])))
    async with here.stream(model="toy", input="hi") as response:
        await response.outcome()
    assert lines(caplog) == [
        ("WARNING", f"response {RESPONSE_ID}: resume after event 2"),
        ("INFO", f"response {RESPONSE_ID}: completed (terminal_event, repairs: 1)"),
    ]


async def test_a_repair_before_the_first_event_starts_from_the_beginning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    here, _ = gateway(in_turn(Told(opening=Disconnected("gone")), stream(*WHOLE)))
    async with here.follow(RESPONSE_ID) as response:
        await response.outcome()
    assert lines(caplog)[0] == ("WARNING", f"response {RESPONSE_ID}: replay before the first event")


async def test_a_bad_end_is_a_warning_without_a_word_of_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    refusal = said({"error": {"message": "You said: my secret prompt"}}, 404)
    here, _ = gateway(lambda request: refusal)
    async with here.follow(RESPONSE_ID) as response:
        assert "secret" in (await response.outcome()).reason
    level, line = lines(caplog)[-1]
    assert (level, line) == ("WARNING", f"response {RESPONSE_ID}: lost (no proof, repairs: 1)")
    assert "secret" not in caplog.text
    assert KEY not in caplog.text


async def test_a_response_that_is_left_is_recorded_as_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], forever())))
    async with here.stream(model="toy", input="hi") as response:
        await anext(response)
    assert lines(caplog) == [("INFO", f"response {RESPONSE_ID}: abandoned (no proof, repairs: 0)")]


async def test_a_batch_is_logged_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    here, _ = gateway(in_turn(said(body("completed") | {"id": "batch_1"})))
    async with here.batches.follow("batch_1") as batch:
        await batch.outcome()
    assert lines(caplog) == [("INFO", "batch batch_1: completed (retrieved, repairs: 0)")]


# Tasks


async def test_a_signal_wakes_those_who_wait_now_and_no_later_one() -> None:
    signal, woken = Signal(), list[int]()

    async def wait(number: int) -> None:
        await signal.wait()
        woken.append(number)

    signal.notify()
    async with anyio.create_task_group() as tasks:
        for number in (1, 2):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        assert (signal.waiting, woken) == (2, [])
        signal.notify()
    assert (signal.waiting, sorted(woken)) == (0, [1, 2])


async def test_tasks_are_cancelled_and_waited_for_by_any_task() -> None:
    ended: list[str] = []

    async def run(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            ended.append(name)

    tasks = Tasks(on_failure=lambda: None)
    for name in ("a", "b"):
        tasks.spawn(run, name)
    await anyio.wait_all_tasks_blocked()
    async with anyio.create_task_group() as other:
        other.start_soon(tasks.close)
    assert sorted(ended) == ["a", "b"]
    await tasks.close()


async def test_after_close_no_task_is_run() -> None:
    ran: list[str] = []

    async def run() -> None:
        ran.append("it ran")

    tasks = Tasks(on_failure=lambda: None)
    await tasks.close()
    tasks.spawn(run)
    await anyio.wait_all_tasks_blocked()
    assert ran == []


async def test_what_a_task_raises_is_kept_and_raised_once() -> None:
    failed: list[str] = []

    async def run() -> None:
        raise LookupError("mine")

    tasks = Tasks(on_failure=lambda: failed.append("failed"))
    tasks.spawn(run)
    tasks.spawn(run)
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(LookupError, match="mine"):
        tasks.raise_failure()
    tasks.raise_failure()
    assert failed == ["failed", "failed"]
    await tasks.close()


def test_a_repair_after_a_back_off_works_in_a_loop_that_anyio_did_not_start() -> None:
    """The back-off ends in a callback of the loop, where asyncio has no current task, and anyio finds no loop."""

    async def main() -> list[int | None]:
        patience = Patience(backoff=Backoff(first_seconds=0.01))
        here, _ = gateway(in_turn(stream(*WHOLE[:2], CUT), stream(*WHOLE[2:])), patience)
        async with here.follow(RESPONSE_ID) as response:
            return [event.sequence_number async for event in response]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
