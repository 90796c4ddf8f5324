"""The pages about sessions say what the code does: their examples run, and no name, limit or row is missing."""

import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from attrs import fields

from streamfold import session
from streamfold.session import (
    Backoff,
    BatchOutcome,
    BatchSession,
    CancelResult,
    Conflict,
    Outcome,
    OutcomeStatus,
    Patience,
    Proof,
    Repair,
    RepairKind,
    Session,
)
from streamfold.session.answer import CallFailure, Refusal
from tests.docs.pages import DOCS, Page
from tests.docs.test_pages import run_python
from tests.session.test_cancel_orders import SCRIPTS, every_order
from tests.session.test_reconcile import COMBINATIONS

PAGES = ["reference/session.md", "reference/outcomes.md", "explanation/repair.md", "explanation/cancel.md"]
MEBIBYTE = 1024 * 1024


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def flat(name: str) -> str:
    return " ".join(read(name).split())


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_run_in_their_order(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, printed = Page(DOCS / name), None
    names: dict[str, Any] = {"__name__": "example"}
    for block in page.blocks:
        if block.language == "python":
            printed = run_python(page, block, names, openai_url="http://127.0.0.1:9")
        elif block.language == "text":
            assert printed == block.text, f"{name}:{block.line}"


def test_every_name_of_the_door_is_on_a_page() -> None:
    text = read("reference/session.md") + read("reference/outcomes.md")
    assert [name for name in session.__all__ if not re.search(rf"`{name}[`(.]", text)] == []


@pytest.mark.parametrize("kind", [Session, BatchSession])
def test_every_fact_is_on_the_page(kind: type) -> None:
    facts = [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name.startswith("receive_")]
    text = read("reference/session.md")
    assert facts
    assert [fact for fact in facts if f"`{fact}(" not in text and f"`{fact}`" not in text] == []


def test_every_argument_of_a_session_is_on_the_page() -> None:
    text = read("reference/session.md")
    arguments = list(inspect.signature(Session).parameters)
    assert [name for name in arguments if f"| `{name}` |" not in text] == []


def written(value: object) -> str:
    """A default as the page writes it."""
    if isinstance(value, Backoff):
        return "`Backoff()`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, int) and value >= MEBIBYTE:
        return f"{value // MEBIBYTE} MiB"
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("limits", [Patience(), Backoff()], ids=lambda limits: type(limits).__name__)
def test_every_limit_is_on_the_page_with_its_default(limits: Any) -> None:
    rows = [f"| `{each.name}` | {written(getattr(limits, each.name))} |" for each in fields(type(limits))]
    text = read("reference/session.md")
    assert [row for row in rows if row not in text] == []


@pytest.mark.parametrize("name", ["cancel_grace_seconds", "cancel_seconds", "batch_cancel_seconds"])
def test_the_page_about_cancel_has_the_same_defaults(name: str) -> None:
    assert f"| `{name}` | {getattr(Patience(), name):g} |" in read("explanation/cancel.md")


@pytest.mark.parametrize("kind", [Outcome, Repair, Conflict, BatchOutcome, CallFailure], ids=lambda kind: kind.__name__)
def test_every_field_of_a_value_is_on_its_page(kind: type) -> None:
    text = read("reference/outcomes.md") + read("reference/session.md")
    assert [each.name for each in fields(kind) if f"`{each.name}`" not in text] == []


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("reference/outcomes.md", OutcomeStatus),
        ("reference/outcomes.md", Proof),
        ("reference/outcomes.md", CancelResult),
        ("reference/outcomes.md", RepairKind),
        ("reference/session.md", Refusal),
        ("explanation/repair.md", Refusal),
        ("explanation/repair.md", RepairKind),
    ],
)
def test_every_member_has_a_row(page: str, kind: type[Enum]) -> None:
    assert [member.value for member in kind if f"| `{member.value}` |" not in read(page)] == []


def test_every_cancel_result_is_in_the_table() -> None:
    assert [result.value for result in CancelResult if f"`{result.value}`" not in read("explanation/cancel.md")] == []


def test_the_page_about_cancel_counts_what_the_tests_look_at() -> None:
    text = flat("explanation/cancel.md")
    assert f"({COMBINATIONS:,} of them" in text
    assert f"{len(SCRIPTS) * len(every_order()):,} runs" in text
