"""A gateway that holds one response: the truth of it, and what it answers, in virtual time.

In      a Script and its Telling; calls, each with its time
Out     a Reply to each: a stream, an answer, or a failure, and when it comes
Units   virtual seconds
Errors  none
Source  docs/explanation/simulation.md; protocol reference 5, 6, 9 and 13

A call is served when it is made (a cancel, when it arrives); its answer comes later, and may be out of date by then.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from attrs import frozen

from streamfold.chaos import Drop, Fault, Html, Refuse, Where, parse_faults
from streamfold.schema import is_terminal_status
from streamfold.session import Answer
from streamfold.sim.connection import Connection
from streamfold.sim.script import Script, Upset
from streamfold.sim.telling import Telling, with_number, with_response
from streamfold.sim.truth import CANCELLED, Feed, Truth

__all__ = ["ModelGateway", "Reply"]

JSON: Mapping[str, str] = {"content-type": "application/json"}
HTML = Answer(200, {"content-type": "text/html; charset=utf-8"}, b"<html><body>Please sign in.</body></html>")
NOTHING = Upset()
SYNCHRONOUS = "Cannot cancel a synchronous response."
TOO_OLD = "This response can no longer be streamed because it is more than 5 minutes old."
NOT_BACKGROUND = "This response cannot be streamed because it was not created with background=true."
CURSOR = "starting_after is not supported for this response."

Got: TypeAlias = Connection | Answer | str


@frozen
class Reply:
    """What comes of a call, and when. got: a string is why nothing came."""

    at: float
    got: Got


class ModelGateway:
    """Serve one response.

    seen: how many of its events whoever asks has seen before. shown: the data of events that were made up, for whoever
    compares what was applied. met: the name of each thing that was wrong with an answer that was asked for.
    """

    def __init__(self, script: Script, telling: Telling, *, seen: int = 0) -> None:
        self.script = script
        self.truth: Truth = Truth(telling, script.manner, head_start_seconds=script.head_start_seconds, seen=seen)
        self.shown: set[bytes] = set()
        self.met: list[str] = []
        self._calls = {"streams": 0, "retrieves": 0, "cancels": 0}

    def create(self, *, now: float) -> Connection:
        """The stream of the POST that makes the response."""
        return self._connection(self.truth.feed, self._faults("streams")[1], first=0, now=now)

    def connect(self, starting_after: int | None, *, now: float) -> Reply:
        """GET the stream."""
        upset, faults = self._faults("streams")
        at = now + upset.seconds
        if (broken := _broken(upset, faults)) is not None:
            return Reply(at, broken)
        return Reply(
            at, self._refusal(upset, starting_after, now) or self._stream(upset, faults, starting_after, now, at)
        )

    def retrieve(self, *, now: float) -> Reply:
        """GET the Response."""
        upset, faults = self._faults("retrieves")
        at = now + upset.seconds
        if (broken := _broken(upset, faults)) is not None:
            return Reply(at, broken)
        knows, status = self.script.manner.retrieve, self.truth.status_at(now)
        if knows == "never" or (knows == "ended" and not is_terminal_status(status)):
            return Reply(at, _refused(404, "No response found with that id."))
        body = self.truth.telling.running if upset.answer == "open" else self.truth.response_at(now)
        return Reply(at, Answer(200, JSON, body[: len(body) // 2] if upset.answer == "torn" else body))

    def cancel(self, *, now: float) -> Reply:
        """POST the cancel."""
        upset, faults = self._faults("cancels")
        arrives, at = now + upset.lag_seconds, now + upset.lag_seconds + upset.seconds
        broken = _broken(upset, faults)
        is_refused = any(isinstance(fault, Refuse) for fault in faults)  # and so not done
        if broken is not None and (is_refused or upset.answer not in {"lost", "taken"}):
            return Reply(at, broken)
        answer = self._cancelled(arrives)
        if broken is not None:
            return Reply(at, broken)
        if upset.answer == "open":
            return Reply(at, Answer(200, JSON, self.truth.telling.running))
        return Reply(at, Answer(200, JSON, answer.body[:40]) if upset.answer == "torn" else answer)

    def _faults(self, kind: str) -> tuple[Upset, tuple[Fault, ...]]:
        """What is wrong with this call of its kind."""
        upsets: dict[str, tuple[Upset, ...]] = {
            "streams": self.script.streams,
            "retrieves": self.script.retrieves,
            "cancels": self.script.cancels,
        }
        count = self._calls[kind]
        self._calls[kind] += 1
        upset = upsets[kind][count] if count < len(upsets[kind]) else NOTHING
        faults = _parsed(upset.faults)
        self.met += [fault.name for fault in faults]
        if upset.answer:
            self.met.append(f"{upset.answer} {kind[:-1]}")
        return upset, faults

    # The stream

    def _refusal(self, upset: Upset, starting_after: int | None, now: float) -> Answer | None:
        manner, truth = self.script.manner, self.truth
        if upset.answer == "json":
            return Answer(200, JSON, truth.response_at(now))
        if upset.answer == "too_old":
            return _refused(400, TOO_OLD)
        if upset.answer == "cursor" or (manner.cursor == "refused" and starting_after is not None):
            return _refused(400, CURSOR, param="starting_after") if starting_after is not None else None
        if not manner.is_streamable:
            return _refused(400, NOT_BACKGROUND)
        if manner.window_seconds is not None and now - truth.began > manner.window_seconds:
            return _refused(400, TOO_OLD)
        return None

    def _stream(
        self, upset: Upset, faults: tuple[Fault, ...], starting_after: int | None, now: float, at: float
    ) -> Connection:
        """The stream that is asked for now, and comes then."""
        manner, feed = self.script.manner, self.truth.feed
        shape = upset.answer or (manner.finished if now >= feed.closed_at else "all")
        if shape in {"next", "own"} and now >= self.truth.ends_at:
            feed = self._terminal_alone(shape, starting_after, now)
            return self._connection(feed, faults, first=0, now=at)
        if upset.answer == "all" or manner.cursor == "ignored" or starting_after is None:
            return self._connection(feed, faults, first=0, now=at)
        first = sum(line.number is not None and line.number <= starting_after for line in feed.lines)
        return self._connection(feed, faults, first=first, now=at)

    def _terminal_alone(self, shape: str, starting_after: int | None, now: float) -> Feed:
        """The buffer is gone: one event that was made up for the occasion."""
        status = self.truth.status_at(now)
        own = self.truth.feed.lines[-1].number
        number = own if shape == "own" or own is None else 0 if starting_after is None else starting_after + 1
        data = with_response(f"response.{status}", number, self.truth.response_at(now))
        line = self.truth.telling.line(with_number(data, number))
        self.shown.add(line.data)
        return Feed([line], [now], closed_at=now)

    def _connection(self, feed: Feed, faults: tuple[Fault, ...], *, first: int, now: float) -> Connection:
        manner = self.script.manner
        return Connection(
            feed,
            first=first,
            now=now,
            faults=faults,
            heartbeat_seconds=manner.heartbeat_seconds,
            retry_milliseconds=manner.retry_milliseconds,
            joins=manner.joins,
        )

    # The cancel

    def _cancelled(self, now: float) -> Answer:
        """Carry out the cancel that arrives now, as the dialect has it. Returns: the answer."""
        manner, truth = self.script.manner, self.truth
        status = truth.status_at(now)
        is_vllm = manner.cancel == "vllm"
        if is_terminal_status(status):
            again = status == CANCELLED and manner.cancel != "conflict409" and not is_vllm
            if again or manner.cancel == "finished200":
                return Answer(200, JSON, truth.response_at(now))
            words = SYNCHRONOUS if is_vllm else f"Cannot cancel a {status} response."
            return _refused(409 if manner.cancel == "conflict409" else 400, words)
        if not manner.background:
            return _refused(400, SYNCHRONOUS)
        truth.cancel(at=now)
        return Answer(200, JSON, truth.response_at(now))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Fault, ...]:
    return parse_faults(text)


def _broken(upset: Upset, faults: tuple[Fault, ...]) -> Answer | str | None:
    """What comes in the place of any answer, whoever was asked."""
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
    match upset.answer:
        case "unsent" | "lost":
            return "the connection was lost"
        case "empty":
            return Answer(200)
        case "taken":
            return Answer(503, JSON, b'{"error":"Try again."}')
        case _:
            return None


def _refused(status: int, message: str, *, param: str = "") -> Answer:
    told = f'"{param}"' if param else "null"
    return Answer(status, JSON, f'{{"error":{{"message":"{message}","param":{told},"code":null}}}}'.encode())
