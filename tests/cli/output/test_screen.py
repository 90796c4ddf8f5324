"""The live picture of a followed response."""

import io
from typing import Any

import pytest
from rich.console import Console

from streamfold.cli.output.screen import Screen
from streamfold.cli.terminal import Output
from tests.cli.made import delta, numbered, opening, said
from tests.cli.output.made import REPAIR, steps


def terminal(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)


@pytest.mark.parametrize(("width", "height"), [(40, 14), (80, 24), (200, 60)])
def test_it_fits_the_terminal_at_every_event_however_much_is_repaired(width: int, height: int) -> None:
    console = terminal(width, height)
    screen = Screen(Output(), console=console)
    for step in steps(said(*["some words\n"] * 60)):
        screen.show(step)
        screen.repair(REPAIR)
        assert len(console.render_lines(screen.draw(), pad=False)) <= height


def shown(screen: Screen) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(screen.draw())
    file: Any = console.file
    return file.getvalue()


def test_before_the_first_event_there_is_no_number() -> None:
    picture = shown(Screen(Output(), console=terminal(80, 24)))
    assert "event -" in picture
    assert "None" not in picture


def test_it_shows_the_event_the_text_and_the_reason_of_a_repair_without_controls() -> None:
    screen = Screen(Output(), console=terminal(80, 24))
    for step in steps(numbered(*opening(), delta("Hello"))):
        screen.show(step)
    screen.repair(REPAIR)
    picture = shown(screen)
    for words in ("resp_1", "in_progress", "event 3", "Hello", "↻ resume after event 7: the line was cut ␛[2J"):
        assert words in picture


def test_it_shows_which_items_are_open_and_which_are_closed() -> None:
    call = {"type": "function_call", "arguments": "{}"}
    other = [
        {"type": "response.output_item.added", "output_index": 1, "item": call},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
    ]
    screen = Screen(Output(), console=terminal(80, 24))
    for step in steps(numbered(*opening(), *other)):
        screen.show(step)
    picture = shown(screen)
    assert "○ open   message" in picture
    assert "● closed function_call {}" in picture
