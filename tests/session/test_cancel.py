"""The answer to a cancel, in every dialect of protocol 6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.schema import is_terminal_batch_status
from streamfold.session.answer import Answer
from streamfold.session.cancel import read_background, read_cancel_answer
from streamfold.session.outcome import OutcomeStatus
from streamfold.session.reconcile import CancelAnswer
from tests.session.made import answer, body, refused

TERMINAL = (CancelAnswer.REFUSED_AS_TERMINAL, None)
FOREGROUND = (CancelAnswer.REFUSED_AS_FOREGROUND, None)
NOT_ALLOWED = (CancelAnswer.NOT_ALLOWED, None)


@pytest.mark.parametrize(
    ("status", "said", "ended"),
    [
        pytest.param("cancelled", CancelAnswer.CANCELLED, OutcomeStatus.CANCELLED, id="cancelled"),
        pytest.param("completed", CancelAnswer.ENDED, OutcomeStatus.COMPLETED, id="completed"),
        pytest.param("failed", CancelAnswer.ENDED, OutcomeStatus.FAILED, id="failed"),
        pytest.param("incomplete", CancelAnswer.ENDED, OutcomeStatus.INCOMPLETE, id="incomplete"),
        pytest.param("in_progress", CancelAnswer.OPEN, None, id="in progress"),
        pytest.param("queued", CancelAnswer.OPEN, None, id="queued"),
        pytest.param("cancelling", CancelAnswer.OPEN, None, id="an unknown status is no end"),
    ],
)
def test_a_response_in_the_answer_tells_its_status(
    status: str, said: CancelAnswer, ended: OutcomeStatus | None
) -> None:
    assert read_cancel_answer(answer(200, body(status)), is_background=True) == (said, ended)


@pytest.mark.parametrize(
    ("refusal", "is_background", "expected"),
    [
        pytest.param(refused(400, "Cannot cancel a completed response."), True, TERMINAL, id="OpenAI: terminal"),
        pytest.param(refused(400, "Cannot cancel a completed response."), None, TERMINAL, id="terminal, from anywhere"),
        pytest.param(refused(400, "Cannot cancel a synchronous response."), False, FOREGROUND, id="OpenAI: foreground"),
        pytest.param(
            refused(400, "Cannot cancel a synchronous response."), None, TERMINAL, id="who knows: a GET tells"
        ),
        pytest.param(refused(400, "Cannot cancel a Synchronous response."), True, TERMINAL, id="vLLM: said of all"),
        pytest.param(refused(400, "only background responses"), False, FOREGROUND, id="in other words"),
        pytest.param(refused(409, "already over"), None, TERMINAL, id="llama-stack: 409"),
        pytest.param(refused(409, "synchronous"), False, TERMINAL, id="409 is about its status"),
        pytest.param(refused(400, "no"), None, TERMINAL, id="for a reason that a GET will tell"),
        pytest.param(answer(400, b""), None, TERMINAL, id="without a word"),
        pytest.param(refused(400, param="starting_after"), None, TERMINAL, id="in words that make no sense"),
        pytest.param(refused(401), None, NOT_ALLOWED, id="unauthorized"),
        pytest.param(refused(403), True, NOT_ALLOWED, id="forbidden"),
    ],
)
def test_a_refusal_says_why(
    refusal: Answer, is_background: bool | None, expected: tuple[CancelAnswer, OutcomeStatus | None]
) -> None:
    assert read_cancel_answer(refusal, is_background=is_background) == expected


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(refused(404), id="unknown id"),
        pytest.param(refused(429), id="too many requests"),
        pytest.param(refused(500), id="server error"),
        pytest.param(refused(503), id="busy"),
        pytest.param(Answer(204), id="200 without a body"),
        pytest.param(answer(200, {"id": "resp_1"}), id="200 without a status"),
        pytest.param(answer(200, b"<html>"), id="200 with a page of HTML"),
    ],
)
def test_some_answers_are_worth_asking_again(said: Answer) -> None:
    assert read_cancel_answer(said, is_background=True) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b'{"status":"cancelled","x":"\xff"}', CancelAnswer.CANCELLED, id="broken characters elsewhere"),
        pytest.param(b'{"status":null}', None, id="null"),
        pytest.param(b'{"status":5}', None, id="no text"),
        pytest.param(b'{"status":"\xff"}', None, id="broken characters in it"),
        pytest.param(b"{}", None, id="none"),
        pytest.param(b"[]", None, id="an array"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"[" * 100_000, None, id="deep"),
    ],
)
def test_only_a_status_that_is_text_is_one(data: bytes, said: CancelAnswer | None) -> None:
    read = read_cancel_answer(Answer(200, body=data), is_background=True)
    assert (read and read[0]) == said


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("cancelling", (CancelAnswer.OPEN, None)),
        ("cancelled", (CancelAnswer.CANCELLED, OutcomeStatus.CANCELLED)),
        ("expired", (CancelAnswer.ENDED, OutcomeStatus.EXPIRED)),
    ],
)
def test_a_batch_has_ends_of_its_own(status: str, expected: tuple[CancelAnswer, OutcomeStatus | None]) -> None:
    read = read_cancel_answer(answer(200, {"status": status}), is_background=True, is_terminal=is_terminal_batch_status)
    assert read == expected


@pytest.mark.parametrize(
    ("data", "is_background"),
    [
        (b'{"background":true}', True),
        (b'{"background":false}', False),
        (b'{"background":null}', None),
        (b'{"background":"true"}', None),
        (b"{}", None),
        (b"<html>", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_response_says_whether_it_runs_in_the_background(data: bytes, is_background: bool | None) -> None:
    assert read_background(data) is is_background


@given(st.integers(100, 599), st.binary(), st.sampled_from([True, False, None]))
def test_no_answer_raises(status: int, data: bytes, is_background: bool | None) -> None:
    read_cancel_answer(Answer(status, body=data), is_background=is_background)
    read_cancel_answer(Answer(status, body=b'{"status":' + data), is_background=is_background)
