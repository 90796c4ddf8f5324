"""A response recorded on a real Valkey: another machine goes on, asks for a cancel, and reads along."""

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from attrs import evolve

from streamfold import snapshot_json
from streamfold.client import record
from streamfold.history import live, replay
from streamfold.log.valkey import ValkeyLog
from streamfold.session import CancelResult, OutcomeStatus
from tests.client.follow.test_follow import QUICK, WHOLE, by_call, gateway, in_turn
from tests.client.follow.test_record import KEY, data_of
from tests.client.stub import forever, said, stream
from tests.log.valkeys import Valkey, running
from tests.session.made import RESPONSE_ID, body

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """redis-py runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
async def log(valkey: Valkey) -> AsyncIterator[ValkeyLog]:
    valkey.ask("FLUSHALL")
    async with ValkeyLog(valkey.url) as opened:
        yield opened


async def test_another_machine_goes_on_and_a_third_reads_along(log: ValkeyLog, valkey: Valkey) -> None:
    seen: list[int] = []

    async def read_along() -> None:
        async with ValkeyLog(valkey.url) as third, live(third, KEY) as steps:
            seen.extend([step.record.sequence_number async for step in steps])

    here, _ = gateway(in_turn(stream(*WHOLE[:3], forever())))
    with anyio.fail_after(30):
        async with record(here.stream(model="toy", input="hi"), log, owner="one") as response:
            for _ in range(3):
                await anext(response)
        async with anyio.create_task_group() as tasks, ValkeyLog(valkey.url) as another:
            tasks.start_soon(read_along)
            there, stub = gateway(in_turn(stream(*WHOLE[3:])))
            async with there.follow(RESPONSE_ID, log=another) as response:
                assert response.state.output_text == "Hel"
                outcome = await response.outcome()
    assert stub.asked == ["GET /resp_1 stream after 2"]
    assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.COMPLETED, "Hello")
    assert [each.data for each in await log.read(KEY)] == data_of(*WHOLE)
    assert seen == [0, 1, 2, 3, 4]
    assert snapshot_json(await replay(log, KEY)) == snapshot_json(outcome.state)


async def test_a_cancel_that_another_machine_asks_for_reaches_the_gateway(log: ValkeyLog, valkey: Valkey) -> None:
    here, stub = gateway(
        by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled")), retrieve=said(body("cancelled"))),
        evolve(QUICK, cancel_grace_seconds=0.0),
    )
    with anyio.fail_after(30):
        async with record(here.stream(model="toy", input="hi"), log) as response:
            await anext(response)
            async with ValkeyLog(valkey.url) as another:
                await another.request_cancel(KEY)
            outcome = await response.outcome()
    assert outcome.cancel is CancelResult.CANCEL_WON
    assert "POST /resp_1/cancel" in stub.asked


async def test_a_server_that_is_emptied_in_the_middle_is_told_everything_again(log: ValkeyLog, valkey: Valkey) -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with record(here.stream(model="toy", input="hi"), log) as response:
        for _ in range(3):
            await anext(response)
        valkey.ask("FLUSHALL")
        assert [event.sequence_number async for event in response] == [3, 4]
    assert [each.data for each in await log.read(KEY)] == data_of(*WHOLE)
