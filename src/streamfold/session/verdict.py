"""What an answer means for the ladder: to a Connect that gave no stream, and to a Retrieve.

In      an Answer, and the state that a Response in it would be adopted into
Out     Setback: what failed, and which steps are thereby refused; or Ended, or StillOpen
Units   seconds
Errors  none
Source  docs/explanation/repair.md; protocol reference 9 and 13
"""

from typing import TypeAlias

from attrs import frozen

from streamfold.errors import MalformedBody
from streamfold.fold import State, adopt
from streamfold.session.answer import Answer, ErrorWords, Refusal, refusal_of, seconds_asked
from streamfold.session.cancel import read_background
from streamfold.session.outcome import RepairKind

__all__ = ["STREAMS", "Ended", "Retrieved", "Setback", "StillOpen", "read_no_stream", "read_retrieved"]

STREAMS = frozenset({RepairKind.RESUME, RepairKind.REPLAY})


@frozen
class Setback:
    """A call failed. refused: the steps that will never work. most: where more attempts than so many are no use."""

    reason: str
    refused: frozenset[RepairKind] = frozenset()
    asked_seconds: float = 0.0
    most: int | None = None


@frozen
class Ended:
    """The Response is over. state: with it for its own. body: its bytes."""

    state: State
    body: bytes


@frozen
class StillOpen:
    """The Response still runs. is_background: None where it does not say."""

    status: str
    is_background: bool | None


Retrieved: TypeAlias = Ended | StillOpen | Setback


def read_no_stream(answer: Answer, *, trying: RepairKind) -> Setback:
    """What it means that no stream came. trying: the step that asked for it."""
    if not answer.is_success:
        return _read_refusal("the stream", answer, trying)
    if not answer.body:
        return Setback(f"the stream was empty, with status {answer.status}", most=2)
    kind = answer.headers.get("content-type") or "no content type"
    # A page of HTML in between is no word of the gateway's: a proxy in front of it may be gone a moment later.
    return Setback(f"expected an event stream, got {kind}: {answer.excerpt}")


def read_retrieved(answer: Answer, state: State) -> Retrieved:
    """What a GET gave."""
    if not answer.is_success:
        return _read_refusal("the Response", answer, RepairKind.RETRIEVE)
    try:
        adopted = adopt(state, answer.body)
    except MalformedBody as error:
        return Setback(str(error))
    if adopted.is_terminal:
        return Ended(adopted, answer.body)
    if not adopted.status:
        return Setback("what came is no Response: it has no status")
    return StillOpen(adopted.status, read_background(answer.body))


def _read_refusal(what: str, answer: Answer, trying: RepairKind) -> Setback:
    said = ErrorWords.of(answer.body).message or answer.excerpt or "no reason given"
    reason = f"{what} was refused with {answer.status}: {said}"
    match refusal_of(answer):
        case Refusal.BUSY:
            return Setback(reason, asked_seconds=seconds_asked(answer.headers))
        case Refusal.UNAUTHORIZED:
            return Setback(reason, frozenset(RepairKind))
        case Refusal.UNKNOWN_ID | Refusal.NOT_STREAMABLE if trying in STREAMS:
            return Setback(reason, STREAMS)
        case Refusal.CURSOR_REFUSED:
            return Setback(reason, frozenset({RepairKind.RESUME, trying}))
        case _:
            return Setback(reason, frozenset({trying}))
