"""states and live: each event once, with the states around it; and on as a stream grows."""

from importlib import import_module

import anyio
import pytest

from streamfold import State, fold, states
from streamfold.errors import NumberNotReached, UnknownStream
from streamfold.history import filler, live
from streamfold.history import states as stored_states
from streamfold.log import MemoryLog, Record
from tests.history.made import KEY, begin, events_of, facts, records_of, said, save

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c")
RECORDS = records_of(DATA)


async def test_each_event_has_its_record_and_the_states_around_it() -> None:
    log = MemoryLog()
    await begin(log, RECORDS)
    steps = [step async for step in stored_states(log, KEY)]
    reached = [State(), *states(events_of(DATA))]
    assert [step.record for step in steps] == RECORDS
    assert [step.event for step in steps] == events_of(DATA)
    assert [facts(step.before) for step in steps] == list(map(facts, reached[:-1]))
    assert [facts(step.after) for step in steps] == list(map(facts, reached[1:]))


@pytest.mark.parametrize(
    ("after", "to", "numbers"),
    [(None, 2, [0, 1, 2]), (2, None, [3, 4, 5]), (1, 3, [2, 3]), (5, None, []), (3, 3, []), (4, 2, [])],
)
async def test_a_part_of_a_stream(after: int | None, to: int | None, numbers: list[int]) -> None:
    log = MemoryLog()
    lease = await begin(log, RECORDS)
    await save(log, lease, DATA, at=2)
    steps = stored_states(log, KEY, after=after, to=to)
    begun = None if after is None else fold(events_of(DATA[: after + 1]))
    found = [step async for step in steps]
    assert [step.record.sequence_number for step in found] == numbers
    assert [facts(step.after) for step in found] == [facts(fold(events_of(DATA[: n + 1]))) for n in numbers]
    if not found and begun is not None:
        assert facts(steps.state) == facts(begun)


async def test_a_stream_of_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.log.tail"), "READ_AT_ONCE", 2)
    log = MemoryLog()
    await begin(log, RECORDS)
    assert [step.record async for step in stored_states(log, KEY)] == RECORDS


async def test_a_number_that_the_server_never_used_is_no_step() -> None:
    log = MemoryLog()
    await begin(log, [*RECORDS[:3], filler(3), *records_of(said("b", first=2)[2:], first=4)])
    assert [step.record.sequence_number async for step in stored_states(log, KEY)] == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("bounds", [{"after": 6}, {"to": 6}, {"after": -1}])
async def test_a_number_that_is_not_there(bounds: dict[str, int]) -> None:
    log = MemoryLog()
    await begin(log, RECORDS)
    with pytest.raises(NumberNotReached):
        await anext(stored_states(log, KEY, **bounds))


async def test_a_stream_that_is_not_there() -> None:
    with pytest.raises(UnknownStream):
        await anext(stored_states(MemoryLog(), KEY))


async def test_steps_that_are_left_can_be_gone_on_with() -> None:
    log = MemoryLog()
    await begin(log, RECORDS)
    steps = stored_states(log, KEY)
    async for step in steps:
        if step.record.sequence_number == 2:
            break
    assert steps.state.cursor == 2
    assert (await anext(steps)).record.sequence_number == 3


async def test_a_live_stream_is_followed_to_its_end() -> None:
    log = MemoryLog()
    lease = await begin(log, RECORDS[:3])
    numbers: list[int] = []

    async def write() -> None:
        for record in RECORDS[3:]:
            await log.append(lease, [record])
            await anyio.lowlevel.checkpoint()
        await log.append(lease, [], status="completed")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, live(log, KEY, after=1) as steps:
            tasks.start_soon(write)
            numbers += [step.record.sequence_number async for step in steps]
    assert numbers == [2, 3, 4, 5]
    assert facts(steps.state) == facts(fold(events_of(DATA)))


async def test_what_cannot_be_read_as_an_event_is_a_step_too() -> None:
    log = MemoryLog()
    torn = Record(3, "", b'{"type":')
    await begin(log, [*RECORDS[:3], torn, *records_of(said("b", first=2)[2:], first=4)])
    steps = [step async for step in stored_states(log, KEY)]
    assert (steps[3].record, steps[3].after.cursor, steps[4].after.cursor) == (torn, 2, 4)
    assert [anomaly.kind for anomaly in steps[-1].after.anomalies] == ["malformed", "hole", "text_lost"]
