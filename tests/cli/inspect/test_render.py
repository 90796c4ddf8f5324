"""The lines of one moment: as wide as there is room, with nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode
from rich.cells import cell_len

from streamfold import State, fold
from streamfold.cli.inspect.render import Line, Selection, Style, Tab, pieces, render
from tests.history.made import events_of, said

DATA = said("Hello ", "wide ", "world")
STATES = [State()] + [fold(events_of(DATA[: at + 1])) for at in range(len(DATA))]


def selection(at: int) -> Selection:
    return Selection(STATES[at], STATES[at + 1], DATA[at])


@given(st.text(), st.integers(2, 30))
def test_pieces_joined_are_the_text_and_none_is_too_wide(text: str, width: int) -> None:
    found = list(pieces(text, width))
    assert all(cell_len(piece) <= width for piece, _ in found)
    assert all(text[at : at + len(piece)] == piece for piece, at in found)
    assert "".join(piece for piece, _ in found) == text.replace("\n", "")


@given(st.text("ab \n", max_size=200), st.integers(2, 30))
def test_words_are_not_cut_where_there_is_room(text: str, width: int) -> None:
    for piece, at in pieces(text, width):
        behind = text[at + len(piece) : at + len(piece) + 1]
        if " " in piece[width // 2 :] and behind not in ("", "\n"):
            assert piece.endswith(" ") or behind == " "


def test_the_response_is_its_json() -> None:
    lines = render(selection(3), Tab.RESPONSE, width=80)
    assert decode("".join(line.text for line in lines))["output"][0]["content"][0]["text"] == "Hello wide "
    assert {line.style for line in lines} == {Style.JSON}


def test_a_long_string_goes_on_as_a_string() -> None:
    lines = render(selection(4), Tab.RESPONSE, width=23)
    at = [line.style for line in lines].index(Style.STRING)
    assert [line.text for line in lines[at - 1 : at + 2]] == ['  "status": ', '"in_progress",', '  "output": [']


def test_the_text_with_what_came_last() -> None:
    assert render(selection(3), Tab.TEXT, width=80) == [Line("Hello wide ", new_from=6)]
    assert render(selection(4), Tab.TEXT, width=8) == [Line("Hello "), Line("wide "), Line("world", new_from=0)]
    assert render(selection(5), Tab.TEXT, width=80) == [Line("Hello wide world")]
    assert render(selection(0), Tab.TEXT, width=80) == [Line("no output text yet", Style.FAINT)]


def test_a_text_that_was_rewritten_is_new_as_a_whole() -> None:
    assert render(Selection(STATES[4], fold(events_of(said("other")))), Tab.TEXT, width=80) == [
        Line("other", new_from=0)
    ]


def test_the_diff_to_the_event_before() -> None:
    assert render(selection(3), Tab.DIFF, width=80) == [
        Line("/output/0/content/0/text", Style.HEAD),
        Line("+= wide ", Style.NEW),
    ]
    lines = render(selection(5), Tab.DIFF, width=80)
    assert lines[:3] == [
        Line("/status", Style.HEAD),
        Line('- "in_progress"', Style.OLD),
        Line('+ "completed"', Style.NEW),
    ]
    same = Selection(STATES[3], STATES[3])
    assert render(same, Tab.DIFF, width=80) == [Line("nothing in the Response", Style.FAINT)]


@pytest.mark.parametrize("data", [b'{"type": "a",\n "b": 1}', b"no json \xff", b'"\x1b[31m"'])
def test_the_event_as_it_came(data: bytes) -> None:
    lines = render(Selection(data=data, words=("why",)), Tab.EVENT, width=80)
    assert lines[0] == Line("why", Style.FAINT)
    assert "".join(line.text for line in lines[1:]).replace(" ", "") == (
        data.decode("utf-8", "replace").replace("\n", "").replace(" ", "")
    )


@pytest.mark.parametrize("facet", [Tab.RESPONSE, Tab.TEXT, Tab.DIFF])
def test_without_a_state_the_words_are_shown(facet: Tab) -> None:
    assert render(Selection(words=("damaged",)), facet, width=80) == [Line("damaged", Style.FAINT)]
    assert render(Selection(), facet, width=80) == [Line("nothing is known about this row", Style.FAINT)]
