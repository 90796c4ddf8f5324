"""What the answer to a cancel says.

In      an Answer, and whether the response is known to run in the background
Out     a CancelAnswer with the status in it; None for an answer that is worth asking again for
Errors  none
Source  protocol reference 6: who refuses what, in which words
"""

import re
from collections.abc import Callable

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.schema import UNDECODABLE, is_terminal_status
from streamfold.session.answer import Answer, ErrorWords, Refusal, refusal_of
from streamfold.session.outcome import OutcomeStatus
from streamfold.session.reconcile import CancelAnswer

__all__ = ["read_background", "read_cancel_answer"]

FOREGROUND = re.compile(r"synchronous|background", re.IGNORECASE)


class _Body(Struct):
    status: Raw = Raw(b"null")
    background: Raw = Raw(b"null")


_decode_body = Decoder(_Body).decode
_decode_text = Decoder(str).decode


def read_background(body: bytes | Raw) -> bool | None:
    """Whether a Response's JSON says that it runs in the background; None where it does not say."""
    try:
        return {b"true": True, b"false": False}.get(bytes(_decode_body(body).background))
    except UNDECODABLE:
        return None


def _status_of(body: bytes) -> str | None:
    try:
        return _decode_text(_decode_body(body).status)
    except UNDECODABLE:
        return None


def read_cancel_answer(
    answer: Answer, *, is_background: bool | None, is_terminal: Callable[[str | None], bool] = is_terminal_status
) -> tuple[CancelAnswer, OutcomeStatus | None] | None:
    """What the gateway said to the cancel.

    is_background: None where it is not known. One server says "synchronous" for whatever it refuses: only where the
    response is known to run in the foreground is it believed; else it is a refusal as terminal, which a GET must
    prove. is_terminal: which statuses are over.
    """
    if answer.is_success:
        return _read_status(_status_of(answer.body), is_terminal)
    match refusal_of(answer):
        case Refusal.UNAUTHORIZED:
            return CancelAnswer.NOT_ALLOWED, None
        case Refusal.UNKNOWN_ID | Refusal.BUSY:
            return None
        case _:
            pass
    says_foreground = FOREGROUND.search(ErrorWords.of(answer.body).message or "")
    if says_foreground and is_background is False and answer.status != 409:
        return CancelAnswer.REFUSED_AS_FOREGROUND, None
    return CancelAnswer.REFUSED_AS_TERMINAL, None


def _read_status(
    status: str | None, is_terminal: Callable[[str | None], bool]
) -> tuple[CancelAnswer, OutcomeStatus | None] | None:
    if status is None:
        return None
    if not is_terminal(status):
        return CancelAnswer.OPEN, None
    ended = OutcomeStatus(status)
    return (CancelAnswer.CANCELLED if ended is OutcomeStatus.CANCELLED else CancelAnswer.ENDED), ended
