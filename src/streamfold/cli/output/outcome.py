"""An Outcome for readers: as the last line of `--json`, and in words.

In      an Outcome, or a BatchOutcome
Out     one JSON document on one line; one sentence
Units   seconds since the following began; sequence numbers
Source  docs/reference/cli.md
"""

from collections.abc import Callable, Mapping

from msgspec import Raw, Struct
from msgspec.json import encode

from streamfold.fold import Anomaly, snapshot
from streamfold.session import BatchOutcome, CancelResult, Outcome, OutcomeStatus, Proof, Repair

__all__ = [
    "RUNS_ON",
    "batch_document",
    "batch_words",
    "exit_code",
    "outcome_document",
    "outcome_words",
    "reason",
    "repair_words",
]

PROOFS: Mapping[Proof | None, str] = {
    Proof.TERMINAL_EVENT: "proven by its terminal event",
    Proof.RETRIEVED: "proven by a GET",
    Proof.CANCEL_ANSWER: "proven by the answer to the cancel",
    None: "not proven",
}
# What a cancel came to when nothing is proven: whether it takes effect or not, the response runs on.
RUNS_ON = frozenset({CancelResult.UNCONFIRMED, CancelResult.NOT_ALLOWED})
CANCELS: Mapping[CancelResult, str] = {
    CancelResult.CANCEL_WON: "the cancel won",
    CancelResult.COMPLETION_WON: "it ended by itself while the cancel was on its way",
    CancelResult.ALREADY_TERMINAL: "it had ended before the cancel came",
    CancelResult.UNCONFIRMED: "the gateway gave no proof of the cancel in time; it may still take effect",
    CancelResult.NOT_ALLOWED: "the gateway did not allow the cancel: this key may not",
    CancelResult.REFUSED: "the gateway cancels no foreground response; it was left",
}


class ToldRepair(Struct, frozen=True):
    """A Repair in a document. seconds: since the following began."""

    kind: str
    reason: str
    after: int | None
    seconds: float


class ToldOutcome(Struct, frozen=True):
    """The fields of the outcome's document, in their order."""

    status: str
    response_id: str | None
    proof: str | None
    cancel: str | None
    cursor: int | None
    repairs: tuple[ToldRepair, ...]
    conflicts: tuple[str, ...]
    anomalies: tuple[Anomaly, ...]
    compacted: bool
    compacted_after: int | None
    reason: str
    output_text: str


class ToldBatch(Struct, frozen=True):
    """The same for a batch."""

    status: str
    batch_id: str
    proof: str | None
    cancel: str | None
    conflicts: tuple[str, ...]
    reason: str
    batch: Raw


def outcome_document(
    outcome: Outcome, *, response_id: str | None, begun: float = 0.0, hide: Callable[[str], str] = str
) -> bytes:
    """`{"outcome": {...}}` and a line end. begun: the session's time then. hide: takes secrets out of a reason."""
    told = ToldOutcome(
        status=outcome.status,
        response_id=response_id,
        proof=outcome.proof,
        cancel=outcome.cancel,
        cursor=outcome.state.cursor,
        repairs=tuple(
            ToldRepair(each.kind, hide(each.reason), each.after, round(each.at - begun, 3)) for each in outcome.repairs
        ),
        conflicts=tuple(map(str, outcome.conflicts)),
        anomalies=outcome.anomalies,
        compacted=outcome.is_compacted,
        compacted_after=outcome.compacted_after,
        reason=hide(outcome.reason),
        output_text=outcome.state.output_text,
    )
    return encode({"outcome": told}) + b"\n"


def batch_document(outcome: BatchOutcome, *, batch_id: str, hide: Callable[[str], str] = str) -> bytes:
    """The same for a batch."""
    told = ToldBatch(
        status=outcome.status,
        batch_id=batch_id,
        proof=outcome.proof,
        cancel=outcome.cancel,
        conflicts=tuple(map(str, outcome.conflicts)),
        reason=hide(outcome.reason),
        batch=Raw(encode(outcome.batch)),
    )
    return encode({"outcome": told}) + b"\n"


def outcome_words(outcome: Outcome) -> str:
    """How it ended, how that is known, and what it took."""
    parts = [f"{outcome.status}{_because(reason(outcome))}", PROOFS[outcome.proof]]
    if outcome.cancel is not None:
        parts.append(CANCELS[outcome.cancel])
    if outcome.state.cursor is not None:
        parts.append(f"cursor {outcome.state.cursor}")
    if outcome.repairs:
        parts.append(f"{len(outcome.repairs)} repair{'s' * (len(outcome.repairs) > 1)}")
    if outcome.is_compacted:
        parts.append("part of the text came with the last Response alone")
    parts += [f"conflict: {each}" for each in outcome.conflicts]
    parts += [f"{each.count} × {each.kind}" for each in outcome.anomalies]
    return "; ".join(parts)


def batch_words(outcome: BatchOutcome) -> str:
    """The same for a batch."""
    parts = [f"{outcome.status}{_because(outcome.reason)}", PROOFS[outcome.proof]]
    if outcome.cancel is not None:
        parts.append(CANCELS[outcome.cancel])
    return "; ".join(parts)


def repair_words(repair: Repair) -> str:
    """One step of mending: what was done, after which event, and why."""
    place = "from the beginning" if repair.after is None else f"after event {repair.after}"
    return f"{repair.kind} {place}: {repair.reason}"


def reason(outcome: Outcome) -> str:
    """Why it did not complete, in the words of whoever knows; empty where nobody says."""
    if outcome.reason or outcome.status is OutcomeStatus.COMPLETED:
        return outcome.reason
    response = snapshot(outcome.state)
    if response.incomplete_details is not None and response.incomplete_details.reason:
        return response.incomplete_details.reason
    error = outcome.state.error or response.error
    return ": ".join(str(each) for each in (error.code, error.message) if each) if error else ""


def exit_code(outcome: Outcome | BatchOutcome) -> int:
    """0 for what completed, 1 for every other end."""
    return 0 if outcome.status is OutcomeStatus.COMPLETED else 1


def _because(words: str) -> str:
    return f" ({words})" if words else ""
