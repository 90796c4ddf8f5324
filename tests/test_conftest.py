"""What conftest.py gives to the tests does what they count on."""

import inspect
from pathlib import Path

import pytest

from tests.conftest import Recording, for_every, on_every_recording
from tests.fold.recorded import CUT_BY_HAND, UNNUMBERED, events_of

THREE = [Recording(name, Path(name)) for name in ("a.sse", "b.sse", "c.sse")]


def test_the_sample_holds_every_type_of_event_that_is_recorded(
    recordings: list[Recording], recordings_sample: list[Recording]
) -> None:
    def types(chosen: list[Recording]) -> set[str]:
        return {event.type for recording in chosen for event in events_of(recording)}

    assert types(recordings_sample) == types(recordings)
    assert len(recordings_sample) == 16


def test_the_sample_holds_every_oddity(recordings_sample: list[Recording]) -> None:
    names = {recording.name for recording in recordings_sample}
    assert names & UNNUMBERED
    assert names & CUT_BY_HAND


def test_a_test_on_every_recording_is_one_case_that_takes_them_all() -> None:
    seen: list[str] = []

    @on_every_recording
    def test(recording: Recording, other: int) -> None:
        seen.append(recording.name)

    assert list(inspect.signature(test).parameters) == ["recordings", "other"]
    test(recordings=THREE, other=1)
    assert seen == ["a.sse", "b.sse", "c.sse"]


@pytest.mark.anyio
async def test_an_async_test_on_every_recording_is_one_case_too() -> None:
    seen: list[str] = []

    @on_every_recording
    async def test(recording: Recording) -> None:
        seen.append(recording.name)

    await test(recordings=THREE)
    assert seen == ["a.sse", "b.sse", "c.sse"]


def test_a_failure_names_every_recording_that_fails() -> None:
    @on_every_recording
    def test(recording: Recording) -> None:
        assert recording.name == "b.sse"

    with pytest.raises(AssertionError) as caught:
        test(recordings=THREE)
    assert caught.value.__notes__ == ["It fails for 2: a.sse, c.sse"]


def test_a_failure_of_pytests_own_counts_as_well() -> None:
    @on_every_recording
    def test(recording: Recording) -> None:
        pytest.fail("no")

    with pytest.raises(pytest.fail.Exception) as caught:
        test(recordings=THREE)
    assert caught.value.__notes__ == ["It fails for 3: a.sse, b.sse, c.sse"]


def test_a_test_for_every_value_is_one_case_that_names_what_it_fails_for() -> None:
    @for_every("name,size", [("a", 1), ("b", 2), ("c", 3)])
    def test(name: str, size: int, other: int) -> None:
        assert size + other == 3

    assert list(inspect.signature(test).parameters) == ["other"]
    with pytest.raises(AssertionError) as caught:
        test(other=1)
    assert caught.value.__notes__ == ["It fails for 2: a, c"]
