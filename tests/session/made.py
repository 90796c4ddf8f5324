"""Chunks, answers and sessions made by hand, shared by the tests of sessions."""

import json
from typing import Any

from streamfold.session import (
    Action,
    Answer,
    Applied,
    Cancel,
    Connect,
    Finish,
    Outcome,
    Patience,
    RepairKind,
    Retrieve,
    Session,
    Wait,
)

RESPONSE_ID = "resp_1"
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant"}
JSON = {"content-type": "application/json"}


def body(status: str | None = "in_progress", text: str | None = None, **fields: Any) -> dict[str, Any]:
    """A Response. text: that of its only message; None for an empty output."""
    output = [] if text is None else [MESSAGE | {"content": [{"type": "output_text", "text": text}]}]
    return {"id": RESPONSE_ID, "status": status, "background": True, "output": output} | fields


def frame(kind: str, number: int | None = None, **fields: Any) -> bytes:
    """One event as a server writes it. number: None for a stream without numbers."""
    numbered = {} if number is None else {"sequence_number": number}
    return b"data: %b\n\n" % json.dumps({"type": kind} | numbered | fields).encode()


def created(number: int | None = 0, **fields: Any) -> bytes:
    return frame("response.created", number, response=body(**fields))


def added(number: int | None) -> bytes:
    item = MESSAGE | {"content": [{"type": "output_text", "text": ""}]}
    return frame("response.output_item.added", number, output_index=0, item=item)


def delta(number: int | None, text: str = "x") -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return frame("response.output_text.delta", number, **place, delta=text)


def keepalive(number: int | None) -> bytes:
    return frame("keepalive", number)


def ended(number: int | None, status: str = "completed", text: str | None = None, *, name: str | None = None) -> bytes:
    """A terminal event. name: the event's, where it is not the status."""
    return frame(f"response.{name or status}", number, response=body(status, text))


TORN = b'data: {"type":"response.outp\n\n'


def answer(status: int = 200, said: object = None, **headers: str) -> Answer:
    """An answer that is no stream. said: its body, as JSON unless it is bytes."""
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Answer(status, JSON | {name.replace("_", "-"): value for name, value in headers.items()}, data)


def refused(status: int, message: str = "no", **words: Any) -> Answer:
    """An answer in OpenAI's words."""
    return answer(status, {"error": {"message": message} | words})


class Heard(Session):
    """A session that keeps what its chunks brought, until it is asked for."""

    def __init__(self, *arguments: Any, **given: Any) -> None:
        super().__init__(*arguments, **given)
        self._brought: list[Applied] = []

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        applied = super().receive_chunk(chunk, now=now)
        self._brought += applied
        return applied

    def events(self) -> list[Applied]:
        brought, self._brought = self._brought, []
        return brought


def session(response_id: str | None = RESPONSE_ID, *, jitter: float = 0.0, now: float = 0.0, **given: Any) -> Heard:
    """A session whose every random number is `jitter`: with 0, it waits no longer than it is asked to."""
    return Heard(response_id, random=lambda: jitter, now=now, **given)


def reading(*chunks: bytes, **given: Any) -> Heard:
    """A session whose stream is open and has brought these chunks, at the time 0; nothing is left to be asked of it."""
    one = session(**given)
    one.receive_connected(now=0.0)
    for chunk in chunks:
        one.receive_chunk(chunk, now=0.0)
    one.actions()
    one.events()
    return one


def patience(**limits: Any) -> Patience:
    return Patience(**limits)


def calls(one: Session) -> list[Action]:
    """What is to be done now: without the Wait, and what stands behind it."""
    actions = one.actions()
    waits = [place for place, each in enumerate(actions) if isinstance(each, Wait)]
    return actions[: waits[0]] if waits else actions


def next_call(one: Session, *, now: float) -> tuple[Action, float]:
    """Wait until the session wants a call, or is at its end. Returns: it, and the time then."""
    for _ in range(1000):
        action = one.actions()[0]
        if not isinstance(action, Wait):
            return action, now
        now += action.seconds
        one.receive_time(now=now)
    raise AssertionError("it waits for ever")


def refuse_all(one: Session, said: Answer, *, now: float) -> tuple[list[Action], float]:
    """Answer every call with this until the outcome is there. Returns: the calls, and the time at the end."""
    made: list[Action] = []
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if isinstance(call, Finish):
            break
        assert not isinstance(call, Wait)
        made.append(call)
        assert len(made) < 1000, "it calls for ever"
        one.receive_answer(call, said, now=now)
    return made, now


def numbers(applied: list[Applied]) -> list[int | None]:
    return [each.event.sequence_number for each in applied]


# What the tests of a session share

RESUME, REPLAY, RETRIEVE = RepairKind
HELD = (created(0), added(1), delta(2, "held"))
OLD = refused(400, "This response can no longer be streamed because it is more than 5 minutes old.")
REFUSED = "the connection was refused"
HTML = Answer(200, {"content-type": "text/html"}, b"<html>hello</html>")
BUSY = refused(503)


def kinds(one: Session) -> list[RepairKind]:
    return [repair.kind for repair in one.repairs]


def over(one: Session) -> Outcome:
    assert one.outcome is not None
    return one.outcome


def drop(one: Session, *, now: float = 1.0) -> None:
    one.receive_failure(Connect(), "the connection was reset", now=now)


def reopen(one: Session, *chunks: bytes, now: float = 1.0) -> float:
    """Wait for the next connection, which brings these. Returns: the time then."""
    call, now = next_call(one, now=now)
    assert isinstance(call, Connect)
    one.receive_connected(now=now)
    for chunk in chunks:
        one.receive_chunk(chunk, now=now)
    return now


def cancelled(*chunks: bytes, **given: Any) -> Heard:
    """A session that read these, and has just sent a cancel, at the time 1."""
    one = reading(*chunks, **given)
    one.receive_cancel(now=1.0)
    assert calls(one) == [Cancel()]
    return one


def check(one: Session, status: str, text: str | None = None, *, now: float) -> float:
    """Answer the GET that checks a reported end, some seconds later. Returns: the time then."""
    call, now = next_call(one, now=now)
    assert call == Retrieve()
    one.receive_answer(Retrieve(), answer(200, body(status, text)), now=now)
    return now
