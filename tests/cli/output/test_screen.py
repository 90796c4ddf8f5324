"""The live picture of a followed response, and the lines in its place."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from streamfold.bench import Shape, make_stream
from streamfold.cli.output.lines import PlainLines, TextFlow
from streamfold.cli.output.screen import Screen
from streamfold.cli.terminal import Output
from streamfold.fold import State, reduce
from streamfold.reader import EventReader
from streamfold.session import Applied, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from tests.cli.made import completed, delta, numbered, opening

REPAIR = Repair(RepairKind.RESUME, "the line\nwas cut \x1b[2J", 7, 0.5)


def applied(frames: list[bytes]) -> list[Applied]:
    """The events of these frames, each with the state after it."""
    reader = EventReader()
    state = State()
    told: list[Applied] = []
    for frame in frames:
        for event in reader.feed(frame):
            state = reduce(state, event)
            told.append(Applied(event, reader.payloads[0], state))
    return told


def terminal(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)


@pytest.mark.parametrize(("width", "height"), [(40, 14), (80, 24), (200, 60)])
def test_it_fits_the_terminal_however_much_is_repaired(width: int, height: int) -> None:
    console = terminal(width, height)
    one = Screen(Output(), console=console, max_notes=20)
    for each in applied(make_stream(Shape(deltas=60))):
        one.show(each)
        one.repair(REPAIR)
        assert len(console.render_lines(one.draw(), pad=False)) <= height


def test_it_shows_cursor_text_and_the_reason_of_a_repair_without_controls() -> None:
    one = Screen(Output(), console=terminal(80, 24))
    for each in applied(numbered(*opening(), delta("Hello"))):
        one.show(each)
    one.repair(REPAIR)
    console = Console(file=io.StringIO(), width=80)
    console.print(one.draw())
    file: Any = console.file
    shown = file.getvalue()
    for words in ("resp_1", "in_progress", "cursor 3", "Hello", "↻ resume after event 7: the line was cut ␛[2J"):
        assert words in shown


def flow(frames: list[bytes], **options: bool) -> list[str]:
    text = TextFlow(**options)
    return [piece for each in applied(frames) if (piece := text.take(each))]


def test_the_pieces_of_a_text_are_the_text() -> None:
    assert flow(numbered(*opening(), delta("Hel"), delta("lo"), completed("Hello"))) == ["Hel", "lo"]


def test_what_only_the_end_tells_comes_at_the_end() -> None:
    assert flow(numbered(*opening(), delta("Hel"), completed("Hello"))) == ["Hel", "lo"]


def test_a_text_that_was_rewritten_comes_again_on_a_new_line() -> None:
    assert flow(numbered(*opening(), delta("Hallo"), completed("Hello"))) == ["Hallo", "\nHello"]


MIDDLE = [
    pytest.param([delta("lo"), completed("Hello")], ["lo"], id="the end of it"),
    pytest.param([completed("Hello")], ["\nHello"], id="whole, where nobody knows what was seen"),
    pytest.param([delta("l"), completed("Hello")], ["l", "\nHello"], id="whole, where some is missing"),
]


@pytest.mark.parametrize(("events", "told"), MIDDLE)
def test_in_the_middle_only_what_comes_after_is_told(events: list[dict[str, Any]], told: list[str]) -> None:
    text = TextFlow(began_in_the_middle=True)
    pieces = [text.take(each) for each in applied(numbered(*opening(), *events))[3:]]
    assert [each for each in pieces if each] == told


def test_lines_stand_apart_from_the_text_where_both_go_to_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "both.txt"
    with path.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr(sys, "stderr", file)
        view = PlainLines(Output(), hide=str)
        events = applied(numbered(*opening(), delta("Hel"), delta("lo"), completed("Hello")))
        for each in events[:4]:
            view.show(each)
        view.repair(REPAIR)
        for each in events[4:]:
            view.show(each)
        end = Outcome(status=OutcomeStatus.COMPLETED, state=events[-1].state, proof=Proof.TERMINAL_EVENT)
        view.finish(end, response_id="resp_1", begun=0.0)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "streamfold: event 0: status: in_progress",
        "Hel",
        "streamfold: resume after event 7: the line was cut ␛[2J",
        "lo",
        "streamfold: resp_1: completed; proven by its terminal event; cursor 5",
    ]
