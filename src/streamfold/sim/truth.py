"""One response as it really is, at every time: which events exist, what its status is, what a cancel did to it.

In      a Telling and a Manner; cancels, with the time at which they arrive
Out     a Feed that connections read from; statuses and Responses by time
Units   virtual seconds
Errors  none
Source  the dialects of cancels in docs/reference/emulator.md; protocol reference 6

Time only goes forward, and what comes by itself is fixed beforehand: so a cancel can be carried out in the lists when
it arrives, though it takes effect later.
"""

from math import inf

from streamfold.fold import SequencePolicy, State, adopt, fold, snapshot_json
from streamfold.schema import ResponseStatus, decode_event, is_terminal_status
from streamfold.sim.script import Manner
from streamfold.sim.telling import Line, Telling, with_response

__all__ = ["Feed", "Truth"]

POLICIES = {"holes": SequencePolicy.RENUMBER, "zeros": SequencePolicy.ARRIVAL}
CANCELLED = str(ResponseStatus.CANCELLED)
# What stays of the stream after a cancel, by dialect: its end is told so; or it is cut off untold; or it is hung up, and
# whole for whoever opens it again; or it just goes on.
ENDS_WITH = {"failed-holding-cancelled": "response.failed"}
UNTOLD, HANGS_UP, GOES_ON = "ends-silently", "openai", "completes-anyway"


class Feed:
    """Events, each from its own time on. closed_at: when the stream ends; never, for inf."""

    def __init__(self, lines: list[Line], times: list[float], *, closed_at: float) -> None:
        self.lines = lines
        self.times = times
        self.closed_at = closed_at
        self.hung_up_at = inf  # connections that are open then end there


class Truth:
    """The response. seen: how many of its events there are before the run begins, at least.

    began: when it did, before the run or at its beginning. cancelled: the Response, once a cancel was taken.
    told_in_cancelled: the events whose text is in it.

    natural_end: when it ends, if it is let. cancelled_at: when a cancel of ours took effect, inf if none did.
    """

    def __init__(self, telling: Telling, manner: Manner, *, head_start_seconds: float, seen: int) -> None:
        self.telling = telling
        self._manner = manner
        count, pause = len(telling.lines), manner.pause_seconds
        times = [manner.pace_seconds * place + pause * (2 * place > count) for place in range(count)]
        self.began: float = -max(head_start_seconds, times[seen - 1] if seen else 0.0)
        times = [self.began + time for time in times]
        self.natural_end: float = inf if manner.ending == "never" else times[-1]
        self.cancelled_at: float = inf
        self.feed: Feed = Feed(list(telling.lines), times, closed_at=self.natural_end)
        self.cancelled: bytes = b""
        self.told_in_cancelled: tuple[Line, ...] = ()

    @property
    def ends_at(self) -> float:
        """When it is over."""
        return self.natural_end if self._manner.cancel == GOES_ON else min(self.natural_end, self.cancelled_at)

    def status_at(self, now: float) -> str:
        """What a GET says then."""
        if now >= self.cancelled_at and (self._manner.cancel != GOES_ON or now < self.natural_end):
            return CANCELLED
        return self.telling.status if now >= self.natural_end else "in_progress"

    def response_at(self, now: float) -> bytes:
        """The Response that a GET gives then."""
        status = self.status_at(now)
        if status == CANCELLED:
            return self.cancelled
        return self.telling.ended if is_terminal_status(status) else self.telling.running

    @property
    def policy(self) -> SequencePolicy:
        """How the numbers of this gateway are to be read."""
        return POLICIES.get(self._manner.numbering, SequencePolicy.STRICT)

    def cancel(self, *, at: float) -> None:
        """A cancel arrives then. One that comes too late, or a second one, changes nothing."""
        effect = at + self._manner.cancel_seconds
        if self.cancelled_at < inf or effect >= self.natural_end:
            return
        self.cancelled_at = effect
        feed, dialect = self.feed, self._manner.cancel
        there = sum(time <= effect for time in feed.times)
        self.cancelled = self._cancelled_response(there)
        if dialect == HANGS_UP:
            feed.hung_up_at = effect
        elif dialect != GOES_ON:
            del feed.lines[there:], feed.times[there:]
            feed.closed_at = effect
            if dialect != UNTOLD:
                kind = ENDS_WITH.get(dialect, "response.cancelled")
                feed.lines.append(self.telling.line(with_response(kind, self._next_number(there), self.cancelled)))
                feed.times.append(effect)

    def _next_number(self, place: int) -> int | None:
        lines = self.telling.lines
        if place == 0 or lines[0].number is None:
            return lines[0].number
        step = (lines[1].number or 0) - (lines[0].number or 0)
        return (lines[0].number or 0) + step * place

    def _cancelled_response(self, there: int) -> bytes:
        body = self.telling.running.replace(b'"status":"in_progress"', b'"status":"cancelled"', 1)
        if not self._manner.keeps_output:
            return body
        self.told_in_cancelled = self.telling.lines[:there]
        events = [decode_event(line.data) for line in self.telling.lines[:there]]
        return snapshot_json(adopt(fold(events, State.under(self.policy)), body))
