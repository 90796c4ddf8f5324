"""Outcome: the words it is made of, and what it says without being told."""

from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from streamfold.fold import State, fold
from streamfold.schema import ResponseStatus, is_terminal_status
from streamfold.session.outcome import CancelResult, Conflict, Outcome, OutcomeStatus, Proof, RepairKind
from tests.fold.made import keepalive


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (OutcomeStatus, "completed incomplete failed cancelled expired abandoned lost"),
        (Proof, "terminal_event retrieved cancel_answer"),
        (CancelResult, "cancel_won completion_won already_terminal unconfirmed not_allowed refused"),
        (RepairKind, "resume replay retrieve"),
    ],
)
def test_the_words_are_these_in_this_order(kind: type[OutcomeStatus], words: str) -> None:
    assert " ".join(kind) == words


def test_every_terminal_status_of_the_api_is_one_of_an_outcome() -> None:
    assert {status for status in ResponseStatus if is_terminal_status(status)} <= set(map(str, OutcomeStatus))


def test_a_conflict_reads_as_a_sentence() -> None:
    conflict = Conflict("the answer to the cancel said cancelled", "the stream said completed")
    assert str(conflict) == "the answer to the cancel said cancelled, but the stream said completed"


def test_an_outcome_needs_a_status_and_a_state_and_claims_nothing_else() -> None:
    outcome = Outcome(status=OutcomeStatus.LOST, state=State())
    assert (outcome.proof, outcome.cancel, outcome.repairs, outcome.conflicts) == (None, None, (), ())
    assert (outcome.is_compacted, outcome.compacted_after, outcome.reason) == (False, None, "")


def test_the_anomalies_are_those_of_the_state() -> None:
    state = fold([keepalive(None)])
    assert Outcome(status=OutcomeStatus.COMPLETED, state=state).anomalies is state.anomalies
    assert state.anomalies


def test_an_outcome_cannot_be_changed() -> None:
    outcome: Any = Outcome(status=OutcomeStatus.LOST, state=State())
    with pytest.raises(FrozenInstanceError):
        outcome.reason = "x"
