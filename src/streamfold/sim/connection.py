"""One stream on its way to us, in virtual time, with the faults of its answer.

In      a Feed, the first event that was asked for, and chaos faults
Out     what comes next, and when: chunks, silence, an end in order, or a break
Units   virtual seconds
Errors  none
Source  docs/explanation/simulation.md
"""

import zlib
from collections import deque
from collections.abc import Sequence
from math import inf

from streamfold.chaos import Act, Cut, Disturbance, Fault, How, Send, Wait, Where
from streamfold.sim.truth import Feed

__all__ = ["Broken", "Connection", "Ended"]

COMMENT = b":\n\n"
GZIP_WINDOW = 31


class Ended:
    """The stream ended, in order as far as HTTP can tell."""


class Broken:
    """The stream broke off."""


class Connection:
    """Ask `due` when something comes next, and `take` it then.

    first: the place of the first event in the feed. heartbeat_seconds: a comment comes after so much silence; 0 for
    none. retry_milliseconds: what a `retry:` line asks for, 0 for none. joins: whether events that are there already come in one chunk; never under faults.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        first: int,
        now: float,
        faults: Sequence[Fault],
        heartbeat_seconds: float,
        retry_milliseconds: int,
        joins: bool,
    ) -> None:
        self._feed = feed
        self._place = first
        self._opened_at = self._ready_at = self._said_at = now
        self._heartbeat = heartbeat_seconds or inf
        self._joins = joins and not faults
        self._disturbance = Disturbance(faults)
        self._unzip = zlib.decompressobj(GZIP_WINDOW) if self._disturbance.encoding else None
        self._acts: deque[Act] = deque(self._disturbance.open())
        if retry_milliseconds:
            self._acts += self._disturbance.data(b"retry: %d\n\n" % retry_milliseconds)
        self._is_closing = False
        self.is_over: bool = False

    @property
    def due(self) -> float:
        """When something comes next; inf for never."""
        if self.is_over:
            return inf
        if self._acts or self._is_closing:
            return self._ready_at
        return max(self._ready_at, min(self._next, self._said_at + self._heartbeat))

    @property
    def _next(self) -> float:
        """When the next event comes, or the end."""
        feed = self._feed
        at = feed.times[self._place] if self._place < len(feed.times) else feed.closed_at
        return min(at, feed.hung_up_at) if self._opened_at < feed.hung_up_at else at

    def take(self, now: float) -> bytes | Ended | Broken:
        """What comes now; no bytes, where it is only a delay that begins."""
        if not self._acts and not self._is_closing:
            if self._next > now:
                return self._said(COMMENT, now)
            if (joined := self._advance(now)) is not None:
                return self._said(joined, now)
        if not self._acts:
            if self._is_closing:
                self.is_over = True
                return Ended()
            return b""
        match self._acts.popleft():
            case Send(data):
                return self._said(self._unzip.decompress(data) if self._unzip else data, now)
            case Wait(seconds):
                self._ready_at = now + seconds
                return b""
            case Cut(how, where):
                self.is_over = True
                return Ended() if how is How.FIN and where is not Where.CHUNK else Broken()

    def _said(self, data: bytes, now: float) -> bytes:
        self._said_at = now
        return data

    def _advance(self, now: float) -> bytes | None:
        """Go on to the next event, or to the end. Returns: the bytes of as many as come together, if they do."""
        feed = self._feed
        limit = min(now, feed.hung_up_at) if self._opened_at < feed.hung_up_at else now
        has_event = self._place < len(feed.times) and feed.times[self._place] <= limit
        if not has_event:
            self._acts.extend(self._disturbance.close())
            self._is_closing = True
            return None
        if self._joins:
            begin = self._place
            while self._place < len(feed.times) and feed.times[self._place] <= limit:
                self._place += 1
            return b"".join(line.wire for line in feed.lines[begin : self._place])
        self._acts.extend(self._disturbance.frame(feed.lines[self._place].frame))
        self._place += 1
        return None
