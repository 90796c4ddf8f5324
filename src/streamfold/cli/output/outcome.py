"""An outcome for readers: in words, and as the last line of `--json`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import json

from streamfold.cli.output.step import error_words
from streamfold.cli.terminal import ERROR, Output, one_line, say
from streamfold.fold import AnomalyKind, snapshot
from streamfold.schema import UNDECODABLE, Item, Response, UnknownItem
from streamfold.session import BatchOutcome, CancelResult, Outcome, OutcomeStatus, Proof, Repair

PROOFS: Mapping[Proof | None, str] = {
    Proof.TERMINAL_EVENT: "confirmed by its terminal event",
    Proof.RETRIEVED: "confirmed by a GET",
    Proof.CANCEL_ANSWER: "confirmed by the answer to the cancel",
    None: "not confirmed",
}
CANCELS: Mapping[CancelResult, str] = {
    CancelResult.CANCEL_WON: "the cancel took effect",
    CancelResult.COMPLETION_WON: "it ended before the cancel took effect",
    CancelResult.ALREADY_TERMINAL: "it had already ended",
    CancelResult.UNCONFIRMED: "the gateway did not confirm the cancel in time; it may still take effect",
    CancelResult.NOT_ALLOWED: "this key is not allowed to cancel it",
    CancelResult.LEFT: "the cancel was not confirmed, so the connection was closed",
}
# Results that leave the response running, whether or not the cancel takes effect later.
STILL_RUNNING = frozenset({CancelResult.UNCONFIRMED, CancelResult.NOT_ALLOWED})
# Items that call something, and what each may be given, in the order in which it is looked for.
CALLS = ("_call", "mcp_approval_request", "program")
GIVEN = ("arguments", "input", "code", "operation", "actions", "action", "queries", "prompt")
CREATED = frozenset({AnomalyKind.ITEM_CREATED, AnomalyKind.PART_CREATED})


def outcome_document(
    outcome: Outcome, *, response_id: str | None, begun: float = 0.0, hide: Callable[[str], str] = str
) -> dict[str, object]:
    """Return `{"outcome": {...}}`. `begun` is the session's time when following began."""
    repairs = [
        {
            "kind": each.kind,
            "reason": hide(each.reason),
            "after": each.after,
            "seconds": round(each.at - begun, 3),  # since following began
        }
        for each in outcome.repairs
    ]
    document = {
        "status": outcome.status,
        "response_id": response_id,
        "proof": outcome.proof,
        "cancel": outcome.cancel,
        "cursor": outcome.state.cursor,
        "repairs": repairs,
        "conflicts": [*map(str, outcome.conflicts)],
        "anomalies": outcome.anomalies,
        "compacted": outcome.is_compacted,
        "compacted_after": outcome.compacted_after,
        "reason": hide(outcome.reason),
        "output_text": outcome.state.output_text,
    }
    return {"outcome": document}


def batch_document(outcome: BatchOutcome, *, batch_id: str, hide: Callable[[str], str] = str) -> dict[str, object]:
    """Return the same for a batch."""
    document = {
        "status": outcome.status,
        "batch_id": batch_id,
        "proof": outcome.proof,
        "cancel": outcome.cancel,
        "conflicts": [*map(str, outcome.conflicts)],
        "reason": hide(outcome.reason),
        "batch": outcome.batch,
    }
    return {"outcome": document}


def outcome_words(outcome: Outcome, *, starts_midway: bool = False) -> str:
    """Say how it ended, how that is known, and what it took."""
    parts = _ending(outcome, reason(outcome))
    if outcome.state.cursor is not None:
        parts.append(f"last event {outcome.state.cursor}")
    if outcome.repairs:
        parts.append(f"{len(outcome.repairs)} repair{'s' * (len(outcome.repairs) > 1)}")
    if outcome.is_compacted:
        parts.append("part of the text came only with the final Response")
    parts += [f"conflict: {each}" for each in outcome.conflicts]
    # If it was followed from its middle, the events that added its items came before.
    expected = CREATED if starts_midway else ()
    parts += [f"{each.count} × {each.kind}" for each in outcome.anomalies if each.kind not in expected]
    return "; ".join(parts)


def answer_words(response: Response) -> Iterator[str]:
    """Yield what an answer holds beside its text, a line for each: refusals, and tool calls with what they are given."""
    for item in response.output:
        for part in getattr(item, "content", None) or ():
            if refusal := getattr(part, "refusal", ""):
                yield f"refused: {refusal}"
        if item.wire_type.endswith(CALLS):
            yield _call_words(item)


def _call_words(call: Item | UnknownItem) -> str:
    fields = _fields_of(call)
    name = ".".join(str(fields[each]) for each in ("server_label", "namespace", "name") if fields.get(each))
    given = next((_given(each, fields[each]) for each in GIVEN if fields.get(each)), "")
    parts = [f"{call.wire_type} {name}({given})" if name else f"{call.wire_type}({given})"]
    if call_id := fields.get("call_id"):
        parts.append(f"call id {call_id}")
    elif fields.get("id"):
        parts.append(f"id {fields['id']}")
    if fields.get("status") not in (None, "completed"):
        parts.append(str(fields["status"]))
    if fields.get("error"):
        parts.append(f"error: {_given('error', fields['error'])}")
    return "; ".join(parts)


def _fields_of(call: Item | UnknownItem) -> dict[str, Any]:
    try:
        return json.decode(call.data if isinstance(call, UnknownItem) else json.encode(call), type=dict[str, Any])
    except UNDECODABLE:
        return {}


def _given(name: str, value: object) -> str:
    """What a call is given, as JSON on one line. Arguments are JSON already, unless the model wrote something else."""
    if name != "arguments" or not isinstance(value, str):
        return json.encode(value).decode()
    try:
        return json.format(value, indent=-1)
    except UNDECODABLE:
        return value


def batch_words(outcome: BatchOutcome) -> str:
    """Say the same of a batch."""
    return "; ".join(_ending(outcome, outcome.reason))


def _ending(outcome: Outcome | BatchOutcome, reason: str) -> list[str]:
    because = f" ({reason})" if reason else ""
    parts = [f"{outcome.status}{because}, {PROOFS[outcome.proof]}"]
    return parts if outcome.cancel is None else [*parts, CANCELS[outcome.cancel]]


def repair_words(repair: Repair) -> str:
    """Say what was done to repair the stream, where, and why."""
    place = "before the first event" if repair.after is None else f"after event {repair.after}"
    return f"{repair.kind} {place}: {repair.reason}"


def reason(outcome: Outcome) -> str:
    """Say why it did not complete, with the code of the gateway's error; empty if the gateway gave no reason."""
    if outcome.status is OutcomeStatus.COMPLETED:
        return outcome.reason
    response = snapshot(outcome.state)
    error, details = outcome.state.error or response.error, response.incomplete_details
    if not outcome.reason:
        words = (details.reason if details is not None else None, error_words(error))
        return "; ".join(each for each in words if each)
    if error is not None and error.message and outcome.reason.startswith(error.message):
        return error_words(error) + outcome.reason.removeprefix(error.message)
    return outcome.reason


def print_outcome(document: object, words: str, *, is_good: bool, json: bool) -> int:
    """Print the document or the words, and return the exit code. The words of a bad outcome go to stderr."""
    if json:
        Output().write_json(document)
    if not is_good:
        say(words)
    elif not json:
        Output().write_line(one_line(words))
    return 0 if is_good else ERROR
