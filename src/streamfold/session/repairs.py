"""The repair ladder: which step comes next, its steps for one stream, each after a wait, and when it is given up."""

from collections.abc import Callable, Iterable

from streamfold.fold import State
from streamfold.session.answer import CallFailure, StillOpen
from streamfold.session.drive import Agenda, Connect, Timer
from streamfold.session.outcome import STREAMS, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.policy import has_unseen_text
from streamfold.session.reassembler import Reassembler

# `RepairPolicy` is the repair ladder: resume, then replay, then retrieve. A step is *exhausted* by answers that brought
# nothing new, and comes back as soon as something new arrives. It is *refused*, for good, when the gateway says that it
# will never do it. An *outage* (no connection, or a gateway that is too busy) says nothing about the step: the same one
# is tried again, for as long as `stalled_seconds` allows. A batch is followed with the same policy: its streams are
# refused from the start.
#
# `Repairs` says when the next step of a stream is due: after a random wait that doubles with each failed attempt, and
# never before the time that the gateway asked for, be it with `Retry-After` or with the stream's own `retry:` line. Every
# step is kept as a `Repair` with its reason; none is silent.


class RepairPolicy:
    """Chooses the next step of the repair ladder.

    Args:
        max_attempts: Attempts in a row without anything new after which a step is exhausted.
        refused: Steps that will never work.
    """

    def __init__(self, max_attempts: int, *, refused: Iterable[RepairKind] = ()) -> None:
        self._max_attempts = max_attempts
        self._refused: set[RepairKind] = set(refused)
        self._failed: dict[RepairKind, int] = {}  # by answers that brought nothing new
        self._outages = 0  # attempts in a row that were never answered

    def attempts(self, kind: RepairKind) -> int:
        """How often this step failed in a row, without anything new in between: what its next wait grows by."""
        return self._failed.get(kind, 0) + self._outages

    def is_refused(self, kind: RepairKind) -> bool:
        """Whether this step will never work."""
        return kind in self._refused

    def next(self, *, can_resume: bool) -> RepairKind | None:
        """Return the first step that may still work, or None if no step is left.

        Args:
            can_resume: Whether there is a sequence number to resume after.
        """
        for kind in RepairKind:
            if kind in self._refused or self._failed.get(kind, 0) >= self._max_attempts:
                continue
            if kind is not RepairKind.RESUME or can_resume:
                return kind
        return None

    def fail(self, kind: RepairKind, failure: CallFailure) -> None:
        """Count an attempt that brought nothing new. kind: The step that was tried."""
        self._refused.update(failure.refused)
        if failure.is_outage:
            self._outages += 1
            return
        self._outages = 0
        failed = self._failed.get(kind, 0) + 1
        is_enough = failure.max_attempts is not None and failed >= failure.max_attempts
        self._failed[kind] = self._max_attempts if is_enough else failed

    def refuse(self, *kinds: RepairKind) -> None:
        """Never try these steps again."""
        self._refused.update(kinds)

    def progress(self) -> None:
        """Something new arrived: every step that was not refused may be tried again."""
        self._failed.clear()
        self._outages = 0

    def give_another_try(self) -> None:
        """A GET was answered, so the gateway is alive: give each exhausted step one more attempt."""
        self._outages = 0
        self._failed = {kind: min(failed, self._max_attempts - 1) for kind, failed in self._failed.items()}
        self._failed.pop(RepairKind.RETRIEVE, None)


class Repairs:
    """The repairs of one stream.

    Attributes:
        policy: Which steps may still work.
        taken: Every step so far, in order.
        trying: The step that the open connection belongs to, or the next one.
        agenda, reassembler, patience: What it was made with.
    """

    def __init__(
        self,
        agenda: Agenda,
        reassembler: Reassembler,
        *,
        patience: Patience,
        random: Callable[[], float],
        hide: Callable[[str], str] = str,
    ) -> None:
        self.policy: RepairPolicy = RepairPolicy(patience.max_attempts)
        self.taken: tuple[Repair, ...] = ()
        self.trying: RepairKind = RepairKind.RESUME if reassembler.can_resume else RepairKind.REPLAY
        self.agenda: Agenda = agenda
        self.reassembler: Reassembler = reassembler
        self.patience: Patience = patience
        self._random = random
        self._hide = hide
        self._hole: tuple[int, int] | None = None  # what a connection left out last, and the steps that showed it
        self._shown_by: set[RepairKind] = set()
        self._shown = 0
        self._not_before = agenda.now  # the gateway asked for no connection before this time

    @property
    def connect(self) -> Connect:
        """The call that opens the stream for the step that is being tried."""
        return Connect(self.reassembler.after if self.trying is RepairKind.RESUME else None)

    def fail_stream(self, failure: CallFailure) -> None:
        """A connection has ended: count it if it brought nothing new."""
        self.reassembler.close()
        if self.reassembler.has_progressed:
            self.policy.refuse(*failure.refused)
        else:
            self.policy.fail(self.trying, failure)

    def show_hole(self, hole: tuple[int, int] | None) -> bool:
        """A connection left out the numbers in between. Returns whether every way to ask has shown that hole."""
        if hole is None:
            return False
        if hole != self._hole:
            self._hole, self._shown_by, self._shown = hole, set(), 0
        self._shown += 1  # once alone, it may have been lost on its way
        self._shown_by |= {self.trying} if self.taken else set()
        return self._shown > 1 and self._shown_by >= self._ways

    def believe_hole(self) -> bool:
        """Accept what this connection left out, if every way to ask has shown it. Returns whether that is so."""
        is_believed = self.show_hole(self.reassembler.hole)
        if is_believed:
            self.reassembler.cross()
            self.policy.progress()
        return is_believed

    @property
    def gap_attempts(self) -> int:
        """How often a step is tried that leaves out the same events: once, if there is another one to show it."""
        return 1 if self.taken and len(self._ways) > 1 and self.reassembler.hole is not None else 2

    @property
    def _ways(self) -> set[RepairKind]:
        """The steps that can show a stream."""
        ways = {kind for kind in STREAMS if not self.policy.is_refused(kind)}
        return ways if self.reassembler.can_resume else ways - {RepairKind.RESUME}

    def begin_next(self, failure: CallFailure) -> bool:
        """Take the next step of the ladder, after a wait. Returns False if no step is left."""
        kind = self.policy.next(can_resume=self.reassembler.can_resume)
        if kind is None:
            return False
        backoff, now = self.patience.backoff, self.agenda.now
        asked = max(failure.retry_after_seconds, self.reassembler.reconnection_seconds)
        # Also a GET that brings the attempt forward must not bring it before the time that the gateway asked for.
        self._not_before = now + backoff.seconds(0, jitter=0.0, retry_after_seconds=asked)
        wait = backoff.seconds(self.policy.attempts(kind), jitter=self._random(), retry_after_seconds=asked)
        self._begin(kind, failure.reason, wait)
        return True

    def reopen(self, status: str) -> None:
        """A GET says that the Response still runs: try its stream again, if that may work."""
        self.policy.give_another_try()
        kind = self.policy.next(can_resume=self.reassembler.can_resume)
        if kind is not None and kind in STREAMS:
            self._begin(kind, f"the Response is {status}", self.patience.poll_seconds)

    def open_at_once(self, reason: str) -> None:
        """Open the whole stream of a response whose id has just arrived."""
        self._begin(RepairKind.REPLAY, reason, 0.0)

    def refuse_streams(self, reason: str) -> None:
        """The gateway refuses streams: only GETs are left."""
        self.policy.refuse(*STREAMS)
        self._note(RepairKind.RETRIEVE, reason)

    def _begin(self, kind: RepairKind, reason: str, wait_seconds: float) -> None:
        self._note(kind, reason)
        self.reassembler.has_progressed = False
        due = self.agenda.now + wait_seconds
        if kind is RepairKind.RETRIEVE:
            self.agenda.timers[Timer.POLL] = due
        else:
            self.trying = kind
            self.agenda.timers[Timer.CONNECT] = max(due, self._not_before)

    def _note(self, kind: RepairKind, reason: str) -> None:
        self.taken += (Repair(kind, self._hide(reason), self.reassembler.after, self.agenda.now),)


# When is a response stalled? The time runs from the first repair until something new comes. What is new? An event that is more
# than a keepalive, and a GET that shows another status or more text. A GET that shows the same as before is nothing new,
# because some servers say `in_progress` for ever of a response whose connection is gone. There are two exceptions: a
# response that runs in the background needs no connection, and one whose stream is open has not lost it.
#
# When the time is up, one GET decides, unless GETs were made in that time anyway: a server may refuse its streams with
# 503 and still know how the response ended.


class StallTimer:
    """The STALLED timer of one response.

    Args:
        repairs: The repairs of its stream.

    Attributes:
        is_decided_now: Whether the GET that is on its way decides.
    """

    def __init__(self, repairs: Repairs) -> None:
        self.is_decided_now: bool = False
        self._repairs = repairs
        self._agenda = repairs.agenda
        self._seconds = repairs.patience.stalled_seconds
        self._shown: State | None = None  # by the last GET that was answered, and when
        self._shown_at = repairs.agenda.now

    def begin(self) -> None:
        """Something went wrong: from now on, the time runs."""
        self._agenda.timers.setdefault(Timer.STALLED, self._agenda.now + self._seconds)

    def end(self) -> None:
        """Something new came."""
        self.is_decided_now = False
        self._agenda.timers.drop(Timer.STALLED)

    def is_stalled(self, found: StillOpen, *, is_reading: bool) -> bool:
        """A GET shows that the response still runs. Returns whether that was the last attempt, and it is stalled."""
        reassembler = self._repairs.reassembler
        if found.is_background is not None:
            reassembler.is_background = found.is_background
        before, self._shown, self._shown_at = self._shown or reassembler.state, found.state, self._agenda.now
        is_same = before.status == found.status and not has_unseen_text(before, found.state)
        if not is_same or is_reading or reassembler.is_background:
            self.end()
        elif self.is_decided_now:
            return True
        elif self._repairs.taken:
            self.begin()
        return False

    def can_be_decided(self) -> bool:
        """The time is up. Returns whether a GET is worth a try; it then decides."""
        was_asked = self._repairs.taken[-1].kind is RepairKind.RETRIEVE
        was_answered = self._shown_at > self._agenda.now - self._seconds
        self.is_decided_now = not (was_asked or was_answered) and not self._repairs.policy.is_refused(
            RepairKind.RETRIEVE
        )
        return self.is_decided_now

    def reason(self, why: str = "") -> str:
        """Why the response is given up. why: What came last; empty for the reason of the last repair."""
        self.is_decided_now = False
        return f"nothing new came for {self._seconds:g} s: {why or self._repairs.taken[-1].reason}"
