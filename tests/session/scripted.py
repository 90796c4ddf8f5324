"""A gateway of one response that follows a script, and a clock that jumps: shared by the tests of cancel.

A fact says that the gateway is ready to do something, or that the network is not. The gateway answers a call when it is
asked *and* ready, whichever comes last: so every order of facts is one that a network can show.
"""

from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from attrs import Factory, define, frozen

from streamfold.session import Action, Answer, Cancel, Connect, Outcome, Retrieve, Session, Wait
from tests.session.made import RESPONSE_ID, Heard, added, answer, body, created, delta, ended, refused

HELD = "held"
STEP_SECONDS = 0.01
LONGEST_SECONDS = 3600.0

# What a cancel may be answered with: protocol 6. None for a connection that is lost each time.
ANSWERS: dict[str, Answer | None] = {
    "200 cancelled": answer(200, body("cancelled")),
    "200 completed": answer(200, body("completed", HELD)),
    "200 failed": answer(200, body("failed", HELD)),
    "200 incomplete": answer(200, body("incomplete", HELD)),
    "200 in progress": answer(200, body("in_progress", HELD)),
    "400 terminal": refused(400, "Cannot cancel a completed response."),
    "400 foreground": refused(400, "Cannot cancel a synchronous response."),
    "400 synchronous": refused(400, "Cannot cancel a synchronous response."),  # vLLM: of one in the background too
    "404 foreground": refused(404),
    "409 foreground": refused(409, "only background responses can be cancelled"),
    "405": refused(405, "Method Not Allowed"),
    "401": refused(401),
    "404": refused(404),
    "503": refused(503),
    "lost": None,
}
IN_FOREGROUND = frozenset({"400 foreground", "404 foreground", "409 foreground"})
# How the stream may end: the event's name and the status in its Response. None where it just ends.
EVENTS: dict[str, tuple[str, str] | None] = {
    "completed": ("completed", "completed"),
    "incomplete": ("incomplete", "incomplete"),
    "failed": ("failed", "failed"),
    "cancelled": ("cancelled", "cancelled"),
    "failed holding cancelled": ("failed", "cancelled"),
    "ends": None,
}


@frozen(kw_only=True)
class Script:
    """One response's life. answer: a key of ANSWERS. event: one of EVENTS. retrieved: the status that a GET gives.

    is_background: what `response.created` says.
    """

    answer: str
    event: str
    retrieved: str
    is_background: bool = True

    @property
    def status(self) -> str | None:
        """The status in the terminal event."""
        event = EVENTS[self.event]
        return event[1] if event else None


def at_once_at_first() -> Callable[[], float]:
    """Random numbers for waits: the first ones are zero, so that the order of the facts is that of the script."""
    drawn = chain(repeat(0.0, 8), repeat(0.5))
    return lambda: next(drawn)


@define
class World:
    """A session, the gateway it talks to, and what it was told. The stream is open, and brought a text."""

    script: Script
    now: float = 0.0
    told: list[str] = Factory(list)
    asked: list[Action] = Factory(list)
    ready: set[str] = Factory(set)
    is_over: bool = False
    session: Session = Factory(lambda: Heard(RESPONSE_ID, random=at_once_at_first(), now=0.0, is_connected=True))

    def __attrs_post_init__(self) -> None:
        for chunk in (created(0, background=self.script.is_background), added(1), delta(2, HELD)):
            self.session.receive_chunk(chunk, now=0.0)
        self.look()

    # Facts

    def cancel(self) -> None:
        """The caller's wish. Behind the outcome it is none of its facts; behind the end it is one that comes too late."""
        if self.session.outcome is None:
            self.told.append("late cancel" if self.session.state.is_terminal else "cancel")
        self.session.receive_cancel(now=self.now)

    def answer(self) -> None:
        self.ready.add("answer")

    def event(self) -> None:
        """The response is over, and its terminal event in the stream: read now, or when the stream is open again."""
        self.is_over = True
        self.send_event()
        if self.script.status is None:
            self.end()

    def end(self) -> None:
        if self.session.is_reading:
            self.told.append("end")
            self.session.receive_eof(now=self.now)

    def disconnect(self) -> None:
        if self.session.is_reading:
            self.told.append("disconnect")
            self.session.receive_failure(Connect(2), "the connection was reset", now=self.now)

    def resume(self) -> None:
        self.ready.add("resume")

    def get(self) -> None:
        self.ready.add("get")

    # The gateway

    def look(self) -> None:
        """Take over what the session asks for, as a shell does."""
        for action in self.session.actions():
            if isinstance(action, Wait):
                break
            self.asked.append(action)

    def send_event(self) -> None:
        event = EVENTS[self.script.event]
        if self.session.is_reading and event is not None and "event" not in self.told:
            self.told.append("event")
            name, status = event
            output = None if status == "cancelled" else HELD
            self.session.receive_chunk(ended(3, status, output, name=name), now=self.now)

    def serve(self) -> None:
        """Answer what was asked, as far as the gateway is ready, until it is asked nothing more."""
        self.look()
        while self.session.outcome is None and (
            call := next((each for each in self.asked if self.can_serve(each)), None)
        ):
            self.asked.remove(call)
            self.serve_one(call)
            self.look()

    def can_serve(self, call: Action) -> bool:
        needs: dict[type, str] = {Connect: "resume", Cancel: "answer", Retrieve: "get"}
        return needs.get(type(call)) in self.ready

    def serve_one(self, call: Action) -> None:
        match call:
            case Connect():
                self.told.append("connected")
                self.session.receive_connected(now=self.now)
                if self.is_over:
                    self.send_event()
                    self.end()
            case Retrieve():
                self.told.append("get")
                output = None if self.script.retrieved == "cancelled" else HELD
                said = answer(200, body(self.script.retrieved, output))
                self.session.receive_answer(call, said, now=self.now)
            case Cancel():
                said = ANSWERS[self.script.answer]
                self.told.append("answer")
                if said is None:
                    self.session.receive_failure(call, "the connection was lost", now=self.now)
                else:
                    self.session.receive_answer(call, said, now=self.now)

    # Time

    def feed(self, facts: tuple[str, ...]) -> None:
        """These facts in this order, a little apart."""
        for fact in facts:
            self.now += STEP_SECONDS
            self.session.receive_time(now=self.now)
            self.serve()
            act: Callable[[], None] = getattr(self, fact)
            act()
            self.serve()

    def finish(self) -> Outcome:
        """Everything is ready, and the response over: go on until the outcome is there."""
        self.is_over = True
        self.ready |= {"answer", "resume", "get"}
        self.send_event()
        self.end()
        self.serve()
        while self.session.outcome is None:
            wait = next((each for each in self.session.actions() if isinstance(each, Wait)), None)
            assert wait is not None, "it waits for nothing, and is not at its end"
            assert self.now < LONGEST_SECONDS, "it goes on for ever"
            self.now += wait.seconds
            self.session.receive_time(now=self.now)
            self.serve()
        return self.session.outcome


def result(outcome: Outcome) -> tuple[Any, ...]:
    """What counts of an outcome, less how it was come by."""
    return outcome.status, outcome.proof, outcome.cancel, outcome.conflicts, outcome.state.output_text
