"""Which row holds what: events by number, notes between them, the end behind them."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from streamfold.cli.inspect.timeline import EndRow, EventRow, Mark, MarkKind, NoteRow, Timeline, in_order
from streamfold.log import Note


def note(after: int | None, kind: str = "repair", text: str = "resume: ReadError") -> Note:
    return Note(kind, text, after, 0.0)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    first = draw(st.integers(0, 5))
    beyond = first + draw(st.integers(0, 8))
    afters = draw(st.lists(st.none() | st.integers(0, 15), max_size=5))
    status = draw(st.none() | st.just("completed"))
    notes = tuple(note(after, text=f"resume: {place}") for place, after in enumerate(afters))
    return Timeline(first=first, beyond=beyond, notes=in_order(notes), status=status)


@given(timelines())
def test_the_rows_hold_each_number_each_note_and_the_end_once(timeline: Timeline) -> None:
    places = [timeline.place(row) for row in range(timeline.rows)]
    assert [each.number for each in places if isinstance(each, EventRow)] == list(
        range(timeline.first, timeline.beyond)
    )
    assert tuple(each.note for each in places if isinstance(each, NoteRow)) == timeline.notes
    assert [each for each in places if isinstance(each, EndRow)] == ([EndRow("completed")] if timeline.status else [])
    assert not timeline.is_finished or isinstance(places[-1], EndRow)


@given(timelines())
def test_the_row_of_a_place_is_the_row_it_was_found_in(timeline: Timeline) -> None:
    for row in range(timeline.rows):
        place = timeline.place(row)
        assert timeline.row_like(place) == row
        if isinstance(place, EventRow):
            assert timeline.row_of(place.number) == row


@given(timelines())
def test_a_note_stands_behind_the_number_that_it_names(timeline: Timeline) -> None:
    for row in range(timeline.rows):
        place = timeline.place(row)
        if isinstance(place, NoteRow):
            after = place.note.after
            is_inside = after is not None and timeline.first <= after < timeline.beyond
            assert not is_inside or timeline.number_at(row) == after


@given(timelines(), st.lists(st.integers(0, 15), max_size=3))
def test_a_place_is_found_again_in_a_longer_timeline(timeline: Timeline, afters: list[int]) -> None:
    more = tuple(note(after, text="replay: more") for after in afters)
    longer = evolve(timeline, beyond=timeline.beyond + 4, notes=in_order((*timeline.notes, *more)), status="completed")
    for row in range(timeline.rows):
        place = timeline.place(row)
        found = longer.place(longer.row_like(place))
        assert (
            (found.note == place.note) if isinstance(place, NoteRow) and isinstance(found, NoteRow) else found == place
        )


def test_notes_of_one_place_are_marked_in_the_order_in_which_they_were_made() -> None:
    kinds = [note(2), note(2, text="replay: EOF"), note(2, text="retrieve: 404"), note(2, "cancel"), note(2, "new")]
    timeline = Timeline(first=0, beyond=4, notes=(*kinds, note(3, "outcome", "completed")), status="completed")
    assert timeline.marks == (
        Mark(3, MarkKind.RESUME),
        Mark(4, MarkKind.REPLAY),
        Mark(5, MarkKind.RETRIEVE),
        Mark(6, MarkKind.CANCEL),
        Mark(7, MarkKind.NOTE),
        Mark(9, MarkKind.OUTCOME),
        Mark(10, MarkKind.END),
    )


def test_a_repair_of_an_unknown_kind_is_a_note() -> None:
    assert Timeline(first=0, beyond=1, notes=(note(0, text="prayer: 5"),)).marks == (Mark(1, MarkKind.NOTE),)


def test_gaps_and_damage_are_marked_at_their_numbers() -> None:
    timeline = Timeline(first=10, beyond=20, notes=(note(12),), gaps=(14,), damaged=(11, 16))
    assert [(mark.row, mark.kind) for mark in timeline.marks] == [
        (1, MarkKind.DAMAGE),
        (3, MarkKind.RESUME),
        (5, MarkKind.GAP),
        (7, MarkKind.DAMAGE),
    ]
    assert timeline.mark_of[5] is MarkKind.GAP


@pytest.mark.parametrize(
    ("row", "previous", "following"), [(0, None, 2), (2, None, 4), (3, 2, 4), (4, 2, 5), (5, 4, None)]
)
def test_from_mark_to_mark(row: int, previous: int | None, following: int | None) -> None:
    timeline = Timeline(first=0, beyond=3, notes=(note(1), note(2)), status="completed")
    assert (timeline.previous_mark(row), timeline.next_mark(row)) == (previous, following)


def test_a_note_before_the_first_event_has_no_number() -> None:
    timeline = Timeline(first=3, beyond=5, notes=(note(None),))
    assert (timeline.number_at(0), timeline.number_at(1), timeline.last_number) == (None, 3, 4)
    assert Timeline(first=3, beyond=3).last_number is None


def test_a_note_that_is_gone_is_looked_for_at_the_beginning() -> None:
    assert Timeline(first=0, beyond=3).row_like(NoteRow(note(1), 0)) == 0
