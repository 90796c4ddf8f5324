"""Outcome: the words it is made of, and what it says without being told."""

from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from streamfold.errors import OutcomeError, ResponseCancelled, ResponseFailed, ResponseIncomplete, ResponseLost
from streamfold.fold import State, fold
from streamfold.schema import ResponseStatus, is_terminal_status
from streamfold.session.outcome import CancelResult, Conflict, Outcome, OutcomeStatus, Proof, RepairKind
from tests.fold.made import event, keepalive


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (OutcomeStatus, "completed incomplete failed cancelled expired abandoned lost"),
        (Proof, "terminal_event retrieved cancel_answer"),
        (CancelResult, "cancel_won completion_won already_terminal unconfirmed not_allowed left"),
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


# Ends as errors


def ended_as(status: str, reason: str = "", code: str | None = None) -> Outcome:
    state = fold([event("response.completed", 0, response={"id": "resp_1", "status": status})])
    return Outcome(status=OutcomeStatus.of(state), state=state, reason=reason, code=code, response_id="resp_1")


def test_a_completed_outcome_is_returned() -> None:
    outcome = ended_as("completed")
    assert outcome.raise_for_status() is outcome


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", ResponseFailed), ("incomplete", ResponseIncomplete), ("cancelled", ResponseCancelled)],
)
def test_a_bad_end_is_raised_with_its_reason_and_code(status: str, error: type[OutcomeError]) -> None:
    with pytest.raises(error) as caught:
        ended_as(status, "It broke.", "server_error").raise_for_status()
    assert type(caught.value) is error
    raised = caught.value
    assert (raised.response_id, raised.status) == ("resp_1", status)
    assert (raised.reason, raised.code) == ("It broke.", "server_error")


@pytest.mark.parametrize(("status", "error"), [("lost", ResponseLost), ("abandoned", OutcomeError)])
def test_an_end_that_is_not_known_is_raised_with_its_reason(status: str, error: type[OutcomeError]) -> None:
    with pytest.raises(error) as caught:
        Outcome(status=OutcomeStatus(status), state=State(), reason="the network").raise_for_status()
    assert (type(caught.value), caught.value.reason, caught.value.response_id) == (error, "the network", None)
