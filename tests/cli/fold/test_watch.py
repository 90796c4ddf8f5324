"""The text as it grows: what is printed, when, and what happens if it is rewritten."""

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from streamfold.cli.fold.command import Reading, paced
from streamfold.cli.output.view import End, TextView
from streamfold.cli.terminal import Output
from tests.cli.conftest import Run
from tests.cli.made import MESSAGE, PART, completed, delta, numbered, opening, said
from tests.cli.output.made import steps


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def watched(frames: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What stdout holds after each event."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8"))
    reading = Reading()
    view = TextView(Output())
    for step in reading.steps(frames):
        view.show(step)
        yield out.getvalue().decode()
    view.finish(End(reading.state, events=reading.events))


def shown(frames: list[bytes], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return list(watched(frames, monkeypatch))


def test_the_text_grows_with_each_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(said("Hel", "lo"), monkeypatch) == ["", "", "", "Hel", "Hello", "Hello"]


def test_events_come_at_the_speed_that_was_asked_for() -> None:
    clock = Clock()
    assert len(list(paced(steps(said("a", "b", "c")), 4, clock=clock, sleep=clock.sleep))) == 7
    assert clock.slept == [0.25] * 6
    assert clock.now == 101.5


def test_a_duplicate_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = said("Hel", "lo")
    assert shown(frames[:4] + frames[3:], monkeypatch)[-1] == "Hello"


@pytest.mark.parametrize(
    "events", [[*opening(), completed("Hello")], [completed("Hello")]], ids=["no deltas", "only the terminal event"]
)
def test_text_that_came_without_deltas_is_shown(events: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(numbered(*events), monkeypatch)[-1] == "Hello"


def test_two_parts_are_shown_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    second = [
        {"type": "response.output_item.added", "output_index": 1, "item": MESSAGE},
        {"type": "response.content_part.added", "output_index": 1, "content_index": 0, "part": PART},
    ]
    last = {"type": "response.completed", "response": {"status": "completed"}}
    frames = numbered(*opening(), delta("one "), *second, delta("two", item=1), delta("!", item=1), last)
    assert shown(frames, monkeypatch)[-3:] == ["one two", "one two!", "one two!"]


def test_text_that_was_rewritten_is_shown_again_on_a_new_line(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = numbered(*opening(), delta("Helo"), completed("Hello"))
    assert shown(frames, monkeypatch)[-1] == "Helo\nHello"


def test_a_response_without_text_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    assert shown(numbered({"type": "response.created", "response": {}}, done), monkeypatch)[-1] == ""


def test_a_terminal_gets_its_line_ended_and_the_status(run: Run, tmp_path: Any) -> None:
    path = tmp_path / "s.sse"
    path.write_bytes(b"".join(said("Hel", "lo")))
    ran = run("fold", path, "--watch", "--speed", "1e9", terminal=True)
    assert (ran.code, ran.out, ran.err) == (0, b"Hello\n", f"streamfold: {path}: completed, after event 5\n")


def test_a_file_comes_at_a_readable_speed_and_stdin_as_it_comes(
    run: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(paced, "__kwdefaults__", {"clock": clock, "sleep": clock.sleep})
    data = b"".join(said("Hel", "lo"))
    run("fold", "-", "--watch", stdin=data)
    assert clock.slept == []
    (tmp_path / "s.sse").write_bytes(data)
    run("fold", tmp_path / "s.sse", "--watch")
    assert clock.slept == pytest.approx([0.02] * 5)


def test_a_slow_producer_is_not_made_up_for_by_a_burst() -> None:
    clock = Clock()
    each = paced(steps(said(*"abcdefgh")), 10, clock=clock, sleep=clock.sleep)
    next(each)
    clock.now += 60
    assert len(list(each)) == 11
    assert len(clock.slept) >= 7


def test_ctrl_c_says_where_it_stopped(run: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(paced, "__kwdefaults__", {"clock": Clock(), "sleep": interrupt})
    path = tmp_path / "s.sse"
    path.write_bytes(b"".join(said("Hel", "lo")))
    ran = run("fold", path, "--watch")
    assert (ran.code, ran.err) == (130, f"streamfold: {path}: stopped after event 1\n")
