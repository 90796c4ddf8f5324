"""A row in the columns that there are."""

import pytest
from rich.cells import cell_len

from streamfold import State
from streamfold.cli.inspect.pages import NO_EVENT, Entry
from streamfold.cli.inspect.row import caption, pieces_of_row
from streamfold.cli.inspect.timeline import EndRow, EventRow, MarkKind, NoteRow, Place
from streamfold.history import filler
from streamfold.log import Record
from tests.cli.inspect.made import RESUME

DELTA = Entry(
    3, Record(3, "response.output_text.delta", b"{}"), State(), State(), 'output[0].content[0].text += "some words"'
)


def row(place: Place, entry: Entry | None, *, mark: MarkKind | None = None, width: int = 100) -> str:
    return "".join(text for text, _ in pieces_of_row(place, entry, mark=mark, digits=3, width=width)).rstrip()


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (100, '    3 output_text.delta              output[0].content[0].text += "some words"'),
        (50, '    3 output_text.delta text += "some words"'),
        (34, '    3 output_tex… text += "some w…'),
    ],
)
def test_the_less_room_the_shorter(width: int, words: str) -> None:
    assert row(EventRow(3), DELTA, width=width) == words
    assert cell_len(words) <= width


def test_rows_that_are_no_events() -> None:
    assert row(NoteRow(RESUME, 0), None, mark=MarkKind.RESUME) == "↻     resume: ReadError"
    assert row(EndRow("failed"), None, mark=MarkKind.END) == "■     the end: failed"
    assert row(EventRow(3), None) == "    3 …"
    gap = Entry(3, filler(3), None, None, NO_EVENT)
    assert row(EventRow(3), gap, mark=MarkKind.GAP) == f"∅   3 {NO_EVENT}"
    assert row(EventRow(3), Entry(3, None, None, None, "record 3 is damaged"), mark=MarkKind.DAMAGE) == (
        "!   3 record 3 is damaged"
    )


@pytest.mark.parametrize("name", ["", "error", "failed", "re\x1b[31md"])
def test_nothing_in_a_type_steers_the_terminal(name: str) -> None:
    entry = Entry(3, Record(3, name, b"{}"), None, None, "a\x1b[2J\nb")
    assert "\x1b" not in row(EventRow(3), entry) + "".join(text for text, _ in caption(EventRow(3), entry))
    assert ("(no type)" in row(EventRow(3), entry)) is (name == "")


def test_captions() -> None:
    assert [text for text, _ in caption(EventRow(3), DELTA)] == ["3 ", "response.output_text.delta"]
    assert [text for text, _ in caption(NoteRow(RESUME, 0), None)] == ["repair: ", "resume: ReadError"]
    assert [text for text, _ in caption(EndRow("completed"), None)] == ["the end: ", "completed"]
    assert [text for text, _ in caption(EventRow(3), None)] == ["3 ", ""]
