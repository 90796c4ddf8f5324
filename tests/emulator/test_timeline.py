"""The events of one Response in time: worked out when somebody looks, up to the time that is passed in."""

import math
from typing import Any

import pytest

from streamfold.chaos import ErrorNested, KeepaliveFirst
from streamfold.emulator.model import Script, answer, read_playback
from streamfold.emulator.timeline import CANCEL_RULES, Ending, Tempo, Timeline, stream_refusal
from streamfold.schema import MKA1, OPENAI, Dialect
from streamfold.serving import CreateRequest, Problem

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


def test_an_event_knows_when_it_happened_however_late_somebody_looks() -> None:
    line, times = timeline(), list[float]()
    while (due := line.next_due) < math.inf:
        line.advance(due)
        times += [due] * (len(line.entries) - len(times))
    late = timeline()
    late.advance(BEGAN + 100)
    assert [entry.at for entry in late.entries] == times


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


def test_an_event_is_encoded_once_for_readers_of_the_same_form() -> None:
    line = timeline(speed=None)
    line.advance(BEGAN)
    delta = next(entry for entry in line.entries if entry.type.endswith(".delta"))
    plain = delta.data(MKA1, obfuscation=False)
    assert delta.data(MKA1, obfuscation=False) is plain
    padded = delta.data(MKA1, obfuscation=True)
    assert delta.data(MKA1, obfuscation=False) == plain
    assert (b"obfuscation" in padded, b"obfuscation" in plain) == (True, False)


def test_a_keepalive_and_an_error_are_events_like_others() -> None:
    line = timeline(speed=None, faults=[KeepaliveFirst(), ErrorNested(after_events=3)])
    line.advance(BEGAN)
    assert happened(line) == ["keepalive", "created", "in_progress", "error", "failed"]
    assert b'"sequence_number":3' in line.entries[3].data(MKA1, obfuscation=False)
    assert line.status(BEGAN) == "failed"


@pytest.mark.parametrize(
    ("rule", "status", "refused"),
    [
        pytest.param("mka1", "in_progress", None, id="running"),
        pytest.param("mka1", "queued", None, id="queued"),
        pytest.param("mka1", "cancelled", None, id="a second time"),
        pytest.param("mka1", "completed", 400, id="over"),
        pytest.param("conflict409", "cancelled", 409, id="a second time, as a conflict"),
        pytest.param("conflict409", "failed", 409, id="over, as a conflict"),
        pytest.param("finished200", "completed", None, id="over, and shown as it is"),
    ],
)
def test_a_rule_says_what_cannot_be_cancelled(rule: str, status: str, refused: int | None) -> None:
    problem = CANCEL_RULES[rule].refusal(status, is_background=True)
    assert (problem and problem.status) == refused
    assert CANCEL_RULES[rule].refusal(status, is_background=False) == Problem(
        400, "Cannot cancel a synchronous response.", "response_id"
    )


@pytest.mark.parametrize(
    ("dialect", "given", "part"),
    [
        pytest.param(MKA1, {"is_streamed": False}, None, id="mka1 needs no stream"),
        pytest.param(OPENAI, {"is_streamed": False}, "stream=true", id="openai does"),
        pytest.param(MKA1, {"is_background": False}, "background=true", id="both need background"),
        pytest.param(OPENAI, {"age_seconds": 299.9}, None, id="young enough"),
        pytest.param(OPENAI, {"age_seconds": 300.0}, "more than 5 minutes", id="too old"),
        pytest.param(MKA1, {"age_seconds": 1e9}, None, id="mka1 has no limit"),
        pytest.param(MKA1, {"window_seconds": 0.0}, "more than 0 minutes", id="a limit of one's own"),
    ],
)
def test_what_cannot_be_streamed_again(dialect: Dialect, given: dict[str, Any], part: str | None) -> None:
    problem = stream_refusal(dialect, **({"is_background": True, "is_streamed": True, "age_seconds": 1.0} | given))
    assert (problem is None) == (part is None)
    assert problem is None or part in problem.message


def test_a_cancelled_recording_ends_with_the_next_number() -> None:
    data = b'data: {"type":"response.created","sequence_number":7,"response":{"id":"r","status":"in_progress"}}\n\n'
    line = Timeline(read_playback(data * 2), Tempo(BEGAN, tokens_per_second=1.0, hold_after_events=1), MKA1)
    line.advance(BEGAN)
    line.cancel(Ending.CANCELLED_EVENT, BEGAN)
    line.advance(BEGAN)
    assert [entry.number for entry in line.entries] == [7, 8]
    assert b'"sequence_number":8' in line.entries[-1].data(MKA1, obfuscation=False)


def test_a_cancelled_recording_without_numbers_still_has_none() -> None:
    data = b'data: {"type":"response.created","response":{"id":"r","status":"in_progress"}}\n\n'
    line = Timeline(read_playback(data * 2), Tempo(BEGAN, tokens_per_second=1.0, hold_after_events=1), MKA1)
    line.advance(BEGAN)
    line.cancel(Ending.CANCELLED_EVENT, BEGAN)
    line.advance(BEGAN)
    assert [entry.number for entry in line.entries] == [None, None]
