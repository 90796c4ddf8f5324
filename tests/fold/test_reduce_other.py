"""reduce: events of another response, events without an index, and ends with any number."""

import pytest

from streamfold.fold.reduce import MAX_NUMBER, fold, reduce, reduce_recorded
from streamfold.schema import decode_event
from tests.fold.made import MESSAGE, added, completed, created, delta, event, keepalive, tolerated

STREAM = [created(0, id="a"), added(1), delta(2, "a"), delta(3, "b")]


@pytest.mark.parametrize("before", [STREAM, [*STREAM, completed(4, id="a")]], ids=["open", "ended"])
def test_from_another_response_on_nothing_is_applied_until_the_first_comes_back(before: list[object]) -> None:
    state = fold(before)  # type: ignore[arg-type]
    end = decode_event(b"[DONE]")
    away = fold(
        [created(None, id="b"), added(None), delta(None, "x"), keepalive(None), completed(9, id="b"), end], state
    )
    assert (away.cursor, away.output_text, away.is_foreign) == (state.cursor, "ab", True)
    assert reduce(away, end) is away
    back = reduce(away, event("response.in_progress", None, response={"id": "a", "status": "in_progress"}))
    assert not back.is_foreign


def test_a_terminal_event_of_another_response_changes_no_cursor() -> None:
    state = fold([*STREAM, completed(4, id="b")])
    assert (state.cursor, state.status, state.is_foreign) == (3, "in_progress", True)


def test_an_event_without_an_index_is_applied_and_told() -> None:
    state = fold([*STREAM, event("response.output_text.delta", 4, delta="c"), delta(5, "d")])
    assert (state.output_text, tolerated(state)) == ("abcd", [("index_assumed", 1, 4)])


@pytest.mark.parametrize("number", [0, 3, -7, MAX_NUMBER + 1])
def test_an_end_with_any_number_is_folded_alike_out_of_a_log(number: int) -> None:
    end = completed(number, id="a")
    recorded = reduce_recorded(fold(STREAM), end, 4)
    assert recorded == reduce(fold(STREAM), end)
    assert (recorded.status, recorded.cursor, recorded.is_numbered) == ("completed", 3, True)


def test_a_known_number_with_another_type_is_told() -> None:
    assert tolerated(reduce(fold(STREAM), delta(1, "x"))) == [("duplicate_differs", 1, 3)]


def test_an_item_after_the_end_is_not_applied() -> None:
    state = fold([*STREAM, completed(4, id="a"), added(5, MESSAGE, index=7)])
    assert tolerated(state)[-1] == ("after_terminal", 1, 5)
