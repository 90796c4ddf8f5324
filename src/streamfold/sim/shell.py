"""A shell in virtual time: it carries out what a session asks for, against a model gateway.

In      a Script, and the Library that its stream is in
Out     a Run: all that happened, whether it ended or not
Units   virtual seconds; steps, each of which tells the session one fact
Errors  none of its own; what a session raises is not caught
Source  docs/explanation/simulation.md

It is as rough as a shell may be: the old stream is read on until the next Connect, and calls overtake each other.
"""

import re
from math import inf, isclose
from random import Random

from attrs import define, field

from streamfold.fold import State, fold
from streamfold.schema import decode_event
from streamfold.session import (
    Answer,
    Applied,
    Call,
    Cancel,
    Connect,
    Finish,
    Outcome,
    Patience,
    Retrieve,
    Session,
    Wait,
)
from streamfold.sim.connection import Broken, Connection, Ended
from streamfold.sim.gateway import ModelGateway
from streamfold.sim.script import Deed, Script
from streamfold.sim.telling import Library
from streamfold.sim.truth import Truth

__all__ = ["Asked", "Fact", "Run", "perform"]

MOST_SECONDS = 6 * 3600.0
MOST_STEPS = 100_000
RESPONSE_ID = "resp_1"
# A frame with a terminal event in it, none of its bytes broken.
TERMINAL = re.compile(
    rb'event: response\.(?:completed|failed|incomplete|cancelled)\ndata: [^\xff\n]*"status":"[^\xff\n]*\n\n'
)
LATE = "no answer came in time"


@define
class Fact:
    """One thing that the session was told. call: of which kind, for what came of one. got: what came.

    asked_at: when the call was made; for the end of a stream, that of the answer that it was.
    """

    at: float
    call: str
    got: Answer | str
    asked_at: float = 0.0


@define
class Asked:
    """One call that was made. starting_after: the number that it named; cursor: the last number that had come."""

    at: float
    call: str
    starting_after: int | None
    cursor: int | None


@define
class Run:
    """What happened. begins_at: how many events the session was not to be told again. outcome: None if it never ended.

    progressed: how many repairs there had been, each time that events were applied. applied_at: when each was.
    was_told_end: whether a whole terminal event came while the session read the stream.
    asked: each call that was made. overlaps: calls that were made while one of their kind was still unanswered.
    facts: answers, failures and ends of streams; chunks are not kept. trouble: what the shell itself saw go wrong.
    cancelled_at: when the caller asked for it.
    """

    script: Script
    truth: Truth
    start: State
    begins_at: int
    session: Session
    gateway: ModelGateway
    applied: list[Applied] = field(factory=list[Applied])
    asked: list[Asked] = field(factory=list[Asked])
    overlaps: list[Asked] = field(factory=list[Asked])
    facts: list[Fact] = field(factory=list[Fact])
    outcome: Outcome | None = None
    cancelled_at: float | None = None
    left_at: float | None = None
    at: float = 0.0
    progress_at: float = 0.0
    was_told_end: bool = False
    progressed: set[int] = field(factory=set[int])
    applied_at: list[float] = field(factory=list[float])
    steps: int = 0
    trouble: str = ""

    @property
    def has_upset(self) -> bool:
        """Whether anything was wrong with any answer that was asked for."""
        return bool(self.gateway.met) or any(fact.got == LATE for fact in self.facts)


def perform(script: Script, library: Library) -> Run:
    """Do one run, to its end or to the bounds of time and steps."""
    shell = _Shell(script, library)
    shell.follow()
    return shell.run


class _Shell:
    def __init__(self, script: Script, library: Library) -> None:
        telling = library.tell(script)
        seen = min(script.after, len(telling.lines) - 1) if script.start in {"after", "restored"} else 0
        self._gateway = ModelGateway(script, telling, seen=seen if script.start == "restored" else 0)
        patience = Patience(
            sequence_policy=self._gateway.truth.policy,
            total_seconds=script.total_seconds,
            window_events=script.window_events,
            max_attempts=script.max_attempts,
            max_frame_bytes=script.max_frame_bytes,
        )
        start = State.under(patience.sequence_policy)
        if script.start == "restored":
            start = fold((decode_event(line.data) for line in telling.lines[:seen]), start)
        after = telling.lines[seen - 1].number if script.start == "after" and seen else None
        is_created = script.start == "create"
        session = Session(
            None if is_created else RESPONSE_ID,
            chance=Random(script.seed).random,
            now=0.0,
            starting_after=after,
            state=start,
            patience=patience,
            is_connected=is_created,
        )
        self.run = Run(script, self._gateway.truth, start, seen, session, self._gateway)
        self._session = session
        self._idle_seconds = patience.idle_seconds
        self._now = self._heard_at = 0.0
        self._connection = self._gateway.create(now=0.0) if is_created else None
        self._asked = Connect()
        self._calls: list[tuple[float, Call, Connection | Answer | str]] = []
        self._asked_at: dict[str, float] = {}
        self._deeds = sorted(script.deeds, key=lambda deed: deed.at)
        self._deadline = inf
        self._repairs = 0
        self._brought: list[Applied] = []  # by chunks, since it was last looked at
        self._cursor = after if start.cursor is None else start.cursor

    def follow(self) -> None:
        run = self.run
        self._obey()
        while self._session.outcome is None:
            run.steps += 1
            self._repairs = len(self._session.repairs)
            if self._step():
                self._hear()
            if run.trouble or self._now > MOST_SECONDS or run.steps > MOST_STEPS:
                run.trouble = run.trouble or f"it did not end in {self._now:g} s and {run.steps} steps"
                return
        run.applied += self._brought
        run.at, run.outcome = self._now, self._session.outcome
        self._tell_more()

    def _hear(self) -> None:
        """Take what the session makes of the last fact."""
        if self.run.script.is_restless:
            self._session.receive_time(now=self._now)
        if applied := self._brought:
            self._brought = []
            self.run.applied += applied
            self._cursor = applied[-1].event.sequence_number
            self.run.applied_at += [self._now] * len(applied)
            self.run.progress_at = self._now
            self.run.progressed.add(self._repairs)
        self._obey()

    def _obey(self) -> None:
        """Carry out what the session asks for. What stands behind a Wait is only for show."""
        needed, before = self._session.needs_shell, self._deadline
        self._deadline = inf
        for action in self._session.actions():
            if isinstance(action, Wait):
                self._deadline = self._now + action.seconds
                break
            if not needed:
                self.run.trouble = f"it said that nothing is to be done, and then {action}"
            match action:
                case Connect() | Retrieve() | Cancel():
                    self._ask(action)
                case Finish():
                    self._connection = None
        if not needed and not isclose(self._deadline, before, abs_tol=1e-6):
            self.run.trouble = f"it said that nothing is to be done, and waits until {self._deadline:g}"

    def _ask(self, call: Call) -> None:
        """Make the call; what comes of it is told later."""
        run, name = self.run, _name(call)
        after = call.starting_after if isinstance(call, Connect) else None
        run.asked.append(Asked(self._now, name, after, self._cursor))
        self._asked_at[name] = self._now
        if any(_name(other) == name for _, other, _ in self._calls):
            run.overlaps.append(run.asked[-1])
        match call:
            case Connect(starting_after):
                self._calls = [each for each in self._calls if not isinstance(each[1], Connect)]
                self._connection, self._asked = None, call
                reply = self._gateway.connect(starting_after, now=self._now)
            case Retrieve():
                reply = self._gateway.retrieve(now=self._now)
            case _:
                reply = self._gateway.cancel(now=self._now)
        self._expect(call, reply.at, reply.got)

    def _expect(self, call: Call, at: float, got: Connection | Answer | str) -> None:
        if at - self._now > self._idle_seconds:
            at, got = self._now + self._idle_seconds, LATE
        self._calls.append((at, call, got))

    def _step(self) -> bool:
        """Tell the session whatever comes first. Returns: whether there was anything to tell."""
        connection = self._connection
        next_bytes = connection.due if connection else inf
        silence = self._heard_at + self._idle_seconds if connection else inf
        place = min(range(len(self._calls)), key=lambda each: self._calls[each][0], default=-1)
        next_answer = self._calls[place][0] if place >= 0 else inf
        next_deed = self._deeds[0].at if self._deeds else inf
        first = min(next_bytes, silence, next_answer, next_deed, self._deadline)
        if first == inf:
            self.run.trouble = "the session waits for nothing"
            return False
        self._now = max(self._now, first)
        if first == next_bytes and connection:
            return self._read(connection)
        elif first == next_answer:
            self._answer(*self._calls.pop(place)[1:])
        elif first == next_deed:
            self._act(self._deeds.pop(0))
        elif first == self._deadline:
            self._session.receive_time(now=self._now)
        else:
            self._connection = None
            self._fail(self._asked, f"no byte came for {self._idle_seconds:g} s")
        return True

    def _read(self, connection: Connection) -> bool:
        match connection.take(self._now):
            case Ended():
                self._connection = None
                self.run.facts.append(self._fact("connect", "ended"))
                self._session.receive_eof(now=self._now)
            case Broken():
                self._connection = None
                self._fail(self._asked, "the connection broke off")
            case bytes(chunk):
                if not chunk:
                    return False
                self._heard_at = self._now
                if self._session.is_reading and TERMINAL.search(chunk):
                    self.run.was_told_end = True
                self._brought += self._session.receive_chunk(chunk, now=self._now)
        return True

    def _answer(self, call: Call, got: Connection | Answer | str) -> None:
        match got:
            case Connection():
                self._connection, self._heard_at = got, self._now
                self.run.facts.append(self._fact("connect", "connected"))
                self._session.receive_connected(now=self._now)
            case Answer():
                self.run.facts.append(self._fact(_name(call), got))
                self._session.receive_answer(call, got, now=self._now)
            case str():
                self._fail(call, got)

    def _fact(self, call: str, got: Answer | str) -> Fact:
        return Fact(self._now, call, got, self._asked_at.get(call, 0.0))

    def _fail(self, call: Call, reason: str) -> None:
        self.run.facts.append(self._fact(_name(call), reason))
        self._session.receive_failure(call, reason, now=self._now)

    def _act(self, deed: Deed) -> None:
        run = self.run
        match deed.what:
            case "cancel":
                run.cancelled_at = self._now if run.cancelled_at is None else run.cancelled_at
                self._session.receive_cancel(now=self._now)
            case "notice":
                self._session.receive_notice(now=self._now)
            case "leave":
                run.left_at = self._now
                self._session.receive_leave(now=self._now)

    def _tell_more(self) -> None:
        """Facts that come after the end change nothing, and ask for nothing."""
        session, late = self._session, self._now + 1
        session.receive_connected(now=late)
        lines = self._gateway.truth.feed.lines[-2:]
        brought = [each for line in lines for each in session.receive_chunk(line.wire, now=late)]
        session.receive_eof(now=late)
        for call in (Connect(), Retrieve(), Cancel()):
            session.receive_failure(call, "late", now=late)
            session.receive_answer(call, Answer(500), now=late)
        session.receive_notice(now=late)
        session.receive_leave(now=late)
        session.receive_cancel(now=late)
        session.receive_time(now=late + 1e6)
        if session.outcome is not self.run.outcome or brought or session.actions() or session.is_reading:
            self.run.trouble = "facts after the end did something"


def _name(call: Call) -> str:
    return type(call).__name__.lower()
