"""What the emulator keeps and for how long: what is over makes way for what is new; a stored Response wakes its readers when it is cancelled, and a stream that hung up is over."""

import anyio
import pytest

from streamfold.emulator import Ending, Tempo, Timeline, answer, store
from streamfold.emulator.store import ResponseEvents, Shelf, StoredResponse
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


# How long


def shelf(most: int = 3, most_bytes: int = 100, **kept: int) -> Shelf[str]:
    made = Shelf[str](most, most_bytes)
    for name, size in kept.items():
        made.add(("tenant", name), name, size)
    return made


def names(kept: Shelf[str]) -> list[str]:
    return kept.of("tenant")


def test_what_is_over_is_dropped_oldest_first_and_no_more_than_needed() -> None:
    kept = shelf(a=40, b=30, c=20)
    assert kept.make_room(30, lambda _: True)
    assert names(kept) == ["b", "c"]
    assert [kept.was_dropped(("tenant", name)) for name in "abc"] == [True, False, False]
    assert kept.bytes == 50


def test_what_is_not_over_stays_and_there_may_be_no_place() -> None:
    kept = shelf(a=40, b=30, c=20)
    assert not kept.make_room(30, lambda _: False)
    assert kept.make_room(30, lambda name: name == "b")
    assert names(kept) == ["a", "c"]
    assert not kept.make_room(41, lambda _: False)


def test_what_is_larger_than_all_never_fits_and_drops_what_is_over() -> None:
    kept = shelf(a=40)
    assert not kept.make_room(101, lambda _: True)
    assert names(kept) == []


def test_the_same_key_again_replaces_the_entry_and_its_size() -> None:
    kept = shelf(a=40)
    kept.add(("tenant", "a"), "again", 10)
    assert (names(kept), kept.bytes, len(kept)) == (["again"], 10, 1)
    kept.remove(("tenant", "a"))
    kept.remove(("tenant", "a"))
    assert (kept.bytes, kept.get(("tenant", "a"))) == (0, None)


def test_only_so_many_dropped_ones_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "REMEMBERED", 2)
    kept = shelf(most=1)
    for name in "abcd":
        assert kept.make_room(1, lambda _: True)
        kept.add(("tenant", name), name, 1)
    assert [kept.was_dropped(("tenant", name)) for name in "abcd"] == [False, True, True, False]
