"""A gateway that serves one response in virtual time: what it answers to each call, and when.

A call is served when it is made (a cancel, when it arrives). Its answer comes later, and may be out of date by then.
The emulator decides what is refused, and in which words.
"""

import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import TypeAlias

from streamfold.chaos import (
    Cut,
    Drop,
    Effect,
    Fault,
    FaultInjector,
    How,
    Html,
    Pause,
    Refuse,
    Send,
    Where,
    parse_faults,
)
from streamfold.emulator import stream_refusal
from streamfold.schema import OPENAI, is_terminal_status
from streamfold.session import Answer
from streamfold.sim.response import Feed, Truth
from streamfold.sim.scenario import NOTHING, GatewayBehaviour, Injection, Outage, Scenario
from streamfold.sim.transcript import Transcript, response_event

# How a stream ends: in order, as far as HTTP can tell, or not.
ENDED, BROKEN = "ended", "the connection broke off"
COMMENT = b":\n\n"
END_OF_TIME = 1e12
NEVER = Outage(END_OF_TIME)
GZIP_WINDOW = 31
JSON: Mapping[str, str] = {"content-type": "application/json"}
# How real servers refuse to cancel a foreground response: OpenAI, Azure, ogx, and gateways without such a route.
FOREGROUND_REFUSALS: Mapping[str, Answer] = {
    "400": Answer(400, JSON, b'{"error":{"message":"Cannot cancel a synchronous response."}}'),
    "404": Answer(404, JSON, b'{"error":{"message":"No response found with that id."}}'),
    "405": Answer(405, JSON, b'{"detail":"Method Not Allowed"}'),
    "409": Answer(409, JSON, b'{"detail":"only background responses can be cancelled"}'),
    "501": Answer(501, JSON, b'{"error":"not implemented"}'),
}
HTML = Answer(200, {"content-type": "text/html; charset=utf-8"}, b"<html><body>Please sign in.</body></html>")
WINDOW_SECONDS = 300.0
CURSOR = "starting_after is not supported for this response."


class ModelStream:
    """One stream on its way to the session, with the faults of its answer.

    Ask `due` when something comes next, and `take` it then.
    """

    def __init__(
        self,
        feed: Feed,
        behaviour: GatewayBehaviour,
        faults: Sequence[Fault],
        *,
        first: int,
        now: float,
        outage: Outage | None = None,
    ) -> None:
        """Begin with the event at place `first` of the feed. outage: The one that ends it."""
        self._outage = outage or NEVER
        self._feed = feed
        self._place = first
        self._opened_at = self._ready_at = self._sent_at = now
        self._heartbeat = behaviour.heartbeat_seconds or inf
        self._joins = behaviour.joins and not faults
        self._injector = FaultInjector(faults)
        self._unzip = zlib.decompressobj(GZIP_WINDOW) if self._injector.encoding else None
        self._acts: deque[Effect] = deque(self._injector.open())
        if behaviour.retry_milliseconds:
            self._acts += self._injector.data(b"retry: %d\n\n" % behaviour.retry_milliseconds)
        self._is_closing = False
        self.is_over: bool = False

    @property
    def due(self) -> float:
        """When something comes next; inf for never."""
        if self.is_over:
            return inf
        if self._acts or self._is_closing:
            due = self._ready_at
        else:
            due = max(self._ready_at, min(self._next_at, self._sent_at + self._heartbeat))
        if due < self._outage.at:
            return due
        return inf if self._outage.how == "silent" else self._outage.at

    @property
    def _next_at(self) -> float:
        """When the next event comes, or the end."""
        at, hung_up_at = self._feed.next_at(self._place), self._feed.hung_up_at
        return min(at, hung_up_at) if self._opened_at < hung_up_at else at

    def take(self, now: float) -> bytes | str:
        """What comes now, or how the stream ends. No bytes: a delay begins."""
        if now >= self._outage.at:
            self.is_over = True
            return BROKEN
        self._feed.advance(now)
        if not self._acts and not self._is_closing:
            if self._next_at > now:
                return self._send(COMMENT, now) if now >= self._sent_at + self._heartbeat else b""
            if (joined := self._advance(now)) is not None:
                return self._send(joined, now)
        if self._acts:
            return self._do(self._acts.popleft(), now)
        self.is_over = self._is_closing
        return ENDED if self.is_over else b""

    def _do(self, act: Effect, now: float) -> bytes | str:
        match act:
            case Send(data):
                return self._send(self._unzip.decompress(data) if self._unzip else data, now)
            case Pause(seconds):
                self._ready_at = now + seconds
                return b""
            case Cut(how, where):
                self.is_over = True
                return ENDED if how is How.FIN and where is not Where.CHUNK else BROKEN

    def _send(self, data: bytes, now: float) -> bytes:
        self._sent_at = now
        return data

    def _advance(self, now: float) -> bytes | None:
        """Move to the next event, or to the end. Returns the bytes of all events that come together, if they do."""
        feed = self._feed
        limit = min(now, feed.hung_up_at) if self._opened_at < feed.hung_up_at else now
        begin, end = self._place, len(feed.times)
        if begin >= end or feed.times[begin] > limit:
            self._acts.extend(self._injector.close())
            self._is_closing = True
            return None
        self._place += 1
        if not self._joins:
            self._acts.extend(self._injector.frame(feed.events[begin].frame))
            return None
        while self._place < end and feed.times[self._place] <= limit:
            self._place += 1
        return b"".join(event.wire for event in feed.events[begin : self._place])


# What comes after a call, and when: a stream, an answer, or the reason why nothing came.
Served: TypeAlias = tuple[float, "ModelStream | Answer | str"]


class ModelGateway:
    """Serve one response.

    Attributes:
        invented: The data of events that were made up to answer a call.
        met: The name of everything that went wrong with an answer so far.
    """

    def __init__(self, scenario: Scenario, transcript: Transcript, *, seen: int = 0) -> None:
        """Serve a caller that has seen `seen` of the events before."""
        self._behaviour = scenario.behaviour
        self.truth: Truth = Truth(
            transcript, scenario.behaviour, head_start_seconds=scenario.head_start_seconds, seen=seen
        )
        self.invented: set[bytes] = set()
        self.met: list[str] = []
        self._outages = sorted(scenario.outages, key=lambda outage: outage.at)
        self._injections = {kind: iter(getattr(scenario, kind)) for kind in ("streams", "retrieves", "cancels")}

    def create(self, *, now: float) -> ModelStream:
        """The stream of the POST that creates the response."""
        return self._of(self.truth.feed, self._inject("streams")[1], first=0, now=now)

    def connect(self, starting_after: int | None, *, now: float) -> Served:
        """GET the stream."""
        if (outage := self._outage_at(now)) is not None:
            return _unreachable(outage, now)
        injection, faults = self._inject("streams")
        at = now + injection.seconds
        got = _in_place_of_any(injection, faults) or self._refusal(injection, starting_after, now)
        return self._served(now, at, got or self._stream(injection, faults, starting_after, now, at))

    def retrieve(self, *, now: float) -> Served:
        """GET the Response."""
        if (outage := self._outage_at(now)) is not None:
            return _unreachable(outage, now)
        injection, faults = self._inject("retrieves")
        got = _in_place_of_any(injection, faults) or self._retrieved(injection, now)
        return self._served(now, now + injection.seconds, got)

    def cancel(self, *, now: float) -> Served:
        """POST the cancel."""
        if (outage := self._outage_at(now)) is not None:
            return _unreachable(outage, now)
        at, got = self._cancel(now)
        return self._served(now, at, got)

    def _outage_at(self, now: float) -> Outage | None:
        """The outage that a call meets which is made now."""
        for outage in self._outages:
            if outage.at <= now < outage.until:
                self.met.append(f"outage {outage.how}")
                return outage
        return None

    def _served(self, now: float, at: float, got: "ModelStream | Answer | str") -> Served:
        """The answer, unless an outage comes before it."""
        outage = self._next_outage(now)
        if outage is None or at < outage.at:
            return at, got
        return (END_OF_TIME, BROKEN) if outage.how == "silent" else (outage.at, BROKEN)

    def _next_outage(self, now: float) -> Outage | None:
        outage = next((each for each in self._outages if each.at > now), None)
        if outage is not None:
            self.met.append(f"outage {outage.how}")
        return outage

    def _of(self, feed: Feed, faults: tuple[Fault, ...], *, first: int, now: float) -> ModelStream:
        outage = self._next_outage(now)
        return ModelStream(feed, self._behaviour, faults, first=first, now=now, outage=outage)

    def _cancel(self, now: float) -> Served:
        injection, faults = self._inject("cancels")
        arrives = now + injection.lag_seconds
        at = arrives + injection.seconds
        instead = _in_place_of_any(injection, faults)
        is_refused = any(isinstance(fault, Refuse) for fault in faults)
        if instead is not None and (is_refused or injection.answer not in {"lost", "taken"}):
            return at, instead  # and not carried out
        answer = self._cancelled(arrives)
        if injection.answer == "open":
            answer = Answer(200, JSON, self.truth.transcript.running)
        elif injection.answer == "torn":
            answer = Answer(200, JSON, answer.body[:40])
        return at, instead or answer

    def close(self, *, now: float) -> None:
        """The connection of the POST was closed, or it broke."""
        if not self._behaviour.background:
            self.truth.leave(at=now)

    def _inject(self, kind: str) -> tuple[Injection, tuple[Fault, ...]]:
        """What goes wrong with this call of its kind."""
        injection: Injection = next(self._injections[kind], NOTHING)
        faults = _parsed(injection.faults)
        self.met += [fault.name for fault in faults]
        if injection.answer:
            self.met.append(f"{injection.answer} {kind[:-1]}")
        return injection, faults

    def _retrieved(self, injection: Injection, now: float) -> Answer:
        knows = self._behaviour.retrieve
        if knows == "never" or (knows == "ended" and not is_terminal_status(self.truth.status_at(now))):
            return _refused(404, "No response found with that id.")
        body = self.truth.transcript.running if injection.answer == "open" else self.truth.response_at(now)
        return Answer(200, JSON, body[: len(body) // 2] if injection.answer == "torn" else body)

    def _refusal(self, injection: Injection, starting_after: int | None, now: float) -> Answer | None:
        """What comes instead of a stream."""
        behaviour, truth = self._behaviour, self.truth
        if injection.answer == "json":
            return Answer(200, JSON, truth.response_at(now))
        if injection.answer == "too_old":
            return _unstreamable(age_seconds=WINDOW_SECONDS, window_seconds=WINDOW_SECONDS)
        if injection.answer == "cursor" or (behaviour.cursor == "refused" and starting_after is not None):
            return _refused(400, CURSOR, param="starting_after") if starting_after is not None else None
        window = inf if behaviour.window_seconds is None else behaviour.window_seconds
        age = now - truth.began
        is_streamable = behaviour.is_streamable and not truth.is_zombie
        return _unstreamable(is_streamable=is_streamable, age_seconds=age, window_seconds=window)

    def _stream(
        self, injection: Injection, faults: tuple[Fault, ...], starting_after: int | None, now: float, at: float
    ) -> ModelStream:
        """The stream that is requested now, and begins at a time."""
        behaviour, feed = self._behaviour, self.truth.feed
        feed.advance(now)
        kind = injection.answer or (behaviour.finished if now >= feed.closed_at else "all")
        if kind in {"next", "own"} and now >= self.truth.ends_at:
            feed = self._terminal_alone(kind, starting_after, now)
            return self._of(feed, faults, first=0, now=at)
        if injection.answer == "all" or behaviour.cursor == "ignored" or starting_after is None:
            return self._of(feed, faults, first=0, now=at)
        first = sum(
            event.number is not None and event.number <= starting_after for event in self.truth.transcript.events
        )
        return self._of(feed, faults, first=first, now=at)

    def _terminal_alone(self, kind: str, starting_after: int | None, now: float) -> Feed:
        """The buffer is gone: one terminal event, made up now."""
        own = self.truth.feed.events[-1].number
        number = own
        if kind == "next" and own is not None:
            number = 0 if starting_after is None else starting_after + 1
        data = response_event(f"response.{self.truth.status_at(now)}", number, self.truth.response_at(now))
        event = self.truth.transcript.event(data)
        self.invented.add(event.data)
        return self.truth.feed_of(event, now)

    def _cancelled(self, now: float) -> Answer:
        """Carry out the cancel that arrives now, in the way of the dialect."""
        behaviour, truth = self._behaviour, self.truth
        refusal = FOREGROUND_REFUSALS.get(behaviour.foreground_cancel)
        if not behaviour.background and refusal is not None:
            return refusal
        status = truth.status_at(now)
        # vLLM uses the same words for every response that it cannot cancel.
        says_background = not (behaviour.cancel == "vllm" and is_terminal_status(status))
        if (problem := truth.rule.refusal(status, is_background=says_background)) is not None:
            return _refused(problem.status, problem.message)
        truth.cancel(at=now)
        return Answer(200, JSON, truth.response_at(now))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Fault, ...]:
    return parse_faults(text)


INSTEAD: Mapping[str, Answer | str] = {
    "unsent": "the connection was lost",
    "lost": "the connection was lost",
    "empty": Answer(200),
    "taken": Answer(503, JSON, b'{"error":"Try again."}'),
}


def _in_place_of_any(injection: Injection, faults: tuple[Fault, ...]) -> Answer | str | None:
    """What replaces the answer to a call of any kind."""
    for fault in faults:
        match fault:
            case Refuse(status=status, retry_after=seconds):
                after = {} if seconds is None else {"retry-after": f"{seconds:g}"}
                return Answer(status, {**JSON, **after}, b'{"error":{"message":"Refused on purpose."}}')
            case Html(status=status):
                return Answer(status, HTML.headers, HTML.body)
            case Drop(where=Where.HEAD):
                return "the connection was closed before an answer came"
            case _:
                pass
    return INSTEAD.get(injection.answer)


def _unreachable(outage: Outage, now: float) -> Served:
    match outage.how:
        case "refused":
            return now, "the connection was refused"
        case "503":
            return now, Answer(503, JSON, b'{"error":"Down for maintenance."}')
        case _:
            return END_OF_TIME, BROKEN


def _unstreamable(*, is_streamable: bool = True, age_seconds: float, window_seconds: float) -> Answer | None:
    problem = stream_refusal(
        OPENAI,
        is_background=is_streamable,
        is_streamed=True,
        age_seconds=age_seconds,
        window_seconds=window_seconds,
    )
    return None if problem is None else _refused(problem.status, problem.message)


def _refused(status: int, message: str, *, param: str = "") -> Answer:
    name = f'"{param}"' if param else "null"
    return Answer(status, JSON, f'{{"error":{{"message":"{message}","param":{name},"code":null}}}}'.encode())
