"""What counts as untrue of an outcome: every rule, with an outcome that breaks it."""

import json

import pytest
from attrs import evolve

from streamfold import fold
from streamfold.fold import State
from streamfold.schema import decode_event
from streamfold.session import Conflict, Outcome, OutcomeStatus, Proof
from tests.servers.site import in_words, untruth
from tests.servers.table import SERVERS, Server
from tests.servers.wire import Said

ANSWER = "word0 word1 word2 "
HALF = "word0 word1 "
RESUMES, POLLS = (next(each for each in SERVERS if each.name == name) for name in ("azure", "ogx"))
CONFLICT = (Conflict("the answer said cancelled", "the GET said completed"),)


def state(text: str) -> State:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": [item]}
    event = {"type": "response.created", "sequence_number": 0, "response": response}
    return fold([decode_event(json.dumps(event).encode())])


def outcome(status: str, text: str, **facts: object) -> Outcome:
    proof = None if status in {"lost", "abandoned"} else Proof.TERMINAL_EVENT
    made = Outcome(status=OutcomeStatus(status), state=state(text), proof=proof, response_id="resp_1")
    return evolve(made, **facts)


TRUE = [
    pytest.param(outcome("completed", ANSWER), Said("completed", ANSWER), RESUMES, id="completed"),
    pytest.param(outcome("completed", ANSWER), None, RESUMES, id="completed, and the server forgot it"),
    pytest.param(outcome("completed", ANSWER, is_compacted=True), Said("completed", ANSWER), POLLS, id="compacted"),
    pytest.param(outcome("cancelled", HALF), Said("cancelled", "word0 "), RESUMES, id="more than the server has"),
    pytest.param(outcome("cancelled", HALF), Said("cancelled", ""), RESUMES, id="the server has no text"),
    pytest.param(outcome("lost", HALF), Said("in_progress", ""), POLLS, id="lost, and it never ends"),
    pytest.param(outcome("lost", HALF), None, POLLS, id="lost, and the server does not know it"),
    pytest.param(outcome("abandoned", HALF), Said("cancelled", ""), RESUMES, id="abandoned, and cancelled later"),
    pytest.param(
        outcome("cancelled", ANSWER, conflicts=CONFLICT), Said("completed", ANSWER), POLLS, id="a conflict is reported"
    ),
]
UNTRUE = [
    pytest.param(
        outcome("completed", "word0 word0 "), Said("completed", ANSWER), RESUMES, "not what was", id="doubled"
    ),
    pytest.param(outcome("completed", HALF), None, RESUMES, "not whole", id="half of it"),
    pytest.param(
        outcome("completed", ANSWER, is_compacted=True), Said("completed", ANSWER), RESUMES, "compacted", id="compacted"
    ),
    pytest.param(outcome("cancelled", "word0 "), Said("cancelled", HALF), RESUMES, "more text", id="text is missing"),
    pytest.param(outcome("lost", HALF), Said("completed", HALF), POLLS, "knows one", id="lost too early"),
    pytest.param(outcome("lost", HALF), Said("in_progress", ANSWER), POLLS, "more text", id="lost, and there is more"),
    pytest.param(outcome("cancelled", HALF), Said("completed", HALF), RESUMES, "otherwise", id="another end"),
    pytest.param(outcome("cancelled", HALF, proof=None), None, RESUMES, "nothing proves", id="no proof"),
]


@pytest.mark.parametrize(("given", "said", "server"), TRUE)
def test_a_true_outcome_is_accepted(given: Outcome, said: Said | None, server: Server) -> None:
    assert untruth(given, said, ANSWER, server) is None


@pytest.mark.parametrize(("given", "said", "server", "problem"), UNTRUE)
def test_an_untrue_outcome_is_found(given: Outcome, said: Said | None, server: Server, problem: str) -> None:
    assert problem in (untruth(given, said, ANSWER, server) or "")


def test_an_outcome_in_words_has_all_that_the_table_shows() -> None:
    given = outcome("completed", ANSWER, is_compacted=True, cancel="completion_won", conflicts=CONFLICT)
    assert in_words(given) == "completed, compacted, completion_won, conflict"
