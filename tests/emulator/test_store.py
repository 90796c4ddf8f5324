"""What the emulator keeps: a stored Response wakes its readers when it is cancelled, and a stream that hung up is over."""

import anyio
import pytest

from streamfold.emulator import Ending, Tempo, Timeline, answer
from streamfold.emulator.store import ResponseEvents, StoredResponse
from streamfold.schema import MKA1
from streamfold.serving import CreateRequest, ReadyEvents
from tests.emulator.inprocess import HandClock

BEGAN = 1_700_000_000.0


def stored() -> StoredResponse:
    request = CreateRequest(fields={"model": "toy", "input": "echo: hello"}, model="toy", input="echo: hello")
    script = answer(request, response_id="resp_1", created_at=BEGAN, dialect=MKA1)
    return StoredResponse(
        id="resp_1",
        dialect=MKA1,
        request=request,
        created_at=BEGAN,
        begun=script.begun,
        timeline=Timeline(script, Tempo(BEGAN, tokens_per_second=1.0), MKA1),
    )


@pytest.mark.parametrize("ending", Ending)
def test_a_cancel_wakes_everything_that_waits(ending: Ending) -> None:
    kept = stored()
    changed = kept.changed
    kept.cancel(ending, BEGAN)
    assert changed.is_set()
    assert not kept.changed.is_set()


@pytest.mark.anyio
async def test_a_source_waits_until_a_cancel() -> None:
    kept = stored()
    events = ResponseEvents(kept, HandClock(), MKA1, obfuscation=False)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(events.wait, 1e9)
            await anyio.wait_all_tasks_blocked()
            kept.cancel(Ending.SILENT, BEGAN)


def test_a_source_gives_one_event_after_the_other_and_then_the_seconds_to_wait() -> None:
    events = ResponseEvents(stored(), HandClock(), MKA1, obfuscation=False)
    place, types = 0, []
    while isinstance(ready := events.next_after(place, BEGAN), ReadyEvents):
        [frame] = ready.frames
        types.append(frame.event)
        place = ready.place
    assert types[:2] == [b"response.created", b"response.in_progress"]
    assert ready == 1.0


def test_only_a_stream_that_was_open_is_over_after_a_hang_up() -> None:
    kept = stored()
    before = ResponseEvents(kept, HandClock(), MKA1, obfuscation=False)
    kept.cancel(Ending.HANG_UP, BEGAN)
    after = ResponseEvents(kept, HandClock(), MKA1, obfuscation=False)
    assert before.next_after(0, BEGAN) is None
    assert isinstance(after.next_after(0, BEGAN), ReadyEvents)
