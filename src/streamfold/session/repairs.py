"""The repair ladder: which step comes next, and its steps for one stream, each after a wait."""

from collections.abc import Callable, Iterable

from streamfold.session.answer import CallFailure
from streamfold.session.drive import Agenda, Connect, Timer
from streamfold.session.outcome import STREAMS, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.reassembler import Reassembler

# `RepairPolicy` is the repair ladder: resume, then replay, then retrieve. A step is *exhausted* by attempts that brought
# nothing new, and comes back as soon as something new arrives. It is *refused*, for good, when the gateway says that it
# will never do it. A batch is followed with the same policy: its streams are refused from the start.
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
        self._failed: dict[RepairKind, int] = {}

    def attempts(self, kind: RepairKind) -> int:
        """How often this step failed in a row, without anything new in between."""
        return self._failed.get(kind, 0)

    def is_refused(self, kind: RepairKind) -> bool:
        """Whether this step will never work."""
        return kind in self._refused

    def next(self, *, can_resume: bool) -> RepairKind | None:
        """Return the first step that may still work, or None if no step is left.

        Args:
            can_resume: Whether there is a sequence number to resume after.
        """
        for kind in RepairKind:
            if kind in self._refused or self.attempts(kind) >= self._max_attempts:
                continue
            if kind is not RepairKind.RESUME or can_resume:
                return kind
        return None

    def fail(self, kind: RepairKind, *, max_attempts: int | None = None) -> None:
        """Count an attempt that brought nothing new.

        Args:
            kind: The step that was tried.
            max_attempts: A lower limit, for failures that a retry rarely fixes.
        """
        failed = self.attempts(kind) + 1
        self._failed[kind] = self._max_attempts if max_attempts is not None and failed >= max_attempts else failed

    def refuse(self, *kinds: RepairKind) -> None:
        """Never try these steps again."""
        self._refused.update(kinds)

    def progress(self) -> None:
        """Something new arrived: every step that was not refused may be tried again."""
        self._failed.clear()

    def give_another_try(self) -> None:
        """A GET was answered, so the gateway is alive: give each exhausted step one more attempt."""
        self._failed = {kind: min(failed, self._max_attempts - 1) for kind, failed in self._failed.items()}
        self._failed.pop(RepairKind.RETRIEVE, None)


class Repairs:
    """The repairs of one stream.

    Attributes:
        policy: Which steps may still work.
        taken: Every step so far, in order.
        trying: The step that the open connection belongs to, or the next one.
    """

    def __init__(
        self, agenda: Agenda, reassembler: Reassembler, *, patience: Patience, random: Callable[[], float]
    ) -> None:
        self.policy: RepairPolicy = RepairPolicy(patience.max_attempts)
        self.taken: tuple[Repair, ...] = ()
        self.trying: RepairKind = RepairKind.RESUME if reassembler.can_resume else RepairKind.REPLAY
        self._agenda = agenda
        self._reassembler = reassembler
        self._patience = patience
        self._random = random
        self._not_before = agenda.now  # the gateway asked for no connection before this time

    @property
    def connect(self) -> Connect:
        """The call that opens the stream for the step that is being tried."""
        return Connect(self._reassembler.after if self.trying is RepairKind.RESUME else None)

    def progress(self) -> None:
        """Something new arrived: nothing is stalled, and every step that was not refused may be tried again."""
        self.policy.progress()
        self._agenda.timers.drop(Timer.STALLED)

    def fail_stream(self, failure: CallFailure) -> None:
        """Count a connection that brought nothing new."""
        self.policy.refuse(*failure.refused)
        if not self._reassembler.has_progressed:
            self.policy.fail(self.trying, max_attempts=failure.max_attempts)

    def begin_next(self, failure: CallFailure) -> bool:
        """Take the next step of the ladder, after a wait. Returns False if no step is left."""
        kind = self.policy.next(can_resume=self._reassembler.can_resume)
        if kind is None:
            return False
        backoff, now = self._patience.backoff, self._agenda.now
        asked = max(failure.retry_after_seconds, self._reassembler.reconnection_seconds)
        # Also a GET that brings the attempt forward must not bring it before the time that the gateway asked for.
        self._not_before = now + backoff.seconds(0, jitter=0.0, retry_after_seconds=asked)
        wait = backoff.seconds(self.policy.attempts(kind), jitter=self._random(), retry_after_seconds=asked)
        self._agenda.timers.setdefault(Timer.STALLED, now + self._patience.stalled_seconds)
        self._begin(kind, failure.reason, wait)
        return True

    def reopen(self, status: str) -> None:
        """A GET says that the Response still runs: try its stream again, if that may work."""
        self.policy.give_another_try()
        kind = self.policy.next(can_resume=self._reassembler.can_resume)
        if kind is not None and kind in STREAMS:
            self._begin(kind, f"the Response is {status}", self._patience.poll_seconds)

    def refuse_streams(self, reason: str) -> None:
        """The gateway refuses streams: only GETs are left."""
        self.policy.refuse(*STREAMS)
        self._note(RepairKind.RETRIEVE, reason)

    def _begin(self, kind: RepairKind, reason: str, wait_seconds: float) -> None:
        self._note(kind, reason)
        self._reassembler.has_progressed = False
        due = self._agenda.now + wait_seconds
        if kind is RepairKind.RETRIEVE:
            self._agenda.timers[Timer.POLL] = due
        else:
            self.trying = kind
            self._agenda.timers[Timer.CONNECT] = max(due, self._not_before)

    def _note(self, kind: RepairKind, reason: str) -> None:
        self.taken += (Repair(kind, reason, self._reassembler.after, self._agenda.now),)
