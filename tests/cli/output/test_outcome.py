"""An outcome in words: every status, proof and result of a cancel has its own."""

from attrs import evolve

from streamfold.cli.output.outcome import CANCELS, PROOFS, outcome_words, reason
from streamfold.fold import State, fold
from streamfold.reader import EventReader
from streamfold.session import CancelResult, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from tests.cli.made import numbered, opening, said


def test_every_proof_and_every_result_of_a_cancel_has_words() -> None:
    assert set(PROOFS) == {*Proof, None}
    assert set(CANCELS) == set(CancelResult)


def test_it_says_how_it_ended_how_that_is_known_and_what_it_took() -> None:
    state = fold(EventReader().feed(b"".join(said("Hello"))))
    outcome = Outcome(status=OutcomeStatus.COMPLETED, state=state, proof=Proof.TERMINAL_EVENT)
    assert outcome_words(outcome) == "completed, confirmed by its terminal event; last event 4"
    repair = Repair(RepairKind.RESUME, "ReadError", 2, 0.5)
    repaired = evolve(outcome, repairs=(repair, repair), is_compacted=True, compacted_after=2)
    assert outcome_words(repaired).endswith(
        "last event 4; 2 repairs; part of the text came only with the final Response"
    )


def test_a_loss_says_why() -> None:
    outcome = Outcome(status=OutcomeStatus.LOST, state=State(), reason="nothing new for 600 s")
    assert outcome_words(outcome) == "lost (nothing new for 600 s), not confirmed"


def test_the_reason_of_a_failure_is_the_gateways_own() -> None:
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x", "message": "y"}}}
    state = fold(EventReader().feed(b"".join(numbered(*opening(), failed))))
    assert reason(Outcome(status=OutcomeStatus.FAILED, state=state)) == "x: y"
