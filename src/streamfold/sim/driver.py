"""Drive a session against a model gateway in virtual time.

It carries out the steps of `drive`, as adversarially as the contract allows: it reads an old stream until the next Connect,
lets calls overtake each other, and reports facts after the end. Nothing sleeps: the next fact is whatever is due first.
"""

import re
from math import inf, isclose
from random import Random
from typing import NamedTuple

from attrs import define, field

from streamfold.fold import State
from streamfold.session import (
    Answer,
    Applied,
    Call,
    Cancel,
    Close,
    Connect,
    Outcome,
    Patience,
    Retrieve,
    Session,
    Wait,
    drive,
)
from streamfold.sim.gateway import END_OF_TIME, ENDED, ModelGateway, ModelStream
from streamfold.sim.response import CANCELLED, Truth
from streamfold.sim.scenario import Scenario
from streamfold.sim.transcript import ModelEvent, TranscriptCache, fold_across

MAX_SECONDS = 6 * 3600.0
MAX_STEPS = 100_000
# A frame with a terminal event, none of its bytes broken.
TERMINAL = re.compile(
    rb'event: response\.(?:completed|failed|incomplete|cancelled)\ndata: [^\xff\n]*"status":"[^\xff\n]*\n\n'
)
LATE = "no answer came in time"


@define
class Fact:
    """One answer, failure or end of a stream that the session got.

    Attributes:
        call: The kind of call that it answers.
        got: The answer, or what happened instead.
        asked_at: When the call was made; for the end of a stream, the call that opened it.
    """

    at: float
    call: str
    got: Answer | str
    asked_at: float = 0.0

    @property
    def status(self) -> int:
        """The HTTP status; 0 if no answer came."""
        return self.got.status if isinstance(self.got, Answer) else 0

    @property
    def body(self) -> bytes:
        """The body of the answer, if one came."""
        return self.got.body if isinstance(self.got, Answer) else b""

    @property
    def is_json_success(self) -> bool:
        """Whether a JSON answer of success came: where a stream was requested, a Response."""
        return isinstance(self.got, Answer) and self.got.is_success and self.got.is_json

    @property
    def retry_after_seconds(self) -> float:
        """How long the answer asked to wait."""
        return float(self.got.headers.get("retry-after", 0)) if isinstance(self.got, Answer) else 0.0

    def shows(self, *statuses: str) -> bool:
        """Whether a Response of one of these statuses came. Its status stands before that of any item."""
        status = self.body.partition(b'"status":"')[2].partition(b'"')[0] if self.body.endswith(b"}") else b""
        return status.decode() in statuses


class CallMade(NamedTuple):
    """One call of the session, with the number to resume after and the last number that had been applied."""

    at: float
    call: str
    starting_after: int | None
    cursor: int | None


@define
class Run:
    """What happened in one run, whether it ended or not.

    Attributes:
        begins_at: How many events the session had seen before.
        overlaps: Calls that were made before the last one of their kind was answered.
        facts: Answers, failures and ends of streams, without the chunks.
        progressed: The number of repairs made so far, each time that events were applied.
        saw_terminal: Whether a whole terminal event came while the session was reading.
        trouble: What the driver itself found wrong.
    """

    scenario: Scenario
    truth: Truth
    start: State
    begins_at: int
    patience: Patience
    session: Session
    gateway: ModelGateway
    applied: list[Applied] = field(factory=list[Applied])
    applied_at: list[float] = field(factory=list[float])
    calls: list[CallMade] = field(factory=list[CallMade])
    overlaps: list[CallMade] = field(factory=list[CallMade])
    facts: list[Fact] = field(factory=list[Fact])
    outcome: Outcome | None = None
    cancelled_at: float | None = None
    left_at: float | None = None
    at: float = 0.0
    saw_terminal: bool = False
    progressed: set[int] = field(factory=set[int])
    steps: int = 0
    trouble: str = ""

    @property
    def events(self) -> list[ModelEvent]:
        """The events that the response really has."""
        return self.truth.feed.events

    @property
    def went_wrong(self) -> bool:
        """Whether anything was wrong with any answer so far."""
        return bool(self.gateway.met) or any(fact.got == LATE for fact in self.facts)

    @property
    def saw_other_end(self) -> bool:
        """Whether a terminal event was applied that does not say cancelled."""
        return bool(self.applied) and self.applied[-1].state.is_terminal and self.applied[-1].state.status != CANCELLED

    def calls_of(self, call: str) -> list[CallMade]:
        """The calls of one kind."""
        return [each for each in self.calls if each.call == call]

    def facts_of(self, call: str) -> list[Fact]:
        """What the calls of one kind brought."""
        return [fact for fact in self.facts if fact.call == call]


def simulate(scenario: Scenario, transcripts: TranscriptCache) -> Run:
    """Carry out one run, to its end or to the bounds of time and steps."""
    return _Driver(scenario, transcripts).run_to_end()


class _Driver:
    def __init__(self, scenario: Scenario, transcripts: TranscriptCache) -> None:
        transcript = transcripts.get(scenario)
        seen = min(scenario.after, len(transcript.events) - 1) if scenario.start in {"after", "restored"} else 0
        self._gateway = ModelGateway(scenario, transcript, seen=seen if scenario.start == "restored" else 0)
        patience = Patience(
            sequence_policy=self._gateway.truth.policy,
            total_seconds=scenario.total_seconds,
            window_events=scenario.window_events,
            max_attempts=scenario.max_attempts,
            max_frame_bytes=scenario.max_frame_bytes,
        )
        start = State.under(patience.sequence_policy)
        if scenario.start == "restored":
            start = fold_across((event.data for event in transcript.events[:seen]), start)
        after = transcript.events[seen - 1].number if scenario.start == "after" and seen else None
        is_created = scenario.start == "create"
        self._session = Session(
            scenario.followed_id,
            random=Random(scenario.seed).random,
            now=0.0,
            starting_after=after,
            state=start,
            patience=patience,
            is_connected=is_created,
            is_background=scenario.asked_background,
        )
        self.run = Run(scenario, self._gateway.truth, start, seen, patience, self._session, self._gateway)
        self._idle_seconds = patience.idle_seconds
        self._now = self._read_at = 0.0
        self._stream = self._gateway.create(now=0.0) if is_created else None
        self._opened_by = Connect()
        self._is_posted = is_created  # whether the stream is that of the POST
        self._pending: list[tuple[float, Call, ModelStream | Answer | str]] = []
        self._called_at: dict[str, float] = {}
        self._actions = sorted(scenario.actions, key=lambda action: action.at)
        self._deadline = inf
        self._is_needed = self._session.needs_driver
        self._new: list[Applied] = []
        self._cursor = after if start.cursor is None else start.cursor

    def run_to_end(self) -> Run:
        session, run = self._session, self.run
        for step in drive(session):
            if isinstance(step, Wait):
                self._report_next_fact(step.seconds)
                if run.trouble:
                    return run
            elif isinstance(step, Connect | Retrieve | Cancel):
                self._ask(step)
            elif isinstance(step, Close):  # the old stream is read until the next Connect, though the gateway knows
                self._lose_post()
        run.at, run.outcome = self._now, session.outcome
        run.truth.feed.advance(END_OF_TIME)
        self._report_late_facts()
        return run

    def _report_next_fact(self, wait_seconds: float) -> None:
        """Report what is due first. The session may have a step after it even if it says that it needs no driver."""
        run, deadline = self.run, self._now + wait_seconds
        if not self._is_needed and not isclose(deadline, self._deadline, abs_tol=1e-6):
            run.trouble = f"it needed no driver, and then waits until {deadline:g}"
        self._deadline = deadline
        repairs, is_reported = len(self._session.repairs), False
        while not is_reported and not run.trouble:
            run.steps += 1
            is_reported = self._step()
            if self._now > MAX_SECONDS or run.steps > MAX_STEPS:
                run.trouble = f"it did not end in {self._now:g} s and {run.steps} steps"
        if run.scenario.is_restless:
            self._session.receive_time(now=self._now)
        if applied := self._new:
            self._new = []
            run.applied += applied
            run.applied_at += [self._now] * len(applied)
            run.progressed.add(repairs)
            self._cursor = applied[-1].event.sequence_number
        self._is_needed = self._session.needs_driver

    # Calls

    def _ask(self, call: Call) -> None:
        """Make a call. The session gets its answer when it is due."""
        run, name = self.run, _name(call)
        if not self._is_needed:
            run.trouble = f"it needed no driver, and then asks for {call}"
        after = call.starting_after if isinstance(call, Connect) else None
        run.calls.append(CallMade(self._now, name, after, self._cursor))
        self._called_at[name] = self._now
        if any(_name(other) == name for _, other, _ in self._pending):
            run.overlaps.append(run.calls[-1])
        match call:
            case Connect():
                self._pending = [each for each in self._pending if not isinstance(each[1], Connect)]
                self._lose_post()
                self._stream, self._opened_by = None, call
                at, got = self._gateway.connect(after, now=self._now)
            case Retrieve():
                at, got = self._gateway.retrieve(now=self._now)
            case _:
                at, got = self._gateway.cancel(now=self._now)
        if at - self._now > self._idle_seconds:
            at, got = self._now + self._idle_seconds, LATE
        self._pending.append((at, call, got))

    # Facts

    def _step(self) -> bool:
        """Report the fact that is due first. Of facts due at once, bytes come first and silence last."""
        stream, pending, actions = self._stream, self._pending, self._actions
        due = [
            (stream.due if stream else inf, self._read),
            (min((at for at, _, _ in pending), default=inf), self._answer),
            (actions[0].at if actions else inf, self._act),
            (self._deadline, self._wake),
            (self._read_at + self._idle_seconds if stream else inf, self._time_out),
        ]
        first, report = min(due, key=lambda each: each[0])
        if first == inf:
            self.run.trouble = "the session waits for nothing"
            return False
        self._now = max(self._now, first)
        return report()

    def _read(self) -> bool:
        assert self._stream is not None
        got = self._stream.take(self._now)
        if isinstance(got, str):
            self._stream = None
            self._lose_post()
            if got != ENDED:
                return self._fail(self._opened_by, got)
            self.run.facts.append(self._fact("connect", got))
            self._session.receive_eof(now=self._now)
        elif got:
            self._read_at = self._now
            self.run.saw_terminal |= self._session.is_reading and TERMINAL.search(got) is not None
            self._new += self._session.receive_chunk(got, now=self._now)
        return got != b""

    def _answer(self) -> bool:
        place = min(range(len(self._pending)), key=lambda each: self._pending[each][0])
        _, call, got = self._pending.pop(place)
        match got:
            case ModelStream():
                self._stream, self._read_at = got, self._now
                self.run.facts.append(self._fact("connect", "connected"))
                self._session.receive_connected(now=self._now)
            case Answer():
                self.run.facts.append(self._fact(_name(call), got))
                self._session.receive_answer(call, got, now=self._now)
            case str():
                self._fail(call, got)
        return True

    def _act(self) -> bool:
        run, action = self.run, self._actions.pop(0)
        match action.what:
            case "cancel":
                run.cancelled_at = self._now if run.cancelled_at is None else run.cancelled_at
                self._session.receive_cancel(now=self._now)
            case "notice":
                self._session.receive_notice(now=self._now)
            case "leave":
                run.left_at = self._now
                self._session.receive_leave(now=self._now)
        return True

    def _wake(self) -> bool:
        self._session.receive_time(now=self._now)
        return True

    def _lose_post(self) -> None:
        """The stream that is open is closed: if it is the POST's, a gateway of a foreground response may stop."""
        if self._is_posted:
            self._is_posted = False
            self._gateway.close(now=self._now)

    def _time_out(self) -> bool:
        self._stream = None
        self._lose_post()
        return self._fail(self._opened_by, f"no byte came for {self._idle_seconds:g} s")

    def _fail(self, call: Call, reason: str) -> bool:
        self.run.facts.append(self._fact(_name(call), reason))
        self._session.receive_failure(call, reason, now=self._now)
        return True

    def _fact(self, call: str, got: Answer | str) -> Fact:
        return Fact(self._now, call, got, self._called_at.get(call, 0.0))

    def _report_late_facts(self) -> None:
        """Facts after the end must change nothing and cause no action."""
        session, late = self._session, self._now + 1
        session.actions()  # which is to finish
        session.receive_connected(now=late)
        applied = [each for event in self.run.events[-2:] for each in session.receive_chunk(event.wire, now=late)]
        session.receive_eof(now=late)
        for call in (Connect(), Retrieve(), Cancel()):
            session.receive_failure(call, "late", now=late)
            session.receive_answer(call, Answer(500), now=late)
        session.receive_notice(now=late)
        session.receive_leave(now=late)
        session.receive_cancel(now=late)
        session.receive_time(now=late + 1e6)
        if session.outcome is not self.run.outcome or applied or session.actions() or session.is_reading:
            self.run.trouble = "facts after the end did something"


def _name(call: Call) -> str:
    return type(call).__name__.lower()
