"""Every recorded stream goes through a log and comes back: the same data, the same states, at every number."""

import pytest

from streamfold import EventReader, SequencePolicy, State, states
from streamfold.history import export, import_stream, replay
from streamfold.history import states as stored_states
from streamfold.log import MemoryLog, StreamKey
from tests.conftest import Recording, on_sampled_recordings
from tests.fold.recorded import CUT_BY_HAND, events_of, start
from tests.history.made import facts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop is enough for 212 streams: the other tests of this room run on both."""
    return "asyncio"


def payloads(data: bytes) -> list[bytes]:
    reader = EventReader(tolerant=True)
    reader.feed(data)
    found = list(reader.payloads)
    reader.close()
    return found + reader.payloads


def policy(recording: Recording) -> SequencePolicy:
    return SequencePolicy.RENUMBER if recording.name in CUT_BY_HAND else SequencePolicy.STRICT


@on_sampled_recordings
async def test_what_was_imported_is_exported_with_the_same_data(recording: Recording) -> None:
    log = MemoryLog()
    response_id = (await import_stream(log, "", [recording.data], policy=policy(recording))).response_id
    data = b"".join([chunk async for chunk in export(log, StreamKey("", response_id))])
    assert payloads(data) == payloads(recording.data)
    again = MemoryLog()
    assert (await import_stream(again, "", [data], policy=policy(recording))).response_id == response_id
    key = StreamKey("", response_id)
    assert await again.read(key, limit=1_000_000) == await log.read(key, limit=1_000_000)


@on_sampled_recordings
async def test_every_state_is_that_of_the_fold(recording: Recording) -> None:
    log = MemoryLog()
    key = StreamKey("", (await import_stream(log, "", [recording.data], policy=policy(recording))).response_id)
    reached: list[State] = list(states(events_of(recording), start(recording)))
    steps = [step async for step in stored_states(log, key)]
    assert [facts(step.after) for step in steps] == list(map(facts, reached))
    for state in reached[:: max(1, len(reached) // 7)]:
        assert facts(await replay(log, key, at=state.cursor)) == facts(state)
    assert facts(await replay(log, key)) == facts(reached[-1])


@on_sampled_recordings
async def test_it_is_finished_as_its_last_response_says(recording: Recording) -> None:
    log = MemoryLog()
    key = StreamKey("", (await import_stream(log, "", [recording.data], policy=policy(recording))).response_id)
    info = await log.info(key)
    assert info is not None
    assert info.status == list(states(events_of(recording), start(recording)))[-1].status
