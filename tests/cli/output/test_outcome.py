"""An outcome in words: every status, proof and result of a cancel has its own."""

import json
from typing import Any

import pytest
from attrs import evolve

from streamfold.cli.output.outcome import CANCELS, PROOFS, answer_words, outcome_words, reason
from streamfold.fold import State, fold
from streamfold.reader import EventReader
from streamfold.schema import decode_response
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


CALLS = [
    pytest.param(
        {
            "type": "function_call",
            "id": "fc_1",
            "name": "f",
            "arguments": '{"a": "b  c",\n "d": 1}',
            "call_id": "call_1",
        },
        'function_call f({"a":"b  c","d":1}); call id call_1',
        id="function",
    ),
    pytest.param(
        {"type": "function_call", "name": "f", "arguments": '{"a": "b', "call_id": "call_1", "status": "incomplete"},
        'function_call f({"a": "b); call id call_1; incomplete',
        id="arguments that are cut off",
    ),
    pytest.param(
        {"type": "custom_tool_call", "name": "run", "input": "a\nb", "call_id": "call_2", "namespace": "shell"},
        'custom_tool_call shell.run("a\\nb"); call id call_2',
        id="custom",
    ),
    pytest.param(
        {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "find", "arguments": "{}", "error": "gone"},
        'mcp_call docs.find({}); id mcp_1; error: "gone"',
        id="mcp",
    ),
    pytest.param(
        {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "docs", "name": "drop", "arguments": "{}"},
        "mcp_approval_request docs.drop({}); id mcpr_1",
        id="mcp approval",
    ),
    pytest.param(
        {"type": "local_shell_call", "id": "x", "call_id": "call_3", "action": {"type": "exec", "command": ["ls"]}},
        'local_shell_call({"type":"exec","command":["ls"]}); call id call_3',
        id="local shell",
    ),
    pytest.param(
        {"type": "computer_call", "call_id": "call_4", "actions": [{"type": "wait"}]},
        'computer_call([{"type":"wait"}]); call id call_4',
        id="computer",
    ),
    pytest.param({"type": "web_search_call", "id": "ws_1"}, "web_search_call(); id ws_1", id="nothing given"),
    pytest.param(
        {"type": "new_call", "id": "x_1", "name": "n", "arguments": {"a": 1}},
        'new_call n({"a":1}); id x_1',
        id="a type that nobody knows",
    ),
    pytest.param({"type": "function_call", "name": 7, "call_id": "c"}, "function_call 7(); call id c", id="unfit"),
    pytest.param(
        {"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}, {"type": "refusal"}]},
        "refused: I can't.",
        id="refusal",
    ),
]


@pytest.mark.parametrize(("item", "line"), CALLS)
def test_what_an_answer_holds_beside_its_text_is_a_line(item: dict[str, Any], line: str) -> None:
    text = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    output = [text, item, {"type": "reasoning", "summary": []}, item, {"type": "function_call_output", "output": "y"}]
    response = decode_response(json.dumps({"id": "r", "status": "completed", "output": output}).encode())
    assert list(answer_words(response)) == [line, line]
