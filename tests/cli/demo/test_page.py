"""The demo's lines: whole in a pipe, wrapped on a terminal, and each check with its mark."""

import io

import pytest
from rich.console import Console

from streamfold.cli.demo.page import DemoPage

LONG = "reader one: 309 events, none lost, none twice, the text is whole"


def page_on(file: io.StringIO, *, columns: int, terminal: bool) -> DemoPage:
    return DemoPage(Console(file=file, width=columns, force_terminal=terminal, color_system=None))


def tell_all(page: DemoPage) -> None:
    page.heading("1. A part")
    page.line("something happens")
    page.check(LONG, holds=True)
    page.check("nothing is wrong", holds=False)
    page.summary("The end.", is_good=False)


def test_in_a_pipe_each_line_is_whole_however_narrow() -> None:
    file = io.StringIO()
    tell_all(page_on(file, columns=20, terminal=False))
    assert file.getvalue() == (f"\n1. A part\n   something happens\n   ✓ {LONG}\n   ✗ nothing is wrong\n\nThe end.\n")


@pytest.mark.parametrize("columns", [1, 12, 20, 40, 63])
def test_on_a_narrow_terminal_no_line_is_cut_and_every_word_is_there(columns: int) -> None:
    file = io.StringIO()
    tell_all(page_on(file, columns=columns, terminal=True))
    assert LONG in " ".join(file.getvalue().split())
    longest_word = max(map(len, LONG.split()))
    assert all(len(line) <= max(columns, 5 + longest_word) for line in file.getvalue().splitlines())


def test_a_wrapped_check_is_indented_under_its_words() -> None:
    file = io.StringIO()
    page_on(file, columns=40, terminal=True).check(LONG, holds=True)
    assert file.getvalue() == "   ✓ reader one: 309 events, none lost,\n     none twice, the text is whole\n"


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", ["✓", "✗"]), ("ascii", ["ok:", "FAILED:"])])
def test_the_marks_differ_in_every_encoding(encoding: str, marks: list[str]) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    page = DemoPage(Console(file=file, width=80))
    page.check("a", holds=True)
    page.check("b", holds=False)
    file.seek(0)
    assert file.read().split() == [marks[0], "a", marks[1], "b"]


def test_a_command_is_never_wrapped() -> None:
    file = io.StringIO()
    page_on(file, columns=20, terminal=True).command("     streamfold relay --upstream https://api.openai.com/v1")
    assert file.getvalue() == "     streamfold relay --upstream https://api.openai.com/v1\n"


def test_it_keeps_whether_each_check_holds() -> None:
    page = page_on(io.StringIO(), columns=80, terminal=False)
    tell_all(page)
    assert page.checks == [True, False]


def test_a_line_that_cannot_be_printed_is_kept_as_an_error() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    page = page_on(Full(), columns=80, terminal=False)
    with pytest.raises((BrokenPipeError, SystemExit)):
        page.line("something")
