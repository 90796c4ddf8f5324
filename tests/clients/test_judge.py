"""Every verdict, with the reports that it is given for."""

from typing import Any

import pytest

from tests.clients.judge import Report, Verdict, judge

ANSWER = "1, 2, 3"
GAP = "1, 3"
DOUBLED = "1, 2, 2, 3"
HALF = "1, 2"
RAISED = "APIConnectionError: the connection broke"


def report(shown: str, final: str | None = None, **facts: Any) -> Report:
    return Report(**{"shown": shown, "final": final, "error": None, "finished": True, **facts})


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(report(ANSWER), Verdict.WHOLE, id="every piece"),
        pytest.param(report(ANSWER, ANSWER), Verdict.WHOLE, id="every piece, and the final text"),
        pytest.param(report(GAP, ANSWER), Verdict.CORRECTED, id="a piece was missing, and the final text has it"),
        pytest.param(report(DOUBLED, ANSWER), Verdict.CORRECTED, id="a piece came twice, and the final text is right"),
        pytest.param(report(HALF, ANSWER), Verdict.CORRECTED, id="half was shown, and the final text has the rest"),
        pytest.param(report(GAP), Verdict.WRONG_TEXT, id="a piece is missing"),
        pytest.param(report(DOUBLED), Verdict.WRONG_TEXT, id="a piece came twice"),
        pytest.param(report(HALF), Verdict.WRONG_TEXT, id="the second half is missing"),
        pytest.param(report(ANSWER, HALF), Verdict.WRONG_TEXT, id="the final text is not whole"),
        pytest.param(report(""), Verdict.WRONG_TEXT, id="nothing was shown"),
        pytest.param(report(HALF, error=RAISED), Verdict.ERROR, id="half, then an error"),
        pytest.param(report(ANSWER, error=RAISED), Verdict.ERROR, id="all, then an error"),
        pytest.param(report("", error=RAISED), Verdict.ERROR, id="an error"),
        pytest.param(report(HALF, HALF, finished=False), Verdict.ERROR, id="it says that it is not finished"),
        pytest.param(report(GAP, error=RAISED), Verdict.WRONG_TEXT, id="a wrong text, then an error"),
        pytest.param(report(DOUBLED, finished=False), Verdict.WRONG_TEXT, id="a wrong text that is not finished"),
        pytest.param(None, Verdict.HUNG, id="no report"),
    ],
)
def test_a_report_gets_its_verdict(given: Report | None, verdict: Verdict) -> None:
    assert judge(given, ANSWER, has_end=True) is verdict


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(report(ANSWER), Verdict.FALSE_END, id="it calls the answer finished"),
        pytest.param(report(ANSWER, ANSWER), Verdict.FALSE_END, id="it calls the answer finished, and gives the text"),
        pytest.param(report(HALF), Verdict.FALSE_END, id="it calls half of the answer finished"),
        pytest.param(report(ANSWER, error=RAISED), Verdict.ERROR, id="it raises"),
        pytest.param(report(ANSWER, ANSWER, finished=False), Verdict.ERROR, id="it says that it is not finished"),
    ],
)
def test_a_stream_without_its_terminal_event_is_never_whole(given: Report, verdict: Verdict) -> None:
    assert judge(given, ANSWER, has_end=False) is verdict


def test_a_report_is_read_from_what_a_program_prints() -> None:
    fields = {"shown": HALF, "final": None, "error": RAISED, "finished": False, "attempts": 3}
    assert Report.of(fields) == report(HALF, error=RAISED, finished=False, attempts=3)
