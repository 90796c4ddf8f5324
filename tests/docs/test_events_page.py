"""docs/reference/events.md says what the code does: its tables are those that the code makes."""

import inspect
from typing import Any

import pytest

from streamfold.fold.steps import STEPS, keep
from streamfold.fold.target import GROWS, STATUSES, TARGETS, Target
from streamfold.schema import EVENT_TYPES, KnownEvent
from streamfold.schema import event as wire
from tests.docs.events_page import NO_EFFECT, PAGE, effect_of, made, name_of, seen_in_the_corpus, seen_on_the_page

# Steps of one type alone have a sentence of their own, which their unit tests hold.
SINGLE = {
    wire.ErrorEvent,
    wire.Keepalive,
    wire.OutputItemAdded,
    wire.OutputItemDone,
    wire.OutputTextAnnotationAdded,
    wire.OutputTextDelta,
    wire.ShellCallOutputContentDelta,
    wire.ShellCallOutputContentDone,
}
TABLED = [kind for kind in EVENT_TYPES.values() if kind not in SINGLE]


def test_the_page_is_what_the_code_makes() -> None:
    text = PAGE.read_text("utf-8")
    assert made(text, seen_on_the_page(text)) == text, "run: python -m tests.docs.events_page"


def test_the_page_has_every_type() -> None:
    assert seen_on_the_page(PAGE.read_text("utf-8")).keys() == EVENT_TYPES.keys()


def test_the_page_says_where_each_type_was_seen(protocol_events: list[dict[str, Any]]) -> None:
    assert seen_on_the_page(PAGE.read_text("utf-8")) == seen_in_the_corpus(protocol_events)


@pytest.mark.parametrize("kind", TABLED, ids=name_of)
def test_a_type_says_what_its_step_does(kind: type[KnownEvent]) -> None:
    assert effect_of(kind) in sentences(kind)


def sentences(kind: type[KnownEvent]) -> list[str]:
    """What may be said of a step, read off the tables and what it was made with."""
    step = STEPS[kind]
    if step is keep:
        return [NO_EFFECT]
    if step.__name__ == "take_snapshot":
        return ["Replaces the Response so far. Folded output stays if the snapshot has none."]
    if step.__name__ == "take_terminal":
        return ["Replaces the Response and ends it."]
    path = path_of(TARGETS[kind])
    if kind in STATUSES:
        status = name_of(kind).rpartition(".")[2].replace("executing", "in_progress")
        return [f"Sets the item's `status` to `{status}`, if it has one."]
    if kind in GROWS:
        return [f"Appends `delta` to `{path}`."]
    name = inspect.getclosurevars(step).nonlocals.get("name", "part")
    return [f"Puts `{name}` at `{path}`.", f"Sets `{path}` to `{name}`."]


class FieldNames:
    """An event each of whose fields holds its own name, so that a place tells which one it reads."""

    def __getattr__(self, name: str) -> str:
        return name


def path_of(target: Target) -> str:
    """The place as the page writes it: the index of a list is the event's field that holds it."""
    index = target.index_of(FieldNames())
    listed = f".{'.'.join(target.list_path)}[{index}]" if target.list_path else ""
    tail = "".join(f".{key}" for key in target.tail)
    return f"output[output_index]{listed}{tail}"
