"""The text of a followed response as it grows, and the sentences beside it."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from streamfold.cli.output.view import End, TextView
from streamfold.cli.terminal import Output, say
from streamfold.session import Outcome, OutcomeStatus, Proof
from tests.cli.made import completed, delta, numbered, opening
from tests.cli.output.made import REPAIR, steps


def written(
    frames: list[bytes], monkeypatch: pytest.MonkeyPatch, *, skip: int = 0, starts_midway: bool = False
) -> list[str]:
    """What stdout holds after each event."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8"))
    view = TextView(Output(), starts_midway=starts_midway)
    held: list[str] = []
    for step in steps(frames)[skip:]:
        view.show(step)
        held.append(out.getvalue().decode())
    return held


def test_the_pieces_of_a_text_are_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = numbered(*opening(), delta("Hel"), delta("lo"), completed("Hello!"))
    assert written(frames, monkeypatch) == ["", "", "", "Hel", "Hello", "Hello!"]


def test_a_text_that_was_rewritten_follows_whole_on_a_new_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(numbered(*opening(), delta("Hallo"), completed("Hello")), monkeypatch)[-1] == "Hallo\nHello"


MIDWAY = [
    pytest.param([delta("lo"), completed("Hello")], "lo", id="the end of the text"),
    pytest.param([completed("Hello")], "Hello", id="the whole text if only the final Response has it"),
    pytest.param([delta("l"), completed("Hello")], "l\nHello", id="the whole text if part of it is missing"),
]


@pytest.mark.parametrize(("events", "text"), MIDWAY)
def test_midway_only_what_follows_is_written(
    events: list[dict[str, Any]], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(numbered(*opening(), *events), monkeypatch, skip=3, starts_midway=True)[-1] == text


def test_sentences_stand_on_lines_of_their_own_if_both_go_to_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "both.txt"
    with path.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr(sys, "stderr", file)
        view = TextView(Output(), say=say)
        made = steps(numbered(*opening(), delta("Hel"), delta("lo"), completed("Hello")))
        for step in made[:4]:
            view.show(step)
        view.repair(REPAIR)
        for step in made[4:]:
            view.show(step)
        end = Outcome(status=OutcomeStatus.COMPLETED, state=made[-1].after, proof=Proof.TERMINAL_EVENT)
        view.finish(End(end.state, outcome=end, response_id="resp_1"))
    assert path.read_text(encoding="utf-8").splitlines() == [
        "streamfold: event 0: status: in_progress",
        "Hel",
        "streamfold: resume after event 7: the line was cut ␛[2J",
        "lo",
        "streamfold: resp_1: completed, confirmed by its terminal event; last event 5",
    ]
