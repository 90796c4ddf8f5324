"""One batch, followed to its end: GETs until a terminal status, and a cancel on the way if one is wanted.

In      what the gateway answered, failures, time, a cancel asked for
Out     actions for the shell; each Batch that came; at the end one BatchOutcome
Units   seconds of any clock that only goes forward
Errors  none for anything that a peer sent
Source  protocol reference 3 and 7: `cancelling` is open, and timestamps do not tell the status

The same machine as for a response, without a stream.
"""

from collections.abc import Callable

from attrs import frozen

from streamfold.errors import MalformedBody, UsageError
from streamfold.schema import Batch, decode_batch, is_terminal_batch_status
from streamfold.session.answer import Answer, ErrorWords, Refusal, refusal_of, seconds_asked
from streamfold.session.cancelling import Cancelling
from streamfold.session.following import Following
from streamfold.session.outcome import CancelResult, Conflict, OutcomeStatus, Proof
from streamfold.session.patience import Patience
from streamfold.session.reconcile import Conclude
from streamfold.session.timer import Timer

__all__ = ["BatchOutcome", "BatchSession"]


@frozen(kw_only=True)
class BatchOutcome:
    """One batch, at its end. batch: as it was last seen; None if it never was. The rest is as in Outcome."""

    status: OutcomeStatus
    batch: Batch | None = None
    proof: Proof | None = None
    cancel: CancelResult | None = None
    conflicts: tuple[Conflict, ...] = ()
    reason: str = ""


class BatchSession(Following):
    """Follow one batch. chance: gives a random number in [0, 1) for each wait. now: the time at which it begins."""

    def __init__(self, *, chance: Callable[[], float], now: float, patience: Patience | None = None) -> None:
        super().__init__(patience=patience, chance=chance, now=now)
        self.outcome: BatchOutcome | None = None
        self.batch: Batch | None = None
        self._attempts = 0
        self._retrieve()

    # Facts

    def receive_cancel(self, *, now: float) -> None:
        """The caller wants the batch cancelled. A second wish changes nothing."""
        self._now = now
        if self.outcome is not None:
            self._answer_late_cancel(is_proven=self.outcome.proof is not None)
        elif self._cancelling is None:
            self._cancelling = Cancelling(is_terminal=is_terminal_batch_status)
            self._cancelling.receive_end()  # there is no stream that could tell more
            self._send_cancel(seconds=self.patience.batch_cancel_seconds)

    def receive_notice(self, *, now: float) -> None:
        """Word came from elsewhere, as by a webhook, that the status changed: the next GET is made at once."""
        self._now = now
        if self.outcome is None:
            self._timers.drop(Timer.POLL)
            self._retrieve()

    # Retrieve

    def _receive_retrieved(self, answer: Answer) -> None:
        if not answer.is_success:
            reason = (
                f"the batch was refused with {answer.status}: {ErrorWords.of(answer.body).message or answer.excerpt}"
            )
            if refusal_of(answer) is Refusal.BUSY:
                self._fail_retrieve(reason, asked=seconds_asked(answer.headers))
            else:
                self._lose(reason)
            return
        try:
            batch = decode_batch(answer.body)
        except MalformedBody as error:
            self._fail_retrieve(str(error))
            return
        if batch.status is None:
            self._fail_retrieve("what came is no Batch: it has no status")
            return
        self._attempts = 0
        self._lost = ""  # whoever answers can be asked again
        self.batch = batch
        if not is_terminal_batch_status(batch.status):
            self._timers[Timer.POLL] = self._now + self.patience.poll_seconds
            return
        status = OutcomeStatus(batch.status or "")
        if self._cancelling is None:
            self._conclude(status, Proof.RETRIEVED)
        else:
            self._cancelling.receive_retrieved(status, answer.body)
            self._reconsider()

    def _fail_retrieve(self, reason: str, *, asked: float = 0.0) -> None:
        self._attempts += 1
        if self._attempts >= self.patience.max_attempts:
            self._lose(reason)
        else:
            wait = self.patience.backoff.seconds(self._attempts - 1, chance=self._chance(), asked=asked)
            self._timers[Timer.POLL] = self._now + wait

    # The end

    def _receive_connect_answer(self, answer: Answer) -> None:
        raise UsageError("a batch has no stream: it never asks for a Connect")

    def _fail_connect(self, reason: str) -> None:
        raise UsageError("a batch has no stream: it never asks for a Connect")

    @property
    def _is_background(self) -> bool | None:
        return True

    @property
    def _is_over(self) -> bool:
        return self.outcome is not None

    @property
    def _can_ask(self) -> bool:
        return True

    def _conclude_cancel(self, verdict: Conclude, body: bytes) -> None:
        self.batch = decode_batch(body)
        self._conclude(verdict.status, verdict.proof, conflicts=verdict.conflicts)

    def _conclude_lost(self, reason: str) -> None:
        self._conclude(OutcomeStatus.LOST, None, reason=reason)

    def _conclude(
        self, status: OutcomeStatus, proof: Proof | None, *, conflicts: tuple[Conflict, ...] = (), reason: str = ""
    ) -> None:
        self._end()
        self.outcome = BatchOutcome(
            status=status, batch=self.batch, proof=proof, cancel=self.cancel_result, conflicts=conflicts, reason=reason
        )
