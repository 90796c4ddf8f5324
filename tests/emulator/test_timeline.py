"""The events of one Response in time: worked out when somebody looks, up to the time that is passed in."""

import math
from typing import Any

import pytest

from streamfold.chaos import ErrorNested, Keepalive
from streamfold.emulator.model import Script, answer
from streamfold.emulator.timeline import Ending, Tempo, Timeline
from streamfold.schema import MKA1
from streamfold.serving import CreateRequest

BEGAN = 1000.0


def script(text: str = "echo: one two three") -> Script:
    asked = {"model": "toy", "input": text}
    request = CreateRequest(fields=asked, model="toy", input=text, background=True)
    return answer(request, response_id="resp_1", created_at=BEGAN, dialect=MKA1, seed=0)


def timeline(*, speed: float | None = 1.0, queue: float = 0.0, hold: int | None = None, **more: Any) -> Timeline:
    return Timeline(script(), Tempo(BEGAN, queue, speed, hold), MKA1, **more)


def happened(line: Timeline) -> list[str]:
    return [entry.type.removeprefix("response.") for entry in line.entries]


def test_nothing_has_happened_until_somebody_looks() -> None:
    line = timeline()
    assert line.entries == []
    line.advance(BEGAN)
    assert happened(line)[:2] == ["created", "in_progress"]


def test_it_tells_when_the_next_event_is_due() -> None:
    line = timeline()
    while (due := line.next_due) < math.inf:
        line.advance(due)
        assert line.next_due > due
    assert line.is_over


def test_looking_late_or_often_gives_the_same_events() -> None:
    late, often = timeline(), timeline()
    late.advance(BEGAN + 100)
    for step in range(1000):
        often.advance(BEGAN + step / 10)
    assert happened(late) == happened(often)
    assert late.response(BEGAN + 100) == often.response(BEGAN + 100)


def test_a_reader_goes_no_further_than_it_asks() -> None:
    line = timeline(speed=None)
    assert line.reach(2, BEGAN) is line.entries[2]
    assert len(line.entries) == 3
    assert line.reach(10**6, BEGAN) is None


def test_a_queued_response_begins_later() -> None:
    line = timeline(queue=5.0, is_queued=True)
    assert [line.status(BEGAN + seconds) for seconds in (0, 4.9, 5, 100)] == [
        "queued",
        "queued",
        "in_progress",
        "completed",
    ]


def test_a_completed_response_says_when() -> None:
    line = timeline()
    completed_at = line.response(BEGAN + 100)["completed_at"]
    assert BEGAN < completed_at < BEGAN + 100


def test_without_deltas_the_numbers_have_no_hole() -> None:
    line = timeline(has_deltas=False)
    line.advance(BEGAN + 100)
    assert not [name for name in happened(line) if name.endswith(".delta")]
    assert [entry.number for entry in line.entries] == list(range(len(line.entries)))


def test_what_is_held_is_not_over_and_never_due() -> None:
    line = timeline(hold=4)
    line.advance(BEGAN + 1e9)
    assert (len(line.entries), line.next_due, line.is_over) == (4, math.inf, False)


@pytest.mark.parametrize("ending", Ending)
def test_a_cancelled_response_is_shown_at_once(ending: Ending) -> None:
    line = timeline()
    line.advance(BEGAN + 1)
    assert line.cancel(ending, BEGAN + 1)["status"] == "cancelled"
    assert line.status(BEGAN + 1) == "cancelled"


def test_an_event_is_encoded_once_for_each_way_of_sending_it() -> None:
    line = timeline(speed=None)
    line.advance(BEGAN)
    delta = next(entry for entry in line.entries if entry.type.endswith(".delta"))
    plain, padded = (delta.data(MKA1, obfuscation=each) for each in (False, True))
    assert delta.data(MKA1, obfuscation=False) is plain
    assert (b"obfuscation" in padded, b"obfuscation" in plain) == (True, False)


def test_a_keepalive_and_an_error_are_events_like_others() -> None:
    line = timeline(speed=None, faults=[Keepalive(), ErrorNested(after_events=3)])
    line.advance(BEGAN)
    assert happened(line) == ["keepalive", "created", "in_progress", "error", "failed"]
    assert b'"sequence_number":3' in line.entries[3].data(MKA1, obfuscation=False)
    assert line.status(BEGAN) == "failed"
