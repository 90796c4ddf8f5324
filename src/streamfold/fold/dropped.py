"""Events that are dropped: duplicates, and those of another response in the same stream."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.response import is_other
from streamfold.fold.state import Document, GrowingText, State, TypeRun, grown
from streamfold.fold.target import GROWS
from streamfold.schema import Event, ResponseEvent, read_head

# An event whose number was applied is a duplicate. Some servers number their events badly, and then it says something else.
# Remembering every event would cost as much as the stream, so only two things are remembered, both exact: the type that
# each number had, as runs of one type, and the fragments that are not joined into their text yet. A duplicate is never
# taken for another event; another event of the same type, further back, is taken for a duplicate.

# Each run refers to the one before it: all states share the runs, and an event adds one without copying the others.

# How many runs are remembered: enough for a stream of some thousand items, or for a few that alternate with each event.
MAX_RUNS = 128


def with_document(focus: GrowingText, document: Document) -> GrowingText:
    """The same focus on a later document: the same events add to the same text."""
    return GrowingText(document, focus.grows, focus.output_index, focus.index_of, focus.index, focus.run)


def was_dropped(before: State, after: State) -> bool:
    """Whether the event between these two states was dropped: a duplicate, or part of another response."""
    if after is before:
        return True
    return after.cursor == before.cursor and _dropped_count(after) > _dropped_count(before)


def _dropped_count(state: State) -> int:
    kinds = (AnomalyKind.DUPLICATE_DIFFERS, AnomalyKind.OTHER_RESPONSE)
    return sum(each.count for each in state.anomalies if each.kind in kinds)


def dropped(state: State, event: Event, number: int) -> State:
    """The state after an event with a known number: the same, unless the event says something else than before."""
    document = state.focus.document
    if isinstance(event, ResponseEvent) and is_of_other(document, event):
        return without_change(state, AnomalyKind.OTHER_RESPONSE, is_foreign=True)
    if document.is_closed or not _differs(state, event, number):
        return state
    return without_change(state, AnomalyKind.DUPLICATE_DIFFERS)


def is_of_other(document: Document, event: ResponseEvent) -> bool:
    head = read_head(event.response)
    return head is not None and is_other(document, event, head)


def without_change(state: State, kind: AnomalyKind, *, is_foreign: bool = False) -> State:
    document = replace(grown(state).note(kind, state.cursor or 0), is_foreign=is_foreign)
    focus = GrowingText(document, run=state.focus.run) if is_foreign else with_document(state.focus, document)
    return State(state.cursor, focus)


def _differs(state: State, event: Event, number: int) -> bool:
    """Whether the event that had this number was certainly another one."""
    named = next((run.type for run in remembered(state.focus.run) if run.first <= number), event.type)
    return named != event.type or (type(event) in GROWS and _delta_differs(state, event, number))


def _delta_differs(state: State, event: Any, number: int) -> bool:
    """Whether the text that this number added is known, and is another one."""
    document, target = state.focus.document, GROWS[type(event)]
    if target is not document.target:
        return False
    is_elsewhere = target.path(event) != document.path
    at = state
    while at.previous is not None:
        if at.cursor == number:
            return is_elsewhere or at.fragment != event.delta
        at = at.previous
    # The last event is known too: its text is the last block, or the end of one that was joined from many. An event
    # without a number would have added another.
    if number != at.cursor or is_elsewhere or any(each.kind is AnomalyKind.UNNUMBERED for each in document.anomalies):
        return False
    return not (document.text.blocks or document.text.pages)[-1].endswith(event.delta)


def followed(before: TypeRun | None, first: int, name: str) -> TypeRun:
    """One more run, in the place of one that was expected to begin at the same number.

    When twice as many are remembered as are needed, the older half is forgotten.
    """
    if before is not None and before.first == first:
        before = before.before
    if before is None:
        return TypeRun(first, name)
    if before.count < 2 * MAX_RUNS:
        return TypeRun(first, name, before, before.count + 1)
    kept: TypeRun | None = None
    for count, run in enumerate(reversed([*remembered(before)]), 1):
        kept = TypeRun(run.first, run.type, kept, count)
    return followed(kept, first, name)


def still_growing(
    before: GrowingText, document: Document, run: TypeRun | None, at: int, *, is_remembered: bool
) -> GrowingText:
    """The focus after an event that leaves the growing text alone, so that it grows on.

    It does so on the fast path, where nothing is remembered. So the type that follows is remembered at once; an event
    of another type replaces it.
    """
    following: Any = before.grows
    if is_remembered and following is not None:
        run = followed(run, at + 1, following.type)
    return GrowingText(document, following, before.output_index, before.index_of, before.index, run)


def remembered(run: TypeRun | None) -> Iterator[TypeRun]:
    """The last MAX_RUNS runs, the latest one first. Older ones may be there, but a checkpoint forgets them."""
    for _ in range(MAX_RUNS):
        if run is None:
            return
        yield run
        run = run.before


def rejoin(state: State) -> State:
    """Return the state for another connection, after one whose stream moved on to another response."""
    document = state.focus.document
    if not document.is_foreign:
        return state
    return State(state.cursor, GrowingText(replace(document, is_foreign=False), run=state.focus.run))
