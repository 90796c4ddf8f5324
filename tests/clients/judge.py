"""What a client made of an answer: one word for the text that it showed and for the end that it reported."""

from enum import StrEnum
from typing import Any

from attrs import frozen


class Verdict(StrEnum):
    """The outcome of one answer, as its reader has it."""

    WHOLE = "whole"
    CORRECTED = "corrected"  # it showed another text first, and gave the whole one at the end
    ERROR = "honest error"
    WRONG_TEXT = "WRONG TEXT"
    FALSE_END = "FALSE END"
    HUNG = "HUNG"


@frozen(kw_only=True)
class Report:
    """What a program printed about one answer; see programs/report.py."""

    shown: str
    final: str | None
    error: str | None
    finished: bool
    attempts: int = 1

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Report":
        return cls(**fields)


def judge(report: Report | None, answer: str, *, has_end: bool) -> Verdict:
    """Compare what a client reported with what is true.

    An error does not excuse a text that was never part of the answer: somebody has read it.

    Args:
        report: What its program printed; None if it printed nothing in time.
        answer: The whole answer.
        has_end: Whether a terminal event reached the client in its last stream.
    """
    if report is None:
        return Verdict.HUNG
    if report.error is not None or not report.finished:
        return Verdict.ERROR if answer.startswith(report.shown) else Verdict.WRONG_TEXT
    if not has_end:
        return Verdict.FALSE_END
    if (report.shown if report.final is None else report.final) != answer:
        return Verdict.WRONG_TEXT
    return Verdict.WHOLE if report.shown == answer else Verdict.CORRECTED
