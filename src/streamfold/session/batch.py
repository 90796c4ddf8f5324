"""Follows one batch to its end: GETs until a terminal status, and a cancel on the way if one is wanted.

A batch is followed like a response whose stream is refused: the repair policy holds RETRIEVE alone. `cancelling` is not
an end, and timestamps do not say the status (protocol reference 3 and 7). Nothing that a peer sends makes it raise.
"""

from collections.abc import Callable
from math import inf

from attrs import frozen

from streamfold.errors import MalformedBody, UsageError
from streamfold.schema import Batch, decode_batch, is_terminal_batch_status
from streamfold.session.answer import Answer, CallFailure, read_refusal
from streamfold.session.cancel import CancelTracker
from streamfold.session.drive import Action, Agenda, Call, Cancel, Retrieve, Timer
from streamfold.session.outcome import STREAMS, CancelResult, Conflict, OutcomeStatus, Proof, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.reconcile import Conclude, FollowOn
from streamfold.session.repairs import RepairPolicy


@frozen(kw_only=True)
class BatchOutcome:
    """How one batch ended. batch: The last that arrived; None if none did. The rest is as in Outcome."""

    status: OutcomeStatus
    batch: Batch | None = None
    proof: Proof | None = None
    cancel: CancelResult | None = None
    conflicts: tuple[Conflict, ...] = ()
    reason: str = ""


class BatchSession:
    """Follow one batch.

    Args:
        random: Returns a random number in [0, 1) for each wait.
        now: The time at which it begins.
        patience: The limits.

    Attributes:
        outcome: How the batch ended; None while it is open.
        batch: The last Batch that arrived; None before the first answer.
    """

    repairs: tuple[Repair, ...] = ()
    is_reading: bool = False
    wants_stream: bool = False

    def __init__(self, *, random: Callable[[], float], now: float, patience: Patience | None = None) -> None:
        self.patience: Patience = patience or Patience()
        self.outcome: BatchOutcome | None = None
        self.batch: Batch | None = None
        self._random = random
        self._agenda = Agenda(now=now, total_seconds=self.patience.total_seconds)
        self._timers = self._agenda.timers
        self._policy = RepairPolicy(self.patience.max_attempts, refused=STREAMS)
        self._cancel = CancelTracker(
            self._agenda,
            patience=self.patience,
            random=random,
            seconds=self.patience.batch_cancel_seconds,
            is_terminal=is_terminal_batch_status,
        )
        self._failed = ""  # why the last GET failed
        self._lost = ""  # why nothing more can be learned, while a cancel's answer may still report the end
        self._agenda.retrieve()

    # What a driver asks

    @property
    def cancel_result(self) -> CancelResult | None:
        """The result of a cancel; None while it is open, and if none was requested."""
        return self._cancel.result

    def actions(self) -> list[Action]:
        """Return what to do now, each action once, in order; `drive` turns them into steps."""
        return self._agenda.take()

    # Facts

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        """A call was answered."""
        self._receive_result(call, answer, now)

    def receive_failure(self, call: Call, reason: str, *, now: float) -> None:
        """A call brought no answer."""
        self._receive_result(call, CallFailure(reason, is_outage=True), now)

    def _receive_result(self, call: Call, result: Answer | CallFailure, now: float) -> None:
        self._agenda.now = now
        if self.outcome is not None:
            return
        match call:
            case Cancel():
                if self._cancel.receive_result(result):
                    self._reconsider()
            case Retrieve():
                self._agenda.end_retrieve()
                self._receive_retrieved(result)
            case _:
                raise UsageError("a batch has no stream: it never asks for a Connect")

    def receive_time(self, *, now: float) -> None:
        """Time has passed: it is `now`. Do what is due."""
        for timer in self._agenda.due(now):
            self._fall_due(timer)

    def receive_cancel(self, *, now: float) -> None:
        """The caller wants the batch cancelled. A second request changes nothing."""
        self._agenda.now = now
        if self.outcome is not None:
            self._cancel.request_late(is_proven=self.outcome.proof is not None)
        elif self._cancel.request():
            self._cancel.receive_end()  # there is no stream that could tell more
            self._cancel.send()

    def receive_notice(self, *, now: float) -> None:
        """Another source, such as a webhook, reports that the status changed: a pending GET is made at once."""
        self._agenda.now = now
        if self.outcome is None:
            self._timers.drop(Timer.POLL)
            self._agenda.retrieve()

    # GETs

    def _receive_retrieved(self, result: Answer | CallFailure) -> None:
        batch = _read_batch(result)
        if isinstance(batch, CallFailure):
            self._fail_retrieve(batch)
            return
        self._policy.progress()
        self._timers.drop(Timer.STALLED)
        self._lost = ""  # a gateway that answers can be asked again
        self.batch = batch
        if not is_terminal_batch_status(batch.status):
            self._timers[Timer.POLL] = self._agenda.now + self.patience.poll_seconds
            return
        status = OutcomeStatus(batch.status or "")
        if self._cancel.is_requested and isinstance(result, Answer):
            self._cancel.receive_retrieved(status, result.body, asked_at=inf)  # it said `cancelling` before
            self._reconsider()
        else:
            self._conclude(status, Proof.RETRIEVED)

    def _fail_retrieve(self, failure: CallFailure) -> None:
        self._policy.fail(RepairKind.RETRIEVE, failure)
        attempts = self._policy.attempts(RepairKind.RETRIEVE)
        if failure.refused or self._policy.next(can_resume=False) is None:
            self._lose(failure.reason)
        else:
            wait = self.patience.backoff.seconds(
                attempts - 1, jitter=self._random(), retry_after_seconds=failure.retry_after_seconds
            )
            self._timers[Timer.POLL] = self._agenda.now + wait
            self._timers.setdefault(Timer.STALLED, self._agenda.now + self.patience.stalled_seconds)
            self._failed = failure.reason

    # Time and the end

    def _fall_due(self, timer: Timer) -> None:
        match timer:
            case Timer.POLL:
                self._agenda.retrieve()
            case Timer.CANCEL:
                self._cancel.send()
            case Timer.CANCEL_GRACE | Timer.CANCEL_DEADLINE:
                self._cancel.receive_time_up(timer)
                self._reconsider()
            case Timer.STALLED:
                self._cancel.receive_stalled()
                self._lose(f"nothing new came for {self.patience.stalled_seconds:g} s: {self._failed}")
            case _:
                self._timers.drop(Timer.CANCEL_DEADLINE)
                self._lose(f"it did not end within {self.patience.total_seconds:g} s")

    def _reconsider(self) -> None:
        """Act on what the evidence says of the cancel by now."""
        match self._cancel.decide(can_ask=not self._policy.is_refused(RepairKind.RETRIEVE)):
            case Conclude() as verdict:
                self.batch = decode_batch(self._cancel.body)
                self._conclude(verdict.status, verdict.proof, conflicts=verdict.conflicts)
            case FollowOn() if self._lost:
                self._conclude(OutcomeStatus.LOST, None, reason=self._lost)
            case _:
                pass

    def _lose(self, reason: str) -> None:
        """Nothing more can be learned, unless the answer to a cancel may still report the end."""
        self._lost = reason
        if self._cancel.is_awaited:
            return
        self._cancel.receive_deadline()
        self._reconsider()
        if self.outcome is None:
            self._conclude(OutcomeStatus.LOST, None, reason=reason)

    def _conclude(
        self, status: OutcomeStatus, proof: Proof | None, *, conflicts: tuple[Conflict, ...] = (), reason: str = ""
    ) -> None:
        self._cancel.give_up()
        self._agenda.finish()
        self.outcome = BatchOutcome(
            status=status,
            batch=self.batch,
            proof=proof,
            cancel=self._cancel.result,
            conflicts=conflicts,
            reason=reason,
        )


def _read_batch(answer: Answer | CallFailure) -> Batch | CallFailure:
    """The batch in the answer to a GET."""
    if isinstance(answer, CallFailure):
        return answer
    if not answer.is_success:
        return read_refusal("the batch", answer, RepairKind.RETRIEVE)
    try:
        batch = decode_batch(answer.body)
    except MalformedBody as error:
        return CallFailure(str(error))
    return batch if batch.status is not None else CallFailure("the body is not a Batch: it has no status")
